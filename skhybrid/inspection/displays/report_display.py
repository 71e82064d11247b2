"""Draw an identifiability report as a card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skhybrid.inspection.displays.drawing import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    one_panel,
    with_unit,
)
from skhybrid.inspection.report.evidence import Evidence
from skhybrid.inspection.report.result import IdentifiabilityReport
from skhybrid.inspection.report.verdicts import (
    ASSUMPTION_DEPENDENT,
    IDENTIFIED,
    NOT_IDENTIFIED,
    SUPPORTED,
    UNDECIDED,
)
from skhybrid.runtime.number_text import value_and_error

COLOURS = {
    IDENTIFIED: GREEN,
    SUPPORTED: BLUE,
    ASSUMPTION_DEPENDENT: ORANGE,
    NOT_IDENTIFIED: VERMILLION,
    UNDECIDED: GREY,
}
MARKERS = ("s", "^", "v", "P", "X", "*", "<", ">")
MARKER_COLOURS = (ORANGE, PURPLE, SKY, VERMILLION, GREEN, BLACK)
# Changes beyond the largest of these are drawn as arrows at the edge, in percent.
LIMITS = (5.0, 10.0, 20.0, 50.0, 100.0)


class ReportDisplay:
    """Draw each parameter's interval and its values under other assumptions, with the verdict.

    Everything is drawn as a change relative to the value, in percent, so that parameters can be
    compared. Without the part "intervals" of the report, the line is two standard errors from the
    data alone. What lies beyond the axis is an arrow at its edge.

    Parameters
    ----------
    report : IdentifiabilityReport

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import ReportDisplay, identifiability_report
    >>> data = make_pendulum_acceleration(200, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(16,), max_epochs=60, random_state=0)
    >>> report = identifiability_report(model, data.data, data.target)
    >>> display = ReportDisplay.from_report(report)
    >>> display.ax_.get_xlabel()
    'change relative to the value (%)'
    """

    def __init__(self, report: IdentifiabilityReport) -> None:
        self.report = report

    @classmethod
    def from_report(cls, report: IdentifiabilityReport, *, ax: Any = None) -> ReportDisplay:
        """Plot a report.

        Parameters
        ----------
        report : IdentifiabilityReport
        ax : matplotlib Axes, default=None
            As for :meth:`plot`.

        Returns
        -------
        ReportDisplay
        """
        return cls(report).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> ReportDisplay:
        """Plot the report.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure. The verdicts are written to its right.

        Returns
        -------
        ReportDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        evidence = [*self.report.evidence.values()]
        self.ax_ = one_panel(ax, (8.0, 1.8 + 0.5 * len(evidence)))
        self.figure_ = self.ax_.figure
        limit = _limit(evidence)
        assumptions = list(dict.fromkeys(name for each in evidence for name in each.opinions))
        for row, each in enumerate(evidence):
            self._plot_row(row, each, assumptions, limit)
        self.ax_.axvline(0.0, color=BLACK, linewidth=0.8, zorder=0)
        self.ax_.set_yticks(range(len(evidence)), [_label(each) for each in evidence])
        self.ax_.set_ylim(len(evidence) - 0.5, -0.5)
        self.ax_.set_xlim(-1.12 * limit, 1.12 * limit)
        self.ax_.set_xlabel("change relative to the value (%)")
        self.ax_.spines[["top", "right", "left"]].set_visible(False)
        self.ax_.tick_params(axis="y", length=0)
        self._add_legend(evidence, assumptions)
        return self

    def _plot_row(
        self, row: int, evidence: Evidence, assumptions: Sequence[str], limit: float
    ) -> None:
        """Plot one element."""
        verdict = self.report.verdicts[evidence.name].name
        colour = COLOURS[verdict]
        self.ax_.text(
            1.02,
            row,
            verdict,
            transform=self.ax_.get_yaxis_transform(),
            color="black" if colour == ORANGE else "white",
            weight="bold",
            va="center",
            fontsize=9,
            bbox={"facecolor": colour, "edgecolor": "none", "boxstyle": "round,pad=0.3"},
        )
        low, high = _ends(evidence)
        if np.isnan(low):
            why = "no relative change: the value is 0" if evidence.size == 0 else "no interval"
            self.ax_.text(0.0, row, f"  {why}", va="center", fontsize=8, color=GREY)
            return
        inside = np.clip([low, high], -limit, limit)
        style = "-" if evidence.low == evidence.low else ":"
        self.ax_.plot(inside, [row, row], style, color=colour, linewidth=3, solid_capstyle="butt")
        for end, marker in ((low, "<"), (high, ">")):
            beyond = abs(end) > limit
            self.ax_.plot(
                np.clip(end, -1.05 * limit, 1.05 * limit),
                row,
                marker if beyond else "|",
                color=colour,
                markersize=8 if beyond else 11,
                markeredgewidth=2,
            )
        self.ax_.plot(0.0, row, "o", color=colour, markersize=7)
        for assumption, value in evidence.opinions.items():
            self._plot_opinion(row, assumptions.index(assumption), _change(value, evidence), limit)

    def _plot_opinion(self, row: int, number: int, change: float, limit: float) -> None:
        """Plot a value under another assumption, above or below the line of its row."""
        distance = 0.18 + 0.1 * (number // 2 % 2)
        height = row + (-distance if number % 2 == 0 else distance)
        style = _marker(number)
        if abs(change) <= limit:
            self.ax_.plot(change, height, **style)
            return
        side = np.sign(change)
        self.ax_.plot(side * 1.05 * limit, height, **style)
        self.ax_.text(
            side * limit,
            height,
            f"{change:+.0f} % →" if side > 0 else f"← {change:+.0f} %".replace("-", "−"),
            ha="right" if side > 0 else "left",
            va="center",
            fontsize=7,
        )

    def _add_legend(self, evidence: Sequence[Evidence], assumptions: Sequence[str]) -> None:
        """Say what lines and marks are, above the rows."""
        if any(each.low == each.low for each in evidence):
            self.ax_.plot([], [], "-", color=BLACK, linewidth=3, label="confidence interval")
        if any(each.low != each.low for each in evidence):
            self.ax_.plot([], [], ":", color=BLACK, linewidth=3, label="2 standard errors")
        for number, name in enumerate(assumptions):
            self.ax_.plot([], [], label=f"assumption: {name}", **_marker(number))
        self.ax_.legend(
            fontsize=8,
            frameon=False,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=4,
        )


def _marker(number: int) -> dict[str, Any]:
    """Return the style of the mark of an assumption."""
    return {
        "marker": MARKERS[number % len(MARKERS)],
        "color": MARKER_COLOURS[number % len(MARKER_COLOURS)],
        "linestyle": "none",
        "markersize": 6,
        "markeredgecolor": "white",
        "markeredgewidth": 0.5,
        "clip_on": False,
    }


def _label(evidence: Evidence) -> str:
    """Return the name and the value of an element."""
    value, _ = value_and_error(evidence.value, evidence.half_width / 2.0)
    return f"{with_unit(evidence.name, evidence.unit)}\n{value}"


def _change(value: float, evidence: Evidence) -> float:
    """Return a value as a change relative to the element's value, in percent."""
    if evidence.size == 0.0:
        return np.nan
    return 100.0 * (value - evidence.value) / evidence.size


def _ends(evidence: Evidence) -> tuple[float, float]:
    """Return the ends of the line of an element, in percent; NaN if they are not known."""
    if evidence.low == evidence.low:
        return _change(evidence.low, evidence), _change(evidence.high, evidence)
    half = 2.0 * evidence.standard_error
    return _change(evidence.value - half, evidence), _change(evidence.value + half, evidence)


def _limit(evidence: Sequence[Evidence]) -> float:
    """Return the end of the axis, in percent."""
    changes = [
        abs(change)
        for each in evidence
        for change in (*_ends(each), *(_change(value, each) for value in each.opinions.values()))
        if np.isfinite(change)
    ]
    return next((limit for limit in LIMITS if max(changes, default=0.0) <= limit), LIMITS[-1])
