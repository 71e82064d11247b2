"""The physics alone, by least squares."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from small_models import drive, make_model, make_settings, make_table
from small_trajectories import DT, make_oscillations, spring

from skhybrid import ODE, Param, Physics
from skhybrid.exceptions import PhysicsError
from skhybrid.fitting import fit_physics as module
from skhybrid.fitting.fit_physics import fit_physics
from skhybrid.fitting.inputs import read_inputs

X, Y = make_table()


def fit(x=X, y=Y, *, previous=None, **settings):
    settings = make_settings(nn=None, **settings)
    return fit_physics(settings, read_inputs(settings, make_model(), x, y, None), previous=previous)


def test_parameters_are_those_of_least_squares():
    fitted = fit()
    slope, offset = np.polyfit(X["force"], Y, 1)
    assert fitted.physics_params == pytest.approx({"gain": slope, "offset": offset}, rel=1e-6)
    residual = (Y - slope * X["force"] - offset) / Y.std()
    assert fitted.loss == pytest.approx(np.mean(residual**2))
    assert fitted.loss == pytest.approx(min(fitted.loss_curve))
    assert fitted.n_iter == len(fitted.loss_curve) > 1
    assert fitted.n_rows == len(Y)
    assert fitted.hybrid.network is None
    assert fitted.physics_share == 1.0
    (restart,) = fitted.restarts
    assert restart["physics_params"] == fitted.physics_params
    assert (restart["loss"], restart["n_iter"]) == (fitted.loss, fitted.n_iter)
    assert restart["validation_loss"] is None
    assert isinstance(restart["status"], str)


def test_a_parameter_may_end_on_its_bound():
    physics = Physics(drive, gain=Param(1.0, bounds=(0.0, 1.5)))
    assert fit(physics=physics).physics_params["gain"] == 1.5


def test_nothing_but_fixed_parameters():
    physics = Physics(drive, gain=Param(2.0, fixed=True), offset=Param(0.5, fixed=True))
    fitted = fit(physics=physics)
    assert fitted.physics_params == {"gain": 2.0, "offset": 0.5}
    assert fitted.loss_curve == [fitted.loss]


def test_the_physics_is_checked_first():
    def broken(force, *, gain=1.0):
        return gain * force.sum()

    with pytest.raises(PhysicsError, match="'broken' must return shape"):
        fit(physics=broken)


def test_a_fit_starts_at_the_last_values():
    first = fit()
    again = fit(previous=first)
    assert again.n_iter < first.n_iter
    assert again.physics_params == pytest.approx(first.physics_params)


def test_a_fit_with_a_network_cannot_be_continued_without_one():
    hybrid = make_model(max_epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match="but nn changed since"):
        fit(previous=hybrid._fitted)


# Trajectories.


def fit_spring(**structure):
    first, y = make_oscillations(4, 8)
    return fit(first, y, physics=spring, structure=ODE(dt=DT, window=4, **structure))


def test_trajectories_have_fitted_first_states():
    fitted = fit_spring(initial_state="learned")
    first, _ = make_oscillations(4, 8)
    assert fitted.physics_params["stiffness"] == pytest.approx(1.69, rel=0.05)
    np.testing.assert_allclose(fitted.learned_states, first, atol=0.05)
    assert fit_spring(initial_state="given").learned_states is None


def test_a_fit_that_does_not_converge_warns(monkeypatch):
    monkeypatch.setitem(module.TRAJECTORY_LIMITS, "max_evaluations", 1)
    with pytest.warns(ConvergenceWarning, match="did not converge after 2 evaluations"):
        fitted = fit_spring(initial_state="given")
    assert fitted.n_iter == 2
