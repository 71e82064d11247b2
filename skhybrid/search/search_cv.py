"""HybridSearchCV: a grid search that trains its candidates in batches."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import _fit_context, clone, is_classifier
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import ParameterGrid, check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import indexable
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_method_params

from skhybrid.batching.cross_validation import CrossValidation, cross_validate
from skhybrid.batching.trial_callbacks import TrialCallbacks
from skhybrid.data.given_arrays import columns_named
from skhybrid.fitting.checkpoints import Checkpoints, checkpoints_in
from skhybrid.runtime.progress import open_display, showing
from skhybrid.search.inner_models import is_verbose, seeded
from skhybrid.search.missing_fits import warn_of_missing_fits


class HybridSearchCV(BaseSearchCV):
    """Search a grid of parameters, and train candidates, folds and restarts in batches.

    It is used like :class:`~sklearn.model_selection.GridSearchCV`. It finds the same scores, to the
    accuracy of the arithmetic, if the estimator's ``random_state`` is an integer, in less time:
    fits that differ in radii, penalties, learning rates, seeds, ``nn_features`` or initial values
    of physics parameters (``physics__k``) are members of one batch, trained in one run. Candidates
    that differ in anything else (the network, the structure, the physics, bounds and known values
    of its parameters, other steps of a pipeline) are in different batches.

    Parameters
    ----------
    estimator : estimator
        A :class:`HybridRegressor`, or a pipeline or another meta-estimator with one in it. Other
        estimators are fitted one by one.
    param_grid : dict or list of dict
        Lists of values by parameter name, as for GridSearchCV.
    scoring : str, callable, list, tuple or dict, default=None
        As for GridSearchCV; None is the estimator's ``score``.
    cv : int, cross-validation generator or iterable, default=None
        Folds, as for GridSearchCV; None is five folds.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate on all rows; the name of the score that decides; or a
        rule from ``cv_results_`` to the index of the best candidate, such as
        :func:`skhybrid.model_selection.one_standard_error`.
    n_jobs : int, default=None
        Number of processes in which joblib trains the batches; None is one, unless a joblib
        backend is active. More pay for searches of minutes on free cores: a process needs some
        seconds to begin.
    random_state : int, RandomState instance or None, default=None
        Seed for estimators whose own ``random_state`` is None.
    verbose : int, default=0
        Whether to show what runs, how many fits are finished and how long the rest will take, as
        for :class:`HybridRegressor`. A verbose estimator shows the same.
    max_members : int, default=None
        Largest number of members (fits times restarts) in a batch. None is as many as are fastest
        and fit into a gigabyte. An interrupted search keeps the batches that it has finished.
    checkpoint : str, path or None, default=None
        Folder in which the search keeps the results of finished batches, and the state of those in
        training, so that the same call goes on if it was killed, also after a worker process was.
        The files are removed when the search ends. If there is no ``random_state``, it draws one
        seed for all fits. Folds that are shuffled need a ``random_state`` of their own.
    error_score : "raise" or float, default=nan
        Score of a fit that fails, or whether to raise its error.
    return_train_score : bool, default=False
        Whether to score the training rows too.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        As in GridSearchCV. ``fit_time`` is a fit's share of the time of its batch.
    best_estimator_ : estimator
        Fitted on all rows with the best parameters.
    best_score_ : float
        Mean cross-validated score of the best candidate, unless ``refit`` is a callable.
    best_params_ : dict
        Parameters of the best candidate.
    best_index_ : int
        Index of the best candidate in ``cv_results_``.
    scorer_ : callable or dict
        The scorer, or several scorers by name.
    n_splits_ : int
        Number of folds.
    refit_time_ : float
        Seconds that the final fit took.
    multimetric_ : bool
        Whether there are several scores.

    Warns
    -----
    CheckpointWarning
        If a checkpoint could not be written, or belongs to another search or is damaged. The search
        goes on without it.
    SearchInterruptedWarning
        If the user interrupts the search from the keyboard. ``cv_results_`` then has the scores of
        the finished fits and NaN for the others, and the interrupt is raised.
    SerialMembersWarning
        If the model cannot be vectorised over members. They are then trained one after the other.
    WorkerKilledWarning
        If a worker process was killed. New workers train the batches that were not finished; when
        this has happened several times, the search ends with a WorkerKilledError.

    See Also
    --------
    skhybrid.model_selection : Rules that choose the best candidate.
    skhybrid.inspection.physics_path : How θ depends on a parameter.

    Notes
    -----
    The random numbers of dropout in a network differ from GridSearchCV's.

    Estimators that continue an earlier fit (``warm_start``), the physics alone (``nn=None``) and
    estimators with a parameter that is "auto" are trained one by one.

    Callbacks do not change results. In a batch, all fits begin together, and each callback sees the
    epochs of its own fit; one that asks to stop, or raises an error, stops this fit alone. With
    processes, callbacks run in the process that trains, as in GridSearchCV.

    Examples
    --------
    >>> from skhybrid import HybridRegressor, HybridSearchCV
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=20, random_state=0)
    >>> search = HybridSearchCV(model, {"rho": [0.02, 0.05], "l2": [0.0, 1e-5]}, cv=3)
    >>> search.fit(data.data, data.target).cv_results_["mean_test_score"].shape
    (4,)
    """

    _parameter_constraints: dict = {
        **BaseSearchCV._parameter_constraints,
        "param_grid": [dict, list],
        "random_state": ["random_state"],
        "max_members": [Interval(Integral, 1, None, closed="left"), None],
        "checkpoint": [str, os.PathLike, None],
    }
    del _parameter_constraints["pre_dispatch"]

    def __init__(
        self,
        estimator,
        param_grid,
        *,
        scoring=None,
        cv=None,
        refit=True,
        n_jobs=None,
        random_state=None,
        verbose=0,
        max_members=None,
        checkpoint=None,
        error_score=np.nan,
        return_train_score=False,
    ):
        super().__init__(
            estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        del self.pre_dispatch
        self.param_grid = param_grid
        self.random_state = random_state
        self.max_members = max_members
        self.checkpoint = checkpoint

    # As in scikit-learn, the estimator's own parameters are validated when it is fitted.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, **params):
        """Train all candidates on all folds, choose the best, and fit it on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, as for the estimator's ``fit``.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Targets.
        **params : dict of str to object
            Passed to the estimator, the scorer and the splitter; ``groups`` to the splitter.

        Returns
        -------
        self : HybridSearchCV
            The fitted search.
        """
        call: tuple = ()
        if self.checkpoint is not None:
            settings = (self.param_grid, self.cv, self.random_state)
            call = (clone(self.estimator), *settings, X, y, params)
        with (
            showing(self.verbose or is_verbose(self.estimator)),
            checkpoints_in(self.checkpoint, *call, many_fits=True) as own,
        ):
            return self._search(X, y, params, own)

    def _search(self, X: Any, y: Any, params: dict, own: Checkpoints | None) -> HybridSearchCV:
        """Train, choose and refit; ``own`` are the checkpoints of the search."""
        scorers, refit_metric = self._get_scorers()
        with columns_named(X=X, y=y):
            X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        callback_data = {"X": X, "y": y, "metadata": _weight_of(params)}
        context = self._init_callback_context(max_subtasks=1 + (self.refit is not False))
        context.call_on_fit_task_begin(estimator=self, **callback_data)
        candidates, splits = self._candidates_and_splits(X, y, routed)
        random_state = self.random_state
        if own is not None and random_state is None:
            random_state = own.random_state()
        base = seeded(clone(self.estimator), random_state)
        search_context = context.subcontext(
            task_name="search",
            max_subtasks=len(candidates) * len(splits),
            sequential_subtasks=False,
        ).call_on_fit_task_begin(estimator=self)
        callbacks = TrialCallbacks(self, search_context, X, y, routed.estimator.fit)
        validation = self._cross_validate(base, candidates, splits, X, y, routed, callbacks)
        results, first_score = validation.results(
            X,
            y,
            scorers=scorers,
            fit_params=routed.estimator.fit,
            score_params=routed.scorer.score,
            return_train_score=self.return_train_score,
            error_score=self.error_score,
            callbacks=callbacks,
        )
        search_context.call_on_fit_task_end(estimator=self)
        self.multimetric_ = isinstance(first_score, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(first_score)
            refit_metric = self.refit
        self.cv_results_, self.n_splits_ = results, len(splits)
        self.scorer_ = scorers._scorers if isinstance(scorers, _MultimetricScorer) else scorers
        if validation.interrupt is not None:
            for name in [name for name in vars(self) if name.startswith("best_")]:
                delattr(self, name)  # from an earlier search
            warn_of_missing_fits(validation)
            raise validation.interrupt
        self._choose(results, refit_metric)
        if self.refit:
            self._refit(base, X, y, routed.estimator.fit, context, callback_data)
        context.call_on_fit_task_end(estimator=self, **callback_data)
        return self

    def _candidates_and_splits(self, X: Any, y: Any, routed: Any) -> tuple[list, list]:
        """Return the candidates of the grid, and the folds."""
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = [*cv.split(X, y, **routed.splitter.split)]
        candidates = [*ParameterGrid(self.param_grid)]
        if not (splits and candidates):
            raise ValueError(
                f"There is nothing to fit: {len(candidates)} candidates on {len(splits)} folds."
            )
        return candidates, splits

    def _cross_validate(
        self,
        base: Any,
        candidates: list,
        splits: list,
        X: Any,
        y: Any,
        routed: Any,
        callbacks: TrialCallbacks,
    ) -> CrossValidation:
        """Train all candidates on all folds."""
        display = open_display()
        display.say(
            f"Fitting {len(splits)} folds for each of {len(candidates)} candidates, "
            f"totalling {len(candidates) * len(splits)} fits"
        )
        began = time.perf_counter()
        validation = cross_validate(
            base,
            candidates,
            splits,
            X,
            y,
            routed.estimator.fit,
            error_score=self.error_score,
            n_jobs=self.n_jobs,
            max_members=self.max_members,
            callbacks=callbacks,
        )
        display.say(f"Trained in {time.perf_counter() - began:.1f} s")
        return validation

    def _choose(self, results: Mapping[str, Any], refit_metric: Any) -> None:
        """Choose the best candidate."""
        if not self.refit and self.multimetric_:
            return
        self.best_index_ = self._select_best_index(self.refit, refit_metric, results)
        if not callable(self.refit):
            self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _refit(
        self,
        base: Any,
        X: Any,
        y: Any,
        fit_params: Mapping[str, Any],
        context: Any,
        callback_data: dict,
    ) -> None:
        """Fit the best candidate on all rows."""
        best = clone(base).set_params(**clone(self.best_params_, safe=False))
        refit_context = context.subcontext(task_name="refit-with-best-params")
        began = time.perf_counter()
        open_display().say("Fitting the best candidate to all rows")
        with refit_context.propagate_callback_context(best):
            refit_context.call_on_fit_task_begin(estimator=self, **callback_data)
            targets = () if y is None else (y,)
            best.fit(X, *targets, **fit_params)
        self.refit_time_, self.best_estimator_ = time.perf_counter() - began, best
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_
        refit_context.call_on_fit_task_end(estimator=self, **callback_data)

    def _run_search(self, evaluate_candidates, *, callback_ctx=None):
        """Search all candidates of the grid one by one, as scikit-learn's own searches do."""
        evaluate_candidates(ParameterGrid(self.param_grid), callback_ctx=callback_ctx)


def _weight_of(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the sample weights as callbacks expect them."""
    weight = params.get("sample_weight")
    return None if weight is None else {"sample_weight": weight}
