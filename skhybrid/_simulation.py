"""Predict trajectories: whole rollouts, from initial states that are given or estimated."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse
import torch
from sklearn.metrics import r2_score
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import Tensor

from skhybrid._course import Course
from skhybrid._data import as_tensor, as_tensors
from skhybrid._records import note_features, read_inputs, read_outputs, without_times
from skhybrid._trajectories import padded, read_times, uniform_step
from skhybrid.exceptions import DivergenceWarning
from skhybrid.structures import ODE, Dynamics, LatentODE, Windows
from skhybrid.structures.solvers import FIXED_STEP
from skhybrid.training.least_squares import directional

# Numbers predicted at once.
PREDICTION_NUMBERS = 2**22
# An estimated initial state is drawn towards the training trajectories' as by one observation of
# this many times their spread: enough to settle what the outputs say nothing about.
PRIOR_SPREADS = 10.0


class Simulation:
    """New trajectories that a fitted model is to predict.

    Parameters
    ----------
    estimator : HybridRegressor
        Fitted, with an :class:`~skhybrid.ODE`.
    X : array-like or list of array-like
        Initial states, or inputs over time.
    times : array-like of shape (n_times,) or None
        Times wanted in place of those of the training trajectories.
    initial_states : array-like of shape (n, *state_shape) or None
    first_outputs : array-like of shape (n, k, ...) or None
        Outputs at the first times, from which the initial states are estimated.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        *,
        times: Any = None,
        initial_states: Any = None,
        first_outputs: Any = None,
    ) -> None:
        fitted = estimator._fitted
        self.wanted: np.ndarray | None = None
        self.course: Course = fitted.course
        self.ode: ODE = fitted.hybrid.structure
        self.coordinates = {
            name: value for name, value in fitted.coordinates.items() if name.isidentifier()
        }
        self.hold = estimator.nn_extrapolation == "hold"
        layout = self.course.layout
        if self.ode.inputs is None:
            X = validate_data(estimator, X, dtype=np.float64, allow_nd=True, reset=False)
            if X.shape[1:] != self.course.start_shape:
                raise ValueError(
                    f"One trajectory in X has shape {X.shape[1:]}, but {type(estimator).__name__} "
                    f"was fitted with shape {self.course.start_shape}."
                )
            all_times = self.course.times if times is None else self._given_times(times)
            self.times = np.broadcast_to(all_times, (len(X), len(all_times)))
            self.lengths = np.full(len(X), len(all_times))
            states, inputs = X, None
        else:
            if times is not None:
                raise ValueError(
                    "times is for models whose X holds initial states; here X holds the inputs at "
                    "all times, and ODE says when they are."
                )
            records, names = read_inputs(X)
            note_features(estimator, records, names, reset=False)
            self.lengths = np.array([len(record) for record in records])
            records, column = without_times(records, self.course.time_column)
            self.times = read_times(self._timed(), len(records), self.lengths, True, column)
            inputs = padded(records, 0.0) if layout.n_inputs else None
            states = np.broadcast_to(
                np.nanmean(fitted.initial_states, axis=0), (len(records), *layout.state_shape)
            )
        if initial_states is not None:
            states = check_array(
                initial_states, dtype=np.float64, allow_nd=True, input_name="initial_states"
            )
            if states.shape != (len(self.times), *layout.state_shape):
                raise ValueError(
                    f"initial_states has shape {states.shape}; for these X it must have shape "
                    f"{(len(self.times), *layout.state_shape)}."
                )
        self.x = Windows(states, self.times[:, 0], np.diff(self.times, axis=1), inputs)
        step = uniform_step(self.times, self.lengths)
        self.model: Dynamics = fitted.hybrid.at_step(step)
        self.dtype = self.model.scales.target_scale.dtype
        self.device = self.model.scales.target_scale.device
        if first_outputs is not None:
            self.x = self.x._replace(start=self._estimated(first_outputs, fitted.initial_states))

    def run(self, outputs: Callable[..., tuple[Tensor, ...]]) -> tuple[Any, ...]:
        """Return what a function of (model, windows, coordinates) says, in the shape of y.

        Of trajectories of different lengths it is a list of arrays.
        """
        size = max(1, PREDICTION_NUMBERS // (self.x.start[0].size * self.times.shape[1]))
        portions = []
        with torch.no_grad():
            for begin in range(0, len(self.times), size):
                part = Windows(
                    *(None if each is None else each[begin : begin + size] for each in self.x)
                )
                x = as_tensors(part, self.dtype, self.device)
                portions.append(outputs(self.model, x, self.coordinates, self.hold))
        whole = (
            torch.cat(portion).cpu().double().numpy() for portion in zip(*portions, strict=True)
        )
        whole = list(whole)
        self._warn_of_divergence(whole[-1])
        return tuple(self._in_shape(each) for each in whole)

    def _warn_of_divergence(self, outputs: np.ndarray) -> None:
        finite = np.isfinite(outputs).reshape(*outputs.shape[:2], -1).all(axis=2)
        broken = np.flatnonzero(~finite.all(axis=1))
        if len(broken) == 0:
            return
        first = broken[0]
        since = np.flatnonzero(~finite[first])[0] + self.times.shape[1] - finite.shape[1]
        warnings.warn(
            f"The rollouts of {len(broken)} of {len(outputs)} trajectories diverge; that of "
            f"trajectory {first} is not finite from t = {self.times[first, since]:g} on. If these "
            "are like the training trajectories, train with longer windows, or use more substeps "
            "or an adaptive method.",
            DivergenceWarning,
            stacklevel=5,
        )

    def _in_shape(self, outputs: np.ndarray) -> Any:
        if self.ode.inputs is None and self.model.layout.with_first:
            outputs = outputs[:, 1:]
        if self.wanted is not None:
            outputs = outputs[:, self.wanted - 1]
        if self.course.scalar:
            outputs = outputs[..., 0]
        if np.ptp(self.lengths) == 0:
            return outputs
        return [each[:length] for each, length in zip(outputs, self.lengths, strict=True)]

    def _given_times(self, times: Any) -> np.ndarray:
        times = check_array(times, ensure_2d=False, dtype=np.float64, input_name="times")
        begin = self.course.times[0]
        whole = np.concatenate([[begin], times])
        if not np.all(np.diff(whole) > 0):
            raise ValueError(
                f"times must increase, and be after the initial states' ({begin:g}); got "
                f"{np.array2string(times, threshold=6)}."
            )
        # Steps are not longer than in training, where they are of fixed length.
        longest = np.inf
        if self.ode.method in FIXED_STEP:
            longest = np.diff(self.course.times).max()
        n_steps = np.maximum(1, np.ceil(np.diff(whole) / longest - 1e-6)).astype(int)
        self.wanted = np.cumsum(n_steps)
        return np.interp(np.arange(self.wanted[-1] + 1), [0, *self.wanted], whole)

    def _timed(self) -> ODE:
        """Return the equation with times that fit these trajectories."""
        ode = self.ode
        if ode.dt is None and self.course.time_column is None and np.ndim(ode.times[0]) > 0:
            raise ValueError(
                "ODE has the times of each training trajectory, which say nothing of new ones. Put "
                "the times into X and name their column (times=0)."
            )
        return ode

    def _estimated(self, first_outputs: Any, known: np.ndarray) -> np.ndarray:
        """Return initial states with which the model fits the first outputs best.

        Nonlinear least squares, drawn weakly towards the training trajectories' initial states.
        """
        outputs = np.asarray(first_outputs, dtype=np.float64)
        if self.course.scalar:
            outputs = outputs[..., None]
        n_times = outputs.shape[1]
        offset = 0 if self.ode.inputs is not None else 1
        most = self.times.shape[1] - offset if self.wanted is None else len(self.wanted)
        if outputs.shape[0] != len(self.times) or n_times > most:
            raise ValueError(
                f"first_outputs has shape {np.shape(first_outputs)}; it must have the first "
                f"outputs of {len(self.times)} trajectories, at most {most} of them."
            )
        stop, at = n_times + offset, np.arange(-n_times, 0)
        if self.wanted is not None:
            stop = self.wanted[n_times - 1] + 1
            at = self.wanted[:n_times] - stop
        model, known = self.model, known.reshape(len(known), -1)
        scale = model.scales.target_scale.cpu()
        spread = model.scales.state_scale.cpu().double().expand(model.layout.state_shape)
        spread = PRIOR_SPREADS * spread.reshape(-1).numpy()
        centre = np.nanmean(known, axis=0)
        inputs = None if self.x.inputs is None else self.x.inputs[:, :stop]
        part = self.x._replace(steps=self.x.steps[:, : stop - 1], inputs=inputs)
        x = as_tensors(part, self.dtype, self.device)
        there = ~np.isnan(outputs)
        observed = torch.tensor(np.where(there, outputs, 0.0), dtype=self.dtype)
        weight = torch.tensor(there, dtype=self.dtype)

        def errors(states: Tensor) -> Tensor:
            start = states.to(x.start).reshape(x.start.shape)
            prediction = model(x._replace(start=start), self.coordinates, hold=self.hold)
            error = (prediction[:, at].cpu() - observed) / scale * weight
            return error.double().flatten(1)

        def residuals(states: np.ndarray) -> np.ndarray:
            states = states.reshape(-1, len(centre))
            with torch.no_grad():
                error = errors(torch.tensor(states)).numpy()
            return np.concatenate([error, (states - centre) / spread], axis=1).ravel()

        def jacobian(states: np.ndarray) -> scipy.sparse.csr_array | np.ndarray:
            states = torch.tensor(states.reshape(-1, len(centre)))
            columns = []
            for component in range(len(centre)):
                tangent = torch.zeros_like(states)
                tangent[:, component] = 1.0
                columns.append(directional(errors, states, tangent))
            slopes = np.stack(columns, axis=2)
            prior = np.broadcast_to(np.diag(1.0 / spread), (len(states), *[len(centre)] * 2))
            blocks = np.concatenate([slopes, prior], axis=1)
            whole = scipy.sparse.block_diag(list(blocks), format="csr")
            return whole if len(states) > 1 else whole.toarray()

        solution = scipy.optimize.least_squares(
            residuals,
            part.start.ravel(),
            jac=jacobian if model.differentiable else "2-point",
            x_scale=np.tile(spread, len(outputs)),
        )
        return solution.x.reshape(part.start.shape)


def score_trajectories(estimator: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """Return the mean over outputs of R², with all times of all trajectories as rows.

    Of images, all pixels are one output.
    """
    course: Course = estimator._fitted.course
    ode: ODE = estimator._fitted.hybrid.structure
    outputs, scalar = read_outputs(y, masked=True)
    n_first = 0
    given = {}
    if ode.inputs is not None and ode.n_initial > 0:
        n_first = min(ode.n_initial, min(len(each) for each in outputs) - 1)
        first = np.stack([each[:n_first] for each in outputs])
        given["first_outputs"] = first[..., 0] if course.scalar else first
    if ode.inputs is None:
        given["times"] = _times_of(ode, course, max(len(each) for each in outputs))
    (prediction,) = Simulation(estimator, X, **given).run(
        lambda model, x, z, hold: (model(x, z, hold=hold),)
    )
    if scalar:
        prediction = [each[..., None] for each in prediction]
    truth, guess, weight = [], [], []
    weights = np.ones(len(outputs)) if sample_weight is None else np.asarray(sample_weight)
    for each, predicted, w in zip(outputs, prediction, weights, strict=True):
        predicted = predicted[: len(each)]
        columns = np.moveaxis(each[n_first:], 1, -1).reshape(-1, each.shape[1])
        truth.append(columns)
        guess.append(np.moveaxis(predicted[n_first:], 1, -1).reshape(-1, each.shape[1]))
        weight.append(np.full(len(columns), w))
    truth, guess, weight = (np.concatenate(each) for each in (truth, guess, weight))
    if isinstance(ode, LatentODE):  # a pixel that never changes has no R² of its own
        weight = np.repeat(weight, truth.shape[1])
        truth, guess = truth.reshape(-1, 1), guess.reshape(-1, 1)
    scores = []
    for column, predicted in zip(truth.T, guess.T, strict=True):
        there = ~np.isnan(column)
        scores.append(r2_score(column[there], predicted[there], sample_weight=weight[there]))
    return float(np.mean(scores))


def _times_of(ode: ODE, course: Course, n_times: int) -> np.ndarray | None:
    """Return the times of so many outputs, which may be more or fewer than those of training."""
    known = course.times[1:]
    if n_times == len(known):
        return None
    if n_times > len(known) and ode.dt is not None:
        known = course.times[0] + ode.dt * np.arange(1, n_times + 1)
    elif n_times > len(known) and np.ndim(ode.times[0]) == 0:
        known = np.asarray(ode.times, dtype=np.float64)
        known = known[known > course.times[0]]
    if n_times > len(known):
        raise ValueError(
            f"y has {n_times} times, but only {len(known)} are known from the training "
            "trajectories and ODE."
        )
    return known[:n_times]


def rates_of(estimator: Any, states: Any, times: Any, inputs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the physics' rates of states, and what the network adds to them."""
    fitted = estimator._fitted
    model: Dynamics = fitted.hybrid
    scale = model.scales.target_scale
    states = check_array(states, dtype=np.float64, allow_nd=True, input_name="states")
    if states.shape[1:] != model.layout.state_shape:
        raise ValueError(
            f"states has shape {states.shape}; one state has shape {model.layout.state_shape}."
        )
    if (inputs is None) != (model.layout.n_inputs == 0):
        given = "not given" if inputs is None else "given"
        raise ValueError(f"inputs is {given}, and the model has {model.layout.n_inputs} inputs.")
    times = np.broadcast_to(np.asarray(times, dtype=np.float64), (len(states),))
    arguments = [times, states]
    if inputs is not None:
        arguments.append(check_array(inputs, dtype=np.float64, input_name="inputs"))
    t, x, *rest = (as_tensor(each, scale.dtype, scale.device) for each in arguments)
    u = rest[0] if rest else None
    with torch.no_grad():
        physics = model.bind_physics(model.space.values(fitted.coordinates))
        network = model.bind_network(hold=estimator.nn_extrapolation == "hold")
        known = physics(t, x, u)
        whole = model.joined(physics, network)(t, x, u)
    return tuple(each.cpu().double().numpy() for each in (known, whole - known))
