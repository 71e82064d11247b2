"""Directions in θ along which the physics changes by a constant: an offset or a factor."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from skhybrid.model.batch import Batch
from skhybrid.model.derivatives import directional
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.structures import multiplicative

# Numbers of the prediction on which derivatives are computed.
MAX_NUMBERS = 500
# Part of a constant that the derivatives of the physics may leave unexplained.
UNEXPLAINED = 1e-6
# Singular values of the scaled derivatives below this part of the largest do not count.
RANK = 1e-6
MAX_ITERATIONS = 12
# A prediction is reached within this part of its size. Parameters with a smaller effect stay.
EXACT = 1e-10
# An element of θ that makes up for less than this part of a constant does not count.
NO_PART = 1e-3

Tensors = Mapping[str, Tensor]


class PhysicsOnRows:
    """The physics on some training rows as a function of its free parameters, in float64.

    Predictions are in standard deviations of the target. Targets without weight are left out.

    Parameters
    ----------
    hybrid : Hybrid
    data : Batch
        Training rows; at most :data:`MAX_NUMBERS` targets are used.
    coordinates : mapping of str to Tensor
        Scaled physics parameters.

    Attributes
    ----------
    start : Tensor of shape (n_parameters,)
        The free parameters at the coordinates.
    """

    def __init__(self, hybrid: Hybrid, data: Batch, coordinates: Tensors) -> None:
        self.hybrid = hybrid
        self._n_targets = data.y[0].numel()
        n_rows = len(data.y)
        most = min(n_rows, max(1, MAX_NUMBERS // self._n_targets))
        rows = torch.linspace(0, n_rows - 1, most, dtype=torch.float64).long().to(data.y.device)
        self._x = data.x[rows].double()
        weight = torch.ones_like(data.y) if data.weight is None else data.weight
        self._used = (weight[rows] > 0.0).reshape(-1)
        self._unit = hybrid.scales.target_scale.double()
        self._before = coordinates
        values = hybrid.space.values(coordinates)
        self._fixed = {name: values[name].double() for name in hybrid.space.fixed}
        self._shapes = {name: torch.Size(shape) for name, shape in hybrid.space.shapes.items()}
        self.start = torch.cat([values[name].double().reshape(-1) for name in self._shapes])

    @property
    def n_numbers(self) -> int:
        """Number of predicted numbers."""
        return int(self._used.sum())

    def __call__(self, vector: Tensor) -> Tensor:
        """Return the prediction, of shape (n_numbers,)."""
        values = {**self._fixed, **self.by_name(vector)}
        values = {name: values[name] for name in self.hybrid.space.names}
        return (self.hybrid.bind_physics(values)(self._x) / self._unit).reshape(-1)[self._used]

    def jacobian(self, vector: Tensor) -> Tensor:
        """Return the derivatives, of shape (n_numbers, n_parameters)."""
        tangents = torch.eye(len(vector), dtype=torch.float64, device=vector.device)
        columns = directional(self, vector, [*tangents], self.n_numbers)
        return torch.stack([torch.as_tensor(column) for column in columns], dim=1).to(vector)

    def constants(self, known: Tensor) -> Tensor:
        """Return what one unit of each output of the network gives.

        Parameters
        ----------
        known : Tensor of shape (n_numbers,)
            The prediction.

        Returns
        -------
        Tensor of shape (n_numbers, n_targets)
        """
        target = torch.arange(len(self._used), device=known.device) % self._n_targets
        own = nn.functional.one_hot(target[self._used], self._n_targets).to(known)
        return own * known.unsqueeze(1) if self.hybrid.structure is multiplicative else own

    def solve(self, goal: Tensor, jacobian: Tensor) -> Tensor | None:
        """Return parameters whose prediction is the goal, by Gauss–Newton; None if none are found.

        Parameters
        ----------
        goal : Tensor of shape (n_numbers,)
        jacobian : Tensor of shape (n_numbers, n_parameters)
            Derivatives at the start.
        """
        vector, missing = self.start, goal - self(self.start)
        size = goal.norm() + (goal - missing).norm()
        for _ in range(MAX_ITERATIONS):
            if missing.norm() <= EXACT * size:
                return vector
            vector = vector + _least_squares(jacobian, missing)
            missing = goal - self(vector)
            if not bool(torch.isfinite(missing).all()):
                return None
            jacobian = self.jacobian(vector)
        return None

    def part_within_limits(self, vector: Tensor) -> float:
        """Return which part of the way from the start to these parameters is within the limits."""
        part = 1.0
        for name, step in self._steps(vector).items():
            before = self._before[name].double()
            low, high = (side.to(before) for side in self.hybrid.space.limits[name])
            room = torch.where(step > 0.0, high - before, before - low).clamp(min=0.0)
            parts = torch.where(step.abs() > room, room / step.abs(), 1.0)
            part = min(part, float(parts.min()))
        return part

    def coordinates(self, vector: Tensor) -> dict[str, Tensor]:
        """Return the coordinates of parameters, within the limits."""
        moved = dict(self._before)
        for name, step in self._steps(vector).items():
            before = self._before[name]
            limits = self.hybrid.space.limits[name]
            moved[name] = (before.double() + step).to(before).clamp(*limits)
        return moved

    def elements_that_give(self, constant: Tensor, jacobian: Tensor) -> list[tuple[str, tuple]]:
        """Return the names and indices of the parameters whose change gives a constant."""
        effects = (_least_squares(jacobian, constant) * jacobian.norm(dim=0)).abs()
        moving = self.by_name(effects > NO_PART * effects.max())
        return [
            (name, tuple(index.tolist())) for name, own in moving.items() for index in own.nonzero()
        ]

    def by_name(self, vector: Tensor) -> dict[str, Tensor]:
        """Return the parameters of a vector by name."""
        parts = vector.split([shape.numel() for shape in self._shapes.values()])
        return {
            name: part.reshape(shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }

    def _steps(self, vector: Tensor) -> dict[str, Tensor]:
        """Return the changes of the coordinates from the start."""
        scales = self.hybrid.space.scales
        return {
            name: step / torch.as_tensor(scales[name]).to(step)
            for name, step in self.by_name(vector - self.start).items()
        }


def flat_directions(jacobian: Tensor, constants: Tensor) -> Tensor:
    """Return the combinations of constants that a change of θ gives exactly.

    Parameters
    ----------
    jacobian : Tensor of shape (n_numbers, n_parameters)
    constants : Tensor of shape (n_numbers, n_targets)

    Returns
    -------
    Tensor of shape (n_targets, n_directions)
        Orthonormal columns, in which each constant has a length of one.
    """
    if not bool((constants.norm(dim=0) > 0.0).all()):
        return constants.new_zeros((constants.shape[1], 0))
    basis, sizes, _ = torch.linalg.svd(_unit_columns(jacobian), full_matrices=False)
    basis = basis[:, sizes > RANK * sizes.max()]
    constants = _unit_columns(constants)
    unexplained = constants - basis @ (basis.T @ constants)
    _, sizes, directions = torch.linalg.svd(unexplained, full_matrices=False)
    return directions[sizes < UNEXPLAINED].T


def _unit_columns(matrix: Tensor) -> Tensor:
    """Return the columns divided by their lengths; zeros remain."""
    lengths = matrix.norm(dim=0)
    return matrix / torch.where(lengths > 0.0, lengths, 1.0)


def _least_squares(jacobian: Tensor, goal: Tensor) -> Tensor:
    """Return the smallest solution, where each parameter is measured by its effect."""
    lengths = jacobian.norm(dim=0)
    effects = torch.linalg.pinv(_unit_columns(jacobian), rtol=RANK) @ goal
    moves = (lengths > 0.0) & (effects.abs() > EXACT * effects.abs().max())
    return torch.where(moves, effects / lengths, 0.0)
