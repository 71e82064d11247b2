"""Losses on rows held out, and the edge of the training rows."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import make_model, make_table

from skhybrid.inspection.usage.losses import Data, at_edge, held_out_loss, target_deviation


def test_the_edge_is_the_outer_fifth_in_any_number_of_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 6)) * [1.0, 1e6, 1.0, 1.0, 1.0, 0.0]
    X[:, 4] = X[:, 4] > 0
    train, test = np.arange(1000), np.arange(1000, 2000)
    outside = at_edge(X, train, test)
    assert outside.mean() == pytest.approx(0.2, abs=0.04)
    farthest = np.abs(X[test][:, :4] / X.std(axis=0)[:4]).max(axis=1)
    assert farthest[outside].mean() > farthest[~outside].max()
    scaled = at_edge(np.exp(X / X.std(axis=0).clip(1e-9)), train, test)
    assert (scaled == outside).all(), "ranks do not depend on units or shapes"


def test_samples_without_a_place_have_a_reason():
    rows = np.arange(2)
    assert "no table of numbers" in at_edge([np.zeros((3, 1)), np.zeros((2, 1))], rows, rows)
    assert "X is no table" in at_edge(np.zeros((2, 3, 4)), rows, rows)
    assert "two values" in at_edge(np.array([[0.0], [1.0]]), rows, rows)


@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.PoorFitWarning")
def test_losses_are_weighted_and_leave_gaps_out():
    X, y = make_table(30)
    y = np.stack([y, 10.0 * y], axis=1)
    model = make_model(physics=None, max_epochs=2).fit(X, y)
    y[4, 1] = np.nan
    weight = np.linspace(0.0, 2.0, 30)
    data = Data(X, y, weight)
    error = (y - model.predict(X)) / target_deviation(data)
    known = np.isfinite(error)
    weights = np.broadcast_to(weight[:, None], error.shape)[known]
    expected = np.average(error[known] ** 2, weights=weights)
    assert held_out_loss(model, data, target_deviation(data)) == pytest.approx(expected)
    first = np.average(y[:, 0], weights=weight)
    deviation = np.sqrt(np.average((y[:, 0] - first) ** 2, weights=weight))
    assert target_deviation(data)[0] == pytest.approx(deviation)
    assert np.isnan(held_out_loss(model, data.select(np.arange(0)), target_deviation(data)))
