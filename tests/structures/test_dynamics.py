"""The forward map of a differential equation, by hand and against scipy."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import scipy.integrate
import torch
from torch import nn
from torch.testing import assert_close

from skhybrid.exceptions import NetworkError, PhysicsError
from skhybrid.model.batch import Windows
from skhybrid.model.dynamics import MAX_DEVIATION, Dynamics
from skhybrid.model.layout import FIRST_STATES, Layout
from skhybrid.model.networks import MultilayerPerceptron, Pointwise
from skhybrid.model.ode import ODE
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.scales import RateScales

DOUBLE = torch.float64
FIRST = torch.tensor([[1.0, 2.0], [-0.5, 0.3], [0.2, -1.0]], dtype=DOUBLE)


def spring(t, state, *, stiffness=2.0):
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, -stiffness * position], dim=-1)


def pushed_spring(t, state, inputs, *, stiffness=2.0):
    return spring(t, state, stiffness=stiffness) + inputs * torch.tensor([0.0, 1.0], dtype=DOUBLE)


def double(*values) -> torch.Tensor:
    return torch.tensor(values, dtype=DOUBLE)


def make_scales(n_seen=2, n_outputs=2, *, per_channel=(2,), seed=3) -> RateScales:
    """Return scales of which none is trivial."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return 0.5 + torch.rand(shape, generator=generator, dtype=DOUBLE)

    seen = (n_seen, *per_channel[1:])
    outputs = (n_outputs, *per_channel[1:])
    far = torch.full(seen, 1e6, dtype=DOUBLE)
    return RateScales(
        draw(*seen),
        draw(*seen),
        -far,
        far,
        draw(*outputs),
        draw(*outputs),
        draw(*per_channel),
        draw(*per_channel),
        draw(*per_channel),
    )


def make_dynamics(
    ode=None,
    physics=spring,
    network=None,
    *,
    n_seen=2,
    n_outputs=2,
    network_columns=None,
    n_first_states=0,
    **layout,
) -> Dynamics:
    physics = None if physics is None else Physics(physics)
    layout = {"state_shape": (2,), "output_shape": (n_outputs,), **layout}
    shape = layout["state_shape"]
    per_channel = (shape[0], *[1] * (len(shape) - 1))
    return Dynamics(
        physics,
        ParameterSpace(physics, dtype=DOUBLE),
        network,
        ode or ODE(dt=0.1),
        make_scales(n_seen, n_outputs, per_channel=per_channel),
        layout=Layout(**layout),
        network_columns=network_columns,
        n_first_states=n_first_states,
    )


def make_network(n_inputs=2, n_outputs=2, seed=0) -> nn.Module:
    torch.manual_seed(seed)
    return MultilayerPerceptron((5,), n_inputs, n_outputs).double()


def make_windows(n_steps=3, step=0.1, first=FIRST, **others) -> Windows:
    n = len(first)
    origin = torch.arange(n, dtype=DOUBLE)
    return Windows(first, origin, torch.full((n, n_steps), step, dtype=DOUBLE), **others)


def make_inputs(n_steps=3, n_inputs=1, n=3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn((n, n_steps + 1, n_inputs), generator=generator, dtype=DOUBLE)


def answered(model, seen) -> torch.Tensor:
    """Return what the network says of these inputs, as an answer before it has units."""
    scales = model.scales
    return model.network(scales.feature_offset + scales.feature_factor * seen)


def euler_step(model, x) -> torch.Tensor:
    """Return the rates at the start, as one step of Euler's method reveals them."""
    with torch.no_grad():
        end = model(x, model.initial_coordinates())[:, -1]
    return (end - x.start) / x.steps[:, :1]


EULER = {"dt": 0.1, "method": "euler"}


# The right-hand side


@pytest.mark.parametrize("join", ["add", "multiply"])
def test_rates_without_inputs(join):
    model = make_dynamics(ODE(**EULER, join=join), network=make_network())
    x = make_windows(1)
    said = answered(model, x.start).detach()
    rates = spring(0.0, x.start)
    expected = rates + said * model.scales.rate_scale if join == "add" else rates * (1.0 + said)
    assert_close(euler_step(model, x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("join", ["add", "multiply"])
def test_rates_with_inputs_that_the_network_sees_too(join):
    ode = ODE(**EULER, join=join, inputs="hold")
    model = make_dynamics(
        ode, pushed_spring, make_network(3), n_seen=3, n_inputs=1, reads_inputs=True
    )
    x = make_windows(1, inputs=make_inputs(1))
    now = x.inputs[:, 0]
    said = answered(model, torch.cat([x.start, now], dim=1)).detach()
    rates = pushed_spring(0.0, x.start, now)
    expected = rates + said * model.scales.rate_scale if join == "add" else rates * (1.0 + said)
    assert_close(euler_step(model, x), expected, rtol=1e-10, atol=1e-12)


def test_inputs_that_only_the_network_reads():
    model = make_dynamics(
        ODE(**EULER, inputs="hold"), network=make_network(3), n_seen=3, n_inputs=1
    )
    x = make_windows(1, inputs=make_inputs(1))
    said = answered(model, torch.cat([x.start, x.inputs[:, 0]], dim=1)).detach()
    expected = spring(0.0, x.start) + said * model.scales.rate_scale
    assert_close(euler_step(model, x), expected, rtol=1e-10, atol=1e-12)


def test_a_join_of_ones_own_calls_both_parts_with_what_precedes_them():
    def join(t, state, physics, nn):
        return t[:, None] * physics(t, state) - nn(t, state, scale=2.0)

    model = make_dynamics(ODE(**EULER, join=join), network=make_network())
    x = make_windows(1)
    said = answered(model, x.start).detach()
    expected = x.origin[:, None] * spring(0.0, x.start) - 2.0 * said
    assert_close(euler_step(model, x), expected, rtol=1e-10, atol=1e-12)


def test_a_join_of_ones_own_with_inputs_and_what_the_network_reads_besides():
    def join(t, state, inputs, physics, nn):
        rates = physics(t, state, inputs)
        return inputs * rates + nn(t, state, inputs, rates)

    ode = ODE(**EULER, join=join, inputs="hold")
    model = make_dynamics(
        ode, pushed_spring, make_network(5), n_seen=5, n_inputs=1, reads_inputs=True
    )
    x = make_windows(1, inputs=make_inputs(1))
    now = x.inputs[:, 0]
    rates = pushed_spring(0.0, x.start, now)
    said = answered(model, torch.cat([x.start, now, rates], dim=1)).detach()
    expected = now * rates + said * model.scales.rate_scale
    assert_close(euler_step(model, x), expected, rtol=1e-10, atol=1e-12)


def test_a_join_that_returns_another_shape_is_named():
    model = make_dynamics(ODE(**EULER, join=lambda t, state, physics, nn: state[:, :1]))
    with pytest.raises(ValueError, match="join must return the rate of change of every state"):
        model(make_windows(), model.initial_coordinates())


@pytest.mark.parametrize(
    ("physics", "message"),
    [
        (lambda t, state, *, a=1.0: state[:, 0], r"of shape \(3, 2\); it returned \(3,\)"),
        (lambda t, state, *, a=1.0: None, "it returned None. Is a return statement missing"),
        (lambda t, state, *, a=1.0: (state, state), "several states go into one torch.stack"),
    ],
)
def test_physics_that_returns_another_shape_is_named(physics, message):
    model = make_dynamics(physics=physics)
    with pytest.raises(PhysicsError, match=f"(?i){message}"):
        model(make_windows(), model.initial_coordinates())


def test_a_network_that_returns_another_shape_is_named():
    model = make_dynamics(network=make_network(2, 1))
    with pytest.raises(NetworkError, match=r"nn must return the rate of change of every state"):
        model(make_windows(), model.initial_coordinates())


def test_without_physics_the_network_is_the_rate():
    model = make_dynamics(ODE(**EULER), physics=None, network=make_network())
    x = make_windows(1)
    expected = (answered(model, x.start) * model.scales.rate_scale).detach()
    assert_close(euler_step(model, x), expected, rtol=1e-10, atol=1e-12)
    assert_close(model.physics_part(x, {})[:, 0], x.start)


# Rollouts, against scipy


@pytest.mark.parametrize("kind", ["hold", "linear"])
@pytest.mark.parametrize(("method", "substeps"), [("rk4", 4), ("dopri5", 1)])
def test_inputs_between_two_times(kind, method, substeps):
    ode = ODE(dt=0.2, inputs=kind, method=method, substeps=substeps, rtol=1e-8, atol=1e-9)
    x = make_windows(6, 0.2, inputs=make_inputs(6))
    model = make_dynamics(ode, pushed_spring, n_inputs=1, reads_inputs=True, with_first=True)
    prediction = model(x, model.initial_coordinates())
    times = 0.2 * np.arange(7)
    for i in range(3):
        drive = x.inputs[i, :, 0].numpy()
        state, expected = FIRST[i].numpy(), [FIRST[i].numpy()]
        for k in range(6):

            def rates(t, y, k=k, drive=drive):
                u = drive[k]
                if kind == "linear":
                    u = np.interp(t, times, drive)
                return [y[1], -2.0 * y[0] + u]

            span = (times[k], times[k + 1])
            state = scipy.integrate.solve_ivp(rates, span, state, rtol=1e-10, atol=1e-12).y[:, -1]
            expected.append(state)
        np.testing.assert_allclose(prediction[i].detach(), np.array(expected), rtol=1e-4, atol=1e-5)


def test_predictions_begin_one_step_after_a_given_first_state():
    with_first, without = (make_dynamics(with_first=each) for each in (True, False))
    x = make_windows(4)
    whole = with_first(x, with_first.initial_coordinates())
    assert whole.shape == (3, 5, 2)
    assert_close(whole[:, 0], FIRST)
    assert_close(without(x, without.initial_coordinates()), whole[:, 1:])


def test_one_step_length_for_all_and_one_for_each_agree():
    x = make_windows(4)
    same = make_dynamics(uniform_step=0.1)
    assert_close(same(x, same.initial_coordinates()), make_dynamics()(x, same.initial_coordinates()))
    other = same.at_step(0.2)
    doubled = x._replace(steps=2.0 * x.steps)
    assert_close(other(x, same.initial_coordinates()), make_dynamics()(doubled, same.initial_coordinates()))
    assert same.layout.uniform_step == 0.1


def test_padding_repeats_the_last_state():
    x = make_windows(4)
    x.steps[1, 2:] = 0.0
    prediction = make_dynamics()(x, make_dynamics().initial_coordinates())
    assert_close(prediction[1, 2:], prediction[1, 1:2].expand(2, 2), rtol=0, atol=0)
    assert not torch.equal(prediction[0, 3], prediction[0, 2])


def test_time_is_that_of_the_trajectory():
    def clock(t, state, *, rate=3.0):
        return rate * t[:, None].expand(state.shape)

    model = make_dynamics(physics=clock)
    x = make_windows(5)
    expected = FIRST + 1.5 * ((x.origin + 0.5) ** 2 - x.origin**2)[:, None]
    assert_close(model(x, model.initial_coordinates())[:, -1], expected)


# What is observed


def test_observe_with_inputs_and_parameters():
    def observe(state, inputs, *, stiffness):
        return (stiffness * state[:, :1]) + inputs

    ode = ODE(dt=0.1, inputs="hold", observe=observe, n_states=2)
    model = make_dynamics(
        ode, pushed_spring, n_outputs=1, n_inputs=1, reads_inputs=True, with_first=True
    )
    plain = make_dynamics(
        ODE(dt=0.1, inputs="hold"), pushed_spring, n_inputs=1, reads_inputs=True, with_first=True
    )
    x = make_windows(inputs=make_inputs())
    coordinates = {"stiffness": torch.tensor(0.7, dtype=DOUBLE)}
    stiffness = model.space.values(coordinates)["stiffness"]
    expected = stiffness * plain(x, coordinates)[..., :1] + x.inputs
    assert_close(model(x, coordinates), expected)


def test_observe_may_return_one_number_for_each_state():
    model = make_dynamics(ODE(dt=0.1, observe=lambda state: state[:, 1]), n_outputs=1)
    expected = make_dynamics()(make_windows(), model.initial_coordinates())[..., 1:]
    assert_close(model(make_windows(), model.initial_coordinates()), expected)


@pytest.mark.parametrize(
    ("observe", "message"),
    [
        (lambda state: state.detach().numpy(), "observe must return a torch.Tensor"),
        (lambda state: state, r"observe returned shape .*y has outputs of shape \(1,\)"),
    ],
)
def test_observe_that_returns_something_else_is_named(observe, message):
    model = make_dynamics(ODE(dt=0.1, observe=observe), n_outputs=1)
    with pytest.raises(PhysicsError, match=message):
        model(make_windows(), model.initial_coordinates())


def test_a_network_that_corrects_the_output():
    ode = ODE(dt=0.1, correct="output", observe=lambda state: state[:, :1], inputs="hold")
    options = {"n_inputs": 1, "with_first": True, "n_outputs": 1, "reads_inputs": True}
    seen = torch.tensor([1, 2, 3])  # velocity, input, time
    model = make_dynamics(
        ode, pushed_spring, make_network(3, 1), n_seen=3, network_columns=seen, **options
    )
    assert model.n_network_outputs == 1
    x = make_windows(inputs=make_inputs())
    plain = make_dynamics(ODE(dt=0.1, inputs="hold"), pushed_spring, **{**options, "n_outputs": 2})
    states = plain(x, plain.initial_coordinates())
    times = (x.origin[:, None] + 0.1 * torch.arange(4))[..., None]
    said = answered(model, torch.cat([states[..., 1:], x.inputs, times], dim=-1))
    expected = states[..., :1] + said * model.scales.target_scale
    assert_close(model(x, model.initial_coordinates()), expected)
    assert_close(model.physics_part(x, model.initial_coordinates()), states[..., :1])


# What the network sees


@pytest.mark.parametrize("columns", [[0], [1], [2], [3], [0, 3], [1, 2], [2, 1, 3], [0, 1, 2, 3]])
def test_the_network_sees_what_it_may(columns):
    """State components are 0 and 1, the input is 2, the time is 3."""
    n = len(columns)
    model = make_dynamics(
        ODE(**EULER, inputs="hold"),
        network=make_network(n),
        n_seen=n,
        n_inputs=1,
        network_columns=torch.tensor(columns),
    )
    x = make_windows(1, inputs=make_inputs(1))
    everything = torch.cat([x.start, x.inputs[:, 0], x.origin[:, None]], dim=1)
    said = answered(model, everything[:, columns]).detach()
    expected = spring(0.0, x.start) + said * model.scales.rate_scale
    assert_close(euler_step(model, x), expected, rtol=1e-10, atol=1e-12)


def test_hold_keeps_what_the_network_reads_in_its_range():
    model = make_dynamics(network=make_network())
    scales = model.scales
    scales.feature_low, scales.feature_high = double(0.5, 0.6), double(0.9, 1.0)
    seen = []
    model.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))

    class Watching(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, inputs):
            seen.append(inputs)
            return self.network(inputs)

    model.network = Watching(model.network)
    x = make_windows(1)
    model(x, model.initial_coordinates(), hold=True)
    assert bool((torch.cat(seen) >= scales.feature_low).all())
    assert bool((torch.cat(seen) <= scales.feature_high).all())
    seen.clear()
    model(x, model.initial_coordinates())
    assert bool((torch.cat(seen) > scales.feature_high).any())


# Fields


def diffusion(t, state, *, rate=0.1):
    return rate * (state.roll(1, -1) + state.roll(-1, -1) - 2.0 * state)


FIELD = torch.randn((2, 2, 4, 5), generator=torch.Generator().manual_seed(1), dtype=DOUBLE)


def test_a_perceptron_is_applied_at_every_point_of_a_field():
    perceptron = make_network(4)
    seen = torch.tensor([0, 1, 2, 3])  # two channels, one input, the time
    model = make_dynamics(
        ODE(**EULER, inputs="hold"),
        diffusion,
        Pointwise(perceptron),
        n_seen=4,
        network_columns=seen,
        n_inputs=1,
        state_shape=(2, 4, 5),
        output_shape=(2, 4, 5),
    )
    for name in ("feature_offset", "feature_factor", "feature_low", "feature_high"):
        value = getattr(model.scales, name)
        setattr(model.scales, name, value.reshape(4, 1, 1))
    x = make_windows(1, first=FIELD, inputs=make_inputs(1, n=2))
    with torch.no_grad():
        prediction = model(x, model.initial_coordinates())[:, -1]
    scales = model.scales
    for i in range(2):
        for row in range(4):
            for column in range(5):
                point = torch.cat([FIELD[i, :, row, column], x.inputs[i, 0], x.origin[i : i + 1]])
                standard = scales.feature_offset.flatten() + scales.feature_factor.flatten() * point
                said = perceptron(standard).detach() * scales.rate_scale.flatten()
                rates = diffusion(0.0, FIELD[i])[:, row, column] + said
                expected = FIELD[i, :, row, column] + 0.1 * rates
                assert_close(prediction[i, :, row, column], expected)


def test_a_convolution_of_a_field():
    convolution = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular").double()
    model = make_dynamics(
        ODE(**EULER),
        diffusion,
        convolution,
        state_shape=(2, 4, 5),
        output_shape=(2, 4, 5),
    )
    x = make_windows(1, first=FIELD)
    scales = model.scales
    said = convolution(scales.feature_offset + scales.feature_factor * FIELD) * scales.rate_scale
    expected = FIELD + 0.1 * (diffusion(0.0, FIELD) + said)
    assert_close(model(x, model.initial_coordinates())[:, -1], expected)


# Learned first states


def with_entries(n_steps=3) -> tuple[Windows, dict]:
    """Return two windows of one trajectory and one of another, and a table of first states."""
    reach = double([0.5, 2.0], [0.7, 1.5], [0.0, 0.0])
    following = torch.tensor([1, -1, -1])
    behind = following.clamp(min=0)
    x = make_windows(
        n_steps,
        entry=torch.arange(3),
        reach=reach,
        following=following,
        end=FIRST[behind],
        end_reach=reach[behind],
    )
    generator = torch.Generator().manual_seed(2)
    return x, {FIRST_STATES: torch.randn((3, 2), generator=generator, dtype=DOUBLE)}


@pytest.mark.parametrize("continuity", [0.0, 1.0, 2.5])
def test_learned_first_states_and_their_gaps(continuity):
    model = make_dynamics(ODE(dt=0.1, continuity=continuity), with_first=True, n_first_states=3)
    x, table = with_entries()
    coordinates = model.space.initial_coordinates() | table
    prediction, extra = model.evaluate(x, coordinates)
    first = x.start + x.reach * table[FIRST_STATES]
    assert_close(prediction[:, 0], first)
    assert_close(first[2], FIRST[2])  # a reach of zero holds it
    plain = make_dynamics(with_first=True)
    expected = plain(x._replace(start=first, entry=None), plain.initial_coordinates())
    assert_close(prediction, expected)
    gap = (expected[0, -1] - first[1]) / model.scales.state_scale
    assert float(extra) == pytest.approx(continuity * float(gap.square().sum()) / 6)


def test_first_states_begin_where_they_are_guessed():
    model = make_dynamics(with_first=True, n_first_states=3)
    x, _ = with_entries()
    origin = model.initial_coordinates()
    assert origin[FIRST_STATES].shape == (3, 2)
    assert_close(model(x, origin)[:, 0], FIRST)
    assert FIRST_STATES not in model.at_observed_states().initial_coordinates()


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_gradients_reach_parameters_first_states_and_weights(method):
    ode = ODE(dt=0.1, method=method, rtol=1e-9, atol=1e-10)
    model = make_dynamics(ode, network=make_network(), n_first_states=3)
    x, table = with_entries(2)
    stiffness = torch.zeros((), dtype=DOUBLE, requires_grad=True)
    coordinates = {
        "stiffness": stiffness,
        FIRST_STATES: table[FIRST_STATES].clone().requires_grad_(),
    }
    weights = {name: p.detach().clone() for name, p in model.network.named_parameters()}
    leaves = [stiffness, coordinates[FIRST_STATES], weights["0.weight"].requires_grad_()]

    def loss():
        prediction, extra = model.evaluate(x, coordinates, weights)
        return prediction.square().mean() + extra

    gradients = torch.autograd.grad(loss(), leaves)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        for index in range(0, leaf.numel(), 3):
            values = []
            for sign in (-1.0, 1.0):
                with torch.no_grad():
                    leaf.view(-1)[index] += sign * 1e-5
                    values.append(float(loss()))
                    leaf.view(-1)[index] -= sign * 1e-5
            slope = (values[1] - values[0]) / 2e-5
            assert float(gradient.reshape(-1)[index]) == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_adjoint_gradients_are_those_through_the_solver():
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


# Training


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_bounded_rollouts_stay_finite_and_others_are_left_alone(method):
    def explosion(t, state, *, rate=50.0):
        return rate * state**3

    model = make_dynamics(ODE(dt=0.1, method=method), explosion)
    coordinates = {"rate": torch.zeros((), dtype=DOUBLE, requires_grad=True)}
    x = make_windows(30)
    assert not bool(torch.isfinite(model(x, coordinates)).all())
    prediction, _ = model.evaluate(x, coordinates, bounded=True)
    assert bool(torch.isfinite(prediction).all())
    mean, reach = model.scales.state_mean, MAX_DEVIATION * model.scales.state_scale
    assert bool(((prediction - mean).abs() <= reach * (1 + 1e-9)).all())
    tame = make_dynamics(ODE(dt=0.1, method=method))
    expected = tame(x, tame.initial_coordinates())
    assert_close(tame.evaluate(x, tame.initial_coordinates(), bounded=True)[0], expected, rtol=0, atol=0)


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("inputs", [None, "hold", "linear"])
def test_members_side_by_side_are_those_one_by_one(uniform, inputs):
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
    x, _ = with_entries()
    x = x._replace(inputs=make_inputs() if inputs else None)
    starts = []
    for member in range(3):
        generator = torch.Generator().manual_seed(member)
        draw = lambda *shape, g=generator: torch.randn(shape, generator=g, dtype=DOUBLE)  # noqa: E731
        weights = make_network(2 + n_inputs, seed=member).state_dict()
        starts.append(({"stiffness": draw(), FIRST_STATES: draw(3, 2)}, dict(weights)))

    def loss(coordinates, weights):
        prediction, extra = model.evaluate(x, coordinates, weights, bounded=True)
        return prediction.square().mean() + extra

    expected = torch.stack([loss(*start) for start in starts])
    stacked = [
        {name: torch.stack([start[part][name] for start in starts]) for name in starts[0][part]}
        for part in (0, 1)
    ]
    assert_close(torch.vmap(loss)(*stacked), expected, rtol=1e-12, atol=1e-12)
    assert model.allows_vmap
    assert not make_dynamics(ODE(dt=0.1, method="dopri5")).allows_vmap


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_step_gives_the_same_rollout():
    model, plain = (make_dynamics(network=make_network(), uniform_step=0.1) for _ in range(2))
    model = model.compiled()
    x, coordinates = make_windows(), model.initial_coordinates()
    assert_close(model(x, coordinates), plain(x, coordinates), rtol=1e-10, atol=1e-12)
