"""Dropout with masks of our own: the same distribution as torch's layers."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from skhybrid.model.dropout import use_own_dropout
from skhybrid.runtime.draws import drawing

# Layers with inputs of one, whose outputs take two values in both.
LAYERS = {
    "dropout": (nn.Dropout(0.3), (500, 40)),
    "one axis": (nn.Dropout(0.3), (20_000,)),
    "inplace": (nn.Dropout(0.3, inplace=True), (500, 40)),
    "alpha": (nn.AlphaDropout(0.3), (500, 40)),
    "sequences": (nn.Dropout1d(0.3), (500, 40, 3)),
    "one sequence": (nn.Dropout1d(0.3), (20_000, 3)),
    "images": (nn.Dropout2d(0.3), (500, 40, 3, 2)),
    "volumes": (nn.Dropout3d(0.3), (500, 40, 3, 2, 2)),
    "one volume": (nn.Dropout3d(0.3), (20_000, 3, 2, 2)),
    "feature alpha": (nn.FeatureAlphaDropout(0.3), (500, 40, 3)),
    "all": (nn.Dropout(1.0), (20, 10)),
    "all alpha": (nn.AlphaDropout(1.0), (20, 10)),
    "none": (nn.Dropout(0.0), (20, 10)),
}


def ours(layer):
    network = nn.Sequential(copy.deepcopy(layer))
    use_own_dropout(network)
    assert type(network[0]) is not type(layer)
    assert isinstance(network[0], type(layer))
    return network[0]


@pytest.mark.parametrize("name", LAYERS)
def test_values_shares_and_shapes_of_masks_are_torchs(name):
    layer, shape = LAYERS[name]
    torch.manual_seed(0)
    expected = layer(torch.ones(shape))
    with drawing(0):
        found = ours(layer)(torch.ones(shape))
    values = expected.unique()
    torch.testing.assert_close(found.unique(), values)
    for value in values:
        share, of_torch = ((each - value).abs() < 1e-4 for each in (found, expected))
        assert float(share.float().mean()) == pytest.approx(
            float(of_torch.float().mean()), abs=0.02
        )
    axes = tuple(range(1, len(shape)))  # axes that share the mask in torch's layer share it in ours
    for axis in axes:
        same = lambda each, axis=axis: bool((each == each.narrow(axis, 0, 1)).all())  # noqa: E731
        assert same(found) == same(expected)


@pytest.mark.parametrize("name", LAYERS)
def test_evaluation_changes_nothing(name):
    layer, shape = LAYERS[name]
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with drawing(0):
        assert torch.equal(ours(layer).eval()(inputs), inputs)


def test_outside_of_a_fit_it_is_torchs():
    torch.manual_seed(3)
    expected = nn.Dropout(0.4)(torch.ones(50))
    torch.manual_seed(3)
    assert torch.equal(ours(nn.Dropout(0.4))(torch.ones(50)), expected)


def test_members_have_masks_of_their_own():
    layer = ours(nn.Dropout(0.5))
    with drawing(0):
        found = torch.vmap(lambda x: layer(x), randomness="different")(torch.ones(3, 50))
        # inputs without an axis for members, as the rows that all members share
        shared = torch.vmap(lambda w: layer(torch.ones(50)) * w, randomness="different")(
            torch.ones(3)
        )
    for each in (found, shared):
        assert not torch.equal(each[0], each[1])


def test_layers_can_be_copied_and_pickled_and_keep_their_settings():
    layer = ours(nn.Dropout2d(0.2))
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(copied) is type(layer)
        assert copied.p == 0.2
    assert repr(layer) == repr(nn.Dropout2d(0.2))
