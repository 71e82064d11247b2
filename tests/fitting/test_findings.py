"""Findings become warnings at the user's line, once in a call."""

from __future__ import annotations

import joblib
import pytest

from skhybrid.exceptions import ParameterWarning
from skhybrid.fitting.findings import Finding, tell_user


def test_a_finding_is_told_at_the_line_of_the_user():
    finding = Finding(ParameterWarning, "key", "message")
    with pytest.warns(ParameterWarning, match="message") as found:
        tell_user(finding)
    assert found[0].filename == __file__


def test_a_call_tells_each_fault_once():
    findings = [
        Finding(ParameterWarning, "key", "message"),
        Finding(ParameterWarning, "key", "the same fault of another fit"),
        Finding(ParameterWarning, "other", "another fault"),
    ]
    with pytest.warns(ParameterWarning) as found:
        joblib.Parallel(n_jobs=1)(joblib.delayed(tell_user)(each) for each in findings)
    assert [str(each.message) for each in found] == ["message", "another fault"]
