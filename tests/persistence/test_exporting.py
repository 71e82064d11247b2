"""Exported programs predict what the model predicts, or there is an error."""

from __future__ import annotations

import importlib.util
import warnings

import numpy as np
import pytest
import torch
from group_fits import kinetics, make_model, make_rates
from small_models import drive, make_table
from small_saved import fitted, kept, make_records, tank

import skhybrid
from skhybrid import ODE
from skhybrid.datasets import pendulum
from skhybrid.exceptions import ExportError, UnknownGroupWarning
from skhybrid.persistence import exporting


@pytest.fixture
def path(tmp_path):
    return tmp_path / "program.pt2"


def predicted(path, *inputs) -> np.ndarray:
    """Return what the program in a file predicts."""
    program = torch.export.load(path).module()
    return program(*(torch.tensor(np.asarray(each), dtype=torch.float32) for each in inputs))


def assert_close(found, expected):
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def test_a_table(path):
    model, X, _ = kept("additive")
    skhybrid.export(model, path)
    assert_close(predicted(path, X), model.predict(X))
    far = 10.0 * X
    assert_close(predicted(path, far), model.predict(far))  # "hold" is in the program
    assert_close(predicted(path, X[:1]), model.predict(X[:1]))


@pytest.mark.parametrize("kind", ["custom", "two targets"])
def test_other_tables(kind, path):
    model, X, _ = kept(kind)
    skhybrid.export(model, path, example=X)
    assert_close(predicted(path, X), model.predict(X))


@pytest.mark.parametrize("given", [True, False])
def test_groups_with_texts(given, path):
    X, y = make_rates(4)
    model = make_model(max_epochs=5).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        skhybrid.export(model, path, example=X if given else None)
    new = X.assign(site=X["site"].replace("a", "elsewhere"))
    codes = model.group_params_["vmax"].index.get_indexer(new["site"])
    assert set(codes) == {-1, 1, 2, 3}
    with pytest.warns(UnknownGroupWarning):
        assert_close(predicted(path, new.assign(site=codes)), model.predict(new))


def test_groups_in_an_array_of_texts(path):
    X, y = make_rates(4)
    model = make_model(kinetics(per=1), max_epochs=5).fit(X.to_numpy(dtype=object), y)
    skhybrid.export(model, path)
    skhybrid.export(model, path, example=X.to_numpy(dtype=str))
    codes = np.stack([X["substrate"], np.repeat(np.arange(4), 4)], axis=1)
    assert_close(predicted(path, codes), model.predict(X.to_numpy(dtype=object)))


def test_a_rollout_of_a_hundred_steps(path):
    model, X, _ = kept("states")
    times = 0.3 * np.arange(1, 101)
    skhybrid.export(model, path, example=X, times=times)
    assert_close(predicted(path, X), model.predict(X, times=times))
    assert len(torch.export.load(path).graph.nodes) < 100  # a loop, not a hundred steps


def test_records(path):
    inputs, y = make_records(n_times=6)
    times = np.broadcast_to(0.1 * np.arange(6)[None, :, None] ** 1.1, inputs.shape)
    X = np.concatenate([times, inputs], axis=2)
    structure = ODE(times=0, inputs="linear", substeps=1)
    model = fitted(X, y[..., 0], tank, structure=structure).model
    with pytest.raises(ExportError, match="example=X"):
        skhybrid.export(model, path)
    first = np.linspace(0.0, 1.0, len(X))[:, None]
    skhybrid.export(model, path, example=X, initial_states=first)
    assert_close(predicted(path, X, first), model.predict(X, initial_states=first))
    X[1, :, 0] *= 2.0
    with pytest.raises(ExportError, match="same times"):
        skhybrid.export(model, path, example=X)


def test_records_of_different_lengths(path):
    inputs, y = make_records(n_times=6)
    X, y = [inputs[0], inputs[1, :4], inputs[2]], [y[0], y[1, :4], y[2]]
    model = fitted(X, y, tank, structure=ODE(dt=0.1, inputs="hold", substeps=1)).model
    with pytest.raises(ExportError, match=r"from 4 to 6 times.*filled up to 6 rows"):
        skhybrid.export(model, path, example=X)
    # The advice: a program of the longest, and shorter records filled up.
    skhybrid.export(model, path, example=[X[0]])
    filled = np.stack([np.concatenate([X[1], X[1][-1:], X[1][-1:]])])
    assert_close(predicted(path, filled)[:, :4], model.predict([X[1]]))


def test_records_with_columns_of_initial_states(path):
    inputs, y = make_records(n_times=6)
    times = np.broadcast_to(0.1 * np.arange(6)[None, :, None], inputs.shape)
    X = np.concatenate([times, inputs, np.broadcast_to(y[:, :1], y.shape)], axis=2)
    structure = ODE(times=0, inputs="hold", substeps=1, initial_state=[2])
    model = fitted(X, y, tank, structure=structure).model
    X[1, :, 2] = np.nan  # unknown: the mean of training
    skhybrid.export(model, path, example=X)
    assert_close(predicted(path, X), model.predict(X))
    other = X[::-1].copy()
    assert_close(predicted(path, other), model.predict(other))


def test_a_rollout_with_a_rate_that_depends_on_a_state(path):
    model, X, _ = kept("states, a rate by a state")
    skhybrid.export(model, path, example=X)
    assert_close(predicted(path, X), model.predict(X))


def test_images(path):
    model, _, _ = kept("images")
    skhybrid.export(model, path)  # which compares the program with ``predict``
    assert path.exists()


def test_what_a_loop_cannot_hold(path):
    model, X, _ = kept("partly observed")  # its join has a constant tensor
    skhybrid.export(model, path, example=X, times=[0.2])
    assert_close(predicted(path, X), model.predict(X, times=[0.2]))


def test_adaptive_solvers(path):
    swings = kept("states").X
    y = np.stack([swings, swings], axis=1)
    structure = ODE(dt=0.3, method="dopri5")
    model = fitted(swings, y, pendulum, structure=structure, nn=None).model
    with pytest.raises(ExportError, match=r"'dopri5' chooses its steps.*rk4"):
        skhybrid.export(model, path)


def in_numpy(force, *, gain=1.0, offset=0.0):
    return gain * torch.tensor(np.asarray(force.detach()))


def branching(force, *, gain=1.0, offset=0.0):
    return gain * force if force.mean() < 100.0 else -gain * force


@pytest.mark.parametrize("physics", [in_numpy, branching])
def test_physics_that_cannot_be_recorded(physics, path):
    X, y = make_table(30)
    model = fitted(X, y, drive).model
    model._fitted.hybrid.physics.function = physics  # such a fit would take long, member by member
    with pytest.raises(ExportError, match="stay within torch"):
        skhybrid.export(model, path)
    assert not path.exists()


def test_a_program_that_differs(path, monkeypatch):
    model, X, _ = kept("additive")
    monkeypatch.setattr(model, "predict", lambda X: np.full(len(X), 3.0))
    with pytest.raises(ExportError, match="differs from predict by up to"):
        skhybrid.export(model, path, example=X)


@pytest.mark.parametrize(
    ("name", "format", "match"),
    [
        ("p.onnx", "torch", "does not fit"),
        ("p.pt2", "onnx", "does not fit"),
        ("p", "jit", "one of"),
    ],
)
def test_formats(name, format, match, tmp_path):
    with pytest.raises(ValueError, match=match):
        skhybrid.export(kept("additive").model, tmp_path / name, format=format)


def test_missing_packages(path, monkeypatch):
    find = importlib.util.find_spec
    missing = lambda name: None if name == "onnxscript" else find(name)  # noqa: E731
    monkeypatch.setattr(exporting.importlib.util, "find_spec", missing)
    with pytest.raises(ExportError, match=r"skhybrid\[onnx\]"):
        skhybrid.export(kept("additive").model, path.with_suffix(".onnx"), format="onnx")


@pytest.mark.parametrize("kind", ["additive", "states", "inputs", "images"])
def test_onnx(kind, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    model, X, _ = kept(kind)
    path = tmp_path / "program.onnx"
    skhybrid.export(model, path, format="onnx", example=X)
    session = runtime.InferenceSession(path)
    (found,) = session.run(["prediction"], {"X": np.asarray(X, dtype=np.float32)})
    np.testing.assert_allclose(found, model.predict(X), rtol=1e-4, atol=1e-4)
