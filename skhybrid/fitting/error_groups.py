"""Which values of a fit have independent errors: single values, trajectories or blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skhybrid.data.rows import Rows
from skhybrid.data.trajectories import Trajectories

# With fewer trajectories, their sums of scores say too little about the spread: blocks are used.
MIN_TRAJECTORIES = 5
# A block has windows that begin within so many lengths of a window. Windows of two blocks that
# share values are then few.
BLOCK_WINDOWS = 5
MAX_BLOCKS = 20


@dataclass(frozen=True)
class ErrorGroups:
    """Groups of windows whose errors are independent of each other.

    Attributes
    ----------
    kind : {"values", "rollouts", "trajectories", "blocks"}
        "values" are independent one by one: rows of a table, and values of whole rollouts from
        learned first states. So are "rollouts", if their first states are exact.
    of_window : array of int, shape (n_windows,), or None
        The group of each window, from zero; None for values one by one.
    """

    kind: str = "values"
    of_window: np.ndarray | None = None

    @property
    def number(self) -> int:
        """Number of groups of windows."""
        return 0 if self.of_window is None else int(self.of_window.max()) + 1


def error_groups(trajectories: Trajectories | None, rows: Rows) -> ErrorGroups:
    """Return what has independent errors in a fit.

    Values of a table are independent, and so are those of whole rollouts from learned first states.
    Other windows of one trajectory depend on each other: windows that overlap use the same
    observations, as targets and as first states, and windows that follow each other are tied. The
    error of an observed first state also lasts a whole rollout. With five trajectories or more, the
    trajectories are the groups. With fewer, the windows of each are cut into blocks of at least
    five lengths of a window (cf. the blocks of Künsch, 1989), and whole rollouts count value by
    value, which is right only if their first states are exact.

    Parameters
    ----------
    trajectories : Trajectories or None
        None for a table.
    rows : Rows
        Rows of the table, or windows.
    """
    if trajectories is None:
        return ErrorGroups()
    window = rows.x.steps.shape[1]
    trajectory, at = trajectories.window_places(window, rows.kept)
    numbers, trajectory = np.unique(trajectory, return_inverse=True)
    whole = len(numbers) == len(trajectory)
    if whole and trajectories.layout.learned:
        return ErrorGroups()
    if whole and len(numbers) < MIN_TRAJECTORIES:
        return ErrorGroups("rollouts")
    if len(numbers) >= MIN_TRAJECTORIES:
        return ErrorGroups("trajectories", trajectory)
    lengths = trajectories.lengths[numbers]
    size = max(BLOCK_WINDOWS * window, int(np.ceil(lengths.sum() / MAX_BLOCKS)))
    n_blocks = np.maximum(1, lengths // size)
    block = np.minimum(at * n_blocks[trajectory] // lengths[trajectory], n_blocks[trajectory] - 1)
    pairs = trajectory * (int(n_blocks.max()) + 1) + block
    return ErrorGroups("blocks", np.unique(pairs, return_inverse=True)[1])
