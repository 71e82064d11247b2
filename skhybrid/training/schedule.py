"""Epochs, minibatches and the decay of the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

# This many steps along a cosine determine θ to a few per cent on every measured task; twice as many
# are hardly better (benchmarks/bench_budget.py).
AUTO_STEPS = 3000

# The phase that estimates θ of a table needs half as many if the rates are constant, half as large
# again, until its last quarter (benchmarks/bench_steps.py).
AUTO_ESTIMATE_STEPS = 1500
AUTO_DECAY_PART = 0.25
AUTO_RATE_FACTOR = 1.5

# A step through windows takes about ten times as long, and trajectories have fewer independent
# rows.
AUTO_WINDOW_STEPS = 1000

# Training sees every row at least this many times, or as often as the limits below allow.
AUTO_MIN_EPOCHS = 20

AUTO_BATCH_SIZE = 64

# A learned first state is in one minibatch of an epoch. In this many epochs the network's rate
# moves it by about a standard deviation. In fewer epochs the rate of hidden states is larger, at
# most by the factor for θ. With the network's rate, the first states of long records stay near
# their first guesses, and θ and the network make up for it (benchmarks/bench_record_speed.py).
# First guesses of observed states are wrong by the noise only: in few epochs, a larger rate moves
# them away, and free runs are worse.
STATE_EPOCHS = 400
MAX_STATE_RATE_FACTOR = 10.0

# The number of steps of a phase is bounded. First, from 20,480 rows on, the number of epochs falls:
# at equal time, many steps with few rows give θ more accurately than few steps with many rows
# (benchmarks/bench_rows.py). From 204,800 rows on, two epochs are left, and minibatches grow.
AUTO_MAX_STEPS = 6400
AUTO_LEAST_EPOCHS = 2


@dataclass(frozen=True)
class Schedule:
    """Epochs, minibatches and the decay of the learning rate.

    Attributes
    ----------
    n_epochs, n_batches, batch_size : int
        All minibatches have the same size. An epoch leaves a few rows out, fewer than there are
        minibatches; the shuffle of the next epoch includes them again.
    decay_part : float, default=1.0
        The last part of the steps, in which the learning rate decays. It is constant before.
    """

    n_epochs: int
    n_batches: int
    batch_size: int
    decay_part: float = 1.0

    @classmethod
    def for_rows(
        cls,
        n_rows: int,
        batch_size: int | str | None,
        n_epochs: int | str,
        *,
        n_steps: int = AUTO_STEPS,
        decay_part: float = 1.0,
    ) -> Schedule:
        """Return the schedule for a number of rows and the user's settings.

        Parameters
        ----------
        n_rows : int
        batch_size : int, "auto" or None
            Largest size of a minibatch; None means one minibatch with all rows. "auto" is
            :data:`AUTO_BATCH_SIZE`, and more for many rows.
        n_epochs : int or "auto"
        n_steps : int
            Number of steps for ``n_epochs="auto"``.
        decay_part : float, default=1.0
        """
        least_epochs = AUTO_MIN_EPOCHS
        is_auto = batch_size == "auto"
        if is_auto:
            batch_size = _automatic_batch_size(n_rows)
        batch_size = n_rows if batch_size is None else min(batch_size, n_rows)
        n_batches = math.ceil(n_rows / batch_size)
        if is_auto:
            least_epochs = min(least_epochs, max(AUTO_LEAST_EPOCHS, AUTO_MAX_STEPS // n_batches))
        if n_epochs == "auto":
            n_epochs = max(least_epochs, math.ceil(n_steps / n_batches))
        return cls(n_epochs, n_batches, n_rows // n_batches, decay_part)

    @property
    def midway(self) -> int:
        """The epoch, or 0 for the start, after which the second half of training begins.

        If the rate decays in less than half of the steps, it is the epoch before the decay: until
        then, θ fluctuates at the full rate.
        """
        return max(self.n_epochs // 2, self.n_epochs - math.ceil(self.decay_part * self.n_epochs))

    @property
    def state_rate_factor(self) -> float:
        """By how much the rate of hidden first states is larger than that of the network."""
        return min(max(1.0, STATE_EPOCHS / max(1, self.n_epochs)), MAX_STATE_RATE_FACTOR)

    def decay(self, step: int) -> float:
        """Return the factor of the learning rate at a step.

        It is one, and half a cosine from one to zero in the last :attr:`decay_part` of the steps.
        """
        n_steps = self.n_epochs * self.n_batches
        before = (1.0 - self.decay_part) * n_steps
        part = max(0.0, step - before) / (n_steps - before)
        return 0.5 * (1.0 + math.cos(math.pi * part))


def _automatic_batch_size(n_rows: int) -> int:
    """Return the size of a minibatch for a number of rows."""
    return max(AUTO_BATCH_SIZE, math.ceil(n_rows * AUTO_LEAST_EPOCHS / AUTO_MAX_STEPS))
