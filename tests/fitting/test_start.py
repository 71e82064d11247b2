"""Where training starts: least squares for θ, and other networks and θ for restarts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import make_model, make_settings

from skhybrid import ODE, Param, Physics
from skhybrid.data.missing_targets import mask_missing
from skhybrid.data.rows import Rows
from skhybrid.exceptions import CollapseWarning, ParameterWarning
from skhybrid.fitting.assemble import assemble_hybrid, assemble_physics
from skhybrid.fitting.inputs import FitInputs, read_inputs
from skhybrid.fitting.least_squares import fit_least_squares
from skhybrid.fitting.start import (
    INIT_ROWS,
    PhysicsStart,
    at_fitted_states,
    given_start,
    least_squares_start,
    restart_starts,
)

RNG = np.random.default_rng(0)


def line(x, *, slope=1.0, offset=0.5):
    return slope * x + offset


def make_rows(n_rows: int = 50) -> Rows:
    x = RNG.uniform(1.0, 3.0, (n_rows, 2))
    return mask_missing(x, 2.0 * x[:, 0] - 1.0, None)


def start_of(rows, **settings):
    settings = make_settings(**settings)
    physical = assemble_physics(settings, FitInputs(rows), rows)
    return least_squares_start(settings, physical, rows), physical


def test_start_is_where_the_physics_fits():
    rows = make_rows()
    start, physical = start_of(rows, physics=line)
    assert start.failure is None
    assert start.rows is rows
    assert start.physical is physical
    assert start.values["slope"] == pytest.approx(2.0)
    assert start.values["offset"] == pytest.approx(-1.0)


def test_only_some_rows_of_a_long_table_are_used():
    seen = []

    def watched(x, *, slope=1.0):
        seen.append(len(x))
        return slope * x

    rows = make_rows(3 * INIT_ROWS)
    start, _ = start_of(rows, physics=watched)
    assert set(seen) == {INIT_ROWS}
    assert start.rows is rows


def test_failure_says_why_and_returns_the_given_values():
    def refuses_double_precision(x, *, slope=1.5):
        return (slope * x[:, None]) @ torch.ones(1, 1)

    start, _ = start_of(make_rows(), physics=refuses_double_precision)
    assert start.values["slope"] == 1.5
    assert "dtype" in start.failure


def test_an_error_without_a_text_is_named():
    def refuses(x, *, slope=1.5):
        raise RuntimeError

    start, _ = start_of(make_rows(), physics=refuses)
    assert start.failure == "physics 'refuses' failed at slope=1.5: RuntimeError."


@pytest.mark.parametrize("error", [KeyError("k"), AttributeError("a"), OSError("o"), StopIteration])
def test_any_error_of_the_physics_is_a_failure(error):
    def refuses(x, *, slope=1.5):
        raise error

    start, _ = start_of(make_rows(), physics=refuses)
    assert "'refuses' failed at slope=1.5" in start.failure


def test_physics_with_fixed_unknowns_leaves_the_states_to_find():
    fixed = Physics(spring, stiffness=Param(2.0, fixed=True))
    ode = ODE(dt=0.1, inputs="hold", observe=position, n_states=2, window=8)
    settings = make_settings(physics=fixed, structure=ode)
    inputs = read_inputs(settings, make_model(), *make_records(), None)
    start = least_squares_start(
        settings, assemble_physics(settings, inputs, inputs.rows), inputs.rows
    )
    assert start.failure is None
    found = start.rows.x.first_state[:, 0]
    np.testing.assert_allclose(found, inputs.rows.y[:, 0, 0], atol=1e-2)


def test_nothing_to_fit_is_no_failure():
    rows = make_rows()
    start, physical = start_of(rows, physics=None)
    assert start.values == {}
    assert start.rows is rows
    assert start.physical is physical
    assert start.failure is None
    fixed = Physics(line, slope=Param(3.0, fixed=True), offset=Param(0.0, fixed=True))
    start, _ = start_of(rows, physics=fixed)
    assert start.failure is None
    assert start.values["slope"] == 3.0


# The effect of θ, and doubt about what least squares found.


def test_the_effect_is_the_root_mean_square_of_the_derivative_in_units_of_the_target():
    rows = make_rows()
    start, physical = start_of(rows, physics=line)
    x = rows.x[:, 0]
    assert start.effects["slope"] == pytest.approx(np.sqrt(np.mean(x**2)) / rows.y.std())
    assert start.effects["offset"] == pytest.approx(1.0 / rows.y.std())
    settings = make_settings(physics=line)
    values = {"slope": np.array(2.1), "offset": np.array(-1.2)}
    near = given_start(settings, physical, rows, values=values)
    assert near.values["slope"] == 2.1
    assert near.effects == pytest.approx(start.effects)


def test_far_from_the_data_the_effect_is_in_units_of_the_error():
    settings, rows = make_settings(physics=Physics(line, slope=90.0)), make_rows()
    physical = assemble_physics(settings, FitInputs(rows), rows)
    error = 90.0 * rows.x[:, 0] + 0.5 - rows.y
    expected = np.sqrt(np.mean(rows.x[:, 0] ** 2) / np.mean(error**2))
    assert given_start(settings, physical, rows).effects["slope"] == pytest.approx(expected)


def test_physics_that_cannot_be_evaluated_has_no_effects():
    def refuses(x, *, slope=1.5):
        raise RuntimeError

    settings, rows = make_settings(physics=refuses), make_rows()
    physical = assemble_physics(settings, FitInputs(rows), rows)
    assert given_start(settings, physical, rows).effects == {}


@pytest.mark.parametrize(
    ("physics", "doubt"),
    [
        (line, None),
        (Physics(line, slope=Param(1.0, bounds=(0.0, 1.5))), "'slope' on a bound"),
        (Physics(line, slope=Param(0.1, fixed=True)), "R2 = 0.0"),
    ],
    ids=["good", "bound", "poor"],
)
def test_what_least_squares_found_may_be_doubtful(physics, doubt):
    start, _ = start_of(make_rows(), physics=physics)
    assert (start.doubt is None) if doubt is None else (doubt in start.doubt)


# States that are not observed.


def spring(t, state, inputs, *, stiffness=1.0):
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, inputs[:, 0] - stiffness * position], dim=-1)


def position(state):
    return state[:, :1]


def make_records(n: int = 3, n_times: int = 25) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs of zero, and the positions of springs of stiffness two."""
    phase = np.linspace(0.0, 2.0, n)[:, None]
    positions = np.cos(np.sqrt(2.0) * 0.1 * np.arange(n_times) + phase)
    return np.zeros((n, n_times, 1)), positions


def hidden_state_problem(**settings):
    ode = ODE(dt=0.1, inputs="hold", observe=position, n_states=2, window=8)
    settings = make_settings(physics=spring, structure=ode, **settings)
    inputs = read_inputs(settings, make_model(), *make_records(), None)
    return settings, inputs, assemble_physics(settings, inputs, inputs.rows)


def test_windows_begin_at_the_fitted_states():
    settings, inputs, physical = hidden_state_problem()
    start = least_squares_start(settings, physical, inputs.rows)
    assert start.failure is None
    assert start.values["stiffness"] == pytest.approx(2.0, rel=1e-2)
    begins, before = start.rows.x.first_state, inputs.rows.x.first_state
    assert begins.shape == before.shape
    np.testing.assert_allclose(begins[:, 0], inputs.rows.y[:, 0, 0], atol=1e-2)
    speed = np.gradient(make_records()[1], 0.1, axis=1)[:, 8]
    window = np.isclose(inputs.rows.x.first_time, 0.8)
    np.testing.assert_allclose(begins[window, 1], speed, atol=0.05)
    scale = start.physical.scales.state_scale
    np.testing.assert_allclose(scale[1] / scale[0], np.sqrt(2.0), rtol=0.2)
    assert physical.scales.state_scale is not scale


def test_fitted_states_give_the_scales_of_the_model():
    settings, inputs, physical = hidden_state_problem()
    data = inputs.rows.tensors(torch.float64, settings.device)
    fit = fit_least_squares(physical, data, tolerance=1e-6, max_evaluations=20)
    rows, model = at_fitted_states(physical, fit, inputs.rows)
    start = least_squares_start(settings, physical, inputs.rows)
    np.testing.assert_allclose(rows.x.first_state, start.rows.x.first_state, atol=1e-3)
    assert model.scales.rate_scale.shape == (2,)
    assert not torch.equal(model.scales.rate_scale, physical.scales.rate_scale)


# Restarts.


def restarts(n_restarts: int, random_state: int = 0, doubt: str | None = None, **settings):
    rows, settings = make_rows(), make_settings(physics=line, **settings)
    physical = assemble_physics(settings, FitInputs(rows), rows)
    start = PhysicsStart({}, rows, physical, doubt=doubt)
    hybrid = assemble_hybrid(settings, rows, torch.tensor(rows.x), start, seed=5)
    seeds, generator = list(range(5, 5 + n_restarts)), np.random.RandomState(random_state)
    x = torch.tensor(rows.x)
    return restart_starts(settings, hybrid, seeds, generator, start, "least squares", x), hybrid


def test_first_restart_is_at_the_start_and_the_others_are_not():
    starts, hybrid = restarts(3)
    assert [start.source for start in starts] == ["least squares", "drawn", "drawn"]
    for name, parameter in hybrid.network.named_parameters():
        assert torch.equal(starts[0].weights[name], parameter)
        assert starts[0].weights[name] is not parameter
        assert not starts[0].weights[name].requires_grad
    assert all(not coordinate.any() for coordinate in starts[0].coordinates.values())
    weights = [start.weights["0.weight"] for start in starts]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    slopes = {float(start.coordinates["slope"]) for start in starts}
    assert len(slopes) == 3
    assert all(start.coordinates.keys() == {"slope", "offset"} for start in starts)


def test_restarts_depend_on_the_random_state_alone():
    (_, first), _ = restarts(2)
    (_, same), _ = restarts(2)
    (_, other), _ = restarts(2, random_state=1)
    assert first.coordinates == same.coordinates
    assert first.coordinates != other.coordinates


def test_with_doubt_the_given_values_are_tried_too():
    starts, hybrid = restarts(2, doubt="least squares ended on a bound")
    assert [start.source for start in starts] == ["least squares", "drawn", "given"]
    given = hybrid.space.values(starts[2].coordinates)
    assert {name: float(value) for name, value in given.items()} == {"slope": 1.0, "offset": 0.5}
    for name, weights in starts[0].weights.items():
        assert torch.equal(starts[2].weights[name], weights)


def test_a_wrong_sign_is_not_hidden_by_the_given_start():
    x = np.random.default_rng(0).uniform(0.0, 3.0, (150, 1))
    y = -(2.5 * x[:, 0] + 0.3 * np.sin(4.0 * x[:, 0]))
    law = Physics(lambda x, *, k=1.0, c=0.0: k * x + c, k=Param(1.0, bounds=(0.0, None)))
    model = make_model(physics=law, nn=(16,), max_epochs=150, physics_init="least_squares")
    with pytest.warns((ParameterWarning, CollapseWarning)):
        model.fit(x, y)
    assert [each["start"] for each in model.restarts_] == ["least squares", "given"]


@pytest.mark.parametrize("prior", [(5.0, 0.01), ("lognormal", 5.0, 1.002)])
def test_a_second_start_does_not_contradict_a_prior(prior):
    x = RNG.uniform(1.0, 3.0, (50, 2))
    physics = Physics(line, slope=Param(1.0, bounds=(0.0, None), prior=prior))
    model = make_model(physics=physics, max_epochs=5)
    model.fit(x, x[:, 0] - 1.0 + RNG.normal(0.0, 0.5, 50))
    assert len(model.restarts_) == 2  # least squares explains little with this slope
    for each in model.restarts_:
        assert each["physics_params"]["slope"] == pytest.approx(5.0, rel=0.05)
