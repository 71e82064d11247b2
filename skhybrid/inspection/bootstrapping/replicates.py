"""Fit an estimator to all rows and to resampled ones, in as few batches as possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skhybrid.batching.auto_parameters import auto_parameters
from skhybrid.exceptions import TrainingError
from skhybrid.inspection.bootstrapping.series import Series
from skhybrid.inspection.flat_parameters import elements_of, hybrid_of, require_estimated
from skhybrid.inspection.refits import Refit, refit
from skhybrid.runtime.user_warnings import warn

# A bootstrap of fewer than this part of its replicates would be one of the fits that are easy.
LEAST_PART = 0.5
NO_REFITS: Callable[[Mapping[str, Any]], list[Refit]] = lambda chosen: []  # noqa: E731


@dataclass
class Replicates:
    """Fits of one estimator to one data set and to what is drawn from it.

    Attributes
    ----------
    estimator : HybridRegressor or Pipeline
    X, y : array-like
    series : Series
        The targets in y.
    weight : array of shape (n_samples,)
    n_jobs, max_members : int or None
    chosen : dict of str to object
        Values of the parameters that are "auto", chosen once, on all rows.
    full : estimator or None
        Fitted to all rows.
    seed : int or None
        Seed of the fits to all rows and to folds if the estimator has none.
    """

    estimator: Any
    X: Any
    y: Any
    series: Series
    weight: np.ndarray
    n_jobs: int | None = None
    max_members: int | None = None
    chosen: dict[str, Any] = field(default_factory=dict)
    full: Any = None
    seed: int | None = None

    def fit(
        self, refits: Sequence[Refit], also: Callable[[Mapping[str, Any]], list[Refit]] = NO_REFITS
    ) -> tuple[list[Any], list[Any]]:
        """Fit side by side, to all rows too if this was not done yet; return clones and errors.

        Parameters
        ----------
        refits : sequence of Refit
        also : callable, default=NO_REFITS
            From the chosen values of "auto" parameters to further refits.

        Returns
        -------
        fitted, further : list of estimator or Exception
        """
        on_all_rows = Refit(self.X, self.y, self.weight)
        if self.full is None and auto_parameters(hybrid_of(self.estimator)):
            self._keep(*self._refit([on_all_rows]))
        first = [] if self.full is not None else [on_all_rows]
        # What a refit says about a parameter goes before what was chosen for it.
        further = also(self.chosen)
        refits = [
            Refit(each.X, each.y, each.sample_weight, {**self.chosen, **each.params})
            for each in (*refits, *further)
        ]
        fitted = self._refit([*first, *refits])
        if first:
            self._keep(fitted.pop(0))
        middle = len(fitted) - len(further)
        return fitted[:middle], fitted[middle:]

    def adopt(self, full: Any) -> None:
        """Use a fit to all rows that was made before."""
        require_estimated(full)
        names = auto_parameters(hybrid_of(self.estimator))
        self.chosen = {name: getattr(hybrid_of(full), f"{name}_") for name in names}
        self.full = full

    def _keep(self, full: Any) -> None:
        if isinstance(full, Exception):
            raise full
        self.adopt(full)

    def _refit(self, refits: Sequence[Refit]) -> list[Any]:
        # With the estimator's own random_state the fit to all rows is the one that ``fit`` makes.
        has_seed = hybrid_of(self.estimator).random_state is not None
        return refit(
            self.estimator,
            refits,
            random_state=None if has_seed else self.seed,
            n_jobs=self.n_jobs,
            max_members=self.max_members,
        )


def usable(fitted: Sequence[Any]) -> np.ndarray:
    """Return whether each replicate was fitted to finite parameters; warn of the others.

    Raises
    ------
    TrainingError
        If fewer than half of them were, or fewer than two.

    Warns
    -----
    UserWarning
        If one was not.
    """
    reasons: list[Any] = [None] * len(fitted)
    for number, each in enumerate(fitted):
        if isinstance(each, Exception):
            reasons[number] = each
        elif not np.isfinite([*elements_of(each).values()]).all():
            reasons[number] = ValueError("A physics parameter is not finite.")
    failed = [each for each in reasons if each is not None]
    n_left = len(fitted) - len(failed)
    if failed:
        first = f"The first error: {type(failed[0]).__name__}: {failed[0]}"
        if n_left < max(2, LEAST_PART * len(fitted)):
            raise TrainingError(
                f"Of {len(fitted)} replicates, {len(failed)} failed, so that too few are left for "
                f"a bootstrap. {first}"
            ) from failed[0]
        warn(
            f"Of {len(fitted)} replicates, {len(failed)} failed; they are left out. What is left "
            f"says too little if these are the difficult ones. {first}",
            RuntimeWarning,
        )
    return np.array([each is None for each in reasons])
