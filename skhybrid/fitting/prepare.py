"""Everything that a fit needs before it is trained: rows, the start, the assembled model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.utils import check_random_state

from skhybrid.data.rows import Rows
from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.exceptions import PhysicsInitWarning
from skhybrid.fitting.assemble import assemble_hybrid, assemble_physics
from skhybrid.fitting.earlier_states import with_earlier_states
from skhybrid.fitting.few_rows import rows_to_check
from skhybrid.fitting.fitted import Fitted
from skhybrid.fitting.free_runs import FreeRuns, physics_free_runs
from skhybrid.fitting.free_state_guess import with_guessed_free_states
from skhybrid.fitting.group_spreads import with_group_prior
from skhybrid.fitting.inputs import FitInputs
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.start import (
    PhysicsStart,
    given_start,
    least_squares_start,
    restart_starts,
)
from skhybrid.fitting.warm_start import earlier_start, load_earlier_network, require_same_groups
from skhybrid.model.batch import Batch, select_rows
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.out_of_memory import memory_errors_named, require_memory
from skhybrid.model.scales import Scales
from skhybrid.runtime.draws import drawing
from skhybrid.runtime.seeds import seeded
from skhybrid.runtime.user_warnings import warn
from skhybrid.training.random_numbers import warn_of_turns
from skhybrid.training.result import Start

# So many rows tell the size of the noise.
MAX_ROWS = 2000


@dataclass(frozen=True)
class Prepared:
    """A complete model at its start, with its rows, for any rates, radii and penalties.

    Attributes
    ----------
    rows : Rows
        Training rows.
    trajectory_info : TrajectoryInfo or None
    hybrid : Hybrid
    data : Batch
        The training rows as tensors.
    validation : Batch or None
        Rows held out for early stopping.
    earlier : list of Batch
        Shorter windows of the same trajectories, for the stages before.
    starts : list of Start
        One for every restart.
    seed : int
        Seed of the minibatches.
    n_observed : int
        Number of observed values in the training rows.
    most_noise : float
        Largest variance of the noise that gives priors their weight.
    free_runs : FreeRuns or None
        Whole rollouts of the physics alone, for a differential equation.
    group_labels : mapping of int to list
        Labels of the groups in columns of a table.
    """

    rows: Rows
    trajectory_info: TrajectoryInfo | None
    hybrid: Hybrid
    data: Batch
    validation: Batch | None
    earlier: list[Batch]
    starts: list[Start]
    seed: int
    n_observed: int
    most_noise: float
    free_runs: FreeRuns | None = None
    group_labels: Mapping[int, list] = field(default_factory=dict)


@memory_errors_named("the preparation of a fit", "Choose fewer rows or a smaller nn.")
def prepare(
    settings: FitSettings, inputs: FitInputs, *, previous: Fitted | None = None
) -> Prepared:
    """Hold out rows, find the start of θ, and assemble the model.

    Parameters
    ----------
    settings : FitSettings
        Rates, radii, penalties and epochs are not used.
    inputs : FitInputs
    previous : Fitted, default=None
        A fit to continue from.
    """
    # A restart has at least its seed.
    require_memory(64.0 * settings.n_restarts, f"n_restarts={settings.n_restarts}")
    random_state = check_random_state(settings.random_state)
    batch_seed, split_seed = _draw_seeds(random_state, 2)
    rows, earlier, held_out = inputs.rows, list(inputs.earlier), None
    if settings.early_stopping:
        rows, held_out = rows.split(settings.validation_fraction, split_seed)
        earlier = [each.without(held_out.groups) for each in earlier]
    # The windows of the first stage give the start and the scales.
    first = earlier[0] if earlier else rows
    physical = assemble_physics(settings, inputs, rows)
    n_observed = inputs.n_observed(rows)
    start, source = _physics_start(settings, physical, first, rows, previous, n_observed)
    start = with_group_prior(settings, start, rows, previous, moves=source == "least squares")
    if previous is None:
        start, held_out = with_guessed_free_states(start, held_out)
    else:
        start, held_out = with_earlier_states(start, held_out, previous)
    first, rows = start.rows, rows if earlier else start.rows
    network_seeds = _draw_seeds(random_state, settings.n_restarts)
    dtype, device = settings.dtype, settings.device
    earlier_data = [each.tensors(dtype, device) for each in earlier]
    data = rows.tensors(dtype, device)
    checked = rows_to_check(earlier_data[0] if earlier else data)
    # The checks evaluate the untrained model, which may draw random numbers.
    with seeded(batch_seed, on_wait=warn_of_turns), drawing(batch_seed):
        hybrid = assemble_hybrid(
            settings,
            first,
            checked,
            start,
            seed=network_seeds[0],
            scales=_earlier_scales(settings, previous),
        )
    _warn_of_failure(start)
    if previous is not None:
        require_same_groups(previous, inputs.group_labels)
        load_earlier_network(previous.hybrid, hybrid)
    validation = None
    if held_out is not None:
        data, validation = _same_weighting(data, held_out.tensors(dtype, device))
    return Prepared(
        rows=rows,
        trajectory_info=inputs.trajectory_info,
        hybrid=hybrid,
        data=data,
        validation=validation,
        earlier=earlier_data,
        starts=restart_starts(
            settings, hybrid, network_seeds, random_state, start, source, checked
        ),
        seed=batch_seed,
        n_observed=n_observed,
        most_noise=_most_noise(settings, hybrid, data),
        free_runs=physics_free_runs(settings, inputs, rows, hybrid),
        group_labels=inputs.group_labels,
    )


def _physics_start(
    settings: FitSettings,
    physical: Hybrid,
    rows: Rows,
    last: Rows,
    previous: Fitted | None,
    n_observed: int,
) -> tuple[PhysicsStart, str]:
    """Return the start of θ, and where it is from: an earlier fit, least squares, or given."""
    if previous is not None:
        values = earlier_start(previous.hybrid, previous.coordinates, physical)
        return given_start(settings, physical, rows, last, values), "last fit"
    if settings.physics_init == "given":
        return given_start(settings, physical, rows, last), "given"
    start = least_squares_start(settings, physical, rows, last, n_observed)
    return start, "given" if start.failure else "least squares"


def _warn_of_failure(start: PhysicsStart) -> None:
    """Warn if least squares failed, though the checks found no fault of the model."""
    if start.failure is not None:
        warn(
            "The least-squares start of the physics parameters failed, so training starts from "
            f"the given values. The reason: {start.failure} To do so without this warning, set "
            "physics_init='given'.",
            PhysicsInitWarning,
        )


def _most_noise(settings: FitSettings, hybrid: Hybrid, data: Batch) -> float:
    """Return the variance of the errors of the physics alone, for priors beside a robust loss."""
    params = {} if hybrid.physics is None else hybrid.physics.params
    if settings.cost.is_squared or all(param.prior is None for param in params.values()):
        return np.inf
    chosen = slice(None, None, math.ceil(len(data.y) / MAX_ROWS))
    data = Batch(*(None if part is None else select_rows(part, chosen) for part in data))
    with torch.no_grad():
        prediction = hybrid.physics_part(data.x, hybrid.initial_coordinates())
    scale = hybrid.scales.target_scale
    noise = settings.cost.noise((prediction - data.y) / scale, data.weight, scale.shape)
    return noise if np.isfinite(noise) else np.inf


def _earlier_scales(settings: FitSettings, previous: Fitted | None) -> Scales | None:
    """Return the scales of an earlier fit with a network, or None."""
    if previous is None or previous.hybrid.network is None:
        return None
    return previous.hybrid.scales.to(settings.device, settings.dtype)


def _draw_seeds(random_state: np.random.RandomState, n_seeds: int) -> list[int]:
    """Draw seeds for torch's generators."""
    return random_state.randint(np.iinfo(np.int32).max, size=n_seeds).tolist()


def _same_weighting(data: Batch, validation: Batch) -> tuple[Batch, Batch]:
    """Give weights to both if one has weights: one loss function serves both."""
    if (data.weight is None) == (validation.weight is None):
        return data, validation
    return tuple(
        batch._replace(weight=torch.ones_like(batch.y)) if batch.weight is None else batch
        for batch in (data, validation)
    )
