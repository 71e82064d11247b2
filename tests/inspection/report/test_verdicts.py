"""Verdicts on physics parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skhybrid.inspection.report.evidence import Evidence
from skhybrid.inspection.report.verdicts import (
    ASSUMPTION_DEPENDENT,
    IDENTIFIED,
    NOT_IDENTIFIED,
    SUPPORTED,
    UNDECIDED,
    judge,
)

UNSEEN = Evidence("k", 2.0, standard_error=0.01, predictable=0.1, error_beside_network=0.01)
SEEN = replace(UNSEEN, predictable=0.99, error_beside_network=0.1)
COMPARED = replace(
    SEEN, low=1.9, high=2.1, sampling=0.05, over_radii=0.02, over_starts=0.01,
    opinions={"functional norm": 2.02, "orthogonality": 1.95},
)  # fmt: skip


@pytest.mark.parametrize(
    ("evidence", "verdict", "words"),
    [
        (UNSEEN, IDENTIFIED, "10%"),
        (replace(UNSEEN, has_network=False, predictable=np.nan), IDENTIFIED, "no network"),
        (SEEN, UNDECIDED, "99%"),
        (replace(UNSEEN, beside="the function base"), IDENTIFIED, "the function base can make up"),
        (replace(SEEN, beside="the function base"), UNDECIDED, "99%"),
        (replace(UNSEEN, predictable=0.75), IDENTIFIED, "75%"),
        (replace(UNSEEN, predictable=0.75, beside="the function base"), UNDECIDED, "75%"),
        (replace(SEEN, beside="it", predictable=np.nan, unknown="."), UNDECIDED, "Whether it"),
        (replace(UNSEEN, beside="it", error_beside_network=0.7), UNDECIDED, "that it could take"),
        (replace(UNSEEN, error_beside_network=0.7), UNDECIDED, "35%"),
        (replace(UNSEEN, predictable=np.nan, unknown="It is a field."), UNDECIDED, "a field"),
        (replace(UNSEEN, misfit="they change along a"), UNDECIDED, "along a"),
        (replace(UNSEEN, standard_error=3.0), NOT_IDENTIFIED, "150%"),
        (replace(UNSEEN, standard_error=np.inf, partners=("m",)), NOT_IDENTIFIED, "by m"),
        (
            replace(UNSEEN, on_bound=True, standard_error=np.nan, partners=("m",)),
            NOT_IDENTIFIED,
            "on its bound",
        ),
        (replace(UNSEEN, on_bound=True), NOT_IDENTIFIED, "bound"),
        (COMPARED, SUPPORTED, "agree"),
        (replace(COMPARED, beside="the function f"), SUPPORTED, "The function f could imitate k"),
        (replace(COMPARED, opinions={"plain": 2.5}), ASSUMPTION_DEPENDENT, "plain"),
        (replace(COMPARED, misfit="they change along a"), ASSUMPTION_DEPENDENT, "along a"),
        (
            replace(COMPARED, has_network=False, opinions={}, misfit="they change along a"),
            ASSUMPTION_DEPENDENT,
            "along a",
        ),
        (replace(COMPARED, low=-1.0, high=5.0), NOT_IDENTIFIED, "from -1 to 5"),
        (replace(COMPARED, over_starts=2.5), NOT_IDENTIFIED, "starts"),
        (replace(UNSEEN, standard_error=np.inf), NOT_IDENTIFIED, "do not fix"),
        (replace(UNSEEN, value=0.0), NOT_IDENTIFIED, "zero"),
        (
            replace(UNSEEN, low=0.0, high=9.0, sampling=3.0, opinions={"plain": 2.0}),
            NOT_IDENTIFIED,
            "from 0 to 9",
        ),
        (
            replace(UNSEEN, has_network=False, predictable=np.nan, standard_error=0.6),
            UNDECIDED,
            "30%",
        ),
        (
            replace(COMPARED, has_network=False, standard_error=0.6, opinions={}),
            SUPPORTED,
            "no network",
        ),
        # What the network cannot see stays identified beside other opinions.
        (replace(UNSEEN, opinions={"plain": 2.5}, sampling=0.05), IDENTIFIED, "10%"),
    ],
)
def test_the_evidence_gives_a_verdict_with_its_reason(evidence, verdict, words):
    found = judge(evidence)
    assert found.name == verdict
    assert words in found.reason
    assert found.reason.endswith(".")
    if verdict not in (IDENTIFIED,):
        assert found.advice.endswith((".", ")"))


@pytest.mark.parametrize("has_network", [True, False])
@pytest.mark.parametrize("evidence", [UNSEEN, COMPARED])
def test_a_trend_is_answered_by_a_better_fit_and_not_by_refits(evidence, has_network):
    found = judge(replace(evidence, misfit="they change along a", has_network=has_network))
    assert "parts=" not in found.advice
    assert ("max_epochs" if has_network else "Add a network") in found.advice


@pytest.mark.parametrize("factor", [1e-9, 1e6, -1.0])
def test_a_verdict_does_not_depend_on_units(factor):
    def scaled(evidence):
        low, high = sorted([factor * evidence.low, factor * evidence.high])
        return replace(
            evidence,
            value=factor * evidence.value,
            standard_error=abs(factor) * evidence.standard_error,
            error_beside_network=abs(factor) * evidence.error_beside_network,
            low=low,
            high=high,
            over_starts=abs(factor) * evidence.over_starts,
            opinions={name: factor * value for name, value in evidence.opinions.items()},
        )

    for evidence in (COMPARED, replace(COMPARED, opinions={"plain": 2.5})):
        assert judge(scaled(evidence)).name == judge(evidence).name
