"""Loss along a physics parameter, with everything else trained again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import f as fisher_f
from sklearn.base import clone
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from sklearn.utils import _safe_indexing, indexable

from skhybrid.exceptions import TrainingError
from skhybrid.inspection.fixed_parameters import holding, split_element, start_at
from skhybrid.inspection.flat_parameters import elements_of, hybrid_of
from skhybrid.inspection.refits import Refit, refit
from skhybrid.inspection.tables import html_table, text_table
from skhybrid.model.param import Param
from skhybrid.model.physics import Physics, as_physics
from skhybrid.runtime.frames import data_frame
from skhybrid.runtime.progress import showing

# Values of the default grid, and its reach: standard errors where they are known, otherwise a part
# of the value.
N_VALUES = 11
REACH_ERRORS = 3.0
REACH_PART = 0.2
HELD_OUT = 0.25
# The search for the ends of an interval goes out so many times, each time twice as far.
MAX_DOUBLINGS = 20
# A smaller loss is rounding, and a standard error that is a smaller part of the value, too.
LEAST_LOSS = 1e-24
LEAST_PART = 1e-9


@dataclass(frozen=True)
class Profile:
    """What :func:`profile` returns.

    Attributes
    ----------
    param : str
        The element, such as "gain[0]".
    unit : str or None
    estimate : float
        Fitted value.
    values : array of shape (n_values,)
        Values at which the element was held.
    loss : array of shape (n_values,)
        Training loss, in units of the target's variance; NaN where a fit failed.
    held_out_loss : array of shape (n_values,) or None
        Mean squared error on rows held out, in units of their variance, of fits to the other rows.
    least_loss : float
        Training loss at the estimate.
    level : float
    interval : tuple of two floats, or None
        Interval by the F-test; infinite on a side where the loss stays below the limit. None for a
        model with a network.
    reason : str
        Why there is no interval; otherwise empty.
    """

    param: str
    unit: str | None
    estimate: float
    values: np.ndarray
    loss: np.ndarray
    held_out_loss: np.ndarray | None
    least_loss: float
    level: float
    interval: tuple[float, float] | None
    reason: str = ""

    @property
    def frame(self) -> Any:
        """A DataFrame with a row for each value; needs pandas."""
        columns = {self.param: self.values, "loss": self.loss}
        if self.held_out_loss is not None:
            columns["held-out loss"] = self.held_out_loss
        return data_frame(columns)

    @property
    def _title(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        title = f"Profile of {self.param}, fitted {self.estimate:.5g}{unit}"
        if self.interval is None:
            return f"{title}. {self.reason}"
        low, high = self.interval
        return f"{title}; {100 * self.level:g} % interval by the F-test: {low:.5g} to {high:.5g}"

    def _rows(self) -> dict[str, dict[str, float]]:
        rows = {}
        for i, value in enumerate(self.values.tolist()):
            row = {"loss": float(self.loss[i])}
            if self.held_out_loss is not None:
                row["held-out loss"] = float(self.held_out_loss[i])
            rows[f"{value:.5g}"] = row
        return rows

    def __repr__(self) -> str:
        return text_table(self._title, self._rows())

    def _repr_html_(self) -> str:
        return html_table(self._title, self._rows())


def profile(
    estimator: Any,
    X: Any,
    y: Any,
    param: str,
    *,
    grid: Sequence[float] | None = None,
    level: float = 0.95,
    groups: Any = None,
    sample_weight: Any = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    max_members: int | None = None,
) -> Profile:
    """Hold a physics parameter at values of a grid, train the rest again, and return the losses.

    A steep profile says that the data fix the parameter; a flat one says that the network or the
    other parameters make up for it. Where the held-out loss is lowest elsewhere than the training
    loss, the fit has taken up noise.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Cloned. Fits with a network are trained side by side, without a second phase.
    X, y : array-like
        As for ``fit``.
    param : str
        A free physics parameter, or an element of one, such as "gain[0]".
    grid : sequence of float, default=None
        Values to hold the parameter at. None is 11 values: three standard errors to each side for
        the physics alone, otherwise 20 % of the fitted value, within the bounds.
    level : float, default=0.95
        Level of the interval.
    groups : array-like of shape (n_samples,), default=None
        Rows of one group are held out together.
    sample_weight : array-like of shape (n_samples,), default=None
    random_state : int, default=0
        Seed of the fits and of the rows held out, a quarter.
    n_jobs, max_members : int, default=None
        As for :class:`~skhybrid.HybridSearchCV`.

    Returns
    -------
    Profile

    Raises
    ------
    ValueError
        If the parameter is not free, the grid is empty or leaves the bounds, or ``level`` is not
        between 0 and 1.
    TrainingError
        If the fit without a held parameter fails.

    Notes
    -----
    For the physics alone (``nn=None``), the interval holds all values whose loss is at most
    1 + F / (n - p) times the least loss, F being the quantile of Fisher's distribution with 1 and
    n - p degrees of freedom [1]_. This needs independent errors, so there is no interval for short
    windows of trajectories, whose errors overlap. A network has no number of parameters that
    counts, so a hybrid has no such interval: use :func:`confidence_intervals`.

    References
    ----------
    .. [1] D. M. Bates and D. G. Watts, "Nonlinear regression analysis and its applications",
       chapter 6, 1988.

    Examples
    --------
    >>> import numpy as np
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.inspection import profile
    >>> def decay(t, *, rate=1.0):
    ...     return (-rate * t).exp()
    >>> t = np.linspace(0, 3, 30)
    >>> y = np.exp(-0.7 * t) + 0.01 * np.cos(50 * t)
    >>> found = profile(HybridRegressor(decay, nn=None), t[:, None], y, "rate")
    >>> low, high = found.interval
    >>> low < 0.7 < high
    True
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, such as 0.95; got {level}.")
    X, y, groups, sample_weight = indexable(X, y, groups, sample_weight)
    options = {"random_state": random_state, "n_jobs": n_jobs, "max_members": max_members}
    with showing(hybrid_of(estimator).verbose):
        (fitted,) = refit(estimator, [Refit(X, y, sample_weight, _FIRST_PHASE)], **options)
        if isinstance(fitted, Exception):
            raise TrainingError(f"The fit without a held parameter failed: {fitted}") from fitted
        known = elements_of(fitted)
        if param not in known:
            raise ValueError(
                f"{param!r} is no free physics parameter; there are {', '.join(known) or 'none'}."
            )
        held = Held(estimator, fitted, param, options)
        values = _default_grid(fitted, param) if grid is None else _checked(fitted, param, grid)
        loss = held.losses(X, y, sample_weight, values)
        train, test = _split(X, groups, random_state)
        outside = held.held_out(X, y, sample_weight, values, train, test)
        interval, reason = None, "A hybrid has no F-test: see confidence_intervals."
        if hybrid_of(estimator).nn is None:
            interval, reason = None, _no_test(hybrid_of(fitted))
            interval = None if reason else _interval(held, X, y, sample_weight, level)
    model = hybrid_of(fitted)
    unit = model._fitted.hybrid.physics.params[split_element(param)[0]].unit
    return Profile(
        param,
        unit,
        known[param],
        values,
        loss,
        outside,
        float(model.loss_),
        level,
        interval,
        reason,
    )


_FIRST_PHASE = {"refine_rho": None}


@dataclass(frozen=True)
class Held:
    """Fits with one element held.

    Attributes
    ----------
    estimator : HybridRegressor or Pipeline
    fitted : HybridRegressor or Pipeline
        A clone that is fitted with the element free.
    param : str
    options : dict
        Of :func:`~skhybrid.inspection.refits.refit`.
    """

    estimator: Any
    fitted: Any
    param: str
    options: dict[str, Any]

    def fits(self, X: Any, y: Any, weight: Any, values: Sequence[float]) -> list[Any]:
        """Return fitted clones or errors, one for each value."""
        others = hybrid_of(self.fitted).physics_params_
        is_whole = not split_element(self.param)[1]
        if hybrid_of(self.estimator).nn is None and is_whole:
            return [self._alone(X, y, weight, value, others) for value in values]
        held = holding(self.estimator, [self.param])
        free = {name: others[name] for name in hybrid_of(held).physics.free}
        refits = [
            Refit(X, y, weight, _FIRST_PHASE | start_at(held, {self.param: value}, free))
            for value in values
        ]
        return refit(held, refits, what=f"fits with {self.param} held", **self.options)

    def _alone(self, X: Any, y: Any, weight: Any, value: float, others: dict[str, Any]) -> Any:
        """Return a fit of the physics alone, in which the parameter is a constant."""
        held = clone(self.estimator)
        model = hybrid_of(held)
        physics = _with_constant(as_physics(model.physics), self.param, value, others)
        model.set_params(physics=physics)
        (found,) = refit(held, [Refit(X, y, weight)], **self.options)
        return found

    def losses(self, X: Any, y: Any, weight: Any, values: Sequence[float]) -> np.ndarray:
        """Return the training losses; NaN where a fit failed."""
        fits = self.fits(X, y, weight, values)
        return np.array(
            [np.nan if isinstance(each, Exception) else hybrid_of(each).loss_ for each in fits]
        )

    def held_out(
        self, X: Any, y: Any, weight: Any, values: Sequence[float], train: Any, test: Any
    ) -> np.ndarray | None:
        """Return the losses on rows held out; None if there are too few rows."""
        if train is None:
            return None
        weight = None if weight is None else _safe_indexing(weight, train)
        fits = self.fits(_safe_indexing(X, train), _safe_indexing(y, train), weight, values)
        outside = _safe_indexing(X, test), _safe_indexing(y, test)
        return np.array(
            [np.nan if isinstance(each, Exception) else 1.0 - each.score(*outside) for each in fits]
        )


def _with_constant(physics: Physics, name: str, value: float, others: dict[str, Any]) -> Physics:
    """Return the physics with one parameter as a constant, and the others at fitted values."""
    params = {
        each: param
        if param.fixed
        else Param(others[each], param.bounds, param.unit, prior=param.prior)
        for each, param in physics.params.items()
    }
    own = physics.params[name]
    params[name] = Param(value, own.bounds, own.unit, fixed=True)
    return Physics(physics.function, **params)


def _default_grid(fitted: Any, param: str) -> np.ndarray:
    """Return values around the fitted one, within the bounds."""
    value, (low, high) = elements_of(fitted)[param], _limits(fitted, param)
    reach = REACH_PART * abs(value) or 1.0
    errors = getattr(hybrid_of(fitted)._fitted, "standard_errors", None)
    if errors is not None and param in errors.names:
        error = float(errors.element_std[errors.names.index(param)])
        known = np.isfinite(error) and error > LEAST_PART * abs(value)
        reach = REACH_ERRORS * error if known else reach
    return np.linspace(max(value - reach, low), min(value + reach, high), N_VALUES)


def _checked(fitted: Any, param: str, grid: Sequence[float]) -> np.ndarray:
    """Return the grid as an array; raise a ValueError if it cannot be used."""
    values, (low, high) = np.asarray(grid, dtype=float), _limits(fitted, param)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"grid must be a list of finite numbers; got {grid!r}.")
    outside = values[(values < low) | (values > high)]
    if len(outside):
        raise ValueError(
            f"grid holds {outside[0]:g}, and the bounds of {param} are {low:g} and {high:g}."
        )
    return values


def _limits(fitted: Any, param: str) -> tuple[float, float]:
    """Return the bounds of an element."""
    name, index = split_element(param)
    low, high = hybrid_of(fitted)._fitted.hybrid.physics.params[name].limits()
    return float(low[index]), float(high[index])


def _split(X: Any, groups: Any, seed: int) -> tuple[Any, Any]:
    """Return rows to train on and rows held out; None if there are fewer than two units."""
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    n_units = n_rows if groups is None else len(np.unique(np.asarray(groups)))
    if n_units < 2:
        return None, None
    splitter = ShuffleSplit if groups is None else GroupShuffleSplit
    split = splitter(1, test_size=HELD_OUT, random_state=seed).split(np.zeros(n_rows), None, groups)
    return next(iter(split))


def _no_test(model: Any) -> str:
    """Return why there is no F-test for the physics alone; nothing if there is one."""
    errors = model._fitted.standard_errors
    if errors.reason is not None:
        return errors.reason
    if model.loss != "squared_error":
        return f"The F-test is for squared errors, and loss={model.loss!r}: see summary()."
    if errors.priors:
        return "The F-test knows no priors: see summary() for their intervals."
    if errors.groups not in ("values", "rollouts"):
        return (
            "Neighbouring windows of a trajectory have errors in common, so there is no F-test: "
            "see confidence_intervals, or set ODE(window=None)."
        )
    if not model.loss_ > LEAST_LOSS:
        return "The fit is exact, so there is no noise to compare with."
    return ""


def _interval(held: Held, X: Any, y: Any, weight: Any, level: float) -> tuple[float, float]:
    """Return where the loss crosses the limit of the F-test on both sides."""
    model = hybrid_of(held.fitted)
    errors = model._fitted.standard_errors
    estimate, least = elements_of(held.fitted)[held.param], float(model.loss_)
    limit = 1.0 + fisher_f.ppf(level, 1, errors.dof) / errors.dof
    error = float(errors.element_std[errors.names.index(held.param)])
    first = error if np.isfinite(error) and error > 0.0 else 0.1 * abs(estimate) or 1.0

    def excess(value: float) -> float:
        loss = held.losses(X, y, weight, [value])[0]
        return (loss if np.isfinite(loss) else np.inf) / least - limit

    low, high = _limits(held.fitted, held.param)
    return (
        _end(excess, estimate, -2.0 * first, low),
        _end(excess, estimate, 2.0 * first, high),
    )


def _end(excess: Callable[[float], float], start: float, step: float, bound: float) -> float:
    """Return the value on one side at which the excess is zero, the bound, or infinity."""
    inner, side = start, np.sign(step)
    for _ in range(MAX_DOUBLINGS):
        outer = start + step
        at_bound = side * (outer - bound) >= 0.0
        outer = bound if at_bound else outer
        if outer == inner:
            return bound
        if excess(outer) > 0.0:
            return float(brentq(excess, inner, outer, xtol=1e-5 * abs(step), rtol=1e-8))
        if at_bound:
            return bound
        inner, step = outer, 2.0 * step
    return float(side * np.inf)
