"""What a fit says while it runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from skhybrid.training.sharing import Shares

LINES_PER_PHASE = 20


def is_due(epoch: int, n_epochs: int) -> bool:
    """Whether a line is printed after this epoch: about twenty times in a phase."""
    return epoch == 1 or epoch == n_epochs or epoch % max(1, n_epochs // LINES_PER_PHASE) == 0


def progress_line(
    phase: str,
    epoch: int,
    n_epochs: int,
    loss: float,
    shares: Shares,
    values: Mapping[str, np.ndarray],
) -> str:
    """Return one readable line: phase, epoch, loss, the physics' share and the parameters."""
    width = len(str(n_epochs))
    parameters = "  ".join(
        f"{name}={np.array2string(np.asarray(value), precision=4)}"
        for name, value in values.items()
    )
    return (
        f"{phase:<8} epoch {epoch:>{width}}/{n_epochs}  loss {loss:.3e}  "
        f"physics share {100 * shares.physics_share:5.1f} %  {parameters}"
    ).rstrip()
