"""Whether the physics gives numbers of another size than y: a sign of other units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from skhybrid.model.batch import Batch, Windows
from skhybrid.model.hybrid import Hybrid
from skhybrid.runtime.number_text import number_text
from skhybrid.runtime.seeds import seeded
from skhybrid.runtime.user_warnings import warnings_caught

# Physics that is far from y in size, by such a factor, is hardly in its units.
OTHER_UNITS = 100.0


def other_units(hybrid: Hybrid, values: Mapping[str, Any], data: Batch) -> str:
    """Return a sentence about the sizes of y and of the physics if they are far apart, or "".

    Trajectories begin at states that are in the units of y, so that their sizes tell nothing.

    Parameters
    ----------
    hybrid : Hybrid
    values : mapping of str to array or Tensor
        Physics parameters after the fit.
    data : Batch
        Training rows.
    """
    if isinstance(data.x, Windows):
        return ""
    values = {name: torch.as_tensor(value).to(data.y) for name, value in values.items()}
    try:
        with torch.no_grad(), seeded(0), warnings_caught():
            given = _size(hybrid.bind_physics(values)(data.x), data.weight)
    except (RuntimeError, ValueError):  # a finished fit must not fail here
        return ""
    observed = _size(data.y, data.weight)
    if not observed > 0.0 or 1.0 / OTHER_UNITS < given / observed < OTHER_UNITS:
        return ""
    return (
        f" Here y has a root mean square of {number_text(observed, 2)}, and the physics one of "
        f"{number_text(given, 2)}: is y in other units than the physics? Then convert y, and "
        "leave the bounds as they are."
    )


def _size(values: Tensor, weight: Tensor | None) -> float:
    """Return the root mean square of observed values."""
    known = torch.ones_like(values) if weight is None else (weight > 0).to(values)
    values = torch.where(known.expand_as(values) > 0, values, 0.0).double()
    return float((values.square().sum() / known.expand_as(values).sum()).sqrt())
