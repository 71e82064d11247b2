"""How much of the training of many fits is done, also in worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skhybrid.fitting.observer import Report, n_epochs_of
from skhybrid.runtime.progress import Describe, Work
from skhybrid.runtime.progress_channel import Sender
from skhybrid.training.problem import Fit


class TrainingMeter:
    """Counts the epochs of all fits of all batches.

    Parameters
    ----------
    batches : sequence of sequence of Fit

    Attributes
    ----------
    work : Work
        Where progress is shown; set before the training begins.
    """

    def __init__(self, batches: Sequence[Sequence[Fit]]) -> None:
        self.work: Work | None = None
        self._sizes = [len(fits) for fits in batches]
        self._totals = [len(fits) * sum(n_epochs_of(fits[0]).values()) for fits in batches]
        self._done = [0.0] * len(batches)
        self._n_finished = 0

    @property
    def total(self) -> float:
        """Epochs of all fits of all batches."""
        return sum(self._totals)

    def reach(self, number: int, done: float, describe: Describe) -> None:
        """Note how many epochs of a batch are done; show the batch if it is due."""
        self._done[number] = max(self._done[number], done)
        self.work.reach(sum(self._done), lambda: self._text(f"batch {number + 1}", describe()))

    def finished(self, number: int) -> None:
        """Note that a batch is finished."""
        self._done[number] = self._totals[number]
        self._n_finished += self._sizes[number]
        self.work.reach(sum(self._done), lambda: self._text("training", ""))

    def _text(self, title: str, text: str) -> str:
        """Return what is shown."""
        title = f"{title} of {len(self._sizes)}" if title != "training" else title
        finished = f"{self._n_finished} of {sum(self._sizes)} fits finished"
        return "  ".join(part for part in (title, text, finished) if part)

    def report(self, number: int) -> Report:
        """Return the function to which a batch in this process reports."""
        return lambda done, describe: self.reach(number, done, describe)

    def receive(self, message: tuple[int, float, str]) -> None:
        """Note what a worker reports."""
        number, done, text = message
        self.reach(number, done, lambda: text)


@dataclass(frozen=True)
class RemoteReport:
    """The function to which a batch in a worker process reports.

    Attributes
    ----------
    number : int
        Number of the batch.
    sender : Sender
    """

    number: int
    sender: Sender

    def __call__(self, done: float, describe: Describe) -> None:
        """Send how many epochs are done, and what describes them."""
        self.sender(lambda: (self.number, done, describe()))
