"""Fits within other meta-estimators, deferred so that they can be trained in a batch.

A search prepares a HybridRegressor, alone or at the end of a pipeline, by itself. Other
meta-estimators (TransformedTargetRegressor, MultiOutputRegressor, BaggingRegressor, ...) fit the
models inside them in their own way, and scikit-learn has no means to ask them for the models and
the rows first. So their ``fit`` is called while a context variable is set: a HybridRegressor then
prepares its fit, leaves it to the search and returns unfitted. A meta-estimator that uses the
model at once meets :class:`NotTrainedYet`; it is then fitted alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from skhybrid.batching.fit_tasks import FitTasks, TrialKeys

_deferred: ContextVar[DeferredFits | None] = ContextVar("deferred", default=None)


class NotTrainedYet(BaseException):
    """A deferred fit is used before its training.

    It is no Exception, so that a meta-estimator that scores does not take it for a failing model.
    """


class DeferredFits:
    """Adds the fits of one trial to the tasks, as they are begun.

    Parameters
    ----------
    tasks : FitTasks
    keys : TrialKeys
    """

    def __init__(self, tasks: FitTasks, keys: TrialKeys) -> None:
        self.tasks = tasks
        self.keys = keys
        self._n_added = 0

    def add(self, estimator: Any, X: Any, y: Any, sample_weight: Any) -> None:
        """Let the fit of an estimator wait."""
        self.tasks.add(estimator, self.keys, self._n_added, X, y, sample_weight)
        self._n_added += 1


@contextlib.contextmanager
def deferring(deferred: DeferredFits | None) -> Iterator[None]:
    """Defer the fits that begin here; None trains them at once."""
    token = _deferred.set(deferred)
    try:
        yield
    finally:
        _deferred.reset(token)


def open_deferred_fits() -> DeferredFits | None:
    """Return where fits that begin now are deferred to, if anywhere."""
    return _deferred.get()
