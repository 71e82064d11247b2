"""Least squares of the physics alone on longer and longer windows, up to whole rollouts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from skhybrid.fitting.assemble import assemble_physics
from skhybrid.fitting.inputs import FitInputs
from skhybrid.fitting.least_squares import LeastSquaresFit, fit_least_squares
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.solver_steps import fit_with_steps, with_chosen_steps
from skhybrid.fitting.start import LEAST_SQUARES_ERRORS
from skhybrid.model.batch import Batch
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.ode import ODE
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.solvers import FIXED_STEP

# Every stage has windows this many times as long as the stage before.
GROWTH = 4
# A window of more steps is not affordable. A step of an adaptive method counts as several.
MAX_STEPS = 2000
ADAPTIVE_STEPS = 5
# Steps of all windows of a length together.
MAX_WINDOW_STEPS = 2_000_000
# Solver steps of all rollouts of a stage, those for derivatives included.
BUDGET = 30_000
# A Jacobian takes as long as so many rollouts, whatever the number of directions (measured on
# records with few values; with many values it takes less).
JACOBIAN_ROLLOUTS = 12
# Later stages start near their end: the cascaded tanks need five evaluations at most.
MIN_EVALUATIONS, MAX_EVALUATIONS = 5, 200
# Longer windows need no more digits, those before the last even fewer.
TOLERANCE = 1e-6
EARLY_TOLERANCE = 1e-3
# Rollouts with a larger loss, in units of the target's variance, are worse than the mean: there
# are many local minima.
MAX_LOSS = 1.0
# Right physics fits long windows as well as short ones, up to noise. If the loss grows by more
# than this factor, something is missing, or given first states are far off: long rollouts then
# move θ further than short windows do (benchmarks/bench_hidden_windows.py). Learned first states
# follow the data where the physics does not, so there the loss of short windows says less.
MAX_INCREASE = 1.5
MAX_INCREASE_LEARNED = 10.0
NOTHING = 1e-5


@dataclass(frozen=True)
class WindowFit:
    """A least-squares fit of the physics to windows of one length.

    Attributes
    ----------
    inputs : FitInputs
    model : Dynamics or Hybrid
        The physics alone at the start of the fit.
    data : Batch
        Rows in float64.
    found : LeastSquaresFit
    """

    inputs: FitInputs
    model: Dynamics
    data: Batch
    found: LeastSquaresFit


def fit_growing_windows(settings: FitSettings, first: WindowFit) -> WindowFit:
    """Continue a fit on longer windows, up to whole rollouts where these are affordable.

    Short windows have few local minima, but noise in observed first states biases θ, and hidden
    states are hardly determined. Whole rollouts have neither fault. Each stage starts at the θ,
    and at the states, of the stage before (cf. Bock, 1983, on multiple shooting). The first stage
    that fails, or whose loss is too large, ends the growth; the one before counts.

    Parameters
    ----------
    settings : FitSettings
    first : WindowFit
        Fit on the shortest windows.

    Returns
    -------
    WindowFit
    """
    best = first
    if first.found.loss < NOTHING:  # longer windows have nothing to add
        return first
    increase = MAX_INCREASE if first.found.states is None else MAX_INCREASE_LEARNED
    limit = min(MAX_LOSS, increase * first.found.loss)
    for window in _windows(settings, first):
        stage = _next_fit(settings, best, window)
        if stage is None or not stage.found.loss <= limit:
            break
        curve = [*best.found.loss_curve, *stage.found.loss_curve]
        best = replace(stage, found=replace(stage.found, loss_curve=curve))
    return best


def _windows(settings: FitSettings, first: WindowFit) -> list[int]:
    """Return the lengths of the windows after the first.

    Windows that begin at observed states overlap; between short windows and whole rollouts, they
    may be too many.
    """
    ode, model = settings.structure, first.model
    if not isinstance(ode, ODE) or ode.window != "auto" or not model.differentiable:
        return []
    trajectories = first.inputs.trajectories
    n_steps, most = trajectories.n_steps, MAX_STEPS // _step_cost(settings, model)
    learned = trajectories.layout.learned
    if not learned and (n_steps > most or not trajectories.can_start_whole):
        return []
    length, lengths = first.data.x.steps.shape[1], []
    if length >= n_steps:
        return []
    while length * GROWTH <= min(n_steps // 2, most):
        length *= GROWTH
        lengths.append(length)
    lengths = [each for each in lengths if trajectories.n_window_steps(each) <= MAX_WINDOW_STEPS]
    return [*lengths, n_steps] if n_steps <= most else lengths


def _step_cost(settings: FitSettings, model: Dynamics) -> int:
    """Return how many solver steps a step between observations costs."""
    fixed = settings.structure.method in FIXED_STEP
    return model.solver_steps.most if fixed else ADAPTIVE_STEPS


def _next_fit(settings: FitSettings, last: WindowFit, window: int) -> WindowFit | None:
    """Fit windows of another length, from the last fit; return None if this fails."""
    n_steps = last.inputs.trajectories.n_steps
    inputs, device = _at_fitted_states(last), settings.device
    inputs = inputs.at_window(window)
    data = inputs.rows.tensors(torch.float64, device)
    space = ParameterSpace(settings.physics, last.found.values, device=device)
    model = assemble_physics(settings, inputs, inputs.rows)
    model = with_chosen_steps(model.at(space, model.scales), inputs.rows, last.found.values)
    rollout_steps = window * _step_cost(settings, model)
    affordable = max(MIN_EVALUATIONS, BUDGET // (rollout_steps * (1 + JACOBIAN_ROLLOUTS)))
    tolerance = EARLY_TOLERANCE if window < n_steps else TOLERANCE
    try:
        model, found, _ = fit_with_steps(
            model,
            inputs.rows,
            lambda each: fit_least_squares(
                each,
                data,
                tolerance=tolerance,
                max_evaluations=min(affordable, MAX_EVALUATIONS),
                loss=settings.cost,
                n_observed=inputs.n_observed(inputs.rows),
            ),
        )
    except LEAST_SQUARES_ERRORS:  # the physics need not be finite over so many steps
        return None
    return WindowFit(inputs, model, data, found)


def _at_fitted_states(last: WindowFit) -> FitInputs:
    """Return the trajectories with the fitted states and their scales, if states are learned."""
    inputs, model, found = last.inputs, last.model, last.found
    if found.states is None:
        return inputs
    device = model.scales.state_scale.device
    values = {name: torch.tensor(value, device=device) for name, value in found.values.items()}
    x = last.data.x
    with torch.no_grad():
        physics = model.bind_physics(values)
        first = model.first_states(x, found.states)
        states = model.rollout(x, first, physics, model.silent_network)
    info = inputs.trajectory_info
    if not model.layout.states_observed:
        info = replace(info, scales=model.with_simulated_scales(x, values, found.states).scales)
    trajectories = inputs.trajectories.at_states(states.cpu().numpy(), inputs.rows.kept)
    return replace(inputs, trajectory_info=info, trajectories=trajectories)
