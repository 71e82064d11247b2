"""Fits within meta-estimators, deferred so that a batch can train them.

A search itself prepares a HybridRegressor that is alone or at the end of a pipeline. Other
meta-estimators (TransformedTargetRegressor, MultiOutputRegressor, BaggingRegressor, ...) fit the
models inside them in their own way, and scikit-learn has no means to ask them for the models and
the rows first. Therefore the search sets a context variable and calls their ``fit``: each
HybridRegressor then prepares its fit, leaves the training to the search and returns unfitted. If a
meta-estimator uses the model at once, :class:`NotTrainedYet` is raised, and the search fits that
meta-estimator alone.
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

    It is not an Exception: a meta-estimator that scores would take it for a model that fails.
    """


class DeferredFits:
    """Add the fits of one trial to the tasks, in the order in which they begin.

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
        """Prepare the fit of an estimator, and let its training wait."""
        self.tasks.add(estimator, self.keys, self._n_added, X, y, sample_weight)
        self._n_added += 1


@contextlib.contextmanager
def deferring(deferred: DeferredFits | None) -> Iterator[None]:
    """Defer the training of fits that begin in this context; with None, train them at once."""
    token = _deferred.set(deferred)
    try:
        yield
    finally:
        _deferred.reset(token)


def open_deferred_fits() -> DeferredFits | None:
    """Return the deferred fits to which a fit that begins now is added, or None."""
    return _deferred.get()
