"""Put a model together from its parts, at its start, checked and scaled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from skhybrid._checks import bind_columns, check_physics, check_structure, network_columns
from skhybrid._course import Course
from skhybrid._data import Rows, input_scales, record_network_inputs, target_scales
from skhybrid._parameter_space import ParameterSpace
from skhybrid._trajectories import at_learned_states
from skhybrid.networks import Pointwise, build_network
from skhybrid.physics import Physics
from skhybrid.structures import (
    Dynamics,
    Hybrid,
    LatentDynamics,
    LatentNetwork,
    Scales,
    Windows,
    get_structure,
)
from skhybrid.training.least_squares import LOOSE_TOLERANCE, LeastSquaresFit, fit_least_squares

# A start needs no more rows and evaluations than these.
INIT_ROWS = 2000
INIT_EVALUATIONS = 100
# To look at windows of large fields, so many numbers are enough, in so many windows at the least.
MOST_NUMBERS = 2**19
MIN_WINDOWS = 4


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
    course : Course or None
        What is known of the trajectories, where the structure is a differential equation.
    """

    physics: Physics | None
    nn: object
    structure: object
    nn_features: Sequence[str | int] | None
    feature_names: Sequence[str] | None
    dtype: torch.dtype
    device: torch.device
    course: Course | None = None

    def network(self, hybrid: Hybrid, *, seed: int) -> torch.nn.Module:
        """Return a fresh network for a model that knows its scales."""
        if isinstance(hybrid, LatentDynamics):
            return self._latent_network(hybrid, seed).to(self.device, self.dtype)
        n_inputs = hybrid.scales.feature_offset.shape[0]
        network = build_network(self.nn, n_inputs, hybrid.n_network_outputs, seed=seed)
        if self.course is not None and self.course.layout.is_field:
            if not isinstance(self.nn, torch.nn.Module):
                network = Pointwise(network)
        return network.to(self.device, self.dtype)

    def _latent_network(self, hybrid: LatentDynamics, seed: int) -> LatentNetwork:
        n_states = hybrid.layout.state_shape[0]
        n_pixels = math.prod(hybrid.target_shape)
        n_inputs = n_states
        if hybrid.network_columns is not None:
            n_inputs = len(hybrid.network_columns)
        structure = self.structure
        return LatentNetwork(
            rate=build_network(self.nn, n_inputs, n_states, seed=seed),
            encoder=build_network(
                structure.encoder, hybrid.n_encoder_inputs, n_states, seed=seed + 1
            ),
            decoder=build_network(structure.decoder, n_states, n_pixels, seed=seed + 2),
        )


def assemble_physics(parts: Parts, rows: Rows) -> Hybrid:
    """Return the model with a silent network, in float64, its columns found."""
    if parts.course is not None:
        return parts.course.model(parts)
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
    space = ParameterSpace(parts.physics, start, dtype=dtype, device=device)
    hybrid = physical.at(space, physical.scales.to(dtype))
    x = rows_to_look_at(rows).tensors(dtype, device).x
    if isinstance(hybrid, LatentDynamics):  # whose states come from its network
        hybrid.scales = hybrid.scales if scales is None else scales
        hybrid.network = parts.network(hybrid, seed=seed)
    check_physics(hybrid, x)
    if hybrid.network is None:
        if scales is None:
            inputs = record_network_inputs(hybrid, x, hybrid.origin())
            axis = -1 if parts.course is None else parts.course.layout.channel_axis
            scales = input_scales(inputs, physical.scales, rows, axis).to(device, dtype)
        hybrid.scales = scales
        hybrid.network = parts.network(hybrid, seed=seed)
    check_structure(hybrid, x)
    return hybrid


def least_squares_start(
    physical: Hybrid, parts: Parts, rows: Rows
) -> tuple[dict[str, np.ndarray], Rows, str | None]:
    """Return physics parameters fitted without a network, or the given ones where that fails.

    Returns
    -------
    start : dict of str to array
    rows : Rows
        The same, but that unknown first states are fitted too.
    failure : str or None
        Why the given values are returned, if they are for want of others.
    """
    given = physical.space.start
    if isinstance(physical, LatentDynamics):
        return given, rows, None
    states_unknown = parts.course is not None and not parts.course.layout.states_observed
    if not (physical.space.shapes or states_unknown):
        return given, rows, None
    if parts.course is not None and not states_unknown:
        physical = physical.at_observed_states()
    chosen = rows if states_unknown else rows_to_look_at(rows.every(INIT_ROWS))
    data = chosen.tensors(torch.float64, parts.device)
    try:
        fit = fit_least_squares(
            physical, data, tolerance=LOOSE_TOLERANCE, max_evaluations=INIT_EVALUATIONS
        )
    except (ValueError, RuntimeError, TypeError, np.linalg.LinAlgError) as error:
        return given, rows, (str(error).strip() or type(error).__name__).splitlines()[0]
    if states_unknown:
        rows = at_fitted_states(physical, fit, rows)
    return fit.values, rows, None


def at_fitted_states(physical: Dynamics, fit: LeastSquaresFit, rows: Rows) -> Rows:
    """Put windows at the first states of a least-squares fit, and the model's scales at theirs.

    Where states are not observed, means and spreads of states and rates are those of the fit.
    """
    device = physical.scales.state_scale.device
    x = rows.tensors(torch.float64, device).x
    values = {name: torch.tensor(value, device=device) for name, value in fit.values.items()}
    spread = None
    if not physical.layout.states_observed:
        physical.scales = physical.simulated_scales(x, values, fit.states)
        spread = physical.scales.state_scale.cpu().numpy()
    return at_learned_states(rows, fit.states.cpu().numpy(), spread)


def rows_to_look_at(rows: Rows) -> Rows:
    """Return rows enough to see what a model does: all of a table, some of large windows."""
    if not isinstance(rows.x, Windows):
        return rows
    numbers = rows.y[0].size + rows.x.start[0].size
    return rows.every(max(MIN_WINDOWS, MOST_NUMBERS // numbers))
