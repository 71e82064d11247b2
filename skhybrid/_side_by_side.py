"""Fits that are collected first and then trained side by side, over several processes if wanted.

While a :class:`Collector` is open, ``HybridRegressor.fit`` prepares itself and leaves the training
to the collector, wherever it is called: by a pipeline, say, whose other steps are fitted as ever.
"""

from __future__ import annotations

import contextlib
import copy
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from numbers import Number
from types import FunctionType
from typing import Any

import joblib
import numpy as np
import torch
from joblib import Parallel, delayed
from joblib.parallel import get_active_backend

from skhybrid._fitting import Prepared, conclude, plan
from skhybrid._random import seeded
from skhybrid._surroundings import noted_features, threads, warnings_caught
from skhybrid.exceptions import SerialMembersWarning
from skhybrid.physics import Physics
from skhybrid.training.estimation import Estimate, Fit, estimate_together, portions
from skhybrid.training.footprint import member_bytes
from skhybrid.training.result import Result

# More members at once are hardly faster (benchmarks/bench_search.py), and an interrupt loses more.
FAST_MEMBERS = 64
# A graphics processor is not busy with fewer than some thousands.
FAST_MEMBERS_ON_CUDA = 4096
# Training takes no more memory than about this in every process.
MEMORY_LIMIT = 2**30

# Parameters of HybridRegressor that change how a model is trained, but neither the model nor its
# start: what is prepared for one value serves all.
RECIPE_PARAMETERS = frozenset(
    {
        "batch_size",
        "functional_norm",
        "l2",
        "learning_rate",
        "max_epochs",
        "n_iter_no_change",
        "nn_extrapolation",
        "optimizer",
        "orthogonality",
        "perturb",
        "perturbation",
        "physics_learning_rate",
        "refine_rho",
        "rho",
        "tol",
    }
)
# Parameters that change the start or the rows, but not the kind of model.
START_PARAMETERS = frozenset(
    {"early_stopping", "n_restarts", "nn_features", "physics_init", "random_state"}
    | {"validation_fraction"}
)

_collector: ContextVar[Collector | None] = ContextVar("collector", default=None)


class UsedTooEarly(BaseException):
    """Something wants to use a fit that waits for its training.

    It is no Exception, so that what scores within a fit does not take it for a model that fails.
    """


@dataclass
class Collected:
    """A fit that waits for its training.

    Attributes
    ----------
    estimator : HybridRegressor
    prepared : Prepared
    fit : Fit
    kind : Hashable
        Only fits of the same kind can be trained side by side.
    owner : int
        Number that the collector had at the time.
    seconds : float or None
        Seconds that training took, a fit's part of those of all that were trained with it.
    error : Exception or None
        What went wrong.
    """

    estimator: Any
    prepared: Prepared
    fit: Fit
    kind: Hashable
    owner: int
    seconds: float | None = None
    error: Exception | None = None


@dataclass
class Collector:
    """Takes fits in place of their training.

    Attributes
    ----------
    kind : Hashable
        What the fits to come have in common with others that they can be trained with.
    start : Hashable
        What names where they start and which rows they hold out. With the same start and the same
        rows, what is prepared for one fit serves all, whatever their radii, rates and penalties.
    owner : int
        Number of whom they belong to.
    """

    kind: Hashable = None
    start: Hashable = None
    owner: int = 0
    collected: list[Collected] = field(default_factory=list)
    _prepared: dict[Hashable, tuple[Prepared, dict]] = field(default_factory=dict)
    _n_of_owner: int = 0

    @contextlib.contextmanager
    def open(self, owner: int, kind: Hashable, start: Hashable) -> Iterator[None]:
        """Take the fits that are begun here."""
        self.owner, self.kind, self.start, self._n_of_owner = owner, kind, start, 0
        token = _collector.set(self)
        try:
            yield
        finally:
            _collector.reset(token)

    def take(self, estimator: Any, rows: Any, prepare: Callable[[], Prepared]) -> None:
        """Take a fit, prepared by the function given unless one like it has been.

        Rows and parameters are compared: what stands before an estimator in a pipeline may be
        random, and what is around it may set its parameters.
        """
        parameters = {
            name: _fingerprint(value)
            for name, value in sorted(estimator.get_params(deep=True).items())
            if name not in RECIPE_PARAMETERS
        }
        seen = (joblib.hash(rows), *parameters.items())
        key = (self.kind, self.start, self._n_of_owner, seen)
        if key not in self._prepared:
            prepared = prepare()
            self._prepared[key] = prepared, noted_features(estimator)
        prepared, known = self._prepared[key]
        vars(estimator).update(known)
        fit = plan(prepared, estimator)
        model = [item for item in parameters.items() if item[0] not in START_PARAMETERS]
        kind = (self.kind, self._n_of_owner, *model)
        self.collected.append(Collected(estimator, prepared, fit, kind, self.owner))
        self._n_of_owner += 1

    def discard(self, owner: int) -> None:
        """Forget what was taken of an owner."""
        self.collected = [each for each in self.collected if each.owner != owner]


def _fingerprint(value: Any) -> Hashable:
    """Return what tells values of a parameter apart, also of estimators that are clones.

    Other objects have no more than their type: a search tells them apart if it names them.
    """
    if isinstance(value, (tuple, list, np.ndarray)):
        return tuple(_fingerprint(each) for each in value)
    if isinstance(value, np.random.RandomState):
        return joblib.hash(value)
    if value is None or isinstance(value, (str, Number, np.generic, FunctionType)):
        return value
    if isinstance(value, (Physics, torch.nn.Module)):
        return type(value), repr(value)
    return type(value)


def open_collector() -> Collector | None:
    """Return the collector that takes the fits that are begun now, if there is one."""
    return _collector.get()


@contextlib.contextmanager
def nothing_collected() -> Iterator[None]:
    """Train at once what is begun here."""
    token = _collector.set(None)
    try:
        yield
    finally:
        _collector.reset(token)


def train_collected(
    collected: Sequence[Collected],
    *,
    n_jobs: int | None = None,
    max_members: int | None = None,
    done: Callable[[Sequence[Collected]], None] | None = None,
) -> None:
    """Train fits side by side, and give their estimators what was fitted.

    Parameters
    ----------
    collected : sequence of Collected
    n_jobs : int, default=None
        Processes over which joblib spreads them; None is one, unless a joblib backend is active.
    max_members : int, default=None
        Most members to train at once; None is as many as are fastest and fit into memory.
    done : callable, default=None
        Called with fits as soon as they are finished.
    """
    tasks = [*_tasks(collected, n_jobs, max_members)]
    warned: set[tuple] = set()
    with contextlib.closing(_results(tasks, n_jobs)) as results:
        for number, outcomes, seconds, caught in results:
            for message, *where in caught:
                if (str(message), *where) in warned:
                    continue
                warned.add((str(message), *where))
                if isinstance(message, SerialMembersWarning):
                    warnings.warn(message, stacklevel=4)
                else:
                    warnings.warn_explicit(message, None, *where)
            chunk = tasks[number][0]
            began = time.perf_counter()
            for each, outcome in zip(chunk, outcomes, strict=True):
                try:
                    if isinstance(outcome, Exception):
                        raise outcome
                    with threads(each.estimator.n_threads):
                        fitted = conclude(each.prepared, each.fit, outcome, each.estimator)
                    vars(each.estimator).update(fitted.attributes())
                except Exception as error:
                    each.error = error
            seconds += time.perf_counter() - began
            for each in chunk:
                each.seconds = seconds / len(chunk)
            if done is not None:
                done(chunk)


def _tasks(
    collected: Sequence[Collected], n_jobs: int | None, max_members: int | None
) -> Iterator[tuple[list[Collected], int, int | None]]:
    """Yield fits that are trained at once, the most members, and the threads to use."""
    groups: dict[Hashable, list[Collected]] = defaultdict(list)
    for each in collected:
        threads_wanted = each.estimator.n_threads
        groups[each.kind, each.fit.signature(), len(each.fit.starts), threads_wanted].append(each)
    n_workers = _n_workers(n_jobs)
    for (*_, n_threads), group in groups.items():
        fit = group[0].fit
        limit = _most_members(fit) if max_members is None else max_members
        # The second phase, which takes more members, is portioned where it is trained.
        size = max(1, limit // len(fit.starts))
        # Every process gets an equal share.
        share = -(-len(group) // n_workers)
        rounds = -(-share // size)
        size = max(1, -(-len(group) // (n_workers * rounds)))
        for chunk in portions(group, size):
            yield [*chunk], limit, n_threads


def _most_members(fit: Fit) -> int:
    """Return how many members of such a fit to train at once."""
    device = fit.problem.data.y.device
    memory, fastest = MEMORY_LIMIT, FAST_MEMBERS
    if device.type == "cuda":
        memory, fastest = torch.cuda.mem_get_info(device)[0] // 2, FAST_MEMBERS_ON_CUDA
    try:
        needed = member_bytes(fit.problem, fit.starts[0], fit.recipe)
    except Exception:  # training will meet it too, and it is the fit's
        return 1
    return max(1, min(fastest, memory // max(1, needed)))


def _n_workers(n_jobs: int | None) -> int:
    """Return over how many workers joblib would spread tasks."""
    backend, active_jobs = get_active_backend()
    return max(1, backend.effective_n_jobs(active_jobs if n_jobs is None else n_jobs))


def _results(tasks: Sequence[tuple], n_jobs: int | None) -> Iterator[tuple]:
    """Yield the number of a task, its outcomes, seconds and warnings, as each is finished."""
    backend, _ = get_active_backend()
    as_they_come = "list"
    if backend.supports_return_generator and _n_workers(n_jobs) > 1:
        as_they_come = "generator_unordered"
    calls = (
        (number, [each.fit for each in chunk], limit, n_threads)
        for number, (chunk, limit, n_threads) in enumerate(tasks)
    )
    if _n_workers(n_jobs) == 1:
        yield from (_train(*call) for call in calls)
        return
    results = Parallel(n_jobs=n_jobs, return_as=as_they_come)(
        delayed(_train)(*call) for call in calls
    )
    try:
        for each in results:  # noqa: UP028 (which would close it before the warning is ignored)
            yield each
    finally:
        if as_they_come != "list":
            with warnings.catch_warnings():  # of what was begun for nothing
                warnings.simplefilter("ignore", UserWarning)
                results.close()


def _train(
    number: int, fits: Sequence[Fit], max_members: int, n_threads: int | None
) -> tuple[int, list[Estimate | Result | Exception], float, list[tuple[Warning, str, int]]]:
    """Train fits side by side; where that fails, one by one, so that the cause alone fails."""
    began = time.perf_counter()
    if threading.current_thread() is not threading.main_thread():
        fits = copy.deepcopy(fits)  # a network may hold one fit's parameters while it is trained
    with threads(n_threads), warnings_caught() as caught:
        try:
            outcomes = _estimate(fits, max_members)
        except Exception as error:
            outcomes = [error]
            if len(fits) > 1:
                outcomes = [_estimate_alone(fit, max_members) for fit in fits]
    messages = [(each.message, each.filename, each.lineno) for each in caught]
    return number, outcomes, time.perf_counter() - began, messages


def _estimate(fits: Sequence[Fit], max_members: int) -> list[Estimate | Result]:
    with seeded(fits[0].recipe.seed):
        return estimate_together(fits, max_members=max_members)


def _estimate_alone(fit: Fit, max_members: int) -> Estimate | Result | Exception:
    try:
        return _estimate([fit], max_members)[0]
    except Exception as error:
        return error
