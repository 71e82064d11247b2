"""Epochs, minibatches and the decay of the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

# So many steps settle θ to a few per cent on every task measured, twice as many not much better
# (benchmarks/bench_budget.py). Of large tables every row is still seen at least so many times.
AUTO_STEPS = 3000


# A step through windows takes some ten times as long, and trajectories have fewer independent rows.
AUTO_WINDOW_STEPS = 1000


AUTO_MIN_EPOCHS = 20


AUTO_BATCH_SIZE = 64


@dataclass(frozen=True)
class Schedule:
    """Epochs, minibatches and the decay of the learning rate.

    Attributes
    ----------
    n_epochs, n_batches, batch_size : int
        All minibatches are equally large. Rows left over, fewer than there are batches, wait for
        the next epoch's shuffle.
    """

    n_epochs: int
    n_batches: int
    batch_size: int

    @classmethod
    def for_rows(
        cls,
        n_rows: int,
        batch_size: int | str | None,
        n_epochs: int | str,
        *,
        n_steps: int = AUTO_STEPS,
    ) -> Schedule:
        """Work out a schedule from what the user asked for.

        Parameters
        ----------
        n_rows : int
        batch_size : int, "auto" or None
            Largest size of a minibatch; None takes all rows at once.
        n_epochs : int or "auto"
        n_steps : int
            Steps that "auto" makes.
        """
        if batch_size == "auto":
            batch_size = AUTO_BATCH_SIZE
        batch_size = n_rows if batch_size is None else min(batch_size, n_rows)
        n_batches = math.ceil(n_rows / batch_size)
        if n_epochs == "auto":
            n_epochs = max(AUTO_MIN_EPOCHS, math.ceil(n_steps / n_batches))
        return cls(n_epochs, n_batches, n_rows // n_batches)

    def decay(self, step: int) -> float:
        """Return the factor of the learning rate at a step: a half cosine from one to zero."""
        return 0.5 * (1.0 + math.cos(math.pi * step / (self.n_epochs * self.n_batches)))
