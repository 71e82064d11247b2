"""Put a model together from its parts, at its start, checked and scaled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from skhybrid._checks import bind_columns, check_physics, check_structure, network_columns
from skhybrid._data import Rows, input_scales, record_network_inputs, target_scales
from skhybrid._parameter_space import ParameterSpace
from skhybrid.networks import build_network
from skhybrid.physics import Physics
from skhybrid.structures import Hybrid, Scales, get_structure
from skhybrid.training.least_squares import LOOSE_TOLERANCE, fit_least_squares

# A start needs no more rows and evaluations than these.
INIT_ROWS = 2000
INIT_EVALUATIONS = 100


@dataclass(frozen=True)
class Parts:
    """What the user named, in the forms that the model needs.

    Attributes
    ----------
    physics : Physics or None
    nn : hidden sizes, torch.nn.Module or None
    structure : str or callable
    nn_features : sequence or None
    feature_names : sequence of str or None
    dtype, device : torch.dtype, torch.device
    """

    physics: Physics | None
    nn: object
    structure: object
    nn_features: Sequence[str | int] | None
    feature_names: Sequence[str] | None
    dtype: torch.dtype
    device: torch.device


def assemble_physics(parts: Parts, rows: Rows) -> Hybrid:
    """Return the model with a silent network, in float64, its columns found."""
    n_features = rows.x.shape[1]
    columns = None
    if parts.physics is not None:
        columns = bind_columns(
            parts.physics.inputs, parts.feature_names, n_features, parts.physics.name
        )
    seen = network_columns(parts.nn_features, parts.feature_names, n_features)
    return Hybrid(
        parts.physics,
        ParameterSpace(parts.physics, device=parts.device),
        None,
        get_structure(parts.structure),
        target_scales(rows).to(parts.device),
        physics_columns=columns,
        network_columns=None if seen is None else torch.tensor(seen, device=parts.device),
        target_shape=rows.y.shape[1:],
    )


def assemble_hybrid(
    parts: Parts,
    physical: Hybrid,
    rows: Rows,
    start: Mapping[str, np.ndarray],
    *,
    seed: int,
    scales: Scales | None = None,
) -> Hybrid:
    """Return the whole model at its start, in the training dtype, checked on its rows.

    Parameters
    ----------
    parts : Parts
    physical : Hybrid
        From :func:`assemble_physics`.
    rows : Rows
        Training rows.
    start : mapping of str to array
        Physics parameters in the user's units.
    seed : int
        Of the network's initialisation.
    scales : Scales, default=None
        Those of an earlier fit that is to go on.
    """
    dtype, device = parts.dtype, parts.device
    hybrid = Hybrid(
        parts.physics,
        ParameterSpace(parts.physics, start, dtype=dtype, device=device),
        None,
        physical.structure,
        physical.scales.to(dtype),
        physics_columns=physical.physics_columns,
        network_columns=physical.network_columns,
        target_shape=physical.target_shape,
    )
    x = rows.tensors(dtype, device).x
    check_physics(hybrid, x)
    inputs = record_network_inputs(hybrid, x, hybrid.space.origin())
    if scales is None:
        scales = input_scales(inputs, physical.scales, rows).to(device, dtype)
    hybrid.scales = scales
    n_outputs = int(np.prod(hybrid.target_shape))
    hybrid.network = build_network(parts.nn, inputs.shape[1], n_outputs, seed=seed).to(
        device, dtype
    )
    check_structure(hybrid, x)
    return hybrid


def least_squares_start(
    physical: Hybrid, parts: Parts, rows: Rows
) -> tuple[dict[str, np.ndarray], str | None]:
    """Return physics parameters fitted without a network, or the given ones where that fails.

    Returns
    -------
    start : dict of str to array
    failure : str or None
        Why the given values are returned, if they are for want of others.
    """
    given = physical.space.start
    if not physical.space.shapes:
        return given, None
    data = rows.every(INIT_ROWS).tensors(torch.float64, parts.device)
    try:
        fit = fit_least_squares(
            physical, data, tolerance=LOOSE_TOLERANCE, max_evaluations=INIT_EVALUATIONS
        )
    except (ValueError, RuntimeError, TypeError, np.linalg.LinAlgError) as error:
        return given, (str(error).strip() or type(error).__name__).splitlines()[0]
    return fit.values, None
