import pytest
import torch
from torch import nn

from skhybrid.model.network_parts import NetworkParts, SplitFunction, SplitNetwork, build_parts
from skhybrid.model.networks import as_function, build_network, scale_output
from skhybrid.model.stacked_networks import StackedNetworks

PARTS = NetworkParts(
    n_inputs=4,
    correction=(0, 1),
    groups=(((2,), ("level",)), ((1, 3), ("gain", "rate"))),
    shapes=(("level", ()), ("gain", (2,)), ("rate", ())),
)


def one(n_inputs, n_outputs, seed):
    return build_network((5,), n_inputs, n_outputs, seed=seed).double()


def network(parts=PARTS, n_inputs=4):
    return build_parts(parts, one, n_inputs, 1, -1, 7)


def inputs(n_rows=6, n_inputs=4):
    return torch.randn(n_rows, n_inputs, generator=torch.Generator().manual_seed(0)).double()


def test_every_part_reads_its_own_inputs():
    split, x = network(), inputs()
    function = as_function(split, None)
    answers = function.answers(x)
    assert {name: tuple(each.shape) for name, each in answers.items()} == {
        "level": (6,),
        "gain": (2, 6),
        "rate": (6,),
    }
    with torch.no_grad():
        torch.testing.assert_close(function(x), split.correction(x[:, :2]))
        torch.testing.assert_close(answers["level"], split.groups[0](x[:, 2:3])[:, 0])
        together = split.groups[1](x[:, [1, 3]])
        torch.testing.assert_close(answers["gain"], together[:, :2].T)
        torch.testing.assert_close(answers["rate"], together[:, 2])


def test_a_call_gives_the_outputs_of_all_parts():
    split, x = network(), inputs()
    outputs = split(x)
    assert outputs.shape == (6, 5)
    function = as_function(split, None)
    torch.testing.assert_close(outputs[:, :1], function(x))
    torch.testing.assert_close(outputs[:, 2:4], function.answers(x)["gain"].T)


def test_the_correction_reads_inputs_that_a_structure_adds():
    split = network(n_inputs=5)
    assert split.correction[0].in_features == 3
    x = inputs(n_inputs=5)
    torch.testing.assert_close(as_function(split, None)(x), split.correction(x[:, [0, 1, 4]]))


def test_given_weights_replace_those_of_every_part():
    split, other, x = network(), build_parts(PARTS, one, 4, 1, -1, 99), inputs()
    weights = dict(other.named_parameters())
    torch.testing.assert_close(as_function(split, weights)(x), as_function(other, None)(x))
    found, expected = as_function(split, weights).answers(x), as_function(other, None).answers(x)
    torch.testing.assert_close(found, expected)


def test_members_are_evaluated_together():
    members = [build_parts(PARTS, one, 4, 1, -1, seed) for seed in (1, 20)]
    stacked = {
        name: torch.stack([dict(each.named_parameters())[name] for each in members]).detach()
        for name, _ in members[0].named_parameters()
    }
    x = inputs()
    function = StackedNetworks(members[0], 2).function(stacked)
    both = torch.cat([x, x])
    for number, member in enumerate(members):
        rows = slice(6 * number, 6 * number + 6)
        torch.testing.assert_close(function(both)[rows], as_function(member, None)(x))
        torch.testing.assert_close(
            function.answers(both)["gain"][:, rows], as_function(member, None).answers(x)["gain"]
        )


def test_no_correction():
    parts = NetworkParts(2, None, (((0, 1), ("level",)),), (("level", ()),))
    split = build_parts(parts, one, 2, 1, -1, 0)
    assert split.correction is None
    assert split(inputs(n_inputs=2)).shape == (6, 1)


def test_all_parts_are_scaled():
    split, x = network(), inputs()
    before = split(x)
    assert scale_output(split, 0.1)
    torch.testing.assert_close(split(x), 0.1 * before)


@pytest.mark.parametrize("axis", [-1, -3])
def test_parts_of_fields_have_their_own_axis(axis):
    parts = NetworkParts(2, None, (((1,), ("level",)),), (("level", (2,)),))

    class Twice(nn.Module):
        def forward(self, x):
            return torch.cat([x, 2.0 * x], dim=axis)

    x = torch.arange(12.0).reshape(3, 2, 2, 1) if axis == -3 else torch.arange(6.0).reshape(3, 2)
    answers = SplitNetwork(parts, None, [Twice()], axis).function(None, lambda n, w: n).answers(x)
    own = x.select(axis, 1)
    torch.testing.assert_close(answers["level"], torch.stack([own, 2.0 * own]))


@pytest.mark.parametrize("columns", [(0, 1, 2, 3), (1, 2), (0, 2), (3, 0, 1), (2,)])
@pytest.mark.parametrize("axis", [-1, -2])
def test_columns_are_selected_without_a_tensor_of_indices(columns, axis, monkeypatch):
    x = inputs() if axis == -1 else inputs().T.contiguous()
    function = SplitFunction(PARTS, None, [], axis)
    expected = x.index_select(axis, torch.tensor(columns))
    monkeypatch.setattr(torch, "tensor", None)
    found = function._selected(x, columns)
    assert torch.equal(found, expected)
    assert (found is x) == (columns == (0, 1, 2, 3))
