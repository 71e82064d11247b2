"""The model with its scales, at its start."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import make_settings, make_table

from skhybrid import HybridRegressor
from skhybrid.data.missing_targets import mask_missing
from skhybrid.data.rows import Rows
from skhybrid.exceptions import PhysicsError
from skhybrid.fitting.assemble import assemble_hybrid, assemble_physics
from skhybrid.fitting.inputs import FitInputs
from skhybrid.fitting.start import PhysicsStart
from skhybrid.model.parameters import EFFECT

RNG = np.random.default_rng(0)


def line(x, *, slope=1.0, offset=0.5):
    return slope * x + offset


def make_rows(n_rows: int = 50) -> Rows:
    x = RNG.uniform(1.0, 3.0, (n_rows, 2))
    return mask_missing(x, 2.0 * x[:, 0] - 1.0, None)


def assemble(settings, rows, start, **options):
    physical = assemble_physics(settings, FitInputs(rows), rows)
    x = torch.tensor(rows.x, dtype=settings.dtype)
    start = PhysicsStart(start, rows, physical)
    return assemble_hybrid(settings, rows, x, start, seed=0, **options)


def test_physics_has_its_columns_and_no_network():
    rows = make_rows()
    settings = make_settings(physics=line, nn_features=[1], dtype="float32")
    model = assemble_physics(settings, FitInputs(rows), rows)
    assert model.physics_columns == [0]
    assert model.network_columns.tolist() == [1]
    assert model.network is None
    assert model.scales.target_scale.dtype == torch.float64


def test_columns_are_bound_by_name():
    rows = make_rows()
    inputs = FitInputs(rows, feature_names=["other", "x"])
    settings = make_settings(physics=line, nn_features=["other"])
    model = assemble_physics(settings, inputs, rows)
    assert model.physics_columns == [1]
    assert model.network_columns.tolist() == [0]


def test_without_physics_there_are_no_columns_to_bind():
    rows = make_rows()
    model = assemble_physics(make_settings(physics=None), FitInputs(rows), rows)
    assert model.physics is None
    assert model.physics_columns is None
    assert model.network_columns is None


def test_model_is_scaled_and_has_the_parameters_of_the_start():
    settings, rows = make_settings(physics=line), make_rows()
    start = {"slope": np.array(2.0), "offset": np.array(-1.0)}
    model = assemble(settings, rows, start)
    x = torch.tensor(rows.x)
    inputs = model.network_inputs(x)
    torch.testing.assert_close(inputs.mean(0), torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(inputs.std(0, correction=0), torch.ones(2, dtype=torch.float64))
    initial = {name: torch.zeros(()) for name in model.space.shapes}
    torch.testing.assert_close(model.physics_part(x, initial), torch.tensor(rows.y))
    assert {p.dtype for p in model.network.parameters()} == {torch.float64}


def test_dtype_is_the_one_of_the_settings():
    model = assemble(make_settings(physics=line, dtype="float32"), make_rows(), {})
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}
    assert model.scales.target_scale.dtype == model.scales.feature_offset.dtype == torch.float32


def test_seed_decides_on_the_network():
    settings, rows = make_settings(physics=line), make_rows()
    start = PhysicsStart({}, rows, assemble_physics(settings, FitInputs(rows), rows))
    x = torch.tensor(rows.x)
    first, same, other = (
        assemble_hybrid(settings, rows, x, start, seed=seed).network[0].weight for seed in (0, 0, 1)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_scales_of_an_earlier_fit_are_kept():
    settings, rows = make_settings(physics=line, dtype="float32"), make_rows()
    first = assemble(settings, rows, {})
    other = mask_missing(10.0 * rows.x, 10.0 * rows.y, None)
    second = assemble(settings, other, {}, scales=first.scales)
    assert vars(second.scales).keys() == vars(first.scales).keys()
    for name, value in vars(second.scales).items():
        assert torch.equal(value, getattr(first.scales, name))


def test_effects_of_the_start_set_the_scales_of_theta():
    settings, rows = make_settings(physics=line), make_rows()
    physical = assemble_physics(settings, FitInputs(rows), rows)
    effects = {"slope": np.array(8.0), "offset": np.array(0.0)}
    start = PhysicsStart({}, rows, physical, effects)
    model = assemble_hybrid(settings, rows, torch.tensor(rows.x), start, seed=0)
    assert model.space.scales == {"slope": EFFECT / 8.0, "offset": 0.5}


def test_the_serial_structure_says_that_it_gives_no_arguments_to_the_physics():
    def drag(force, k, *, gain=1.0):
        return gain * force * k

    X, y = make_table()
    for table, said in ((X, "needs a column 'k'"), (X.to_numpy()[:, :1], "reads 2 features")):
        with pytest.raises(PhysicsError, match=said) as error:
            HybridRegressor(drag, structure="serial").fit(table, y)
        assert "gives no arguments to the physics" in str(error.value)
        assert "after a star" in str(error.value)
    with pytest.raises(PhysicsError) as error:
        HybridRegressor(drag).fit(X, y)
    assert "serial" not in str(error.value)
