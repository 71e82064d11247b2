"""Least squares with robust losses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_fits import make_data, make_hybrid

from skhybrid.fitting.least_squares import fit_least_squares
from skhybrid.fitting.residuals import Residuals
from skhybrid.fitting.robust_search import _cost, _spread
from skhybrid.model.physics import Physics
from skhybrid.training.losses import Loss

ROBUST = [Loss("huber"), Loss("absolute_error")]


def line(time, heat, *, slope=1.0, level=0.0):
    return slope * time + level


def make_line(n_bad=0):
    """Return a straight line's model and rows, the first of which are outliers."""
    data = make_data(60)
    generator = torch.Generator().manual_seed(3)
    y = 2.0 * data.x[:, 0] - 1.0 + 0.1 * torch.randn(60, generator=generator).double()
    y[:n_bad] += 50.0
    data = data._replace(y=y)
    return replace(make_hybrid(data, Physics(line)), network=None), data


def errors_of(fit, data):
    """Return the errors in the target's units."""
    slope, level = (float(fit.values[name]) for name in ("slope", "level"))
    return slope * data.x[:, 0] + level - data.y


@pytest.mark.parametrize("loss", ROBUST)
def test_outliers_hardly_move_the_parameters(loss):
    before = fit_least_squares(*make_line(), loss=loss).values
    after = fit_least_squares(*make_line(6), loss=loss).values
    squared = fit_least_squares(*make_line(6)).values
    for name in before:
        moved = abs(float(after[name] - before[name]))
        assert moved < 0.05 * abs(float(squared[name] - before[name]))


@pytest.mark.parametrize("loss", ROBUST)
def test_the_sum_of_slopes_times_derivatives_is_zero(loss):
    model, data = make_line(6)
    fit = fit_least_squares(model, data, loss=loss)
    error = errors_of(fit, data) / model.scales.target_scale
    slopes = loss.slopes(error, loss.spread(error, None, ()))
    largest = float(slopes.abs().max())
    for column in (data.x[:, 0], torch.ones(60)):
        assert abs(float((slopes * column).sum())) < 2.5 * largest * float(column.max())
    if loss.kind == "huber":  # absolute errors have jumps
        assert abs(float(slopes.sum())) < 5e-2 * largest


@pytest.mark.parametrize("loss", ROBUST)
def test_weights_of_zero_and_two_are_rows_left_out_and_given_twice(loss):
    model, data = make_line(6)
    weight = torch.ones(60).double()
    weight[:6], weight[6:20] = 0.0, 2.0
    order = torch.tensor([*range(6, 60), *range(6, 20)])
    repeated = data._replace(x=data.x[order], y=data.y[order])
    weighted = fit_least_squares(model, data._replace(weight=weight / weight.mean()), loss=loss)
    expected = fit_least_squares(model, repeated, loss=loss).values
    for name, value in weighted.values.items():
        assert float(value) == pytest.approx(float(expected[name]), rel=1e-5)


@pytest.mark.parametrize("loss", ROBUST)
def test_costs_and_their_derivatives(loss):
    residuals = Residuals(*make_line(6), loss)
    cost = _cost(residuals, _spread(residuals, residuals.start), 0.05)
    squares = np.linspace(0.0, 4.0, 60) / 60
    value, first, second = cost(squares)
    step = 1e-7 * squares.max()
    up, down = cost(squares + step), cost(np.maximum(squares - step, 0.0))
    inner = slice(2, None)
    np.testing.assert_allclose((up[0] - down[0])[inner] / (2 * step), first[inner], rtol=1e-4)
    smooth = np.abs(second) > 0.0
    smooth[:2] = False
    found = (up[1] - down[1]) / (2 * step)
    np.testing.assert_allclose(found[smooth], second[smooth], rtol=1e-3)
    assert value[0] == 0.0


def test_the_loss_is_that_of_training():
    model, data = make_line(6)
    loss = Loss("huber")
    fit = fit_least_squares(model, data, loss=loss)
    error = errors_of(fit, data)
    expected = loss.mean(error / model.scales.target_scale, None, ())
    assert fit.loss == pytest.approx(float(expected))
    assert fit.loss_curve[-1] == pytest.approx(fit.loss)
