"""Draw a physics path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skhybrid.inspection.displays.drawing import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    VERMILLION,
    panels,
    unit_of,
    with_unit,
)
from skhybrid.inspection.physics_path import physics_path


class PhysicsPathDisplay:
    """Draw a :func:`physics_path`: where θ is on a plateau and where it is not.

    Parameters
    ----------
    path : Bunch
        From :func:`physics_path`.
    units : dict of str to str, default=None
        Units by parameter name, for the axes.
    bounds : dict of str to (low, high), default=None
        Bounds by element of a parameter, such as "gain[0]". Error bars end there.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        One panel for every parameter, then the loss, then the physics' share.

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import PhysicsPathDisplay
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=20, random_state=0)
    >>> display = PhysicsPathDisplay.from_estimator(
    ...     model, data.data, data.target, param_range=[0.01, 0.1], cv=3
    ... )
    >>> len(display.axes_)
    3
    """

    def __init__(
        self,
        path: Bunch,
        *,
        units: Mapping[str, str] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.path = path
        self.units = dict(units or {})
        self.bounds = dict(bounds or {})

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: Any,
        y: Any,
        *,
        units: Mapping[str, str] | None = None,
        truth: Mapping[str, float] | None = None,
        ax: Any = None,
        **options: Any,
    ) -> PhysicsPathDisplay:
        """Compute a path and plot it.

        Parameters
        ----------
        estimator, X, y, **options
            As for :func:`physics_path`.
        units : dict of str to str, default=None
            Units by parameter name; None takes those of the estimator's physics.
        truth : dict of str to float, default=None
            True values by parameter name, if known.
        ax : matplotlib Axes or sequence of Axes, default=None
            As for :meth:`plot`.

        Returns
        -------
        PhysicsPathDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        path = physics_path(estimator, X, y, **options)
        params = getattr(estimator.physics, "params", {})
        known = {name: param.unit for name, param in params.items() if param.unit}
        display = cls(path, units={**known, **(units or {})}, bounds=bounds_of(params))
        return display.plot(ax=ax, truth=truth)

    def plot(self, *, ax: Any = None, truth: Mapping[str, float] | None = None):
        """Plot the path.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of Axes, default=None
            None makes a new figure; a single one is divided; otherwise one for every parameter and
            two more.
        truth : dict of str to float, default=None
            True values by parameter name, drawn as lines.

        Returns
        -------
        PhysicsPathDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        path = self.path
        names = [*path.physics_params]
        n_panels = len(names) + 2
        axes = panels(ax, n_panels, n_columns=2 if n_panels == 4 else 3)
        self.axes_, self.figure_ = axes, axes[0].figure
        for name, panel in zip(names, axes, strict=False):
            self._plot_parameter(panel, name, None if truth is None else truth.get(name))
        self._plot_folds(axes[-2], 1.0 - path.score, VERMILLION, "1 − score on held-out rows")
        if (path.score < 1.0).all():
            axes[-2].set_yscale("log")
        axes[-2].set_title("Loss")
        self._plot_folds(axes[-1], path.physics_share, GREEN, "share of the explained variance")
        axes[-1].set_title("The physics' share")
        return self

    def _plot_parameter(self, panel: Any, name: str, truth: float | None) -> None:
        """Plot a physics parameter: every fold, mean and spread, and the plateau."""
        path = self.path
        positions = np.arange(len(path.param_range))
        theta = path.physics_params[name]
        middle, around = theta.mean(axis=1), path.spread[name]
        label = "plateau: θ is reproducible"
        for position in positions[path.plateau]:
            panel.axvspan(
                position - 0.5, position + 0.5, color=ORANGE, alpha=0.25, lw=0, label=label
            )
            label = None
        panel.plot(positions, theta, ".", color=BLUE, alpha=0.5, markersize=4)
        low, high = self.bounds.get(name, (-np.inf, np.inf))
        ends = np.clip([middle - around, middle + around], low, high)
        lengths = np.abs(ends - middle)
        panel.errorbar(positions, middle, lengths, fmt="o-", color=BLUE, capsize=4)
        if truth is not None:
            panel.axhline(truth, color=BLACK, linewidth=1, linestyle="--", label="truth", zorder=1)
        panel.set_ylabel(with_unit(name, unit_of(self.units, name)))
        panel.set_title(f"{name}: mean, folds and spread")
        if panel.get_legend_handles_labels()[1]:
            self._add_legend(panel)
        self._label(panel)

    def _add_legend(self, panel: Any) -> None:
        """Add a legend above the error bars, where it hides nothing."""
        low, high = panel.get_ylim()
        n_lines = len(panel.get_legend_handles_labels()[1])
        panel.set_ylim(low, high + (0.06 + 0.08 * n_lines) * (high - low))
        panel.legend(fontsize=8, frameon=False, loc="upper left", borderaxespad=0.2)

    def _plot_folds(self, panel: Any, values: np.ndarray, colour: str, label: str) -> None:
        """Plot every fold and the mean."""
        positions = np.arange(len(values))
        panel.plot(positions, values, ".", color=colour, alpha=0.5, markersize=4)
        panel.plot(positions, values.mean(axis=1), "o-", color=colour)
        panel.set_ylabel(label)
        self._label(panel)

    def _label(self, panel: Any) -> None:
        """Label the axis of the values."""
        path = self.path
        panel.set_xticks(np.arange(len(path.param_range)), [f"{v:g}" for v in path.param_range])
        panel.set_xlim(-0.5, len(path.param_range) - 0.5)
        panel.tick_params(axis="x", labelsize=8)
        panel.set_xlabel(path.param_name)


def bounds_of(params: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the bounds of each element of physics parameters."""
    found = {}
    for name, param in params.items():
        low, high = param.limits()
        for index in np.ndindex(low.shape):
            number = f"[{', '.join(map(str, index))}]" if index else ""
            found[f"{name}{number}"] = (float(low[index]), float(high[index]))
    return found
