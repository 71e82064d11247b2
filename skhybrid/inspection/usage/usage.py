"""Is the physics used, and is it needed?"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, check_cv
from sklearn.utils import indexable
from sklearn.utils.validation import _num_samples

from skhybrid.fitting.summary_lines import share_without
from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.inspection.refits import Refit, refit
from skhybrid.inspection.training_rows import training_rows
from skhybrid.inspection.usage.losses import (
    Data,
    at_edge,
    held_out_loss,
    reads_trajectories,
    target_deviation,
)
from skhybrid.inspection.usage.moves import moves_of
from skhybrid.inspection.usage.result import HYBRID, MODELS, NETWORK, PHYSICS, PhysicsUsage
from skhybrid.model.latent_ode import LatentODE
from skhybrid.training.explained_variance import measure_explained_variance

# The network alone reads all columns: nn_features keep a network from replacing the physics.
PARTS = {HYBRID: {}, PHYSICS: {"nn": None}, NETWORK: {"physics": None, "nn_features": None}}
FIRST_PHASE = {"refine_rho": None}


def physics_usage(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    groups: Any = None,
    sample_weight: Any = None,
    change: float = 0.1,
    moves: bool = True,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    max_members: int | None = None,
) -> PhysicsUsage:
    """Measure how much a hybrid uses its physics, and whether it needs both parts.

    Three things are measured. The physics' share of the explained variance, on training rows and on
    rows held out: parameters that are functions of features have their mean over the training rows
    there, and how they vary counts as the network's part. The loss of hybrid, physics alone and
    network alone on the same folds; rows held out are also split into those inside the range of the
    training rows and those at its edge, where a network that replaces the physics shows first. And
    the training loss when each parameter is moved: with all else held, and with the network and the
    other parameters trained again. If the second is zero while the first is not, the network makes
    up for the parameter: the data then do not determine it.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        With physics and network. It is cloned.
    X, y : array-like
        As for ``fit``.
    cv : int, cross-validation generator or iterable, default=5
        Folds. A number counts at most as many folds as there are rows, trajectories or groups.
    groups : array-like of shape (n_samples,), default=None
        Rows of one group are held out together, or groups for a splitter of your own.
    sample_weight : array-like of shape (n_samples,), default=None
    change : float, default=0.1
        Part of its value by which a parameter is moved, in both directions.
    moves : bool, default=True
        Whether to move parameters. This takes one fit to all rows, and two for each element.
    random_state : int or None, default=0
        Seed of all fits; None keeps the estimator's.
    n_jobs, max_members : int, default=None
        As for :class:`~skhybrid.HybridSearchCV`.

    Returns
    -------
    PhysicsUsage

    Raises
    ------
    ValueError
        If the estimator has no physics or no network, or a hybrid cannot be fitted.

    Notes
    -----
    The fits with moved parameters, and the one they are compared with, have no second phase: it
    would lower their losses by different amounts.

    A row is at the edge of a fold if a fifth of the training rows at most are as far out. How far
    out a row is, its column farthest from the median tells, in ranks. Columns with one or two
    values do not count. Trajectories are placed by their initial states, if X holds them.

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import physics_usage
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=20, random_state=0)
    >>> usage = physics_usage(model, data.data, data.target, cv=2)
    >>> usage.losses["all"]["hybrid"].shape
    (2,)
    """
    model = hybrid_of(estimator)
    for part in ("physics", "nn"):
        if getattr(model, part) is None:
            raise ValueError(f"{part} is None; only a model with physics and network has parts.")
    X, y, groups, sample_weight = indexable(X, y, groups, sample_weight)
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=float)
    data = Data(X, y, weight)
    splits = [*_folds(cv, _num_samples(X), groups).split(X, y, groups)]
    options = {"random_state": random_state, "n_jobs": n_jobs, "max_members": max_members}
    jobs = [_job(data.select(train), params) for params in PARTS.values() for train, _ in splits]
    extra = [_job(data, FIRST_PHASE)] if moves else []
    fits = refit(estimator, [*jobs, *extra], what="fits of the parts", **options)
    n_folds = len(splits)
    models = {name: fits[i * n_folds : (i + 1) * n_folds] for i, name in enumerate(MODELS)}
    reasons = _reasons(estimator, models)
    losses, no_edge = _losses(estimator, data, splits, models)
    reasons |= {"edge": no_edge} if no_edge else {}
    share = _shares(data, splits, models[HYBRID])
    whole, found, loss = None, {}, np.nan
    if moves:
        whole = fits[-1]
        if isinstance(whole, Exception):
            raise ValueError(f"The fit to all rows failed: {whole}") from whole
        base = _first_phase(estimator)
        found, gaps = moves_of(base, whole, data, change, **options)
        reasons, loss = reasons | gaps, hybrid_of(whole).loss_
    constant = share_without(hybrid_of(models[HYBRID][0])._fitted)
    return PhysicsUsage(share, losses, loss, found, reasons, whole, constant)


def _folds(cv: Any, n_rows: int, groups: Any) -> Any:
    """Return the splitter; a number of folds keeps groups together and does not exceed the rows."""
    if not isinstance(cv, Integral):
        return check_cv(cv)
    n_units = n_rows if groups is None else len(np.unique(np.asarray(groups)))
    if cv < 2:
        raise ValueError(f"cv must be 2 or more folds, a splitter or an iterable; got {cv}.")
    if n_units < 2:
        what = "rows or trajectories" if groups is None else "groups"
        raise ValueError(
            f"Folds need two {what} at least; there are {n_units}. Give more data, or "
            "several shorter trajectories."
        )
    return (KFold if groups is None else GroupKFold)(int(min(cv, n_units)))


def _job(data: Data, params: dict[str, Any]) -> Refit:
    return Refit(data.X, data.y, data.weight, params)


def _first_phase(estimator: Any) -> Any:
    """Return a clone without a second phase."""
    copied = clone(estimator)
    hybrid_of(copied).set_params(**FIRST_PHASE)
    return copied


def _reasons(estimator: Any, models: dict[str, list]) -> dict[str, str]:
    """Return why models are missing; raise an error if no hybrid could be fitted."""
    reasons = {}
    has_images = isinstance(hybrid_of(estimator).structure, LatentODE)
    for name, fits in models.items():
        errors = [each for each in fits if isinstance(each, Exception)]
        if errors and name == HYBRID:
            raise ValueError(f"The fit of the hybrid failed: {errors[0]}") from errors[0]
        if errors and name == PHYSICS and has_images:
            reasons[name] = "There is no physics alone: images need an encoder and a decoder."
        elif errors:
            reasons[name] = f"The {name} cannot be fitted: {errors[0]}"
    return reasons


def _losses(
    estimator: Any, data: Data, splits: list, models: dict[str, list]
) -> tuple[dict[str, dict[str, np.ndarray]], str | None]:
    """Return the losses by region, model and fold, and why there is no edge."""
    deviation = None if reads_trajectories(estimator) else target_deviation(data)
    no_edge, regions = None, []
    for train, test in splits:
        outside = at_edge(data.X, train, test)
        if isinstance(outside, str):
            no_edge = outside
            regions.append({"all": test})
        else:
            regions.append({"all": test, "inside": test[~outside], "edge": test[outside]})
    names = [each for each in regions[0] if all(each in fold for fold in regions)]
    losses = {
        region: {
            name: np.array(
                [
                    np.nan
                    if isinstance(fit, Exception)
                    else held_out_loss(fit, data.select(fold[region]), deviation)
                    for fit, fold in zip(fits, regions, strict=True)
                ]
            )
            for name, fits in models.items()
        }
        for region in names
    }
    return losses, no_edge


def _shares(data: Data, splits: list, fits: Iterable) -> dict[str, np.ndarray]:
    """Return the physics' share of the fold's training rows, and of those held out."""
    training, held_out = [], []
    for fit, (_, test) in zip(fits, splits, strict=True):
        training.append(hybrid_of(fit).physics_share_)
        held_out.append(_share(fit, data.select(test)))
    return {"training": np.array(training), "held out": np.array(held_out)}


def _share(fit: Any, data: Data) -> float:
    """Return the physics' share on other rows; NaN where their first states are not known."""
    try:
        read = training_rows(fit, data.X, data.y, data.weight)
    except ValueError:  # learned first states
        return np.nan
    at = read.data
    found = measure_explained_variance(
        read.hybrid,
        at.x,
        at.y,
        read.coordinates,
        target_weight=at.weight,
        constants=hybrid_of(fit)._fitted.function_means,
    )
    return found.physics_share
