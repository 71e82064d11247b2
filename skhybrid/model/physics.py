"""The scientific part of a hybrid model: a function and its named unknowns."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from skhybrid.exceptions import PhysicsError
from skhybrid.runtime.suggestions import suggestion

Bounds = tuple[Any, Any]
# A lock for each module that is called: while it is called, it holds the given values.
_locks: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class Param:
    """One unknown of the physics: its initial value, bounds and unit.

    Parameters
    ----------
    init : float or array-like
        Initial value, in a unit of your choice. Its shape is the shape of the parameter.
    bounds : tuple (low, high), default=(None, None)
        Closed bounds; ``None`` leaves a side open. Each may be a number or an array that
        broadcasts to the shape of ``init``.
    unit : str or None, default=None
        Unit of the value. It is a label, shown with the value; nothing is converted.
    fixed : bool, default=False
        Whether the value is known and is not learned.

    Examples
    --------
    >>> from skhybrid import Param
    >>> Param(1.0, bounds=(0.0, None), unit="s^-2")
    Param(1.0, bounds=(0.0, None), unit='s^-2')
    """

    def __init__(
        self, init: Any, bounds: Bounds = (None, None), unit: str | None = None, fixed: bool = False
    ) -> None:
        self.init = init
        self.bounds = bounds
        self.unit = unit
        self.fixed = fixed

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameter."""
        return tuple(np.shape(self.init))

    def value(self) -> np.ndarray:
        """Return the initial value as a float64 array."""
        return np.array(_plain(self.init), dtype=np.float64)

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds as float64 arrays of the parameter's shape, infinite where open."""
        low, high = self.bounds
        low = -math.inf if low is None else low
        high = math.inf if high is None else high
        return tuple(
            np.broadcast_to(np.asarray(side, dtype=np.float64), self.shape) for side in (low, high)
        )

    def validate(self, name: str) -> None:
        """Raise a PhysicsError that names the parameter if its value or bounds are wrong."""
        try:
            value = self.value()
        except (TypeError, ValueError) as error:
            raise PhysicsError(
                f"The initial value of physics parameter {name!r} must be a number or an array of "
                f"numbers; got {self.init!r}."
            ) from error
        if value.size == 0 or not np.all(np.isfinite(value)):
            raise PhysicsError(
                f"The initial value of physics parameter {name!r} must be finite and not empty; "
                f"got {self.init!r}."
            )
        try:
            low, high = self.limits()
        except (TypeError, ValueError) as error:
            raise PhysicsError(
                f"The bounds of physics parameter {name!r} must be a pair (low, high) of numbers, "
                f"of arrays that broadcast to its shape {self.shape}, or None; got {self.bounds!r}."
            ) from error
        if not np.all(low < high):
            raise PhysicsError(
                f"The bounds of physics parameter {name!r} must have low < high; "
                f"got {self.bounds!r}. To keep a value as it is, set fixed=True."
            )
        if np.any(value < low) or np.any(value > high):
            raise PhysicsError(
                f"The initial value {self.init!r} of physics parameter {name!r} is outside its "
                f"bounds {self.bounds!r}."
            )

    def __repr__(self) -> str:
        parts = [f"{self.init!r}"]
        if any(side is not None for side in self.bounds):
            parts.append(f"bounds={self.bounds!r}")
        if self.unit is not None:
            parts.append(f"unit={self.unit!r}")
        if self.fixed:
            parts.append("fixed=True")
        return f"Param({', '.join(parts)})"


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
        unknown = [name for name in params if name not in defaults]
        if unknown:
            raise PhysicsError(
                f"{self.name} has no parameter named {unknown[0]!r}"
                f"{suggestion(unknown[0], defaults)} Its parameters are: "
                f"{', '.join(defaults) or 'none'}."
            )
        self.params: dict[str, Param] = {}
        for name, default in defaults.items():
            given = params.get(name, default)
            if given is inspect.Parameter.empty:
                raise PhysicsError(
                    f"Parameter {name!r} of {self.name} has no initial value. Give it a default "
                    f"in the signature or write Physics({self.name}, {name}=Param(...))."
                )
            self.params[name] = given if isinstance(given, Param) else Param(_plain(given))
            self.params[name].validate(name)

    @property
    def name(self) -> str:
        """Name of the function or of the module's class."""
        return _name(self.function)

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the parameters that are learned."""
        return tuple(name for name, param in self.params.items() if not param.fixed)

    def __call__(self, *inputs: torch.Tensor, **values: torch.Tensor) -> torch.Tensor:
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
            buffers = {
                name: buffer.to(inputs[0]) if buffer.is_floating_point() else buffer
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
            name: Param(_plain(parameter), fixed=not parameter.requires_grad)
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
        defaults[parameter.name] = _plain(value)
    return _input_names(signature, function, bound), defaults


def _input_names(
    signature: inspect.Signature, function: Callable, bound: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Return the names of the positional arguments that are not bound."""
    names = []
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PhysicsError(
                f"The physics {_name(function)!r} takes {parameter}, so its inputs and unknowns "
                "have no names. Name them one by one."
            )
        if parameter.kind is not parameter.KEYWORD_ONLY and parameter.name not in (bound or ()):
            names.append(parameter.name)
    return tuple(names)


def _plain(value: Any) -> Any:
    """Return a number as a float and a tensor as an array."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().double().numpy()
    return float(value) if isinstance(value, numbers.Real) else value
