"""When a checkpoint is written, and which one is used."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch

from skhybrid.exceptions import CheckpointWarning
from skhybrid.training import checkpoint
from skhybrid.training.checkpoint import Checkpoint, CheckpointFile, read_checkpoint
from skhybrid.training.result import FitResult, MemberResults, Status

HEADER = {"skhybrid": "1.0", "torch": "2.8", "fingerprint": "abc"}


@pytest.fixture
def file(tmp_path) -> CheckpointFile:
    return CheckpointFile(tmp_path / "a.checkpoint", HEADER, first=5.0, interval=20.0, kept=1.0)


@pytest.fixture
def clock(monkeypatch):
    """Return the time in a list, to change."""
    now = [100.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    return now


def test_the_first_state_comes_early_and_the_others_at_intervals(file, clock):
    found = Checkpoint(file)
    due = []
    for second in range(100, 200):
        clock[0] = float(second)
        if found.due:
            due.append(second - 100)
            found.write({"epoch": second})
    assert due == [5, 25, 45, 65, 85]


def test_slow_writing_makes_the_interval_longer(file, clock, monkeypatch):
    write = checkpoint.write_atomically

    def slowly(path, content):
        clock[0] += 3.0
        write(path, content)

    monkeypatch.setattr(checkpoint, "write_atomically", slowly)
    found = Checkpoint(file)
    clock[0] += 5.0
    assert found.due
    found.write({"epoch": 1})
    clock[0] += 299.0
    assert not found.due
    clock[0] += 1.0
    assert found.due


def test_results_of_short_trainings_are_not_kept(file, clock):
    found = Checkpoint(file)
    result = FitResult(Status.FINISHED, weights={"w": torch.ones(2)}, loss=0.5)
    clock[0] += 0.9
    found.finish([result], {})
    assert not file.path.exists()
    clock[0] += 0.2
    found.finish([result], {"seconds": 1.1})
    again = Checkpoint(file)
    assert again.notes == {"seconds": 1.1}
    assert again.finished[0].status is Status.FINISHED
    assert again.finished[0].loss == 0.5
    torch.testing.assert_close(again.finished[0].weights, result.weights)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fingerprint", "it is of other data or other settings"),
        ("torch", "it was written with torch 2.8, and this is 9"),
        ("skhybrid", "it was written with skhybrid 1.0, and this is 9"),
    ],
)
def test_the_checkpoint_of_another_training_is_kept_aside(file, name, text):
    Checkpoint(file).write({"epoch": 1})
    other = replace(file, header={**HEADER, name: "9"})
    with pytest.warns(CheckpointWarning, match=text):
        assert not Checkpoint(other).resumes
    assert os.listdir(file.path.parent) == ["a.checkpoint.damaged"]
    assert read_checkpoint(other) is None


def test_a_file_that_is_something_else_is_kept_aside(file):
    file.path.write_text("a shopping list")
    with pytest.warns(CheckpointWarning, match=r"not used: it cannot be read .*a\.checkpoint\.dam"):
        assert read_checkpoint(file) is None
    assert file.path.with_name("a.checkpoint.damaged").read_text() == "a shopping list"


def test_a_disk_that_refuses_is_asked_once(file, monkeypatch):
    n_calls = 0

    def full(path, content):
        nonlocal n_calls
        n_calls += 1
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_atomically", full)
    found = Checkpoint(replace(file, first=0.0, interval=0.0, kept=0.0))
    assert found.due
    with pytest.warns(CheckpointWarning, match="No space left .* goes on without"):
        found.write({"epoch": 1})
    assert not found.due
    found.finish([], {})
    assert n_calls == 1


def test_results_come_back():
    losses = torch.tensor([1.0, 2.0])
    members = MemberResults([Status.EARLY_STOPPED, Status.NON_FINITE], losses, None, losses[None])
    result = FitResult(Status.CALLBACK_STOPPED, members, refinement=members, best=1)
    found = checkpoint.fit_result_from(checkpoint.fit_result_state(result))
    assert found.status is Status.CALLBACK_STOPPED
    assert found.restarts.status == found.refinement.status == members.status
    assert found.restarts.validation_losses is None
    assert (found.best, found.explained) == (1, None)
