"""Continue from an earlier fit of the same model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from skhybrid.model.hybrid import Hybrid
from skhybrid.model.ode import ODE


def earlier_start(
    earlier: Hybrid, coordinates: Mapping[str, Tensor], physical: Hybrid
) -> dict[str, np.ndarray]:
    """Return the physics parameters of an earlier fit as the start of the next one.

    Parameters
    ----------
    earlier : Hybrid
    coordinates : mapping of str to Tensor
        Scaled physics parameters of the earlier fit.
    physical : Hybrid
        The next model, still without its network.

    Raises
    ------
    ValueError
        If the two differ in parameters, targets, network features or structure.
    """
    values = {
        name: value.detach().double().cpu().numpy()
        for name, value in earlier.space.values(coordinates).items()
    }
    _require_same(
        "the physics parameters",
        {name: value.shape for name, value in physical.space.start.items()},
        {name: values[name].shape for name in earlier.space.names},
    )
    _require_same("the shape of one target", physical.target_shape, earlier.target_shape)
    _require_same("depends_on", *(_dependence(model) for model in (physical, earlier)))
    _require_same("nn_features", *(_columns(model) for model in (physical, earlier)))
    _require_same("structure", *(_structure_key(model.structure) for model in (physical, earlier)))
    # A parameter that is fixed now keeps its fixed value.
    return physical.space.start | {name: values[name] for name in physical.space.shapes}


def load_earlier_network(earlier: Hybrid, hybrid: Hybrid) -> None:
    """Load the network parameters of an earlier fit into the next model.

    Units of the answers that vary physics parameters are those of the earlier fit, too.

    Raises
    ------
    ValueError
        If the names or shapes of the networks' parameters differ.
    """
    _require_same("nn", _shapes(hybrid), _shapes(earlier))
    hybrid.network.load_state_dict(earlier.network.state_dict())
    for name, variation in hybrid.space.variations.items():
        scale = earlier.space.variations[name].constants["scale"]
        now = variation.constants
        hybrid.space.variations[name] = variation.at({**now, "scale": scale.to(now["scale"])})


def require_same_groups(earlier: Any, labels: Mapping[int, list]) -> None:
    """Raise a ValueError if the groups of an earlier fit were others."""
    _require_same("the groups of rows", dict(labels), dict(earlier.group_labels))


def require_no_network(earlier: Hybrid) -> None:
    """Raise a ValueError if the earlier fit has a network."""
    _require_same("nn", {}, _shapes(earlier))


def _shapes(hybrid: Hybrid) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the network's parameters."""
    state = {} if hybrid.network is None else hybrid.network.state_dict()
    return {name: tuple(value.shape) for name, value in state.items()}


def _structure_key(structure: Any) -> Any:
    """Return a value that is equal for structures that can continue from each other."""
    return structure.warm_start_key() if isinstance(structure, ODE) else structure


def _dependence(hybrid: Hybrid) -> dict[str, list[int]]:
    """Return the columns on which each parameter depends."""
    if hybrid.parts is None:
        return {}
    read = hybrid.network_columns.tolist()
    return {
        name: [read[i] for i in inputs] for inputs, names in hybrid.parts.groups for name in names
    }


def _columns(hybrid: Hybrid) -> list[int] | None:
    """Return the columns that the correction reads; None is all, or no correction."""
    if hybrid.network_columns is None:
        return None
    read = hybrid.network_columns.tolist()
    if hybrid.parts is None:
        return read
    return None if hybrid.parts.correction is None else [read[i] for i in hybrid.parts.correction]


def _require_same(part: str, now: Any, then: Any) -> None:
    """Raise a ValueError if a part of the model changed since the last fit."""
    if now != then:
        raise ValueError(
            f"warm_start=True continues from the last fit, but {part} changed since: now {now}, "
            f"then {then}. Undo the change, or set warm_start=False to start anew."
        )
