"""Loss along a physics parameter, with everything else trained again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from sklearn.utils import indexable

from skhybrid.exceptions import TrainingError
from skhybrid.inspection.f_test import f_test_interval, why_no_test
from skhybrid.inspection.fixed_parameters import split_element
from skhybrid.inspection.flat_parameters import elements_of, hybrid_of
from skhybrid.inspection.held_fits import FIRST_PHASE, Held, limits_of_element
from skhybrid.inspection.refits import Refit, refit
from skhybrid.inspection.tables import html_table, text_table
from skhybrid.runtime.frames import data_frame
from skhybrid.runtime.progress import showing

# Values of the default grid, and its reach: standard errors where they are known, otherwise a part
# of the value.
N_VALUES = 11
REACH_ERRORS = 3.0
REACH_PART = 0.2
HELD_OUT = 0.25
# A standard error that is a smaller part of the value is rounding.
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
        (fitted,) = refit(estimator, [Refit(X, y, sample_weight, FIRST_PHASE)], **options)
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
            interval, reason = None, why_no_test(hybrid_of(fitted))
            interval = None if reason else f_test_interval(held, X, y, sample_weight, level)
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


def _default_grid(fitted: Any, param: str) -> np.ndarray:
    """Return values around the fitted one, within the bounds."""
    value, (low, high) = elements_of(fitted)[param], limits_of_element(fitted, param)
    reach = REACH_PART * abs(value) or 1.0
    errors = getattr(hybrid_of(fitted)._fitted, "standard_errors", None)
    if errors is not None and param in errors.names:
        error = float(errors.element_std[errors.names.index(param)])
        known = np.isfinite(error) and error > LEAST_PART * abs(value)
        reach = REACH_ERRORS * error if known else reach
    return np.linspace(max(value - reach, low), min(value + reach, high), N_VALUES)


def _checked(fitted: Any, param: str, grid: Sequence[float]) -> np.ndarray:
    """Return the grid as an array; raise a ValueError if it cannot be used."""
    values, (low, high) = np.asarray(grid, dtype=float), limits_of_element(fitted, param)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"grid must be a list of finite numbers; got {grid!r}.")
    outside = values[(values < low) | (values > high)]
    if len(outside):
        raise ValueError(
            f"grid holds {outside[0]:g}, and the bounds of {param} are {low:g} and {high:g}."
        )
    return values


def _split(X: Any, groups: Any, seed: int) -> tuple[Any, Any]:
    """Return rows to train on and rows held out; None if there are fewer than two units."""
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    n_units = n_rows if groups is None else len(np.unique(np.asarray(groups)))
    if n_units < 2:
        return None, None
    splitter = ShuffleSplit if groups is None else GroupShuffleSplit
    split = splitter(1, test_size=HELD_OUT, random_state=seed).split(np.zeros(n_rows), None, groups)
    return next(iter(split))
