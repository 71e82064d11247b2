"""θ under other assumptions about what the physics lacks, as independent opinions."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_consistent_length

from skhybrid.batching.auto_parameters import auto_parameters
from skhybrid.inspection.assumptions.double_machine_learning import (
    DOUBLE_MACHINE_LEARNING,
    double_machine_learning,
)
from skhybrid.inspection.assumptions.result import AS_FITTED, OtherAssumptions
from skhybrid.inspection.assumptions.settings import FEWEST_INPUTS, SETTINGS
from skhybrid.inspection.flat_parameters import elements_of, hybrid_of
from skhybrid.inspection.refits import Refit, refit


def other_assumptions(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    groups: Any = None,
    fewest_inputs: bool = False,
    n_jobs: int | None = None,
    max_members: int | None = None,
    random_state: int | None = 0,
) -> OtherAssumptions:
    """Return θ under other assumptions about what the physics lacks.

    With a missing term, data fix θ only up to what of this term looks like the effects of θ. Every
    rule picks one of these values. Sharpness-aware minimisation picks the flattest network; this
    function shows what other rules pick:

    - "plain training": Adam, without any penalty;
    - "small network": Adam with ``functional_norm=0.01``, the smallest correction [1]_;
    - "orthogonal network": Adam with ``orthogonality=1``, a correction that does not look like the
      effects of θ [2]_;
    - "fewest inputs": ``nn_features="auto"``, the smallest set of inputs that predicts as well;
    - "double machine learning" [3]_: other learners, on rows held out, take the network's place.

    Where they agree, θ does not rest on one of these rules. Where they disagree, it does. They are
    not averaged: which one holds is for you to say. All may be wrong alike
    (:func:`overlap_sensitivity`).

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        If it is fitted, X and y must be the rows of its fit; otherwise a clone is fitted. Values
        that a fit chose for "auto" parameters are kept.
    X, y : array-like
        As for ``fit``.
    sample_weight : array-like of shape (n_samples,), default=None
    groups : array-like of shape (n_samples,), default=None
        For double machine learning: rows of one group are held out together, and their errors may
        depend on each other.
    fewest_inputs : bool, default=False
        Whether to choose the network's inputs among all columns, those that ``nn_features`` leaves
        out included. This takes five fits for each set of columns, hence the default.
    n_jobs, max_members : int, default=None
        As for :class:`~skhybrid.HybridSearchCV`.
    random_state : int or None, default=0
        Seed of the refits and of the folds; None keeps the estimator's for the refits.

    Returns
    -------
    OtherAssumptions
        Its ``values``, ``standard_errors``, ``reasons`` and ``frame`` have the assumptions as rows.
        The rows "as fitted" and "physics alone" are for comparison; physics alone takes up what it
        can of the missing term.

    Raises
    ------
    ValueError
        If the model has no free physics parameters.
    Exception
        The error of the fit of the estimator itself. A refit that fails is a row without values,
        with the reason.

    Notes
    -----
    The refits are trained side by side, without a second phase, which does not change θ.

    Double machine learning is for tables, additive structures and effects that vary given what the
    network reads: where its inputs predict 90 % or more of the variance of an effect on rows held
    out, the row says so. It needs ``nn_features``, since everything is a function of all features.
    Its standard errors hold for the sampling and not for a missing term that depends on features
    which the network does not read.

    References
    ----------
    .. [1] Y. Yin et al., "Augmenting physical models with deep networks for complex dynamics
       forecasting", ICLR 2021, eq. 3.
    .. [2] B. Györök et al., "Orthogonal projection-based regularization for efficient model
       augmentation", L4DC 2025.
    .. [3] V. Chernozhukov et al., "Double/debiased machine learning for treatment and structural
       parameters", The Econometrics Journal 21, 2018.

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import other_assumptions
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=60, random_state=0)
    >>> found = other_assumptions(model, data.data, data.target)
    >>> [*found.opinions("omega2")]
    ['plain training', 'small network', 'orthogonal network']
    >>> found.reasons["double machine learning"]
    "the network's inputs predict 100% of the effect of omega2"
    """
    check_consistent_length(X, groups)
    options = {"random_state": random_state, "n_jobs": n_jobs, "max_members": max_members}
    data = (X, y, sample_weight)
    fitted = estimator if hasattr(hybrid_of(estimator), "_fitted") else None
    autos = auto_parameters(hybrid_of(estimator))
    if fitted is None and autos:
        (fitted,) = refit(estimator, [Refit(*data, {"refine_rho": None})], **options)
    if hybrid_of(estimator).nn is None:
        settings = {}
    else:
        settings = {
            name: s for name, s in SETTINGS.items() if name != FEWEST_INPUTS or fewest_inputs
        }
    chosen = {} if fitted is None else _chosen(fitted, autos)
    ours = [] if fitted is not None else [Refit(*data, {"refine_rho": None})]
    refits = [Refit(*data, {**chosen, **each, "refine_rho": None}) for each in settings.values()]
    found = refit(estimator, [*ours, *refits], what="other assumptions", **options)
    if ours:
        fitted = found.pop(0)
    if isinstance(fitted, Exception):
        raise fitted
    elements = _elements(fitted)
    result = OtherAssumptions({AS_FITTED: elements}, units=_units(fitted))
    for name, each in zip(settings, found, strict=True):
        failed = isinstance(each, Exception)
        result.values[name] = {} if failed else elements_of(each)
        if failed:
            result.reasons[name] = f"the fit failed ({str(each).rstrip('.')})"
    if settings:
        _add_double_machine_learning(result, fitted, data, groups, random_state or 0)
    return result


def _elements(fitted: Any) -> dict[str, float]:
    """Return the free elements of the fit, or raise a ValueError if there are none."""
    elements = elements_of(fitted)
    if not elements:
        raise ValueError(
            "The model has no free physics parameters, so there is nothing to compare. Give "
            "physics with at least one parameter that is not fixed."
        )
    return elements


def _chosen(fitted: Any, autos: list[str]) -> dict[str, Any]:
    """Return the values that a fit chose for "auto" parameters."""
    if isinstance(fitted, Exception):
        raise fitted
    return {name: getattr(hybrid_of(fitted), f"{name}_") for name in autos}


def _units(fitted: Any) -> dict[str, str]:
    """Return the units of the free elements that have one."""
    params = hybrid_of(fitted)._fitted.hybrid.physics.params
    units = {name: params[name.partition("[")[0]].unit for name in elements_of(fitted)}
    return {name: unit for name, unit in units.items() if unit}


def _add_double_machine_learning(
    result: OtherAssumptions, fitted: Any, data: tuple, groups: Any, seed: int
) -> None:
    """Add the row of double machine learning."""
    X, y, sample_weight = data
    name = DOUBLE_MACHINE_LEARNING
    found = double_machine_learning(
        fitted, X, y, sample_weight=sample_weight, groups=groups, seed=seed
    )
    result.values[name] = found.values
    result.standard_errors[name] = found.standard_errors
    if found.reason:
        result.reasons[name] = found.reason
