"""Compare free runs of a fitted hybrid with those of its physics alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.learned_states import initial_states
from skhybrid.data.rows import Rows, as_tensors, evenly_spaced
from skhybrid.exceptions import FreeRunWarning
from skhybrid.fitting.findings import Finding
from skhybrid.fitting.inputs import FitInputs
from skhybrid.fitting.settings import FitSettings
from skhybrid.model.batch import Batch, Windows
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.solvers import FIXED_STEP

# Trajectories that are compared, steps of the solver in each, and windows in sequence that may be
# longer; more would cost more than a few per cent of the fit.
MAX_TRAJECTORIES = 16
MAX_STEPS = 1000
MAX_WINDOWS = 60
ADAPTIVE_STEPS = 5
# The hybrid is worse if its loss is above this multiple of the loss of the physics, and by more
# than this part of the target's variance.
WORSE = 1.1
NOTICEABLE = 1e-4


@dataclass(frozen=True)
class FreeRuns:
    """Whole training trajectories, and how well the physics alone predicts them.

    Attributes
    ----------
    whole : Batch
        Windows with whole trajectories, or with their first part if they are long.
    chosen : array of int
        Numbers of their trajectories.
    n_steps : int
        Steps of the longest trajectory.
    physics : float
        Mean squared error of the physics at the start of training, in units of the target's
        variance.
    """

    whole: Batch
    chosen: np.ndarray
    n_steps: int
    physics: float


def physics_free_runs(
    settings: FitSettings, inputs: FitInputs, rows: Rows, hybrid: Hybrid
) -> FreeRuns | None:
    """Return free runs of the physics at the start of training.

    They start where ``predict`` starts: at given initial states, or at those that least squares
    has found.

    Parameters
    ----------
    settings : FitSettings
    inputs : FitInputs
    rows : Rows
        Training rows at the start.
    hybrid : Hybrid
        The complete model at the start.

    Returns
    -------
    FreeRuns or None
        None for tables, images and models without physics, and if no trajectory can be predicted
        from its beginning.
    """
    if not isinstance(hybrid, Dynamics) or hybrid.has_hidden_encoder or hybrid.physics is None:
        return None
    trajectories, info = inputs.trajectories, inputs.trajectory_info
    try:
        whole = trajectories.windows(None, info.scales)
    except ValueError:  # every first state is missing
        return None
    first = whole.x.first_state
    if info.layout.learned:
        nothing = np.zeros((info.n_first_states, *info.layout.state_shape))
        first = initial_states(rows, nothing, info.first_indices)[whole.kept]
    known = np.isfinite(first.reshape(len(first), -1)).all(axis=1)
    usable = np.flatnonzero(known & _has_weight(whole))
    if len(usable) == 0:
        return None
    few = evenly_spaced(len(usable), MAX_TRAJECTORIES)
    usable = usable if few is None else usable[few]
    batch = whole.select(usable).tensors(settings.dtype, settings.device)
    batch = _shortened(batch, hybrid, rows.x.steps.shape[1])
    x = _starting_at(batch.x, first[usable])
    model = _for_rollouts(hybrid, batch)
    values = model.space.values(model.space.initial_coordinates())
    with torch.no_grad():
        loss = _loss(model, batch, model.without_network(x, values, None)[0])
    return FreeRuns(batch, whole.kept[usable], trajectories.n_steps, loss)


def free_run_losses(
    runs: FreeRuns | None,
    settings: FitSettings,
    hybrid: Hybrid,
    coordinates: Mapping[str, Tensor],
    learned: np.ndarray | None,
) -> dict[str, float] | None:
    """Return the mean squared errors of the fitted model, "hybrid", and of the "physics" alone.

    They are infinite where a rollout is not finite.

    Parameters
    ----------
    runs : FreeRuns or None
        None gives None.
    settings : FitSettings
    hybrid : Dynamics
        Fitted model.
    coordinates : mapping of str to Tensor
    learned : array of shape (n, *state_shape) or None
        Learned initial states of the training trajectories.
    """
    if runs is None:
        return None
    x = runs.whole.x
    if learned is not None:
        x = _starting_at(x, learned[runs.chosen])
    values = {name: value for name, value in coordinates.items() if name in hybrid.space.shapes}
    hold = settings.nn_extrapolation == "hold"
    model = _for_rollouts(hybrid, runs.whole)
    with torch.no_grad():
        loss = _loss(model, runs.whole, model(x, values, hold=hold))
    return {"hybrid": loss, "physics": runs.physics}


def findings_of_free_runs(
    losses: Mapping[str, float] | None, runs: FreeRuns | None, window: int, source: str
) -> list[Finding]:
    """Return a finding if free runs of the hybrid are worse than those of the physics alone.

    Parameters
    ----------
    losses : mapping of str to float, or None
        From :func:`free_run_losses`.
    runs : FreeRuns or None
    window : int
        Steps of the training windows.
    source : str
        Where θ of the physics alone is from.
    """
    if losses is None or not losses["hybrid"] > WORSE * losses["physics"] + NOTICEABLE:
        return []
    loss = losses["hybrid"]
    theta = {
        "least squares": "fitted by least squares",
        "given": "with the given initial values",
    }.get(source, "with the theta of the last fit")
    how = f"has a mean squared error of {loss:.3g}" if math.isfinite(loss) else "is not finite"
    if window < runs.n_steps:
        reason = (
            f"Training did not see this: its windows have {window} of {runs.n_steps} steps. Try "
            f"longer windows (ODE(window={min(4 * window, runs.n_steps)})), fewer inputs of the "
            "network (nn_features)"
        )
    else:
        reason = (
            "Training saw whole trajectories, so the network probably needs more epochs "
            "(max_epochs), a smaller rho, or shorter windows (ODE(window=5)). Or try fewer inputs "
            "of the network (nn_features)"
        )
    compared = runs.whole.x.steps.shape[1]
    part = "" if compared == runs.n_steps else f"first {compared} steps of the "
    message = (
        f"Free runs of the hybrid are worse than those of the physics alone. Over the {part}"
        f"training trajectories, from their initial states, the hybrid {how}, the physics alone, "
        f"{theta}, one of {runs.physics:.3g} (in units of the target's variance; see "
        f"free_run_losses_). {reason} or fewer units (nn=(16,)). If none helps, use the physics "
        "alone (nn=None)."
    )
    return [Finding(FreeRunWarning, "free runs", message)]


def _has_weight(rows: Rows) -> np.ndarray:
    """Return which rows have an observation that counts."""
    if rows.weight is None:
        return np.ones(len(rows), dtype=bool)
    return rows.weight.reshape(len(rows), -1).any(axis=1)


def _shortened(batch: Batch, hybrid: Dynamics, window: int) -> Batch:
    """Return the first part of long trajectories; training windows have ``window`` steps."""
    ode = hybrid.structure
    cost = hybrid.solver_steps.most if ode.method in FIXED_STEP else ADAPTIVE_STEPS
    n_steps = max(MAX_STEPS // cost, MAX_WINDOWS * window)
    n_times = n_steps + hybrid.layout.with_first
    inputs = None if batch.x.inputs is None else batch.x.inputs[:, : n_steps + 1]
    x = batch.x._replace(steps=batch.x.steps[:, :n_steps], inputs=inputs)
    weight = None if batch.weight is None else batch.weight[:, :n_times]
    return Batch(x, batch.y[:, :n_times], weight)


def _for_rollouts(hybrid: Dynamics, whole: Batch) -> Dynamics:
    """Return the model for whole trajectories, with steps as long as in training."""
    model = hybrid.at_observed_states()
    return model.with_steps(model.solver_steps.at(whole.x.steps.cpu().numpy()))


def _starting_at(x: Windows, states: np.ndarray) -> Windows:
    """Return the windows with other first states."""
    first = as_tensors(states, x.first_state.dtype, x.first_state.device)
    return x._replace(first_state=first)


def _loss(model: Dynamics, batch: Batch, prediction: Tensor) -> float:
    """Return the mean squared error in units of the target's variance; infinite if not finite."""
    square = ((prediction - batch.y) / model.scales.target_scale).square()
    mean = square.mean() if batch.weight is None else (square * batch.weight).mean()
    return float(mean) if bool(mean.isfinite()) else math.inf
