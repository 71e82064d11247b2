"""The states whose rates the network changes: names, numbers, and whole fits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from small_swings import DT, SWINGS, make_swing_model

from skhybrid import ODE, HybridSearchCV, Param, Physics
from skhybrid.data.corrected_rates import find_corrected_rates
from skhybrid.datasets import pendulum

# Fits of two epochs.
pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.FreeRunWarning")

NAMES = ("angle", "velocity", "heat")
X, Y = SWINGS.data[:6], SWINGS.target[:6, :8]
FRAME = pd.DataFrame(X, columns=["angle", "velocity"])
KNOWN = Physics(pendulum)


def make_model(corrects, physics=pendulum, *, join="auto", state_names=None, **settings):
    structure = ODE(dt=DT, corrects=corrects, join=join, state_names=state_names)
    return make_swing_model(physics, structure=structure, **{"max_epochs": 2, **settings})


def change_of_rates(model):
    """Return the largest change of each rate by the network."""
    return np.abs(model.predict_rates(X)[1]).max(axis=0)


@pytest.mark.parametrize(
    ("corrects", "expected"),
    [
        (None, None),
        (["velocity"], (1,)),
        ([2, "angle"], (0, 2)),
        (np.array([2, 1]), (1, 2)),
        (["heat", "velocity", "angle"], None),
    ],
    ids=str,
)
def test_numbers_of_states(corrects, expected):
    assert find_corrected_rates(ODE(dt=1.0, corrects=corrects), KNOWN, NAMES) == expected


@pytest.mark.parametrize(
    ("corrects", "names", "message"),
    [
        (["velocty"], NAMES, "'velocty', which is no state. Did you mean 'velocity'.*angle, vel"),
        ([3], NAMES, "has state 3; there are 3 states, 0 to 2"),
        ([-1], NAMES, "has state -1"),
        ([1, "velocity"], NAMES, "has the state 'velocity' twice"),
        (["u"], ("u", "u"), "several states have this name"),
    ],
)
def test_wrong_states_are_named(corrects, names, message):
    with pytest.raises(ValueError, match=message):
        find_corrected_rates(ODE(dt=1.0, corrects=corrects), KNOWN, names)


def test_a_network_alone_gives_all_rates():
    with pytest.raises(ValueError, match="physics=None: these states would not change"):
        make_model([1], physics=None).fit(X, Y)
    make_model([0, 1], physics=None, max_epochs=1).fit(X, Y)


@pytest.mark.parametrize("join", ["add", "multiply"])
def test_names_are_those_of_the_columns_or_the_given_ones(join):
    by_column = make_model(["velocity"], join=join).fit(FRAME, Y)
    by_name = make_model(["v"], join=join, state_names=["x", "v"]).fit(X, Y)
    change = change_of_rates(by_name)
    assert change[0] == 0.0
    assert change[1] > 0.0
    np.testing.assert_array_equal(by_column.predict(FRAME), by_name.predict(X))
    assert sum(each.numel() for each in by_name.module_.parameters()) == 8 * 2 + 8 + 8 + 1
    assert by_name.predict_parts(X)[1].shape == Y.shape
    assert "The network changes the rates of: v\n" in str(by_name.summary())


def test_beside_a_parameter_that_is_a_function():
    varying = Physics(pendulum, omega2=Param(1.0, depends_on=["state_0"]))
    model = make_model(["state_1"], varying).fit(X, Y)
    assert change_of_rates(model)[0] == 0.0
    assert model.module_.correction is not None
    assert make_model(None, varying).fit(X, Y).module_.correction is None


def test_a_warm_start_needs_the_same_rates():
    model = make_model(["velocity"], warm_start=True).fit(FRAME, Y)
    first = model.loss_
    assert model.fit(FRAME, Y).loss_ < first
    with pytest.raises(ValueError, match="structure changed since"):
        model.set_params(structure__corrects=["angle"]).fit(FRAME, Y)


def test_searches_over_rates_agree_with_single_fits():
    grid = {"structure__corrects": [None, ["angle"], ["velocity"]]}
    batched = HybridSearchCV(make_model(None), grid, cv=2).fit(FRAME, Y)
    single = GridSearchCV(make_model(None), grid, cv=2).fit(FRAME, Y)
    scores = [each.cv_results_["mean_test_score"] for each in (batched, single)]
    np.testing.assert_allclose(*scores, rtol=1e-8)
    assert len(np.unique(scores[1])) == 3
