"""Intervals that count the choice of the radius."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student_t
from small_models import drive, make_model, make_table

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.inspection import bootstrap, confidence_intervals
from skhybrid.inspection.intervals import CALIBRATION, half_width

X, Y = make_table()
FEW = {"n_replicates": 6, "random_state": 0}


@pytest.fixture(scope="module")
def intervals():
    return confidence_intervals(make_model(max_epochs=5), X, Y, **FEW)


def test_half_the_width_joins_both_spreads():
    assert half_width(3.0, 4.0, 0.95, 30) == pytest.approx(1.84 * 5.0, rel=0.01)
    assert half_width(3.0, 4.0, 0.95, 7) > half_width(3.0, 4.0, 0.95, 30)
    assert half_width(1.0, 0.0, 0.5, 7) == pytest.approx(CALIBRATION * student_t.ppf(0.75, 6))


def test_the_interval_is_made_of_replicates_and_radii(intervals):
    row = intervals.rows["gain"]
    assert row["estimate"] == intervals.estimator.physics_params_["gain"]
    assert row["sampling"] == intervals.bootstrap.physics_params_std_["gain"]
    by_radius = {}
    for each in intervals.refits:
        by_radius.setdefault(each["radius"], []).append(each["gain"])
    assert [*by_radius] == pytest.approx([0.02, 0.05, 0.1])
    assert row["radius"] == pytest.approx(np.ptp([np.mean(each) for each in by_radius.values()]))
    half = half_width(row["sampling"], row["radius"], 0.95, 6)
    assert intervals.to_dict()["gain"] == pytest.approx(
        (row["estimate"] - half, row["estimate"] + half)
    )


def test_a_bootstrap_that_exists_is_used(intervals):
    model = make_model(max_epochs=5)
    own = bootstrap(model, X, Y, **FEW)
    again = confidence_intervals(model, X, Y, bootstrap=own, radii=[0.02, 0.05, 0.1], **FEW)
    assert again.bootstrap is own
    assert again.frame.loc["gain", "sampling"] == intervals.rows["gain"]["sampling"]
    assert again.rows["gain"]["radius"] == pytest.approx(intervals.rows["gain"]["radius"])


def test_without_a_radius_networks_are_compared():
    found = confidence_intervals(make_model(max_epochs=3, optimizer="adam"), X, Y, **FEW)
    gains = [each["gain"] for each in found.refits]
    assert len({*gains}) == 3
    assert found.rows["gain"]["start"] == pytest.approx(np.ptp(gains))
    assert "the range over networks" in str(found)
    with pytest.raises(ValueError, match="this model has no radius"):
        confidence_intervals(make_model(optimizer="adam"), X, Y, radii=[0.1, 0.2])


def test_physics_alone():
    rng = np.random.default_rng(0)
    y = 2.0 * X["force"] + 0.5 + 0.1 * rng.normal(size=len(X))
    found = confidence_intervals(HybridRegressor(drive, nn=None), X, y, random_state=0)
    low, high = found.to_dict()["gain"]
    design = np.stack([X["force"], np.ones(len(X))], axis=1)
    half = student_t.ppf(0.975, 38) * 0.1 * np.sqrt(np.linalg.inv(design.T @ design)[0, 0])
    assert (high - low) / 2 == pytest.approx(half, rel=0.4)
    assert found.refits == []
    assert [*found.frame] == ["estimate", "sampling", "low", "high", "unit"]


def test_intervals_end_at_the_bounds_and_have_units():
    physics = Physics(drive, gain=Param(1.0, bounds=(0.0, 2.01), unit="V/N"))
    found = confidence_intervals(make_model(physics=physics, max_epochs=3), X, Y, **FEW)
    assert found.rows["gain"]["high"] <= 2.01
    assert found.frame.loc["gain", "unit"] == "V/N"
    assert "V/N" in found._repr_html_()


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"level must be between 0 and 1, such as 0.95; got 95"):
        confidence_intervals(make_model(), X, Y, level=95)
    with pytest.raises(ValueError, match=r"two or more numbers, none below zero; got \[0.1\]"):
        confidence_intervals(make_model(), X, Y, radii=[0.1])
