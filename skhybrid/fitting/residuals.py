"""Weighted residuals of the physics alone, and their derivatives, for least squares."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.model.derivatives import directional
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.layout import FIRST_STATES
from skhybrid.model.param_prior import LOGNORMAL
from skhybrid.training.losses import SQUARED_ERROR, Loss

# With more first states, the Jacobian is sparse.
MANY_STATES = 300


class Residuals:
    """Weighted residuals as a function of one flat vector: physics parameters and first states.

    Their sum of squares is the mean squared error in units of the target's variance, plus the
    continuity penalty and what the priors add. Residuals of the data come first, then those of
    gaps, then those of priors.

    Parameters
    ----------
    hybrid : Hybrid
    data : Batch
        Rows in float64.
    loss : Loss, default=Loss()
        What an error costs, for :meth:`loss` alone.

    Attributes
    ----------
    start : array of shape (n,)
    bounds : tuple of two arrays of shape (n,)
    n_values, n_states : int
        Elements of the physics parameters, and of the first states after them.
    loss_curve : list of float
        The loss at every evaluation that counts.
    prior_weight : float
        Weight (σ²/s²)/N of the squares of (θ - μ)/τ, see
        :class:`~skhybrid.training.priors.Prior`; at first zero. To be changed by
        :meth:`set_prior_weight`.
    """

    def __init__(self, hybrid: Hybrid, data: Batch, loss: Loss = SQUARED_ERROR) -> None:
        self.hybrid = hybrid
        self.data = data
        self.cost = loss
        params = {} if hybrid.physics is None else hybrid.physics.params
        self.names = [name for name, param in params.items() if not param.fixed]
        self.shapes = [params[name].shape for name in self.names]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]
        flatten = lambda values: np.concatenate([np.ravel(v) for v in values] or [[]])  # noqa: E731
        low = flatten([params[name].limits()[0] for name in self.names])
        high = flatten([params[name].limits()[1] for name in self.names])
        self._closest = (np.nextafter(low, np.inf), np.nextafter(high, -np.inf))
        # scipy needs a start strictly inside the bounds.
        start = np.clip(
            flatten([hybrid.space.start[name] for name in self.names]),
            *self._closest,
        )
        self._first_states = hybrid.initial_coordinates().get(FIRST_STATES)
        self.n_states = 0 if self._first_states is None else self._first_states.numel()
        self.n_values = len(start)
        free = np.full(self.n_states, np.inf)
        self.start = np.concatenate([start, np.zeros(self.n_states)])
        self.bounds = (np.concatenate([low, -free]), np.concatenate([high, free]))
        unit = 1.0 / hybrid.scales.target_scale.double()
        unit = unit if data.weight is None else unit * data.weight.sqrt()
        # The sum of squares is then the mean squared error.
        self._unit = unit / np.sqrt(data.y.numel())
        self._priors = {
            name: params[name].prior_moments()
            for name in self.names
            if params[name].prior is not None
        }
        self.prior_weight = 0.0
        self.loss_curve: list[float] = []
        self._known: dict[str, tuple[np.ndarray, Any]] = {}

    def __call__(self, vector: np.ndarray, *, note: bool = True) -> np.ndarray:
        """Return the residuals; those at the last vector are not computed again.

        ``note`` adds the loss of a new vector to the loss curve.
        """
        at, known = self._known.get("residuals", (None, None))
        if at is not None and np.array_equal(at, vector):
            return known
        with torch.no_grad():
            residuals = self._evaluate(*self._split(vector)).cpu().numpy()
        if note:
            self.loss_curve.append(self.loss(residuals))
        self._known["residuals"] = vector.copy(), residuals
        return residuals

    @property
    def is_sparse(self) -> bool:
        """Whether the Jacobian is a sparse array."""
        return self.n_states > MANY_STATES and self.hybrid.differentiable

    def loss(self, residuals: np.ndarray) -> float:
        """Return the mean squared error of the data, without gaps."""
        residuals = residuals[: self.data.y.numel()]
        if not self.cost.is_squared:
            errors, weight = self.errors(residuals)
            return float(self.cost.mean(errors, weight, self.unit_shape))
        with np.errstate(over="ignore"):
            return float(np.sum(residuals**2))

    @property
    def unit_shape(self) -> tuple[int, ...]:
        """Shape of the standard deviation of the target."""
        return tuple(self.hybrid.scales.target_scale.shape)

    def errors(self, residuals: np.ndarray) -> tuple[Tensor, Tensor | None]:
        """Return errors in standard deviations of the target, and weights, in the shape of y."""
        y, weight = self.data.y, self.data.weight
        errors = torch.as_tensor(residuals[: y.numel()]).reshape(y.shape) * np.sqrt(y.numel())
        if weight is None:
            return errors, None
        weight = weight.cpu()
        return torch.where(weight > 0.0, errors / weight.sqrt(), 0.0), weight

    def of_covariance(self, residuals: np.ndarray) -> np.ndarray:
        """Return residuals whose least-squares covariance is that of the loss."""
        if self.cost.is_squared:
            return residuals
        errors, weight = self.errors(residuals)
        errors = self.cost.pseudo_errors(errors, weight, self.unit_shape)
        errors = errors if weight is None else errors * weight.sqrt()
        own = errors.numpy().ravel() / np.sqrt(errors.numel())
        return np.concatenate([own, residuals[len(own) :]])

    def noise(self, residuals: np.ndarray) -> float:
        """Return the variance of the noise, in units of the target's variance."""
        if self.cost.is_squared:
            return self.loss(residuals)
        return self.cost.noise(*self.errors(residuals), self.unit_shape)

    @property
    def n_used(self) -> int:
        """Number of values with weight."""
        weight = self.data.weight
        return self.data.y.numel() if weight is None else int((weight > 0.0).sum())

    @property
    def priors(self) -> bool:
        """Whether a free parameter has a prior."""
        return bool(self._priors)

    @property
    def n_prior_rows(self) -> int:
        """Number of residuals of priors."""
        return sum(centre.size for _, centre, _ in self._priors.values())

    def set_prior_weight(self, weight: float) -> None:
        """Give the priors another weight."""
        self.prior_weight = weight
        self._known.clear()

    def inside(self, vector: np.ndarray) -> np.ndarray:
        """Return the vector strictly inside the bounds, which rounding may have crossed."""
        n = self.n_values
        return np.concatenate([np.clip(vector[:n], *self._closest), vector[n:]])

    def known_jacobian(self, vector: np.ndarray) -> np.ndarray | scipy.sparse.csr_array | None:
        """Return the Jacobian, or None if derivatives do not pass through the solver."""
        return self.jacobian(vector) if self.hybrid.differentiable else None

    def effects(self, vector: np.ndarray) -> np.ndarray:
        """Return the root mean square of the derivative for every element; zero if unknown."""
        jacobian = self.known_jacobian(vector)
        if jacobian is None:
            return np.zeros(len(vector))
        squared = jacobian.power(2) if scipy.sparse.issparse(jacobian) else np.square(jacobian)
        return np.sqrt(np.asarray(squared.sum(axis=0)).ravel())

    def jacobian(self, vector: np.ndarray) -> np.ndarray | scipy.sparse.csr_array:
        """Return the Jacobian; the one at the last vector is not computed again."""
        at, jacobian = self._known.get("jacobian", (None, None))
        if at is None or not np.array_equal(at, vector):
            jacobian = self._differentiated(vector)
            self._known["jacobian"] = vector.copy(), jacobian
        return jacobian

    def _differentiated(self, vector: np.ndarray) -> np.ndarray | scipy.sparse.csr_array:
        """Compute the Jacobian.

        A window depends only on its own first state, so one derivative serves the same component
        of all windows. Its gap also depends, linearly, on the first state of the next window.
        """
        if not self.n_states:
            return self.value_columns(vector)
        point, learned = self._split(vector)
        n, size = len(point), learned[0].numel()
        own = torch.eye(size, dtype=learned.dtype, device=learned.device)
        own = own[:, None].expand(-1, len(learned), -1).flatten(1)
        tangents = torch.block_diag(torch.eye(n, dtype=point.dtype, device=point.device), own)

        def residuals(both: Tensor) -> Tensor:
            states = both[n:].reshape(learned.shape)
            return self._evaluate(both[:n], states, next_states=learned)

        both = torch.cat([point, learned.reshape(-1)])
        columns = directional(residuals, both, [*tangents], self._n_computed)
        blocks = [np.stack(columns[:n], axis=1)] if n else []
        state_columns = self._by_window(columns[n:])
        blocks.append(state_columns if self.is_sparse else state_columns.toarray())
        if self.is_sparse:
            return scipy.sparse.hstack([scipy.sparse.csr_array(b) for b in blocks], format="csr")
        return np.concatenate(blocks, axis=1)

    def value_columns(self, vector: np.ndarray) -> np.ndarray:
        """Return the columns of the Jacobian that belong to the physics parameters."""
        point, learned = self._split(vector)
        tangents = torch.eye(len(point), dtype=point.dtype)
        columns = directional(
            lambda p: self._evaluate(p, learned), point, [*tangents], self._n_computed
        )
        return np.stack(columns, axis=1)

    @property
    def _n_computed(self) -> int:
        """About so many values the residuals need, those between observations included."""
        steps = self.hybrid.solver_steps.most if isinstance(self.hybrid, Dynamics) else 1
        return self.data.y.numel() * steps

    def sensitivities(self, jacobian: np.ndarray | scipy.sparse.csr_array) -> dict[str, np.ndarray]:
        """Return the columns of the physics parameters by name, without gaps."""
        if not self.names:  # np.split returns one piece at least
            return {}
        columns = jacobian[: self.data.y.numel(), : self.n_values]
        columns = columns.toarray() if scipy.sparse.issparse(columns) else columns
        pieces = np.split(columns, np.cumsum(self.sizes)[:-1], axis=1)
        return {
            name: piece.reshape(len(columns), *shape)
            for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)
        }

    def _by_window(self, columns: list[np.ndarray]) -> scipy.sparse.csr_array:
        """Return the columns of the first states, from one for each component of all windows."""
        x, n_rows = self.data.x, self.data.y.numel()
        size, n_windows = len(columns), len(self.data.y)
        window = np.arange(n_windows).repeat(n_rows // n_windows)
        window = np.concatenate([window, np.arange(n_windows).repeat(size)])
        index, next_index = x.index.cpu().numpy(), x.next_index.cpu().numpy()
        parts = []
        for component, column in enumerate(columns):
            nonzero = np.flatnonzero(column)
            parts.append((column[nonzero], nonzero, index[window[nonzero]] * size + component))
        has_next = np.flatnonzero(next_index >= 0)
        unit = (x.next_unit / self.hybrid.scales.state_scale).reshape(n_windows, size)
        for component in range(size):
            slope = -self._gap_unit * unit[:, component].cpu().numpy()[has_next]
            gap_rows = n_rows + has_next * size + component
            parts.append((slope, gap_rows, next_index[has_next] * size + component))
        values, rows, columns = (np.concatenate(each) for each in zip(*parts, strict=True))
        shape = (len(window) + self.n_prior_rows, self.n_states)
        return scipy.sparse.csr_array((values, (rows, columns)), shape=shape)

    @property
    def _gap_unit(self) -> float:
        """Factor that gives a gap the same weight beside the data as in training."""
        n_gaps = len(self.data.y) * self._first_states[0].numel()
        return float(np.sqrt(self.hybrid.structure.continuity / n_gaps))

    def _split(self, vector: np.ndarray) -> tuple[Tensor, Tensor | None]:
        """Return the physics parameters and the first states of a flat vector."""
        point = torch.as_tensor(vector[: self.n_values], device=self.data.y.device)
        return point, self.first_states(vector)

    def first_states(self, vector: np.ndarray) -> Tensor | None:
        """Return the first states of a flat vector."""
        if self._first_states is None:
            return None
        return (
            torch.as_tensor(vector[self.n_values :])
            .reshape(self._first_states.shape)
            .to(self._first_states)
        )

    def unflatten(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Return the physics parameters of a flat vector by name."""
        if not self.names:  # np.split returns one piece at least
            return {}
        pieces = np.split(vector[: self.n_values], np.cumsum(self.sizes)[:-1])
        return {
            name: piece.reshape(shape)
            for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)
        }

    def _evaluate(
        self, point: Tensor, learned: Tensor | None, next_states: Tensor | None = None
    ) -> Tensor:
        """Return the residuals; windows must end at ``next_states``, by default at ``learned``."""
        values = {name: value.double() for name, value in self.hybrid.space.fixed.items()}
        pieces = point.split(self.sizes)
        for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True):
            values[name] = piece.reshape(shape)
        x = self.data.x
        if learned is None:
            prediction, gaps = self.hybrid.join(x, values, self.hybrid.silent), None
        else:
            prediction, last = self.hybrid.without_network(x, values, learned)
            gaps = self.hybrid.gaps(x, last, learned if next_states is None else next_states)
        residuals = ((prediction - self.data.y) * self._unit).reshape(-1)
        parts = [residuals]
        if gaps is not None:
            parts.append(self._gap_unit * gaps.reshape(-1))
        parts += [self._prior_rows(values[name], *each) for name, each in self._priors.items()]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _prior_rows(self, value: Tensor, kind: str, centre: np.ndarray, std: np.ndarray) -> Tensor:
        """Return the residuals of the prior of a parameter."""
        centre, std = (torch.tensor(each).to(value) for each in (centre, std))
        u = value.log() if kind == LOGNORMAL else value
        return ((u - centre) * (np.sqrt(self.prior_weight) / std)).reshape(-1)
