"""Follow θ, the score and the physics' share along a parameter of the estimator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, check_random_state, indexable

from skhybrid.batching.comparison import Comparison
from skhybrid.model.physics import require_wrapped
from skhybrid.model_selection.fold_statistics import (
    fold_columns,
    spread,
    theta_columns,
)
from skhybrid.model_selection.plateau import Plateau, warn_of_short_training
from skhybrid.runtime.progress import showing
from skhybrid.runtime.suggestions import suggestion

RADII = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


def physics_path(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    *,
    param_name: str = "rho",
    param_range: Sequence[float] = RADII,
    cv: Any = None,
    groups: Any = None,
    sample_weight: Any = None,
    n_restarts: int = 3,
    n_jobs: int | None = None,
    max_members: int | None = None,
) -> Bunch:
    """Follow the physics parameters along a parameter of the estimator, on folds and restarts.

    All values, folds and restarts are trained in batches. The second phase does not change θ, so it
    is left out unless the parameter belongs to it.

    Parameters
    ----------
    estimator : HybridRegressor
        Estimator to clone; it is not fitted itself.
    X, y : array-like
        As for ``fit``.
    param_name : str, default="rho"
        A numeric parameter, such as "rho", "l2", "functional_norm", "learning_rate" or
        "physics__k", the initial value of the unknown ``k`` of a :class:`~skhybrid.Physics`.
    param_range : sequence of float
        Values to compare. The default radii go from zero to far too large; on every task
        measured, θ settles within this range.
    cv : int, cross-validation generator or iterable, default=None
        Folds; None is five folds.
    groups : array-like of shape (n_samples,), default=None
        Groups for the splitter.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    n_restarts : int, default=3
        Number of restarts of every fit, from different networks and different θ. They show whether
        θ depends on where training starts.
    n_jobs, max_members : int, default=None
        As for :class:`~skhybrid.HybridSearchCV`.

    Returns
    -------
    Bunch
        ``param_name``, ``param_range`` of shape (n_values,);
        ``physics_params``: every free parameter, one entry for each element of an array, as a
        dict of name to array of shape (n_values, n_folds);
        ``restart_spread``: standard deviation of each parameter over the restarts that fit the
        data equally well, of the same shape;
        ``spread``: spread of each parameter over folds and restarts together, of shape
        (n_values,), see :class:`~skhybrid.model_selection.stable`;
        ``score`` and ``physics_share``, of shape (n_values, n_folds);
        ``admissible``: whether the prediction is good enough for θ to count, and no part has
        vanished; ``settled``: whether θ had stopped moving at the end of training; ``plateau``:
        whether, among the values with both, θ is about as reproducible as at the best one; each of
        shape (n_values,), see :class:`~skhybrid.model_selection.stable`.

    Raises
    ------
    TypeError, ValueError
        If the estimator is no HybridRegressor, or has no such parameter.

    Warns
    -----
    ShortTrainingWarning
        If a value would be on the plateau had θ settled there.

    See Also
    --------
    PhysicsPathDisplay : Figure of a path.

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import physics_path
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=20, random_state=0)
    >>> path = physics_path(model, data.data, data.target, param_range=[0.01, 0.1], cv=3)
    >>> path.physics_params["omega2"].shape
    (2, 3)
    """
    X, y, groups, sample_weight = indexable(X, y, groups, sample_weight)
    values = [float(value) for value in param_range]
    if not values:
        raise ValueError("param_range is empty: give it the values to compare.")
    if not hasattr(estimator, "physics"):
        raise TypeError(
            f"physics_path needs a HybridRegressor; got a {type(estimator).__name__}. Transform X "
            "before, and give the last step of a pipeline: physics_path(pipeline[-1], "
            "pipeline[:-1].fit_transform(X), y)."
        )
    require_wrapped(estimator.physics, [param_name])
    known = estimator.get_params()
    if param_name not in known:
        raise ValueError(
            f"{type(estimator).__name__} has no parameter {param_name!r}"
            f"{suggestion(param_name, known)} It has {', '.join(sorted(known))}."
        )
    splits = [*check_cv(cv, y).split(X, y, groups)]
    seed = int(check_random_state(estimator.random_state).randint(np.iinfo(np.int32).max))
    comparison = Comparison(
        estimator,
        X,
        y,
        sample_weight,
        splits,
        seed=seed,
        n_jobs=n_jobs,
        max_members=max_members,
    )
    fixed: dict[str, Any] = {"n_restarts": n_restarts}
    if param_name != "refine_rho":
        fixed["refine_rho"] = None
    with showing(estimator.verbose):
        results = comparison.results([{**fixed, param_name: value} for value in values])
    columns = theta_columns(results)
    everywhere = np.ones(len(values), dtype=bool)
    plateau = Plateau.of(results) if columns else Plateau(*[everywhere] * 4)
    moving = np.flatnonzero(plateau.would_be_stable & ~plateau.settled)
    if len(moving):
        consequence = "This value is not part of the plateau."
        warn_of_short_training(results, moving[0], param_name, values[moving[0]], consequence)
    return Bunch(
        param_name=param_name,
        param_range=np.array(values),
        physics_params={name: theta for name, (theta, _) in columns.items()},
        restart_spread={name: restarts for name, (_, restarts) in columns.items()},
        spread={name: spread(theta, restarts) for name, (theta, restarts) in columns.items()},
        score=fold_columns(results, "test_score"),
        physics_share=fold_columns(results, "test_physics_share"),
        admissible=plateau.admissible,
        settled=plateau.settled,
        plateau=plateau.stable,
    )
