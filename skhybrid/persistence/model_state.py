"""A fitted model as values, and back."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from sklearn.base import clone

from skhybrid._regressor import HybridRegressor
from skhybrid.exceptions import SavedModelError
from skhybrid.fitting.fitted import Fitted
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.ode import ODE
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.persistence.parts import (
    network_state,
    physics_state,
    restored_network,
    restored_physics,
    restored_structure,
    structure_state,
)
from skhybrid.persistence.probe import check_probe, make_probe
from skhybrid.persistence.values import decode, encode, record
from skhybrid.runtime.device import usable_device

# Parameters that are, or may be, code; and fields of a model that are made of them.
PARTS = ("physics", "nn", "structure")
_MADE = ("physics", "space", "network", "structure")


def model_state(model: HybridRegressor) -> dict[str, Any]:
    """Return everything that a fitted estimator is made of, except code.

    Raises
    ------
    SavedModelError
        If a parameter or an attribute cannot be stored.
    """
    fitted: Fitted = model._fitted
    hybrid = fitted.hybrid
    params = model.get_params(deep=False)
    own = {name: value for name, value in params.items() if name not in PARTS}
    fields = _fields(fitted)
    del fields["hybrid"], fields["coordinates"]
    return {
        "settings": {name: encode(value, name) for name, value in own.items()},
        "physics": physics_state(hybrid.physics),
        "physics_is_wrapped": isinstance(params["physics"], Physics),
        "nn": network_state(params["nn"]),
        "structure": structure_state(hybrid.structure, params["structure"]),
        "structure_name": params["structure"] if isinstance(params["structure"], str) else None,
        "attributes": encode(_other_attributes(model), "attributes"),
        "hybrid": _hybrid_state(hybrid),
        "coordinates": encode(fitted.coordinates, "physics parameters"),
        "fit": encode(fields, "fit"),
        "probe": encode(make_probe(fitted, model.n_features_in_), "test inputs"),
    }


def restored_model(
    state: Mapping[str, Any],
    given: Mapping[str, Any],
    *,
    device: str | torch.device | None = None,
    exact: bool = False,
) -> HybridRegressor:
    """Return a fitted estimator.

    Parameters
    ----------
    state : mapping
        What :func:`model_state` has returned.
    given : mapping
        "physics", "nn" and "structure", as given again.
    device : str, torch.device or None, default=None
        None is the device of the fit.
    exact : bool, default=False
        Whether predictions must be those of the saved model bit for bit.

    Raises
    ------
    SavedModelError
        If a part is missing or does not fit.
    """
    settings = {name: decode(value) for name, value in state["settings"].items()}
    unknown = [name for name in settings if name not in HybridRegressor._get_param_names()]
    if unknown:
        raise SavedModelError(f"this version has no parameter {unknown[0]!r} of HybridRegressor")
    if device is not None:
        settings["device"] = device
    where = usable_device(settings["device"], HybridRegressor.__name__)
    physics = restored_physics(state["physics"], given["physics"])
    nn = restored_network(state["nn"], given["nn"])
    structure = restored_structure(state["structure"], given["structure"])
    # The estimator has its own, which the user may change without changing the fitted model.
    own = copy.copy(physics), clone(structure) if isinstance(structure, ODE) else structure
    hybrid = _restored_hybrid(state["hybrid"], own[0], nn, own[1], where)
    fields = decode(state["fit"])
    coordinates = decode(state["coordinates"], where)
    fitted = record(Fitted, {"hybrid": hybrid, "coordinates": coordinates, **fields})
    check_probe(decode(state["probe"], where), fitted, exact=exact)
    if physics is not None and not state["physics_is_wrapped"]:
        physics = physics.function
    named = state["structure_name"]
    model = HybridRegressor(physics, nn, named or structure, **settings)
    vars(model).update(decode(state["attributes"]))
    vars(model).update(fitted.attributes())
    return model


def _other_attributes(model: HybridRegressor) -> dict[str, Any]:
    """Return the fitted attributes that do not come from the fitted model itself."""
    derived = model._fitted.attributes()
    return {
        name: value
        for name, value in vars(model).items()
        if name.endswith("_") and not name.startswith("_") and name not in derived
    }


def _fields(of: Any) -> dict[str, Any]:
    return {each.name: getattr(of, each.name) for each in dataclasses.fields(of)}


def _hybrid_state(hybrid: Hybrid) -> dict[str, Any]:
    """Return a forward map as values; its parts that hold code are left out."""
    plain = {name: value for name, value in _fields(hybrid).items() if name not in _MADE}
    network = hybrid.network
    return {
        "class": encode(type(hybrid), "model"),
        "fields": encode(plain, "model"),
        "space": encode(hybrid.space.state(), "physics parameters"),
        "space_dtype": encode(hybrid.space.dtype, "dtype"),
        "network": None if network is None else encode(dict(network.state_dict()), "network"),
    }


def _restored_hybrid(
    state: Mapping[str, Any], physics: Physics | None, nn: Any, structure: Any, device: torch.device
) -> Hybrid:
    """Return the forward map with its parts."""
    dtype = decode(state["space_dtype"])
    numbers = decode(state["space"], device)
    space = ParameterSpace.from_state(physics, numbers, dtype=dtype, device=device)
    made = {"physics": physics, "space": space, "network": None, "structure": structure}
    hybrid = record(decode(state["class"]), {**made, **decode(state["fields"], device)})
    if state["network"] is None:
        return hybrid
    network = hybrid.new_network(nn, seed=0)
    _load(network, decode(state["network"], device))
    network.eval()
    return hybrid.with_network(network)


def _load(network: torch.nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Load the weights of a network; raise an error that names the first that does not fit."""
    expected = {name: tuple(each.shape) for name, each in network.state_dict().items()}
    found = {name: tuple(each.shape) for name, each in weights.items()}
    for name in {**expected, **found}:
        if expected.get(name) != found.get(name):
            sides = [side.get(name, "no such tensor") for side in (found, expected)]
            raise SavedModelError(
                f"the network does not fit: {name!r} has shape {sides[0]} in the file, and "
                f"{sides[1]} in the network given to load. Give nn as in fit"
            )
    network.load_state_dict(dict(weights))
