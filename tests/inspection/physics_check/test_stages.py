"""Stages of a check."""

from __future__ import annotations

import warnings

import pytest

from skhybrid.inspection.physics_check.stages import STAGES, Stages, Stopped


def test_an_error_stops_and_is_noted_after_the_warnings():
    stages = Stages()
    with stages.stage(STAGES[0]):
        warnings.warn("careful", RuntimeWarning, stacklevel=1)
    with pytest.raises(Stopped), stages.stage(STAGES[1]):
        raise ValueError("too\n  long")
    first, second = stages.problems
    assert (first.severity, first.category, first.message) == (
        "warning",
        "RuntimeWarning",
        "careful",
    )
    assert (second.severity, second.category, second.message) == ("error", "ValueError", "too long")
    assert [*stages.outcomes.values()][:3] == ["passed", "failed", "not reached"]


def test_the_same_message_is_noted_once():
    stages = Stages()
    for stage in STAGES[:2]:
        stages.add(stage, "warning", "UserWarning", "again")
    assert len(stages.problems) == 1


def test_an_interrupt_passes():
    with pytest.raises(KeyboardInterrupt), Stages().stage(STAGES[0]):
        raise KeyboardInterrupt
