"""Fits are grouped into batches and trained, and equal fits that are trained alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from small_batches import X, Y, add_fits, assert_fitted_as_alone, ten_fits
from small_models import drive
from small_searches import quick_model

from skhybrid.batching import batch_training
from skhybrid.batching.batch_training import make_batches, train_tasks
from skhybrid.batching.fit_tasks import FitTask, FitTasks, TrialKeys
from skhybrid.exceptions import SerialMembersWarning, TrainingError

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore:`torch.jit:DeprecationWarning"
)

# Batches


def batch_sizes(tasks: Sequence[FitTask], n_jobs=1, max_members=None) -> list[int]:
    """Return the number of fits in every batch; every fit is in one of them."""
    batches = [*make_batches(tasks, n_jobs, max_members)]
    found = [task for batch in batches for task in batch.tasks]
    assert sorted(map(id, found)) == sorted(map(id, tasks))
    return [len(batch.tasks) for batch in batches]


@pytest.fixture(scope="module")
def ten() -> list[FitTask]:
    return ten_fits()


@pytest.mark.parametrize(
    ("max_members", "sizes"),
    [(None, [10]), (10, [10]), (9, [5, 5]), (4, [3, 4, 3]), (3, [2, 3, 2, 3]), (1, [1] * 10)],
)
def test_a_batch_has_as_many_fits_as_are_allowed(ten, max_members, sizes):
    assert sorted(batch_sizes(ten, max_members=max_members)) == sorted(sizes)


def test_every_process_gets_an_equal_share(ten):
    assert batch_sizes(ten, n_jobs=2) == [5, 5]
    assert sorted(batch_sizes(ten, n_jobs=3)) == [3, 3, 4]
    assert sorted(batch_sizes(ten, n_jobs=2, max_members=3)) == [2, 2, 3, 3]
    assert batch_sizes(ten, n_jobs=20) == [1] * 10


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"n_restarts": 2}, 6),
        ({"n_restarts": 5}, 2),
        ({"n_restarts": 13}, 1),
        # The second phase has members for five folds; it is split where it is trained.
        ({"refine_rho": 0.0, "n_restarts": 4}, 3),
    ],
)
def test_restarts_count_as_members(settings, size):
    models = [quick_model(**settings, rho=0.01 + 0.01 * number) for number in range(12)]
    assert max(batch_sizes(add_fits(models), max_members=12)) == size


def test_fits_that_cannot_be_trained_together_are_in_batches_of_their_own():
    settings = [{}, {"rho": 0.0}, {"n_restarts": 2}, {"n_threads": 2}, {"max_epochs": 4}]
    tasks = FitTasks()
    for number, each in enumerate(settings * 2):
        tasks.add(quick_model(**each), TrialKeys(number, "key", number), 0, X, Y)
    assert batch_sizes(tasks.tasks) == [2] * 5
    assert {batch.n_threads for batch in make_batches(tasks.tasks, 1, None)} == {None, 2}
    by_key = FitTasks()
    for key in ("one", "other"):
        by_key.add(quick_model(), TrialKeys(0, key), 0, X, Y)
    assert batch_sizes(by_key.tasks) == [1, 1]


def test_unequal_folds_share_a_batch_if_their_minibatches_are_alike():
    models = [quick_model(batch_size=7) for _ in range(3)]
    rows = [(X[:n], Y[:n]) for n in (26, 27, 20)]
    assert sorted(batch_sizes(add_fits(models, rows))) == [1, 2]


def test_memory_limits_the_members(ten, monkeypatch):
    (one,) = add_fits([quick_model()])
    needed = batch_training.member_bytes(one.fit.problem, one.fit.starts[0], one.fit.config)
    monkeypatch.setattr(batch_training, "MEMORY_LIMIT", 4 * needed)
    assert max(batch_sizes(ten)) == 4
    monkeypatch.setattr(batch_training, "MEMORY_LIMIT", 1)
    assert batch_sizes(ten) == [1] * 10
    # The user's limit has priority.
    assert batch_sizes(ten, max_members=10) == [10]


def test_a_batch_has_no_more_members_than_are_fastest(monkeypatch, ten):
    monkeypatch.setattr(batch_training, "FAST_MEMBERS", 5)
    assert batch_sizes(ten) == [5, 5]


# Training


def test_trained_fits_equal_fits_of_estimators_alone():
    models = [
        quick_model(rho=0.02, random_state=1),
        quick_model(rho=0.05, l2=0.1),
        quick_model(nn_features=["angle"], learning_rate=0.03),
        quick_model(n_restarts=2),
        quick_model(refine_rho=0.0, batch_size=10),
        quick_model(early_stopping=True, validation_fraction=0.3),
    ]
    tasks = FitTasks()
    for number, model in enumerate(models):
        # Each has its own preparation.
        tasks.add(model, TrialKeys(number, "key", number), 0, X, Y)
    reported = []
    train_tasks(tasks.tasks, done=lambda finished: reported.append(len(finished)))
    assert sorted(reported) == [1, 1, 1, 3]
    for model, task in zip(models, tasks.tasks, strict=True):
        assert task.error is None
        assert task.seconds > 0
        assert_fitted_as_alone(model)


def test_without_tasks_nothing_is_trained():
    train_tasks([], done=lambda finished: pytest.fail("nothing has been trained"))


def break_start(task: FitTask) -> None:
    """Give a fit a start that no model has."""
    (start,) = task.fit.starts
    weights = {name: value[..., :1] for name, value in start.weights.items()}
    task.fit = replace(task.fit, starts=[replace(start, weights=weights)])


def test_a_failing_fit_does_not_fail_its_neighbours():
    models = [quick_model(rho=rho) for rho in (0.02, 0.03, 0.05)]
    tasks = add_fits(models)
    break_start(tasks[1])
    assert batch_sizes(tasks) == [3]
    train_tasks(tasks)
    errors = [task.error for task in tasks]
    assert errors[0] is errors[2] is None
    assert isinstance(errors[1], Exception)
    assert not hasattr(models[1], "physics_params_")
    assert_fitted_as_alone(models[0])
    assert_fitted_as_alone(models[2])


def test_a_fit_without_usable_parameters_has_an_error_of_its_own():
    models = [quick_model(learning_rate=rate) for rate in (0.01, 1e308)]
    tasks = add_fits(models)
    train_tasks(tasks)
    first, second = tasks
    assert first.error is None
    assert isinstance(second.error, TrainingError)
    assert "1e+308" in str(second.error)
    assert_fitted_as_alone(models[0])


def test_fits_are_reported_as_soon_as_they_are_trained():
    models = [quick_model(rho=0.01 * number) for number in range(1, 6)]
    tasks = add_fits(models)
    seen = []

    def done(finished):
        seen.append([hasattr(model, "physics_params_") for model in models])
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_tasks(tasks, max_members=2, done=done)
    assert [sum(each) for each in seen] == [2, 3]
    assert [task.seconds is not None for task in tasks] == seen[-1]


def test_torchs_generators_and_threads_are_restored():
    tasks = add_fits([quick_model(), quick_model(n_threads=2)])
    torch.manual_seed(5)
    state, n_threads = torch.get_rng_state(), torch.get_num_threads()
    train_tasks(tasks)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == n_threads


def branching(force, *, gain=1.0):
    return gain * force if float(gain.detach()) < 100 else force


def test_physics_that_cannot_be_vectorised_is_reported_once_for_all_batches():
    models = [quick_model(physics=branching, rho=0.01 * number) for number in range(1, 7)]
    tasks = add_fits(models)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train_tasks(tasks, max_members=2)
    said = [each for each in caught if each.category is SerialMembersWarning]
    assert len(said) == 1
    assert said[0].filename == __file__
    for model in models[::5]:
        assert_fitted_as_alone(model)


def test_an_error_while_memory_is_measured_does_not_stop_the_fit(monkeypatch):
    def failing(*args):
        raise RuntimeError("no derivative")

    monkeypatch.setattr(batch_training, "member_bytes", failing)
    model = quick_model(physics=drive)
    train_tasks(add_fits([model]))
    assert_fitted_as_alone(model)
