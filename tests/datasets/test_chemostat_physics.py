"""The predator-prey model of the chemostat: values by hand, limits and gradients."""

from __future__ import annotations

import torch
from numpy.testing import assert_allclose

from skhybrid.datasets import rotifer_algae

T0 = torch.tensor(0.0, dtype=torch.float64)
CONSTANTS = {
    "growth": 2.0,
    "half_nitrogen": 5.0,
    "nitrogen_content": 10.0,
    "grazing": 0.3,
    "half_algae": 1.0,
    "conversion": 4.0,
    "mortality": 0.1,
    "dilution": 0.5,
}


def rates(state, medium, dtype=torch.float64, **constants):
    state = torch.as_tensor(state, dtype=dtype)
    inputs = torch.full((*state.shape[:-1], 1), medium, dtype=dtype)
    return rotifer_algae(T0.to(dtype), state, inputs, **constants)


def test_physics_by_hand():
    got = rates([2.0, 6.0], 35.0, **CONSTANTS)
    # Free nitrogen 35 - 10 * 2 = 15, so growth is at 15 / (5 + 15); grazing is at 2 / (1 + 2).
    algae = 2.0 * 0.75 * 2.0 - 0.3 * 2 / 3 * 6.0 - 0.5 * 2.0
    rotifers = 4.0 * 0.3 * 2 / 3 * 6.0 - 0.6 * 6.0
    assert got.dtype == torch.float64
    assert_allclose(got, [algae, rotifers], rtol=1e-12)


def test_without_nitrogen_everything_is_washed_out():
    assert_allclose(rates([2.0, 0.0], 0.0, **CONSTANTS), [-1.0, 0.0], rtol=1e-12)
    assert_allclose(rates([2.0, 0.0], 19.0, **CONSTANTS), [-1.0, 0.0], rtol=1e-12)


def test_nitrogen_is_balanced_where_predators_are_absent():
    """Algae settle where growth equals dilution."""
    free = 5.0 * 0.5 / (2.0 - 0.5)
    settled = (80.0 - free) / 10.0
    assert_allclose(rates([settled, 0.0], 80.0, **CONSTANTS), [0.0, 0.0], atol=1e-12)


def test_values_and_gradients_are_finite_everywhere():
    grid = torch.tensor([-5.0, -0.54, -1e-9, 0.0, 1e-9, 1.0, 300.0])
    state = torch.cartesian_prod(grid, grid).requires_grad_()
    names = {name: torch.tensor(value, requires_grad=True) for name, value in CONSTANTS.items()}
    for medium in (0.0, 80.0):
        got = rates(state, medium, torch.float32, **names)
        assert got.isfinite().all()
        for gradient in torch.autograd.grad(got.square().sum(), [state, *names.values()]):
            assert gradient.isfinite().all()


def test_amounts_below_zero_return_to_zero():
    got = rates([[-0.1, 5.0], [0.5, -5.0], [-0.1, -5.0]], 80.0, **CONSTANTS)
    assert got[0, 0] > 0
    assert got[1, 1] > 0
    assert (got[2] > 0).all()


def test_defaults_make_the_counts_that_are_measured():
    """Predator and prey live on, in the order of magnitude of the measured means."""
    state = torch.tensor([1.0, 10.0], dtype=torch.float64)
    medium = torch.tensor([80.0], dtype=torch.float64)
    path = []
    for _ in range(2000):
        middle = state + 0.025 * rotifer_algae(T0, state, medium)
        state = state + 0.05 * rotifer_algae(T0, middle, medium)
        path.append(state)
    algae, rotifers = torch.stack(path)[400:].mean(dim=0).tolist()
    assert 0.1 < algae < 3
    assert 3 < rotifers < 100
