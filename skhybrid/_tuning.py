"""What a fit chooses from the data before it begins: inputs of the network, radii, penalties.

Every choice compares candidates on the same folds by a rule that is stated, and all candidates are
trained side by side.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _num_samples

from skhybrid._reading import read
from skhybrid._trials import Trial, train_trials
from skhybrid.exceptions import CollapseWarning, NonFiniteLossWarning, SerialMembersWarning
from skhybrid.model_selection import (
    RESTARTS,
    VALUE,
    fold_columns,
    one_standard_error,
    score_and_physics_params,
    spread,
    stable,
    within_one_standard_error,
)

AUTO = "auto"
N_FOLDS = 5
# Restarts by which a radius shows whether θ depends on where the fit began.
N_RESTARTS = 3
RADII = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
REFINE_RADII = (None, 0.0, 0.01, 0.02, 0.05)
PENALTIES = {
    "l2": (0.0, 1e-6, 1e-5, 1e-4, 1e-3),
    "functional_norm": (0.0, 1e-4, 1e-3, 1e-2, 1e-1),
    "orthogonality": (0.0, 1e-3, 1e-2, 1e-1, 1.0),
}
# What stands for "auto" while something else is chosen.
MEANWHILE = {
    "nn_features": None,
    "rho": 0.05,
    "refine_rho": 0.0,
    "l2": 0.0,
    "functional_norm": 0.0,
    "orthogonality": 0.0,
}
# A network whose share of what is explained is smaller has vanished.
NOTHING = 1e-6
# Up to so many sets of inputs are all tried; of more, inputs are left out one after the other.
MAX_SETS = 64


def automatic(estimator: Any) -> list[str]:
    """Return the parameters that are to be chosen, in the order in which they are."""
    if estimator.nn is None:
        return []
    return [name for name in MEANWHILE if _is_auto(getattr(estimator, name))]


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == AUTO


def tune(estimator: Any, X: Any, y: Any, sample_weight: Any) -> tuple[dict, dict]:
    """Choose all that is "auto".

    Parameters
    ----------
    estimator : HybridRegressor
    X, y, sample_weight
        As given to ``fit``.

    Returns
    -------
    chosen : dict of str to object
        Values of the parameters.
    attributes : dict of str to object
        Fitted attributes that tell what was chosen and what was seen.
    """
    names = automatic(estimator)
    folds = _Folds(estimator, X, y, sample_weight, names)
    chosen = {name: MEANWHILE[name] for name in names}
    attributes = {}
    for name in names:
        if name == "nn_features":
            value, seen = _choose_features(folds, chosen)
        elif name == "rho":
            value, seen = _choose_rho(folds, chosen)
        elif name == "refine_rho":
            value, seen = _choose_refine_rho(folds, chosen)
        else:
            value, seen = _choose_penalty(folds, chosen, name)
        chosen[name] = value
        attributes |= {f"{name}_": value, f"{name}_path_": seen}
        if estimator.verbose:
            print(f"{name}={value!r} was chosen among {len(seen['score'])} candidates")
    return chosen, attributes


class _Folds:
    """The rows, cut into folds, and candidates that are judged on them."""

    def __init__(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any, names: Sequence[str]
    ) -> None:
        self.X, self.y = X, y
        self.fit_params = {} if sample_weight is None else {"sample_weight": sample_weight}
        n_samples = _num_samples(X)
        if n_samples < 2 * N_FOLDS:
            raise ValueError(
                f"{names[0]}='auto' compares candidates on {N_FOLDS} folds, each of two samples "
                f"or more; X has {n_samples}. Give {names[0]} a value, or, of long trajectories, "
                "cut each into several."
            )
        random_state = check_random_state(estimator.random_state)
        fold_seed, seed = random_state.randint(np.iinfo(np.int32).max, size=2)
        splitter = KFold(N_FOLDS, shuffle=True, random_state=int(fold_seed))
        self.splits = [*enumerate(splitter.split(np.empty(n_samples)))]
        self.estimator = clone(estimator).set_params(random_state=int(seed), verbose=0)
        self.estimator.set_params(warm_start=False)
        vars(self.estimator).pop("_skl_callbacks", None)
        self._warned = False

    def results(self, candidates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Fit candidates to all folds and return what ``cv_results_`` would have of them."""
        trials = [
            Trial(number, candidate, split, clone(self.estimator))
            for number, (candidate, split) in enumerate(itertools.product(candidates, self.splits))
        ]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train_trials(trials, self.X, self.y, self.fit_params, error_score=np.nan)
            scores = [self._scored(trial) for trial in trials]
        self._warn_again(caught)
        found = [score for score in scores if score is not None]
        if not found:
            raise trials[0].error
        nothing = dict.fromkeys(found[0], np.nan)
        results: dict[str, Any] = {"params": list(candidates)}
        for name in candidates[0]:
            values = np.empty(len(candidates), dtype=object)
            values[:] = [candidate[name] for candidate in candidates]
            results[f"param_{name}"] = values
        for key in nothing:
            column = np.array([(score or nothing)[key] for score in scores], dtype=float)
            column = column.reshape(len(candidates), N_FOLDS)
            results |= {f"split{fold}_test_{key}": column[:, fold] for fold in range(N_FOLDS)}
            results[f"mean_test_{key}"] = column.mean(axis=1)
        return results

    def _scored(self, trial: Trial) -> dict[str, float] | None:
        if trial.error is not None:
            return None
        _, (train, test) = trial.split
        X, y = _safe_split(trial.estimator, self.X, self.y, test, train)
        weight = self.fit_params.get("sample_weight")
        if weight is not None:
            weight = np.asarray(weight)[test]
            if not weight.any():
                weight = None
        found = score_and_physics_params(trial.estimator, X, y, weight)
        return found | {"physics_share": trial.estimator.physics_share_}

    def _warn_again(self, caught: Sequence[warnings.WarningMessage]) -> None:
        """Repeat warnings of candidates, but not those that their comparison is there to settle.

        That the members are trained one after the other is said once.
        """
        for each in caught:
            if issubclass(each.category, (CollapseWarning, NonFiniteLossWarning)):
                continue
            if issubclass(each.category, SerialMembersWarning):
                if self._warned:
                    continue
                self._warned = True
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _choose_rho(folds: _Folds, chosen: Mapping[str, Any]) -> tuple[float, dict]:
    """Choose the radius of the first phase by the reproducibility of θ, or of the prediction."""
    if folds.estimator.optimizer == "adam":
        return MEANWHILE["rho"], _seen({"params": []}, "rho", None)
    fixed = {**chosen, "refine_rho": None}
    fixed["n_restarts"] = max(N_RESTARTS, folds.estimator.n_restarts)
    results = folds.results([{**fixed, "rho": rho} for rho in RADII])
    has_parameters = any(name.startswith(f"mean_test_{VALUE}") for name in results)
    rule: Callable[[dict], int] = stable("rho") if has_parameters else one_standard_error("rho")
    best = rule(_without_collapse(results))
    return RADII[best], _seen(results, "rho", best)


def _choose_refine_rho(folds: _Folds, chosen: Mapping[str, Any]) -> tuple[float | None, dict]:
    """Choose the radius of the second phase, which does not touch θ, by the held-out loss."""
    results = folds.results([{**chosen, "refine_rho": radius} for radius in REFINE_RADII])
    best = _lowest_loss(results)
    return REFINE_RADII[best], _seen(results, "refine_rho", best)


def _choose_penalty(folds: _Folds, chosen: Mapping[str, Any], name: str) -> tuple[float, dict]:
    """Choose the largest weight of a penalty with which the prediction is as good as the best."""
    values = PENALTIES[name]
    fixed = {**chosen, "refine_rho": None}
    results = folds.results([{**fixed, name: value} for value in values])
    best = one_standard_error(name)(results)
    return values[best], _seen(results, name, best)


def _choose_features(folds: _Folds, chosen: Mapping[str, Any]) -> tuple[list, dict]:
    """Choose the smallest set of inputs with which the network predicts as well as with any.

    What counts is what can be predicted, so that the sets are compared without perturbation.
    """
    names = _readable(folds)
    fixed = {**chosen, "rho": 0.0, "refine_rho": None}
    sets = (
        [
            list(subset)
            for size in range(1, len(names) + 1)
            for subset in itertools.combinations(names, size)
        ]
        if 2 ** len(names) - 1 <= MAX_SETS
        else None
    )
    if sets is not None:
        results = folds.results([{**fixed, "nn_features": subset} for subset in sets])
    else:
        results, sets = _eliminate(folds, fixed, names)
    losses = -fold_columns(results, "test_score")
    as_good = within_one_standard_error(losses)
    order = np.lexsort((losses.mean(axis=1), [len(subset) for subset in sets]))
    best = int(next(i for i in order if as_good[i]))
    return sets[best], _seen(results, "nn_features", best)


def _eliminate(folds: _Folds, fixed: Mapping[str, Any], names: Sequence) -> tuple[dict, list[list]]:
    """Leave inputs out one after the other, the one that is missed least first.

    It ends where every one that is left is missed: where the best of the smaller sets is worse than
    the best of all so far by more than one standard error.
    """
    sets = [list(names)]
    results = folds.results([{**fixed, "nn_features": sets[0]}])
    current = sets[0]
    while len(current) > 1:
        smaller = [[each for each in current if each != left_out] for left_out in current]
        more = folds.results([{**fixed, "nn_features": subset} for subset in smaller])
        n_before = len(sets)
        results = {key: _joined(results[key], more[key]) for key in results}
        sets += smaller
        losses = -fold_columns(results, "test_score")
        best = n_before + int(losses[n_before:].mean(axis=1).argmin())
        if not within_one_standard_error(losses)[best]:
            break
        current = sets[best]
    return results, sets


def _readable(folds: _Folds) -> list:
    """Return the names, or numbers, of what a network may read."""
    estimator = copy.copy(folds.estimator).set_params(nn_features=None)
    weight = folds.fit_params.get("sample_weight")
    parts, rows, _ = read(estimator, folds.X, folds.y, weight)
    if parts.course is not None:
        return list(parts.course.component_names)
    if parts.feature_names is not None:
        return list(parts.feature_names)
    return list(range(rows.x.shape[1]))


def _joined(first: Any, second: Any) -> Any:
    return [*first, *second] if isinstance(first, list) else np.concatenate([first, second])


def _lowest_loss(results: Mapping[str, Any]) -> int:
    score = np.asarray(results["mean_test_score"])
    return int(np.nanargmax(np.where(np.isfinite(score), score, np.nan)))


def _without_collapse(results: dict[str, Any]) -> dict[str, Any]:
    """Return results in which θ is unknown where the network had vanished.

    There it is that of the physics alone, as reproducible as it may be wrong.
    """
    vanished = np.asarray(results["mean_test_physics_share"]) > 1.0 - NOTHING
    if vanished.all():
        return results
    return {
        key: np.where(vanished, np.nan, column) if f"test_{VALUE}" in key else column
        for key, column in results.items()
    }


def _seen(results: Mapping[str, Any], name: str, best: int | None) -> dict[str, Any]:
    """Return the table of what was seen: a column of numbers for each of what may be plotted."""
    if not results["params"]:
        return {name: np.array([]), "score": np.array([])}
    losses = -fold_columns(results, "test_score")
    reference = losses[_lowest_loss(results)]
    difference = losses - reference
    values = [candidate[name] for candidate in results["params"]]
    column = np.empty(len(values), dtype=object)
    column[:] = values
    if all(isinstance(value, float) for value in values):
        column = column.astype(float)
    seen = {
        name: column,
        "score": -losses.mean(axis=1),
        "worse than best": difference.mean(axis=1),
        "standard error": difference.std(axis=1, ddof=1) / np.sqrt(losses.shape[1]),
        "physics share": np.asarray(results["mean_test_physics_share"]),
        "chosen": np.arange(len(values)) == best,
    }
    prefix = f"mean_test_{VALUE}"
    for parameter in (key.removeprefix(prefix) for key in results if key.startswith(prefix)):
        theta = fold_columns(results, f"test_{VALUE}{parameter}")
        restarts = fold_columns(results, f"test_{RESTARTS}{parameter}")
        seen[parameter] = theta.mean(axis=1)
        seen[f"spread of {parameter}"] = spread(theta[..., None], restarts[..., None])[:, 0]
    return seen
