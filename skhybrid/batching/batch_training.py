"""Train many prepared fits in batches, in one or several processes."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import torch

from skhybrid.batching.batch_workers import BatchOutcome, BatchWork, n_workers_of, train_in_workers
from skhybrid.batching.fit_tasks import FitTask
from skhybrid.batching.training_meter import RemoteReport, TrainingMeter
from skhybrid.fitting.checkpoints import open_checkpoints
from skhybrid.fitting.findings import Finding
from skhybrid.fitting.fit import finish_fit
from skhybrid.fitting.observer import Report
from skhybrid.runtime.chunks import chunks
from skhybrid.runtime.fingerprint import Fingerprints
from skhybrid.runtime.progress import Display, showing
from skhybrid.runtime.progress_channel import channel
from skhybrid.runtime.threads import threads
from skhybrid.runtime.user_warnings import warn
from skhybrid.training.batching_key import fit_key
from skhybrid.training.checkpoint import Checkpoint
from skhybrid.training.memory import member_bytes
from skhybrid.training.problem import Fit

# Larger batches are hardly faster (benchmarks/bench_search.py), and an interrupt loses more.
FAST_MEMBERS = 64
# Fewer members than a few thousand do not keep a GPU busy.
FAST_MEMBERS_ON_CUDA = 4096
# Training in one process uses at most about this many bytes.
MEMORY_LIMIT = 2**30


def train_tasks(
    tasks: Sequence[FitTask],
    *,
    n_jobs: int | None = None,
    max_members: int | None = None,
    done: Callable[[Sequence[FitTask]], None] | None = None,
) -> None:
    """Train fits in batches, and give their estimators the fitted attributes.

    Parameters
    ----------
    tasks : sequence of FitTask
    n_jobs : int, default=None
        Number of processes that joblib uses; None is one, unless a joblib backend is active.
    max_members : int, default=None
        Largest number of members in a batch; None is as many as are fastest and fit into memory.
    done : callable, default=None
        Called with the fits of a batch as soon as they are finished.
    """
    if not tasks:
        return
    batches = [*make_batches(tasks, n_jobs, max_members)]
    warned: set[tuple] = set()
    findings: list[Finding] = []
    with contextlib.ExitStack() as stack:
        display = stack.enter_context(showing(any(task.settings.verbose for task in tasks)))
        for task in tasks:
            stack.callback(task.tear_down)
            task.begin()
        meter, reports = stack.enter_context(_metered(batches, n_jobs, display))
        outcomes = stack.enter_context(contextlib.closing(_outcomes(batches, n_jobs, reports)))
        for outcome in outcomes:
            _warn_once(outcome.caught, warned)
            finished = batches[outcome.number].tasks
            began = time.perf_counter()
            for task, result in zip(finished, outcome.results, strict=True):
                try:
                    with threads(task.settings.n_threads):
                        fitted = finish_fit(
                            task.prepared, task.fit, result, task.settings, tell=findings.append
                        )
                    task.end(fitted)
                except Exception as error:
                    task.error = error
            seconds = outcome.seconds + time.perf_counter() - began
            for task in finished:
                task.seconds = seconds / len(finished)
            if done is not None:
                done(finished)
            if meter is not None:
                meter.finished(outcome.number)
    _warn_of_findings(findings, len(tasks))


@contextlib.contextmanager
def _metered(
    batches: Sequence[FitBatch], n_jobs: int | None, display: Display
) -> Iterator[tuple[TrainingMeter | None, list[Report | None]]]:
    """Show the training of batches; yield their meter, and to what each of them reports."""
    if not display.speaks:
        yield None, [None] * len(batches)
        return
    n_workers = n_workers_of(n_jobs)
    n_fits = sum(len(batch.tasks) for batch in batches)
    where = f", in {n_workers} processes" if n_workers > 1 else ""
    display.say(f"Training {n_fits} fits in {len(batches)} batch{'es' * (len(batches) > 1)}{where}")
    meter = TrainingMeter([[task.fit for task in batch.tasks] for batch in batches])
    with display.work("training", meter.total) as meter.work:
        if n_workers == 1:
            yield meter, [meter.report(number) for number in range(len(batches))]
            return
        with channel(meter.receive) as sender:
            yield (
                meter,
                [
                    None if sender is None else RemoteReport(number, sender)
                    for number in range(len(batches))
                ],
            )


def _warn_of_findings(findings: Sequence[Finding], n_fits: int) -> None:
    """Warn once about each fault of the candidates, with the number of fits that have it."""
    counts = Counter((finding.category, finding.key) for finding in findings)
    first = {(finding.category, finding.key): finding for finding in reversed(findings)}
    for key, count in counts.items():
        message = f"In {count} of {n_fits} fits of a search; the first says: {first[key].message}"
        warn(message, key[0], once=("search", *key))


def _warn_once(caught: Sequence[tuple[Warning, str, int]], warned: set[tuple]) -> None:
    """Repeat warnings of workers: ours at the user's line, others at their own line."""
    for message, *where in caught:
        is_ours = type(message).__module__.startswith("skhybrid.")
        key = (str(message),) if is_ours else (str(message), *where)
        if key in warned:
            continue
        warned.add(key)
        if is_ours:
            warn(message)
        else:
            warnings.warn_explicit(message, None, *where)


@dataclass(frozen=True)
class FitBatch:
    """The fits of one batch.

    Attributes
    ----------
    tasks : list of FitTask
    max_members : int
        Largest number of members that are trained at once, also in the second phase.
    n_threads : int or None
        Number of torch threads; None is one.
    """

    tasks: list[FitTask]
    max_members: int
    n_threads: int | None


def make_batches(
    tasks: Sequence[FitTask], n_jobs: int | None, max_members: int | None
) -> Iterator[FitBatch]:
    """Group fits into batches; every process gets the same number of batches."""
    groups: dict[Hashable, list[FitTask]] = defaultdict(list)
    for task in tasks:
        n_threads = task.settings.n_threads
        groups[task.key, fit_key(task.fit), len(task.fit.starts), n_threads].append(task)
    n_workers = n_workers_of(n_jobs)
    for (*_, n_threads), group in groups.items():
        fit = group[0].fit
        limit = _most_members(fit) if max_members is None else max_members
        # The second phase has more members; training splits it into chunks.
        size = max(1, limit // len(fit.starts))
        share = -(-len(group) // n_workers)
        rounds = -(-share // size)
        size = max(1, -(-len(group) // (n_workers * rounds)))
        for chunk in chunks(group, size):
            yield FitBatch([*chunk], limit, n_threads)


def _most_members(fit: Fit) -> int:
    """Return how many members like those of the fit to train at once."""
    device = fit.problem.data.y.device
    memory, fastest = MEMORY_LIMIT, FAST_MEMBERS
    if device.type == "cuda":
        memory, fastest = torch.cuda.mem_get_info(device)[0] // 2, FAST_MEMBERS_ON_CUDA
    try:
        needed = member_bytes(fit.problem, fit.starts[0], fit.config)
    except Exception:  # training raises the same error and reports it
        return 1
    return max(1, min(fastest, memory // max(1, needed)))


def _outcomes(
    batches: Sequence[FitBatch], n_jobs: int | None, reports: Sequence[Report | None]
) -> Iterator[BatchOutcome]:
    """Yield the outcome of every batch as soon as it is known; at once if a checkpoint holds it."""
    checkpoints, known = open_checkpoints(), Fingerprints()
    works = []
    for number, batch in enumerate(batches):
        fits, file = [task.fit for task in batch.tasks], None
        if checkpoints is not None:
            file = checkpoints.file(fits, batch.max_members, batch.n_threads, known=known)
            finished = BatchOutcome.stored(number, Checkpoint(file)) if file.path.exists() else None
            if finished is not None:
                yield finished
                continue
        told = [
            None if task.callbacks is None else (task.callbacks, task.prepared.trajectory_info)
            for task in batch.tasks
        ]
        limits = batch.max_members, batch.n_threads
        works.append(BatchWork(number, fits, *limits, told, reports[number], file))
    yield from train_in_workers(works, n_jobs)
