"""θ under other assumptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import indexable

from skhybrid.batching.auto_parameters import auto_parameters
from skhybrid.inspection.assumptions.partially_linear import PartiallyLinear, partially_linear
from skhybrid.inspection.assumptions.refitted import (
    ASSUMPTIONS,
    FEW_INPUTS,
    OWN,
    Assumption,
    settings_of,
    unusable,
)
from skhybrid.inspection.assumptions.result import Opinion, OtherAssumptions
from skhybrid.inspection.flat_parameters import elements_of, hybrid_of
from skhybrid.inspection.refits import Refit, refit

PARTIALLY_LINEAR = "partially linear"
MEANING = "any function of the network's inputs (double machine learning)"
NAMES = (*(each.name for each in ASSUMPTIONS), PARTIALLY_LINEAR)


def other_assumptions(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    assumptions: Sequence[str] | None = None,
    sample_weight: Any = None,
    groups: Any = None,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    max_members: int | None = None,
) -> OtherAssumptions:
    """Estimate θ under other assumptions about what the physics lacks.

    With a missing part, data fix θ only up to what of this part looks like the effect of θ. Every
    rule picks one of these values by an assumption. Where rules agree, θ hardly depends on the
    assumption; where they disagree, one has to know which holds. Nothing is averaged.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        With physics and network. If it is fitted, X and y must be the rows of its fit; otherwise
        a clone is fitted. Values that a fit chose for "auto" parameters are kept.
    X, y : array-like
        As for ``fit``.
    assumptions : sequence of str, default=None
        Those to compare with the estimator's own; None is all but "few inputs":

        - "small": the network's part is as small as possible, by a penalty on its square [1]_, with
          plain Adam and a weight of 0.01, which did well on simulated tasks;
        - "orthogonal": the network explains nothing that θ could explain, by a penalty on its
          projection on ∂f_S/∂θ [2]_, with plain Adam and a weight of 1; on tables with a quarter
          of the epochs (750 steps for "auto"), because its steps take several times as long;
        - "few inputs": the network reads the fewest inputs that do (``nn_features="auto"``), with
          the estimator's other settings; this takes the longest, five fits for each set of inputs;
        - "plain": plain Adam, as a reference that assumes nothing;
        - "physics alone": no network, as a reference;
        - "partially linear": any function of the network's inputs, by cross-fitted double machine
          learning with learners of scikit-learn [3]_; for additive tables, where the effect of a
          parameter varies beside the network's inputs.
    sample_weight : array-like of shape (n_samples,), default=None
    groups : array-like of shape (n_samples,), default=None
        For "partially linear": rows of one group are held out together, and may share their noise.
    random_state : int or None, default=0
        Seed of all fits; None keeps the estimator's.
    n_jobs, max_members : int, default=None
        As for :class:`~skhybrid.HybridSearchCV`.

    Returns
    -------
    OtherAssumptions

    Raises
    ------
    ValueError
        If the estimator has no physics, no free parameters or no network, its own fit fails, or an
        assumption is not known. A fit under another assumption that fails is a row with the reason.

    Notes
    -----
    All fits are trained side by side, without a second phase, which does not change θ.

    The smallest and the orthogonal correction leave as much to the physics as they can. So their θ
    is close to that of the physics alone where the network sees all that the physics reads, and has
    its bias. Agreement of the three with the estimator means more than disagreement.

    References
    ----------
    .. [1] Y. Yin et al., "Augmenting physical models with deep networks for complex dynamics
       forecasting", ICLR 2021.
    .. [2] B. M. Györök et al., "Orthogonal projection-based regularization for efficient model
       augmentation", L4DC 2025.
    .. [3] V. Chernozhukov et al., "Double/debiased machine learning for treatment and structural
       parameters", The Econometrics Journal 21, 2018.

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import other_assumptions
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=20, random_state=0)
    >>> found = other_assumptions(model, data.data, data.target, assumptions=["small", "plain"])
    >>> [opinion.assumption for opinion in found.opinions]
    ['own', 'small', 'plain']
    """
    model = hybrid_of(estimator)
    for part in ("physics", "nn"):
        if getattr(model, part) is None:
            raise ValueError(f"{part} is None; only a model with physics and network has parts.")
    chosen = tuple(assumptions or (name for name in NAMES if name != FEW_INPUTS))
    for name in chosen:
        if name not in NAMES:
            raise ValueError(f"There is no assumption {name!r}; there are {', '.join(NAMES)}.")
    X, y, sample_weight, groups = indexable(X, y, sample_weight, groups)
    options = {"random_state": random_state, "n_jobs": n_jobs, "max_members": max_members}
    asked = [each for each in ASSUMPTIONS if each.name in chosen]
    own, fits = _fitted(estimator, asked, (X, y, sample_weight), options)
    names = [*elements_of(own)]
    if not names:
        raise ValueError("The physics has no free parameters. Free one: Param(..., fixed=False).")
    opinions = [_opinion(OWN, own, names)]
    for each in asked:
        found = fits.get(each.name, unusable(each, model))
        opinions.append(_opinion(each, found, names))
    if PARTIALLY_LINEAR in chosen:
        found = partially_linear(own, X, y, sample_weight, groups)
        opinions.append(_partially_linear(found, names))
    return OtherAssumptions(opinions, names)


def _fitted(
    estimator: Any, asked: Sequence[Assumption], data: tuple, options: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Return the estimator's own fit, and the fits or errors by assumption."""
    model, autos = hybrid_of(estimator), auto_parameters(hybrid_of(estimator))
    own = estimator if hasattr(model, "_fitted") else None
    if own is None and autos:
        (own,) = refit(estimator, [Refit(*data, OWN.params)], **options)
        _require_fitted(own)
    # What a fit chose for "auto" is kept.
    kept = {name: getattr(hybrid_of(own), f"{name}_") for name in autos}
    usable = [each for each in asked if not unusable(each, model)]
    to_fit = usable if own is not None else [OWN, *usable]
    refits = [Refit(*data, {**kept, **settings_of(each, model, len(data[1]))}) for each in to_fit]
    fits = refit(estimator, refits, what="fits under other assumptions", **options)
    by_name = {each.name: fit for each, fit in zip(to_fit, fits, strict=True)}
    own = by_name.pop(OWN.name, own)
    _require_fitted(own)
    return own, by_name


def _require_fitted(own: Any) -> None:
    """Raise a ValueError if the estimator's own fit failed."""
    if isinstance(own, Exception):
        raise ValueError(f"The fit of the estimator failed: {own}") from own


def _opinion(assumption: Assumption, found: Any, names: list[str]) -> Opinion:
    """Return the opinion of a fitted clone, of an error or of a reason."""
    about = {
        "assumption": assumption.name,
        "meaning": assumption.meaning,
        "reference": assumption.reference,
    }
    if isinstance(found, (str, Exception)):
        reason = found if isinstance(found, str) else f"The fit failed: {found}"
        return Opinion(values=dict.fromkeys(names, np.nan), reason=reason, **about)
    values, loss = elements_of(found), float(hybrid_of(found).loss_)
    if assumption.name == FEW_INPUTS:
        features = ", ".join(map(str, hybrid_of(found).nn_features_))
        about["meaning"] = f"depends on few inputs: {features}"
    return Opinion(values=values, loss=loss, estimator=found, **about)


def _partially_linear(found: PartiallyLinear | str, names: list[str]) -> Opinion:
    """Return the opinion of double machine learning."""
    missing = dict.fromkeys(names, np.nan)
    if isinstance(found, str):
        return Opinion(PARTIALLY_LINEAR, MEANING, missing, reason=found)
    reason = " ".join(found.reasons.values())
    return Opinion(PARTIALLY_LINEAR, MEANING, missing | found.values, found.errors, reason=reason)
