"""How much variance the physics and the network explain."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from small_fits import make_data, make_hybrid, make_starts

from skhybrid.training import explained_variance
from skhybrid.training.explained_variance import ExplainedVariance, measure_explained_variance


@pytest.fixture
def data():
    return make_data(41)


@pytest.mark.parametrize("structure", ["additive", "multiplicative"])
def test_variances_are_in_units_of_the_targets(data, structure):
    hybrid = make_hybrid(data, structure=structure)
    start = make_starts(hybrid, 1)[0]
    explained = measure_explained_variance(hybrid, data.x, data.y, start.coordinates, start.weights)
    scale = float(hybrid.scales.target_scale)
    with torch.no_grad():
        physics = hybrid.physics_part(data.x, start.coordinates).numpy() / scale
        prediction = hybrid(data.x, start.coordinates, start.weights).numpy() / scale
    assert explained.physics == pytest.approx(np.var(physics))
    assert explained.network == pytest.approx(np.var(prediction - physics))
    assert explained.residual == pytest.approx(np.mean((prediction - data.y.numpy() / scale) ** 2))
    assert explained.network > 1e-6


def test_two_targets_are_averaged_in_their_own_units(data):
    def physics(time, heat, *, size=2.0):
        return torch.stack([size * time, 1e4 * size * heat], dim=-1)

    y = torch.stack([data.y, 1e4 * data.y], dim=1)
    data = data._replace(y=y)
    hybrid = make_hybrid(data, physics)
    start = make_starts(hybrid, 1)[0]
    start.coordinates["size"].zero_()
    explained = measure_explained_variance(hybrid, data.x, y, start.coordinates, start.weights)
    scale = y.numpy().std(axis=0, ddof=1)
    variance = np.var(np.array([2.0, 2e4]) * data.x.numpy() / scale, axis=0)
    assert explained.physics == pytest.approx(variance.mean())


def test_without_weights_the_parameters_of_the_module_are_used(data):
    hybrid = make_hybrid(data)
    start = make_starts(hybrid, 1)[0]
    hybrid.network.load_state_dict(start.weights)
    given = measure_explained_variance(hybrid, data.x, data.y, start.coordinates, start.weights)
    assert measure_explained_variance(hybrid, data.x, data.y, start.coordinates) == given


def test_missing_targets_do_not_count_in_the_residual(data):
    hybrid = make_hybrid(data)
    start = make_starts(hybrid, 1)[0]
    weight = torch.ones_like(data.y)
    weight[10:] = 0.0
    filled = torch.where(weight == 0, 1e3, data.y)
    few = measure_explained_variance(
        hybrid, data.x[:10], data.y[:10], start.coordinates, start.weights
    )
    all_rows = measure_explained_variance(
        hybrid, data.x, filled, start.coordinates, start.weights, weight / weight.mean()
    )
    assert all_rows.residual == pytest.approx(few.residual)


@pytest.mark.parametrize(("limit", "step"), [(100, 1), (41, 1), (40, 2), (21, 2), (15, 3)])
def test_no_more_rows_than_the_limit_are_evaluated(data, limit, step, monkeypatch):
    n_rows = []

    def counted(time, heat, *, rate=1.0):
        n_rows.append(len(time))
        return torch.exp(-rate * time)

    hybrid = make_hybrid(data, counted)
    start = make_starts(hybrid, 1)[0]
    monkeypatch.setattr(explained_variance, "MAX_ROWS", limit)
    measure_explained_variance(hybrid, data.x, data.y, start.coordinates, start.weights)
    assert set(n_rows) == {len(range(0, 41, step))}
    assert max(n_rows) <= limit


def test_the_share_of_the_physics():
    assert ExplainedVariance(3.0, 1.0, 0.0).physics_share == 0.75
    assert ExplainedVariance(0.0, 1.0, 9.0).physics_share == 0.0
    assert math.isnan(ExplainedVariance(0.0, 0.0, 1.0).physics_share)
