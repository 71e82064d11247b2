"""A whole fit: prepare, train, finish."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_models import make_model, make_settings, make_table
from small_trajectories import DT, make_oscillations, spring

from skhybrid import ODE
from skhybrid.exceptions import PhysicsError, PhysicsInitWarning, TrainingError
from skhybrid.fitting import start as start_module
from skhybrid.fitting.fit import finish_fit, fit_hybrid, make_fit
from skhybrid.fitting.inputs import read_inputs
from skhybrid.fitting.observer import n_epochs_of
from skhybrid.fitting.prepare import Prepared, prepare
from skhybrid.training.multistart import train_together
from skhybrid.training.result import FitResult, Status

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

X, Y = make_table()
WEIGHT = np.linspace(1.0, 2.0, len(Y))


def read(x=X, y=Y, weight=None, **settings):
    settings = make_settings(**{"max_epochs": 3, **settings})
    return settings, read_inputs(settings, make_model(), x, y, weight)


def prepared(*data, **settings) -> Prepared:
    return prepare(*read(*data, **settings))


# Prepare.


def test_all_rows_are_for_training():
    problem = prepared()
    assert len(problem.rows) == len(problem.data.y) == len(Y)
    assert problem.validation is None
    assert problem.earlier == []
    assert len(problem.starts) == 1


def test_early_stopping_holds_rows_out():
    problem = prepared(early_stopping=True, validation_fraction=0.25)
    assert (len(problem.data.y), len(problem.validation.y)) == (30, 10)
    rows = torch.cat([problem.data.y, problem.validation.y]).sort().values
    torch.testing.assert_close(rows, torch.tensor(np.sort(Y)))
    other = prepared(early_stopping=True, validation_fraction=0.25, random_state=1)
    assert not torch.equal(other.validation.y, problem.validation.y)


def test_held_out_rows_and_training_rows_both_have_weights_or_neither():
    for weight in (None, WEIGHT):
        problem = prepared(X, Y, weight, early_stopping=True)
        assert (problem.data.weight is None) == (problem.validation.weight is None)
    # Only one row, which may be in either part, has another weight.
    weight = np.ones(len(Y))
    weight[0] = 2.0
    problem = prepared(X, Y, weight, early_stopping=True)
    assert problem.data.weight.shape == problem.data.y.shape
    assert problem.validation.weight.shape == problem.validation.y.shape
    # The same with a target that is missing.
    holes = Y.copy()
    holes = np.column_stack([holes, holes])
    holes[0, 0] = np.nan
    settings = {"physics": None, "missing_targets": "mask", "early_stopping": True}
    problem = prepared(X, holes, **settings)
    zero = [bool((part.weight == 0.0).any()) for part in (problem.data, problem.validation)]
    assert sorted(zero) == [False, True]


def test_held_out_trajectories_are_left_out_of_all_stages():
    first, y = make_oscillations()
    problem = prepared(
        first, y, physics=spring, structure=ODE(dt=DT, window=(2, 4)), early_stopping=True
    )
    (earlier,) = problem.earlier
    n_kept = len(set(problem.rows.groups.tolist()))
    assert 0 < n_kept < len(first)
    assert len(earlier.y) == n_kept * (y.shape[1] + 1 - 2)
    held_out = problem.validation.x.first_state
    assert not any(bool((row == earlier.x.first_state).all(1).any()) for row in held_out)


def test_start_and_seed_depend_on_the_random_state():
    first, same, other = (prepared(n_restarts=2, random_state=seed) for seed in (0, 0, 1))
    assert first.seed == same.seed != other.seed
    assert len(first.starts) == 2
    weight = "0.weight"
    assert torch.equal(first.starts[1].weights[weight], same.starts[1].weights[weight])
    assert not torch.equal(first.starts[0].weights[weight], other.starts[0].weights[weight])


@pytest.mark.parametrize("physics_init", ["least_squares", "given"])
def test_where_theta_starts(physics_init):
    values = prepared(physics_init=physics_init).hybrid.space.start
    slope, offset = np.polyfit(X["force"], Y, 1)
    expected = {"gain": slope, "offset": offset}
    if physics_init == "given":
        expected = {"gain": 1.0, "offset": 0.1}
    assert {name: float(value) for name, value in values.items()} == pytest.approx(expected)


def test_a_start_that_fails_warns_and_uses_the_given_values():
    def single_precision(force, *, gain=1.0):
        return (gain * force[:, None]) @ torch.ones(1, 1)

    message = (
        "training starts from the given values. The reason: .*dtype.* set physics_init='given'"
    )
    with pytest.warns(PhysicsInitWarning, match=message):
        problem = prepared(X, Y[:, None], physics=single_precision, dtype="float32")
    assert float(problem.hybrid.space.start["gain"]) == 1.0


def test_a_start_beyond_the_dtype_warns_and_uses_the_given_values(monkeypatch):
    fit_with_steps = start_module.fit_with_steps

    def run_away(*arguments):
        model, fit, later = fit_with_steps(*arguments)
        return model, replace(fit, values={**fit.values, "gain": np.array(-1e39)}), later

    monkeypatch.setattr(start_module, "fit_with_steps", run_away)
    with pytest.warns(PhysicsInitWarning, match=r"moved 'gain' to -1\.0e\+39.*Give it bounds"):
        problem = prepared(X, Y[:, None], dtype="float32")
    assert float(problem.hybrid.space.start["gain"]) == 1.0


def test_broken_physics_is_an_error_and_not_a_warning():
    def broken(force, *, gain=1.0):
        raise TypeError("not like this")

    with warnings.catch_warnings():
        warnings.simplefilter("error", PhysicsInitWarning)
        with pytest.raises(PhysicsError, match="'broken' failed"):
            prepared(physics=broken)


def test_an_earlier_fit_is_the_start():
    earlier = make_model(max_epochs=30).fit(X, Y)._fitted
    settings, inputs = read(random_state=5)
    problem = prepare(settings, inputs, previous=earlier)
    for name, value in earlier.hybrid.network.state_dict().items():
        assert torch.equal(problem.starts[0].weights[name], value)
    assert {name: float(value) for name, value in problem.hybrid.space.start.items()} == (
        pytest.approx(earlier.physics_params)
    )
    for name, value in vars(earlier.hybrid.scales).items():
        if name not in ("feature_low", "feature_high"):
            assert torch.equal(getattr(problem.hybrid.scales, name), value)


# Train.


def test_training_does_not_change_the_prepared_model():
    settings, inputs = read()
    problem = prepare(settings, inputs)
    before = {name: value.clone() for name, value in problem.hybrid.network.state_dict().items()}
    first, second = (
        finish_fit(problem, fit, train_together([fit])[0], settings)
        for fit in (make_fit(problem, settings) for _ in range(2))
    )
    for name, value in problem.hybrid.network.state_dict().items():
        assert torch.equal(value, before[name])
    assert first.hybrid.network is not second.hybrid.network
    assert first.loss_curve == second.loss_curve
    assert first.physics_params == second.physics_params


def test_rates_radii_and_penalties_are_chosen_after_the_preparation():
    settings, inputs = read()
    problem = prepare(settings, inputs)
    fit = make_fit(problem, replace(settings, rho=0.2, l2=0.3, learning_rate=0.4, max_epochs=9))
    assert float(fit.config.rho) == pytest.approx(0.2)
    assert float(fit.config.penalties.l2) == pytest.approx(0.3)
    assert float(fit.config.learning_rate) == pytest.approx(0.4)
    assert fit.config.schedule.n_epochs == 9
    assert fit.config.seed == problem.seed
    assert fit.starts is problem.starts


def test_stages_are_problems_with_their_own_configuration():
    first, y = make_oscillations()
    structure = ODE(dt=DT, window=(2, 4))
    settings, inputs = read(first, y, physics=spring, structure=structure, max_epochs=5)
    fit = make_fit(prepare(settings, inputs), settings)
    ((problem, config),) = fit.earlier
    assert problem.data.y.shape[1] == 2
    assert fit.problem.data.y.shape[1] == 4
    assert config.schedule.n_epochs == fit.config.schedule.n_epochs == 3
    assert len(fit.problem.groups) == len(fit.problem.data.y)


@pytest.mark.parametrize(
    ("settings", "n_epochs"),
    [
        ({}, {"estimate": 3}),
        ({"refine_rho": 0.0}, {"estimate": 3, "refine": 3}),
        ({"refine_rho": 0.0, "n_restarts": 2}, {"estimate": 3, "refine": 3}),
    ],
    ids=str,
)
def test_the_number_of_epochs_is_known_and_an_observer_sees_each(settings, n_epochs):
    seen = []
    given, inputs = read(**settings)
    fit = make_fit(prepare(given, inputs), given)
    assert n_epochs_of(fit) == n_epochs

    def observer(phase, epoch, members, losses, parts):
        assert list(parts) == [0]
        seen.append((phase, epoch))
        return []

    train_together([fit], observer=observer)
    assert seen == [(phase, 1 + i) for phase, number in n_epochs.items() for i in range(number)]


def test_no_refinement_is_announced_for_few_rows():
    given, inputs = read(X[:20], Y[:20], refine_rho=0.0)
    assert n_epochs_of(make_fit(prepare(given, inputs), given)) == {"estimate": 3}


# Finish.


def test_an_error_of_the_training_is_raised():
    settings, inputs = read()
    problem = prepare(settings, inputs)
    result = FitResult.of_error(KeyError("mine"))
    with pytest.raises(KeyError, match="mine"):
        finish_fit(problem, make_fit(problem, settings), result, settings)


def test_training_without_usable_parameters_is_an_error():
    settings, inputs = read(rho=0.3, learning_rate=0.02)
    problem = prepare(settings, inputs)
    message = r"first epoch of every restart.*learning_rate \(0.02\) or rho \(0.3\)"
    with pytest.raises(TrainingError, match=message):
        finish_fit(problem, make_fit(problem, settings), FitResult(Status.FAILED), settings)


def test_the_fitted_model_tells_how_the_training_went():
    fitted = fit_hybrid(*read(n_restarts=2))
    assert fitted.n_rows == len(Y)
    assert 0.0 < fitted.physics_share < 1.0
    assert len(fitted.restarts) == 2
    best = min(fitted.restarts, key=lambda restart: restart["loss"])
    assert best["loss"] == fitted.loss
    assert best["physics_params"] == fitted.physics_params
    assert {restart["status"] for restart in fitted.restarts} == {Status.FINISHED.value}
    assert [restart["n_iter"] for restart in fitted.restarts] == [3, 3]
    assert [restart["validation_loss"] for restart in fitted.restarts] == [None, None]
    held_out = fit_hybrid(*read(early_stopping=True))
    assert held_out.restarts[0]["validation_loss"] > 0.0


def test_learned_initial_states_are_kept():
    first, y = make_oscillations()
    structure = ODE(dt=DT, window=4, initial_state="learned")
    fitted = fit_hybrid(*read(first, y, physics=spring, structure=structure))
    np.testing.assert_allclose(fitted.learned_states, first, atol=0.2)
    assert fit_hybrid(*read()).learned_states is None
