"""Swings of a pendulum and a fast model of them, for whole fits of a differential equation."""

from __future__ import annotations

from skhybrid import ODE, HybridRegressor
from skhybrid.datasets import make_pendulum, pendulum

SWINGS = make_pendulum(12, n_times=15, random_state=0)
OMEGA2 = SWINGS.physics_params["omega2"]
DT = SWINGS.dt


def make_swing_model(physics=pendulum, *, structure=None, **settings) -> HybridRegressor:
    """Return a fast estimator that trains on all windows at once, in float64."""
    settings = {"nn": (8,), "max_epochs": 6, "random_state": 0, **settings}
    exact = {"batch_size": None, "dtype": "float64", "refine_rho": None}
    return HybridRegressor(physics, structure=structure or ODE(dt=DT), **{**exact, **settings})


def fitted_omega2(model: HybridRegressor) -> float:
    return model.physics_params_["omega2"]


def undriven_pendulum(t, state, inputs, *, omega2=1.0):
    """Return the pendulum's rates; it ignores its inputs."""
    return pendulum(t, state, omega2=omega2)
