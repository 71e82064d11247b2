"""Draw predictions against measurements, and the residuals."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skhybrid.inspection.bootstrapping.series import Series, predicted
from skhybrid.inspection.displays.drawing import (
    BLACK,
    BLUE,
    VERMILLION,
    binned,
    panels,
    tidy,
    with_unit,
)
from skhybrid.inspection.flat_parameters import hybrid_of

# More points than this are counted in cells.
MAX_POINTS = 1_000
CELLS = 40


class FitDisplay:
    """Draw predicted against measured values, and the residuals beside.

    A good model lies on the line, and its residuals have no trend and the same width everywhere.
    More than 1,000 points are counted in cells, dark where there are many.

    Parameters
    ----------
    measured, predicted : array of shape (n_values,)
    target_unit : str, default=None
        For the axes.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        Predicted against measured, and residuals against predicted.

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import FitDisplay
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=20, random_state=0)
    >>> model = model.fit(data.data, data.target)
    >>> display = FitDisplay.from_estimator(model, data.data, data.target, target_unit="rad/s²")
    >>> display.axes_[1].get_ylabel()
    'measured − predicted (rad/s²)'
    """

    def __init__(
        self, measured: np.ndarray, predicted: np.ndarray, *, target_unit: str | None = None
    ) -> None:
        self.measured, self.predicted, self.target_unit = measured, predicted, target_unit

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        target: int = 0,
        target_unit: str | None = None,
        ax: Any = None,
    ) -> FitDisplay:
        """Predict and plot.

        Parameters
        ----------
        estimator : HybridRegressor or Pipeline
            Fitted. A differential equation predicts whole rollouts.
        X, y : array-like
            As for ``fit``; training data or others. Unknown initial states are estimated from the
            first outputs, which are then left out.
        target : int, default=0
            Number of the target, or of the component of trajectories. Of images all pixels count.
        target_unit : str, default=None
        ax : matplotlib Axes or sequence of Axes, default=None
            As for :meth:`plot`.

        Returns
        -------
        FitDisplay

        Raises
        ------
        ValueError
            If there is no such target.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        series = Series.of(estimator, y)
        found = np.concatenate(predicted(estimator, X, series))
        measured = np.concatenate(series.values)
        reads_images = getattr(hybrid_of(estimator)._fitted.hybrid.structure, "reads_images", False)
        if not reads_images:
            if not 0 <= target < measured.shape[1]:
                raise ValueError(f"target is {target}, and y has {measured.shape[1]} targets.")
            measured, found = measured[:, target], found[:, target]
        known = np.isfinite(measured) & np.isfinite(found)
        return cls(measured[known], found[known], target_unit=target_unit).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> FitDisplay:
        """Plot the predictions and the residuals.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of Axes, default=None
            None makes a new figure; a single one is divided; or two axes.

        Returns
        -------
        FitDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        self.axes_ = panels(ax, 2, n_columns=2, size=(4.2, 3.6))
        self.figure_ = self.axes_[0].figure
        left, right = self.axes_
        residuals = self.measured - self.predicted
        _draw_points(left, self.predicted, self.measured)
        _draw_points(right, self.predicted, residuals)
        ends = [
            min(self.predicted.min(), self.measured.min()),
            max(self.predicted.max(), self.measured.max()),
        ]
        left.plot(ends, ends, color=BLACK, linewidth=1, label="measured = predicted")
        right.axhline(0.0, color=BLACK, linewidth=1)
        bins = binned(self.predicted, residuals, n_bins=max(1, min(15, len(residuals) // 20)))
        middle = {"color": VERMILLION, "linewidth": 1.5}
        right.plot(bins.x, bins.mean, **middle, label="mean over bins")
        right.plot(bins.x, bins.low, **middle, linestyle=":", label="10 % and 90 %")
        right.plot(bins.x, bins.high, **middle, linestyle=":")
        unit = self.target_unit
        left.set(xlabel=with_unit("predicted", unit), ylabel=with_unit("measured", unit))
        right.set(
            xlabel=with_unit("predicted", unit),
            ylabel=with_unit("measured − predicted", unit),
        )
        if len(residuals) > MAX_POINTS:
            left.plot([], [], "h", color="#6BAED6", label=f"cells of {len(residuals):,} values")
        for panel in self.axes_:
            tidy(panel)
            panel.legend(
                fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2
            )
        return self


def _draw_points(panel: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Draw points; count many of them in cells."""
    if len(x) <= MAX_POINTS:
        panel.plot(x, y, "o", color=BLUE, markersize=3, alpha=0.5, markeredgewidth=0)
        return
    cells = panel.hexbin(x, y, gridsize=CELLS, mincnt=1, bins="log", cmap="Blues", linewidths=0.2)
    # The darkest cells stay lighter than the lines.
    cells.set_clim(0.5, 10.0 * cells.get_array().max())
