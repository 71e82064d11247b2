"""Draw a profile."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skhybrid.inspection.displays.drawing import (
    BLACK,
    BLUE,
    ORANGE,
    SKY,
    VERMILLION,
    one_panel,
    tidy,
    with_unit,
)
from skhybrid.inspection.profile import Profile


class ProfileDisplay:
    """Draw the losses along a physics parameter, with the rest trained again.

    Parameters
    ----------
    profile : Profile
        From :func:`~skhybrid.inspection.profile`.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes

    Examples
    --------
    >>> import numpy as np
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.inspection import ProfileDisplay, profile
    >>> def decay(t, *, rate=1.0):
    ...     return (-rate * t).exp()
    >>> t = np.linspace(0, 3, 30)
    >>> y = np.exp(-0.7 * t) + 0.01 * np.cos(50 * t)
    >>> found = profile(HybridRegressor(decay, nn=None), t[:, None], y, "rate", grid=[0.6, 0.8])
    >>> ProfileDisplay.from_result(found).ax_.get_xlabel()
    'rate'
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
        truth : float, default=None
            True value, drawn as a line.
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
        self.ax_ = one_panel(ax, (5.2, 3.8))
        self.figure_ = self.ax_.figure
        if found.interval is not None and np.isfinite(found.interval).all():
            label = f"{100 * found.level:g} % interval (F-test)"
            self.ax_.axvspan(*found.interval, color=SKY, alpha=0.25, lw=0, label=label)
        self.ax_.plot(found.values, found.loss, "o-", color=BLUE, label="training rows")
        if found.held_out_loss is not None:
            self.ax_.plot(
                found.values, found.held_out_loss, "s--", color=VERMILLION, label="rows held out"
            )
        self.ax_.axvline(found.estimate, color=ORANGE, lw=1.5, label="fitted")
        if truth is not None:
            self.ax_.axvline(truth, color=BLACK, lw=1.2, ls=":", label="truth")
        self.ax_.set(
            xlabel=with_unit(found.param, found.unit),
            ylabel="loss (in the target's variance)",
            title=f"Profile of {found.param}",
        )
        tidy(self.ax_)
        self.ax_.legend(fontsize=8, frameon=False)
        return self
