"""A fit that was killed goes on from its checkpoint to the same result, bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from small_kills import assert_same_fits, fingerprint_of_everything, write_always
from small_models import StopAfter, drive, make_model, make_table
from small_swings import DT, SWINGS, make_swing_model

from skhybrid import ODE, HybridRegressor, LatentODE
from skhybrid.batching import auto_parameters
from skhybrid.exceptions import CheckpointError, CheckpointWarning, FitInterruptedWarning
from skhybrid.training import radius

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore::skhybrid.exceptions.PoorFitWarning"
)

X, Y = make_table()
QUICK = {"max_epochs": 6, "physics_init": "given"}
RNG = np.random.default_rng(0)
FILMS = RNG.normal(size=(4, 2, 3, 3)), RNG.normal(size=(4, 5, 3, 3))
WEIGHTS = np.linspace(0.5, 2.0, len(X))


@pytest.fixture(autouse=True)
def few_radii(monkeypatch):
    """Let "auto" compare two radii."""
    monkeypatch.setattr(auto_parameters, "RADII", (0.0, 0.1))


def dropout_model(**settings):
    network = torch.nn.Sequential(
        torch.nn.Linear(2, 6), torch.nn.Tanh(), torch.nn.Dropout(0.3), torch.nn.Linear(6, 1)
    )
    return make_model(nn=network, batch_size=10, **{**QUICK, **settings})


TABLES = {
    "one phase": make_model(**QUICK),
    "two phases": make_model(**QUICK, refine_rho=0.0, batch_size=10),
    "restarts": make_model(**QUICK, refine_rho=0.02, batch_size=10, n_restarts=3),
    "early stopping": make_model(
        **{**QUICK, "max_epochs": 12},
        **{"refine_rho": 0.0, "batch_size": 10, "n_restarts": 2, "early_stopping": True},
        **{"n_iter_no_change": 2, "learning_rate": 0.1},
    ),
    "adam in single precision": make_model(**QUICK, optimizer="adam", dtype="float32"),
    "non-finite losses": make_model(**QUICK, n_restarts=2, learning_rate=1e150, rho=0.0),
    "dropout": dropout_model(refine_rho=0.0),
    "auto": make_model(**{**QUICK, "max_epochs": 2}, rho="auto"),
}
SWINGING = {
    "windows that grow": make_swing_model(structure=ODE(dt=DT, window=(2, 4, 8)), refine_rho=0.0),
    "learned first states": make_swing_model(
        structure=ODE(dt=DT, window=4, initial_state="learned"), max_epochs=4
    ),
}


def killed_and_continued(model, epochs, folder, X, y, fractions, **params):
    """Return a fit that was killed after fractions of its epochs, and the whole fit."""
    whole = clone(model)
    n_epochs = epochs.count(lambda: whole.fit(X, y, **params))
    model = clone(model).set_params(checkpoint=folder)
    n_left = n_epochs
    for fraction in fractions:
        kill_in = max(1, int(fraction * n_left))
        epochs.kill(lambda: clone(model).fit(X, y, **params), kill_in)
        n_left -= kill_in - 1
        assert os.listdir(folder) or kill_in == 1
    assert epochs.count(lambda: model.fit(X, y, **params)) == n_left
    assert os.listdir(folder) == []
    return model, whole


@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.NonFiniteLossWarning")
@pytest.mark.parametrize("fractions", [(0.3,), (0.5, 0.7)])
@pytest.mark.parametrize("model", TABLES.values(), ids=TABLES)
def test_a_killed_fit_goes_on(model, fractions, epochs, tmp_path):
    if model.rho == "auto" and len(fractions) == 1:
        pytest.skip("one kill in each choice is enough")
    found, whole = killed_and_continued(
        model, epochs, tmp_path, X, Y, fractions, sample_weight=WEIGHTS
    )
    assert_same_fits(found, whole)
    np.testing.assert_array_equal(found.predict(X), whole.predict(X))


@pytest.mark.parametrize("model", SWINGING.values(), ids=SWINGING)
def test_a_killed_fit_of_trajectories_goes_on(model, epochs, tmp_path):
    data = SWINGS.data, SWINGS.target
    # Killed after about 20, 55 and 90 % of all epochs.
    found, whole = killed_and_continued(model, epochs, tmp_path, *data, [0.2, 0.45, 0.8])
    assert_same_fits(found, whole)
    np.testing.assert_array_equal(found.predict(SWINGS.data), whole.predict(SWINGS.data))


def test_a_killed_fit_of_images_goes_on(epochs, tmp_path):
    model = HybridRegressor(
        None,
        nn=(4,),
        structure=LatentODE(4, 4, n_states=2, dt=0.1, window=2),
        max_epochs=5,
        random_state=0,
    )
    found, whole = killed_and_continued(model, epochs, tmp_path, *FILMS, [0.6])
    assert_same_fits(found, whole)


def test_the_radius_goes_on(epochs, tmp_path, monkeypatch):
    monkeypatch.setattr(radius, "FULL_RADIUS_ERROR", 1.0)  # the radius depends on all losses
    for settings in ({}, {"functional_norm": 0.1, "n_restarts": 2, "refine_rho": 0.05}):
        model = make_model(**{**QUICK, "max_epochs": 30, "batch_size": 10, **settings})
        found, whole = killed_and_continued(model, epochs, tmp_path, X, Y, [0.8])
        assert_same_fits(found, whole)
        constant = clone(model).set_params(rho_schedule="constant").fit(X, Y)
        assert constant.loss_curve_ != whole.loss_curve_


# Which call goes on


CHANGES = {
    "rows": (lambda: {}, lambda X, y: (X * 1.001, y)),
    "targets": (lambda: {}, lambda X, y: (X, y + 1e-3)),
    "a rate": (lambda: {"learning_rate": 0.02}, lambda X, y: (X, y)),
    "the seed": (lambda: {"random_state": 1}, lambda X, y: (X, y)),
    "the precision": (lambda: {"dtype": "float32"}, lambda X, y: (X, y)),
    "the physics": (
        lambda: {"physics": lambda force, *, gain=1.0: gain * force},
        lambda X, y: (X, y),
    ),
}


@pytest.mark.parametrize(("settings", "data"), CHANGES.values(), ids=CHANGES)
def test_another_call_does_not_use_the_checkpoint(settings, data, epochs, tmp_path):
    model = make_model(**QUICK, checkpoint=tmp_path)
    epochs.kill(lambda: clone(model).fit(X, Y), 4)
    before = sorted(os.listdir(tmp_path))
    other = clone(model).set_params(**settings())
    assert epochs.count(lambda: other.fit(*data(X, Y))) == 6
    assert sorted(os.listdir(tmp_path)) == before
    assert epochs.count(lambda: model.fit(X, Y)) == 3


def test_clones_in_a_grid_search_have_checkpoints_of_their_own(epochs, tmp_path):
    model = make_model(**QUICK)
    grid = {"rho": [0.02, 0.05]}
    whole = GridSearchCV(model, grid, cv=2).fit(X, Y)
    search = GridSearchCV(clone(model).set_params(checkpoint=tmp_path), grid, cv=2)
    epochs.kill(lambda: clone(search).fit(X, Y), 10)
    n_epochs = epochs.count(lambda: search.fit(X, Y))
    assert n_epochs == 5 * 6 - 3  # the second fit goes on after three epochs
    scores = "mean_test_score"
    np.testing.assert_array_equal(search.cv_results_[scores], whole.cv_results_[scores])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("rho", [0.05, "auto"])
def test_without_random_state_the_seed_is_kept(rho, epochs, tmp_path):
    model = make_model(
        **{**QUICK, "max_epochs": 3}, random_state=None, checkpoint=tmp_path, rho=rho
    )
    fitted = clone(model)
    n_epochs = epochs.count(lambda: fitted.fit(X, Y))
    other = clone(model).fit(X, Y)
    assert other.loss_curve_ != fitted.loss_curve_  # every finished fit draws anew
    # How many radii "auto" compares depends on the seed.
    epochs.kill(lambda: clone(model).fit(X, Y), n_epochs - 1 if rho != "auto" else 3)
    assert os.listdir(tmp_path)
    n_left = epochs.count(lambda: model.fit(X, Y))
    assert rho == "auto" or n_left == 2
    assert os.listdir(tmp_path) == []


def test_a_random_state_counts_as_it_is(epochs, tmp_path):
    def model():
        state = np.random.RandomState(5)
        return make_model(**QUICK, checkpoint=tmp_path).set_params(random_state=state)

    whole = model().fit(X, Y)
    epochs.kill(lambda: model().fit(X, Y), 5)
    found = model()
    assert epochs.count(lambda: found.fit(X, Y)) == 2
    assert_same_fits(found, whole)


def test_a_warm_start_goes_on_from_its_own_checkpoint(epochs, tmp_path):
    first = make_model(**QUICK, warm_start=True).fit(X, Y)
    whole = make_model(**QUICK, warm_start=True).fit(X, Y).fit(X, Y)
    first.set_params(checkpoint=tmp_path)
    epochs.kill(lambda: first.fit(X, Y), 4)
    assert epochs.count(lambda: first.fit(X, Y)) == 3
    assert_same_fits(first, whole)


# Interrupts, callbacks, the physics alone


def test_after_an_interrupt_the_same_call_goes_on(epochs, monkeypatch, tmp_path):
    model = make_model(**QUICK, checkpoint=tmp_path)
    whole = make_model(**QUICK).fit(X, Y)
    run = epochs.run

    def interrupted(step, *args):
        if epochs.n_run == 4:
            raise KeyboardInterrupt
        return run(step, *args)

    epochs.n_run = 0
    monkeypatch.setattr(epochs, "run", interrupted)
    with pytest.warns(FitInterruptedWarning):
        model.fit(X, Y)
    assert model.n_iter_ == 4
    assert os.listdir(tmp_path)
    monkeypatch.setattr(epochs, "run", run)
    assert epochs.count(lambda: model.fit(X, Y)) == 2
    assert_same_fits(model, whole)
    assert os.listdir(tmp_path) == []


class Curves(StopAfter):
    """A callback that notes the loss curve it can see."""

    def __init__(self) -> None:
        super().__init__(10**6)
        self.seen = []

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        if context.task_name.endswith("epoch"):
            self.seen.append(fitted_estimator.loss_curve_)
        return False


def test_callbacks_see_the_epochs_that_are_left_and_the_whole_curve(epochs, tmp_path):
    model = make_model(**QUICK, refine_rho=0.0, checkpoint=tmp_path)
    for kill_in in (4, 9):
        epochs.kill(lambda: clone(model).fit(X, Y), kill_in)
        callback, found = Curves(), clone(model)
        n_epochs = epochs.count(lambda: found.set_callbacks(callback).fit(X, Y))  # noqa: B023
        assert n_epochs == len(callback.seen) == 13 - kill_in
        assert callback.seen[-1] == pytest.approx(found.loss_curve_)
        assert len(callback.seen[0]) == kill_in


def test_the_physics_alone_needs_no_checkpoint(tmp_path):
    model = make_model(nn=None, checkpoint=tmp_path / "new").fit(X, Y)
    assert model.physics_params_ == make_model(nn=None).fit(X, Y).physics_params_
    assert os.listdir(tmp_path / "new") == []


# Folders


def test_a_folder_that_cannot_be_used_is_an_error_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    calls = []

    def law(force, *, gain=1.0):
        calls.append(None)
        return gain * force

    model = make_model(physics=law, checkpoint=tmp_path / "file" / "folder")
    with pytest.raises(CheckpointError, match=r"file/folder' cannot be used: .*[Nn]ot a directory"):
        model.fit(X, Y)
    assert calls == []


def test_a_full_disk_does_not_end_a_fit(monkeypatch, tmp_path):
    write_always(monkeypatch)
    expected = make_model(**QUICK).fit(X, Y)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(CheckpointWarning, match="No space left") as caught:
        found = make_model(**QUICK, checkpoint=tmp_path).fit(X, Y)
    assert len([each for each in caught if each.category is CheckpointWarning]) == 1
    assert caught[0].filename == __file__
    assert_same_fits(found, expected)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_checkpoint_is_kept_aside(damage, epochs, tmp_path):
    model = make_model(**QUICK, checkpoint=tmp_path)
    epochs.kill(lambda: clone(model).fit(X, Y), 4)
    (path,) = tmp_path.glob("*.checkpoint")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content[:-7] if damage == "truncated" else content)
    with pytest.warns(CheckpointWarning, match=r"not used: .* kept as \S*\.damaged"):
        assert epochs.count(lambda: model.fit(X, Y)) == 6
    (left,) = os.listdir(tmp_path)
    assert left == path.name + ".damaged"


def test_fits_shorter_than_the_first_interval_write_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr("skhybrid.training.checkpoint.write_atomically", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CheckpointWarning)
        make_model(**QUICK, checkpoint=tmp_path).fit(X, Y)


# A real process


SCRIPT = textwrap.dedent(
    """
    import os, signal, sys
    sys.path.insert(0, {tests!r})
    from small_kills import fingerprint_of_everything
    from small_models import make_model, make_table
    from skhybrid.training import checkpoint, step

    checkpoint.FIRST_SECONDS = checkpoint.INTERVAL_SECONDS = checkpoint.COST_FACTOR = 0.0
    epoch, n_run = step.Step.epoch, 0

    def counted(own, *args):
        global n_run
        n_run += 1
        if n_run == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return epoch(own, *args)

    print(fingerprint_of_everything(), flush=True)
    step.Step.epoch = counted
    X, y = make_table()
    make_model(max_epochs=6, physics_init="given", checkpoint={folder!r}).fit(X, y)
    """
)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no such signal")
def test_a_killed_process_leaves_a_checkpoint_for_another(epochs, tmp_path):
    script = SCRIPT.format(tests=os.path.dirname(__file__), folder=str(tmp_path))
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.strip() == fingerprint_of_everything()
    model = make_model(physics=drive, **QUICK, checkpoint=tmp_path)
    assert epochs.count(lambda: model.fit(X, Y)) == 2
    assert_same_fits(model, make_model(**QUICK).fit(X, Y))
    assert os.listdir(tmp_path) == []
