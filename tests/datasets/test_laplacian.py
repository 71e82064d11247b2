"""The Laplacian of periodic fields, against functions whose Laplacian is known."""

from __future__ import annotations

import math

import pytest
import torch
from numpy.testing import assert_allclose

from skhybrid.datasets._laplacian import laplacian


def plane_wave(size, along_rows, along_columns):
    """Return a plane wave with these whole wave numbers on a square of width 2 pi."""
    points = torch.arange(size, dtype=torch.float64) * 2 * math.pi / size
    return torch.sin(along_rows * points[:, None] + along_columns * points + 0.3)


@pytest.mark.parametrize("order", [2, 4])
def test_plane_wave_and_its_order(order):
    errors = []
    for size in (32, 64):
        field = plane_wave(size, 2, -3)
        got = laplacian(field, spacing=2 * math.pi / size, order=order)
        errors.append((got + 13 * field).abs().max().item() / 13)
    assert errors[0] < {2: 0.03, 4: 0.0015}[order]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("order", [2, 4])
def test_parabola_away_from_the_edges(order):
    rows, columns = torch.meshgrid(
        *[torch.arange(12.0, dtype=torch.float64) / 4] * 2, indexing="ij"
    )
    got = laplacian(rows**2 + 3 * columns**2 + rows * columns, spacing=0.25, order=order)
    assert_allclose(got[2:-2, 2:-2], 8.0, rtol=1e-10)


@pytest.mark.parametrize("order", [2, 4])
def test_periodic_symmetric_and_without_sources(order):
    field = torch.rand(3, 6, 8, dtype=torch.float64)
    got = laplacian(field, spacing=0.5, order=order)
    assert got.shape == field.shape
    assert_allclose(got.sum((-2, -1)), 0.0, atol=1e-12)
    moved = laplacian(field.roll((2, 3), (-2, -1)), spacing=0.5, order=order)
    assert_allclose(moved, got.roll((2, 3), (-2, -1)), atol=1e-12)
    turned = laplacian(field.mT, spacing=0.5, order=order)
    assert_allclose(turned, got.mT, atol=1e-12)


@pytest.mark.parametrize("order", [2, 4])
def test_flat_field_gives_zero_in_float32(order):
    assert laplacian(torch.full((8, 8), 0.7), spacing=1e-3, order=order).abs().max() == 0.0
