"""Warnings about fits that are worse than the mean, and about data that are constant or too few."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from small_findings import BOTH, N_ROWS, RNG, X, Y, fit, two

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.fitting.settings import DEFAULT_LEARNING_RATE


def test_a_fit_that_is_worse_than_the_mean_names_the_learning_rate():
    _, said = fit(two, nn=(8,), learning_rate=30.0)
    assert len(said) == 1 and "worse than the mean of y" in said[0]
    assert "learning_rate=30 is larger than the default (0.006)" in said[0]
    model, said = fit(two, nn=(8,))
    assert not said and model.score(X, Y) > 0.9


def test_a_fit_that_is_too_short():
    start = Physics(two, gain=40.0)
    settings = {"nn": (8,), "physics_init": "given"}
    _, (said,) = fit(start, max_epochs=1, **settings)
    assert "worse than the mean" in said and "learning_rate" not in said
    model, said = fit(start, max_epochs=300, **settings)
    assert not said and model.score(X, Y) > 0.9
    _, (said,) = fit(start, max_epochs=2, learning_rate=1e-5, **settings)
    assert "increase learning_rate=1e-05 (default 0.006)" in said


def test_physics_that_lacks_an_offset():
    y = Y + 500.0
    _, (said,) = fit(two, y=y)
    assert "worse than the mean" in said and "offset" in said
    model, said = fit(
        lambda flow, heat, *, gain=1.0, loss=1.0, base=1.0: gain * flow + loss * heat + base, y=y
    )
    assert not said and model.score(X, y) > 0.9


def test_other_initial_values():
    def wave(flow, *, frequency=1.0, height=1.0):
        return height * torch.sin(frequency * flow)

    y = 2.0 * np.sin(9.0 * X["flow"]) + 3.0
    _, said = fit(wave, y=y)
    assert said and "Give other initial values" in said[0]


def test_the_default_learning_rate():
    signature = inspect.signature(HybridRegressor)
    assert signature.parameters["learning_rate"].default == DEFAULT_LEARNING_RATE


@BOTH
@pytest.mark.parametrize("value", [0.0, 7.3])
def test_a_constant_target(network, value):
    said = fit(two, y=np.full(N_ROWS, value), nn=network)[1]
    assert [message for message in said if f"y is constant ({value:g})" in message]


def test_one_constant_target_of_several():
    def pair(flow, *, gain=1.0, loss=1.0):
        return torch.stack([gain * flow, loss * flow], dim=-1)

    said = fit(pair, y=np.column_stack([Y, np.full(N_ROWS, 2.0)]))[1]
    assert [message for message in said if "y is constant (2 in column 1)" in message]


def test_missing_targets_are_not_constant():
    y = np.where(np.arange(N_ROWS) % 3 == 0, np.nan, Y)
    assert not fit(two, y=y, missing_targets="mask")[1]
    y = np.where(np.isnan(y), np.nan, 4.0)
    said = fit(two, y=y, missing_targets="mask")[1]
    assert [message for message in said if "y is constant (4)" in message]


def test_an_output_of_a_trajectory_may_be_constant():
    first = np.column_stack([RNG.uniform(0.5, 2.0, 6), np.full(6, 3.0)])
    course = np.repeat(first[:, None], 8, axis=1)

    def decay(t, state, *, r=0.3):
        return torch.stack([-r * state[:, 0], 0.0 * state[:, 1]], dim=-1)

    course[..., 0] *= np.exp(-0.1 * np.arange(1, 9))
    assert not fit(decay, x=first, y=course, structure=ODE(dt=0.1))[1]


@BOTH
def test_fewer_rows_than_parameters(network):
    def three(flow, heat, *, a=1.0, b=(0.5, 1.0)):
        return a * flow + b[0] * heat + b[1]

    _, said = fit(three, x=X[:2], y=Y[:2], nn=network)
    found = [message for message in said if "known target values, 2, is smaller" in message]
    assert found and "free physics parameters, 3" in found[0]
    fixed = Physics(three, b=Param([0.8, 0.0], fixed=True))
    assert not [m for m in fit(fixed, x=X[:2], y=Y[:2], nn=network)[1] if "smaller" in m]
    # As many values as parameters determine the physics alone, not the physics beside a network.
    said = fit(three, x=X[:3], y=Y[:3], nn=network)[1]
    assert any("target values, 3, is not larger" in m for m in said) == (network is not None)
    assert not [m for m in fit(three, x=X[:4], y=Y[:4], nn=None)[1] if "known target" in m]


def test_few_rows_beside_a_network():
    def line(flow, heat, *, a=1.0, b=0.5):
        return a * flow + b * heat

    for n_rows, few in ((5, True), (9, True), (10, False)):
        said = fit(line, x=X[:n_rows], y=Y[:n_rows], nn=(4,))[1]
        message = f"There are {n_rows} known target values for 2 free physics parameters."
        assert any(message in m and "at least 10" in m for m in said) == few
        assert not [m for m in fit(line, x=X[:n_rows], y=Y[:n_rows])[1] if "known target" in m]
