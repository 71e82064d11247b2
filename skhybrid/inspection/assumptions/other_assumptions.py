"""θ under other assumptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import indexable

from skhybrid.inspection.assumptions.partially_linear import partially_linear
from skhybrid.inspection.assumptions.refitted import ASSUMPTIONS, OWN, Assumption, unusable
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
        With physics and network. It is cloned.
    X, y : array-like
        As for ``fit``.
    assumptions : sequence of str, default=None
        Those to compare with the estimator's own; None is all:

        - "small": the network's part is as small as possible, by a penalty on its square [1]_, with
          plain Adam and a weight of 0.01, which did well on simulated tasks;
        - "orthogonal": the network explains nothing that θ could explain, by a penalty on its
          projection on ∂f_S/∂θ [2]_, with plain Adam and a weight of 1;
        - "few inputs": the network reads the fewest inputs that do (``nn_features="auto"``), with
          the estimator's other settings; this takes the longest, a comparison of sets of inputs;
        - "plain": plain Adam, as a reference that assumes nothing;
        - "physics alone": no network, as a reference;
        - "partially linear": any function of the network's inputs, by cross-fitted double machine
          learning with learners of scikit-learn [3]_; for additive tables, where the effect of a
          parameter varies beside the network's inputs.
    sample_weight : array-like of shape (n_samples,), default=None
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
        If the estimator has no physics or no network, its own fit fails, or an assumption is not
        known.

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
    chosen = NAMES if assumptions is None else tuple(assumptions)
    for name in chosen:
        if name not in NAMES:
            raise ValueError(f"There is no assumption {name!r}; there are {', '.join(NAMES)}.")
    X, y, sample_weight = indexable(X, y, sample_weight)
    asked = [each for each in ASSUMPTIONS if each.name in chosen]
    fitted = [OWN, *(each for each in asked if not unusable(each, model))]
    fits = refit(
        estimator,
        [Refit(X, y, sample_weight, each.params) for each in fitted],
        what="fits under other assumptions",
        random_state=random_state,
        n_jobs=n_jobs,
        max_members=max_members,
    )
    if isinstance(fits[0], Exception):
        raise ValueError(f"The fit of the estimator failed: {fits[0]}") from fits[0]
    names = [*elements_of(fits[0])]
    by_name = {each.name: fit for each, fit in zip(fitted, fits, strict=True)}
    opinions = [_opinion(OWN, fits[0], names)]
    for each in asked:
        found = by_name.get(each.name, unusable(each, model))
        opinions.append(_opinion(each, found, names))
    if PARTIALLY_LINEAR in chosen:
        opinions.append(_partially_linear(fits[0], X, y, sample_weight, names))
    return OtherAssumptions(opinions, names)


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
    if assumption.name == "few inputs":
        features = ", ".join(map(str, hybrid_of(found).nn_features_))
        about["meaning"] = f"depends on few inputs: {features}"
    return Opinion(values=values, loss=loss, estimator=found, **about)


def _partially_linear(fit: Any, X: Any, y: Any, weight: Any, names: list[str]) -> Opinion:
    """Return the opinion of double machine learning, linearised at a fit."""
    found = partially_linear(fit, X, y, weight)
    missing = dict.fromkeys(names, np.nan)
    if isinstance(found, str):
        return Opinion(PARTIALLY_LINEAR, MEANING, missing, reason=found)
    reason = " ".join(found.reasons.values())
    return Opinion(PARTIALLY_LINEAR, MEANING, missing | found.values, found.errors, reason=reason)
