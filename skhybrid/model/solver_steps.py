"""Numbers of steps that a fixed-step solver takes between observations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# An interval may be longer than a whole number of steps by this part of a step: a rounding error.
ROUNDING = 1e-6


@dataclass(frozen=True)
class SolverSteps:
    """Steps between observations, the same for all windows that are solved together.

    Attributes
    ----------
    counts : int or tuple of int
        Steps in every interval; a tuple has one number for each interval of a window.
    longest : float or None
        The longest step that was chosen. It gives the counts for other times. None: the user gave
        the number for every interval, whatever its length.
    """

    counts: int | tuple[int, ...] = 1
    longest: float | None = None

    @property
    def most(self) -> int:
        """The largest number of steps in an interval."""
        return self.counts if isinstance(self.counts, int) else max(self.counts)

    def in_intervals(self, n_intervals: int) -> tuple[int, ...]:
        """Return the number of steps in each interval of a window.

        In windows of another length than those of the counts, each interval gets the most steps.
        """
        if isinstance(self.counts, tuple) and len(self.counts) == n_intervals:
            return self.counts
        return (self.most,) * n_intervals

    def at(self, lengths: np.ndarray) -> SolverSteps:
        """Return steps that are at most as long as these, for intervals of other lengths.

        Parameters
        ----------
        lengths : array of shape (n_windows, n_intervals)
            The longest interval at each position of the windows determines its number of steps, so
            that all windows can be solved together.
        """
        if self.longest is None or lengths.size == 0:
            return self
        counts = np.ceil(lengths.max(axis=0) / self.longest - ROUNDING).astype(int)
        counts = tuple(int(count) for count in np.maximum(counts, 1))
        return SolverSteps(counts[0] if len(set(counts)) == 1 else counts, self.longest)

    def halved(self, lengths: np.ndarray) -> SolverSteps:
        """Return steps of half the length for these intervals."""
        if self.longest is None:
            return SolverSteps(2 * self.most)
        return SolverSteps(2 * self.most, self.longest / 2.0).at(lengths)
