"""Draw the replicates of a bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skhybrid.inspection.bootstrapping.result import BootstrapResult
from skhybrid.inspection.displays.drawing import (
    BLACK,
    BLUE,
    MAX_PANELS,
    ORANGE,
    SKY,
    panels,
    tidy,
    unit_of,
    with_unit,
)
from skhybrid.inspection.flat_parameters import elements_of, hybrid_of
from skhybrid.runtime.suggestions import suggestion


class BootstrapDisplay:
    """Draw how a bootstrap's replicates scatter, with the estimate and the interval.

    Replicates show sampling alone: not the choice of the radius, and not a missing part that looks
    like the physics.

    Parameters
    ----------
    replicates : dict of str to array of shape (n_replicates,)
        By element of a parameter, such as "gain[0]".
    estimates : dict of str to float
        Of the fit to all rows.
    intervals : dict of str to (low, high)
    units : dict of str to (str or None), default=None
        By parameter.
    level : float, default=0.95
        Level of the intervals.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        A panel for each element; of more than 12, the first ones.

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import BootstrapDisplay, bootstrap
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=20, random_state=0)
    >>> result = bootstrap(model, data.data, data.target, n_replicates=10, random_state=0)
    >>> display = BootstrapDisplay.from_result(result, level=0.8)
    >>> len(display.axes_)
    1
    """

    def __init__(
        self,
        replicates: Mapping[str, np.ndarray],
        estimates: Mapping[str, float],
        intervals: Mapping[str, tuple[float, float]],
        *,
        units: Mapping[str, str | None] | None = None,
        level: float = 0.95,
    ) -> None:
        self.replicates, self.estimates, self.intervals = replicates, estimates, intervals
        self.units, self.level = dict(units or {}), level

    @classmethod
    def from_result(
        cls,
        result: BootstrapResult,
        *,
        level: float = 0.95,
        names: Sequence[str] | None = None,
        truth: Mapping[str, float] | None = None,
        ax: Any = None,
    ) -> BootstrapDisplay:
        """Plot the replicates of a bootstrap.

        Parameters
        ----------
        result : BootstrapResult
        level : float, default=0.95
            Part of the replicates between the ends of the interval.
        names : sequence of str, default=None
            Elements to draw, such as "gain[0]"; None is all.
        truth : dict of str to float, default=None
            True values by element, if known.
        ax : matplotlib Axes or sequence of Axes, default=None
            As for :meth:`plot`.

        Returns
        -------
        BootstrapDisplay

        Raises
        ------
        ValueError
            If there is no such element, or none at all.
        """
        check_matplotlib_support(f"{cls.__name__}.from_result")
        table = result.element_replicates
        if not table:
            raise ValueError(
                "The model has no free physics parameters, so there are no replicates."
            )
        chosen = [*table] if names is None else [*names]
        for name in chosen:
            if name not in table:
                raise ValueError(
                    f"There is no element {name!r}{suggestion(name, table)} There are "
                    f"{', '.join(table)}."
                )
        estimates, intervals = elements_of(result.estimator), result.element_interval(level)
        physics = hybrid_of(result.estimator)._fitted.hybrid.physics
        display = cls(
            {name: table[name] for name in chosen},
            {name: estimates[name] for name in chosen},
            {name: intervals[name] for name in chosen},
            units={name: param.unit for name, param in physics.params.items()},
            level=level,
        )
        return display.plot(truth=truth, ax=ax)

    def plot(self, *, truth: Mapping[str, float] | None = None, ax: Any = None) -> BootstrapDisplay:
        """Plot the replicates.

        Parameters
        ----------
        truth : dict of str to float, default=None
            True values by element, drawn as lines.
        ax : matplotlib Axes or sequence of Axes, default=None
            None makes a new figure; a single one is divided; otherwise one for each element.

        Returns
        -------
        BootstrapDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        names = [*self.replicates][:MAX_PANELS]
        self.axes_ = panels(ax, len(names))
        self.figure_ = self.axes_[0].figure
        for name, panel in zip(names, self.axes_, strict=True):
            self._plot_element(panel, name, None if truth is None else truth.get(name))
        return self

    def _plot_element(self, panel: Any, name: str, truth: float | None) -> None:
        """Plot a histogram, each replicate below it, and the estimate with its interval above."""
        values = np.asarray(self.replicates[name], dtype=float)
        counts, _, _ = panel.hist(
            values, bins=_n_bins(values), color=SKY, alpha=0.6, edgecolor="white", linewidth=0.5
        )
        top = counts.max()
        panel.plot(
            values, np.full(len(values), -0.06 * top), "|", color=BLUE, markersize=8, mew=0.8
        )
        low, high = self.intervals[name]
        panel.plot(
            [low, high],
            [1.12 * top] * 2,
            "|-",
            color=ORANGE,
            linewidth=2.5,
            markersize=9,
            mew=2,
            label=f"{100 * self.level:g} % of the replicates",
        )
        panel.plot(self.estimates[name], 1.12 * top, "D", color=BLUE, label="fit to all rows")
        if truth is not None:
            panel.axvline(truth, color=BLACK, linewidth=1.2, linestyle="--", label="truth")
        panel.set_ylim(-0.12 * top, 1.22 * top)
        panel.yaxis.get_major_locator().set_params(integer=True)
        panel.set_yticks([tick for tick in panel.get_yticks() if 0 <= tick <= top])
        panel.set(xlabel=with_unit(name, unit_of(self.units, name)), ylabel="replicates")
        tidy(panel)
        panel.legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0))


def _n_bins(values: np.ndarray) -> int:
    """Return a number of bins; replicates that are all the same have one."""
    return 1 if np.ptp(values) == 0 else int(np.clip(np.sqrt(len(values)) * 1.5, 5, 40))
