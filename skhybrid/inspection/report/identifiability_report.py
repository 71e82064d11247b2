"""The identifiability report: can θ be believed?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import indexable

from skhybrid.exceptions import TrainingError
from skhybrid.inspection.assumptions import OtherAssumptions, other_assumptions
from skhybrid.inspection.effects import effects
from skhybrid.inspection.flat_parameters import (
    elements_of,
    hybrid_of,
    limits_of,
    require_free_elements,
)
from skhybrid.inspection.intervals import ConfidenceIntervals, confidence_intervals
from skhybrid.inspection.other_data import warn_of_other_data
from skhybrid.inspection.overlap import overlap_within_bounds
from skhybrid.inspection.refits import Refit, refit
from skhybrid.inspection.report.evidence import Evidence
from skhybrid.inspection.report.quick import quick_evidence
from skhybrid.inspection.report.residual_points import check_residuals_of
from skhybrid.inspection.report.result import IdentifiabilityReport
from skhybrid.inspection.report.verdicts import judge
from skhybrid.inspection.training_rows import TrainingRows, training_rows
from skhybrid.inspection.usage import physics_usage
from skhybrid.model_selection.scoring import free_elements
from skhybrid.runtime.progress import showing
from skhybrid.runtime.suggestions import suggestion

# Parts that need other fits, in the order in which they are made.
REFITS = ("intervals", "starts", "assumptions", "usage")
PARTS = ("quick", *REFITS)
N_STARTS = 4
# "few inputs" compares sets of inputs, which takes as long as all other parts together.
ASSUMPTIONS = ("small", "orthogonal", "partially linear")


def identifiability_report(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    parts: str | Sequence[str] = "quick",
    sample_weight: Any = None,
    groups: Any = None,
    n_replicates: int = 10,
    n_jobs: int | None = None,
    max_members: int | None = None,
    random_state: int = 0,
    verbose: int = 0,
) -> IdentifiabilityReport:
    """Say whether each physics parameter can be believed, and why.

    A small loss proves nothing: with a missing term, data fix a parameter only up to what of that
    term looks like the parameter's effect. The report collects what can be measured, and gives one
    verdict for each element of a parameter:

    - *identified*: from what the network sees, the effect of the parameter cannot be predicted on
      rows held out (functions of features and values of groups cannot make up for it), and the data
      fix the parameter;
    - *supported*: the network could imitate the effect, but rows, starts, ρ and other assumptions
      agree;
    - *assumption-dependent*: they disagree, or the residuals still contain a trend;
    - *not identified*: the data do not fix the parameter even without a network, or fits scatter
      over its range;
    - *undecided*: only refits can tell, and the quick part made none.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        If it is fitted, X and y must be the rows of its fit; otherwise a clone is fitted.
    X, y : array-like
        As for ``fit``. An :class:`~skhybrid.exceptions.OtherDataWarning` says if they seem to be
        others than those of the fit.
    parts : "quick", "all" or sequence of str, default="quick"
        What to do beside the quick part, which needs no other fit and takes seconds: "intervals"
        (:func:`confidence_intervals`), "starts" (restarts from other networks and other first
        values), "assumptions" (:func:`other_assumptions`), "usage" (:func:`physics_usage`). These
        refit the model some fifty times in all, side by side.
    sample_weight : array-like of shape (n_samples,), default=None
    groups : array-like of shape (n_samples,), default=None
        Rows of one group are drawn and held out together.
    n_replicates : int, default=10
        Bootstrap replicates for "intervals".
    n_jobs, max_members : int, default=None
        As for :class:`~skhybrid.HybridSearchCV`.
    random_state : int, default=0
        Seed of the refits and of the draws.
    verbose : int, default=0
        With 1, progress and the time that is left are shown.

    Returns
    -------
    IdentifiabilityReport
        With ``verdicts``, ``evidence``, ``frame``, ``to_dict()``, text and HTML.

    Raises
    ------
    ValueError
        If a part is unknown, the model has no free physics parameters, or it was fitted to another
        number of rows. A part that cannot be made with these data does not end the report:
        ``missing`` and the text say why.

    Notes
    -----
    The thresholds of the verdicts were chosen on some of the random tasks of
    ``benchmarks/bench_trust.py`` and ``benchmarks/bench_trust_varying.py``, and judged on the
    others.

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import identifiability_report
    >>> data = make_pendulum_acceleration(200, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(16,), max_epochs=60, random_state=0)
    >>> report = identifiability_report(model, data.data, data.target)
    >>> report.verdicts["omega2"].name
    'undecided'
    """
    parts = _chosen(parts)
    X, y, groups, sample_weight = indexable(X, y, groups, sample_weight)
    with showing(verbose) as display:
        if not hasattr(hybrid_of(estimator), "_fitted"):
            display.announce("Fitting the model")
            estimator = _fitted_clone(estimator, X, y, sample_weight)
        require_free_elements(estimator)
        data = {"X": X, "y": y, "sample_weight": sample_weight}
        options = {"n_jobs": n_jobs, "max_members": max_members}
        rows = training_rows(estimator, X, y, sample_weight)
        # A single trajectory cannot be drawn anew as a whole.
        kind = "block" if _is_single(rows, groups) else "pairs"
        refits: dict[str, Callable] = {
            "intervals": lambda: confidence_intervals(
                estimator, **data, n_replicates=n_replicates, groups=groups, kind=kind,
                random_state=random_state, **options,
            ),
            "starts": lambda: _over_starts(estimator, **data, random_state=random_state, **options),
            "assumptions": lambda: other_assumptions(
                estimator, **data, assumptions=ASSUMPTIONS, groups=groups,
                random_state=random_state, **options,
            ),
            "usage": lambda: physics_usage(
                estimator, **data, groups=groups, random_state=random_state, **options
            ),
        }  # fmt: skip
        began, seconds, details, missing = time.perf_counter(), {}, {}, {}
        _require_own_rows(estimator, rows)
        warn_of_other_data(hybrid_of(estimator), rows)
        found = effects(estimator, X, y, sample_weight)
        residuals = check_residuals_of(estimator, rows)
        # Without a correction nothing missing is learned that could overlap an effect.
        if rows.hybrid.network is not None and rows.hybrid.has_correction:
            details["overlap"] = overlap_within_bounds(estimator, found)
        evidence = quick_evidence(estimator, rows, found, residuals, _n_observed(y, sample_weight))
        seconds["quick"] = time.perf_counter() - began
        if hybrid_of(estimator).nn is None:
            parts = tuple(part for part in parts if part not in ("assumptions", "usage"))
        for part in parts[1:]:
            began = time.perf_counter()
            display.announce(f"Report: {part}")
            try:
                details[part] = refits[part]()
            except (ValueError, TrainingError) as error:
                missing[part] = str(error)
            seconds[part] = time.perf_counter() - began
    limits = limits_of(estimator)
    evidence = {name: _completed(each, details, limits[name]) for name, each in evidence.items()}
    verdicts = {name: judge(each) for name, each in evidence.items()}
    parts = tuple(part for part in parts if part not in missing)
    return IdentifiabilityReport(evidence, verdicts, residuals, parts, seconds, details, missing)


def _chosen(parts: str | Sequence[str]) -> tuple[str, ...]:
    """Return the parts in the order in which they are made."""
    if isinstance(parts, str):
        parts = PARTS if parts == "all" else [parts]
    if not isinstance(parts, Iterable):
        raise TypeError(f"parts must be 'quick', 'all' or a list of parts; got {parts!r}.")
    for part in parts:
        if part not in PARTS:
            raise ValueError(
                f"parts names {part!r}, which is none of {', '.join(PARTS)}, all"
                f"{suggestion(str(part), [*PARTS, 'all'])}"
            )
    return ("quick", *(part for part in REFITS if part in parts))


def _is_single(rows: TrainingRows, groups: Any) -> bool:
    """Whether the data are one trajectory."""
    trajectories = rows.inputs.trajectories
    return groups is None and trajectories is not None and len(trajectories.lengths) == 1


def _fitted_clone(estimator: Any, X: Any, y: Any, sample_weight: Any) -> Any:
    """Return a fitted clone."""
    fitted = clone(estimator)
    if sample_weight is None:
        return fitted.fit(X, y)
    name = (
        "sample_weight" if hybrid_of(fitted) is fitted else f"{fitted.steps[-1][0]}__sample_weight"
    )
    return fitted.fit(X, y, **{name: sample_weight})


def _require_own_rows(estimator: Any, rows: TrainingRows) -> None:
    """Raise a ValueError if the model was fitted to another number of rows."""
    model = hybrid_of(estimator)
    n_fitted, n_given = model._fitted.n_rows, len(rows.inputs.rows)
    if not model.early_stopping and n_fitted != n_given:
        raise ValueError(
            f"The model was fitted to {n_fitted} rows or windows, and these are {n_given}. Give "
            "the X, y and sample_weight of its fit, or an estimator that is not fitted: "
            "clone(estimator)."
        )


def _n_observed(y: Any, sample_weight: Any) -> int:
    """Return the number of targets that are not missing and have a weight."""
    targets = y if isinstance(y, (list, tuple)) else np.asarray(y)
    counts = [int(np.isfinite(np.asarray(each, dtype=float)).sum()) for each in targets]
    weights = np.ones(len(counts)) if sample_weight is None else np.asarray(sample_weight)
    return int(np.sum(np.array(counts)[weights > 0]))


def _over_starts(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, random_state: int, **options: Any
) -> dict[str, float]:
    """Return the range of each element over restarts that fit the data equally well."""
    if hybrid_of(estimator).nn is None:
        return dict.fromkeys(elements_of(estimator), 0.0)
    params = {"n_restarts": N_STARTS, "refine_rho": None}
    (found,) = refit(
        estimator,
        [Refit(X, y, sample_weight, params)],
        random_state=random_state,
        what="starts",
        **options,
    )
    if isinstance(found, Exception):
        raise found
    model = hybrid_of(found)
    usable = [each for each in model.restarts_ if np.isfinite(each["loss"])]
    lowest = min(each["loss"] for each in usable)
    limit = lowest * (1.0 + np.sqrt(2.0 / model._fitted.n_rows))
    equal = [
        free_elements(each["physics_params"], model) for each in usable if each["loss"] <= limit
    ]
    return {name: float(np.ptp([each[name] for each in equal])) for name in equal[0]}


def _interval(
    intervals: ConfidenceIntervals, name: str, value: float, limits: tuple[float, float]
) -> dict[str, float]:
    """Return an interval around the fitted value, which comes from another network."""
    row = intervals.rows[name]
    other = row.get("radius", row.get("start", 0.0))
    below, above = row["estimate"] - row["low"], row["high"] - row["estimate"]
    low, high = limits
    return {
        "low": float(np.maximum(value - below, low)),
        "high": float(np.minimum(value + above, high)),
        "sampling": row["sampling"],
        "over_radii": other,
    }


def _opinions(assumptions: OtherAssumptions, name: str) -> dict[str, dict[str, float]]:
    """Return the values of one element under other assumptions, and their standard errors."""
    others = [
        each
        for each in assumptions.opinions[1:]
        if not each.reference and np.isfinite(each.values.get(name, np.nan))
    ]
    errors = {each.assumption: each.errors.get(name, 0.0) for each in others}
    return {
        "opinions": {each.assumption: each.values[name] for each in others},
        "opinion_errors": errors,
    }


def _completed(
    evidence: Evidence, details: dict[str, Any], limits: tuple[float, float]
) -> Evidence:
    """Return the evidence on one element with what the refits say."""
    name, more = evidence.name, {}
    if "overlap" in details:
        more["overlap"] = details["overlap"].sentence(name)
    if "intervals" in details:
        more |= _interval(details["intervals"], name, evidence.value, limits)
    if "starts" in details:
        more["over_starts"] = details["starts"][name]
    if "assumptions" in details:
        more |= _opinions(details["assumptions"], name)
    return replace(evidence, **more)
