import numpy as np
import pandas as pd
import pytest
import torch
from small_findings import fit
from torch import nn

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.fitting import shared_constants
from skhybrid.search import HybridSearchCV
from skhybrid.training import shared_constant

RNG = np.random.default_rng(5)
N_ROWS = 80
X = pd.DataFrame(RNG.uniform(0.5, 3.0, (N_ROWS, 2)), columns=["dose", "age"])
EFFECT = np.sin(2.0 * X["age"])
OFFSET = (1.5 * X["dose"] + 0.7 + 0.5 * EFFECT).to_numpy()
GAIN = (1.5 * X["dose"] ** 0.8 * (1.0 + 0.3 * EFFECT)).to_numpy()


def line(dose, *, slope=1.0, offset=0.0):
    return slope * dose + offset


def power(dose, *, gain=1.0, exponent=1.0):
    return gain * dose**exponent


def told(messages):
    return [each for each in messages if "apart" in each]


def tanh_network():
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1), nn.Softplus())


@pytest.mark.parametrize(
    ("physics", "y", "structure"), [(line, OFFSET, "additive"), (power, GAIN, "multiplicative")]
)
def test_what_is_settled_is_no_finding(physics, y, structure):
    model, messages = fit(physics, x=X, y=y, nn=(4,), structure=structure)
    assert not told(messages)
    _, network = model.predict_parts(X)
    known, _ = model.predict_parts(X)
    mean = np.mean(network if structure == "additive" else network / known)
    assert abs(mean) < 1e-5


def test_the_shift_is_found_once_for_a_finding(monkeypatch):
    calls, find = [], shared_constant.find_shift
    count = lambda *given: calls.append(1) or find(*given)  # noqa: E731
    for module in (shared_constant, shared_constants):
        monkeypatch.setattr(module, "find_shift", count)
    _, messages = fit(line, x=X, y=OFFSET, nn=tanh_network(), max_epochs=3)
    assert told(messages)
    # At the end and halfway through the first phase, and for the finding.
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("physics", "y", "structure", "name"),
    [(line, OFFSET, "additive", "offset"), (power, GAIN, "multiplicative", "gain")],
)
def test_a_network_that_cannot_give_its_mean_is_named(physics, y, structure, name):
    _, messages = fit(physics, x=X, y=y, nn=tanh_network(), structure=structure)
    (message,) = told(messages)
    assert f"cannot tell {name} and the mean of the network" in message
    # The advice helps.
    ended = nn.Sequential(*tanh_network(), nn.Linear(1, 1))
    assert not told(fit(physics, x=X, y=y, nn=ended, structure=structure)[1])
    known = Physics(physics, **{name: Param(1.0, fixed=True)})
    assert not told(fit(known, x=X, y=y, nn=tanh_network(), structure=structure)[1])


def test_bounds_in_the_way_are_named():
    low = Physics(line, offset=Param(-2.0, bounds=(None, -1.0)))
    model, messages = fit(low, x=X, y=OFFSET, nn=(4,), max_epochs=200)
    (message,) = told(messages)
    assert "offset" in message
    assert "bounds" in message
    assert model.physics_params_["offset"] <= -1.0
    assert not told(fit(line, x=X, y=OFFSET, nn=(4,), max_epochs=200)[1])


def test_a_held_parameter_is_no_finding():
    settings = {"nn": tanh_network(), "physics_learning_rate": 0.0}
    assert not told(fit(line, x=X, y=OFFSET, **settings)[1])


def test_restarts_and_searches_give_the_same_as_single_fits():
    settings = {"nn": (4,), "max_epochs": 20, "random_state": 0, "dtype": "float64"}
    model = HybridRegressor(line, n_restarts=3, **settings).fit(X, OFFSET)
    offsets = [each["physics_params"]["offset"] for each in model.restarts_]
    best = min(model.restarts_, key=lambda each: each["loss"])
    assert model.physics_params_ == best["physics_params"]
    # With the mean of the network at zero, offset and slope have one relation.
    rises = [each["physics_params"]["slope"] * X["dose"].mean() for each in model.restarts_]
    np.testing.assert_allclose(np.add(offsets, rises), OFFSET.mean(), atol=0.1)
    search = HybridSearchCV(HybridRegressor(line, **settings), {"rho": [0.0, 0.05]}, cv=2)
    search.fit(X, OFFSET)
    alone = HybridRegressor(line, **settings, rho=search.best_params_["rho"]).fit(X, OFFSET)
    assert search.best_estimator_.physics_params_["offset"] == pytest.approx(
        alone.physics_params_["offset"], rel=1e-9
    )


def test_early_stopping_and_warm_starts_settle_too():
    settings = {"nn": (4,), "max_epochs": 20, "random_state": 0, "refine_rho": None}
    model = HybridRegressor(line, early_stopping=True, **settings).fit(X, OFFSET)
    assert torch.isfinite(torch.tensor(model.physics_params_["offset"]))
    model = HybridRegressor(line, warm_start=True, **settings).fit(X, OFFSET).fit(X, OFFSET)
    _, network = model.predict_parts(X)
    assert abs(np.mean(network)) < 1e-5
