"""Draw the parts of a model along a feature."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skhybrid.inspection.bootstrapping.series import Series
from skhybrid.inspection.displays.drawing import (
    BLACK,
    BLUE,
    GREY,
    VERMILLION,
    draw_values,
    panels,
    tidy,
    with_unit,
)
from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.runtime.suggestions import suggestion


class PartsDisplay:
    """Draw the physics' and the network's part of a prediction along a feature.

    The upper panel shows the data and the physics' part. The lower panel shows the network's part,
    and what it should be: the data less the physics' part. With more than 300 rows, lines are means
    over bins of the feature, and bands reach from the 10 % to the 90 % quantile in a bin.

    Parameters
    ----------
    values : array of shape (n_samples,)
        The feature.
    physics, network : array of shape (n_samples,)
        Parts of the prediction, in units of the target.
    measured : array of shape (n_samples,), default=None
        The target; NaN where it is missing.
    feature_name, target_name : str
        Names for the axes, with units.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        Two panels.

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import PartsDisplay
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=20, random_state=0)
    >>> model = model.fit(data.data, data.target)
    >>> display = PartsDisplay.from_estimator(model, data.data, data.target, feature=0)
    >>> len(display.axes_)
    2
    """

    def __init__(
        self,
        values: np.ndarray,
        physics: np.ndarray,
        network: np.ndarray,
        *,
        measured: np.ndarray | None = None,
        feature_name: str = "feature",
        target_name: str = "target",
    ) -> None:
        self.values, self.physics, self.network = values, physics, network
        self.measured = measured
        self.feature_name, self.target_name = feature_name, target_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        feature: str | int = 0,
        target: int = 0,
        feature_unit: str | None = None,
        target_name: str = "target",
        target_unit: str | None = None,
        ax: Any = None,
    ) -> PartsDisplay:
        """Predict the parts and plot them.

        Parameters
        ----------
        estimator : HybridRegressor or Pipeline
            Fitted, to a table.
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Data; None draws the parts alone.
        feature : str or int, default=0
            Name or number of a column of X.
        target : int, default=0
            Number of the target, if there are several.
        feature_unit, target_unit : str, default=None
        target_name : str, default="target"
        ax : matplotlib Axes or sequence of Axes, default=None
            As for :meth:`plot`.

        Returns
        -------
        PartsDisplay

        Raises
        ------
        ValueError
            If X has no such feature, or y no such target.
        TypeError
            If the model is a differential equation: see :class:`TrajectoryDisplay`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        model = hybrid_of(estimator)
        if model._fitted.trajectory_info is not None:
            raise TypeError(
                f"{cls.__name__} draws the rows of a table, and this model predicts trajectories. "
                "Use TrajectoryDisplay.from_estimator(model, X, y)."
            )
        values, name = _feature_of(X, feature)
        seen = estimator[:-1].transform(X) if isinstance(estimator, Pipeline) else X
        physics, network = (_column(part, target) for part in model.predict_parts(seen))
        measured = None if y is None else _column(Series.of(estimator, y).values[0], target)
        display = cls(
            values,
            physics,
            network,
            measured=measured,
            feature_name=with_unit(name, feature_unit),
            target_name=with_unit(target_name, target_unit),
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> PartsDisplay:
        """Plot the parts.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of Axes, default=None
            None makes a new figure; a single one is divided; or two axes.

        Returns
        -------
        PartsDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        self.axes_ = panels(ax, 2, n_columns=1, size=(5.6, 3.0), share=True)
        self.figure_ = self.axes_[0].figure
        upper, lower = self.axes_
        if self.measured is not None:
            known = np.isfinite(self.measured)
            x, measured = self.values[known], self.measured[known]
            draw_values(upper, x, measured, colour=BLACK, marker="o", label="data")
            rest = measured - self.physics[known]
            draw_values(lower, x, rest, colour=GREY, marker="o", label="data less physics")
        draw_values(upper, self.values, self.physics, colour=BLUE, marker="s", label="physics")
        draw_values(
            lower, self.values, self.network, colour=VERMILLION, marker="^", label="network"
        )
        lower.axhline(0.0, color=BLACK, linewidth=0.6)
        upper.set(ylabel=self.target_name)
        upper.tick_params(labelbottom=False)
        lower.set(xlabel=self.feature_name, ylabel=self.target_name)
        for panel in self.axes_:
            tidy(panel)
            panel.legend(
                fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2
            )
        return self


def _feature_of(X: Any, feature: str | int) -> tuple[np.ndarray, str]:
    """Return a column of X and its name."""
    names = [str(name) for name in getattr(X, "columns", ())]
    n_features = len(names) or np.shape(X)[1]
    if isinstance(feature, str):
        if feature not in names:
            known = f" It has {', '.join(names)}." if names else " It has no column names."
            raise ValueError(
                f"X has no feature {feature!r}{suggestion(feature, names) if names else '.'}{known}"
            )
        number = names.index(feature)
    else:
        number = int(feature)
        if not 0 <= number < n_features:
            raise ValueError(f"feature is {feature}, and X has {n_features} features.")
    column = X.iloc[:, number] if hasattr(X, "iloc") else np.asarray(X)[:, number]
    return np.asarray(column, dtype=float), names[number] if names else f"feature {number}"


def _column(values: np.ndarray, target: int) -> np.ndarray:
    """Return one target of values."""
    values = np.asarray(values, dtype=float).reshape(len(values), -1)
    if not 0 <= target < values.shape[1]:
        raise ValueError(f"target is {target}, and there are {values.shape[1]} targets.")
    return values[:, target]
