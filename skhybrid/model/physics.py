"""The scientific part of a hybrid model: a function and its named unknowns."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from skhybrid.exceptions import PhysicsError
from skhybrid.model.param import Param, plain, replaced
from skhybrid.model.user_code import lacks_self
from skhybrid.runtime.suggestions import suggestion

# A lock for each module that is called: while it is called, it holds the given values.
_locks: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class Physics:
    """A scientific model and its named unknowns.

    Parameters
    ----------
    function : callable or torch.nn.Module
        The known part of the model, written with torch operations. A function has its inputs as
        positional arguments and its unknowns as keyword-only arguments, whose defaults are the
        initial values. A module has its inputs as arguments of ``forward``, and its parameters are
        the unknowns; they are fixed where ``requires_grad`` is False. The module itself is never
        changed.
    **params : Param, float or array-like
        Initial values of the unknowns by name; as :class:`Param`, with bounds and units. They
        replace the defaults of the function.

    Attributes
    ----------
    inputs : tuple of str
        Names of the positional arguments.
    params : dict of str to Param
        The unknowns, in the order of the signature.

    Raises
    ------
    PhysicsError
        If the signature cannot be read, a name is unknown, an unknown has no initial value, or an
        initial value is outside its bounds.

    Notes
    -----
    With the structures for tables ("additive", "multiplicative", "serial"), positional arguments
    get the columns of a DataFrame by name, or the columns of an array by order. A single positional
    argument named ``X`` gets the whole table as a tensor of shape (n, n_features).

    Examples
    --------
    >>> import torch
    >>> from skhybrid import Param, Physics
    >>> def spring(position, *, stiffness=1.0):
    ...     return -stiffness * position
    >>> physics = Physics(spring, stiffness=Param(2.0, bounds=(0.0, None), unit="N/m"))
    >>> physics
    Physics(spring, stiffness=Param(2.0, bounds=(0.0, None), unit='N/m'))
    >>> physics.inputs
    ('position',)
    """

    def __init__(self, function: Callable | torch.nn.Module, /, **params: Any) -> None:
        if isinstance(function, type) or not callable(function):
            hint = " Pass an instance of the class." if isinstance(function, type) else ""
            raise PhysicsError(
                f"physics must be a function, a torch.nn.Module or a Physics; got {function!r}."
                f"{hint}"
            )
        self.function = function
        self.inputs, defaults = _read_signature(function)
        _require_known(params, defaults, self.name)
        self.params: dict[str, Param] = {}
        for name, default in defaults.items():
            given = params.get(name, default)
            if given is inspect.Parameter.empty:
                raise PhysicsError(
                    f"Parameter {name!r} of {self.name} has no initial value. Give it a default "
                    f"in the signature or write Physics({self.name}, {name}=Param(...))."
                )
            self.params[name] = given if isinstance(given, Param) else Param(plain(given))
            self.params[name].validate(name)

    @property
    def name(self) -> str:
        """Name of the function or of the module's class."""
        return _name(self.function)

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the parameters that are learned."""
        return tuple(name for name, param in self.params.items() if not param.fixed)

    @property
    def varying(self) -> tuple[str, ...]:
        """Names of the parameters that the network gives as functions of features."""
        return tuple(name for name, param in self.params.items() if param.depends_on is not None)

    @property
    def grouped(self) -> tuple[str, ...]:
        """Names of the parameters with a value for each group."""
        return tuple(name for name, param in self.params.items() if param.per is not None)

    def get_params(self, deep: bool = True) -> dict[str, Param]:
        """Return the unknowns by name.

        A :class:`HybridRegressor` lists the unknown ``k`` of its physics as ``physics__k``. An
        unknown named ``random_state`` is left out, because scikit-learn's ensembles write seeds
        into all parameters with this name.

        Parameters
        ----------
        deep : bool, default=True
            Not used: an unknown has no parameters of its own.

        Returns
        -------
        dict of str to Param
        """
        return {
            name: param
            for name, param in self.params.items()
            if name.split("__")[-1] != "random_state"
        }

    def set_params(self, /, **params: Any) -> Physics:
        """Set initial values of unknowns, or replace unknowns.

        In a grid, the names are ``physics__k`` for the unknown ``k``.

        Parameters
        ----------
        **params : Param, float or array-like
            By name of the unknown. A number or an array replaces the initial value; bounds, unit
            and ``fixed`` stay as they are. A :class:`Param` replaces the unknown.

        Returns
        -------
        self : Physics

        Raises
        ------
        PhysicsError
            If a name is unknown, a value has another shape than the unknown, or a value is outside
            the bounds. Then nothing is changed.

        Examples
        --------
        >>> from skhybrid import Param, Physics
        >>> def spring(position, *, stiffness=1.0):
        ...     return -stiffness * position
        >>> physics = Physics(spring, stiffness=Param(2.0, bounds=(0.0, None)))
        >>> physics.set_params(stiffness=0.5)
        Physics(spring, stiffness=Param(0.5, bounds=(0.0, None)))
        """
        _require_known(params, self.params, self.name)
        changed = {name: replaced(self.params[name], value, name) for name, value in params.items()}
        self.params = {**self.params, **changed}
        return self

    def __sklearn_clone__(self) -> Physics:
        return copy.deepcopy(self)  # which shares functions, and copies modules

    def __copy__(self) -> Physics:
        copied = object.__new__(type(self))
        vars(copied).update(vars(self), params=dict(self.params))
        return copied

    def __deepcopy__(self, memo: dict) -> Physics:
        copied = object.__new__(type(self))
        memo[id(self)] = copied
        is_module = isinstance(self.function, torch.nn.Module)
        # A module holds the values of a call while another thread calls it.
        with _lock_of(self.function) if is_module else contextlib.nullcontext():
            vars(copied).update(copy.deepcopy(vars(self), memo))
        return copied

    def __call__(self, /, *inputs: torch.Tensor, **values: torch.Tensor) -> torch.Tensor:
        """Evaluate the model; missing unknowns have their initial values.

        Parameters
        ----------
        *inputs : torch.Tensor
            Inputs of the model, in the order of :attr:`inputs`.
        **values : torch.Tensor
            Values of the unknowns, by name.

        Returns
        -------
        torch.Tensor
            Output of the function or module.
        """
        for name, param in self.params.items():
            if name not in values:
                values[name] = torch.as_tensor(param.value(), dtype=torch.get_default_dtype())
        if isinstance(self.function, torch.nn.Module):
            # Copies, because a module may write into its buffers.
            buffers = {
                name: (buffer.to(inputs[0]) if buffer.is_floating_point() else buffer).clone()
                for name, buffer in self.function.named_buffers()
            }
            with _lock_of(self.function):
                return torch.func.functional_call(self.function, {**buffers, **values}, inputs)
        return self.function(*inputs, **values)

    def __repr__(self) -> str:
        shown = [self.name, *(f"{name}={param!r}" for name, param in self.params.items())]
        return f"Physics({', '.join(shown)})"


def as_physics(physics: Any) -> Physics | None:
    """Wrap a plain function or module in Physics; leave None and Physics as they are."""
    return physics if physics is None or isinstance(physics, Physics) else Physics(physics)


def require_wrapped(physics: Any, params: Iterable[str]) -> None:
    """Raise a PhysicsError if unknowns are to be set, and the physics cannot set them.

    Parameters
    ----------
    physics : Physics, callable, torch.nn.Module or None
    params : iterable of str
        Names of an estimator's parameters; ``physics__k`` is the unknown ``k``.
    """
    names = [name for name in params if name.startswith("physics__")]
    if not names or hasattr(physics, "set_params"):
        return
    if physics is None:
        raise PhysicsError(
            f"{names[0]} cannot be set, because physics is None. Set physics=Physics(...) first."
        )
    name = Physics(physics).name
    inside = name if inspect.isfunction(physics) and name.isidentifier() else "..."
    raise PhysicsError(
        f"{names[0]} cannot be set, because physics {name!r} is not wrapped in Physics. Wrap it: "
        f"physics=Physics({inside})."
    )


def _require_known(names: Iterable[str], known: Iterable[str], physics: str) -> None:
    """Raise a PhysicsError that names the first parameter that is not known."""
    for name in names:
        if name not in known:
            raise PhysicsError(
                f"{physics} has no parameter named {name!r}{suggestion(name, known)} "
                f"Its parameters are: {', '.join(known) or 'none'}."
            )


def _lock_of(module: torch.nn.Module) -> threading.RLock:
    """Return the lock that one thread at a time holds while it calls the module."""
    return _locks.setdefault(module, threading.RLock())


def _name(function: Callable) -> str:
    """Return the name of a function or of an object's class."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def _read_signature(function: Callable) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Return the names of the inputs, and the unknowns with their default values."""
    if isinstance(function, torch.nn.Module):
        defaults = {
            name: Param(plain(parameter), fixed=not parameter.requires_grad)
            for name, parameter in function.named_parameters()
        }
        return _input_names(inspect.signature(function.forward), function), defaults
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise PhysicsError(
            f"The signature of {function!r} cannot be read. Wrap it in a function of your own "
            "whose keyword-only arguments are the unknowns."
        ) from error
    bound = function.keywords if isinstance(function, functools.partial) else {}
    defaults = {}
    for parameter in signature.parameters.values():
        if parameter.name in bound:
            continue
        value = parameter.default
        if parameter.kind is not parameter.KEYWORD_ONLY:
            if value is not parameter.empty:
                raise PhysicsError(
                    f"Argument {parameter.name!r} of {_name(function)} has a default value, but "
                    "positional arguments are features. If it is an unknown, put it after a star: "
                    f"def {_name(function)}(..., *, {parameter.name}={value!r})."
                )
            continue
        if isinstance(value, (bool, str)) or value is None:
            raise PhysicsError(
                f"Keyword-only argument {parameter.name!r} of {_name(function)} has the default "
                f"{value!r}, which is not a number. Keyword-only arguments are the unknowns; bind "
                "options with functools.partial."
            )
        defaults[parameter.name] = plain(value)
    return _input_names(signature, function, bound), defaults


def _input_names(
    signature: inspect.Signature, function: Callable, bound: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Return the names of the positional arguments that are not bound."""
    if lacks_self(function, ("t", "time", "state", "X", "x")):
        name = _name(function)
        if isinstance(function, torch.nn.Module):
            name = f"{name}.forward"
        raise PhysicsError(
            f"{name} is a method without the argument self, so Python passes the object "
            "in place of the first argument. Write self as its first argument, or make it a "
            "staticmethod."
        )
    names = []
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PhysicsError(
                f"The physics {_name(function)!r} takes {parameter}, so its inputs and unknowns "
                "have no names. Name them one by one."
            )
        if parameter.kind is not parameter.KEYWORD_ONLY and parameter.name not in (bound or ()):
            names.append(parameter.name)
    if names[:1] == ["self"]:
        path = getattr(function, "__qualname__", _name(function)).split(".")
        owner, name = path[-2] if len(path) > 1 else "...", path[-1]
        raise PhysicsError(
            f"The physics {name!r} has the argument self: it is a method of a class, without an "
            f"object. Pass the method of an instance: {owner}(...).{name}."
        )
    return tuple(names)
