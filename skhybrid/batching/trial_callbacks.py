"""Tasks of scikit-learn's callbacks for the trials of a search."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params


class TrialCallbacks:
    """Tell the callbacks of a search when a trial begins and ends, as scikit-learn's searches do.

    The fits within a trial belong to its task, also if they are trained later, in a batch.

    Parameters
    ----------
    search : estimator
        With the callbacks.
    context : CallbackContext
        Task of all trials.
    X, y : array-like
        All rows.
    fit_params : mapping of str to object
        Parameters of ``fit``, for all rows.
    """

    def __init__(
        self, search: Any, context: Any, X: Any, y: Any, fit_params: Mapping[str, Any]
    ) -> None:
        self.search = search
        self.context = context
        self._given = X, y, fit_params
        self._tasks: dict[int, Any] = {}

    @contextlib.contextmanager
    def begun(self, trial: Any) -> Iterator[None]:
        """Begin the task of a trial; the fits that begin in this context belong to it."""
        task = self.context.subcontext(task_name="candidate-split-evaluation", task_id=trial.number)
        self._tasks[trial.number] = task
        with task.propagate_callback_context(trial.estimator):
            task.call_on_fit_task_begin(estimator=self.search, **self._rows_of(trial))
            yield

    def end(self, trial: Any) -> None:
        """End the task of a trial, when it is scored."""
        if trial.number in self._tasks:
            self._tasks[trial.number].call_on_fit_task_end(
                estimator=self.search, **self._rows_of(trial)
            )

    def _rows_of(self, trial: Any) -> dict[str, Any]:
        """Return the training rows of a trial, computed only if a callback asks for them."""
        X, y, fit_params = self._given
        _, (train, _) = trial.split

        def part(index: int) -> Any:
            return _safe_split(trial.estimator, X, y, train)[index]

        def metadata() -> dict[str, Any] | None:
            weight = _check_method_params(X, params=fit_params, indices=train).get("sample_weight")
            return None if weight is None else {"sample_weight": weight}

        return {"X": lambda: part(0), "y": lambda: part(1), "metadata": metadata}
