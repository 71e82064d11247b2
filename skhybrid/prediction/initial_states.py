"""Estimate initial states of new trajectories from their first outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse
import torch
from sklearn.utils import check_array
from torch import Tensor

from skhybrid.data.given_arrays import columns_named
from skhybrid.data.rows import as_tensors, require_range
from skhybrid.fitting.fitted import Fitted
from skhybrid.model.derivatives import directional
from skhybrid.model.dynamics import Dynamics
from skhybrid.prediction.new_trajectories import NewTrajectories

# A weak prior pulls an estimated initial state towards the mean initial state of training. It
# counts as one observation whose standard deviation is this many times that of the states. It
# determines the components that the outputs do not determine.
PRIOR_STDS = 10.0


def with_estimated_states(
    fitted: Fitted, model: Dynamics, new: NewTrajectories, first_outputs: Any, *, hold: bool
) -> NewTrajectories:
    """Return the trajectories with initial states that fit their first outputs best.

    The method is nonlinear least squares with a weak prior at the mean initial state of training.
    Components that columns of X give stay as they are.

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
    solution = scipy.optimize.least_squares(
        fit.residuals,
        part.first_state.ravel(),
        jac=fit.jacobian if model.differentiable else "2-point",
        x_scale=np.tile(fit.prior_std, len(outputs)),
    )
    states = solution.x.reshape(part.first_state.shape)
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
        self.model, self.hold, self.at = model, hold, at
        self.prior, self.known = torch.tensor(prior), torch.tensor(known)
        self.coordinates = physics_coordinates(fitted)
        self.x = as_tensors(part, dtype, device)
        self.scale = model.scales.target_scale.cpu()
        std = model.scales.state_scale.cpu().double().expand(model.layout.state_shape)
        self.prior_std = PRIOR_STDS * std.reshape(-1).numpy()
        known = ~np.isnan(outputs)
        self.observed = torch.tensor(np.where(known, outputs, 0.0), dtype=dtype)
        self.weight = torch.tensor(known, dtype=dtype)

    def errors(self, states: Tensor) -> Tensor:
        """Return scaled errors of the observed outputs, of shape (n, n_observed)."""
        states = torch.where(self.known, self.prior, states)
        first = states.to(self.x.first_state).reshape(self.x.first_state.shape)
        x = self.x._replace(first_state=first)
        prediction = self.model(x, self.coordinates, hold=self.hold)
        error = (prediction[:, self.at].cpu() - self.observed) / self.scale * self.weight
        return error.double().flatten(1)

    def residuals(self, states: np.ndarray) -> np.ndarray:
        """Return all residuals as one vector."""
        states = states.reshape(self.prior.shape)
        with torch.no_grad():
            error = self.errors(torch.tensor(states)).numpy()
        return np.concatenate(
            [error, (states - self.prior.numpy()) / self.prior_std], axis=1
        ).ravel()

    def jacobian(self, states: np.ndarray) -> scipy.sparse.csr_array | np.ndarray:
        """Return the Jacobian of the residuals; it is sparse for several trajectories."""
        n_states = self.prior.shape[1]
        states = torch.tensor(states.reshape(-1, n_states))
        tangents = [own.expand_as(states) for own in torch.eye(n_states, dtype=states.dtype)]
        columns = directional(self.errors, states, tangents, self.x.steps.numel() * n_states)
        slopes = np.stack(columns, axis=2)
        prior = np.broadcast_to(np.diag(1.0 / self.prior_std), (len(states), n_states, n_states))
        blocks = np.concatenate([slopes, prior], axis=1)
        jacobian = scipy.sparse.block_diag(list(blocks), format="csr")
        return jacobian if len(states) > 1 else jacobian.toarray()


def physics_coordinates(fitted: Fitted) -> dict[str, Tensor]:
    """Return the coordinates of the physics parameters, without learned first states."""
    return {name: value for name, value in fitted.coordinates.items() if name.isidentifier()}
