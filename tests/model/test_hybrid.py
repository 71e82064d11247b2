"""The forward map of tables: columns, scales, shapes, the hold at the border, and errors."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skhybrid.exceptions import NetworkError, PhysicsError
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.scales import Scales
from skhybrid.model.structures import STRUCTURES, get_structure

X = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 40.0]])


def power(current, voltage, *, gain=2.0):
    return gain * current * voltage


def make_scales(**replaced) -> Scales:
    values = {
        "feature_offset": torch.tensor([-2.0, -4.0]),
        "feature_factor": torch.tensor([1.0, 0.2]),
        "feature_low": torch.tensor([-1.0, -2.0]),
        "feature_high": torch.tensor([1.0, 4.0]),
        "target_mean": torch.tensor(7.0),
        "target_scale": torch.tensor(5.0),
    }
    return Scales(**{**values, **replaced})


def make_network(weight, bias=0.5) -> nn.Linear:
    """Return a linear network with these weights."""
    weight = torch.tensor(weight)
    network = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        network.weight.copy_(weight)
        network.bias.fill_(bias)
    return network


def make_hybrid(
    physics=power, network=None, structure="additive", scales=None, columns=(0, 1), **options
) -> Hybrid:
    physics = None if physics is None else Physics(physics)
    return Hybrid(
        physics,
        ParameterSpace(physics, dtype=torch.float32),
        network,
        get_structure(structure),
        scales or make_scales(),
        physics_columns=columns,
        **options,
    )


def predict(hybrid: Hybrid, x: torch.Tensor = X, **options) -> torch.Tensor:
    """Return the prediction at the initial coordinates."""
    return hybrid(x, hybrid.initial_coordinates(), **options)


def standardised(x: torch.Tensor) -> torch.Tensor:
    return x * torch.tensor([1.0, 0.2]) - torch.tensor([2.0, 4.0])


# The physics


def test_physics_reads_its_columns_by_position():
    hybrid = make_hybrid(lambda a, b, *, c=3.0: a - b / c, columns=(1, 0))
    assert_close(predict(hybrid), X[:, 1] - X[:, 0] / 3.0)


def test_physics_reads_the_whole_table():
    hybrid = make_hybrid(lambda X, *, gain=2.0: gain * X.sum(dim=-1), columns=None)
    assert_close(predict(hybrid), 2.0 * X.sum(dim=1))


def test_coordinates_become_values():
    hybrid = make_hybrid()
    assert_close(hybrid(X, {"gain": torch.tensor(0.5)}), 3.0 * X[:, 0] * X[:, 1])


def test_without_physics_the_model_is_the_mean_of_the_target():
    hybrid = make_hybrid(None)
    assert hybrid(X, {}).tolist() == [7.0, 7.0, 7.0]
    scales = make_scales(target_mean=torch.tensor([7.0, 8.0]))
    hybrid = make_hybrid(None, scales=scales, target_shape=(2,))
    assert hybrid(X, {}).tolist() == [[7.0, 8.0]] * 3


# The network


def test_network_reads_standardised_features_and_answers_in_units_of_the_target():
    hybrid = make_hybrid(None, make_network([[1.0, 10.0]]))
    expected = 7.0 + 5.0 * (standardised(X) @ torch.tensor([1.0, 10.0]) + 0.5)
    assert_close(hybrid(X, {}), expected)


def test_network_reads_its_columns_only():
    scales = make_scales(feature_offset=torch.tensor([-4.0]), feature_factor=torch.tensor([0.2]))
    hybrid = make_hybrid(
        None, make_network([[1.0]]), scales=scales, network_columns=torch.tensor([1])
    )
    assert_close(hybrid(X, {}), 7.0 + 5.0 * (0.2 * X[:, 1] - 4.0 + 0.5))


def test_given_weights_replace_the_weights_of_the_module():
    network = make_network([[1.0, 10.0]])
    hybrid = make_hybrid(None, network)
    weights = {"weight": torch.zeros(1, 2), "bias": torch.tensor([2.0])}
    assert hybrid(X, {}, weights).tolist() == [17.0, 17.0, 17.0]
    assert network.weight.tolist() == [[1.0, 10.0]]


def test_held_inputs_stay_in_the_training_range():
    hybrid = make_hybrid(None, make_network([[1.0, 10.0]]))
    inside = torch.tensor([[1.0, 10.0], [2.0, 40.0]])
    assert torch.equal(hybrid(inside, {}, hold=True), hybrid(inside, {}))
    outside = torch.tensor([[-100.0, 10.0], [2.0, 1000.0]])
    border = torch.tensor([[1.0, 10.0], [2.0, 40.0]])
    assert_close(hybrid(outside, {}, hold=True), hybrid(border, {}))
    assert not torch.isclose(hybrid(outside, {}), hybrid(border, {})).any()


def test_held_inputs_leave_the_physics_free():
    hybrid = make_hybrid(power, make_network([[0.0, 0.0]], bias=0.0))
    outside = torch.tensor([[100.0, 1000.0]])
    assert predict(hybrid, outside, hold=True).tolist() == [200000.0]


def test_inputs_added_by_a_structure_come_last_and_are_standardised():
    scales = make_scales(
        feature_offset=torch.tensor([0.0, 0.0, -1.0]),
        feature_factor=torch.tensor([1.0, 1.0, 0.5]),
        target_scale=torch.tensor(1.0),
    )
    hybrid = make_hybrid(power, make_network([[0.0, 0.0, 1.0]], 0.0), "serial", scales)
    known = 2.0 * X[:, 0] * X[:, 1]
    assert_close(hybrid.network_inputs(X, known), torch.cat([X, 0.5 * known[:, None] - 1.0], 1))
    assert_close(predict(hybrid), known + 0.5 * known - 1.0)


def test_multiplicative_correction_has_no_unit():
    hybrid = make_hybrid(power, make_network([[0.0, 0.0]], 0.25), "multiplicative")
    assert_close(predict(hybrid), 1.25 * 2.0 * X[:, 0] * X[:, 1])


@pytest.mark.parametrize("structure", STRUCTURES)
def test_without_a_network_the_model_is_the_physics(structure):
    hybrid = make_hybrid(structure=structure)
    prediction = predict(hybrid)
    assert_close(prediction, 2.0 * X[:, 0] * X[:, 1])
    assert torch.equal(prediction, hybrid.physics_part(X, hybrid.initial_coordinates()))


def test_a_function_may_be_the_structure():
    def ratio(x, physics, nn):
        return physics(x) / nn(x, scale=2.0)

    hybrid = make_hybrid(power, make_network([[0.0, 0.0]], 1.0), ratio)
    assert_close(predict(hybrid), X[:, 0] * X[:, 1])


# Shapes and types


@pytest.mark.parametrize("target_shape", [(), (1,)])
@pytest.mark.parametrize("column", [False, True])
def test_a_single_target_may_have_a_column_or_not(target_shape, column):
    def physics(a, b, *, gain=1.0):
        return (gain * a)[:, None] if column else gain * a

    hybrid = make_hybrid(physics, make_network([[0.0, 0.0]], 0.0), target_shape=target_shape)
    prediction = predict(hybrid)
    assert prediction.shape == (3, *target_shape)
    assert prediction.flatten().tolist() == [1.0, 2.0, 3.0]


def test_several_targets():
    def physics(a, b, *, gain=(1.0, 2.0)):
        return torch.stack([gain[0] * a, gain[1] * b], dim=-1)

    network = make_network([[0.0, 0.0], [0.0, 0.0]], 1.0)
    scales = make_scales(target_scale=torch.tensor([0.5, 5.0]))
    hybrid = make_hybrid(physics, network, scales=scales, target_shape=(2,))
    expected = torch.stack([X[:, 0] + 0.5, 2.0 * X[:, 1] + 5.0], dim=1)
    assert_close(predict(hybrid), expected)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda a: a.numpy(), r"must return a torch.Tensor; it returned ndarray. Use torch's"),
        (lambda a: 1.0, r"must return a torch.Tensor; it returned float"),
        (lambda a: None, r"it returned None. Is a return statement missing\?"),
        (lambda a: (a, a), r"it returned a tuple. .*torch.stack"),
        (lambda a: a * 1j, r"must return real numbers"),
        (lambda a: a.sum(), r"shape \(3,\) for 3 rows and one target; it returned \(\).*ones_like"),
        (lambda a: a[:2], r"shape \(3,\) for 3 rows and one target; it returned \(2,\)"),
        (lambda a: a[:, None] * a, r"it returned \(3, 3\)"),
    ],
)
class TestWrongOutput:
    def test_of_the_physics_is_a_physics_error(self, output, message):
        def physics(a, b):
            return output(a)

        hybrid = make_hybrid(physics)
        with pytest.raises(PhysicsError, match=message) as caught:
            hybrid(X, {})
        assert str(caught.value).startswith("physics 'physics' must return ")

    def test_of_the_network_is_a_network_error(self, output, message):
        class Network(nn.Module):
            def forward(self, x):
                return output(x[:, 0])

        hybrid = make_hybrid(None, Network())
        with pytest.raises(NetworkError, match=message) as caught:
            hybrid(X, {})
        assert str(caught.value).startswith("nn must return ")

    def test_of_the_structure_is_a_value_error(self, output, message):
        hybrid = make_hybrid(structure=lambda x, physics, nn: output(x[:, 0]))
        with pytest.raises(ValueError, match=message) as caught:
            predict(hybrid)
        assert str(caught.value).startswith("structure must return ")


def test_wrong_number_of_targets_is_an_error():
    hybrid = make_hybrid(None, make_network([[0.0, 0.0]]), target_shape=(2,))
    with pytest.raises(NetworkError, match=r"shape \(3, 2\) for 3 rows and 2 targets.*\(3, 1\)"):
        hybrid(X, {})


def test_members_in_one_batch_equal_members_one_by_one():
    scales = make_scales(feature_offset=torch.zeros(3), feature_factor=torch.ones(3))
    hybrid = make_hybrid(power, make_network([[0.3, -0.2, 0.1]]), "serial", scales)
    coordinates = {"gain": torch.tensor([0.0, 0.5, -0.3])}
    weights = {
        "weight": torch.randn(3, 1, 3, generator=torch.Generator().manual_seed(0)),
        "bias": torch.tensor([[0.1], [0.2], [0.3]]),
    }
    together = torch.func.vmap(lambda c, w: hybrid(X, c, w))(coordinates, weights)
    for member in range(3):
        alone = hybrid(
            X,
            {"gain": coordinates["gain"][member]},
            {name: value[member] for name, value in weights.items()},
        )
        assert_close(together[member], alone)
