"""Fits that are prepared and wait for their training."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from small_batches import X, Y, add_fits
from small_models import drive
from small_searches import quick_model

from skhybrid import Param, Physics
from skhybrid.batching.fit_tasks import FitTasks, TrialKeys

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore:`torch.jit:DeprecationWarning"
)


def drive_namesake(force, *, gain=1.0, offset=0.1):
    return gain * force + offset**2


drive_namesake.__name__ = "drive"


def test_an_added_fit_is_prepared_and_waits():
    model = quick_model()
    (task,) = add_fits([model])
    assert task.estimator is model
    assert task.owner == 0
    assert task.seconds is task.error is None
    assert len(task.prepared.data.y) == 40
    assert list(model.feature_names_in_) == ["force", "angle"]
    with pytest.raises(NotFittedError):
        check_is_fitted(model)


def test_a_mistake_is_noticed_when_the_fit_is_added():
    with pytest.raises(ValueError, match="'l2'"):
        add_fits([quick_model(l2=-1.0)])
    with pytest.raises(ValueError, match="nothing"):
        add_fits([quick_model(nn_features=["nothing"])])


def test_the_fits_of_one_trial_are_counted_and_forgotten():
    tasks = FitTasks()
    for owner, position in ((0, 0), (1, 0), (1, 1), (2, 0)):
        tasks.add(quick_model(), TrialKeys(owner), position, X, Y)
    assert [tasks.count(owner) for owner in range(4)] == [1, 2, 1, 0]
    tasks.discard(1)
    assert [task.owner for task in tasks.tasks] == [0, 2]


def test_fits_with_the_same_start_and_rows_are_prepared_once():
    calls = []

    def counted(force, *, gain=1.0):
        calls.append(len(force))
        return gain * force

    models = [quick_model(physics=counted, rho=rho) for rho in (0.0, 0.02, 0.05)]
    assert len(add_fits(models[:1])) == 1
    n_calls = len(calls)
    assert n_calls > 0
    calls.clear()
    first, second, third = add_fits(models)
    assert len(calls) == n_calls
    assert first.prepared is second.prepared is third.prepared
    # Every fit has its own network, because training writes into it.
    networks = {id(task.fit.problem.hybrid.network) for task in (first, second, third)}
    assert len(networks) == 3


def test_a_preparation_that_failed_is_not_repeated():
    calls = []

    def faulty(force, *, gain=1.0):
        calls.append(len(force))
        raise RuntimeError("no such force")

    tasks, n_calls = FitTasks(), []
    for rho in (0.0, 0.02):
        with pytest.raises(Exception, match="no such force"):
            tasks.add(quick_model(physics=faulty, rho=rho), TrialKeys(0), 0, X, Y)
        n_calls.append(len(calls))
    assert n_calls[0] == n_calls[1] > 0
    assert not tasks.tasks


def test_equal_rows_share_the_preparation_and_others_do_not():
    rows = [(X, Y), (X.copy(), Y.copy()), (X + 1e-9, Y), (X, Y + 1e-9), (X, Y, np.ones(40))]
    prepared = [task.prepared for task in add_fits([quick_model() for _ in rows], rows)]
    assert prepared[0] is prepared[1]
    assert len({id(each) for each in prepared}) == 4


@pytest.mark.parametrize(
    ("batching", "preparation", "same_key", "same_preparation"),
    [
        (("a", "a"), ("b", "b"), True, True),
        (("a", "a"), ("b", "c"), True, False),
        (("a", "b"), ("c", "c"), False, False),
    ],
)
def test_keys_of_the_trial_tell_fits_apart(batching, preparation, same_key, same_preparation):
    tasks = FitTasks()
    for owner in range(2):
        tasks.add(quick_model(), TrialKeys(owner, batching[owner], preparation[owner]), 0, X, Y)
    first, second = tasks.tasks
    assert (first.key == second.key) == same_key
    assert (first.prepared is second.prepared) == same_preparation


@pytest.mark.parametrize(
    ("settings", "same_key", "same_preparation"),
    [
        ({"rho": 0.2, "l2": 0.1, "learning_rate": 0.1, "max_epochs": 7}, True, True),
        ({"random_state": 5}, True, False),
        ({"n_restarts": 2, "early_stopping": True}, True, False),
        ({"nn_features": ["angle"]}, True, False),
        ({"physics": Physics(drive)}, True, True),
        ({"physics": Physics(drive, gain=2.0)}, True, False),
        ({"physics": Physics(drive, gain=1.0 + 1e-12)}, True, False),
        ({"physics": Physics(drive, gain=Param(1.0, unit="N"))}, True, False),
        ({"physics": Physics(drive, gain=Param(1.0, bounds=(0.0, None)))}, False, False),
        ({"physics": Physics(drive, gain=Param(1.0, fixed=True))}, False, False),
        ({"physics": Physics(drive, gain=[1.0])}, False, False),
        ({"physics": Physics(drive_namesake)}, False, False),
        ({"nn": (3,)}, False, False),
        ({"structure": "serial"}, False, False),
        ({"dtype": "float32"}, False, False),
    ],
)
def test_parameters_tell_fits_apart(settings, same_key, same_preparation):
    physics = Physics(drive)
    first, second = add_fits(
        [quick_model(physics=physics), quick_model(**{"physics": physics, **settings})]
    )
    assert (first.key == second.key) == same_key
    assert (first.prepared is second.prepared) == same_preparation


def test_known_values_tell_fits_apart():
    known = [Physics(drive, offset=Param(value, fixed=True)) for value in (0.1, 0.1, 0.2)]
    first, again, other = add_fits([quick_model(physics=physics) for physics in known])
    assert first.key == again.key != other.key
    assert first.prepared is again.prepared is not other.prepared
