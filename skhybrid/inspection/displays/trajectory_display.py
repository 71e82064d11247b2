"""Draw a trajectory with its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skhybrid.inspection.bootstrapping.result import BootstrapResult
from skhybrid.inspection.bootstrapping.series import Series
from skhybrid.inspection.displays.drawing import (
    BLACK,
    BLUE,
    GREEN,
    MAX_PANELS,
    panels,
    tidy,
    with_unit,
)
from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.prediction.new_trajectories import read_new_trajectories
from skhybrid.prediction.scores import given_for_rollouts

# The axis reaches beyond data and prediction by this part of their range.
MARGIN = 0.5


class TrajectoryDisplay:
    """Draw the components of one trajectory: data, prediction, and the physics alone.

    The physics alone may leave the axes, whose range is that of data and prediction and half of it
    on either side.

    Parameters
    ----------
    times : array of shape (n_times,)
    prediction, physics : array of shape (n_times, n_components)
        Rollouts of the whole model and of its physics alone.
    measured : array of shape (n_times, n_components)
        NaN where it is missing.
    interval : tuple (low, high) of such arrays, default=None
    names : sequence of str
        Of the components, with units.
    time_name : str, default="time"
        With its unit.
    interval_label : str, default="interval"

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        A panel for each component.

    Examples
    --------
    >>> from skhybrid import ODE, HybridRegressor
    >>> from skhybrid.datasets import make_pendulum
    >>> from skhybrid.inspection import TrajectoryDisplay
    >>> data = make_pendulum(5, n_times=10, random_state=0)
    >>> model = HybridRegressor(
    ...     data.physics, nn=(8,), structure=ODE(dt=data.dt), max_epochs=5, random_state=0
    ... )
    >>> model = model.fit(data.data, data.target)
    >>> display = TrajectoryDisplay.from_estimator(
    ...     model, data.data, data.target, names=["angle", "velocity"], units=["rad", "rad/s"]
    ... )
    >>> [panel.get_ylabel() for panel in display.axes_]
    ['angle (rad)', 'velocity (rad/s)']
    """

    def __init__(
        self,
        times: np.ndarray,
        prediction: np.ndarray,
        physics: np.ndarray,
        measured: np.ndarray,
        *,
        names: Sequence[str],
        interval: tuple[np.ndarray, np.ndarray] | None = None,
        time_name: str = "time",
        interval_label: str = "interval",
    ) -> None:
        self.times, self.prediction, self.physics = times, prediction, physics
        self.measured, self.interval = measured, interval
        self.names, self.time_name = [*names], time_name
        self.interval_label = interval_label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        index: int = 0,
        components: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
        units: Sequence[str | None] | None = None,
        time_unit: str | None = None,
        bootstrap: BootstrapResult | None = None,
        interval: float = 0.9,
        noise: bool = False,
        ax: Any = None,
    ) -> TrajectoryDisplay:
        """Predict a trajectory and plot it.

        Parameters
        ----------
        estimator : HybridRegressor
            Fitted, with an :class:`~skhybrid.ODE`.
        X, y : array-like or list of array-like
            As for ``fit``; training trajectories or others. Unknown initial states are estimated
            from the first outputs.
        index : int, default=0
            Number of the trajectory.
        components : sequence of int, default=None
            Components to draw; None is all, of more than 12 some that are evenly spaced.
        names : sequence of str, default=None
            Names of all components; None is the ``state_names`` of the ODE, or numbers.
        units : sequence of (str or None), default=None
            Units of all components.
        time_unit : str, default=None
        bootstrap : BootstrapResult, default=None
            Whose replicates give the interval; None draws none.
        interval : float, default=0.9
            Part of the replicates' predictions in the interval.
        noise : bool, default=False
            Whether the interval is that of a new measurement, as for
            :meth:`BootstrapResult.predict`.
        ax : matplotlib Axes or sequence of Axes, default=None
            As for :meth:`plot`.

        Returns
        -------
        TrajectoryDisplay

        Raises
        ------
        TypeError
            If the model does not predict trajectories of states.
        ValueError
            If there is no such trajectory or component.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        model = hybrid_of(estimator)
        _require_trajectories(estimator, cls.__name__)
        series = Series.of(model, y)
        if not 0 <= index < series.n_samples:
            raise ValueError(f"index is {index}, and y has {series.n_samples} trajectories.")
        measured = series.values[index]
        chosen = _chosen(components, measured.shape[1])
        one, given = _one(model, X, series, index)
        physics, network = model.predict_parts(one, **given)
        rollouts = [physics[0], physics[0] + network[0]]
        if bootstrap is not None:
            found = bootstrap.predict(one, interval, noise=noise, **given)
            rollouts += [found.low[0], found.high[0]]
        physics, prediction, *ends = (
            _columns(each, len(measured), measured.shape[1])[:, chosen] for each in rollouts
        )
        times = _times(model, one, given, len(rollouts[0]))[: len(measured)]
        of = "new measurements" if noise else "replicates"
        display = cls(
            times,
            prediction,
            physics,
            measured[:, chosen],
            names=[_names(model, names, units, measured.shape[1])[each] for each in chosen],
            interval=tuple(ends) or None,
            time_name=with_unit("time", time_unit),
            interval_label=f"{100 * interval:g} % of {of}",
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> TrajectoryDisplay:
        """Plot the components.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of Axes, default=None
            None makes a new figure; a single one is divided; otherwise one for each component.

        Returns
        -------
        TrajectoryDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        self.axes_ = panels(ax, len(self.names), n_columns=1, size=(7.0, 2.3), share=True)
        self.figure_ = self.axes_[0].figure
        for number, (panel, name) in enumerate(zip(self.axes_, self.names, strict=True)):
            if self.interval is not None:
                low, high = (each[:, number] for each in self.interval)
                panel.fill_between(
                    self.times, low, high, color=GREEN, alpha=0.25, lw=0, label=self.interval_label
                )
            panel.plot(
                self.times, self.physics[:, number], "--", color=BLUE, lw=1.2, label="physics alone"
            )
            panel.plot(
                self.times, self.prediction[:, number], color=GREEN, lw=1.6, label="prediction"
            )
            panel.plot(
                self.times,
                self.measured[:, number],
                "o",
                color=BLACK,
                markersize=3,
                markerfacecolor="none",
                markeredgewidth=0.8,
                label="data",
            )
            panel.set_ylabel(name)
            panel.set_ylim(*self._limits(number))
            tidy(panel)
        for panel in self.axes_[:-1]:
            panel.tick_params(labelbottom=False)
        self.axes_[-1].set_xlabel(self.time_name)
        self.axes_[0].legend(
            fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4
        )
        return self

    def _limits(self, number: int) -> tuple[float, float]:
        """Return the range of data and prediction, and half of it on either side."""
        shown = np.concatenate([self.measured[:, number], self.prediction[:, number]])
        shown = shown[np.isfinite(shown)]
        low, high = (shown.min(), shown.max()) if len(shown) else (0.0, 1.0)
        margin = MARGIN * (high - low) or 1.0
        return float(low - margin), float(high + margin)


def _require_trajectories(estimator: Any, display: str) -> None:
    """Raise a TypeError for tables, images and pipelines."""
    model = hybrid_of(estimator)
    if model._fitted.trajectory_info is None:
        raise TypeError(
            f"{display} draws trajectories, and this model predicts the rows of a table. Use "
            "PartsDisplay.from_estimator(model, X, y, feature=...)."
        )
    if model._fitted.hybrid.structure.reads_images:
        raise TypeError(
            f"{display} draws states over time, and this model predicts images. Draw the images of "
            "model.predict(X) beside those of y."
        )
    if model is not estimator:
        raise TypeError(
            f"{display} needs the model itself, without a pipeline around it. Give "
            "pipeline[-1] and the X that it reads, pipeline[:-1].transform(X)."
        )


def _chosen(components: Sequence[int] | None, n: int) -> list[int]:
    """Return the components to draw."""
    if components is None:
        return np.unique(np.linspace(0, n - 1, min(n, MAX_PANELS)).astype(int)).tolist()
    for each in components:
        if not 0 <= each < n:
            raise ValueError(f"components has {each}, and y has {n} components.")
    return [*components]


def _one(model: Any, X: Any, series: Series, index: int) -> tuple[Any, dict[str, Any]]:
    """Return the X of one trajectory, and what else its rollout is given."""
    shape = model._fitted.trajectory_info.layout.output_shape
    outputs = [each.reshape(len(each), *shape) for each in series.values]
    given: Mapping[str, Any] = given_for_rollouts(model, X, outputs)[0]
    sliced = {}
    for name, value in given.items():
        of_each = name == "first_outputs" or isinstance(value, list)
        sliced[name] = value[index : index + 1] if of_each else value
    return _safe_indexing(X, [index]), sliced


def _columns(rollout: np.ndarray, n_times: int, n_columns: int) -> np.ndarray:
    """Return a rollout with a column for each component."""
    return np.asarray(rollout).reshape(-1, n_columns)[:n_times]


def _times(model: Any, one: Any, given: Mapping[str, Any], n_times: int) -> np.ndarray:
    """Return the times of a prediction."""
    new = read_new_trajectories(model, one, times=given.get("times"))
    times = new.times[0][: new.lengths[0]]
    if new.wanted is not None:
        times = times[new.wanted[0] if isinstance(new.wanted, list) else new.wanted]
    # Predictions may begin one step after the initial state.
    return times[-n_times:]


def _names(
    model: Any, names: Sequence[str] | None, units: Sequence[str | None] | None, n: int
) -> list[str]:
    """Return the labels of all components."""
    info = model._fitted.trajectory_info
    if names is None:
        known = info.layout.states_observed and not info.layout.is_field
        names = info.component_names[:n] if known else [f"output {i}" for i in range(n)]
    units = [None] * n if units is None else units
    for what, given in (("names", names), ("units", units)):
        if len(given) != n:
            raise ValueError(f"{what} has {len(given)} entries, and y has {n} components.")
    return [with_unit(name, unit) for name, unit in zip(names, units, strict=True)]
