"""First guesses of free states: the slow part of what the physics lacks."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid import ODE, HybridRegressor
from skhybrid.fitting import prepare
from skhybrid.fitting.free_state_guess import with_guessed_free_states
from skhybrid.fitting.inputs import read_inputs
from skhybrid.fitting.settings import FitSettings

HOURS = 40


def simulate(n=4):
    """Return heating, and the temperatures of rooms and of walls that nobody measures."""
    rng = np.random.default_rng(0)
    heating = rng.uniform(0.0, 2.0, (n, HOURS, 1))
    room, wall = rng.uniform(15.0, 25.0, (2, n))
    rooms, walls = [], []
    for hour in range(HOURS):
        rooms.append(room)
        walls.append(wall)
        for _ in range(10):
            between = wall - room
            room = room + 0.1 * (0.25 * between + 0.8 * heating[:, hour, 0])
            wall = wall - 0.1 * 0.03 * between
    return heating, np.stack(rooms, axis=1)[..., None], np.stack(walls, axis=1)


HEATING, ROOMS, WALLS = simulate()


def heated(t, state, inputs, *, gain=0.5):
    return gain * inputs


def start_of(monkeypatch, y=ROOMS, **options):
    """Return the windows at the start of a fit after its free states are guessed."""
    found = []

    def note(start, held_out):
        start, held_out = with_guessed_free_states(start, held_out)
        found.append(start)
        return start, held_out

    monkeypatch.setattr(prepare, "with_guessed_free_states", note)
    structure = ODE(**{"dt": 1.0, "inputs": "hold", "n_free_states": 1, **options})
    settings = {"refine_rho": None, "random_state": 0}
    model = HybridRegressor(heated, nn=(2,), structure=structure, max_epochs=1, **settings)
    model.fit(HEATING, y)
    return found[-1].rows.x


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_guess_is_the_temperature_of_the_walls(monkeypatch):
    x = start_of(monkeypatch)
    walls = WALLS[:, :-1:5].ravel()
    guess = x.first_state[:, 1]
    with_walls, of_rooms = (
        abs(np.corrcoef(each, walls)[0, 1]) for each in (guess, ROOMS[:, :-1:5].ravel())
    )
    assert with_walls > max(0.95, of_rooms)
    assert guess.mean() == pytest.approx(0.0, abs=1e-8)
    assert guess.std() == pytest.approx(1.0)
    followed = x.next_index >= 0
    np.testing.assert_array_equal(x.next_state[followed, 1], guess[x.next_index[followed]])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_more_free_states_than_outputs_begin_at_zero(monkeypatch):
    x = start_of(monkeypatch, n_free_states=3)
    assert x.first_state[:, 1].std() == pytest.approx(1.0)
    assert not x.first_state[:, 2:].any()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_missing_outputs_do_not_count(monkeypatch):
    y = ROOMS.copy()
    y[0, 3] = np.nan
    y[1, 6:10] = np.nan
    structure = ODE(dt=1.0, inputs="hold", n_free_states=1)
    options = {"missing_targets": "mask", "max_epochs": 1, "refine_rho": None, "random_state": 0}
    model = HybridRegressor(heated, nn=(2,), structure=structure, **options).fit(HEATING, y)
    assert np.isfinite(model.initial_states_).all()
    assert np.isfinite(model.loss_)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_held_out_windows_have_the_guess_of_the_others():
    structure = ODE(dt=1.0, inputs="hold", n_free_states=1)
    X, y = np.tile(HEATING, (2, 1, 1)), np.concatenate([ROOMS, ROOMS + 3.0])
    options = {"early_stopping": True, "validation_fraction": 0.3, "random_state": 0}
    settings = FitSettings.of(HybridRegressor(heated, nn=(2,), structure=structure, **options))
    prepared = prepare.prepare(settings, read_inputs(settings, HybridRegressor(), X, y, None))
    train, held_out = prepared.data.x, prepared.validation.x
    assert len(held_out.index) and not set(held_out.index.tolist()) & set(train.index.tolist())
    walls = np.concatenate([WALLS, WALLS + 3.0])[:, :-1:5].ravel()
    guess = np.full(len(walls), np.nan)
    for x in (train, held_out):
        guess[x.index] = x.first_state[:, 1]
    own = held_out.index.numpy()
    assert abs(np.corrcoef(guess[own], walls[own])[0, 1]) > 0.9
    assert np.isfinite(guess).all()
    for x in (train, held_out):  # the next window may be in the other part
        follows = np.flatnonzero(x.next_index.numpy() >= 0)
        following = guess[x.next_index.numpy()[follows]]
        np.testing.assert_array_equal(x.next_state[follows, 1], following)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_models_without_free_states_have_no_guess(monkeypatch):
    learned = start_of(monkeypatch, n_free_states=0, initial_state="learned")
    np.testing.assert_allclose(learned.first_state, ROOMS[:, :-1:5].reshape(-1, 1))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nothing_is_guessed_where_the_physics_explains_all(monkeypatch):
    exact = 20.0 + 0.5 * np.concatenate([0.0 * HEATING[:, :1], HEATING[:, :-1]], axis=1).cumsum(1)
    assert not start_of(monkeypatch, exact).first_state[:, 1].any()
