"""Fit an estimator to resampled data: how sure are θ and the prediction?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skhybrid.inspection.bootstrapping.replicates import NO_REFITS, Replicates, usable
from skhybrid.inspection.bootstrapping.resampled_data import draw_pairs, draw_residuals
from skhybrid.inspection.bootstrapping.resampling import known_rows
from skhybrid.inspection.bootstrapping.residuals import held_out_residuals
from skhybrid.inspection.bootstrapping.result import BootstrapResult
from skhybrid.inspection.bootstrapping.series import Series
from skhybrid.inspection.bootstrapping.units import read_sample_weight
from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.inspection.refits import Refit
from skhybrid.runtime.progress import showing

KINDS = ("pairs", "residual", "block")


def bootstrap(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    n_replicates: int = 40,
    kind: str = "pairs",
    groups: Any = None,
    block_length: int | None = None,
    sample_weight: Any = None,
    refine: bool = False,
    n_jobs: int | None = None,
    max_members: int | None = None,
    random_state: Any = None,
) -> BootstrapResult:
    """Fit an estimator to resampled data, and see how much the physics parameters move.

    All replicates are trained side by side, each with another network too, so that their spread is
    that of the data and of the start of training together (Efron 1979).

    It leaves out what is the same in every replicate: the bias of θ by the shrinkage of the
    network (the radius, penalties, the end of training); the choice of the radius itself, which
    :func:`confidence_intervals` adds; and the assumption that picks θ at all: what of the missing
    term looks like the physics goes to θ in every replicate alike.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Cloned. What is "auto" is chosen once, on all rows, and not again in each replicate.
    X, y : array-like
        As for ``fit``.
    n_replicates : int, default=40
        The quantiles of :meth:`BootstrapResult.interval` for 95 % need 39 replicates. The standard
        deviation of 40 is known to 11 %.
    kind : {"pairs", "residual", "block"}, default="pairs"
        "pairs": each row of X (with an ODE: each trajectory; with ``groups``: each group) is drawn
        with replacement. How often it is drawn multiplies its weight, so that copies never lie on
        both sides of a split. It holds under any noise. It needs some ten rows, trajectories or
        groups.
        "residual": X stays. To the prediction, residuals are added that are drawn with replacement
        (with an ODE: those of whole trajectories). It needs independent noise of the same
        distribution everywhere, but for the weights.
        "block": the same with moving blocks of neighbouring residuals (Künsch 1989), for noise that
        is correlated along the rows of a table (with ``groups``: along the rows of each group) or
        along the times of trajectories.
        Residuals are cross-fitted: they come from fits (five folds) that have not seen the row or
        the trajectory. For a single trajectory this is impossible. Its own residuals are used,
        multiplied by √(n / (n − k)), where k counts θ, learned initial states and the network as
        if it were linear; a network that bends more makes the spread too small. Residuals of an
        ODE are those of whole rollouts. If the mean of the replicates in ``frame`` is far from the
        estimate, the residuals are errors of the model and no noise; use "pairs" then.
    groups : array-like of shape (n_samples,), default=None
        Groups of rows of X that are not independent of each other.
    block_length : int, default=None
        Number of neighbours in a block. None is the cube root of the length of the longest series,
        and at least the first lag at which the residuals are no longer correlated (their
        autocorrelation is within ±1.96/√n); at most a quarter of that length.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights, as relative precisions.
    refine : bool, default=False
        Whether replicates have the second phase, too. It does not change θ and takes longer;
        :meth:`BootstrapResult.predict` needs it.
    n_jobs, max_members : int, default=None
        As for :class:`~skhybrid.HybridSearchCV`.
    random_state : int, RandomState instance or None, default=None
        Seed of what is drawn, and of the networks of the replicates; also that of the fit to all
        rows, if the estimator has none.

    Returns
    -------
    BootstrapResult
        ``estimator``, ``estimators``, ``params``, ``physics_params_std_``, ``interval(level)``,
        ``correlation``, ``frame``, and ``predict(X, interval=0.9)``.

    Raises
    ------
    ValueError
        If there is a single row, group or trajectory to draw with ``kind="pairs"`` or "residual";
        if residuals cannot be drawn as asked for.
    TrainingError
        If fewer than half of the replicates could be fitted.

    Warns
    -----
    RuntimeWarning
        If a replicate could not be fitted; it is left out.
    UserWarning
        If residuals are correlated over longer times than a block can be.

    See Also
    --------
    confidence_intervals : Adds the choice of the radius.

    Notes
    -----
    Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979).
    Künsch, "The jackknife and the bootstrap for general stationary observations", Annals of
    Statistics 17 (1989). Hall, Horowitz and Jing, "On blocking rules for the bootstrap with
    dependent data", Biometrika 82 (1995).

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import bootstrap
    >>> data = make_pendulum_acceleration(100, missing="drag", random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=50, random_state=0)
    >>> result = bootstrap(model, data.data, data.target, random_state=0)
    >>> low, high = result.interval(0.95)["omega2"]
    >>> low < result.estimator.physics_params_["omega2"] < high
    True
    """
    options = Options(n_replicates, kind, groups, block_length, refine, random_state)
    replicates = make_replicates(estimator, X, y, sample_weight, n_jobs, max_members)
    with showing(hybrid_of(estimator).verbose):
        return run_bootstrap(replicates, options)[0]


@dataclass(frozen=True)
class Options:
    """Options of :func:`bootstrap`."""

    n_replicates: int
    kind: str = "pairs"
    groups: Any = None
    block_length: int | None = None
    refine: bool = False
    random_state: Any = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {self.kind!r}.")
        if self.n_replicates < 2:
            raise ValueError(f"n_replicates must be 2 at least; got {self.n_replicates}.")
        if self.block_length is not None and self.kind != "block":
            raise ValueError(f"block_length is for kind='block'; kind is {self.kind!r}.")
        if self.block_length is not None and self.block_length < 1:
            raise ValueError(f"block_length must be 1 at least; got {self.block_length}.")

    def seeds(self) -> tuple[np.random.Generator, list[int]]:
        """Return a generator of what is drawn, and the seed of the network of each replicate."""
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        rng = np.random.default_rng(seed)
        return rng, rng.integers(np.iinfo(np.int32).max, size=self.n_replicates).tolist()


def make_replicates(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    n_jobs: int | None,
    max_members: int | None,
) -> Replicates:
    """Read the data of a bootstrap; fit nothing."""
    series = Series.of(estimator, y)
    weight = read_sample_weight(series, sample_weight)
    return Replicates(estimator, X, y, series, weight, n_jobs, max_members)


def run_bootstrap(
    replicates: Replicates,
    options: Options,
    also: Callable[[Mapping[str, Any]], list[Refit]] = NO_REFITS,
) -> tuple[BootstrapResult, list[Any]]:
    """Run a bootstrap, and further refits in the same batches; return both.

    Parameters
    ----------
    replicates : Replicates
    options : Options
    also : callable, default=NO_REFITS
        From the chosen values of "auto" parameters to the further refits.
    """
    rng, seeds = options.seeds()
    replicates.seed = int(rng.integers(np.iinfo(np.int32).max))
    params = {} if options.refine else {"refine_rho": None}
    n, groups = options.n_replicates, options.groups
    if options.kind == "pairs":
        drawn = draw_pairs(replicates, n, groups, rng)
    else:
        kind = {"kind": options.kind, "block_length": options.block_length}
        drawn = draw_residuals(replicates, n, groups, rng, **kind)
    refits = [
        Refit(replicates.X, y, weight, {**params, "random_state": seed})
        for (y, weight), seed in zip(drawn.data, seeds, strict=True)
    ]
    fitted, further = replicates.fit(refits, also)
    kept = usable(fitted)
    estimators = [each for each, good in zip(fitted, kept, strict=True) if good]
    refined = options.refine or not _has_second_phase(replicates)
    residuals = drawn.residuals
    if options.kind == "pairs" and refined:
        left_out = [w == 0 for (_, w), good in zip(drawn.data, kept, strict=True) if good]
        args = replicates.X, replicates.series, replicates.weight, left_out
        residuals = held_out_residuals(estimators, *args)
    if residuals is not None:
        residuals = known_rows(residuals, rng)
    result = BootstrapResult(
        estimator=replicates.full,
        estimators=estimators,
        kind=options.kind,
        n_failed=int(np.count_nonzero(~kept)),
        block_length=drawn.block_length,
        residuals=residuals,
        refined=refined,
        _seed=int(rng.integers(np.iinfo(np.int32).max)),
    )
    return result, further


def _has_second_phase(replicates: Replicates) -> bool:
    """Whether the fit to all rows has a second phase that replicates may lack."""
    model = hybrid_of(replicates.full)
    chosen = {"rho": model.rho, "refine_rho": model.refine_rho, **replicates.chosen}
    trains = model.nn is not None and model.optimizer == "sam"
    return trains and chosen["rho"] != 0 and chosen["refine_rho"] is not None
