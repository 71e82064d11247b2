"""Sharpness of fitted networks, against whole Hessians and steps by hand."""

from __future__ import annotations

import copy
import sys

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from small_models import make_model
from small_trajectories import DT, make_oscillations, spring
from torch import nn

from skhybrid import ODE, HybridRegressor
from skhybrid.inspection import sharpness
from skhybrid.inspection.sharpness import largest_eigenvalue

RHO = 0.1
LINEAR = nn.Linear(2, 1, bias=False)
DEEP_LINEAR = nn.Sequential(nn.Linear(2, 5, bias=False), nn.Linear(5, 1))
N_ROWS = 40
WEIGHT = np.linspace(0.0, 2.0, N_ROWS)


@pytest.fixture(scope="module")
def fitted(table):
    return make_model(nn=(8, 4)).fit(*table)


def loss_of(model, X, y, weight=None):
    """Return the loss as a function of the network's parameters, and these parameters."""
    hybrid, coordinates = model._fitted.hybrid, model._fitted.coordinates
    x, y = torch.tensor(X.to_numpy()), torch.tensor(y)
    weight = torch.ones(len(y)) if weight is None else torch.tensor(weight / weight.mean())
    start = {name: each.detach().clone() for name, each in hybrid.network.named_parameters()}

    def loss(parameters):
        prediction = hybrid(x, coordinates, {**start, **parameters})
        return (weight * ((prediction - y) / hybrid.scales.target_scale) ** 2).mean()

    return loss, start


def gap_and_eigenvalues(model, X, y, names):
    """Return the gap of some layers by hand, and the eigenvalues of their whole Hessian."""
    loss, start = loss_of(model, X, y)
    shapes = [start[name].shape for name in names]
    sizes = [shape.numel() for shape in shapes]
    units = torch.cat([start[n].norm().expand(size) for n, size in zip(names, sizes, strict=True)])

    def of_relative(flat):
        pieces = (flat * units).split(sizes)
        layers = zip(names, pieces, shapes, strict=True)
        return loss({name: piece.view(shape) for name, piece, shape in layers})

    relative = torch.cat([start[name].flatten() for name in names]) / units
    hessian = torch.autograd.functional.hessian(of_relative, relative)
    (slope,) = torch.func.jacrev(of_relative)(relative).split(len(relative))
    along = torch.cat([piece / piece.norm() for piece in slope.split(sizes)])
    gap = of_relative(relative + RHO * along) - of_relative(relative)
    return float(gap), torch.linalg.eigvalsh(hessian).numpy()


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_a_linear_network_has_the_curvature_of_its_inputs(table, weight):
    X, y = table
    model = make_model(nn=LINEAR).fit(X, y, sample_weight=weight)
    found = sharpness(model, X, y, rho=RHO, sample_weight=weight).layers["weight"]
    hybrid = model._fitted.hybrid
    inputs = hybrid.network_inputs(torch.tensor(X.to_numpy())).numpy()
    relative = np.ones(N_ROWS) if weight is None else weight / weight.mean()
    hessian = 2.0 * inputs.T @ (relative[:, None] * inputs) / N_ROWS
    w = hybrid.network.weight.detach().numpy().ravel()
    error = (model.predict(X) - y) / float(hybrid.scales.target_scale)
    gradient = 2.0 * inputs.T @ (relative * error) / N_ROWS
    step = RHO * np.linalg.norm(w) * gradient / np.linalg.norm(gradient)
    assert found.norm == pytest.approx(np.linalg.norm(w))
    assert found.gap == pytest.approx(gradient @ step + step @ hessian @ step / 2.0)
    assert found.curvature == pytest.approx(w @ w * np.linalg.eigvalsh(hessian)[-1])


def test_layers_have_the_eigenvalues_of_their_hessians(fitted, table):
    found = sharpness(fitted, *table, rho=RHO)
    names = ["0.weight", "2.weight", "4.weight"]
    assert [*found.layers] == names
    for name in names:
        gap, eigenvalues = gap_and_eigenvalues(fitted, *table, [name])
        assert found.layers[name].gap == pytest.approx(gap)
        assert found.layers[name].curvature == pytest.approx(eigenvalues[-1], rel=1e-6)
    gap, eigenvalues = gap_and_eigenvalues(fitted, *table, names)
    assert found.together.gap == pytest.approx(gap)
    assert found.together.curvature == pytest.approx(eigenvalues[-1], rel=1e-6)
    assert found.together.n_weights == 2 * 8 + 8 * 4 + 4
    assert found.loss == pytest.approx(fitted.loss_)


@pytest.mark.parametrize("size", [5, 60])
def test_the_largest_eigenvalue_is_found_beside_a_larger_negative_one(size):
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(size, size)))
    matrix = basis @ np.diag(np.linspace(-9.0, 3.0, size)) @ basis.T
    start = np.random.RandomState(0)
    assert largest_eigenvalue(matrix.dot, size, start) == pytest.approx(3.0, rel=1e-6)
    assert largest_eigenvalue(np.zeros_like, size, start) == 0.0
    assert np.isnan(largest_eigenvalue(lambda vector: vector * np.nan, size, start))


def test_sharpness_does_not_depend_on_the_scales_of_layers(table):
    model = make_model(nn=DEEP_LINEAR).fit(*table)
    before = sharpness(model, *table)
    scaled = copy.deepcopy(model)
    with torch.no_grad():
        scaled._fitted.hybrid.network[0].weight.mul_(8.0)
        scaled._fitted.hybrid.network[1].weight.div_(8.0)
    after = sharpness(scaled, *table)
    for name, layer in before.rows.items():
        assert after.rows[name]["gap"] == pytest.approx(layer["gap"])
        assert after.rows[name]["curvature"] == pytest.approx(layer["curvature"], rel=1e-6)


def test_chunks_of_rows_give_the_same(fitted, table, monkeypatch):
    whole = sharpness(fitted, *table)
    monkeypatch.setattr(sys.modules["skhybrid.inspection.sharpness"], "ROWS_AT_ONCE", 7)
    parts = sharpness(fitted, *table)
    for name, row in whole.rows.items():
        assert parts.rows[name] == pytest.approx(row, rel=1e-6)


def test_the_model_stays_as_it_is(fitted, table):
    before = copy.deepcopy(fitted.module_.state_dict())
    sharpness(fitted, *table)
    after = fitted.module_.state_dict()
    assert all(torch.equal(before[name], each) for name, each in after.items())


@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.FreeRunWarning")
def test_windows_of_a_differential_equation():
    X, y = make_oscillations()
    structure = ODE(dt=DT, window=3)
    model = HybridRegressor(
        spring, nn=(5,), structure=structure, max_epochs=2, dtype="float64", random_state=0
    ).fit(X, y)
    found = sharpness(model, X, y)
    assert found.loss == pytest.approx(model.loss_)
    assert found.reason == ""
    # Beyond a radius so small that only the slope counts, the loss rises faster.
    small = sharpness(model, X, y, rho=1e-4)
    assert found.together.gap / small.together.gap > 0.05 / 1e-4
    assert found.together.curvature >= max(each.curvature for each in found.layers.values())


@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.FreeRunWarning")
def test_an_adjoint_equation_has_no_curvature():
    X, y = make_oscillations(3, 4)
    structure = ODE(dt=DT, method="bdf", window=2)
    model = HybridRegressor(
        spring, nn=(3,), structure=structure, max_epochs=1, refine_rho=None, dtype="float64"
    ).fit(X, y)
    found = sharpness(model, X, y)
    assert found.together.gap > 0
    assert np.isnan(found.together.curvature)
    assert "adjoint" in str(found)


def test_a_pipeline_and_tables_of_the_result(fitted, table):
    X, y = table
    pipeline = make_pipeline(FunctionTransformer(), make_model(nn=(8, 4))).fit(X, y)
    found = sharpness(pipeline, X, y)
    assert found.rows == sharpness(fitted, X, y).rows
    assert [*found.frame.columns] == ["weights", "norm", "gap", "curvature"]
    assert found.frame.loc["all layers", "gap"] == found.together.gap
    assert "ρ = 0.05" in str(found)
    assert "4.weight" in str(found)
    assert "<table" in found._repr_html_()


def test_what_cannot_be_measured_is_said(fitted, table):
    with pytest.raises(NotFittedError):
        sharpness(make_model(), *table)
    with pytest.raises(ValueError, match="no network"):
        sharpness(make_model(nn=None).fit(*table), *table)
    for rho in (0.0, -1.0, np.inf, "auto"):
        with pytest.raises(ValueError, match="rho must be a positive number"):
            sharpness(fitted, *table, rho=rho)


class OnlyBias(nn.Module):
    """A network that is a constant."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, inputs):
        return self.bias.expand(len(inputs), 1)


@pytest.mark.filterwarnings("ignore")
def test_a_network_without_weights_is_refused(table):
    model = make_model(nn=OnlyBias()).fit(*table)
    with pytest.raises(ValueError, match="no trained weights"):
        sharpness(model, *table)
