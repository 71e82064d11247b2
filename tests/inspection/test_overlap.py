"""Sensitivity to an overlap of the missing part with the effects of parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from small_models import drive, make_model, make_table

from skhybrid import Param, Physics
from skhybrid.inspection import confidence_intervals, overlap_sensitivity
from skhybrid.inspection.effects import Effects, effects
from skhybrid.inspection.overlap import overlap_of

N = 400


def make_effects(r: float, own: float, *, k: float = 2.0) -> tuple[Effects, float]:
    """Return effects of a fit whose network takes up an overlap ``own`` of a true ``r``.

    The second one is the error of the first of two parameters, whose effects are correlated.
    """
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.5, 2.0, N) * (rng.uniform(size=N) > 0.1)
    other, effect, rest = rng.normal(size=(3, N))

    def less(values, *columns):
        for column in columns:
            values = values - column * (weights * values @ column) / (weights * column @ column)
        return values

    own_effect = less(effect, other)
    rest = less(rest, other, own_effect)
    rest *= np.sqrt((weights * own_effect @ own_effect) / (weights * rest @ rest))
    delta = r / np.sqrt(1.0 - r**2) * own_effect + rest
    network = own / np.sqrt(1.0 - own**2) * own_effect + rest
    error = r / np.sqrt(1.0 - r**2) - own / np.sqrt(1.0 - own**2)
    assert delta == pytest.approx(network + own_effect * error)
    at = Effects(
        names=["k", "c"],
        values=np.array([k + error, 1.0]),
        units={"k": "m", "c": None},
        sensitivities=np.stack([own_effect + 0.7 * other, other], axis=1),
        prediction=np.zeros(N),
        network=network,
        residuals=np.zeros(N),
        weights=weights,
        rows=np.arange(N),
        targets=np.zeros(N, dtype=int),
        inputs=None,
    )
    return at, error


@pytest.mark.parametrize("r", [-0.5, 0.2, 0.7])
def test_without_an_own_overlap_the_formula_gives_the_error(r):
    at, error = make_effects(r, 0.0)
    found = overlap_of(at)
    assert found.overlaps["k"].correlation == pytest.approx(0.0, abs=1e-9)
    assert found.shift(abs(r))["k"] == pytest.approx(abs(error))
    change = abs(error / at.values[0])
    assert found.robustness(change)["k"] == pytest.approx(abs(r))


@pytest.mark.parametrize("own", [-0.6, 0.1, 0.4])
@pytest.mark.parametrize("r", [-0.5, 0.0, 0.4])
def test_the_truth_is_at_an_end_of_the_interval_for_the_true_overlap(r, own):
    at, error = make_effects(r, own)
    found = overlap_of(at)
    low, high = found.interval(abs(r))["k"]
    assert min(abs(low - 2.0), abs(high - 2.0)) == pytest.approx(0.0, abs=1e-9)
    assert abs(error) <= found.shift(abs(r))["k"] + 1e-9
    assert found.overlaps["k"].correlation == pytest.approx(own)
    change = abs(error / at.values[0])
    assert found.robustness(change)["k"] <= abs(r - own) + 1e-9


def test_units_of_target_and_parameter_do_not_matter():
    at, _ = make_effects(0.3, 0.1)
    scaled = replace(
        at,
        values=at.values * 1e-6,
        sensitivities=at.sensitivities * 1e9,
        network=at.network * 1e3,
        weights=at.weights * 1e-6,
    )
    first, second = overlap_of(at), overlap_of(scaled)
    assert second.robustness()["k"] == pytest.approx(first.robustness()["k"])
    assert second.shift(0.3)["k"] == pytest.approx(1e-6 * first.shift(0.3)["k"])


def test_a_parameter_that_others_replace_and_a_silent_network():
    at, _ = make_effects(0.3, 0.1)
    same = replace(at, sensitivities=at.sensitivities[:, [1, 1]])
    found = overlap_of(same)
    assert found.shift(0.1)["k"] == np.inf
    assert found.robustness()["k"] == 0.0
    assert "any overlap moves it" in found.sentence("k")
    silent = overlap_of(replace(at, network=np.zeros(N)))
    assert silent.shift(0.9) == {"k": 0.0, "c": 0.0}
    assert silent.robustness() == {"k": 1.0, "c": 1.0}
    assert "adds nothing" in silent.sentence("k")


@pytest.mark.parametrize("own", [0.1, 0.5])
def test_the_sentence_says_why_the_value_is_outside_of_the_range(own):
    at, _ = make_effects(0.0, own)
    found = overlap_of(at)
    low, high = found.interval(0.3)["k"]
    assert (low <= at.values[0] <= high) == (own < 0.3)
    assert ("so the fitted value lies outside" in found.sentence("k")) == (own > 0.3)


def test_it_reads_the_effects_of_a_fitted_model_and_says_what_it_found(table):
    physics = Physics(make_model().physics, gain=Param(1.0, unit="m/N"))
    model = make_model(physics=physics).fit(*table)
    found = overlap_sensitivity(model, *table)
    assert found == overlap_of(effects(model, *table))
    assert found.frame.loc["gain", "off at r = 0.3"] == found.shift(0.3)["gain"]
    low, high = found.interval(0.3)["gain"]
    assert f"gain is between {low:.3g} and {high:.3g} m/N." in found.sentence("gain")
    assert "off at r = 0.5" in str(found)
    assert ">gain</" in found._repr_html_()


def test_wrong_arguments_are_refused():
    found = overlap_of(make_effects(0.3, 0.1)[0])
    with pytest.raises(ValueError, match=r"below 1; got 1\.0"):
        found.shift(1.0)
    with pytest.raises(ValueError, match="no free element 'gian'"):
        found.sentence("gian")


def test_ranges_end_at_the_bounds():
    at, _ = make_effects(0.3, 0.0)
    free = overlap_of(at).overlaps["k"]
    low, high = free.interval(0.5)
    bounded = replace(free, limits=(low + 0.1, np.inf))
    assert bounded.interval(0.5) == (low + 0.1, high)


def test_bounds_come_from_the_model():
    X, y = make_table()
    physics = Physics(drive, gain=Param(1.0, bounds=(0.5, 2.5)))
    model = make_model(physics=physics).fit(X, y)
    assert overlap_sensitivity(model, X, y).overlaps["gain"].limits == (0.5, 2.5)


def test_models_without_free_parameters_and_unfitted_ones_are_named():
    X, y = make_table()
    with pytest.raises(ValueError, match="no free physics parameters"):
        overlap_sensitivity(make_model(physics=None, max_epochs=1).fit(X, y), X, y)
    with pytest.raises(NotFittedError):
        overlap_sensitivity(make_model(), X, y)
    with pytest.raises(ValueError, match="no free physics parameters"):
        confidence_intervals(make_model(physics=None), X, y)
