"""Draw a physics path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skhybrid.inspection.physics_path import physics_path

# Colours that colour-blind people can tell apart (Okabe and Ito, 2008).
COLOURS = {"theta": "#0072B2", "loss": "#D55E00", "share": "#009E73", "plateau": "#E69F00"}


class PhysicsPathDisplay:
    """Draw a :func:`physics_path`: where θ is on a plateau and where it is not.

    Parameters
    ----------
    path : Bunch
        From :func:`physics_path`.
    units : dict of str to str, default=None
        Units by parameter name, for the axes.

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

    def __init__(self, path: Bunch, *, units: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.units = dict(units or {})

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: Any,
        y: Any,
        *,
        units: Mapping[str, str] | None = None,
        truth: Mapping[str, float] | None = None,
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

        Returns
        -------
        PhysicsPathDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        params = getattr(estimator.physics, "params", {})
        known = {name: param.unit for name, param in params.items() if param.unit}
        path = physics_path(estimator, X, y, **options)
        return cls(path, units={**known, **(units or {})}).plot(truth=truth)

    def plot(self, *, axes: Any = None, truth: Mapping[str, float] | None = None):
        """Plot the path.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            One for every parameter and two more; None makes a new figure.
        truth : dict of str to float, default=None
            True values by parameter name, drawn as lines.

        Returns
        -------
        PhysicsPathDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        path = self.path
        names = [*path.physics_params]
        if axes is None:
            n_panels = len(names) + 2
            n_columns = min(3, n_panels)
            n_rows = -(-n_panels // n_columns)
            _, grid = plt.subplots(
                n_rows,
                n_columns,
                figsize=(3.6 * n_columns, 3.2 * n_rows),
                layout="constrained",
                squeeze=False,
            )
            axes = grid.ravel()
            for unused in axes[n_panels:]:
                unused.set_visible(False)
            axes = axes[:n_panels]
        axes = np.asarray(axes, dtype=object).ravel()
        if len(axes) != len(names) + 2:
            raise ValueError(f"axes must be {len(names) + 2} axes; got {len(axes)}.")
        self.axes_, self.figure_ = axes, axes[0].figure
        for name, panel in zip(names, axes, strict=False):
            self._plot_parameter(panel, name, None if truth is None else truth.get(name))
        self._plot_folds(axes[-2], 1.0 - path.score, "loss", "1 − score on held-out rows")
        if (path.score < 1.0).all():
            axes[-2].set_yscale("log")
        axes[-2].set_title("Loss")
        self._plot_folds(axes[-1], path.physics_share, "share", "share of the explained variance")
        axes[-1].set_title("The physics' share")
        return self

    def _plot_parameter(self, panel: Any, name: str, truth: float | None) -> None:
        """Plot a physics parameter: every fold, mean and spread, and the plateau."""
        path = self.path
        positions = np.arange(len(path.param_range))
        theta = path.physics_params[name]
        middle, around = theta.mean(axis=1), path.spread[name]
        for position, on_plateau in zip(positions, path.plateau, strict=True):
            if on_plateau:
                panel.axvspan(
                    position - 0.5, position + 0.5, color=COLOURS["plateau"], alpha=0.25, lw=0
                )
        panel.plot(positions, theta, ".", color=COLOURS["theta"], alpha=0.5, markersize=4)
        panel.errorbar(positions, middle, around, fmt="o-", color=COLOURS["theta"], capsize=4)
        if truth is not None:
            panel.axhline(truth, color="black", linewidth=0.8)
            panel.annotate("truth", (positions[0] - 0.4, truth), va="bottom", ha="left", fontsize=8)
        unit = self.units.get(name.split("[")[0])
        panel.set_ylabel(name if unit is None else f"{name} ({unit})")
        panel.set_title(f"{name}: mean, folds and spread")
        self._label(panel)

    def _plot_folds(self, panel: Any, values: np.ndarray, colour: str, label: str) -> None:
        """Plot every fold and the mean."""
        positions = np.arange(len(values))
        panel.plot(positions, values, ".", color=COLOURS[colour], alpha=0.5, markersize=4)
        panel.plot(positions, values.mean(axis=1), "o-", color=COLOURS[colour])
        panel.set_ylabel(label)
        self._label(panel)

    def _label(self, panel: Any) -> None:
        """Label the axis of the values."""
        path = self.path
        panel.set_xticks(np.arange(len(path.param_range)), [f"{v:g}" for v in path.param_range])
        panel.set_xlim(-0.5, len(path.param_range) - 0.5)
        panel.tick_params(axis="x", labelsize=8)
        panel.set_xlabel(path.param_name)
