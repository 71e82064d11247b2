"""Lines that a fit with ``verbose`` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

LINES_PER_PHASE = 20


def is_due(epoch: int, n_epochs: int) -> bool:
    """Whether to print a line after this epoch: about twenty times in a phase."""
    return epoch in (1, n_epochs) or epoch % math.ceil(n_epochs / LINES_PER_PHASE) == 0


def progress_line(
    phase: str,
    epoch: int,
    n_epochs: int,
    loss: float,
    physics_share: float | None,
    values: Mapping[str, float | np.ndarray],
) -> str:
    """Return one line: phase, epoch, loss, the physics' share and the parameters."""
    width = len(str(n_epochs))
    columns = [f"{phase:<8} epoch {epoch:>{width}}/{n_epochs}", f"loss {loss:.3e}"]
    if physics_share is not None:
        columns.append(f"physics share {100 * physics_share:5.1f} %")
    columns += [f"{name}={_shown(value)}" for name, value in values.items()]
    return "  ".join(columns)


def _shown(value: float | np.ndarray) -> str:
    """Return a number, or an array on one line, with four digits."""
    return np.array2string(
        np.asarray(value),
        formatter={"float_kind": lambda number: f"{number:.4g}"},
        max_line_width=10_000,
        threshold=8,
        edgeitems=2,
    ).replace("\n", "")
