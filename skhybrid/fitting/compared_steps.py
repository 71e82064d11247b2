"""The prediction of a fixed-step solver, compared with the one for steps of half the length."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.rows import as_tensors, evenly_spaced
from skhybrid.model.batch import Windows, select_rows
from skhybrid.model.derivatives import directional
from skhybrid.model.dynamics import Dynamics

# Steps are short enough if halving them changes the prediction by less, relative to the smaller of
# the target's standard deviation and the change within a window. On simulated tasks, θ then moves
# by less than a fifth of its standard error.
TOLERANCE = 1e-3
# The same for method="euler", whose error falls with the length of the steps only in proportion.
EULER_TOLERANCE = 1e-2
# Windows, and numbers in them, with which steps are compared.
N_WINDOWS, MIN_WINDOWS = 64, 2
N_NUMBERS = 2**16
# Directions of θ with a smaller relative effect are not determined by the data.
RCOND = 1e-4

Values = Mapping[str, Tensor]


def tolerance_of(model: Dynamics) -> float:
    """Return the change with steps of half the length up to which steps are short enough."""
    return EULER_TOLERANCE if model.structure.method == "euler" else TOLERANCE


def few_at_first_states(x: Windows, model: Dynamics, learned: Tensor | None) -> Windows:
    """Return a few windows, evenly spaced, at their first states, in the model's dtype."""
    numbers = max(1, x.first_state[0].size * (x.steps.shape[1] + 1))
    chosen = evenly_spaced(len(x.steps), max(MIN_WINDOWS, min(N_WINDOWS, N_NUMBERS // numbers)))
    few = x if chosen is None else select_rows(x, chosen)
    dtype, device = model.scales.target_scale.dtype, model.scales.target_scale.device
    few = as_tensors(few, dtype, device)
    if learned is None:
        return few
    return few._replace(first_state=model.first_states(few, learned.to(dtype)), index=None)


class ComparedSteps:
    """The prediction of a model, to compare with the one for steps of half the length.

    Parameters
    ----------
    model : Dynamics
    x : Windows
        A few windows that begin at their first states.
    values : mapping of str to Tensor
        Physics parameters in the user's units.
    lengths : array of shape (n_windows, n_intervals)
        Times between observations in all windows.
    """

    def __init__(self, model: Dynamics, x: Windows, values: Values, lengths: np.ndarray) -> None:
        self.model, self.x, self.values, self.lengths = model, x, values, lengths
        self._unit = 1.0 / model.scales.target_scale
        with torch.no_grad():
            self.prediction = self._predict(values)

    @cached_property
    def halved(self) -> ComparedSteps:
        """The same with steps of half the length."""
        model = self.model.with_steps(self.model.solver_steps.halved(self.lengths))
        return ComparedSteps(model, self.x, self.values, self.lengths)

    @property
    def is_finite(self) -> bool:
        """Whether the prediction is finite."""
        return bool(torch.isfinite(self.prediction).all())

    @cached_property
    def change(self) -> float:
        """Root mean square change with steps of half the length; infinite if it is not finite.

        The unit is the standard deviation of the target, or the change within windows if that is
        smaller.
        """
        model, x = self.model, self.x
        with torch.no_grad():
            first = model.first_states(x, None)
            states = first[:, None].expand(-1, x.steps.shape[1] + 1, *first.shape[1:])
            constant = model.observed(x, states, self.values, model.silent_output)
        size, motion = (
            root_mean_square(self._difference),
            root_mean_square((self.halved.prediction - constant) * self._unit),
        )
        if not np.isfinite(size):
            return np.inf
        return size / min(1.0, motion) if size > 0.0 and motion > 0.0 else 0.0

    def jacobian(self) -> dict[str, np.ndarray]:
        """Return ∂ŷ/∂θ of the free parameters, a column for each element."""
        columns = {}
        free = self.model.physics.free if self.model.physics is not None else ()
        n_values = self.prediction.numel() * self.model.solver_steps.most
        for name in free:
            at = self.values[name]
            tangents = torch.eye(at.numel(), dtype=at.dtype).reshape(-1, *at.shape)
            predict = lambda value, name=name: self._predict({**self.values, name: value})  # noqa: E731
            slopes = directional(predict, at, [*tangents], n_values)
            slopes = [slope.ravel() for slope in slopes]
            columns[name] = np.stack(slopes, axis=1).astype(np.float64)
        return columns

    def moved(self, jacobian: Mapping[str, np.ndarray], noise: float) -> dict[str, float]:
        """Return the change of each parameter that makes up for steps of half the length.

        The change is linearised: the least-squares solution of J Δθ = Δŷ. Its unit is the size of
        the parameter, or its standard error if that is larger.

        Parameters
        ----------
        jacobian : mapping of str to array
            As :meth:`jacobian` returns it.
        noise : float
            Root mean square residual in standard deviations of the target, divided by the square
            root of the number of training windows and multiplied by that of the windows here.
        """
        if not jacobian:
            return {}
        unit = np.broadcast_to(self._unit.cpu().numpy(), self.prediction.shape).reshape(-1, 1)
        slopes = np.concatenate([*jacobian.values()], axis=1) * unit
        theta = [np.abs(self.values[name].detach().cpu().numpy()).ravel() for name in jacobian]
        size = np.concatenate(theta)
        norm = np.linalg.norm(slopes, axis=0)
        scale = np.where(size > 0, size, 1.0 / np.where(norm > 0, norm, 1.0))
        inverse = np.linalg.pinv(slopes * scale, rcond=RCOND)
        change = np.abs(inverse @ self._difference.cpu().double().numpy().ravel()) * scale
        error = noise * np.linalg.norm(inverse, axis=1) * scale
        relative = change / np.where(change > 0, np.maximum(size, error), 1.0)
        pieces = np.split(relative, np.cumsum([len(each) for each in theta])[:-1])
        return {name: float(piece.max()) for name, piece in zip(jacobian, pieces, strict=True)}

    @property
    def _difference(self) -> Tensor:
        """The change of the prediction in standard deviations of the target."""
        return (self.halved.prediction - self.prediction) * self._unit

    def _predict(self, values: Values) -> Tensor:
        """Return the prediction of the whole model."""
        return self.model.join(self.x, values, self.model.bind_network())


def root_mean_square(values: Tensor) -> float:
    """Return the root mean square."""
    return float(values.square().mean().sqrt())
