"""States that are the network's alone: reading, whole fits, predictions and files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skhybrid import ODE, HybridRegressor, HybridSearchCV, load, save
from skhybrid.data.free_states import check_free_states, free_state_names, with_free_states
from skhybrid.exceptions import OutOfMemoryError

# Fits of a few epochs.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

RNG = np.random.default_rng(0)
PUSH = RNG.uniform(size=(4, 11, 1))


def with_memory(n_times=11):
    """Return a decaying store with inputs, which exchanges with a hidden one."""
    store, hidden = RNG.uniform(0.5, 1.5, (2, 4))
    states = []
    for step in range(n_times):
        states.append(store)
        between = hidden - store
        store, hidden = store + 0.1 * PUSH[:, step, 0] + 0.3 * between, hidden - 0.1 * between
    return np.stack(states, axis=1)[..., None]


Y = with_memory()
FIRST = RNG.uniform(0.5, 1.5, (4, 1))
DECAYED = FIRST[:, None] * np.exp(-0.3 * np.arange(1, 8))[:, None]


def filled(t, state, inputs, *, gain=0.2):
    assert state.shape[1] == 1
    return gain * inputs


def decay(t, state, *, rate=0.5):
    assert state.shape[1] == 1
    return -rate * state


def make_model(physics=filled, *, nn=(3,), max_epochs=2, nn_features=None, **options):
    inputs = {"inputs": "hold"} if physics is filled else {}
    structure = ODE(**{"dt": 1.0, "n_free_states": 1, **inputs, **options})
    settings = {"batch_size": None, "refine_rho": None, "dtype": "float64", "random_state": 0}
    return HybridRegressor(
        physics,
        nn=nn,
        structure=structure,
        max_epochs=max_epochs,
        nn_features=nn_features,
        **settings,
    )


@pytest.fixture(scope="module")
def fitted():
    return make_model().fit(PUSH, Y)


def test_free_states_follow_the_others():
    states = np.arange(4.0).reshape(1, 2, 2)
    assert with_free_states(states, 7.0, 1).tolist() == [[[0.0, 1.0, 7.0], [2.0, 3.0, 7.0]]]
    assert with_free_states(states, np.array([7.0, 8.0]), 2)[0, 1].tolist() == [2.0, 3.0, 7.0, 8.0]
    assert with_free_states(states, 0.0, 0) is states
    assert free_state_names(ODE(dt=1.0, n_free_states=2)) == ("free_0", "free_1")


def test_fields_and_too_many_free_states_are_errors():
    with pytest.raises(ValueError, match=r"field of shape \(1, 4\). Set n_free_states=0"):
        make_model(decay).fit(np.ones((3, 1, 4)), np.ones((3, 5, 1, 4)))
    with pytest.raises(OutOfMemoryError, match="The record of 1000000000000 free states"):
        check_free_states(ODE(dt=1.0, n_free_states=10**12), (2,), 100)


def test_shapes(fitted):
    assert fitted.initial_states_.shape == (4, 2)
    assert fitted.predict(PUSH).shape == Y.shape
    assert (
        fitted.predict_rates(np.ones((3, 2)), inputs=np.ones((3, 1)))[0][:, 1].tolist() == [0.0] * 3
    )
    assert fitted.predict_parts(PUSH)[1].shape == Y.shape
    assert np.isfinite(fitted.score(PUSH, Y))


def test_known_initial_states_may_leave_out_the_free_ones(fitted):
    mean = np.broadcast_to(fitted.initial_states_[:, 1].mean(), (4, 1))
    whole = np.concatenate([Y[:, 0], mean], axis=1)
    short = fitted.predict(PUSH, initial_states=Y[:, 0])
    np.testing.assert_array_equal(short, fitted.predict(PUSH, initial_states=whole))
    np.testing.assert_allclose(short[:, 0], Y[:, 0])
    with pytest.raises(ValueError, match=r"shape \(4, 2\), or \(4, 1\) without free states"):
        fitted.predict(PUSH, initial_states=np.ones((4, 3)))


def test_the_network_always_reads_its_own_states(fitted):
    assert fitted._fitted.hybrid.scales.feature_offset.shape == (3,)
    for features in (["state_0"], ["state_0", "free_0"], [0]):
        model = make_model(nn_features=features).fit(PUSH, Y)
        assert model._fitted.hybrid.network_columns.tolist() == [0, 1]


def test_training_uses_the_free_state():
    """Without a memory, the exchange with the hidden store cannot be predicted."""
    settings = {"nn": (8,), "max_epochs": 80, "nn_features": ["state_0"]}
    with_one = make_model(**settings).fit(PUSH, Y)
    without = make_model(**settings, n_free_states=0, initial_state="learned").fit(PUSH, Y)
    assert with_one.free_run_losses_["hybrid"] < 0.9 * without.free_run_losses_["hybrid"]
    moved = with_one._fitted.hybrid
    assert moved.layout.n_free_states == 1


def test_without_a_network_there_are_none():
    alone = make_model(nn=None).fit(PUSH, Y)
    plain = make_model(nn=None, n_free_states=0).fit(PUSH, Y)
    np.testing.assert_array_equal(alone.predict(PUSH), plain.predict(PUSH))


@pytest.mark.parametrize(
    "options",
    [
        {"join": "multiply"},
        {
            "join": lambda t, state, inputs, physics, nn: (
                physics(t, state, inputs) + nn(t, state, inputs)
            )
        },
        {"observe": lambda state: 2.0 * state, "n_states": 1},
        {"corrects": ["state_0"], "n_free_states": 2, "n_initial": 2},
        {"initial_state": [0]},
        {"method": "midpoint", "window": None},
    ],
    ids=["multiply", "function", "observe", "two", "columns", "whole"],
)
def test_other_options(options):
    X = PUSH
    if "initial_state" in options:
        X = np.concatenate([np.broadcast_to(Y[:, :1], Y.shape), PUSH], axis=2)
    model = make_model(max_epochs=1, **options).fit(X, Y)
    assert np.isfinite(model.score(X, Y))
    n_free = model.structure.n_free_states
    assert model.initial_states_.shape == (4, 1 + n_free)
    assert model._fitted.hybrid.scales.state_scale[1:].tolist() == [1.0] * n_free


def test_a_rate_that_only_the_physics_gives():
    def two(t, state, inputs, *, gain=0.2):
        return torch.cat([gain * inputs, -state[:, :1]], dim=1)

    y = np.concatenate([Y, 0.5 * Y], axis=2)
    model = make_model(two, inputs="hold", corrects=["b"], state_names=["a", "b"]).fit(PUSH, y)
    changed = np.abs(model.predict_rates(np.ones((2, 3)), inputs=np.ones((2, 1)))[1])
    assert changed[:, 0].max() == 0.0
    assert changed[:, 1:].min() > 0.0
    assert "changes the rates of: b, free_0" in str(model.summary())


def test_initial_states_in_X(tmp_path):
    model = make_model(decay).fit(FIRST, DECAYED)
    assert model.predict(FIRST).shape == DECAYED.shape
    assert model.initial_states_.shape == (4, 2)
    assert model.predict(FIRST, first_outputs=DECAYED[:, :3]).shape == DECAYED.shape
    save(model, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors", physics=decay)
    np.testing.assert_array_equal(loaded.predict(FIRST), model.predict(FIRST))


def test_files_and_clones(fitted, tmp_path):
    save(fitted, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors", physics=filled)
    np.testing.assert_array_equal(loaded.predict(PUSH), fitted.predict(PUSH))
    assert clone(fitted).structure.n_free_states == 1


def test_a_warm_start_needs_as_many():
    model = make_model().set_params(warm_start=True).fit(PUSH, Y)
    model.fit(PUSH, Y)
    with pytest.raises(ValueError, match="structure changed since"):
        model.set_params(structure__n_free_states=2).fit(PUSH, Y)


def test_searches_agree_with_single_fits():
    grid = {"structure__n_free_states": [0, 1]}
    batched = HybridSearchCV(make_model(), grid, cv=2).fit(PUSH, Y)
    single = GridSearchCV(make_model(), grid, cv=2).fit(PUSH, Y)
    scores = [each.cv_results_["mean_test_score"] for each in (batched, single)]
    np.testing.assert_allclose(*scores, rtol=1e-7)


def test_rows_outside_are_told_by_the_known_states(fitted):
    _, inside = fitted.predict(PUSH, initial_states=Y[:, 0], return_outside=True)
    assert len(inside.features) == 2  # the known state and the input
