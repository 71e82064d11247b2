"""First guesses of free states: the slow part of what the physics lacks."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid import ODE, HybridRegressor
from skhybrid.fitting import prepare
from skhybrid.fitting.free_state_guess import with_guessed_free_states

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


def start_of(monkeypatch, y=ROOMS, *, warm=False, **options):
    """Return the start of a fit after its free states are guessed; None if they are not."""
    found = []

    def note(start):
        found.append(with_guessed_free_states(start))
        return found[-1]

    monkeypatch.setattr(prepare, "with_guessed_free_states", note)
    structure = ODE(**{"dt": 1.0, "inputs": "hold", "n_free_states": 1, **options})
    settings = {"refine_rho": None, "random_state": 0, "warm_start": warm}
    model = HybridRegressor(heated, nn=(2,), structure=structure, max_epochs=1, **settings)
    model.fit(HEATING, y)
    if warm:
        found.clear()
        model.fit(HEATING, y)
    return found[-1].rows.x if found else None


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
def test_a_warm_start_and_models_without_free_states_have_no_guess(monkeypatch):
    assert start_of(monkeypatch, warm=True) is None
    learned = start_of(monkeypatch, n_free_states=0, initial_state="learned")
    np.testing.assert_allclose(learned.first_state, ROOMS[:, :-1:5].reshape(-1, 1))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nothing_is_guessed_where_the_physics_explains_all(monkeypatch):
    exact = 20.0 + 0.5 * np.concatenate([0.0 * HEATING[:, :1], HEATING[:, :-1]], axis=1).cumsum(1)
    assert not start_of(monkeypatch, exact).first_state[:, 1].any()
