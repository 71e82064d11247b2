"""Values of the physics parameters for rows, and values that a structure gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from skhybrid.exceptions import StructureError
from skhybrid.runtime.suggestions import suggestion


def parameters_at(
    hybrid: Any,
    rows: tuple[Tensor | None, ...],
    coordinates: Mapping[str, Tensor],
    *,
    hold: bool = False,
) -> dict[str, Tensor]:
    """Return a value of every parameter for every row, of shape (n, *shape).

    In a field, varying parameters have the spatial axes after their own.

    Parameters
    ----------
    hybrid : Hybrid
    rows : tuple
        What the network reads: (features,), or (time, state, inputs).
    coordinates : mapping of str to Tensor
        Scaled physics parameters.
    hold : bool, default=False
        Whether the network's inputs are clamped to the training range.
    """
    values, n_rows = hybrid.space.values(coordinates), len(rows[0])
    answers = hybrid.answers_of(hybrid.bind_network(hold=hold))
    varied = {} if answers is None else hybrid.space.varied(values, answers(*rows))
    shapes = {name: value.ndim for name, value in values.items()}
    return {
        name: varied[name].movedim(shapes[name], 0)
        if name in hybrid.varying
        else values[name].expand(n_rows, *values[name].shape)
        for name in hybrid.space.names
    }


def replaced_values(
    values: Mapping[str, Tensor], replaced: Mapping[str, Tensor], physics: str
) -> dict[str, Tensor]:
    """Return parameters with those that a structure replaces; raise an error for unknown names."""
    for name in replaced:
        if name not in values:
            raise StructureError(
                f"structure calls physics(..., {name}=...), and physics {physics!r} has no "
                f"parameter {name!r}{suggestion(name, values)}"
            )
    return {**values, **replaced}
