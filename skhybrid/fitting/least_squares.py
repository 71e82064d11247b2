"""Nonlinear least squares for the physics alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.optimize
import scipy.sparse
import torch
from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.model.derivatives import directional
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.layout import FIRST_STATES

# This tolerance reaches the certified values of the NIST problems to six digits or more.
TIGHT_TOLERANCE = 1e-15
LOOSE_TOLERANCE = 1e-6
MAX_EVALUATIONS = 2000
# Relative step if a solver has no derivatives: well above the noise of its tolerances.
DIFFERENCE_STEP = 1e-3
# With more first states, the Jacobian is sparse.
MANY_STATES = 300


@dataclass(frozen=True)
class LeastSquaresFit:
    """Outcome of a least-squares fit of the physics.

    Attributes
    ----------
    values : dict of str to array
        Parameters in the user's units, fixed ones included.
    loss : float
        Mean weighted squared error in units of the target's variance.
    loss_curve : list of float
        The same at every evaluation.
    converged : bool
    message : str
    states : Tensor or None
        Learned first states as coordinates of the model, if it has any.
    sensitivities : dict of str to array of shape (n, *parameter_shape)
        ∂ŷ/∂θ by free parameter, for the n numbers of the target: in units of their standard
        deviation, with the square roots of their weights, and divided by the square root of n.
    """

    values: dict[str, np.ndarray]
    loss: float
    loss_curve: list[float]
    converged: bool
    message: str
    states: Tensor | None = None
    sensitivities: dict[str, np.ndarray] = field(default_factory=dict)


def fit_least_squares(
    hybrid: Hybrid,
    data: Batch,
    *,
    tolerance: float = TIGHT_TOLERANCE,
    max_evaluations: int = MAX_EVALUATIONS,
) -> LeastSquaresFit:
    """Fit the physics parameters without the network, from the start of the parameter space.

    Learned first states are fitted with them; the gaps between windows are residuals like the data.
    Uses the trust-region reflective method of
    :func:`scipy.optimize.least_squares` (Branch, Coleman and Li, 1999), a Levenberg-Marquardt
    method that respects bounds, in float64 and in the user's units, with forward-mode Jacobians.

    Parameters
    ----------
    hybrid : Hybrid
    data : Batch
        Rows in float64, with weights of the shape of the target or None.
    tolerance : float
        Relative change of the cost, the step and the gradient at which to stop.
    max_evaluations : int
        Largest number of evaluations of the physics.

    Returns
    -------
    LeastSquaresFit

    Raises
    ------
    ValueError, RuntimeError
        An error of the physics, or of scipy if residuals are not finite at the start.
    """
    residuals = _Residuals(hybrid, data)
    if not len(residuals.start):
        loss = residuals.loss(residuals(residuals.start))
        return LeastSquaresFit(dict(hybrid.space.start), loss, [loss], True, "nothing to fit")
    sparse = residuals.n_states > MANY_STATES and hybrid.differentiable
    solution = scipy.optimize.least_squares(
        residuals,
        residuals.start,
        jac=residuals.jacobian if hybrid.differentiable else "2-point",
        diff_step=DIFFERENCE_STEP,
        bounds=residuals.bounds,
        x_scale="jac",
        ftol=tolerance,
        xtol=tolerance,
        gtol=tolerance,
        max_nfev=max_evaluations,
        tr_solver="lsmr" if sparse else None,
    )
    # The method stays strictly inside the bounds, by a rounding error at an active bound.
    low, high = residuals.bounds
    on_bound = np.where(solution.active_mask < 0, low, high)
    vector = np.where(solution.active_mask == 0, solution.x, on_bound)
    return LeastSquaresFit(
        values={**hybrid.space.start, **residuals.unflatten(vector)},
        states=residuals.first_states(vector),
        loss=residuals.loss(solution.fun),
        loss_curve=residuals.loss_curve,
        converged=solution.status > 0,
        message=solution.message,
        sensitivities=residuals.sensitivities(solution.jac),
    )


class _Residuals:
    """Weighted residuals as a function of one flat parameter vector."""

    def __init__(self, hybrid: Hybrid, data: Batch) -> None:
        self.hybrid = hybrid
        self.data = data
        params = {} if hybrid.physics is None else hybrid.physics.params
        self.names = [name for name, param in params.items() if not param.fixed]
        self.shapes = [params[name].shape for name in self.names]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]
        flatten = lambda values: np.concatenate([np.ravel(v) for v in values] or [[]])  # noqa: E731
        low = flatten([params[name].limits()[0] for name in self.names])
        high = flatten([params[name].limits()[1] for name in self.names])
        # scipy needs a start strictly inside the bounds.
        start = np.clip(
            flatten([hybrid.space.start[name] for name in self.names]),
            np.nextafter(low, np.inf),
            np.nextafter(high, -np.inf),
        )
        self._first_states = hybrid.initial_coordinates().get(FIRST_STATES)
        self.n_states = 0 if self._first_states is None else self._first_states.numel()
        self.n_values = len(start)
        free = np.full(self.n_states, np.inf)
        self.start = np.concatenate([start, np.zeros(self.n_states)])
        self.bounds = (np.concatenate([low, -free]), np.concatenate([high, free]))
        unit = 1.0 / hybrid.scales.target_scale.double()
        self._unit = unit if data.weight is None else unit * data.weight.sqrt()
        self.loss_curve: list[float] = []

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            residuals = self._evaluate(*self._split(vector)).cpu().numpy()
        self.loss_curve.append(self.loss(residuals))
        return residuals

    def loss(self, residuals: np.ndarray) -> float:
        """Return the mean squared residual of the data, without gaps."""
        residuals = residuals[: self.data.y.numel()]
        with np.errstate(over="ignore"):
            return float(np.mean(residuals**2))

    def jacobian(self, vector: np.ndarray) -> np.ndarray | scipy.sparse.csr_array:
        """Return the Jacobian by forward differentiation, a column for each parameter element."""
        point, learned = self._split(vector)
        columns = [
            directional(lambda p: self._evaluate(p, learned), point, tangent)
            for tangent in torch.eye(len(point), dtype=point.dtype)
        ]
        blocks = [np.stack(columns, axis=1)] if columns else []
        if self.n_states:
            state_columns = self._state_jacobian(point, learned)
            if self.n_states <= MANY_STATES:
                state_columns = state_columns.toarray()
            blocks.append(state_columns)
        if self.n_states > MANY_STATES:
            return scipy.sparse.hstack([scipy.sparse.csr_array(b) for b in blocks], format="csr")
        return np.concatenate(blocks, axis=1)

    def sensitivities(self, jacobian: np.ndarray | scipy.sparse.csr_array) -> dict[str, np.ndarray]:
        """Return the columns of the physics parameters by name, without gaps."""
        if not self.names:  # np.split returns one piece at least
            return {}
        columns = jacobian[: self.data.y.numel(), : self.n_values]
        columns = columns.toarray() if scipy.sparse.issparse(columns) else columns
        columns = columns / np.sqrt(len(columns))
        pieces = np.split(columns, np.cumsum(self.sizes)[:-1], axis=1)
        return {
            name: piece.reshape(len(columns), *shape)
            for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)
        }

    def _state_jacobian(self, point: Tensor, learned: Tensor) -> scipy.sparse.csr_array:
        """Return the columns of the first states.

        A window depends only on its own first state, so one derivative serves the same component
        of all windows. Its gap also depends, linearly, on the first state of the next window.
        """
        x, n_rows = self.data.x, self.data.y.numel()
        size = learned[0].numel()
        n_windows = len(self.data.y)
        window = np.arange(n_windows).repeat(n_rows // n_windows)
        window = np.concatenate([window, np.arange(n_windows).repeat(size)])
        index, next_index = x.index.cpu().numpy(), x.next_index.cpu().numpy()
        parts = []
        for component in range(size):
            tangent = torch.zeros_like(learned).reshape(len(learned), size)
            tangent[:, component] = 1.0
            column = directional(
                lambda z: self._evaluate(point, z, next_states=learned),
                learned,
                tangent.reshape(learned.shape),
            )
            nonzero = np.flatnonzero(column)
            parts.append((column[nonzero], nonzero, index[window[nonzero]] * size + component))
        has_next = np.flatnonzero(next_index >= 0)
        unit = (x.next_unit / self.hybrid.scales.state_scale).reshape(n_windows, size)
        for component in range(size):
            slope = -self._gap_unit * unit[:, component].cpu().numpy()[has_next]
            gap_rows = n_rows + has_next * size + component
            parts.append((slope, gap_rows, next_index[has_next] * size + component))
        values, rows, columns = (np.concatenate(each) for each in zip(*parts, strict=True))
        shape = (len(window), self.n_states)
        return scipy.sparse.csr_array((values, (rows, columns)), shape=shape)

    @property
    def _gap_unit(self) -> float:
        """Factor that gives a gap the same weight beside the data as in training."""
        n_gaps = len(self.data.y) * self._first_states[0].numel()
        return float(np.sqrt(self.hybrid.structure.continuity * self.data.y.numel() / n_gaps))

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
        if gaps is None:
            return residuals
        return torch.cat([residuals, self._gap_unit * gaps.reshape(-1)])
