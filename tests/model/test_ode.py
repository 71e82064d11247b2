"""Parameters of a differential equation: errors, and scikit-learn's protocol."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skhybrid import ODE, HybridRegressor


def decay(t, state, *, rate=1.0):
    return -rate * state


def first_of(state):
    return state[:, :1]


def scaled_first_of(state, inputs, *, gain, offset=0.0):
    return gain * state[:, :1] + offset + inputs


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "dt or times, one of them; it was given neither"),
        ({"dt": 0.1, "times": [1.0]}, "dt or times, one of them; it was given both"),
        ({"times": 0}, "times=0 names a column of X .* set inputs='hold' or 'linear'"),
        ({"times": "time"}, "times='time' names a column of X"),
        ({"dt": 0.0}, "'dt' parameter of ODE"),
        ({"dt": 0.1, "method": "rk5"}, "'method' parameter of ODE"),
        ({"dt": 0.1, "substeps": 0}, "'substeps' parameter of ODE"),
        ({"dt": 0.1, "window": 0}, "'window' parameter of ODE"),
        ({"dt": 0.1, "window": "long"}, "'window' parameter of ODE"),
        ({"dt": 0.1, "window": []}, r"'window' of ODE must be .*; got \[\]"),
        ({"dt": 0.1, "window": (5, 0)}, r"'window' of ODE must be .*; got \(5, 0\)"),
        ({"dt": 0.1, "window": [5, 2.5]}, r"'window' of ODE must be .*; got \[5, 2.5\]"),
        ({"dt": 0.1, "observe": 3}, "'observe' parameter of ODE"),
        ({"dt": 0.1, "n_states": 0}, "'n_states' parameter of ODE"),
        ({"dt": 0.1, "initial_state": "known"}, "'initial_state' parameter of ODE"),
        ({"dt": 0.1, "continuity": -1.0}, "'continuity' parameter of ODE"),
        ({"dt": 0.1, "inputs": "cubic"}, "'inputs' parameter of ODE"),
        ({"dt": 0.1, "join": "subtract"}, "'join' parameter of ODE"),
        ({"dt": 0.1, "correct": "state"}, "'correct' parameter of ODE"),
        ({"dt": 0.1, "rtol": 0.0}, "'rtol' parameter of ODE"),
        ({"dt": 0.1, "n_initial": -1}, "'n_initial' parameter of ODE"),
        ({"dt": 0.1, "adjoint": True}, "method='rk4' takes fixed steps. Choose one of dopri5"),
        ({"dt": 0.1, "method": "euler", "adjoint": True}, "adjoint=True is for torchdiffeq's"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ODE(**settings).validate()
    model = HybridRegressor(decay, nn=None, structure=ODE(**settings))
    with pytest.raises(ValueError, match=message):
        model.fit(np.ones((3, 1)), np.ones((3, 5, 1)))


@pytest.mark.parametrize(
    "settings",
    [
        {"dt": 0.1},
        {"times": [0.1, 0.5]},
        {"times": [[0.1, 0.5], [0.2, 0.3]]},
        {"times": 0, "inputs": "hold"},
        {"times": "time", "inputs": "linear"},
        {"dt": 1, "window": None},
        {"dt": 0.1, "window": [5, 20]},
        {"dt": 0.1, "window": np.int64(3)},
        {"dt": 0.1, "method": "dopri5", "adjoint": True},
        {"dt": 0.1, "atol": 0.0, "state_guess": 1.0},
        {"dt": 0.1, "observe": torch.nn.Linear(2, 1), "n_states": 2},
    ],
    ids=str,
)
def test_right_parameters_are_accepted(settings):
    ODE(**settings).validate()


def test_clone_repr_and_pickle_work_as_for_an_estimator():
    ode = ODE(dt=0.5, window=[5, 20], observe=first_of, inputs="hold")
    copied = clone(ode)
    assert copied is not ode
    assert copied.get_params() == ode.get_params()
    assert repr(ODE(dt=0.5, window=7)) == "ODE(dt=0.5, window=7)"
    assert pickle.loads(pickle.dumps(ode)).get_params() == ode.get_params()
    assert ode.set_params(window=3) is ode
    assert ode.window == 3


def test_an_estimator_clones_it_and_sets_its_parameters():
    model = HybridRegressor(decay, structure=ODE(dt=0.5, window=7))
    copied = clone(model)
    assert copied.structure is not model.structure
    assert copied.get_params()["structure__window"] == 7
    copied.set_params(structure__window=9)
    assert (copied.structure.window, model.structure.window) == (9, 7)
    assert "structure=ODE(dt=0.5, window=7)" in repr(model)


def test_arguments_of_observe():
    assert ODE(dt=1.0).observe_parameters() == ()
    assert ODE(dt=1.0, observe=first_of).observe_parameters() == ()
    assert ODE(dt=1.0, observe=first_of).n_observe_inputs() == 1
    ode = ODE(dt=1.0, observe=scaled_first_of)
    assert ode.observe_parameters() == ("gain", "offset")
    assert ode.n_observe_inputs() == 2
    assert ODE(dt=1.0, observe=torch.nn.Linear(2, 1)).n_observe_inputs() == 1


def test_a_grid_over_the_window():
    rng = np.random.default_rng(0)
    first = rng.uniform(0.5, 2.0, (9, 1))
    times = 0.2 * np.arange(1, 9)
    y = first[:, None] * np.exp(-0.7 * times)[:, None]
    model = HybridRegressor(decay, nn=None, structure=ODE(dt=0.2))
    search = GridSearchCV(model, {"structure__window": [1, 4, None]}, cv=3).fit(first, y)
    assert search.best_score_ > 0.999
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.physics_params_["rate"] == pytest.approx(0.7, rel=1e-4)
    assert model.structure.window == "auto"


@pytest.mark.parametrize("window", [(2, 4), [3, 5]])
@pytest.mark.parametrize("options", [{"initial_state": "learned"}, {"observe": torch.sin}])
def test_learned_first_states_need_one_window(window, options):
    with pytest.raises(ValueError, match=r"trains with several windows.* choose one"):
        ODE(dt=0.1, window=window, **options).validate()
