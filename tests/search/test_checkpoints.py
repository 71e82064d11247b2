"""A search that was killed keeps its finished batches and goes on, bit for bit."""

from __future__ import annotations

import functools
import os
import signal
import warnings

import numpy as np
import pytest
from small_kills import assert_same_fits, drive_and_kill, write_always
from small_models import make_model, make_table
from small_searches import split_scores

from skhybrid import HybridSearchCV
from skhybrid.batching import batch_workers
from skhybrid.exceptions import CheckpointWarning, WorkerKilledError, WorkerKilledWarning

X, Y = make_table(48)
GRID = {"rho": [0.02, 0.05], "l2": [0.0, 0.1]}
SETTINGS = {"refine_rho": 0.0, "batch_size": 16, "max_epochs": 3, "physics_init": "given"}


def make_search(checkpoint=None, *, model=None, **options) -> HybridSearchCV:
    """Return a search with three batches."""
    model = model or make_model(**SETTINGS)
    options = {"cv": 2, "max_members": 3, "checkpoint": checkpoint, **options}
    return HybridSearchCV(model, GRID, **options)


def assert_same_searches(found, expected):
    np.testing.assert_array_equal(split_scores(found), split_scores(expected))
    assert_same_fits(found.best_estimator_, expected.best_estimator_)


@pytest.mark.parametrize("fraction", [0.1, 0.4, 0.7, 0.99])
def test_a_killed_search_goes_on(fraction, epochs, tmp_path):
    whole = make_search()
    n_epochs = epochs.count(lambda: whole.fit(X, Y))
    kill_in = max(1, int(fraction * n_epochs))
    epochs.kill(lambda: make_search(tmp_path).fit(X, Y), kill_in)
    found = make_search(tmp_path)
    assert epochs.count(lambda: found.fit(X, Y)) == n_epochs - kill_in + 1
    assert_same_searches(found, whole)
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("capsys")
def test_verbose_fits_are_kept_too(epochs, tmp_path):
    model = make_model(**SETTINGS, verbose=1)
    whole = make_search(model=model)
    n_epochs = epochs.count(lambda: whole.fit(X, Y))
    epochs.kill(lambda: make_search(tmp_path, model=model).fit(X, Y), n_epochs // 2)
    found = make_search(tmp_path, model=model)
    assert epochs.count(lambda: found.fit(X, Y)) == n_epochs - n_epochs // 2 + 1
    assert_same_searches(found, whole)


def test_without_random_state_one_seed_is_kept(epochs, tmp_path):
    model = make_model(**SETTINGS, random_state=None)
    n_epochs = epochs.count(lambda: make_search(tmp_path, model=model).fit(X, Y))
    epochs.kill(lambda: make_search(tmp_path, model=model).fit(X, Y), n_epochs - 1)
    assert epochs.count(lambda: make_search(tmp_path, model=model).fit(X, Y)) == 2


def test_another_search_trains_all_its_fits(epochs, tmp_path):
    epochs.kill(lambda: make_search(tmp_path).fit(X, Y), 15)
    other = make_search(tmp_path)
    n_epochs = epochs.count(lambda: make_search().fit(X, 1.01 * Y))
    assert epochs.count(lambda: other.fit(X, 1.01 * Y)) == n_epochs


def test_warnings_of_finished_batches_come_again(epochs, tmp_path):
    def branching(force, *, gain=1.0):
        return gain * force if float(gain.detach()) < 100 else force

    model = make_model(**SETTINGS, physics=branching)
    epochs.kill(lambda: make_search(tmp_path, model=model).fit(X, Y), 10)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make_search(tmp_path, model=model, refit=False).fit(X, Y)
    said = [each for each in caught if "vectorised" in str(each.message)]
    assert len(said) == 1
    assert said[0].filename == __file__


def test_a_damaged_result_is_trained_again(epochs, tmp_path):
    whole = make_search().fit(X, Y)
    epochs.kill(lambda: make_search(tmp_path).fit(X, Y), 10)
    path = max(tmp_path.glob("*.checkpoint"), key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1])
    found = make_search(tmp_path)
    with pytest.warns(CheckpointWarning, match="damaged"):
        found.fit(X, Y)
    assert_same_searches(found, whole)


# Worker processes


def killing_model(folder, n_kills):
    """Return a model whose physics kills this number of workers."""
    physics = functools.partial(drive_and_kill, folder=folder, n_kills=n_kills, parent=os.getpid())
    return make_model(**SETTINGS, physics=physics)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no such signal")
def test_after_a_worker_was_killed_new_ones_go_on(monkeypatch, tmp_path):
    write_always(monkeypatch)
    (tmp_path / "kills").mkdir()
    model = killing_model(str(tmp_path / "kills"), 1)
    whole = make_search(model=model).fit(X, Y)
    found = make_search(tmp_path / "states", model=model, n_jobs=2, max_members=2)
    expected = make_search(model=model, max_members=2).fit(X, Y)
    with pytest.warns(WorkerKilledWarning, match="New workers train the") as caught:
        found.fit(X, Y)
    assert caught[0].filename == __file__
    assert len(os.listdir(tmp_path / "kills")) == 1
    assert os.listdir(tmp_path / "states") == []
    assert_same_searches(found, expected)
    np.testing.assert_allclose(split_scores(found), split_scores(whole), rtol=1e-9)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no such signal")
def test_workers_that_are_killed_again_and_again_end_the_search(monkeypatch, tmp_path):
    monkeypatch.setattr(batch_workers, "MAX_KILLS", 0)
    search = make_search(model=killing_model(str(tmp_path), 100), n_jobs=2)
    with pytest.raises(WorkerKilledError, match=r"killed 1 time, and .* n_jobs=2"):
        search.fit(X, Y)
