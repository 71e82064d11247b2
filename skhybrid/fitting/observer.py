"""Show progress and run callbacks after every epoch of a batch of fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import Tensor

from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.fitting.callbacks import CalledBack, FitCallbacks
from skhybrid.fitting.progress import TrainingState
from skhybrid.runtime.progress import Describe
from skhybrid.training.input_padding import input_paddings
from skhybrid.training.members import Members
from skhybrid.training.problem import Fit
from skhybrid.training.refinement import can_refine

# (epochs of all fits that are done, text) -> None
Report = Callable[[float, Describe], None]


class BatchObserver:
    """The observer of the training of some fits.

    A callback sees its own fit, and one that asks to stop, or raises an error, stops its own fit.

    Parameters
    ----------
    fits : sequence of Fit
    callbacks : sequence of (FitCallbacks, TrajectoryInfo or None) or None
        One for every fit.
    report : callable, default=None
        Gets the number of epochs of all fits that are done, and a function that describes them.
    """

    def __init__(
        self,
        fits: Sequence[Fit],
        callbacks: Sequence[tuple[FitCallbacks, TrajectoryInfo | None] | None],
        report: Report | None = None,
    ) -> None:
        self.report = report
        self.state = TrainingState(fits, n_epochs_of(fits[0]))
        self.n_done = 0
        paddings = None
        if any(each is not None for each in callbacks):
            paddings, _ = input_paddings([fit.problem for fit in fits])
        self._called = {
            number: CalledBack(*each, *(() if paddings is None else (paddings[number],)))
            for number, each in self._with_fit(fits, callbacks)
        }

    @staticmethod
    def _with_fit(fits: Sequence[Fit], callbacks: Sequence) -> Iterable[tuple[int, tuple]]:
        """Yield the number and the arguments of every fit that has callbacks."""
        for number, (fit, each) in enumerate(zip(fits, callbacks, strict=True)):
            if each is not None:
                told, info = each
                yield number, (told, fit, info)

    @property
    def needed(self) -> bool:
        """Whether there is anything to do after an epoch."""
        return self.report is not None or bool(self._called)

    def __call__(
        self,
        phase: str,
        epoch: int,
        members: Members,
        losses: Tensor,
        parts: Mapping[int, slice],
    ) -> list[int]:
        """Show progress, and run callbacks; return the numbers of the fits that are to stop."""
        self.n_done += len(parts)
        if self.report is not None and parts:
            self.report(
                self.n_done,
                lambda: self.state.describe(phase, epoch, members, losses.detach(), parts),
            )
        return [
            number
            for number, part in parts.items()
            if number in self._called and self._asks(number, phase, members, losses, part)
        ]

    def _asks(self, number: int, phase: str, members: Members, losses: Tensor, part: slice) -> bool:
        """Run the callbacks of a fit; return whether it is to stop."""
        called = self._called[number]
        try:
            return called(phase, members, losses, part)
        except Exception as error:
            if len(self.state.fits) == 1:
                raise
            called.callbacks.error = error
            return True

    def note(self, phase: str, curve: Sequence[Tensor], parts: Mapping[int, slice]) -> None:
        """Note the losses of epochs that were run before the fits went on from a checkpoint."""
        self.n_done += len(curve) * len(parts)
        for number, part in parts.items():
            if number in self._called:
                self._called[number].note(phase, curve, part)


def n_epochs_of(fit: Fit) -> dict[str, int]:
    """Return the number of epochs of every phase."""
    configs = [*(config for _, config in fit.earlier), fit.config]
    n_epochs = {"estimate": sum(config.schedule.n_epochs for config in configs)}
    validates = fit.problem.validation is not None
    if fit.refinement is not None and can_refine(len(fit.problem.data.y), validates):
        n_epochs["refine"] = fit.refinement.schedule.n_epochs
    return n_epochs
