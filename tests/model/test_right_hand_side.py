"""The right-hand side: how physics and network are joined, and the network's inputs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_dynamics import (
    EULER,
    FIELD,
    FIRST,
    answer,
    diffusion,
    double,
    make_dynamics,
    make_inputs,
    make_network,
    make_windows,
    predict,
    pushed_spring,
    spring,
    with_scales,
)
from torch import nn
from torch.testing import assert_close

from skhybrid.model.dynamics import Dynamics
from skhybrid.model.networks import MultilayerPerceptron, Pointwise
from skhybrid.model.ode import ODE
from skhybrid.model.right_hand_side import HOLD_MARGIN


def first_rates(model: Dynamics, x) -> torch.Tensor:
    """Return the rates at the first states, computed from one step of Euler's method."""
    with torch.no_grad():
        end = predict(model, x)[:, -1]
    return (end - x.first_state) / x.steps[:, :1]


def assert_rates(model, x, expected):
    assert_close(first_rates(model, x), expected, rtol=1e-10, atol=1e-12)


# How physics and network are joined


@pytest.mark.parametrize("join", ["add", "multiply"])
def test_rates_without_inputs(join):
    model = make_dynamics(ODE(**EULER, join=join), network=make_network())
    x = make_windows(1)
    answers = answer(model, FIRST).detach()
    rates = spring(0.0, FIRST)
    added = rates + answers * model.scales.rate_scale
    assert_rates(model, x, added if join == "add" else rates * (1.0 + answers))


@pytest.mark.parametrize("join", ["add", "multiply"])
def test_rates_with_inputs_for_physics_and_network(join):
    ode = ODE(**EULER, join=join, inputs="hold")
    model = make_dynamics(
        ode, pushed_spring, make_network(3), n_seen=3, n_inputs=1, reads_inputs=True
    )
    x = make_windows(1, inputs=make_inputs(1))
    now = x.inputs[:, 0]
    answers = answer(model, torch.cat([FIRST, now], dim=1)).detach()
    rates = pushed_spring(0.0, FIRST, now)
    added = rates + answers * model.scales.rate_scale
    assert_rates(model, x, added if join == "add" else rates * (1.0 + answers))


def test_inputs_that_only_the_network_reads():
    model = make_dynamics(
        ODE(**EULER, inputs="hold"), network=make_network(3), n_seen=3, n_inputs=1
    )
    x = make_windows(1, inputs=make_inputs(1))
    answers = answer(model, torch.cat([FIRST, x.inputs[:, 0]], dim=1)).detach()
    assert_rates(model, x, spring(0.0, FIRST) + answers * model.scales.rate_scale)


def test_a_user_defined_join_calls_both_parts_with_its_own_arguments():
    def join(t, state, physics, nn):
        return t[:, None] * physics(t, state) - nn(t, state, scale=2.0)

    model = make_dynamics(ODE(**EULER, join=join), network=make_network())
    x = make_windows(1)
    answers = answer(model, FIRST).detach()
    assert_rates(model, x, x.first_time[:, None] * spring(0.0, FIRST) - 2.0 * answers)


def test_a_user_defined_join_with_inputs_may_give_the_network_more_to_read():
    def join(t, state, inputs, physics, nn):
        rates = physics(t, state, inputs)
        return inputs * rates + nn(t, state, inputs, rates)

    ode = ODE(**EULER, join=join, inputs="hold")
    model = make_dynamics(
        ode, pushed_spring, make_network(5), n_seen=5, n_inputs=1, reads_inputs=True
    )
    x = make_windows(1, inputs=make_inputs(1))
    now = x.inputs[:, 0]
    rates = pushed_spring(0.0, FIRST, now)
    answers = answer(model, torch.cat([FIRST, now, rates], dim=1)).detach()
    assert_rates(model, x, now * rates + answers * model.scales.rate_scale)


def test_without_physics_the_network_is_the_rate():
    model = make_dynamics(ODE(**EULER), physics=None, network=make_network())
    x = make_windows(1)
    assert_rates(model, x, (answer(model, FIRST) * model.scales.rate_scale).detach())
    assert_close(model.physics_part(x, {})[:, 0], FIRST)


@pytest.mark.parametrize("join", ["add", "multiply"])
def test_without_a_network_the_physics_is_the_rate(join):
    model = make_dynamics(ODE(**EULER, join=join))
    assert_rates(model, make_windows(1), spring(0.0, FIRST))


# Rates that the network changes


@pytest.mark.parametrize("join", ["add", "multiply"])
@pytest.mark.parametrize("corrects", [(0,), (1,)])
def test_the_network_changes_only_the_named_rates(join, corrects):
    network = make_network(2, 1)
    model = make_dynamics(ODE(**EULER, join=join), network=network, corrects=corrects)
    answers = torch.zeros_like(FIRST)
    answers[:, corrects[0]] = answer(model, FIRST).detach()[:, 0]
    rates = spring(0.0, FIRST)
    added = rates + answers * model.scales.rate_scale
    assert_rates(model, make_windows(1), added if join == "add" else rates * (1.0 + answers))


def test_the_network_changes_only_the_named_channels_of_a_field():
    field = {"state_shape": (2, 4, 5), "output_shape": (2, 4, 5)}
    network = Pointwise(make_network(2, 1))
    model = make_dynamics(ODE(**EULER), diffusion, network, corrects=(1,), **field)
    with torch.no_grad():
        change = model.bind_network()(double(0.0, 0.0), FIELD, None)
        answers = answer(model, FIELD)
    assert not change[:, 0].any()
    assert_close(change[:, 1], answers[:, 0] * model.scales.rate_scale[1])


def test_all_rates_are_corrected_without_a_copy():
    model = make_dynamics()
    assert model.as_rates(FIRST, FIRST) is FIRST


# Free states


@pytest.mark.parametrize("join", ["add", "multiply"])
@pytest.mark.parametrize("corrects", [None, (1, 2)])
def test_free_states_have_the_rates_of_the_network(join, corrects):
    n_outputs = 3 if corrects is None else 2
    layout = {"state_shape": (3,), "n_free_states": 1, "corrects": corrects}
    network = make_network(3, n_outputs)
    model = make_dynamics(ODE(**EULER, join=join), network=network, n_seen=3, **layout)
    states = torch.cat([FIRST, double(0.5, -1.0, 2.0)[:, None]], dim=1)
    t, unit = double(0.0, 0.0, 0.0), model.scales.rate_scale
    with torch.no_grad():
        rates = model.rate(model.bind_physics(model.space.start), model.bind_network())
        found = rates(t, states, None)
        answers = answer(model, states)
    if corrects is not None:
        answers = torch.cat([torch.zeros(3, 1), answers], dim=1)
    known = spring(0.0, FIRST)
    added = known + answers[:, :2] * unit[:2]
    expected = added if join == "add" else known * (1.0 + answers[:, :2])
    assert_close(found, torch.cat([expected, answers[:, 2:] * unit[2]], dim=1))


def test_the_physics_and_observe_see_their_own_states():
    def observe(state):
        assert state.shape[1] == 2
        return state[:, :1]

    layout = {"state_shape": (3,), "n_free_states": 1, "n_outputs": 1}
    model = make_dynamics(ODE(**EULER, observe=observe), n_seen=3, **layout)
    x = make_windows(1, first=torch.cat([FIRST, torch.ones(3, 1)], dim=1).double())
    expected = (FIRST + 0.1 * spring(0.0, FIRST))[:, None, :1]
    assert_close(predict(model, x), expected)
    whole = make_dynamics(ODE(**EULER), n_seen=3, **{**layout, "n_outputs": 2})
    assert_close(predict(whole, x)[..., :1], expected)
    assert predict(whole, x).shape == (3, 1, 2)


# The network's inputs


@pytest.mark.parametrize("columns", [[0], [1], [2], [3], [0, 3], [1, 2], [2, 1, 3], [0, 1, 2, 3]])
def test_the_network_reads_its_columns_only(columns):
    """State components are 0 and 1, the input is 2, the time is 3."""
    n = len(columns)
    model = make_dynamics(
        ODE(**EULER, inputs="hold"), network=make_network(n), n_seen=n, n_inputs=1
    ).with_network_columns(columns)
    assert model.reads_time == (3 in columns)
    x = make_windows(1, inputs=make_inputs(1))
    everything = torch.cat([FIRST, x.inputs[:, 0], x.first_time[:, None]], dim=1)
    answers = answer(model, everything[:, columns]).detach()
    assert_rates(model, x, spring(0.0, FIRST) + answers * model.scales.rate_scale)


def test_by_default_the_network_reads_the_state_and_the_inputs_but_not_the_time():
    assert make_dynamics().unrestricted_columns(make_windows()) == [0, 1]
    model = make_dynamics(n_inputs=2)
    assert model.unrestricted_columns(make_windows()) == [0, 1, 2, 3]
    assert not model.reads_time


class RecordingNetwork(nn.Module):
    """A network that records its inputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.inputs: list[torch.Tensor] = []

    def forward(self, inputs):
        self.inputs.append(inputs)
        return self.network(inputs)


def test_hold_keeps_the_network_inputs_in_their_range():
    low, high = double(0.5, 0.6), double(0.9, 1.0)
    network = RecordingNetwork(make_network())
    model = with_scales(make_dynamics(network=network), feature_low=low, feature_high=high)
    x = make_windows(1)
    model(x, model.initial_coordinates(), hold=True)
    held = torch.cat(network.inputs)
    assert bool((held >= low).all())
    assert bool((held <= high).all())
    network.inputs.clear()
    predict(model, x)
    assert bool((torch.cat(network.inputs) > high).any())


def test_the_range_of_the_inputs_has_a_margin():
    seen = double([0.0, 10.0], [1.0, 30.0], [0.5, 20.0])
    model = make_dynamics()
    ranged = model.with_input_range(seen)
    assert_close(ranged.scales.feature_low, double(0.0, 10.0) - HOLD_MARGIN * double(1.0, 20.0))
    assert_close(ranged.scales.feature_high, double(1.0, 30.0) + HOLD_MARGIN * double(1.0, 20.0))
    assert float(model.scales.feature_high[0]) == 1e6
    field = make_dynamics(state_shape=(2, 4, 5), output_shape=(2, 4, 5)).with_input_range(FIELD)
    assert field.scales.feature_low.shape == (2, 1, 1)


# Networks


def test_hidden_sizes_make_a_perceptron_for_vectors_and_a_pointwise_one_for_fields():
    vectors = make_dynamics()
    network = vectors.new_network((4,), seed=0)
    assert type(network) is MultilayerPerceptron
    assert network(FIRST).shape == (3, 2)  # in float64, as the model
    fields = make_dynamics(physics=diffusion, state_shape=(2, 4, 5), output_shape=(2, 4, 5))
    network = fields.new_network((4,), seed=0)
    assert type(network) is Pointwise
    assert network(FIELD).shape == FIELD.shape
    convolution = nn.Conv2d(2, 2, 1)
    assert type(fields.new_network(convolution, seed=0)) is nn.Conv2d


@pytest.mark.parametrize(
    ("settings", "n_outputs"),
    [({}, 2), ({"correct": "output"}, 3), ({"correct": "output", "corrected": [2]}, 1)],
    ids=["rates", "all outputs", "some outputs"],
)
def test_the_number_of_network_outputs(settings, n_outputs):
    model = make_dynamics(ODE(dt=0.1, **settings), n_outputs=3)
    assert model.n_network_outputs == n_outputs
    assert model.silent(double(0.0, 0.0, 0.0), FIRST, None).shape == (3, n_outputs)
    assert make_dynamics(corrects=(1,)).n_network_outputs == 1


# Fields


def test_a_perceptron_is_applied_at_every_point_of_a_field():
    perceptron = make_network(4)
    columns = torch.tensor([0, 1, 2, 3])  # two channels, one input, the time
    model = make_dynamics(
        ODE(**EULER, inputs="hold"),
        diffusion,
        Pointwise(perceptron),
        n_seen=4,
        network_columns=columns,
        n_inputs=1,
        state_shape=(2, 4, 5),
        output_shape=(2, 4, 5),
    )
    model = replace(model, reads_time=True)
    x = make_windows(1, first=FIELD, inputs=make_inputs(1, n=2))
    with torch.no_grad():
        prediction = predict(model, x)[:, -1]
    scales = model.scales
    for i in range(2):
        for row in range(4):
            for column in range(5):
                point = torch.cat(
                    [FIELD[i, :, row, column], x.inputs[i, 0], x.first_time[i : i + 1]]
                )
                standard = scales.feature_offset.flatten() + scales.feature_factor.flatten() * point
                answers = perceptron(standard).detach() * scales.rate_scale.flatten()
                rates = diffusion(0.0, FIELD[i])[:, row, column] + answers
                expected = FIELD[i, :, row, column] + 0.1 * rates
                assert_close(prediction[i, :, row, column], expected)


def test_a_convolution_of_a_field():
    convolution = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular").double()
    model = make_dynamics(
        ODE(**EULER), diffusion, convolution, state_shape=(2, 4, 5), output_shape=(2, 4, 5)
    )
    x = make_windows(1, first=FIELD)
    answers = answer(model, FIELD) * model.scales.rate_scale
    expected = FIELD + 0.1 * (diffusion(0.0, FIELD) + answers)
    assert_close(predict(model, x)[:, -1], expected)


# Batches


def test_models_whose_steps_differ_in_the_last_digits_have_the_same_batching_key():
    model = make_dynamics(uniform_step=0.1)
    assert model.batching_key() == model.at_step(0.1 * (1 + 1e-12)).batching_key()
    assert model.batching_key() != model.at_step(0.1001).batching_key()
    assert model.batching_key() != model.at_step(None).batching_key()
    assert model.batching_key() != make_dynamics(uniform_step=0.1, n_inputs=1).batching_key()
