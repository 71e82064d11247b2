"""A saved model is the same model after loading, or there is an error that says what to do."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import drive, make_table
from small_saved import KINDS, TINY, Net, kept, same

import skhybrid
from skhybrid import HybridRegressor, HybridSearchCV, Param, Physics
from skhybrid.exceptions import SavedModelError
from skhybrid.persistence import saving
from skhybrid.runtime.state_files import pack_state, unpack_state

OLD = Path(__file__).parent / "saved_by_0_1_0.safetensors"
ATTRIBUTES = ("physics_params_", "loss_", "loss_curve_", "restarts_", "n_iter_", "physics_share_")


def rewritten(content: bytes, **header) -> bytes:
    """Return the content of a file with another header, and a checksum that fits."""
    state, old = unpack_state(content)
    return pack_state(state, old | header)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Return the file of a small model."""
    path = tmp_path_factory.mktemp("saved") / "model"
    skhybrid.save(kept("additive").model, path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_comes_back(kind, path):
    model, X, code = kept(kind)
    skhybrid.save(model, path)
    loaded = skhybrid.load(path, **code)
    assert same(loaded.predict(X), model.predict(X))
    assert same(loaded.predict_parts(X), model.predict_parts(X))
    assert str(loaded.summary()) == str(model.summary())
    own = {name for name in vars(model) if not name.startswith("_skl")}
    assert set(vars(loaded)) == own
    for name in own - {"_fitted", "module_", "physics", "nn", "structure"}:
        assert same(vars(loaded)[name], vars(model)[name]), name
    assert str(clone(loaded)) == str(clone(model))


def test_it_scores_and_saves_the_same_again(path):
    X, y = make_table(30)
    model = kept("additive").model
    skhybrid.save(model, path)
    loaded = skhybrid.load(path, physics=drive)
    assert loaded.score(X, y) == model.score(X, y)
    skhybrid.save(loaded, path)
    assert same(skhybrid.load(path, physics=drive).predict(X), model.predict(X))


@pytest.mark.parametrize("kind", ["additive", "physics alone"])
def test_it_can_be_fitted_on(kind, path):
    X, y = make_table(30)
    model = clone(kept(kind).model).set_params(warm_start=True).fit(X, y)
    skhybrid.save(model, path)
    loaded = skhybrid.load(path, physics=drive).fit(X, y)
    assert same(loaded.predict(X), model.fit(X, y).predict(X))


def test_it_does_not_share_parts_with_its_settings(path):
    model, X, code = kept("states")
    skhybrid.save(model, path)
    loaded = skhybrid.load(path, **code)
    expected = loaded.predict(X)
    loaded.structure.set_params(dt=1.0)
    assert same(loaded.predict(X), expected)


def test_other_process(tmp_path):
    model, X, _ = kept("custom")
    skhybrid.save(model, tmp_path / "model")
    np.save(tmp_path / "expected.npy", model.predict(X))
    X.to_csv(tmp_path / "X.csv", index=False)
    code = """
import numpy as np, pandas as pd, sys
import skhybrid
from small_models import drive
structure = lambda x, physics, nn: physics(x) + nn(x, physics(x))
model = skhybrid.load("model", physics=drive, structure=structure)
X = pd.read_csv("X.csv", float_precision="round_trip")
assert np.array_equal(model.predict(X), np.load("expected.npy"))
"""
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join([str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_old_files_stay_readable():
    X, _ = make_table(10, seed=1)
    loaded = skhybrid.load(OLD, physics=drive)
    expected = np.load(OLD.with_suffix(".npy"))
    # Another machine rounds in another way.
    np.testing.assert_allclose(loaded.predict(X), expected, rtol=1e-5, atol=1e-5)
    assert list(loaded.feature_names_in_) == ["force", "angle"]
    assert loaded.summary().frame.loc["gain", "unit"] == "V/N"


def test_any_changed_byte_is_an_error(content, path):
    for place in range(0, len(content), 41):
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(changed)
        with pytest.raises(SavedModelError, match="damaged"):
            skhybrid.load(path, physics=drive)


@pytest.mark.parametrize("part", [0, 5, 1000])
def test_files_that_end_early_are_errors(content, part, path):
    path.write_bytes(content[:part])
    with pytest.raises(SavedModelError, match="damaged"):
        skhybrid.load(path, physics=drive)


def test_nothing_is_unpickled(path):
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(SavedModelError, match=r"no file of skhybrid\.save"):
        skhybrid.load(path)


def test_another_file_of_skhybrid(path):
    path.write_bytes(pack_state({}, {"fingerprint": "1"}))
    with pytest.raises(SavedModelError, match="is no saved model"):
        skhybrid.load(path)


@pytest.mark.parametrize("newer", [{"skhybrid": "99.0"}, {"format_version": 99}])
def test_newer_files(content, newer, path):
    path.write_bytes(rewritten(content, **newer))
    with pytest.raises(SavedModelError, match="newer than this version"):
        skhybrid.load(path, physics=drive)


def test_a_record_that_this_version_does_not_know(content, path):
    state, header = unpack_state(content)
    items = state["fit"]["items"]
    items.append(["shoe_size", 43])
    path.write_bytes(pack_state(state, header))
    with pytest.raises(SavedModelError, match="'shoe_size' of Fitted"):
        skhybrid.load(path, physics=drive)


def other_physics(force, *, gain=1.0, offset=0.1):
    return gain * force**1.1 + offset


def other_names(power, *, gain=1.0, offset=0.1):
    return gain * power + offset


def more_params(force, *, gain=1.0, offset=0.1, leak=0.0):
    return gain * force + offset - leak


@pytest.mark.parametrize(
    ("code", "match"),
    [
        ({}, r"its physics 'drive' is code.*physics=drive"),
        ({"physics": other_physics}, "standard deviations of the target"),
        ({"physics": other_names}, r"reads \(power\)"),
        ({"physics": more_params}, "'leak'"),
        ({"physics": Physics(drive, gain=Param(1.0, unit="mV/N"))}, "unit 'mV/N'"),
        ({"physics": Physics(drive, gain=[1.0, 2.0])}, r"shape \(2,\)"),
        ({"physics": drive, "nn": (5,)}, r"nn=\(4,\)"),
        ({"physics": drive, "nn": Net()}, r"module 'Net'"),
        ({"physics": drive, "structure": "serial"}, "'additive'"),
    ],
)
def test_code_that_does_not_fit(content, path, code, match):
    path.write_bytes(content)
    with pytest.raises(SavedModelError, match=match):
        skhybrid.load(path, **code)


def test_parts_that_the_file_knows_may_be_given(content, path):
    path.write_bytes(content)
    loaded = skhybrid.load(path, physics=drive, nn=[4], structure="additive", device="cpu")
    assert loaded.nn == (4,)


def test_a_network_of_another_kind(path):
    skhybrid.save(kept("own network").model, path)
    with pytest.raises(SavedModelError, match=r"load\(path, nn=Net"):
        skhybrid.load(path, physics=drive)
    with pytest.raises(SavedModelError, match=r"'0.weight' has shape \(3, 2\) in the file"):
        skhybrid.load(path, physics=drive, nn=Net(width=4))
    with pytest.raises(SavedModelError, match="standard deviations of the target"):
        skhybrid.load(path, physics=drive, nn=Net(activation=torch.nn.ReLU))


def test_code_that_fails(path):
    skhybrid.save(kept("custom").model, path)
    with pytest.raises(SavedModelError, match=r"loaded: structure must return shape"):
        skhybrid.load(path, physics=drive, structure=wrong)


def wrong(x, physics, nn):
    return physics(x)[:2]


def test_a_device_that_is_not_there(content, path):
    path.write_bytes(content)
    with pytest.raises(SavedModelError, match=r"device='xpu:77' cannot be used"):
        skhybrid.load(path, physics=drive, device="xpu:77")


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: make_pipeline(StandardScaler(), HybridRegressor(drive)), r"pipeline\[-1\]"),
        (lambda: GridSearchCV(HybridRegressor(drive), {"rho": [0.1]}), "best_estimator_"),
        (lambda: HybridSearchCV(HybridRegressor(drive), {"rho": [0.1]}), "best_estimator_"),
        (StandardScaler, "Give a fitted HybridRegressor"),
        (type("Mine", (HybridRegressor,), {}), "subclass"),
    ],
)
def test_other_estimators(make, match, path):
    with pytest.raises(SavedModelError, match=match):
        skhybrid.save(make(), path)


def test_unfitted(path):
    with pytest.raises(NotFittedError):
        skhybrid.save(HybridRegressor(drive), path)
    assert not path.exists()


def test_a_setting_that_cannot_be_stored(path):
    model = clone(kept("additive").model).fit(*make_table(30)).set_params(verbose=object())
    with pytest.raises(SavedModelError, match=r"verbose is of the type builtins\.object"):
        skhybrid.save(model, path)


def test_settings_changed_after_the_fit(path):
    model = clone(kept("additive").model).fit(*make_table(30)).set_params(nn=(5,))
    with pytest.raises(SavedModelError, match="fit the model again"):
        skhybrid.save(model, path)


def test_random_states_and_lambdas(path):
    X, y = make_table(30)
    settings = {**TINY, "random_state": np.random.RandomState(1)}
    model = HybridRegressor(lambda force, *, gain=1.0: gain * force, **settings).fit(X, y)
    skhybrid.save(model, path)
    loaded = skhybrid.load(path, physics=lambda force, *, gain=2.0: gain * force)
    assert same(loaded.predict(X), model.predict(X))
    assert loaded.random_state.randint(1000) == model.random_state.randint(1000)
    with pytest.raises(SavedModelError, match=r"physics=\.\.\.\)"):
        skhybrid.load(path)


def test_physics_that_draws(path):
    def noisy(force, *, gain=1.0):
        return gain * force + 1e-3 * torch.rand_like(force)

    X, y = make_table(30)
    skhybrid.save(HybridRegressor(noisy, nn=None).fit(X, y), path)
    assert skhybrid.load(path, physics=noisy).predict(X).shape == y.shape


def test_paths(path, monkeypatch, tmp_path):
    model = kept("additive").model
    monkeypatch.chdir(tmp_path)
    skhybrid.save(model, "name")
    assert skhybrid.load("name", physics=drive).loss_ == model.loss_
    with pytest.raises(FileNotFoundError, match="does not exist"):
        skhybrid.save(model, tmp_path / "none" / "model")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        skhybrid.save(model, tmp_path)
    for wrong in ("", 3):
        with pytest.raises(TypeError, match="name of a file"):
            skhybrid.save(model, wrong)


def test_an_existing_file_is_replaced_whole(path, monkeypatch):
    path.write_text("before")
    monkeypatch.setattr(saving, "model_state", lambda model: {"nn": object()})
    with pytest.raises(TypeError):
        skhybrid.save(kept("additive").model, path)
    assert path.read_text() == "before"
    monkeypatch.undo()
    skhybrid.save(kept("additive").model, path)
    assert skhybrid.load(path, physics=drive).n_features_in_ == 2
    assert list(path.parent.iterdir()) == [path]
