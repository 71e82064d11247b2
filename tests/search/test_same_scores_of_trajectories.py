"""The search finds the scores of GridSearchCV: trajectories and images."""

from __future__ import annotations

import pytest
from sklearn.model_selection import KFold
from small_searches import quick_model, search_both_ways
from small_trajectories import DT, make_oscillations, spring

from skhybrid import ODE, HybridRegressor, LatentODE, Physics
from skhybrid.datasets import make_pendulum_images

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore:`torch.jit:DeprecationWarning"
)


FIRST, OUTPUTS = make_oscillations(8, 4)


def make_trajectory_model(structure=None, **settings) -> HybridRegressor:
    ode = ODE(**{"dt": DT, "window": 2, "method": "midpoint", **(structure or {})})
    return quick_model(
        **{"physics": spring, "structure": ode, "batch_size": 5, "max_epochs": 2, **settings}
    )


TRAJECTORY_CASES = {
    "radii": ({}, {"rho": [0.0, 0.05], "l2": [0.0, 0.1]}, [4, 4]),
    # Windows of one step are enough for the second phase.
    "windows": (
        {"refine_rho": 0.0},
        {"structure__window": [1, 3, [2, 3]]},
        [2, 2, 2],
    ),
    "learned first states": (
        {"structure": {"initial_state": "learned"}},
        {"rho": [0.02, 0.05], "structure__continuity": [0.1, 1.0]},
        [4, 4],
    ),
    "features of the network": ({}, {"nn_features": [None, [0], [1, "time"]]}, [6]),
    "initial values of physics parameters": (
        {"physics": Physics(spring), "physics_init": "least_squares"},
        {"physics__stiffness": [0.5, 3.0]},
        [4],
    ),
    "solvers that branch on data": (
        {"max_epochs": 1},
        {"structure__method": ["bosh3"]},
        [2],
    ),
    "early stopping": (
        {"early_stopping": True, "validation_fraction": 0.3},
        {"learning_rate": [1e-3, 0.02]},
        [4],
    ),
}


@pytest.mark.parametrize(
    ("settings", "grid", "sizes"), TRAJECTORY_CASES.values(), ids=TRAJECTORY_CASES
)
def test_trajectories(settings, grid, sizes, batches):
    search_both_ways(make_trajectory_model(**settings), grid, FIRST, OUTPUTS, cv=2)
    assert sorted(batches) == sizes


@pytest.mark.parametrize("initial_state", ["given", "learned"])
def test_trajectories_of_different_lengths(initial_state, batches):
    first = list(FIRST)
    outputs = [each[: 2 + number % 3] for number, each in enumerate(OUTPUTS)]
    model = make_trajectory_model({"initial_state": initial_state}, batch_size=5)
    search_both_ways(model, {"rho": [0.02, 0.05]}, first, outputs, cv=KFold(2))
    assert sum(batches) == 4


def test_images(batches):
    film = make_pendulum_images(6, n_context=2, n_times=5, size=6, random_state=0)
    structure = LatentODE(4, 4, n_states=2, dt=film.dt, window=3)
    model = quick_model(physics=film.physics, structure=structure, max_epochs=1, nn=(3,))
    search_both_ways(model, {"rho": [0.02, 0.05]}, film.data, film.target, cv=2)
    assert batches == [4]
