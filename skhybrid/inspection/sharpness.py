"""How sharp the loss is around the weights of a fitted network, layer by layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.inspection.tables import html_table, text_table
from skhybrid.inspection.training_rows import TrainingRows, training_rows
from skhybrid.model.batch import select_rows
from skhybrid.runtime.chunks import chunks
from skhybrid.runtime.frames import data_frame
from skhybrid.training.members import Block, Members
from skhybrid.training.sam import SAM

TOGETHER = "all layers"
# Rows that are differentiated twice at once.
ROWS_AT_ONCE = 2**13
# Layers with at most so many weights have their whole Hessian, in as many products.
SMALL = 20
# Residual of the eigenvector, relative to the eigenvalue. The error of the value is its square.
TOLERANCE = 1e-4
NO_SECOND_DERIVATIVE = (
    "There is no curvature: the solver's gradients come from an adjoint equation, which cannot be "
    "differentiated again. An explicit method, such as ODE(method='rk4'), can."
)
NOT_CONVERGED = "Curvatures without a value did not converge: the loss is not smooth enough."


@dataclass(frozen=True)
class LayerSharpness:
    """How sharp the loss is around the weights of one layer, or of all.

    Attributes
    ----------
    n_weights : int
    norm : float
        ‖W‖.
    gap : float
        Loss at W + ρ‖W‖ g / ‖g‖ less the loss at W, for the gradient g.
    curvature : float
        ‖W‖² times the largest eigenvalue of the Hessian, NaN if it is not known.
    """

    n_weights: int
    norm: float
    gap: float
    curvature: float


@dataclass(frozen=True)
class Sharpness:
    """What :func:`sharpness` returns.

    Attributes
    ----------
    rho : float
    loss : float
        Mean weighted squared error in units of the target's variance.
    layers : dict of str to LayerSharpness
        By name of the weights in ``module_``, such as "0.weight".
    together : LayerSharpness
        All layers at once; each moves by ρ times its own norm, and its norm is its unit in the
        Hessian.
    reason : str
        Why curvatures are missing; otherwise empty.
    """

    rho: float
    loss: float
    layers: dict[str, LayerSharpness]
    together: LayerSharpness
    reason: str = ""

    @property
    def rows(self) -> dict[str, dict[str, float]]:
        """One row for each layer, and one for all."""
        return {
            name: {
                "weights": each.n_weights,
                "norm": each.norm,
                "gap": each.gap,
                "curvature": each.curvature,
            }
            for name, each in {**self.layers, TOGETHER: self.together}.items()
        }

    @property
    def frame(self) -> Any:
        """The rows as a DataFrame; needs pandas."""
        rows = self.rows
        return data_frame([*rows.values()], index=[*rows])

    @property
    def _title(self) -> str:
        title = f"Sharpness at a loss of {self.loss:.4g}; gap at ρ = {self.rho:g}"
        return f"{title}. {self.reason}" if self.reason else title

    def __str__(self) -> str:
        return text_table(self._title, self.rows)

    def _repr_html_(self) -> str:
        return html_table(self._title, self.rows)


def sharpness(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    rho: float = 0.05,
    sample_weight: Any = None,
    random_state: Any = 0,
) -> Sharpness:
    """Measure how sharp the loss is around the weights of a fitted network, layer by layer.

    The gap is what sharpness-aware minimisation keeps small: by how much the loss rises if the
    weights W of a layer move by ρ‖W‖ along their gradient. The curvature says the same to second
    order, in the sharpest direction. Both do not change if a layer is multiplied and the next one
    divided by the same number. Biases and θ do not move, as with ``perturbation="layer"``.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted.
    X, y : array-like
        As for ``fit``: the training rows, or others. With learned first states, the training
        trajectories.
    rho : float, default=0.05
        Radius ρ of the gap: the estimator's default. To compare fits, use the same one for all.
    sample_weight : array-like of shape (n_samples,), default=None
    random_state : int, RandomState instance or None, default=0
        Seed of the vector with which the search for an eigenvalue begins.

    Returns
    -------
    Sharpness

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If the model has no network, or none with trained weights, or if ``rho`` is not a positive
        number.

    Notes
    -----
    The loss is the mean weighted squared error, in units of the target's variance, without
    penalties; for trajectories, that of the windows of the training. The gap is that of [1]_,
    equation 2, to first order, with a radius for each layer. The curvature is the largest
    eigenvalue of the Hessian in W / ‖W‖, from products of the Hessian and vectors by the method of
    Lanczos [2]_, which is power iteration that keeps its vectors. It is never negative for a layer
    at a minimum.

    A flat loss does not make θ right: on random tasks with known θ, neither measure ranks its
    errors, over radii or over networks (benchmarks/bench_sharpness.py).

    References
    ----------
    .. [1] P. Foret, A. Kleiner, H. Mobahi, B. Neyshabur, "Sharpness-aware minimization for
       efficiently improving generalization", ICLR 2021.
    .. [2] C. Lanczos, "An iteration method for the solution of the eigenvalue problem of linear
       differential and integral operators", Journal of Research of the National Bureau of
       Standards 45, 1950.

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import sharpness
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=100, random_state=0)
    >>> model = model.fit(data.data, data.target)
    >>> found = sharpness(model, data.data, data.target)
    >>> [*found.rows]
    ['0.weight', '2.weight', 'all layers']
    >>> found.together.gap > 0
    True
    """
    check_is_fitted(hybrid_of(estimator), "_fitted")
    if not (isinstance(rho, Real) and np.isfinite(rho) and rho > 0):
        raise ValueError(f"rho must be a positive number, such as 0.05; got {rho!r}.")
    if hybrid_of(estimator)._fitted.hybrid.network is None:
        raise ValueError(
            "The model has no network (nn=None), so there are no layers whose sharpness could be "
            "measured."
        )
    start = check_random_state(random_state)
    around = _Surroundings(training_rows(estimator, X, y, sample_weight), rho)
    layers = {block.name: around.measure([block], start) for block in around.blocks}
    together = around.measure(around.blocks, start)
    measured = [*layers.values(), together]
    reason = ""
    if not all(np.isfinite(each.curvature) for each in measured):
        reason = NOT_CONVERGED if around.hybrid.differentiable else NO_SECOND_DERIVATIVE
    return Sharpness(float(rho), around.loss, layers, together, reason)


class _Surroundings:
    """The loss around the weights of a fitted network, of which this is a copy.

    Attributes
    ----------
    hybrid : Hybrid
    blocks : list of Block
        The layers that move.
    loss : float
        At the weights.
    """

    def __init__(self, rows: TrainingRows, rho: float) -> None:
        network = copy.deepcopy(rows.hybrid.network)
        weights = {name: each.detach() for name, each in network.named_parameters()}
        self.hybrid = rows.hybrid.with_network(network)
        self._members = Members(network, [weights], [rows.coordinates])
        self._data = rows.data
        radius = torch.full((1,), float(rho))
        self._sam = SAM(self._members, radius, "layer", "nn")
        self.blocks = [block for block in self._members.blocks if self._sam.moves(block)]
        if not self.blocks:
            raise ValueError(
                "The network has no trained weights, which are tensors of two or more dimensions, "
                "so there are no layers whose sharpness could be measured."
            )
        self.loss = self._loss()
        slopes = self._slopes(self._leaves(self.blocks), graph=False)
        self._gradient = [sum(addends) for addends in zip(*slopes, strict=True)]

    def measure(self, blocks: Sequence[Block], start: np.random.RandomState) -> LayerSharpness:
        """Return the sharpness of some layers together."""
        norms = torch.cat([block.view(self._members.flat).norm().reshape(1) for block in blocks])
        return LayerSharpness(
            n_weights=sum(block.stop - block.start for block in blocks),
            norm=float(norms.norm()),
            gap=self._gap(blocks),
            curvature=self._curvature(blocks, norms, start),
        )

    def _gap(self, blocks: Sequence[Block]) -> float:
        """Return by how much the loss rises if these layers move as in a step of SAM."""
        gradient = self._members.gradient.zero_()
        for block, found in zip(self.blocks, self._gradient, strict=True):
            if block in blocks:
                block.view(gradient).copy_(found.reshape(1, -1))
        self._sam.ascend()
        moved = self._loss()
        self._sam.descend()
        return moved - self.loss

    def _curvature(
        self, blocks: Sequence[Block], norms: Tensor, start: np.random.RandomState
    ) -> float:
        """Return the largest eigenvalue of the Hessian in units of the layers' norms."""
        if not self.hybrid.differentiable:
            return float("nan")
        leaves = self._leaves(blocks)
        sizes = [leaf.numel() for leaf in leaves]
        units = torch.repeat_interleave(norms, torch.tensor(sizes, device=norms.device))
        # The graphs of many rows would need much memory: they are made again for each product.
        few = len(self._data.y) <= ROWS_AT_ONCE
        kept = [*self._slopes(leaves, graph=True)] if few else None

        def product(vector: np.ndarray) -> np.ndarray:
            pieces = (torch.as_tensor(vector.ravel()).to(units) * units).split(sizes)
            total = torch.zeros_like(units)
            for slopes in self._slopes(leaves, graph=True) if kept is None else kept:
                pairs = zip(slopes, pieces, strict=True)
                slope = sum(torch.dot(each.reshape(-1), piece) for each, piece in pairs)
                if slope.requires_grad:  # otherwise, the loss is linear in these weights
                    found = torch.autograd.grad(
                        slope, leaves, retain_graph=few, materialize_grads=True
                    )
                    total += torch.cat([each.reshape(-1) for each in found])
            return (total * units).double().cpu().numpy()

        return largest_eigenvalue(product, len(units), start)

    def _leaves(self, blocks: Sequence[Block]) -> list[Tensor]:
        """Return the weights of layers as autograd knows them."""
        return [self._members.weights[block.name] for block in blocks]

    @torch.no_grad()
    def _loss(self) -> float:
        """Return the loss over all rows."""
        return float(sum(part.double() for part in self._parts()))

    def _slopes(self, leaves: Sequence[Tensor], *, graph: bool) -> Iterator[Sequence[Tensor]]:
        """Yield the addends of the gradient, each from some of the rows, perhaps with a graph."""
        for part in self._parts():
            yield torch.autograd.grad(part, leaves, create_graph=graph, materialize_grads=True)

    def _parts(self) -> Iterator[Tensor]:
        """Yield the addends of the loss, each from some of the rows."""
        x, y, weight = self._data
        for rows in chunks(range(len(y)), ROWS_AT_ONCE):
            chosen = slice(rows.start, rows.stop)
            own = None if weight is None else weight[chosen]
            prediction, extra = self.hybrid.evaluate(
                select_rows(x, chosen), self._members.coordinates, bounded=True
            )
            squares = ((prediction - y[chosen]) / self.hybrid.scales.target_scale).square()
            loss = (squares if own is None else squares * own).mean() + extra
            yield loss * (len(rows) / len(y))


def largest_eigenvalue(
    product: Callable[[np.ndarray], np.ndarray], size: int, start: np.random.RandomState
) -> float:
    """Return the largest eigenvalue of a symmetric matrix, NaN if it cannot be found.

    Parameters
    ----------
    product : callable
        Returns the matrix times a vector of shape (size,).
    size : int
    start : RandomState
        Draws the first vector.
    """
    if size <= SMALL:
        matrix = np.stack([product(column) for column in np.eye(size)])
        if not np.isfinite(matrix).all():
            return float("nan")
        return float(np.linalg.eigvalsh((matrix + matrix.T) / 2.0)[-1])
    first = start.standard_normal(size)
    image = product(first)
    if not np.isfinite(image).all():
        return float("nan")
    if not image.any():
        return 0.0
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    try:
        found = eigsh(operator, 1, which="LA", v0=first, tol=TOLERANCE, return_eigenvectors=False)
    except ArpackNoConvergence:
        return float("nan")
    return float(found[0])
