"""Malus' law: values by hand and gradients."""

from __future__ import annotations

import torch
from numpy.testing import assert_allclose

from skhybrid.datasets import malus


def test_malus_by_hand():
    settings = torch.tensor(
        [
            [10.0, 0.0, 0.0, 7.0, 7.0],  # aligned: everything passes
            [0.0, 10.0, 0.0, 90.0, 0.0],  # crossed: only the leak
            [0.0, 0.0, 10.0, 20.0, -40.0],  # 60 degrees: a quarter, and the leak of the rest
        ],
        dtype=torch.float64,
    )
    got = malus(*settings.T, gain=(2.0, 3.0, 4.0), leak=0.2)
    assert got.dtype == torch.float64
    assert_allclose(got, [20.0, 30.0 * 0.2, 40.0 * (0.25 + 0.2 * 0.75)], rtol=1e-12)


def test_malus_passes_gradients_to_its_parameters():
    gain = torch.ones(3, dtype=torch.float64, requires_grad=True)
    leak = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    settings = torch.rand(5, 4, dtype=torch.float64) * 80
    assert torch.autograd.gradcheck(lambda g, k: malus(*settings, gain=g, leak=k), (gain, leak))
