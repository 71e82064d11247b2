"""A check of physics: it says what a fit would say, and its advice works."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from small_models import ForceModule, drive, make_model, make_table, twice_corrected
from small_trajectories import DT, make_oscillations, position, spring

from skhybrid import (
    ODE,
    HybridRegressor,
    LatentODE,
    Param,
    Physics,
    check_physics,
    trajectories_from_frame,
)

CURVE = ODE(dt=DT, window=4)


def detached(force, *, gain=1.0, lost=2.0):
    return gain * force + lost.item()


def infinite(force, *, gain=-1.0):
    return torch.log(gain * force)


def doubled(force, *, gain=1.0, factor=2.0):
    return gain * factor * force


def cumulative(force, *, gain=1.0):
    return gain * force.cumsum(0)


def long(force, *, gain=1.0):
    return gain * force[:-1]


@pytest.mark.parametrize(
    "physics, structure",
    [(drive, "additive"), (ForceModule(), "serial"), (drive, twice_corrected)],
)
def test_usable_physics_passes_all_stages(physics, structure):
    X, y = make_table()
    found = check_physics(physics, X, y, structure=structure)
    assert found.ok, found
    assert set(found.stages.values()) == {"passed"}
    assert not found.problems


def test_the_structure_is_that_of_a_fit_with_the_defaults():
    X, y = make_table()
    varying = Physics(drive, gain=Param(1.0, depends_on=["angle"]))
    for physics in (drive, varying):
        model = HybridRegressor(physics, nn=(2,), max_epochs=1, refine_rho=None).fit(X, y)
        structure = str(model.summary()).splitlines()[0].rpartition(", ")[2]
        assert f", {structure}:" in str(check_physics(physics, X, y))


def test_an_error_stands_without_what_torch_says_of_its_inside():
    def one_number(force, *, gain=1.0):
        return math.exp(gain) * math.exp(force * gain)

    found = check_physics(one_number, *make_table())
    assert "math" in found.errors[0].message
    assert not found.warnings


@pytest.mark.parametrize(
    "physics, stage, named",
    [
        (detached, "output and gradients", "'lost'"),
        (infinite, "output and gradients", "not finite"),
        (long, "output and gradients", "shape"),
        (cumulative, "rows one by one", "depends on other rows"),
        (lambda strain, *, k=1.0: k * strain, "columns of the physics", "'strain'"),
        (None, "signature and settings", "None"),
        ("drive", "signature and settings", "physics is a str"),
        (make_table()[0], "signature and settings", "physics is a DataFrame"),
        (3.0, "signature and settings", "got 3.0"),
        (make_model(), "signature and settings", "model.physics"),
    ],
)
def test_what_stops_a_fit_is_an_error_of_its_stage(physics, stage, named):
    X, y = make_table()
    found = check_physics(physics, X, y)
    assert not found.ok
    (problem,) = found.errors
    assert problem.stage == stage
    assert named in problem.message
    assert found.stages[stage] == "failed"
    with pytest.raises((ValueError, TypeError)) as fit_error:
        HybridRegressor(physics, nn=None).fit(X, y)
    if stage not in ("signature and settings",):
        assert problem.message == " ".join(str(fit_error.value).split())


def test_the_structure_is_that_of_a_fit():
    X, y = make_table(30)
    varying = Physics(drive, gain=Param(1.0, depends_on=["angle"]))
    assert "structure additive: usable" in str(check_physics(drive, X, y))
    assert "structure none: usable" in str(check_physics(varying, X, y))
    asked = check_physics(varying, X, y, structure="additive")
    assert "structure additive: usable" in str(asked)


def test_unusable_data_are_an_error():
    X, y = make_table()
    (problem,) = check_physics(drive, X, y[:-1]).errors
    assert problem.stage == "reading of the data"
    assert not check_physics(drive, X.to_numpy()[:, :0], y).ok
    weight = np.full(len(y), -1.0)
    assert "negative" in check_physics(drive, X, y, sample_weight=weight).errors[0].message
    assert "instance" in check_physics(drive, X, y, structure=ODE).errors[0].message
    assert "structure" in check_physics(drive, X, y, structure="addition").errors[0].message


def test_missing_targets_are_a_warning_whose_advice_works():
    X, y = make_table()
    y = np.where(np.arange(len(y)) == 3, np.nan, y)
    found = check_physics(drive, X, y)
    assert found.ok
    assert "missing_targets='mask'" in found.warnings[0].message
    assert "leaves them out" in found.warnings[0].message
    assert set(found.stages.values()) == {"passed"}
    HybridRegressor(drive, nn=None, missing_targets="mask").fit(X, y)


def test_arguments_of_the_regressor():
    X, y = make_table()
    y = np.where(np.arange(len(y)) == 3, np.nan, y)
    found = check_physics(drive, X, y, missing_targets="mask", rho="auto", nn_features="auto")
    assert set(found.stages.values()) == {"passed"} and not found.problems
    alone = check_physics(drive, X, y, missing_targets="mask", nn=None)
    assert alone.ok and alone.stages["model with a network"] == "does not apply"
    (problem,) = check_physics(drive, X, y, missing_targets="mask", nn_features=["frce"]).errors
    assert "frce" in problem.message
    (problem,) = check_physics(drive, X, y, missing_targets="leave").errors
    assert problem.stage == "signature and settings" and "missing_targets" in problem.message
    with pytest.raises(TypeError, match="Did you mean 'missing_targets'"):
        check_physics(drive, X, y, missing_target="mask")
    model = HybridRegressor(drive, missing_targets="mask")
    assert check_physics(X=X, y=y, **model.get_params(deep=False)).ok


def test_a_long_table():
    table = pd.DataFrame({"run": np.repeat([*"ab"], 5), "time": np.tile(np.arange(5.0), 2)})
    table["level"] = np.exp(-0.5 * table["time"]).where(table["time"] != 2.0)
    data = trajectories_from_frame(table, run="run", time="time", states="level")
    assert data.regressor

    def decay(t, state, *, rate=1.0):
        return -rate * state

    found = check_physics(decay, data.X, data.y, structure=ODE(**data.ode), **data.regressor)
    assert found.ok and not any("missing" in each.message for each in found.problems)


def test_products_are_named_and_the_advice_works():
    X, y = make_table()
    found = check_physics(doubled, X, y)
    assert found.ok
    (sentence,) = found.unfixed
    assert "gain and factor" in sentence
    assert "fixed=True" in found.warnings[0].message
    assert found.frame["unfixed"].all()
    fixed = check_physics(Physics(doubled, factor=Param(2.0, fixed=True)), X, y)
    assert not fixed.unfixed and not fixed.problems


def test_other_units_of_y_are_told():
    X, y = make_table()
    (problem,) = check_physics(drive, X, 1e-6 * y).warnings
    assert "units" in problem.message
    assert not check_physics(Physics(drive, gain=2e-6, offset=1e-6), X, 1e-6 * y).problems


def test_effects_and_loss_are_those_of_the_prediction():
    X, y = make_table()
    found = check_physics(drive, X, y)
    force = X["force"].to_numpy()
    frame = found.frame
    assert np.isclose(frame.loc["gain", "effect_per_unit"], np.sqrt(np.mean(force**2)) / y.std())
    assert np.isclose(frame.loc["offset", "effect"], 0.01 / y.std())
    assert np.isclose(found.loss, np.mean((force + 0.1 - y) ** 2) / y.var())


def test_trajectories():
    first, states = make_oscillations()
    found = check_physics(spring, first, states, structure=CURVE)
    assert found.ok and not found.problems
    assert [each.name for each in found.parameters] == ["stiffness", "damping[0]", "damping[1]"]
    assert all(each.effect > 0.0 for each in found.parameters)
    assert 0.0 < found.loss < 0.1


def test_hidden_states_and_inputs():
    states = make_oscillations()[1]
    ode = ODE(dt=DT, inputs="linear", observe=position, n_states=2)
    inputs = np.zeros((*states.shape[:2], 1))
    found = check_physics(spring, inputs, states[..., :1], structure=ode)
    assert found.ok, found
    assert found.parameters[0].effect > 0.0


def test_an_implicit_solver_gives_the_same_effects_about():
    first, states = make_oscillations(n=2, n_times=4)
    exact, found = (
        check_physics(spring, first, states, structure=ODE(dt=DT, window=2, method=method))
        for method in ("rk4", "bdf")
    )
    for one, other in zip(exact.parameters, found.parameters, strict=True):
        assert 0.2 < other.effect / one.effect < 5.0  # three random combinations of rows


def test_rates_of_a_wrong_shape():
    first, states = make_oscillations()
    found = check_physics(lambda t, state, *, k=1.0: k * t, first, states, structure=CURVE)
    assert "rate of change of every state" in found.errors[0].message


def test_the_rate_of_one_state_that_lost_its_column():
    first, states = make_oscillations()
    one = ODE(dt=DT, window=4)
    decay = lambda t, state, *, k=1.0: t - k * state  # noqa: E731
    found = check_physics(decay, first[:, :1], states[..., :1], structure=one)
    assert "write [:, :1]" in found.errors[0].message
    columns = check_physics(
        lambda t, state, *, k=1.0: t[:, None] - k * state,
        first[:, :1],
        states[..., :1],
        structure=one,
    )
    assert columns.ok


def test_images_are_checked_with_a_network():
    images = np.random.default_rng(0).uniform(size=(3, 9, 5, 5))
    structure = LatentODE(dt=DT, n_states=2, window=4)
    found = check_physics(spring, images[:, :2], images[:, 2:], structure=structure)
    assert found.ok, found
    assert found.stages["model with a network"] == "passed"
    assert found.stages["starting values"] == "does not apply"
    assert np.isnan(found.loss)


def test_a_network_is_checked_in_single_precision():
    X, y = make_table()
    (problem,) = check_physics(drive, X, 1e5 + 1e-3 * y).warnings[:1]
    assert "single precision" in problem.message


def test_a_dict_goes_into_json():
    X, y = make_table()
    found = json.loads(json.dumps(check_physics(doubled, X, y).to_dict()))
    assert found["ok"] and found["parameters"]["gain"]["start"] == 1.0
    assert found["problems"][0]["severity"] == "warning"


def test_nothing_of_the_user_is_changed():
    X, y = make_table()
    physics = Physics(drive)
    state, before = torch.get_rng_state(), (X.copy(), y.copy(), repr(physics))
    check_physics(physics, X, y)
    assert X.equals(before[0]) and np.array_equal(y, before[1]) and repr(physics) == before[2]
    assert torch.equal(torch.get_rng_state(), state)


def test_physics_without_unknowns_has_a_loss_alone():
    X, y = make_table()
    found = check_physics(lambda force: 2.0 * force, X, y)
    assert found.ok, found
    assert np.isclose(found.loss, np.mean((2.0 * X["force"] - y) ** 2) / y.var())
    first, states = make_oscillations()
    fixed = Physics(spring, stiffness=Param(1.5, fixed=True), damping=Param((0.1, 0.2), fixed=True))
    found = check_physics(fixed, first, states, structure=CURVE)
    assert found.ok, found
    assert 0.0 < found.loss < 0.1
    assert all(each.fixed for each in found.parameters)


def test_trajectories_without_an_ode():
    (problem,) = check_physics(spring, *make_oscillations()).errors
    assert "structure=ODE" in problem.message
