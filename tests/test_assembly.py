"""A model put together at its start."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from skhybrid.data.rows import Rows
from skhybrid.fitting.assemble import (
    INIT_ROWS,
    Parts,
    assemble_hybrid,
    assemble_physics,
    least_squares_start,
)
from skhybrid.model.physics import Param, Physics

RNG = np.random.default_rng(0)


def line(x, *, slope=1.0, offset=0.5):
    return slope * x + offset


def make_parts(physics=line, **options):
    given = {
        "physics": None if physics is None else Physics(physics),
        "nn": (4,),
        "structure": "additive",
        "nn_features": None,
        "feature_names": None,
        "dtype": torch.float32,
        "device": torch.device("cpu"),
    }
    return Parts(**{**given, **options})


def make_rows(n_rows=50):
    x = RNG.uniform(1.0, 3.0, (n_rows, 2))
    return Rows.of(x, 2.0 * x[:, 0] - 1.0, None)


def test_physics_has_its_columns_and_no_network():
    model = assemble_physics(make_parts(nn_features=[1]), make_rows())
    assert model.physics_columns == [0]
    assert model.network_columns.tolist() == [1]
    assert model.network is None
    assert model.scales.target_scale.dtype == torch.float64


def test_least_squares_starts_where_the_physics_fits():
    parts, rows = make_parts(), make_rows()
    start, same, failure = least_squares_start(assemble_physics(parts, rows), parts, rows)
    assert failure is None
    assert same is rows
    assert start["slope"] == pytest.approx(2.0)
    assert start["offset"] == pytest.approx(-1.0)


def test_least_squares_looks_at_some_rows_of_a_long_table():
    seen = []

    def watched(x, *, slope=1.0):
        seen.append(len(x))
        return slope * x

    parts, rows = make_parts(watched), make_rows(3 * INIT_ROWS)
    least_squares_start(assemble_physics(parts, rows), parts, rows)
    assert set(seen) == {INIT_ROWS}


def test_least_squares_that_fails_says_why_and_returns_what_was_given():
    def refuses_double_precision(x, *, slope=1.5):
        return (slope * x[:, None]) @ torch.ones(1, 1)

    parts, rows = make_parts(refuses_double_precision), make_rows()
    start, _, failure = least_squares_start(assemble_physics(parts, rows), parts, rows)
    assert start["slope"] == 1.5
    assert "dtype" in failure


def test_nothing_to_fit_is_no_failure():
    rows, parts = make_rows(), make_parts(physics=None)
    assert least_squares_start(assemble_physics(parts, rows), parts, rows) == ({}, rows, None)
    fixed = Physics(line, slope=Param(3.0, fixed=True), offset=Param(0.0, fixed=True))
    parts = replace(parts, physics=fixed)
    start, _, failure = least_squares_start(assemble_physics(parts, rows), parts, rows)
    assert failure is None
    assert start["slope"] == 3.0


def test_the_whole_model_is_scaled_and_starts_at_the_start():
    parts, rows = make_parts(dtype=torch.float64), make_rows()
    start = {"slope": np.array(2.0), "offset": np.array(-1.0)}
    model = assemble_hybrid(parts, assemble_physics(parts, rows), rows, start, seed=0)
    x = torch.tensor(rows.x)
    inputs = model.network_inputs(x)
    torch.testing.assert_close(inputs.mean(0), torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(inputs.std(0, correction=0), torch.ones(2, dtype=torch.float64))
    origin = {name: torch.zeros(()) for name in model.space.shapes}
    torch.testing.assert_close(model.physics_part(x, origin), torch.tensor(rows.y))
    assert {p.dtype for p in model.network.parameters()} == {torch.float64}


def test_scales_of_an_earlier_fit_are_kept():
    parts, rows = make_parts(), make_rows()
    first = assemble_hybrid(parts, assemble_physics(parts, rows), rows, {}, seed=0)
    other = Rows.of(10.0 * rows.x, 10.0 * rows.y, None)
    physical = assemble_physics(parts, other)
    second = assemble_hybrid(parts, physical, other, {}, seed=0, scales=first.scales)
    assert second.scales is first.scales
