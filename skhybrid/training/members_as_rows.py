"""The rows of all members as one batch, evaluated without torch.vmap.

With torch.vmap instead, default fits take 1.2 times as long (table) and 1.3 times (windows), and
searches 1.2 times: medians in benchmarks/results/what_pays.csv.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from skhybrid.model.hybrid import Hybrid
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.variation import Variation, varied
from skhybrid.training.losses import SQUARED_ERROR, Loss
from skhybrid.training.members import Block


class MembersAsRows:
    """The losses of all members, from a model that sees their rows as one batch.

    Its arguments are the ones that :class:`~skhybrid.training.objective.Objective` would pass to
    ``torch.vmap``. It returns the same losses, without penalties. The caller must check that a
    model can be evaluated like this: physics that mixes rows, for example, gives wrong losses.

    Parameters
    ----------
    hybrid : Hybrid
    n_members : int
    rows_per_member : bool
        Whether rows have a leading member axis.
    member_constants : dict or None
        Scales and initial θ of every member, stacked, if they differ.
    axes_after_rows : int or None
        Number of axes of length one after the rows of a parameter, so that it broadcasts with what
        the physics makes of its rows: 1 for columns ``[:, :1]``. None lets ``torch.vmap`` evaluate
        the physics with each member's rows and parameters, which is slower.
    loss : Loss, default=Loss()
        What an error costs.
    solves_together : bool, default=False
        Whether gradients pass all stages of a rollout at once.
    """

    def __init__(
        self,
        hybrid: Hybrid,
        n_members: int,
        *,
        rows_per_member: bool,
        member_constants: dict | None,
        axes_after_rows: int | None,
        loss: Loss = SQUARED_ERROR,
        solves_together: bool = False,
    ) -> None:
        self.loss = loss
        self.n_members = n_members
        self._rows_per_member = rows_per_member
        self._axes_after_rows = axes_after_rows
        model = hybrid.of_members(n_members)
        if self.uses_vmap:
            physics = _PhysicsPerMember(hybrid.physics, hybrid.space.shapes, n_members)
            model = replace(model, physics=physics)
        self._has_constants = member_constants is not None
        if self._has_constants:
            model = model.with_member_constants(member_constants)
        if solves_together:
            model = model.with_rollout_gradient(self._rowwise_model)
        self._model = model
        self._inverse_scale = 1.0 / model.scales.target_scale
        self._with_rows: dict[int, Hybrid] = {}

    def __call__(
        self,
        coordinates: Mapping[str, Tensor],
        weights: Mapping[str, Tensor],
        x: Tensor | tuple,
        y: Tensor,
        weight: Tensor | None,
        *_: object,
    ) -> Tensor:
        """Return the mean weighted loss of every member, of shape (n_members,).

        Parameters
        ----------
        coordinates, weights : mapping of str to Tensor
            Scaled physics parameters and network parameters, with a leading member axis.
        x, y : Tensor or tuple, and Tensor
            Rows and targets.
        weight : Tensor or None
            Weights of the shape of y, or with a leading member axis.
        """
        x, hybrid = self.rows_and_model(x, y)
        prediction, extra = hybrid.evaluate(x, coordinates, weights, bounded=True)
        error = prediction.unflatten(0, (self.n_members, -1)) - y
        return self.loss.mean(error * self.inverse_unit(error), weight, self.unit_shape, 1) + extra

    @property
    def uses_vmap(self) -> bool:
        """Whether ``torch.vmap`` evaluates the physics."""
        return self._axes_after_rows is None

    def for_rows_of_members(self) -> MembersAsRows:
        """Return the same losses for rows with a leading member axis."""
        copied = copy.copy(self)
        copied._rows_per_member = True
        return copied

    def rows_and_model(self, x: Tensor | tuple, y: Tensor) -> tuple[Tensor | tuple, Hybrid]:
        """Return the rows of all members as one batch, and the model for these rows.

        Parameters
        ----------
        x, y : Tensor or tuple, and Tensor
            Rows and targets of a minibatch.
        """
        flatten = self._flattened if self._rows_per_member else self._repeated
        x = type(x)(*map(flatten, x)) if isinstance(x, tuple) else flatten(x)
        return x, self._rowwise_model(y.shape[1 if self._rows_per_member else 0])

    @property
    def unit_shape(self) -> tuple[int, ...]:
        """Shape of the standard deviation of a member's target."""
        return tuple(
            self._inverse_scale.shape[1:] if self._has_constants else self._inverse_scale.shape
        )

    def inverse_unit(self, error: Tensor) -> Tensor:
        """Return the inverse standard deviation of the target, broadcastable with the errors."""
        scale = self._inverse_scale
        if not self._has_constants:
            return scale
        between = [1] * (error.ndim - scale.ndim)
        return scale.reshape(self.n_members, *between, *scale.shape[1:])

    def _rowwise_model(self, n_rows: int) -> Hybrid:
        """Return the model with one value per row for everything that differs between members."""
        if n_rows not in self._with_rows:
            model = self._model
            space, scales = model.space, model.scales
            if not self.uses_vmap:
                space = _RowwiseSpace(
                    space, n_rows, self._axes_after_rows, has_constants=self._has_constants
                )
            if self._has_constants:
                constants = vars(scales).items()
                repeated = {name: each.repeat_interleave(n_rows, dim=0) for name, each in constants}
                scales = replace(scales, **repeated)
            self._with_rows[n_rows] = model.at(space, scales)
        return self._with_rows[n_rows]

    def _repeated(self, rows: Tensor | None) -> Tensor | None:
        """Repeat the rows for every member."""
        if rows is None:
            return None
        return rows.expand(self.n_members, *rows.shape).flatten(0, 1)

    @staticmethod
    def _flattened(rows: Tensor | None) -> Tensor | None:
        """Merge the member axis and the row axis."""
        return None if rows is None else rows.flatten(0, 1)


class _PhysicsPerMember:
    """The physics of all members, evaluated separately for each member's rows and parameters.

    Parameters
    ----------
    physics : Physics
    free : iterable of str
        Names of the free parameters, which have a member axis.
    n_members : int
    """

    def __init__(self, physics: Physics, free: Iterable[str], n_members: int) -> None:
        self._physics = physics
        self._free = tuple(free)
        self._n_members = n_members
        self.name = physics.name

    def __call__(self, *rows: Tensor, **values: Tensor) -> Tensor:
        """Evaluate the rows of all members, ordered by member."""
        free = {name: values.pop(name) for name in self._free}

        def one_member(rows: Sequence[Tensor], own: Mapping[str, Tensor]) -> Tensor:
            return self._physics(*rows, **values, **own)

        by_member = [each.unflatten(0, (self._n_members, -1)) for each in rows]
        return torch.vmap(one_member, randomness="different")(by_member, free).flatten(0, 1)


class _RowwiseSpace:
    """Physics parameters with one value for every row.

    The rows come after the axes of a parameter, so physics indexes an element of a vector as usual.
    Axes of length one may follow: in place of the spatial axes of fields, or for columns.
    """

    def __init__(
        self, space: ParameterSpace, n_rows: int, axes_after_rows: int, *, has_constants: bool
    ) -> None:
        self._space = space
        self._n_rows = n_rows
        self._ones = (1,) * axes_after_rows
        self._variations = space.variations
        if has_constants:
            self._variations = {n: self._rowwise(each) for n, each in space.variations.items()}

    def values(self, coordinates: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return fixed parameters unchanged, and free parameters with one value for every row."""
        values = self._space.values(coordinates)
        return {
            name: self._repeated(value) if name in coordinates else value
            for name, value in values.items()
        }

    def varied(
        self, values: Mapping[str, Tensor], answers: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the parameters with the network's answers."""
        return varied(self._variations, values, answers)

    def _rowwise(self, variation: Variation) -> Variation:
        """Return a variation whose constants have one value for every row."""
        constants = variation.constants.items()
        return variation.at({name: self._repeated(each) for name, each in constants})

    def _repeated(self, values: Tensor) -> Tensor:
        """Repeat each member's value for its rows."""
        rows = values.movedim(0, -1).repeat_interleave(self._n_rows, dim=-1)
        return rows.reshape(*rows.shape, *self._ones) if self._ones else rows


def agree(
    found: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor], blocks: Sequence[Block]
) -> bool:
    """Whether two losses and gradients are the same up to rounding.

    Parameters
    ----------
    found, expected : (losses, gradient)
        Losses and flat gradients of all members.
    blocks : sequence of Block
        Positions of the parameters in the gradient.

    Returns
    -------
    bool
        False also if losses and gradients of fewer than two members are finite, or those of a
        single member are not: then the comparison says nothing.
    """
    finite = torch.isfinite(expected[0]).reshape(-1)
    for block in blocks:
        finite = finite & torch.isfinite(block.view(expected[1])).all(dim=1)
    if int(finite.sum()) < min(2, len(finite)):
        return False
    tolerance = torch.finfo(expected[0].dtype).eps ** 0.5
    pairs = [(found[0], expected[0])]
    pairs += [(block.view(found[1]), block.view(expected[1])) for block in blocks]
    return all(
        torch.allclose(
            one,
            other,
            rtol=0.0,
            atol=tolerance * float(other.nan_to_num(0.0, 0.0, 0.0).abs().max()),
            equal_nan=True,
        )
        for one, other in pairs
    )
