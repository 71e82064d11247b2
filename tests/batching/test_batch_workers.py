"""Batches that find no memory are halved; one fit that finds none fails alone."""

from __future__ import annotations

import pytest
import torch
from small_searches import X, Y, quick_model

from skhybrid.batching import batch_workers
from skhybrid.batching.batch_training import train_tasks
from skhybrid.batching.fit_tasks import FitTasks, TrialKeys
from skhybrid.exceptions import OutOfMemoryError


def add_fits(n: int):
    tasks = FitTasks()
    for number in range(n):
        model = quick_model(rho=0.01 * (number + 1), l2=0.0)
        tasks.add(model, TrialKeys(number, "key", "same"), 0, X, Y)
    return tasks.tasks


@pytest.fixture
def little_memory(monkeypatch):
    """Let batches of more than some fits fail for want of memory; return the sizes tried."""
    together, tried = batch_workers.train_together, []

    def limit(most: int) -> list[tuple[int, int]]:
        def train(fits, *, max_members, **options):
            tried.append((len(fits), max_members))
            if len(fits) > most:
                torch.empty(10**14)
            return together(fits, max_members=max_members, **options)

        monkeypatch.setattr(batch_workers, "train_together", train)
        return tried

    return limit


def test_a_batch_without_memory_is_halved(little_memory):
    tried = little_memory(3)
    tasks = add_fits(10)
    train_tasks(tasks, max_members=20)
    assert tried == [(10, 20), (5, 10), (2, 5), (3, 5), (5, 10), (2, 5), (3, 5)]
    assert all(task.error is None for task in tasks)
    for task in (tasks[0], tasks[9]):
        alone = quick_model(rho=task.estimator.rho).fit(X, Y)
        assert task.estimator.physics_params_["gain"] == pytest.approx(
            alone.physics_params_["gain"], rel=1e-9
        )


def test_a_fit_without_memory_fails_alone(little_memory):
    little_memory(0)
    tasks = add_fits(2)
    train_tasks(tasks)
    for task in tasks:
        assert isinstance(task.error, (OutOfMemoryError, RuntimeError))
        assert "memory" in str(task.error)


def test_an_error_that_is_not_about_memory_goes_to_single_fits(monkeypatch):
    together, tried = batch_workers.train_together, []

    def train(fits, **options):
        tried.append(len(fits))
        if len(fits) > 1:
            raise RuntimeError("a shape")
        return together(fits, **options)

    monkeypatch.setattr(batch_workers, "train_together", train)
    tasks = add_fits(4)
    train_tasks(tasks)
    assert tried == [4, 1, 1, 1, 1]
    assert all(task.error is None for task in tasks)
