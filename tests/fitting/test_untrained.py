"""Untrained networks whose rollouts grow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_dynamics import make_dynamics, make_network, make_windows
from torch import nn

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.fitting.untrained import MAX_CHANGE, calm_network
from skhybrid.model.networks import Pointwise, scale_output


def multiplying(t, state, *, rate=1.0):
    """Return rates that enlarge every difference."""
    return rate * state


def change(model, x) -> float:
    """Return the root mean square of what the network adds, in units of the target."""
    values = model.space.values(model.space.initial_coordinates())
    added = model.join(x, values, model.bind_network()) - model.without_network(x, values, None)[0]
    return float((added / model.scales.target_scale).square().mean().sqrt())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_networks_are_scaled_down_only_if_rollouts_grow(seed):
    model = make_dynamics(ODE(dt=0.1), multiplying, make_network(seed=seed))
    before = model.network[-1].weight.clone()
    calm_network(model, make_windows(3))
    assert torch.equal(model.network[-1].weight, before)
    x = make_windows(60)
    assert change(model, x) > MAX_CHANGE
    calm_network(model, x)
    assert change(model, x) <= MAX_CHANGE
    ratio = model.network[-1].weight / before
    assert float(ratio.min()) == pytest.approx(float(ratio.max()))


def test_modules_of_the_user_and_tables_stay():
    network = nn.Linear(2, 2).double()
    before = network.weight.clone()
    calm_network(make_dynamics(ODE(dt=0.1), multiplying, network), make_windows(80))
    assert torch.equal(network.weight, before)


def test_networks_at_the_points_of_a_field():
    network = Pointwise(make_network())
    field = torch.ones((1, 2, 3), dtype=torch.float64)
    before = network(field)
    assert scale_output(network, 0.5)
    torch.testing.assert_close(network(field), 0.5 * before)


def foxes(t, state, *, hunting, death):
    """Return the rates of prey and of predators that are not seen."""
    hares, hunters = state.unbind(-1)
    eaten = hunting * hares * hunters
    return torch.stack([0.8 * hares - eaten, 0.3 * eaten - death * hunters], -1)


def test_a_predator_seen_only_through_a_few_counts_of_its_prey():
    rng = np.random.default_rng(0)
    state, counts, step = np.array([40.0, 6.0]), [], 0.002
    for _ in range(14):
        for _ in range(500):
            hares, hunters = state
            eaten = 0.1 * hares * hunters / (1.0 + 0.01 * hares)
            rates = [0.8 * hares - eaten, 0.3 * eaten - 0.6 * hunters]
            state = state + step * np.array(rates)
        counts.append(rng.poisson(state[0]))
    X, y = np.array([[40.0, 6.0]]), np.array(counts, dtype=float)[None, :, None]
    physics = Physics(foxes, hunting=Param(0.08, (0, 1)), death=Param(0.7, (0, 2)))
    structure = ODE(dt=1.0, observe=lambda s: s[:, :1], n_states=2)
    model = HybridRegressor(physics, structure=structure, max_epochs=15, random_state=0)
    model.fit(X, y)
    losses = model.free_run_losses_
    assert losses["hybrid"] < 1.1 * losses["physics"] + 0.05


@pytest.mark.parametrize("window", [3, "auto"])
def test_hidden_states_of_a_network_alone_keep_their_scales(window):
    X, y = np.array([[40.0, 6.0]]), 40.0 + 10.0 * np.sin(np.arange(14.0))[None, :, None]
    ode = ODE(dt=1.0, observe=lambda s: s[:, :1], n_states=2, window=window)
    model = HybridRegressor(None, structure=ode, max_epochs=1, random_state=0).fit(X, y)
    scales = model._fitted.hybrid.scales
    # Before training no rate is known, so hidden states of all windows are nearly the same.
    assert float(scales.state_scale.min()) > 1.0
    assert float(scales.feature_factor.max()) < 1.0
    assert np.abs(model.predict(X)).max() < 1e4
