"""The training of batches in this process or in workers: errors, lack of memory, kills."""

from __future__ import annotations

import builtins
import contextlib
import copy
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import BrokenProcessPool
from joblib.parallel import get_active_backend

from skhybrid import exceptions
from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.exceptions import WorkerKilledError, WorkerKilledWarning
from skhybrid.fitting.callbacks import FitCallbacks
from skhybrid.fitting.observer import BatchObserver, Report
from skhybrid.model.out_of_memory import is_out_of_memory
from skhybrid.runtime.chunks import chunks
from skhybrid.runtime.threads import threads
from skhybrid.runtime.user_warnings import warn, warnings_caught
from skhybrid.training.checkpoint import Checkpoint, CheckpointFile
from skhybrid.training.multistart import train_together
from skhybrid.training.problem import Fit
from skhybrid.training.random_numbers import random_numbers
from skhybrid.training.result import FitResult

# How often a search starts new workers in place of killed ones.
MAX_KILLS = 2


@dataclass(frozen=True)
class BatchWork:
    """Fits to train in one batch, wherever that is.

    Attributes
    ----------
    number : int
    fits : list of Fit
    max_members : int
    n_threads : int or None
    callbacks : list of (FitCallbacks, TrajectoryInfo or None) or None
        One for every fit.
    report : callable or None
        Where progress is reported.
    file : CheckpointFile or None
    """

    number: int
    fits: Sequence[Fit]
    max_members: int
    n_threads: int | None
    callbacks: Sequence[tuple[FitCallbacks, TrajectoryInfo | None] | None]
    report: Report | None = None
    file: CheckpointFile | None = None


@dataclass(frozen=True)
class BatchOutcome:
    """What the training of a batch gave.

    Attributes
    ----------
    number : int
    results : list of FitResult
    seconds : float
    caught : list of (Warning, file name, line)
    """

    number: int
    results: list[FitResult]
    seconds: float
    caught: list[tuple[Warning, str, int]]

    @classmethod
    def stored(cls, number: int, checkpoint: Checkpoint) -> BatchOutcome | None:
        """Return the outcome that a checkpoint holds, or None if the batch is not finished."""
        if checkpoint.finished is None:
            return None
        caught = [
            (_warning_class(name)(text), file, line)
            for name, text, file, line in checkpoint.notes["caught"]
        ]
        return cls(number, checkpoint.finished, checkpoint.notes["seconds"], caught)

    def keep(self, checkpoint: Checkpoint) -> None:
        """Write the outcome to a checkpoint, unless a fit raised an error."""
        if any(result.error is not None for result in self.results):
            return
        caught = [
            (type(message).__name__, str(message), file, line)
            for message, file, line in self.caught
        ]
        checkpoint.finish(self.results, {"seconds": self.seconds, "caught": caught})


def _warning_class(name: str) -> type[Warning]:
    """Return one of our warnings, or of Python's, by its name."""
    found = getattr(exceptions, name, None) or getattr(builtins, name, None)
    return found if isinstance(found, type) and issubclass(found, Warning) else UserWarning


def n_workers_of(n_jobs: int | None) -> int:
    """Return how many workers joblib would use."""
    backend, active_jobs = get_active_backend()
    return max(1, backend.effective_n_jobs(active_jobs if n_jobs is None else n_jobs))


def train_in_workers(works: Sequence[BatchWork], n_jobs: int | None) -> Iterator[BatchOutcome]:
    """Yield the outcome of every batch as soon as it is finished.

    If a worker process is killed, new workers train the batches that are not finished.

    Raises
    ------
    WorkerKilledError
        If workers are killed again and again.
    """
    if n_workers_of(n_jobs) == 1:
        yield from (train_batch(work) for work in works)
        return
    left = {work.number: work for work in works}
    n_kills = 0
    while left:
        try:
            with contextlib.closing(_in_processes([*left.values()], n_jobs)) as outcomes:
                for outcome in outcomes:
                    del left[outcome.number]
                    yield outcome
            return
        except BrokenProcessPool as error:
            n_kills += 1
            _after_kill(error, n_kills, len(left), n_jobs)


def _after_kill(error: Exception, n_kills: int, n_left: int, n_jobs: int | None) -> None:
    """Warn that a worker was killed; raise an error if it was one too many."""
    if n_kills > MAX_KILLS:
        raise WorkerKilledError(
            f"Worker processes of the search were killed {n_kills} time{'s' * (n_kills > 1)}, and "
            f"{n_left} batches are not trained. Perhaps the computer ran out of memory: choose "
            f"fewer processes than n_jobs={n_jobs}, or a smaller max_members."
        ) from error
    warn(
        "A worker process of the search was killed, perhaps because the computer ran out of "
        f"memory. New workers train the {n_left} batches that are not finished.",
        WorkerKilledWarning,
    )


def _in_processes(works: Sequence[BatchWork], n_jobs: int | None) -> Iterator[BatchOutcome]:
    """Yield the outcomes of workers of joblib."""
    backend, _ = get_active_backend()
    return_as = "generator_unordered" if backend.supports_return_generator else "list"
    calls = (delayed(train_batch)(work) for work in works)
    results = Parallel(n_jobs=n_jobs, return_as=return_as)(calls)
    try:
        for each in results:  # noqa: UP028 (yield from would close it before warnings are ignored)
            yield each
    finally:
        if return_as != "list":
            with warnings.catch_warnings():  # about batches that were started but not used
                warnings.simplefilter("ignore", UserWarning)
                results.close()


def train_batch(work: BatchWork) -> BatchOutcome:
    """Train fits in one batch; if that fails, in smaller ones, so that only faulty fits fail."""
    began = time.perf_counter()
    fits, checkpoint = work.fits, None
    if threading.current_thread() is not threading.main_thread():
        fits = copy.deepcopy(fits)  # during training, a network may hold the parameters of a fit
    with threads(work.n_threads), warnings_caught() as caught:
        if work.file is not None:
            checkpoint = Checkpoint(work.file)
        results = _train_or_split(fits, work, work.callbacks, work.max_members, checkpoint)
    for number, each in enumerate(work.callbacks):
        if each is not None and each[0].error is not None:
            results[number] = FitResult.of_error(each[0].error)
    messages = [(each.message, each.filename, each.lineno) for each in caught]
    outcome = BatchOutcome(work.number, results, time.perf_counter() - began, messages)
    if checkpoint is not None:
        outcome.keep(checkpoint)
    return outcome


def _train_or_split(
    fits: Sequence[Fit],
    work: BatchWork,
    callbacks: Sequence,
    max_members: int,
    checkpoint: Checkpoint | None = None,
) -> list[FitResult]:
    """Train fits together; without memory for all, in halves; after another error, one by one."""
    try:
        observer = BatchObserver(fits, callbacks, work.report)
        with random_numbers(fits):
            return train_together(
                fits,
                max_members=max_members,
                observer=observer if observer.needed else None,
                checkpoint=checkpoint,
            )
    except Exception as error:
        if len(fits) == 1:
            return [FitResult.of_error(error)]
        no_memory = is_out_of_memory(error)
    # Outside of the except block, so that the tensors of the failed batch are free.
    if no_memory:
        size, max_members = -(-len(fits) // 2), max(1, max_members // 2)
    else:
        size = 1
    parts = zip(chunks(fits, size), chunks(callbacks, size), strict=True)
    return [
        result for part in parts for result in _train_or_split(part[0], work, part[1], max_members)
    ]
