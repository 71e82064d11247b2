"""The report as a card."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from skhybrid.inspection import IdentifiabilityReport, ReportDisplay, identifiability_report
from skhybrid.inspection.displays.drawing import BLUE, GREEN
from skhybrid.inspection.report.evidence import Evidence
from skhybrid.inspection.report.verdicts import IDENTIFIED, SUPPORTED, Verdict


@pytest.fixture
def report():
    gain = Evidence("gain", 2.0, "V/N", low=1.8, high=2.1, opinions={"small": 2.02, "plain": 8.0})
    offset = Evidence("offset", -4.0, standard_error=0.1)
    verdicts = {"gain": Verdict(SUPPORTED, ""), "offset": Verdict(IDENTIFIED, "")}
    return IdentifiabilityReport({"gain": gain, "offset": offset}, verdicts, None)


def test_intervals_are_relative_to_the_value(report):
    ax = ReportDisplay.from_report(report).ax_
    bars = [line for line in ax.lines if line.get_linewidth() == 3 and len(line.get_xdata())]
    assert [list(line.get_ydata()) for line in bars] == [[0, 0], [1, 1]]
    assert bars[0].get_xdata() == pytest.approx([-10.0, 5.0])
    assert bars[1].get_xdata() == pytest.approx([-5.0, 5.0]), "two standard errors"
    assert [bar.get_linestyle() for bar in bars] == ["-", ":"]
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels[0].startswith("gain (V/N)\n2.0")
    assert labels[1].startswith("offset\n-4.0")


def test_the_verdict_has_its_colour(report):
    ax = ReportDisplay.from_report(report).ax_
    shown = {text.get_text(): text.get_bbox_patch() for text in ax.texts if text.get_bbox_patch()}
    assert [*shown] == [SUPPORTED, IDENTIFIED]
    assert shown[SUPPORTED].get_facecolor() == to_rgba(BLUE)
    assert shown[IDENTIFIED].get_facecolor() == to_rgba(GREEN)


def test_values_beyond_the_axis_are_written_at_its_edge(report):
    ax = ReportDisplay.from_report(report).ax_
    texts = [text.get_text() for text in ax.texts]
    assert "+300 % →" in texts
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend[2:] == ["assumption: small", "assumption: plain"]


def test_without_a_standard_error_or_a_value_it_says_so():
    evidence = {
        "a": Evidence("a", 0.0, standard_error=1.0),
        "b": Evidence("b", 1.0),
        "c": Evidence("c", 1.0, standard_error=np.inf),
    }
    verdicts = dict.fromkeys(evidence, Verdict(SUPPORTED, ""))
    ax = ReportDisplay(IdentifiabilityReport(evidence, verdicts, None)).plot().ax_
    texts = [text.get_text().strip() for text in ax.texts]
    assert "no relative change: the value is 0" in texts
    assert "no interval" in texts
    arrows = {line.get_marker() for line in ax.lines if 2 in line.get_ydata()}
    assert {"<", ">"} <= arrows


def test_a_report_of_a_fitted_model(fitted, table):
    report = identifiability_report(fitted, *table)
    ax = ReportDisplay.from_report(report).ax_
    verdicts = [text.get_text() for text in ax.texts if text.get_bbox_patch()]
    assert verdicts == [report.verdicts[name].name for name in ("gain", "offset")]
