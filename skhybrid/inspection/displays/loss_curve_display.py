"""Draw the loss along training, and the physics parameters with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skhybrid.inspection.displays.drawing import (
    BLACK,
    BLUE,
    GREY,
    MAX_PANELS,
    VERMILLION,
    panels,
    tidy,
    unit_of,
    with_unit,
)
from skhybrid.inspection.flat_parameters import elements_of, hybrid_of
from skhybrid.model_selection.scoring import free_elements


class LossCurveDisplay:
    """Draw the loss in every epoch, both phases marked, and θ along training.

    The first phase estimates θ. The second one holds θ and refines the network. A dot marks the
    fitted value.

    Parameters
    ----------
    loss_curve : sequence of float
        Mean loss of every epoch, penalties included, in units of the target's variance.
    n_first : int, default=None
        Epochs of the first phase; None draws no phases, as for the physics alone.
    theta : dict of str to array of shape (n_epochs,), default=None
        Elements of the physics parameters after every epoch of the first phase.
    final : dict of str to float, default=None
        The fitted elements: at the end of the first phase, a constant that the network has learned
        goes to an offset or a gain of the physics.
    units : dict of str to (str or None), default=None
        By parameter.
    per_evaluation : bool, default=False
        Whether the losses are those of evaluations of the physics, not of epochs.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        The loss, then a panel for each element of ``theta``; of more than 11, the first ones.

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import LossCurveDisplay
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=20, random_state=0)
    >>> display = LossCurveDisplay.from_fit(model, data.data, data.target)
    >>> [panel.get_ylabel() for panel in display.axes_]
    ['loss / variance of the target', 'omega2']
    """

    def __init__(
        self,
        loss_curve: Sequence[float],
        n_first: int | None = None,
        *,
        theta: Mapping[str, Sequence[float]] | None = None,
        final: Mapping[str, float] | None = None,
        units: Mapping[str, str | None] | None = None,
        per_evaluation: bool = False,
    ) -> None:
        self.loss_curve, self.n_first = loss_curve, n_first
        self.theta, self.final = dict(theta or {}), dict(final or {})
        self.units = dict(units or {})
        self.per_evaluation = per_evaluation

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> LossCurveDisplay:
        """Plot the loss of a fitted model. A fit does not keep θ of its epochs: see `from_fit`.

        Parameters
        ----------
        estimator : HybridRegressor or Pipeline
            Fitted.
        ax : matplotlib Axes or sequence of Axes, default=None
            As for :meth:`plot`.

        Returns
        -------
        LossCurveDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        return cls._of(hybrid_of(estimator), {}).plot(ax=ax)

    @classmethod
    def from_fit(
        cls, estimator: Any, X: Any, y: Any, *, ax: Any = None, **fit_params: Any
    ) -> LossCurveDisplay:
        """Fit a clone, watch θ in every epoch, and plot.

        The fit has the same results as one that is not watched. With ``n_restarts``, θ is that of
        the restart with the lowest loss so far.

        Parameters
        ----------
        estimator : HybridRegressor or Pipeline
            Cloned. The clone has none of its callbacks.
        X, y : array-like
            As for ``fit``.
        ax : matplotlib Axes or sequence of Axes, default=None
            As for :meth:`plot`.
        **fit_params
            For ``fit``, such as ``sample_weight``.

        Returns
        -------
        LossCurveDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_fit")
        watched = clone(estimator)
        recorder = _Recorder()
        hybrid_of(watched).set_callbacks(recorder)
        watched.fit(X, y, **fit_params)
        model = hybrid_of(watched)
        names, n_first = [*elements_of(model)], model._fitted.n_iter_first or 0
        rows = [free_elements(each, model) for each in recorder.physics_params[:n_first]]
        theta = {name: np.array([row[name] for row in rows]) for name in names} if rows else {}
        return cls._of(model, theta).plot(ax=ax)

    @classmethod
    def _of(cls, model: Any, theta: Mapping[str, np.ndarray]) -> LossCurveDisplay:
        """Return the display of a fitted model."""
        fitted = model._fitted
        physics = fitted.hybrid.physics
        return cls(
            model.loss_curve_,
            fitted.n_iter_first,
            theta=theta,
            final=elements_of(model),
            units={} if physics is None else {n: p.unit for n, p in physics.params.items()},
            per_evaluation=model.nn is None,
        )

    def plot(self, *, ax: Any = None) -> LossCurveDisplay:
        """Plot the loss, and θ if it is known.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of Axes, default=None
            None makes a new figure; a single one is divided; otherwise one for each panel.

        Returns
        -------
        LossCurveDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        names = [*self.theta][: MAX_PANELS - 1]
        self.axes_ = panels(ax, 1 + len(names), n_columns=1, size=(6.0, 2.6), share=True)
        self.figure_ = self.axes_[0].figure
        losses = np.asarray(self.loss_curve, dtype=float)
        epochs = np.arange(1, len(losses) + 1)
        self.axes_[0].plot(epochs, losses, color=VERMILLION, linewidth=1.2)
        if (losses[np.isfinite(losses)] > 0).all():
            self.axes_[0].set_yscale("log")
        self.axes_[0].set_ylabel("loss / variance of the target")
        for name, panel in zip(names, self.axes_[1:], strict=True):
            values = np.asarray(self.theta[name], dtype=float)
            panel.plot(epochs[: len(values)], values, color=BLUE, linewidth=1.5)
            held = epochs[len(values) - 1 :]
            fitted = np.full(len(held), self.final.get(name, values[-1]))
            panel.plot(held, fitted, color=BLUE, linewidth=1.5, ls=":")
            panel.plot(held[-1], fitted[-1], "o", color=BLUE, markersize=4, clip_on=False)
            panel.set_ylabel(with_unit(name, unit_of(self.units, name)))
        for panel in self.axes_:
            tidy(panel)
        for panel in self.axes_[:-1]:
            panel.tick_params(labelbottom=False)
        self.axes_[-1].set_xlabel("evaluation of the physics" if self.per_evaluation else "epoch")
        self._mark_phases(len(losses))
        return self

    def _mark_phases(self, n_epochs: int) -> None:
        """Mark the phases in all panels, and name them above the first."""
        if self.n_first is None:
            return
        edge = self.n_first + 0.5
        phases = [("first phase: θ and the network", 0.5, edge)]
        if self.n_first < n_epochs:
            phases.append(("second phase: the network", edge, n_epochs + 0.5))
            for panel in self.axes_:
                panel.axvspan(edge, n_epochs + 0.5, color=GREY, alpha=0.12, lw=0)
                panel.axvline(edge, color=BLACK, linewidth=0.8)
        for name, begin, end in phases:
            self.axes_[0].text(
                (begin + end) / 2,
                1.02,
                name,
                transform=self.axes_[0].get_xaxis_transform(),
                ha="center",
                va="bottom",
                fontsize=8,
            )
        self.axes_[0].set_xlim(0.5, n_epochs + 0.5)


@dataclass
class _Recorder:
    """A callback of scikit-learn that keeps θ after every epoch.

    Attributes
    ----------
    physics_params : list of dict
    """

    physics_params: list[dict[str, Any]] = field(default_factory=list)

    def setup(self, estimator: Any, context: Any) -> None:
        """Nothing is needed before the fit."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Nothing is needed after the fit."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Nothing is needed before an epoch."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any) -> None:
        """Keep θ of an epoch; the end of the fit is a task as well."""
        if context.task_name.endswith("-epoch"):
            self.physics_params.append(fitted_estimator.physics_params_)
