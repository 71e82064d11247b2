"""Draw the loss along a physics parameter."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skhybrid.inspection.displays.drawing import (
    BLACK,
    BLUE,
    ORANGE,
    VERMILLION,
    one_panel,
    tidy,
    with_unit,
)
from skhybrid.inspection.profile import Profile

# Losses whose ratio is larger are drawn on a logarithmic axis.
LARGEST_RATIO = 10.0


class ProfileDisplay:
    """Draw the loss along a physics parameter, with everything else trained again.

    A steep curve says that the data fix the parameter; a flat one says that the rest of the model
    makes up for it. Values whose fit failed are left out.

    Parameters
    ----------
    profile : Profile

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes

    Examples
    --------
    >>> import numpy as np
    >>> from skhybrid import HybridRegressor, Param, Physics
    >>> from skhybrid.inspection import ProfileDisplay, profile
    >>> def decay(t, *, rate=1.0):
    ...     return (-rate * t).exp()
    >>> t = np.linspace(0, 3, 30)
    >>> y = np.exp(-0.7 * t) + 0.01 * np.cos(50 * t)
    >>> model = HybridRegressor(Physics(decay, rate=Param(1.0, unit="1/s")), nn=None)
    >>> display = ProfileDisplay.from_result(profile(model, t[:, None], y, "rate"))
    >>> display.ax_.get_xlabel()
    'rate (1/s)'
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    @classmethod
    def from_result(
        cls, profile: Profile, *, truth: float | None = None, ax: Any = None
    ) -> ProfileDisplay:
        """Plot a profile.

        Parameters
        ----------
        profile : Profile
            From :func:`profile`.
        truth : float, default=None
            True value, if known.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        ProfileDisplay
        """
        return cls(profile).plot(truth=truth, ax=ax)

    def plot(self, *, truth: float | None = None, ax: Any = None) -> ProfileDisplay:
        """Plot the profile.

        Parameters
        ----------
        truth : float, default=None
            True value, drawn as a line.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        ProfileDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        found = self.profile
        self.ax_ = one_panel(ax, (5.6, 3.8))
        self.figure_ = self.ax_.figure
        curves = [(found.loss, "o-", BLUE, "training loss")]
        if found.held_out_loss is not None:
            curves.append((found.held_out_loss, "s--", VERMILLION, "held-out loss"))
        known = []
        for losses, style, colour, label in curves:
            finite = np.isfinite(losses)
            known.append(np.asarray(losses)[finite])
            values = np.asarray(found.values)[finite]
            self.ax_.plot(values, known[-1], style, color=colour, markersize=4, label=label)
        shown = np.concatenate(known)
        if len(shown) and 0 < LARGEST_RATIO * shown.min() < shown.max():
            self.ax_.set_yscale("log")
        self._draw_interval()
        self.ax_.axvline(found.estimate, color=BLUE, linewidth=1, label="estimate")
        if truth is not None:
            self.ax_.axvline(truth, color=BLACK, linewidth=1.2, linestyle="--", label="truth")
        self.ax_.set(
            xlabel=with_unit(found.param, found.unit), ylabel="loss / variance of the target"
        )
        tidy(self.ax_)
        self.ax_.legend(
            fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3
        )
        return self

    def _draw_interval(self) -> None:
        """Shade the interval; where it is open, up to the edge of the axis."""
        interval = self.profile.interval
        if interval is None:
            return
        left, right = self.ax_.get_xlim()
        low, high = max(interval[0], left), min(interval[1], right)
        sides = [
            side for side, end in zip(("left", "right"), interval, strict=True) if np.isinf(end)
        ]
        is_open = f", open to the {' and the '.join(sides)}" if sides else ""
        label = f"{100 * self.profile.level:g} % interval (F-test){is_open}"
        self.ax_.axvspan(low, high, color=ORANGE, alpha=0.2, lw=0, label=label)
        self.ax_.set_xlim(left, right)
