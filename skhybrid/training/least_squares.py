"""The physics alone: nonlinear least squares by scipy, with Jacobians by torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from skhybrid.structures import Hybrid
from skhybrid.training.objective import Batch

# At this tolerance the certified values of the NIST problems are reached to six digits or more.
TIGHT_TOLERANCE = 1e-15
LOOSE_TOLERANCE = 1e-6
MAX_EVALUATIONS = 2000


@dataclass(frozen=True)
class LeastSquaresFit:
    """Outcome of a least-squares fit of the physics.

    Attributes
    ----------
    values : dict of str to array
        Parameters in the user's units, the fixed ones included.
    loss : float
        Mean weighted squared error in units of the target's spread.
    loss_curve : list of float
        The same, at every evaluation.
    converged : bool
    message : str
    """

    values: dict[str, np.ndarray]
    loss: float
    loss_curve: list[float]
    converged: bool
    message: str


def fit_least_squares(
    hybrid: Hybrid,
    data: Batch,
    *,
    tolerance: float = TIGHT_TOLERANCE,
    max_evaluations: int = MAX_EVALUATIONS,
) -> LeastSquaresFit:
    """Fit the physics parameters with a silent network, from the start of the parameter space.

    Uses the trust-region reflective method of :func:`scipy.optimize.least_squares` (Branch,
    Coleman and Li, 1999), a Levenberg-Marquardt method that respects bounds, in float64 and in the
    user's units, with forward-mode Jacobians.

    Parameters
    ----------
    hybrid : Hybrid
    data : Batch
        Rows in float64, with weights of the shape of the target or None.
    tolerance : float
        Relative change of the cost, the step and the gradient at which to stop.
    max_evaluations : int
        Most evaluations of the physics.

    Returns
    -------
    LeastSquaresFit

    Raises
    ------
    ValueError, RuntimeError
        Whatever the physics raises, or scipy for residuals that are not finite at the start.
    """
    residuals = _Residuals(hybrid, data)
    if not residuals.names:
        loss = residuals.loss(residuals(residuals.start))
        return LeastSquaresFit(dict(hybrid.space.start), loss, [loss], True, "nothing to fit")
    solution = scipy.optimize.least_squares(
        residuals,
        residuals.start,
        jac=residuals.jacobian,
        bounds=residuals.bounds,
        x_scale="jac",
        ftol=tolerance,
        xtol=tolerance,
        gtol=tolerance,
        max_nfev=max_evaluations,
    )
    # The method stays strictly inside the bounds, by a rounding error where one is active.
    low, high = residuals.bounds
    on_bound = np.where(solution.active_mask < 0, low, high)
    vector = np.where(solution.active_mask == 0, solution.x, on_bound)
    return LeastSquaresFit(
        values={**hybrid.space.start, **residuals.unflatten(vector)},
        loss=residuals.loss(solution.fun),
        loss_curve=residuals.loss_curve,
        converged=solution.status > 0,
        message=solution.message,
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
        self.bounds = (low, high)
        # scipy wants the start strictly inside the bounds.
        self.start = np.clip(
            flatten([hybrid.space.start[name] for name in self.names]),
            np.nextafter(low, np.inf),
            np.nextafter(high, -np.inf),
        )
        unit = 1.0 / hybrid.scales.target_scale.double()
        self._unit = unit if data.weight is None else unit * data.weight.sqrt()
        self.loss_curve: list[float] = []

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            residuals = self._evaluate(torch.as_tensor(vector)).cpu().numpy()
        self.loss_curve.append(self.loss(residuals))
        return residuals

    def loss(self, residuals: np.ndarray) -> float:
        with np.errstate(over="ignore"):
            return float(np.mean(residuals**2))

    def jacobian(self, vector: np.ndarray) -> np.ndarray:
        """Return the Jacobian, a column for each parameter element by forward differentiation."""
        point = torch.as_tensor(vector)
        columns = []
        for tangent in torch.eye(len(point), dtype=point.dtype):
            try:
                _, column = torch.func.jvp(self._evaluate, (point,), (tangent,))
            except (NotImplementedError, RuntimeError):
                # An operation without a forward derivative: differentiate backwards twice.
                _, column = torch.autograd.functional.jvp(self._evaluate, point, tangent)
            columns.append(column.detach().cpu().numpy())
        return np.stack(columns, axis=1)

    def unflatten(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        pieces = np.split(vector, np.cumsum(self.sizes)[:-1])
        return {
            name: piece.reshape(shape)
            for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)
        }

    def _evaluate(self, vector: Tensor) -> Tensor:
        values = {name: value.double() for name, value in self.hybrid.space.fixed.items()}
        pieces = vector.to(self.data.x.device).split(self.sizes)
        for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True):
            values[name] = piece.reshape(shape)
        physics = self.hybrid.bind_physics(values)
        prediction = self.hybrid.join(self.data.x, physics, self.hybrid.silent_network)
        return ((prediction - self.data.y) * self._unit).reshape(-1)
