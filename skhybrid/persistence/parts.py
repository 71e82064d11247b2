"""The parts of a model that are code: named in a file, and given again to ``load``.

Code is the function or module of the physics, a network that is a module of the user's, a
structure that is a function, and functions and modules among the parameters of an ODE.
"""

from __future__ import annotations

import contextlib
import inspect
from typing import Any

import numpy as np
import torch

from skhybrid.exceptions import NetworkError, PhysicsError, SavedModelError
from skhybrid.model.latent_ode import LatentODE
from skhybrid.model.networks import hidden_sizes
from skhybrid.model.ode import ODE
from skhybrid.model.param import Param
from skhybrid.model.physics import Physics, as_physics
from skhybrid.model.structures import STRUCTURES, get_structure
from skhybrid.model.user_code import function_name
from skhybrid.persistence.values import decode, encode

# The settings of these can be stored; of a subclass, the user gives an instance again.
_OWN_ODES = {each.__name__: each for each in (ODE, LatentODE)}


def physics_state(physics: Physics | None) -> dict[str, Any] | None:
    """Return what a file says of the physics: its names, and its parameters with their bounds."""
    if physics is None:
        return None
    params = {}
    for name, param in physics.params.items():
        said = {each: getattr(param, each) for each in inspect.signature(Param).parameters}
        params[name] = encode(said, f"{name} of the physics")
    return {"name": physics.name, "inputs": [*physics.inputs], "params": params}


def restored_physics(state: dict[str, Any] | None, given: Any) -> Physics | None:
    """Return the physics of a file with the function that is given again.

    Parameters
    ----------
    state : dict or None
        What :func:`physics_state` has returned.
    given : callable, torch.nn.Module, Physics or None
        Of a Physics, only the function counts: initial values, bounds and units are in the file.

    Raises
    ------
    SavedModelError
        If it is missing, or has other names, shapes or units.
    """
    if state is None:
        if given is not None:
            raise SavedModelError(
                "the saved model has no physics (physics=None), but load was given one: leave "
                "physics out"
            )
        return None
    inputs, name = tuple(state["inputs"]), state["name"]
    if given is None:
        raise SavedModelError(
            f"its physics {name!r} is code, which the file does not hold. Give it again: "
            f"load(path, physics={name if name.isidentifier() else '...'}). It reads "
            f"({', '.join(inputs)}) and has the parameters: {', '.join(state['params']) or 'none'}"
        )
    params = {each: Param(**decode(said)) for each, said in state["params"].items()}
    _require_same_params(params, given)
    try:
        physics = Physics(given.function if isinstance(given, Physics) else given, **params)
    except PhysicsError as error:
        raise SavedModelError(
            f"the physics given to load does not fit the saved physics {name!r}: {error}"
        ) from error
    missing = [each for each in physics.params if each not in params]
    if missing:
        raise SavedModelError(
            f"the physics given to load has the parameter {missing[0]!r}, which the saved physics "
            f"{name!r} does not have. Give the same function as in fit"
        )
    if physics.inputs != inputs:
        raise SavedModelError(
            f"the physics given to load reads ({', '.join(physics.inputs)}), but the saved physics "
            f"{name!r} reads ({', '.join(inputs)}). Give the same function as in fit"
        )
    return physics


def _require_same_params(saved: dict[str, Param], given: Any) -> None:
    """Raise an error if parameters have another shape or unit than the saved ones."""
    found = {}
    with contextlib.suppress(PhysicsError):  # Physics says it better, with the saved values
        found = as_physics(given).params
    for name, param in found.items():
        if name not in saved:
            continue
        if param.shape != saved[name].shape:
            raise SavedModelError(
                f"{name!r} of the physics given to load has shape {param.shape}, but in the saved "
                f"model {saved[name].shape}. Give the same physics as in fit"
            )
        if isinstance(given, Physics) and param.unit not in (None, saved[name].unit):
            raise SavedModelError(
                f"{name!r} of the physics given to load has the unit {param.unit!r}, but in the "
                f"saved model {saved[name].unit!r}. Give the same physics as in fit"
            )


def network_state(nn: Any) -> dict[str, Any]:
    """Return what a file says of the parameter ``nn``."""
    if isinstance(nn, torch.nn.Module):
        return {"code": type(nn).__name__}
    return {"plain": encode(nn, "nn")}


def restored_network(state: dict[str, Any], given: Any) -> Any:
    """Return the parameter ``nn`` of a file, or the module that is given again.

    Raises
    ------
    SavedModelError
        If the module is missing, or hidden sizes differ.
    """
    is_module = isinstance(given, torch.nn.Module)
    if "code" in state:
        if not is_module:
            raise SavedModelError(
                f"its network is the module {state['code']!r}, whose code the file does not hold. "
                f"Give it again: load(path, nn={state['code']}(...)), built as for the fit"
            )
        return given
    saved = decode(state["plain"])
    if given is None:
        return saved
    with contextlib.suppress(NetworkError, TypeError):
        if saved is not None and not is_module and hidden_sizes(saved) == hidden_sizes(given):
            return saved
    shown = f"the module {type(given).__name__!r}" if is_module else repr(given)
    raise SavedModelError(
        f"its network is nn={saved!r}, but load was given {shown}. Leave nn out: the file says it"
    )


def structure_state(structure: Any, param: Any) -> dict[str, Any]:
    """Return what a file says of the structure.

    Parameters
    ----------
    structure : callable or ODE
        The structure of the fit.
    param : object
        The parameter ``structure`` of the estimator.
    """
    if isinstance(structure, ODE):
        params = structure.get_params(deep=False)
        code = {name: function_name(each) for name, each in params.items() if _is_code(each)}
        cls = type(structure).__name__
        plain = {name: params[name] for name in params if name not in code}
        stored = {name: encode(each, f"{name} of {cls}") for name, each in plain.items()}
        return {"ode": cls, "params": stored, "code": code}
    names = [name for name, function in STRUCTURES.items() if function is structure]
    if names or isinstance(param, str):
        return {"named": (names or [param])[0]}
    return {"code": function_name(structure)}


def _is_code(value: Any) -> bool:
    return callable(value) or isinstance(value, torch.nn.Module)


def restored_structure(state: dict[str, Any], given: Any) -> Any:
    """Return the structure of a file, with the code that is given again.

    Raises
    ------
    SavedModelError
        If code is missing, or settings differ.
    """
    if "ode" in state:
        return _restored_ode(state, given)
    if "named" in state:
        if given not in (None, state["named"]):
            shown = repr(given) if isinstance(given, str) else function_name(given)
            raise SavedModelError(
                f"its structure is {state['named']!r}, but load was given {shown}. Leave structure "
                "out: the file says it"
            )
        return get_structure(state["named"])
    if not callable(given):
        raise SavedModelError(
            f"its structure is the function {state['code']!r}, whose code the file does not hold. "
            "Give it again: load(path, structure=...)"
        )
    return given


def _restored_ode(state: dict[str, Any], given: Any) -> ODE:
    """Return the ODE of a file; its functions and modules are those of the given one."""
    cls, code = state["ode"], state["code"]
    if given is None and (code or cls not in _OWN_ODES):
        parts = ", ".join(f"{name}={called}" for name, called in code.items())
        said = f"{cls}(..., {parts})" if parts else f"{cls}(...)"
        raise SavedModelError(
            f"its structure {said} contains code, which the file does not hold. Give it again: "
            f"load(path, structure={cls}({parts})); the file has the other settings"
        )
    if given is not None and type(given).__name__ != cls:
        shown = type(given).__name__ if isinstance(given, ODE) else repr(given)
        raise SavedModelError(f"its structure is {cls}(...), but load was given {shown}")
    saved = {name: decode(each) for name, each in state["params"].items()}
    if given is None:
        return _OWN_ODES[cls](**saved)
    params = given.get_params(deep=False)
    for name, called in code.items():
        if not _is_code(params.get(name)):
            raise SavedModelError(
                f"{name} of its structure is {called!r}, whose code the file does not hold, and "
                f"load was given {name}={params.get(name)!r}. Give "
                f"structure={cls}({name}=...), as in fit"
            )
    defaults = inspect.signature(type(given)).parameters
    for name, value in saved.items():
        own = params[name]
        if not _equal(own, value) and not _equal(own, defaults[name].default):
            raise SavedModelError(
                f"{name} of its structure is {value!r}, but load was given {name}={own!r}. Leave "
                f"it out of {cls}(...): the file says it"
            )
    return type(given)(**saved, **{name: params[name] for name in code})


def _equal(one: Any, other: Any) -> bool:
    """Whether two plain values are equal, a list to a tuple or an array of the same numbers."""
    return _listed(one) == _listed(other)


def _listed(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_listed(each) for each in value]
    return np.asarray(value).tolist() if hasattr(value, "__array__") else value
