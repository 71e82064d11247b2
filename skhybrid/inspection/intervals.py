"""Confidence intervals of the physics parameters: sampling and the choice of the radius."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import t as student_t

from skhybrid.exceptions import TrainingError
from skhybrid.inspection.bootstrapping.replicates import Replicates
from skhybrid.inspection.bootstrapping.result import BootstrapResult
from skhybrid.inspection.bootstrapping.run_bootstrap import Options, make_replicates, run_bootstrap
from skhybrid.inspection.flat_parameters import (
    elements_of,
    hybrid_of,
    in_shape,
    limits_of,
    require_free_physics,
)
from skhybrid.inspection.refits import Refit
from skhybrid.inspection.tables import html_table, text_table
from skhybrid.runtime.frames import data_frame
from skhybrid.runtime.progress import showing

# Radii of the refits, in units of the estimator's own.
RADIUS_FACTORS = (0.4, 1.0, 2.0)
# Networks for each radius. Their mean keeps the luck of one network out of the range over radii.
NETWORKS_PER_RADIUS = 2
# Networks where there is no radius.
N_STARTS = 3
# Chosen on a quarter of the random tasks of benchmarks/bench_trust.py, judged on the others.
CALIBRATION = 0.9


def confidence_intervals(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    level: float = 0.95,
    n_replicates: int = 30,
    radii: Sequence[float] | None = None,
    kind: str = "pairs",
    groups: Any = None,
    block_length: int | None = None,
    sample_weight: Any = None,
    bootstrap: BootstrapResult | None = None,
    n_jobs: int | None = None,
    max_members: int | None = None,
    random_state: Any = None,
) -> ConfidenceIntervals:
    """Return intervals for the physics parameters that count the choice of the radius, too.

    Data are resampled, which gives the standard deviation s of each parameter (:func:`bootstrap`).
    Fits to all rows with smaller and larger radii of sharpness-aware minimisation give the range p
    of each parameter over the radii, because no rule says which radius is right. The interval is
    θ ± c · √(s² + p²); c is the quantile of Student's t distribution with as many degrees of
    freedom as there are replicates, less one, times 0.9. That is 1.84 for 95 % and 30 replicates.
    The factor was chosen on random tasks, and judged on others (benchmarks/bench_trust.py).
    All fits are trained side by side, without a second phase, which does not change θ. The
    interval ends at the bounds of the parameter.

    It does not cover an assumption that is wrong: where the missing term looks like the physics, θ
    is off by the same amount in all fits.

    Physics alone (``nn=None``) has no radius: the interval comes from the standard errors of least
    squares and Student's t distribution, and nothing is fitted but the estimator. It is NaN for an
    element on a bound, or in a direction that the data do not fix.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Cloned.
    X, y : array-like
        As for ``fit``.
    level : float, default=0.95
        Part of such intervals that should cover the truth.
    n_replicates : int, default=30
        Number of replicates. The standard deviation of 30 is known to 13 %, and c allows for it.
    radii : sequence of float, default=None
        Radii to compare. None is 0.4, 1 and 2 times the estimator's ``rho``, or the value chosen
        for "auto". Two networks are trained at each radius, and p is the range of their means.
        Without a radius (``optimizer="adam"`` or ``rho=0``), p is the range over three networks.
    kind, groups, block_length, sample_weight
        As for :func:`bootstrap`.
    bootstrap : BootstrapResult, default=None
        A bootstrap of the same estimator and data; None makes one.
    n_jobs, max_members : int, default=None
        As for :class:`~skhybrid.HybridSearchCV`.
    random_state : int, RandomState instance or None, default=None
        Seed of what is drawn, and of the networks.

    Returns
    -------
    ConfidenceIntervals

    Raises
    ------
    ValueError
        If the physics has no free parameters, if ``level`` is not between 0 and 1, if ``radii``
        cannot be used, or as for :func:`bootstrap`.
    TrainingError
        If too many fits failed.

    See Also
    --------
    bootstrap : Replicates, and intervals of the prediction.

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import confidence_intervals
    >>> data = make_pendulum_acceleration(100, missing="drag", random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=50, random_state=0)
    >>> intervals = confidence_intervals(model, data.data, data.target, random_state=0)
    >>> low, high = intervals.to_dict()["omega2"]
    >>> low < data.physics_params["omega2"] < high
    True
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, such as 0.95; got {level}.")
    if radii is not None and (len(radii) < 2 or min(radii) < 0):
        raise ValueError(f"radii must be two or more numbers, none below zero; got {radii}.")
    model = hybrid_of(estimator)
    require_free_physics(model)
    if radii is not None and (model.nn is None or model.optimizer == "adam"):
        raise ValueError("radii are for optimizer='sam' with a network; this model has no radius.")
    options = Options(n_replicates, kind, groups, block_length, random_state=random_state)
    fits = make_replicates(estimator, X, y, sample_weight, n_jobs, max_members)
    with showing(model.verbose):
        if model.nn is None and bootstrap is None:
            fits.fit([])
            errors = getattr(hybrid_of(fits.full)._fitted, "standard_errors", None)
            if errors is not None:
                return _of_physics_alone(fits.full, errors, level)
        refits = RadiusRefits(fits, radii, options)
        if bootstrap is None:
            bootstrap, fitted = run_bootstrap(fits, options, refits.make)
        else:
            fits.adopt(bootstrap.estimator)
            fitted, _ = fits.fit(refits.make(fits.chosen))
    by_setting = refits.table(fitted)
    return _joined(bootstrap, by_setting, refits.what, level)


@dataclass
class RadiusRefits:
    """Refits to all rows with other radii, or, without a radius, from other networks.

    Attributes
    ----------
    fits : Replicates
    radii : sequence of float or None
    options : Options
        Of the bootstrap.
    settings : list of float
        The radius of each refit; NaN where there is none.
    """

    fits: Replicates
    radii: Sequence[float] | None
    options: Options
    settings: list[float] = field(default_factory=list)

    def make(self, chosen: Mapping[str, Any]) -> list[Refit]:
        """Return the refits, given the values chosen for "auto" parameters."""
        model = hybrid_of(self.fits.estimator)
        if model.nn is None:
            return []
        radius = 0.0 if model.optimizer == "adam" else chosen.get("rho", model.rho)
        radii = self.radii
        if radii is None:
            radii = [factor * radius for factor in RADIUS_FACTORS] if radius > 0 else None
        if radii is None:
            self.settings = [np.nan] * N_STARTS
        else:
            self.settings = [float(each) for each in radii for _ in range(NETWORKS_PER_RADIUS)]
        # Seeds that follow from those of the replicates, and differ from them.
        seeds = np.random.default_rng(self.options.seeds()[1][0]).integers(
            np.iinfo(np.int32).max, size=len(self.settings)
        )
        refits = []
        for setting, seed in zip(self.settings, seeds.tolist(), strict=True):
            params = {**chosen, "refine_rho": None, "random_state": seed}
            if not np.isnan(setting):
                params["rho"] = setting
            refits.append(Refit(self.fits.X, self.fits.y, self.fits.weight, params))
        return refits

    @property
    def what(self) -> str:
        """What differs between the refits: "radius" or "start"."""
        return "start" if np.isnan(self.settings).any() else "radius"

    def table(self, fitted: Sequence[Any]) -> list[dict[str, float]]:
        """Return the elements of each refit and its radius, or raise the error of one."""
        rows = []
        for setting, each in zip(self.settings, fitted, strict=True):
            if isinstance(each, Exception):
                raise TrainingError(
                    f"The fit with rho={setting:g} failed: {each} Give radii at which it trains."
                ) from each
            rows.append({self.what: setting, **elements_of(each)})
        return rows


def half_width(sampling: float, radius: float, level: float, n_replicates: int) -> float:
    """Return half the width of an interval.

    Parameters
    ----------
    sampling : float
        Standard deviation over the replicates, s.
    radius : float
        Range over the radii, p.
    level : float
    n_replicates : int

    Returns
    -------
    float
        c · √(s² + p²), with c as in :func:`confidence_intervals`.
    """
    quantile = student_t.ppf(0.5 + level / 2.0, n_replicates - 1)
    return float(CALIBRATION * quantile * np.hypot(sampling, radius))


@dataclass(frozen=True, repr=False)
class ConfidenceIntervals:
    """What :func:`confidence_intervals` returns.

    Attributes
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted to all rows; its θ is in the middle of the intervals.
    level : float
    rows : dict of str to dict
        By element, such as "gain[0]". "estimate" is its value. "sampling" is its standard
        deviation s over the replicates, which are fits to other rows. "radius" is the range p of
        its value over fits with other radii of sharpness-aware minimisation ("start": over fits
        from other networks, for a model without a radius; neither for the physics alone). "low"
        and "high" are the ends of the interval, not beyond the bounds. "unit" is its unit.
    refits : list of dict
        Radius and elements of each refit to all rows.
    bootstrap : BootstrapResult or None
        None if the standard errors of the physics alone were used.
    """

    estimator: Any
    level: float
    rows: dict[str, dict[str, Any]]
    refits: list[dict[str, float]] = field(default_factory=list)
    bootstrap: BootstrapResult | None = None

    @property
    def frame(self) -> Any:
        """A DataFrame with a row for each element; its columns are those of ``rows``."""
        return data_frame([*self.rows.values()], index=[*self.rows])

    def to_dict(self) -> dict[str, tuple[Any, Any]]:
        """Return (low, high) of each free physics parameter, in its shape."""
        low, high = (
            in_shape({name: row[end] for name, row in self.rows.items()}, self.estimator)
            for end in ("low", "high")
        )
        return {name: (low[name], high[name]) for name in low}

    @property
    def _title(self) -> str:
        if self.bootstrap is None:
            how = "from the standard errors of least squares"
        else:
            how = f"from {self.bootstrap.n_replicates} replicates"
            if self.refits:
                other = "networks" if "start" in self.refits[0] else "radii"
                how += f" and the range over {other}"
        return f"Intervals of {100 * self.level:g} % {how}"

    def __repr__(self) -> str:
        return text_table(self._title, self.rows)

    def _repr_html_(self) -> str:
        return html_table(self._title, self.rows)


def _joined(
    bootstrap: BootstrapResult, refits: list[dict[str, float]], what: str, level: float
) -> ConfidenceIntervals:
    """Join what the replicates and the refits say."""
    model = hybrid_of(bootstrap.estimator)
    sampling, limits = bootstrap.element_std(), limits_of(model)
    rows = {}
    for name, estimate in elements_of(model).items():
        spread = _range_of_means(refits, what, name)
        half = half_width(sampling[name], spread, level, bootstrap.n_replicates)
        found = {"estimate": estimate, "sampling": sampling[name]}
        found |= {what: spread} if refits else {}
        rows[name] = {**found, **_ends(estimate, half, limits[name]), "unit": _unit(model, name)}
    return ConfidenceIntervals(bootstrap.estimator, level, rows, refits, bootstrap)


def _of_physics_alone(full: Any, errors: Any, level: float) -> ConfidenceIntervals:
    """Return intervals from the standard errors of least squares."""
    model = hybrid_of(full)
    limits, estimates = limits_of(model), elements_of(model)
    quantile = student_t.ppf(0.5 + level / 2.0, max(1, errors.dof))
    rows = {}
    for name, std in zip(errors.names, errors.element_std.tolist(), strict=True):
        ends = _ends(estimates[name], quantile * std, limits[name])
        found = {"estimate": estimates[name], "sampling": std}
        rows[name] = {**found, **ends, "unit": _unit(model, name)}
    return ConfidenceIntervals(full, level, rows)


def _range_of_means(refits: Sequence[Mapping[str, float]], what: str, name: str) -> float:
    """Return the range over radii of the mean over networks; over networks without a radius."""
    if not refits:
        return 0.0
    if what == "start":
        return float(np.ptp([row[name] for row in refits]))
    radii = sorted({row[what] for row in refits})
    means = [np.mean([row[name] for row in refits if row[what] == radius]) for radius in radii]
    return float(np.ptp(means))


def _ends(estimate: float, half: float, limits: tuple[float, float]) -> dict[str, float]:
    """Return the ends of an interval, cut at the bounds."""
    low, high = estimate - half, estimate + half
    return {"low": float(np.maximum(low, limits[0])), "high": float(np.minimum(high, limits[1]))}


def _unit(model: Any, name: str) -> str:
    """Return the unit of an element, or nothing."""
    return model._fitted.hybrid.physics.params[name.split("[")[0]].unit or ""
