"""Mistakes in settings and data of whole fits: the error has names and values."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from small_rivers import (
    COOLING,
    FIRST,
    FLOW,
    HEATED,
    HEATING,
    RIVER,
    Layer,
    chezy,
    cooling,
    make,
    make_records,
    refuse,
)

from skhybrid import ODE, LatentODE, Param, Physics
from skhybrid.exceptions import NetworkError, OutOfMemoryError, PhysicsError

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::skhybrid.exceptions.{name}")
    for name in ("CollapseWarning", "ColumnBindingWarning", "PhysicsInitWarning")
]

# Settings


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"nn": [10**30]}, NetworkError, "has 4e[+]30 parameters. They need .* PiB"),
        ({"nn": (10**6, 10**6)}, NetworkError, r"hidden sizes \(1000000, 1000000\).*TiB"),
        ({"n_restarts": 10**13}, OutOfMemoryError, "n_restarts=10000000000000 would need"),
        ({"n_threads": 10**7}, ValueError, "n_threads=10000000 is more than 16 threads"),
        ({"learning_rate": 1e200}, ValueError, "learning_rate=1e[+]200 is beyond 3.4e[+]38"),
        ({"physics_learning_rate": 1e50}, ValueError, "physics_learning_rate=1e[+]50 is beyond"),
        ({"rho": 1e50}, ValueError, "rho=1e[+]50 is beyond 3.4e[+]38"),
        ({"l2": 1e50}, ValueError, "l2=1e[+]50 is beyond 3.4e[+]38"),
    ],
    ids=str,
)
def test_settings_that_are_far_too_large(settings, error, message):
    refuse(make(**settings), error, message)


@pytest.mark.parametrize(
    ("param", "message"),
    [
        (Param(1.0, (0.0, 10**500)), "bounds of physics parameter 'gain' are too large"),
        (10**500, "initial value of physics parameter 'gain' is too large"),
        ((1.0, 0.0, None), r"gain=Param\(1.0, bounds=\(0.0, None\)\)"),
        ((1.0, (0.0, 5.0)), r"gain=Param\(1.0, bounds=\(0.0, 5.0\)\)"),
    ],
)
def test_values_and_bounds_that_are_no_numbers(param, message):
    with pytest.raises(PhysicsError, match=message):
        Physics(chezy, gain=param)


def test_bounds_beyond_the_dtype():
    wide = Physics(chezy, gain=Param(1.0, (0.0, 1e60)))
    refuse(make(wide), PhysicsError, "'gain' are beyond 3.4e[+]38.*dtype='float64'")
    make(wide, dtype="float64").fit(RIVER, FLOW)
    make(Physics(chezy, gain=Param(1.0, (0.0, None)))).fit(RIVER, FLOW)


def test_an_array_of_three_numbers_stays_an_array():
    def weighted(slope, *, gain=(1.0, 1.0, 1.0)):
        return gain[0] * slope + gain[1] * slope**2 + gain[2]

    assert make(weighted).fit(RIVER, FLOW).physics_params_["gain"].shape == (3,)


# Options of an ODE


@pytest.mark.parametrize(
    ("corrected", "message"),
    [
        ([], "corrected is empty"),
        ([0.0], "corrected has 0.0, which is no integer"),
        ([True, False], "corrected has True, which is no integer"),
        ([1, 1], "has an output twice"),
        ([2], "corrected has output 2; y has 2 outputs, 0 to 1"),
        (np.array([-1, 0]), "corrected has output -1"),
    ],
)
def test_corrected_outputs_are_checked(corrected, message):
    model = make_records(correct="output", corrected=corrected)
    refuse(model, ValueError, message, HEATING, HEATED)


def test_corrected_outputs_may_be_an_array():
    make_records(correct="output", corrected=np.array([1, 0])).fit(HEATING, HEATED)


@pytest.mark.parametrize(("corrected", "n_outputs"), [(None, 1), (None, 3), ([1], 2)])
def test_a_network_with_too_few_or_many_outputs_is_not_broadcast(corrected, n_outputs):
    ode = {"correct": "output", "corrected": corrected}
    model = make_records(**ode, settings={"nn": Layer(3, n_outputs)})
    n_wanted = 2 if corrected is None else 1
    refuse(model, NetworkError, rf"nn must return shape \(\d+, {n_wanted}\)", HEATING, HEATED)


def test_times_and_steps_are_checked():
    model = make(cooling, structure=ODE(times=[]))
    refuse(model, ValueError, "times of ODE is empty", FIRST, COOLING)
    model = make(cooling, structure=ODE(dt=0.1, substeps=10**9))
    refuse(model, ValueError, r"needs 1.2e[+]10 steps, and more than 1e[+]07", FIRST, COOLING)


# Data


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (RIVER.assign(bed=["sand"] * 25), FLOW, "X contains the value 'sand' in column 'bed'"),
        (RIVER.set_axis(["slope", "slope"], axis=1), FLOW, "more than one column named 'slope'"),
        (RIVER.assign(day=pd.date_range("2020", periods=25)), FLOW, "Column 'day' of X holds"),
        (RIVER.mask(RIVER["width"] > 4.0), FLOW, "X contains NaN in column 'slope'"),
        (torch.tensor(RIVER.to_numpy(), requires_grad=True), FLOW, "X is a tensor that requires"),
        (RIVER, torch.tensor(FLOW, requires_grad=True), "y is a tensor that requires"),
        (RIVER, ["deep"] * 25, "y contains the value 'deep' in row 0"),
    ],
)
def test_tables_that_cannot_be_used(x, y, message):
    refuse(make(), ValueError, message, x, y)


@pytest.fixture(scope="module")
def fitted_records():
    return make_records().fit(HEATING, HEATED)


@pytest.fixture(scope="module")
def fitted_states():
    return make(cooling, structure=ODE(dt=0.1)).fit(FIRST, COOLING)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"first_outputs": HEATED[:, 0, 0]}, r"shape \(5,\); it must have shape \(5, k, 2\)"),
        ({"first_outputs": HEATED[:, :0]}, r"shape \(5, 0, 2\); it must .* one at least"),
        ({"first_outputs": HEATED[:2, :3]}, r"first_outputs has shape \(2, 3, 2\)"),
        ({"first_outputs": HEATED * np.inf}, "first_outputs contains infinity"),
        (
            {"first_outputs": HEATED[:, :3] * 1e80},
            "first_outputs has the value .* beyond 3.4",
        ),
        ({"first_outputs": torch.ones(5, 3, 2, requires_grad=True)}, "first_outputs is a tensor"),
        ({"initial_states": [1.0]}, r"initial_states has shape \(1,\).*must have shape \(5, 2\)"),
        ({"initial_states": FIRST * np.nan}, "initial_states contains NaN in column 0, 5 of 5"),
        ({"initial_states": FIRST * 1e80}, "initial_states has the value .* beyond 3.4"),
        ({"X": HEATING[:0]}, "X has no trajectories"),
        ({"X": []}, "X has no trajectories"),
        ({"X": HEATING * 1e80}, "X has the value .* beyond 3.4"),
    ],
    ids=lambda given: str(given)[:40],
)
def test_records_that_cannot_be_predicted(fitted_records, given, message):
    with pytest.raises(ValueError, match=message):
        fitted_records.predict(**{"X": HEATING, **given})


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([], r"times must have shape \(n_times,\)"),
        (3.0, r"times must have shape \(n_times,\).*it has shape \(\)"),
        ([[1.0, 2.0]], "times of 1 trajectories, but X has 5"),
        (np.ones((5, 2)), r"it has shape \(5, 2\)"),
        ([[1.0, 2.0]] * 4 + [[]], r"times\[4\] must have shape \(n_times,\)"),
        ([[1.0, 2.0]] * 4 + [[2.0, 1.0]], r"times\[4\] must increase"),
        ([1.0, 1.0], "times must increase"),
        ([0.0, 1.0], "be after the initial states' time"),
        ([1.0, np.inf], "infinity"),
        (["noon"], "times contains the value 'noon'"),
        ([1e9], r"to the last time \(1e[+]09\) needs 1e[+]10 steps"),
        ([1e300], "needs 1e[+]301 steps"),
    ],
)
def test_times_that_cannot_be_predicted(fitted_states, times, message):
    with pytest.raises(ValueError, match=message):
        fitted_states.predict(FIRST, times=times)


def test_numbers_beyond_the_dtype_cannot_be_predicted(fitted_states):
    with pytest.raises(ValueError, match=r"X has the value .* beyond 3.4e.*float32"):
        fitted_states.predict(FIRST * 1e80)
    with pytest.raises(ValueError, match=r"X has the value .* beyond 3.4e.*float32"):
        make().fit(RIVER, FLOW).predict(RIVER * 1e80)
    model = make(nn=None, dtype="float64").fit(RIVER, FLOW)
    assert np.isfinite(copy.deepcopy(model).predict(RIVER * 1e80)).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"times": [1.0, 2.0]}, "times must be one finite number, or one for each of the 5"),
        ({"times": np.nan}, "times must be one finite number"),
        ({"inputs": np.ones((5, 3))}, r"inputs has shape \(5, 3\).*must have shape \(5, 1\)"),
        ({"states": FIRST * 1e80}, "states has the value"),
    ],
    ids=lambda given: str(given)[:20],
)
def test_rates_that_cannot_be_predicted(fitted_records, given, message):
    with pytest.raises(ValueError, match=message):
        fitted_records.predict_rates(**{"states": FIRST, "inputs": np.ones((5, 1)), **given})


@pytest.mark.parametrize(
    ("times", "error", "message"),
    [
        (pd.date_range("2020", periods=12), ValueError, "times of ODE holds datetime64"),
        (
            [pd.date_range("2020", periods=12)] * 5,
            ValueError,
            r"times\[0\] of ODE holds datetime64",
        ),
        (list(pd.date_range("2020", periods=12)), TypeError, "Timestamp.*Turn dates and durations"),
        (["noon"] * 12, ValueError, "times of ODE contains the value 'noon' in row 0"),
        (np.ones((5, 12, 2)), ValueError, r"times\[0\] of ODE has shape \(12, 2\)"),
    ],
)
def test_times_of_an_ode_are_numbers(times, error, message):
    refuse(make(cooling, structure=ODE(times=times)), error, message, FIRST, COOLING)


@pytest.mark.parametrize("name", ["dt", "continuity", "rtol", "atol"])
@pytest.mark.parametrize("value", [10**400, np.inf], ids=["integer", "infinity"])
def test_options_beyond_floating_point_numbers(name, value):
    ode = ODE(**{"dt": 0.1, name: value})
    refuse(make(cooling, structure=ode), ValueError, name, FIRST, COOLING)


def test_the_state_in_place_of_the_time_is_named():
    def swapped(x, moment, *, rate=0.1):
        return -rate * x

    model = make(swapped, structure=ODE(dt=0.1))
    refuse(model, PhysicsError, "The time has shape .* is the first argument", FIRST, COOLING)


@pytest.mark.parametrize("name", ["initial_states", "first_outputs"])
def test_initial_states_are_not_for_images(name):
    images = np.random.default_rng(0).uniform(size=(4, 10, 3, 3))
    structure = LatentODE(encoder=(4,), decoder=(4,), n_states=2, dt=0.1, window=4)
    model = make(cooling, structure=structure, max_epochs=1).fit(images[:, :2], images[:, 2:])
    with pytest.raises(ValueError, match=f"{name} is not for a LatentODE"):
        model.predict(images[:, :2], **{name: np.ones((4, 2))})
