"""Differential equations that fail: the error names the fault, and nothing is left half-fitted."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from small_swings import DT, SWINGS, make_swing_model

from skhybrid import ODE, HybridRegressor
from skhybrid.datasets import pendulum
from skhybrid.exceptions import DivergenceWarning, PhysicsError

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning",
    "ignore:`torch.jit:DeprecationWarning",
)

X, Y = SWINGS.data, SWINGS.target


def left_behind(model) -> list[str]:
    return [name for name in vars(model) if name.endswith("_") and not name.startswith("_")]


@pytest.mark.parametrize("nn", [None, (4,)], ids=["physics alone", "hybrid"])
@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.PhysicsInitWarning")
def test_an_infinite_gradient_is_named(nn):
    def draining(t, level, *, outflow=0.5):
        return -outflow * torch.sqrt(level) * torch.tensor([1.0, 1.0], dtype=level.dtype)

    first = np.array([[1.0, 0.0], [2.0, 1.0]])
    y = np.repeat(first[:, None], 5, axis=1)
    model = make_swing_model(draining, nn=nn)
    with pytest.raises(PhysicsError, match=r"with respect to the state is not finite in step 0"):
        model.fit(first, y)

    def power(t, level, *, exponent=0.0):
        return -((level**2) ** torch.clamp(exponent, min=0.0)) * torch.sqrt(exponent)

    model = make_swing_model(power, nn=nn)
    message = r"parameter 'exponent' is not finite in step 0 of the windows.*exponent=0"
    with pytest.raises(PhysicsError, match=message):
        model.fit(first + 1.0, y + 1.0)
    assert left_behind(model) == []


@pytest.mark.parametrize("nn", [None, (4,)], ids=["physics alone", "hybrid"])
@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.PhysicsInitWarning")
def test_a_method_whose_steps_are_too_long_is_named(nn):
    def stiff(t, state, *, rate=300.0):
        return -rate * state**3

    first = np.linspace(0.5, 2.0, 5)[:, None]
    y = np.repeat(0.5 * first[:, None], 10, axis=1)
    model = make_swing_model(stiff, nn=nn, structure=ODE(dt=1.0, window=None))
    message = r"(?s)rollout of physics 'stiff' .*not finite .*method='rk4'.*method='dopri5'"
    with pytest.raises(PhysicsError, match=message):
        model.fit(first, y)
    assert left_behind(model) == []


def test_orthogonality_needs_steps_that_can_be_differentiated():
    model = make_swing_model(orthogonality=0.1, structure=ODE(dt=DT, method="dopri5"))
    with pytest.raises(ValueError, match="orthogonality takes derivatives that method='dopri5'"):
        model.fit(X, Y)
    assert left_behind(model) == []
    model = make_swing_model(orthogonality=0.1, functional_norm=0.1, n_restarts=2).fit(X, Y)
    assert np.isfinite(model.loss_)


def test_an_error_leaves_the_last_fit_as_it_was():
    model = make_swing_model(max_epochs=2).fit(X, Y)
    before, attributes = model.predict(X), set(left_behind(model))
    with pytest.raises(ValueError, match="but y has"):
        model.fit(X, Y[:3])
    assert set(left_behind(model)) == attributes
    np.testing.assert_array_equal(model.predict(X), before)


def test_good_data_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        make_swing_model(max_epochs=40, learning_rate=0.02).fit(X, Y)


def growing(t, state, *, rate=1.0):
    return rate * state**2


def test_rollouts_that_diverge_are_reported():
    first = np.array([[0.1], [0.2], [0.15]])
    times = 0.5 * np.arange(1, 5)
    y = (1 / (1 / first - times)).reshape(3, 4, 1)
    model = make_swing_model(growing, nn=None, structure=ODE(dt=0.5)).fit(first, y)
    with pytest.warns(
        DivergenceWarning, match=r"1 of 2 trajectories diverge; that of trajectory 1"
    ):
        prediction = model.predict(np.array([[0.1], [50.0]]))
    assert np.isfinite(prediction[0]).all() and not np.isfinite(prediction[1]).all()


def test_a_class_in_place_of_an_instance():
    with pytest.raises(ValueError, match="structure is the class ODE; pass an instance"):
        HybridRegressor(pendulum, structure=ODE).fit(X, Y)
