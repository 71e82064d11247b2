import pytest
import torch
from small_fits import decay, make_config, make_data, make_hybrid, make_starts
from torch import nn
from torch.testing import assert_close

from skhybrid import Param, Physics
from skhybrid.model.batch import ROWS_AT_ONCE, Batch
from skhybrid.training import multistart
from skhybrid.training.problem import Fit, Problem
from skhybrid.training.refinement import refine
from skhybrid.training.result import Start
from skhybrid.training.shared_constant import find_shift, settle

N_ROWS = 60
SEEDS = pytest.mark.parametrize("seed", range(3))


def saturated(time, heat, *, top=2.0, half=0.7):
    return top * (time + 0.1) / (half + time)


def exponential(time, heat, *, log_gain=0.5, rate=1.0):
    return torch.exp(log_gain - rate * time)


def without_constant(time, heat, *, slope=1.0, rate=1.0):
    return slope * time + torch.exp(-rate * heat)


def only_in_half(time, heat, *, rise=1.0):
    """An offset on the even rows of a subset, which is no offset on all rows."""
    return torch.where(heat < 1.99, rise, 0.0) + 0.0 * time


def two_levels(time, heat, *, slope=1.0, level=(0.3, -0.2)):
    return slope * time[:, None] + level


def one_level_for_two(time, heat, *, slope=1.0, level=0.4):
    return torch.stack([slope * time + level, slope * time**2 + level], dim=1)


def make(physics=decay, structure="additive", *, seed=1, data=None, **options):
    """Return a hybrid model, its rows, and weights and coordinates away from its start."""
    data = make_data(N_ROWS, seed=seed, **options) if data is None else data
    hybrid = make_hybrid(data, physics, structure=structure)
    (start,) = make_starts(hybrid, 1, seed=seed)
    weights = dict(start.weights)
    weights["2.bias"] = weights["2.bias"] + 0.3
    return hybrid, data, weights, start.coordinates


def two_targets(seed):
    x, y, _ = make_data(N_ROWS, seed=seed)
    return Batch(x, torch.stack([y, 3.0 * y + x[:, 1]], dim=1), None)


def mean(hybrid, data, weights, importance=None):
    """Return the weighted mean of the network's outputs."""
    with torch.no_grad():
        outputs = hybrid.bind_network(weights)(data.x, scale=1.0)
    importance = torch.ones_like(outputs) if importance is None else importance
    return (outputs * importance).sum(0) / importance.sum(0)


@SEEDS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("physics", "structure", "moving"),
    [
        (decay, "additive", "level"),
        (saturated, "multiplicative", "top"),
        (exponential, "multiplicative", "log_gain"),
        (decay, "multiplicative", "level"),
    ],
)
def test_the_mean_moves_and_the_prediction_stays(physics, structure, moving, dtype, seed):
    model = hybrid, data, weights, coordinates = make(physics, structure, seed=seed, dtype=dtype)
    after, moved = settle(*model)
    eps = max(torch.finfo(dtype).eps, 1e-12)
    before = hybrid(data.x, coordinates, weights)
    assert_close(hybrid(data.x, moved, after), before, rtol=100 * eps, atol=100 * eps)
    assert abs(mean(hybrid, data, weights)) > 0.05
    assert abs(mean(hybrid, data, after)) < 100 * eps
    assert not torch.allclose(moved[moving], coordinates[moving], atol=1e-3)
    others = [name for name in moved if name != moving]
    assert all(torch.equal(moved[name], coordinates[name]) for name in others)


def test_only_the_background_of_an_additive_hybrid_moves():
    model = make()
    shift = find_shift(*model)
    assert shift.elements == [("level", (1,))]
    assert shift.coordinates["level"][0] == model[3]["level"][0]


@pytest.mark.parametrize("structure", ["additive", "multiplicative"])
def test_weights_of_the_rows_count_and_missing_targets_do_not(structure):
    x, y, _ = make_data(N_ROWS)
    importance = torch.rand(N_ROWS, generator=torch.Generator().manual_seed(3)).to(y)
    importance[:30] = 0.0
    hybrid, data, weights, coordinates = make(saturated, "multiplicative", data=Batch(x, y, None))
    data = data._replace(weight=importance / importance.mean())
    after, _ = settle(hybrid, data, weights, coordinates)
    assert abs(mean(hybrid, data, after)) > 1e-3
    assert abs(mean(hybrid, data, after, importance)) < 1e-12


@SEEDS
def test_each_target_has_its_own_constant(seed):
    model = hybrid, data, weights, coordinates = make(two_levels, data=two_targets(seed))
    after, moved = settle(*model)
    assert_close(hybrid(data.x, moved, after), hybrid(data.x, coordinates, weights))
    assert mean(hybrid, data, after).abs().max() < 1e-12


def test_a_constant_that_targets_share_gives_what_they_share():
    model = hybrid, data, weights, coordinates = make(one_level_for_two, data=two_targets(0))
    after, moved = settle(*model)
    assert_close(hybrid(data.x, moved, after), hybrid(data.x, coordinates, weights))
    left = mean(hybrid, data, after)
    assert left.abs().max() > 1e-3
    # A level has less weight in a target that varies more.
    assert abs((left / hybrid.scales.target_scale).sum()) < 1e-12


@pytest.mark.parametrize(
    ("physics", "structure"),
    [
        (without_constant, "additive"),
        (saturated, "additive"),
        (decay, "serial"),
        (only_in_half, "additive"),
        (None, "additive"),
    ],
)
def test_without_a_flat_direction_nothing_moves(physics, structure):
    _, _, weights, coordinates = model = make(physics, structure)
    after, moved = settle(*model)
    assert after is weights
    assert moved is coordinates
    assert find_shift(*model) is None


def test_a_constant_on_most_rows_is_not_one_on_all():
    x, y, _ = make_data(3000)
    x[:, 1] = 1.0
    x[7, 1] = 2.5  # not among the rows of the derivatives
    _, _, _, coordinates = model = make(only_in_half, data=Batch(x, y, None))
    assert settle(*model)[1] is coordinates


def test_a_large_table_goes_in_chunks():
    data = make_data(ROWS_AT_ONCE + 100)
    model = hybrid, _, weights, coordinates = make(data=data)
    after, moved = settle(*model)
    assert abs(mean(hybrid, data, after)) < 1e-12
    assert_close(hybrid(data.x, moved, after), hybrid(data.x, coordinates, weights))


def test_few_rows_say_nothing_about_directions():
    x, y, _ = make_data(N_ROWS)
    _, _, _, coordinates = model = make(decay, data=Batch(x[:8], y[:8], None))
    assert settle(*model)[1] is coordinates


@pytest.mark.parametrize("bound", ["upper", "lower"])
def test_bounds_are_respected(bound):
    sign = 1.0 if bound == "upper" else -1.0
    limits = (None, 1.1) if bound == "upper" else (0.9, None)
    physics = Physics(lambda time, *, offset=1.0: 2.0 * time + offset, offset=Param(1.0, limits))
    x, y, _ = make_data(N_ROWS)
    hybrid, data, weights, coordinates = make(physics, data=Batch(x[:, :1], y, None))
    weights["2.bias"] = weights["2.bias"] + 5.0 * sign
    before = hybrid(data.x, coordinates, weights)
    after, moved = settle(hybrid, data, weights, coordinates)
    assert_close(hybrid(data.x, moved, after), before)
    values = hybrid.space.values(moved)
    reached = hybrid.space.on_bounds({"offset": values["offset"].numpy()})["offset"]
    assert reached == ((False, True) if bound == "upper" else (True, False))
    left = mean(hybrid, data, weights) - mean(hybrid, data, after)
    assert 0.0 < sign * left < 1.0


def test_the_network_may_not_take_the_physics_away():
    hybrid, data, weights, coordinates = make(saturated, "multiplicative")
    weights["2.bias"] = weights["2.bias"] - 3.0
    assert settle(hybrid, data, weights, coordinates)[1] is coordinates


class Scaled(nn.Module):
    """A network whose last layer is not its output."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, inputs):
        return torch.tanh(self.layer(inputs)) + 0.2


@pytest.mark.parametrize(
    ("network", "moves"),
    [
        (nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 1)), True),
        (nn.Linear(2, 1), True),
        (nn.Linear(2, 1, bias=False), False),
        (nn.Sequential(nn.Linear(2, 1), nn.Tanh()), False),
        (Scaled(), False),
    ],
)
def test_modules_of_the_user(network, moves):
    hybrid, data, _, coordinates = make()
    network.double().train()
    hybrid = hybrid.with_network(network)
    weights = {name: own.detach() for name, own in network.named_parameters()}
    after, moved = settle(hybrid, data, weights, coordinates)
    assert (moved is not coordinates) == moves
    assert network.training
    network.eval()
    if moves:
        assert abs(mean(hybrid, data, after)) < 1e-12
        assert_close(hybrid(data.x, moved, after), hybrid(data.x, coordinates, weights))


def test_frozen_biases_stay():
    hybrid, data, weights, coordinates = make()
    del weights["2.bias"]
    assert settle(hybrid, data, weights, coordinates)[1] is coordinates


def fit_of(n_restarts, **options):
    data = make_data(N_ROWS)
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, n_restarts)
    config = make_config(n_restarts, n_rows=N_ROWS, n_epochs=10, **options)
    refinement = make_config(1, rho=0.0, n_rows=N_ROWS)
    return Fit(Problem(hybrid, data), starts, config, refinement)


@pytest.mark.parametrize("n_restarts", [1, 3])
def test_training_settles_every_restart_before_the_second_phase(n_restarts, monkeypatch):
    begun = []
    monkeypatch.setattr(
        multistart, "refine", lambda fits, *a: begun.extend(fits) or refine(fits, *a)
    )
    fit = fit_of(n_restarts)
    (result,) = multistart.train_together([fit])
    monkeypatch.setattr(multistart, "settle", lambda hybrid, data, *parameters: parameters)
    (unsettled,) = multistart.train_together([fit_of(n_restarts)])
    for own, other in zip(result.restart_coordinates, unsettled.restart_coordinates, strict=True):
        assert own["rate"] == other["rate"]
        assert abs(own["level"][1] - other["level"][1]) > 1e-4
    assert abs(mean(fit.problem.hybrid, fit.problem.data, begun[0].weights)) < 1e-12
    assert result.coordinates is result.restart_coordinates[result.best]
    assert result.midway["rate"] == unsettled.midway["rate"]
    assert result.midway["level"][1] != unsettled.midway["level"][1]


@pytest.mark.parametrize("n_restarts", [1, 2])
def test_physics_and_network_may_have_parameters_of_one_name(n_restarts):
    data = make_data(N_ROWS)
    hybrid = make_hybrid(data, lambda time, heat, *, bias=(0.5, 1.0): bias[0] * time + bias[1])
    network = nn.Linear(2, 1).double()
    weights = {name: own.detach().clone() for name, own in network.named_parameters()}
    starts = [Start(weights, hybrid.initial_coordinates())] * n_restarts
    config = make_config(n_restarts, n_rows=N_ROWS, n_epochs=10)
    fit = Fit(Problem(hybrid.with_network(network), data), starts, config)
    (result,) = multistart.train_together([fit])
    assert result.midway["bias"].shape == result.coordinates["bias"].shape == (2,)
    assert abs(mean(fit.problem.hybrid, data, result.weights)) < 1e-12


def test_a_held_parameter_stays():
    fit = fit_of(2, physics_learning_rate=0.0)
    (result,) = multistart.train_together([fit])
    for own, start in zip(result.restart_coordinates, fit.starts, strict=True):
        assert torch.equal(own["level"], start.coordinates["level"])
