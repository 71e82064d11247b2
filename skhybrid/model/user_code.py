"""Call the user's functions and modules, so that their errors name the part that failed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skhybrid.exceptions import NetworkError, PhysicsError, StructureError, TrainingError
from skhybrid.model.out_of_memory import is_out_of_memory

# Errors that name a part of the model, or the training that cannot go on.
NAMED = (PhysicsError, NetworkError, StructureError, TrainingError)

TORCH_HINT = "Use torch's functions in place of numpy's and math's."
COLUMNS_HINT = (
    "X is a tensor of shape (n, n_features) and has no column names. Name the columns as arguments "
    "in place of X, as in def f(first, second, *, a=1.0), or write X[:, 0]."
)
# Parts of messages of torch and Python, with hints.
_HINTS = (
    (
        ("Boolean value of Tensor",),
        "A tensor has many values, so `if`, `and`, `or`, `max` and `min` cannot decide for all of "
        "them. Use torch.where, &, |, torch.maximum and torch.minimum.",
    ),
    (
        ("only one element tensors", "Cannot be converted to Scalar", "converted to an index"),
        "float() and math's functions take one number. Use torch's functions, such as torch.exp in "
        "place of math.exp.",
    ),
    (
        ("values to unpack", "is out of bounds for dimension"),
        "If this is the state of an ODE: y has fewer columns than the equation has states. Say "
        "which part of the state is measured, ODE(observe=lambda state: state[:, 1:], n_states=2).",
    ),
    (("invalid data type 'str'", "valid indices"), COLUMNS_HINT),
    (
        ("too many indices for tensor",),
        "Columns of a tensor have numbers, not names, as in inputs[:, :1]; a feature of shape (n,) "
        "has no columns.",
    ),
    (
        ("'Tensor' object has no attribute",),
        "Inputs are torch tensors, not DataFrames or NumPy arrays. To use columns by name, name "
        "them as arguments, as in def f(first, second, *, a=1.0).",
    ),
    (("numpy", "__array__"), TORCH_HINT),
)


def named(
    part: str, function: Callable, error: type[ValueError] = PhysicsError
) -> Callable[..., Any]:
    """Return the function; an exception in it becomes an error that names the part.

    Errors of other parts, which already have a name, and errors about memory stay as they are.

    Parameters
    ----------
    part : str
        Name of the part, such as "physics 'spring'".
    function : callable
        Its keyword arguments are physics parameters, which the message shows.
    error : type, default=PhysicsError
        Class of the error.
    """

    def call(*inputs: Any, **values: Tensor) -> Any:
        try:
            return function(*inputs, **values)
        except NAMED:
            raise
        except Exception as raised:
            if is_out_of_memory(raised):
                raise
            raise error(failure(part, raised, values, function)) from raised

    return call


def named_network(function: Callable[[Tensor], Any], part: str = "nn") -> Callable[[Tensor], Any]:
    """Return a network as a function whose exceptions become NetworkErrors.

    Parameters
    ----------
    function : callable
        The network as a function of its inputs alone.
    part : str, default="nn"
        Name of the network.
    """

    def call(inputs: Tensor) -> Any:
        try:
            return function(inputs)
        except Exception as raised:
            if is_out_of_memory(raised):
                raise
            shape = f"of shape {tuple(inputs.shape)}"
            if part == "nn" and inputs.ndim == 2:
                shape += (
                    f", which are rows and {inputs.shape[-1]} features (with those that the "
                    "structure adds)"
                )
            raise NetworkError(f"{part} failed on inputs {shape}: {reason(raised)}") from raised

    return call


def failure(part: str, error: Exception, values: Mapping[str, Any], function: Any = None) -> str:
    """Return the message of an error that names a part of the model.

    Parameters
    ----------
    part : str
    error : Exception
        The original error.
    values : mapping of str to Tensor or array
        Physics parameters.
    function : callable, default=None
        The part itself; its signature may give a hint.
    """
    at, hint = described(values), _hint(error, values, function)
    return f"{part} failed{at and f' at {at}'}: {reason(error)}{hint and f' {hint}'}"


def reason(error: Exception) -> str:
    """Return the class and the first line of an error."""
    text = str(error).strip()
    if "numpy()" in text:
        return "it hands a tensor to numpy, which cannot differentiate."
    if not text:
        return f"{type(error).__name__}."
    text = text.splitlines()[0].split(" Hint:")[0]
    return f"{type(error).__name__}: {text.rstrip('.')}."


def described(values: Mapping[str, Any]) -> str:
    """Return parameters and their values as text; nothing if the values cannot be read."""
    try:
        arrays = {name: np.asarray(_numbers(value)) for name, value in values.items()}
    except Exception:  # under torch.vmap tensors have no values
        return ""
    return ", ".join(
        f"{name}={np.array2string(array, precision=4, threshold=6)}"
        for name, array in arrays.items()
    )


def function_name(function: Callable) -> str:
    """Return the name of a function, or of the class of a callable object."""
    return getattr(function, "__name__", type(function).__name__)


def _numbers(value: Any) -> Any:
    """Return the numbers of a tensor as nested lists; leave other values as they are."""
    return value.tolist() if isinstance(value, Tensor) else value


def _hint(error: Exception, values: Mapping[str, Any], function: Any) -> str:
    """Return a sentence that may help, or nothing."""
    inner = getattr(function, "function", function)
    if lacks_self(inner):
        return f"Is `self` missing as the first argument of {function_name(inner)}?"
    if getattr(function, "inputs", ()) == ("X",) and isinstance(error, IndexError):
        return COLUMNS_HINT
    arrays = [name for name, value in values.items() if np.ndim(value) > 0]
    if arrays and "must match the size" in str(error):
        varying = [name for name in arrays if name in getattr(function, "varying", ())]
        if varying:
            return _hint_of_varying(varying[0], function)
        return (
            f"The parameter {arrays[0]!r} is an array. For one number with bounds write "
            f"Physics(f, {arrays[0]}=Param(value, bounds=(low, high)))."
        )
    for parts, hint in _HINTS:
        if any(part in str(error) for part in parts):
            return hint
    is_call = "positional argument" in str(error) or "keyword argument" in str(error)
    return TORCH_HINT if isinstance(error, TypeError) and not is_call else ""


def _hint_of_varying(name: str, physics: Any) -> str:
    """Return a sentence about the shape of a parameter that depends on features."""
    rows = f"{name!r} depends on features, so it holds a value for every row"
    if physics.params[name].shape:
        return f"{rows}, after its own axes: its elements are {name}[0], {name}[1] and so on."
    return f"{rows}, like one feature. For a table or for all states write {name}[:, None]."


def lacks_self(function: Any, first: Container[str] | None = None) -> bool:
    """Whether a function is a method whose first argument is not called self.

    Parameters
    ----------
    function : callable or torch.nn.Module
        For a module, ``forward``.
    first : container of str, default=None
        If given: whether the first argument has one of these names.
    """
    if isinstance(function, nn.Module):
        function = function.forward
    if not inspect.ismethod(function):
        return False
    names = list(inspect.signature(function.__func__).parameters)
    if first is not None:
        return bool(names) and names[0] in first
    return bool(names) and names[0] not in ("self", "cls")


def require_dense(
    output: object, error: type[ValueError], who: str, many: str = "Several targets"
) -> None:
    """Raise an error if the output of a part is not a dense tensor of real numbers.

    Parameters
    ----------
    output : object
    error : type
        Class of the error.
    who : str
        Name of the part.
    many : str, default="Several targets"
        Things that a tuple or a list may hold, named in the message.
    """
    if not isinstance(output, Tensor):
        raise error(f"{who} must return a torch.Tensor; it returned {described_type(output, many)}")
    if output.layout is not torch.strided:
        raise error(f"{who} must return a dense tensor; it returned a sparse one. Call to_dense().")
    if output.is_meta:
        raise error(
            f"{who} must return a tensor with values; it returned one on the device 'meta', which "
            "has none."
        )
    if output.is_complex():
        raise error(f"{who} must return real numbers; it returned complex ones.")


def described_type(output: object, many: str = "Several targets") -> str:
    """Return the type of an output that is not a tensor, and how to fix it."""
    if output is None:
        return "None. Is a return statement missing?"
    if isinstance(output, (tuple, list)):
        return f"a {type(output).__name__}. {many} go into one torch.stack(..., dim=-1)."
    return f"{type(output).__name__}. {TORCH_HINT}"
