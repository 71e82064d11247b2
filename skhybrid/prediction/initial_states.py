"""Estimate initial states of new trajectories from their first outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array
from torch import Tensor

from skhybrid.data.given_arrays import columns_named
from skhybrid.data.rows import as_tensors, require_range
from skhybrid.fitting.fitted import Fitted
from skhybrid.model.batch import select_rows
from skhybrid.model.derivatives import directional
from skhybrid.model.dynamics import Dynamics
from skhybrid.prediction.many_least_squares import minimise_side_by_side
from skhybrid.prediction.new_trajectories import NewTrajectories

# A weak prior pulls an estimated initial state towards the mean initial state of training. It
# counts as one observation whose standard deviation is this many times that of the states. It
# determines the components that the outputs do not determine.
PRIOR_STDS = 10.0
# A trajectory is fitted if a step promises a change of the sum of squares by less than this part:
# by far less than noise changes it.
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}
# Residuals are exact up to so many units of rounding.
ROUNDING = 10.0
# Differences in place of derivatives, for solvers that have none, in standard deviations.
DIFFERENCE = 1e-3


def with_estimated_states(
    fitted: Fitted, model: Dynamics, new: NewTrajectories, first_outputs: Any, *, hold: bool
) -> NewTrajectories:
    """Return the trajectories with initial states that fit their first outputs best.

    The method is nonlinear least squares with a weak prior at the mean initial state of training,
    for each trajectory alone. Components that columns of X give stay as they are.

    Parameters
    ----------
    fitted : Fitted
    model : Dynamics
        Model at the time step of the new trajectories.
    new : NewTrajectories
    first_outputs : array-like of shape (n, k, ...)
    hold : bool
        Whether the network's inputs are clamped to the training range.

    Raises
    ------
    ValueError
        If first_outputs does not match the trajectories.
    """
    outputs = _read_outputs(fitted, first_outputs, len(new.times))
    stop, at = _observed_times(new, outputs, np.shape(first_outputs), model)
    inputs = None if new.x.inputs is None else new.x.inputs[:, :stop]
    part = new.x._replace(steps=new.x.steps[:, : stop - 1], inputs=inputs)
    training = fitted.initial_states.reshape(len(fitted.initial_states), -1)
    prior = np.broadcast_to(np.nanmean(training, axis=0), (len(outputs), training.shape[1]))
    known = np.zeros(prior.shape, dtype=bool)
    if new.known_first is not None:
        known = new.known_first.reshape(prior.shape)
        if known.all():
            return new
        prior = np.where(known, part.first_state.reshape(prior.shape), prior)
    fit = _InitialStateFit(fitted, model, part, outputs, at, prior, known, hold=hold)
    states = minimise_side_by_side(
        fit.residuals,
        fit.slopes,
        fit.best_start(part.first_state.reshape(prior.shape)),
        tolerance=TOLERANCES[fit.dtype],
        rounding=ROUNDING * torch.finfo(fit.dtype).eps,
    )
    states = np.where(known, prior, states).reshape(part.first_state.shape)
    return replace(new, x=new.x._replace(first_state=states))


def _read_outputs(fitted: Fitted, first_outputs: Any, n: int) -> np.ndarray:
    """Return first outputs of shape (n, k, *output_shape), NaN where an output is missing."""
    with columns_named(first_outputs=first_outputs):
        outputs = check_array(
            np.atleast_1d(first_outputs),
            dtype=np.float64,
            ensure_2d=False,
            allow_nd=True,
            ensure_all_finite="allow-nan",
            input_name="first_outputs",
        )
    info = fitted.trajectory_info
    expected = () if info.scalar else tuple(info.layout.output_shape)
    is_wrong = outputs.ndim != 2 + len(expected) or outputs.shape[2:] != expected
    if is_wrong or outputs.shape[1] == 0:
        shape = ", ".join(map(str, (n, "k", *expected)))
        raise ValueError(
            f"first_outputs has shape {outputs.shape}; it must have shape ({shape}), with k first "
            "outputs of every trajectory, one at least."
        )
    require_range("first_outputs", outputs, fitted.hybrid.scales.target_scale.dtype)
    return outputs[..., None] if info.scalar else outputs


def _observed_times(
    new: NewTrajectories, outputs: np.ndarray, shape: tuple[int, ...], model: Dynamics
) -> tuple[int, np.ndarray]:
    """Return the number of times to simulate, and the observed ones as indices from the end."""
    n_times = outputs.shape[1]
    if isinstance(new.wanted, list):
        raise ValueError(
            "first_outputs and the times of each trajectory cannot be given together. Predict the "
            "trajectories one by one, or give the same times for all."
        )
    offset = 0 if model.structure.inputs is not None else 1
    n_available = new.times.shape[1] - offset if new.wanted is None else len(new.wanted)
    if outputs.shape[0] != len(new.times) or n_times > n_available:
        raise ValueError(
            f"first_outputs has shape {shape}; it must have the first "
            f"outputs of {len(new.times)} trajectories, at most {n_available} of them."
        )
    if new.wanted is None:
        return n_times + offset, np.arange(-n_times, 0)
    stop = new.wanted[n_times - 1] + 1
    return stop, new.wanted[:n_times] - stop


class _InitialStateFit:
    """Residuals of the first outputs and of the prior, as functions of all initial states."""

    def __init__(
        self,
        fitted: Fitted,
        model: Dynamics,
        part: Any,
        outputs: np.ndarray,
        at: np.ndarray,
        prior: np.ndarray,
        known: np.ndarray,
        *,
        hold: bool,
    ) -> None:
        dtype, device = model.scales.target_scale.dtype, model.scales.target_scale.device
        self.model, self.hold, self.at, self.dtype = model, hold, at, dtype
        self.prior, self.known = torch.tensor(prior), torch.tensor(known)
        self.coordinates = physics_coordinates(fitted)
        self.x = as_tensors(part, dtype, device)
        self.scale = model.scales.target_scale.cpu()
        std = model.scales.state_scale.cpu().double().expand(model.layout.state_shape)
        self.std = std.reshape(-1).numpy()
        self.prior_std = PRIOR_STDS * self.std
        known = ~np.isnan(outputs)
        self.observed = torch.tensor(np.where(known, outputs, 0.0), dtype=dtype)
        self.weight = torch.tensor(known, dtype=dtype)

    def errors(self, states: Tensor, rows: np.ndarray) -> Tensor:
        """Return scaled errors of the observed outputs, of shape (n, n_observed), of some rows."""
        states = torch.where(self.known[rows], self.prior[rows], states)
        x = select_rows(self.x, rows)
        first = states.to(x.first_state).reshape(x.first_state.shape)
        prediction = self.model(x._replace(first_state=first), self.coordinates, hold=self.hold)
        error = (prediction[:, self.at].cpu() - self.observed[rows]) / self.scale
        return (error * self.weight[rows]).double().flatten(1)

    def residuals(self, states: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the errors, and the distances from the prior."""
        with torch.no_grad():
            error = self.errors(torch.tensor(states), rows).numpy()
        return np.concatenate([error, (states - self.prior[rows].numpy()) / self.prior_std], axis=1)

    def slopes(self, states: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the derivatives of the residuals, of shape (n, n_residuals, n_states)."""
        n_states = states.shape[1]
        states = torch.tensor(states)
        directions = torch.eye(n_states, dtype=states.dtype)
        if self.model.differentiable:
            tangents = [own.expand_as(states) for own in directions]
            n_values = len(rows) * self.x.steps.shape[1] * n_states
            columns = directional(lambda at: self.errors(at, rows), states, tangents, n_values)
        else:
            columns = [
                self._difference(states, rows, own * std)
                for own, std in zip(DIFFERENCE * directions, self.std, strict=True)
            ]
        slopes = np.stack(columns, axis=2)
        prior = np.broadcast_to(np.diag(1.0 / self.prior_std), (len(rows), n_states, n_states))
        return np.concatenate([slopes, prior], axis=1)

    def _difference(self, states: Tensor, rows: np.ndarray, step: Tensor) -> np.ndarray:
        """Return the derivative in the direction of one component, by a central difference."""
        with torch.no_grad():
            above, below = (self.errors(states + each, rows) for each in (step, -step))
        return ((above - below) / (2.0 * step.sum())).numpy()

    def best_start(self, states: np.ndarray) -> np.ndarray:
        """Return the best of several starts of each trajectory.

        States that are observed begin where they were first observed. Free states, which nothing
        but the network gives a meaning, begin at their mean, or one standard deviation from it.
        """
        layout, every = self.model.layout, np.arange(len(states))
        candidates = [states]
        if layout.states_observed and layout.with_first and not layout.is_field:
            seen, n = states.copy(), layout.n_known_states
            first = (self.weight[:, 0] > 0).numpy() & ~self.known[:, :n].numpy()
            seen[:, :n] = np.where(first, self.observed[:, 0].numpy(), states[:, :n])
            candidates.append(seen)
        move = np.diag(self.std)[[*layout.free_columns]]
        candidates += [candidates[-1] + each for each in (*move, *-move)]
        if len(candidates) == 1:
            return states
        costs = [np.square(self.residuals(each, every)).sum(axis=1) for each in candidates]
        best = np.argmin(np.nan_to_num(costs, nan=np.inf), axis=0)
        return np.stack(candidates)[best, every]


def physics_coordinates(fitted: Fitted) -> dict[str, Tensor]:
    """Return the coordinates of the physics parameters, without learned first states."""
    return {name: value for name, value in fitted.coordinates.items() if name.isidentifier()}
