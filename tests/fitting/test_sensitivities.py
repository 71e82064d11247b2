"""Sensitivities of the prediction: against closed forms and the Jacobian of least squares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_fits import make_data, make_hybrid

from skhybrid.fitting import sensitivities as module
from skhybrid.fitting.least_squares import fit_least_squares
from skhybrid.fitting.sensitivities import sensitivities
from skhybrid.model.param import Param
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics


def line(time, heat, *, slope=2.0, tilts=(0.5, 0.1), known=1.0):
    return slope * time + tilts[0] * heat + tilts[1] * heat**2 + known


PHYSICS = Physics(line, slope=Param(2.0, bounds=(0.0, 5.0)), known=Param(1.0, fixed=True))


def root_mean_square(columns):
    return np.sqrt(np.square(columns).mean(axis=0))


def make(n_rows=400):
    data = make_data(n_rows)
    hybrid = make_hybrid(data, PHYSICS)
    return hybrid, data, hybrid.initial_coordinates()


def test_sizes_are_those_of_the_derivatives(monkeypatch):
    monkeypatch.setattr(module, "N_COMBINATIONS", 2000)
    hybrid, data, z = make()
    found = sensitivities(hybrid, data, z)
    time, heat = data.x.unbind(1)
    unit = float(data.y.std())
    assert set(found) == {"slope", "tilts"}
    for columns, expected in (
        (found["slope"], time),
        (found["tilts"][:, 0], heat),
        (found["tilts"][:, 1], heat**2),
    ):
        size = float(expected.square().mean().sqrt()) / unit
        assert root_mean_square(columns) == pytest.approx(size, rel=0.1)


def test_columns_are_products_with_the_jacobian():
    hybrid, data, z = make(50)
    found = sensitivities(hybrid, data, z)
    generator = torch.Generator().manual_seed(0)
    time, unit = data.x[:, 0], data.y.std() * np.sqrt(50)
    for row in found["slope"]:
        coefficients = torch.randn(50, generator=generator).double()
        assert row == pytest.approx(float(coefficients @ time / unit))


def test_few_rows_of_many(monkeypatch):
    hybrid, data, z = make(3000)
    seen = []

    def counted(time, heat, *, slope=2.0, tilts=(0.5, 0.1), known=1.0):
        seen.append(len(time))
        return line(time, heat, slope=slope, tilts=tilts, known=known)

    PHYSICS_COUNTED = Physics(counted, **PHYSICS.params)
    hybrid = make_hybrid(data, PHYSICS_COUNTED)
    sensitivities(hybrid, data, z)
    assert seen == [module.MAX_NUMBERS]
    seen.clear()
    sensitivities(hybrid, data, z, all_rows=True)
    assert sum(seen) == 3000 and max(seen) <= module.MAX_NUMBERS


def test_rows_without_weight_do_not_count():
    hybrid, data, z = make(40)
    weight = torch.zeros(40, dtype=torch.float64)
    weight[:20] = 2.0
    found = sensitivities(hybrid, data._replace(weight=weight), z)
    x = data.x.clone()
    x[20:] = 100.0
    other = sensitivities(hybrid, data._replace(x=x, weight=weight), z)
    for name in found:
        np.testing.assert_allclose(found[name], other[name])


def test_there_are_no_more_combinations_than_numbers():
    hybrid, data, z = make(3)
    assert len(sensitivities(hybrid, data, z)["slope"]) == 3


def test_the_jacobian_of_least_squares_is_the_same():
    hybrid, data, _ = make(60)
    physical = hybrid.with_network(None)
    fit = fit_least_squares(physical, data)
    time, heat = data.x.unbind(1)
    unit = float(data.y.std()) * np.sqrt(60)
    assert set(fit.sensitivities) == {"slope", "tilts"}
    np.testing.assert_allclose(fit.sensitivities["slope"], time / unit, rtol=1e-6)
    np.testing.assert_allclose(fit.sensitivities["tilts"][:, 1], heat**2 / unit, rtol=1e-6)
    space = ParameterSpace(PHYSICS, fit.values)
    z = space.initial_coordinates()
    at_solution = sensitivities(hybrid.at(space, hybrid.scales), data, z)
    generator = torch.Generator().manual_seed(0)
    expected = np.stack(
        [torch.randn(60, generator=generator).double() @ (heat / unit) for _ in range(8)]
    )
    np.testing.assert_allclose(at_solution["tilts"][:, 0], expected, rtol=1e-6)
