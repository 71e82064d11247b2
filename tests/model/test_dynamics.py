"""The forward map of a differential equation, by hand and against scipy."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import scipy.integrate
import torch
from small_dynamics import (
    DOUBLE,
    FIRST,
    answer,
    make_dynamics,
    make_inputs,
    make_network,
    make_windows,
    predict,
    pushed_spring,
    spring,
    windows_with_learned_states,
)
from torch.testing import assert_close

from skhybrid.exceptions import NetworkError, PhysicsError
from skhybrid.model.layout import FIRST_STATES
from skhybrid.model.ode import ODE
from skhybrid.model.rollouts import MAX_DEVIATION

# Rollouts, against scipy


@pytest.mark.parametrize("between", ["hold", "linear"])
@pytest.mark.parametrize(("method", "substeps"), [("rk4", 4), ("dopri5", 1)])
def test_inputs_between_two_times(between, method, substeps):
    ode = ODE(dt=0.2, inputs=between, method=method, substeps=substeps, rtol=1e-8, atol=1e-9)
    x = make_windows(6, 0.2, inputs=make_inputs(6))
    model = make_dynamics(ode, pushed_spring, n_inputs=1, reads_inputs=True, with_first=True)
    prediction = predict(model, x)
    times = 0.2 * np.arange(7)
    for i in range(3):
        drive = x.inputs[i, :, 0].numpy()
        state, expected = FIRST[i].numpy(), [FIRST[i].numpy()]
        for k in range(6):

            def rates(t, y, k=k, drive=drive):
                u = np.interp(t, times, drive) if between == "linear" else drive[k]
                return [y[1], -2.0 * y[0] + u]

            span = (times[k], times[k + 1])
            state = scipy.integrate.solve_ivp(rates, span, state, rtol=1e-10, atol=1e-12).y[:, -1]
            expected.append(state)
        np.testing.assert_allclose(prediction[i].detach(), np.array(expected), rtol=1e-4, atol=1e-5)


def test_predictions_begin_one_step_after_a_given_first_state():
    with_first, without = (make_dynamics(with_first=each) for each in (True, False))
    x = make_windows(4)
    whole = predict(with_first, x)
    assert whole.shape == (3, 5, 2)
    assert_close(whole[:, 0], FIRST)
    assert_close(predict(without, x), whole[:, 1:])


def test_one_step_length_for_all_and_one_for_each_agree():
    x = make_windows(4)
    uniform, general = make_dynamics(uniform_step=0.1), make_dynamics()
    assert_close(predict(uniform, x), predict(general, x))
    doubled = x._replace(steps=2.0 * x.steps)
    assert_close(predict(uniform.at_step(0.2), x), predict(general, doubled))
    assert uniform.layout.uniform_step == 0.1


def test_padding_repeats_the_last_state():
    x = make_windows(4)
    x.steps[1, 2:] = 0.0
    prediction = predict(make_dynamics(), x)
    assert_close(prediction[1, 2:], prediction[1, 1:2].expand(2, 2), rtol=0, atol=0)
    assert not torch.equal(prediction[0, 3], prediction[0, 2])


def test_the_physics_gets_the_time_of_its_trajectory():
    def clock(t, state, *, rate=3.0):
        return rate * t[:, None].expand(state.shape)

    x = make_windows(5)
    expected = FIRST + 1.5 * ((x.first_time + 0.5) ** 2 - x.first_time**2)[:, None]
    assert_close(predict(make_dynamics(physics=clock), x)[:, -1], expected)


def test_the_baseline_repeats_the_first_state():
    x = make_windows(4)
    model = make_dynamics(with_first=True)
    baseline = model.baseline(x, model.initial_coordinates())
    assert_close(baseline, FIRST[:, None].expand(3, 5, 2), rtol=0, atol=0)


# Observations


def test_observe_with_inputs_and_parameters():
    def observe(state, inputs, *, stiffness):
        return (stiffness * state[:, :1]) + inputs

    options = {"n_inputs": 1, "reads_inputs": True, "with_first": True}
    ode = ODE(dt=0.1, inputs="hold", observe=observe, n_states=2)
    model = make_dynamics(ode, pushed_spring, n_outputs=1, **options)
    plain = make_dynamics(ODE(dt=0.1, inputs="hold"), pushed_spring, **options)
    x = make_windows(inputs=make_inputs())
    coordinates = {"stiffness": torch.tensor(0.7, dtype=DOUBLE)}
    stiffness = model.space.values(coordinates)["stiffness"]
    expected = stiffness * plain(x, coordinates)[..., :1] + x.inputs
    assert_close(model(x, coordinates), expected)


def test_observe_may_return_one_number_for_each_state():
    model = make_dynamics(ODE(dt=0.1, observe=lambda state: state[:, 1]), n_outputs=1)
    assert_close(predict(model, make_windows()), predict(make_dynamics(), make_windows())[..., 1:])


@pytest.mark.parametrize(
    ("observe", "message"),
    [
        (lambda state: state.detach().numpy(), "observe must return a torch.Tensor"),
        (lambda state: state, r"observe returned shape .*y has outputs of shape \(1,\)"),
    ],
)
def test_observe_that_returns_something_else_is_an_error(observe, message):
    model = make_dynamics(ODE(dt=0.1, observe=observe), n_outputs=1)
    with pytest.raises(PhysicsError, match=message):
        predict(model, make_windows())


OUTPUT = {"dt": 0.1, "correct": "output", "inputs": "hold"}


def test_a_network_that_corrects_the_output():
    ode = ODE(**OUTPUT, observe=lambda state: state[:, :1])
    options = {"n_inputs": 1, "with_first": True, "n_outputs": 1, "reads_inputs": True}
    model = make_dynamics(ode, pushed_spring, make_network(3, 1), n_seen=3, **options)
    model = model.with_network_columns([1, 2, 3])  # velocity, input, time
    assert model.n_network_outputs == 1
    x = make_windows(inputs=make_inputs())
    plain = make_dynamics(ODE(dt=0.1, inputs="hold"), pushed_spring, **{**options, "n_outputs": 2})
    states = predict(plain, x)
    times = (x.first_time[:, None] + 0.1 * torch.arange(4))[..., None]
    answers = answer(model, torch.cat([states[..., 1:], x.inputs, times], dim=-1))
    expected = states[..., :1] + answers * model.scales.target_scale
    assert_close(predict(model, x), expected)
    assert_close(model.physics_part(x, model.initial_coordinates()), states[..., :1])


def test_a_network_that_corrects_some_outputs():
    options = {"n_inputs": 1, "with_first": True, "reads_inputs": True}
    network = make_network(3, 1)
    model = make_dynamics(ODE(**OUTPUT, corrected=[1]), pushed_spring, network, n_seen=3, **options)
    x = make_windows(inputs=make_inputs())
    states = predict(make_dynamics(ODE(dt=0.1, inputs="hold"), pushed_spring, **options), x)
    answers = answer(model, torch.cat([states, x.inputs], dim=-1))
    expected = states.clone()
    expected[..., 1:] += answers * model.scales.target_scale[1]
    assert_close(predict(model, x), expected)


def test_a_correction_of_another_shape_is_an_error():
    ode = ODE(dt=0.1, correct="output", observe=lambda state: state[:, :1])
    model = make_dynamics(ode, network=make_network(2, 3), n_outputs=1)
    with pytest.raises(NetworkError, match=r"nn must return shape \(9, 1\).*returned \(9, 3\)"):
        predict(model, make_windows())


# Learned first states, and gradients


@pytest.mark.parametrize("continuity", [0.0, 1.0, 2.5])
def test_learned_first_states_and_their_gaps(continuity):
    model = make_dynamics(ODE(dt=0.1, continuity=continuity), with_first=True, n_first_states=3)
    x, learned = windows_with_learned_states()
    prediction, penalty = model.evaluate(x, model.space.initial_coordinates() | learned)
    first = x.first_state + x.unit * learned[FIRST_STATES]
    assert_close(prediction[:, 0], first)
    assert_close(first[2], FIRST[2])  # its unit is zero
    expected = predict(make_dynamics(with_first=True), x._replace(first_state=first, index=None))
    assert_close(prediction, expected)
    gap = (expected[0, -1] - first[1]) / model.scales.state_scale
    assert float(penalty) == pytest.approx(continuity * float(gap.square().sum()) / 6)


def test_learned_first_states_begin_at_their_guesses():
    model = make_dynamics(with_first=True, n_first_states=3)
    x, _ = windows_with_learned_states()
    coordinates = model.initial_coordinates()
    assert coordinates[FIRST_STATES].shape == (3, 2)
    assert_close(model(x, coordinates)[:, 0], FIRST)
    assert not model.allows_members_as_rows
    observed = model.at_observed_states()
    assert FIRST_STATES not in observed.initial_coordinates()


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_gradients_of_parameters_first_states_and_weights(method):
    ode = ODE(dt=0.1, method=method, rtol=1e-9, atol=1e-10)
    model = make_dynamics(ode, network=make_network(), n_first_states=3)
    x, learned = windows_with_learned_states(2)
    weights = {name: p.detach().clone() for name, p in model.network.named_parameters()}

    def loss(stiffness, first_states, weight):
        coordinates = {"stiffness": stiffness, FIRST_STATES: first_states}
        prediction, penalty = model.evaluate(x, coordinates, {**weights, "0.weight": weight})
        return prediction.square().mean() + penalty

    leaves = [torch.zeros((), dtype=DOUBLE), learned[FIRST_STATES], weights["0.weight"]]
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    assert torch.autograd.gradcheck(loss, leaves, eps=1e-5, rtol=1e-4, atol=1e-6)


def test_adjoint_gradients_equal_gradients_through_the_solver():
    x = make_windows(2)
    gradients = []
    for adjoint in (False, True):
        ode = ODE(dt=0.1, method="dopri5", rtol=1e-8, atol=1e-9, adjoint=adjoint)
        model = make_dynamics(ode, network=make_network())
        stiffness = torch.zeros((), dtype=DOUBLE, requires_grad=True)
        prediction = model(x, {"stiffness": stiffness})
        leaves = [stiffness, *model.network.parameters()]
        gradients.append(torch.autograd.grad(prediction.square().sum(), leaves))
    assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-7)


def test_derivatives_pass_through_all_solvers_but_those_of_scipy():
    expected = {"rk4": True, "dopri5": True, "bdf": False, "radau": False}
    for method, differentiable in expected.items():
        assert make_dynamics(ODE(dt=0.1, method=method)).differentiable is differentiable


# Training


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_bounded_rollouts_stay_finite_and_tame_ones_stay_the_same(method):
    def explosion(t, state, *, rate=50.0):
        return rate * state**3

    model = make_dynamics(ODE(dt=0.1, method=method), explosion)
    coordinates = {"rate": torch.zeros((), dtype=DOUBLE, requires_grad=True)}
    x = make_windows(30)
    assert not bool(torch.isfinite(model(x, coordinates)).all())
    prediction, _ = model.evaluate(x, coordinates, bounded=True)
    assert bool(torch.isfinite(prediction).all())
    mean, limit = model.scales.state_mean, MAX_DEVIATION * model.scales.state_scale
    assert bool(((prediction - mean).abs() <= limit * (1 + 1e-9)).all())
    tame = make_dynamics(ODE(dt=0.1, method=method))
    bounded, _ = tame.evaluate(x, tame.initial_coordinates(), bounded=True)
    assert_close(bounded, predict(tame, x), rtol=0, atol=0)


def test_scales_from_the_physics_are_moments_of_its_states_and_rates():
    model = make_dynamics(network=make_network(), n_first_states=3, with_first=True)
    x, learned = windows_with_learned_states()
    values = model.space.values(model.space.initial_coordinates())
    scales = model.with_simulated_scales(x, values, learned[FIRST_STATES]).scales
    states = model.without_network(x, values, learned[FIRST_STATES])[0].flatten(0, 1)
    assert_close(scales.state_mean, states.mean(dim=0))
    assert_close(scales.state_scale, states.std(dim=0, correction=0))
    assert_close(scales.rate_scale, spring(0.0, states).square().mean(dim=0).sqrt())
    assert scales.target_scale is model.scales.target_scale


def test_scales_stay_where_the_physics_never_changes():
    def rest(t, state, *, rate=1.0):
        return 0.0 * rate * state

    model, x = make_dynamics(physics=rest), make_windows(first=FIRST[:1])
    scales = model.with_simulated_scales(
        x, model.space.values(model.initial_coordinates()), None
    ).scales
    assert_close(scales.state_scale, model.scales.state_scale)
    assert_close(scales.rate_scale, model.scales.rate_scale)


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("inputs", [None, "hold", "linear"])
def test_members_in_one_batch_equal_members_one_by_one(uniform, inputs):
    n_inputs = 0 if inputs is None else 1
    model = make_dynamics(
        ODE(dt=0.1, inputs=inputs),
        spring if inputs is None else pushed_spring,
        make_network(2 + n_inputs),
        n_seen=2 + n_inputs,
        n_inputs=n_inputs,
        reads_inputs=bool(n_inputs),
        uniform_step=0.1 if uniform else None,
        n_first_states=3,
    )
    x, _ = windows_with_learned_states()
    x = x._replace(inputs=make_inputs() if inputs else None)
    starts = []
    for member in range(3):
        generator = torch.Generator().manual_seed(member)
        draw = partial(torch.randn, generator=generator, dtype=DOUBLE)
        weights = make_network(2 + n_inputs, seed=member).state_dict()
        starts.append(({"stiffness": draw(()), FIRST_STATES: draw((3, 2))}, dict(weights)))

    def loss(coordinates, weights):
        prediction, penalty = model.evaluate(x, coordinates, weights, bounded=True)
        return prediction.square().mean() + penalty

    expected = torch.stack([loss(*start) for start in starts])
    stacked = [
        {name: torch.stack([start[part][name] for start in starts]) for name in starts[0][part]}
        for part in (0, 1)
    ]
    assert_close(torch.vmap(loss)(*stacked), expected, rtol=1e-12, atol=1e-12)
    assert model.allows_vmap
    assert not make_dynamics(ODE(dt=0.1, method="dopri5")).allows_vmap
