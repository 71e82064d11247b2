"""Fuzzed fits end well: see fuzzing.py; ``benchmarks/fuzz.py`` runs thousands of them."""

from __future__ import annotations

import fuzzing
import numpy as np
import pytest

from skhybrid import HybridRegressor

# So many cases fit into a few seconds.
N_TESTS = 4
PER_TEST = 8


@pytest.mark.parametrize("part", range(N_TESTS))
def test_odd_fits_end_well(part):
    bad = {}
    for number in range(part * PER_TEST, (part + 1) * PER_TEST):
        outcome = fuzzing.run_case(number)
        if outcome.bad:
            bad[number] = f"{fuzzing.make_case(number).changes}: {outcome.text}"
    assert not bad


def test_a_case_is_always_the_same():
    first, again = fuzzing.make_case(11), fuzzing.make_case(11)
    assert first.changes == again.changes
    assert fuzzing.run_case(11) == fuzzing.run_case(11)


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda self, X, y: {}["theta"], "KeyError"),
        (lambda self, X, y: int("theta"), "from inside: ValueError"),
        (lambda self, X, y: vars(self).update(rho=1.0), "changed the parameters"),
        (lambda self, X, y: X.__setitem__(0, 2.0), "changed the arrays"),
        (lambda self, X, y: vars(self).update(loss_=1.0) or _refuse(), "left attributes"),
        (lambda self, X, y: _refuse("no"), "'no'"),
    ],
)
def test_bad_ends_are_found(fit, message, monkeypatch):
    case = fuzzing.Case(0, "table", X=np.ones((4, 1)), y=np.ones(4))
    monkeypatch.setattr(HybridRegressor, "fit", fit)
    monkeypatch.setattr(HybridRegressor, "physics_params_", {}, raising=False)
    monkeypatch.setattr(HybridRegressor, "predict", lambda self, X: X)
    monkeypatch.setattr(fuzzing, "make_case", lambda number: case)
    outcome = fuzzing.run_case(0)
    assert outcome.bad
    assert message in outcome.text


def test_slow_cases_are_stopped(monkeypatch):
    monkeypatch.setattr(fuzzing, "LIMIT", 0.05)
    monkeypatch.setattr(fuzzing, "_run", _wait)
    assert "more than 0.05 s" in fuzzing.run_case(0).text


def _refuse(message: str = "this cannot be fitted"):
    raise ValueError(message)


def _wait(case, folder):
    while True:
        pass
