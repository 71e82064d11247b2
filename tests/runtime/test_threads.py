"""Torch's number of threads, during a fit and afterwards."""

from __future__ import annotations

import threading

import pytest
import torch

from skhybrid.runtime.threads import threads


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("wanted", "used"), [(None, 1), (1, 1), (2, 2)])
def test_the_number_of_threads_is_restored(wanted, used):
    with threads(wanted):
        assert torch.get_num_threads() == used
    assert torch.get_num_threads() == 3


def test_the_number_of_threads_is_restored_after_an_error():
    with pytest.raises(KeyboardInterrupt), threads(1):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 3


def test_nested_blocks_use_the_number_of_the_innermost():
    with threads(4):
        with threads(None):
            assert torch.get_num_threads() == 1
            with threads(2):
                assert torch.get_num_threads() == 2
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 4
    assert torch.get_num_threads() == 3


def run_in_threads(*functions) -> None:
    """Run each function in its own thread, and raise the first error."""
    errors = []

    def record_errors(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=record_errors, args=(function,)) for function in functions]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert not any(worker.is_alive() for worker in workers)
    if errors:
        raise errors[0]


@pytest.mark.parametrize("first_out", [0, 1], ids=["first in, first out", "nested"])
def test_overlapping_blocks_restore_the_number_before_the_first_of_them(first_out):
    entered = [threading.Event(), threading.Event()]
    left = [threading.Event(), threading.Event()]
    seen = {}

    def user(number):
        if number == 1:
            entered[0].wait(10)
        with threads(number + 1):
            entered[number].set()
            seen["within", number] = torch.get_num_threads()
            entered[1].wait(10)
            if number != first_out:
                left[first_out].wait(10)
        seen["after", number] = torch.get_num_threads()
        left[number].set()

    run_in_threads(lambda: user(0), lambda: user(1))
    assert seen["within", 0] == 1
    assert seen["within", 1] == 2
    assert seen["after", 0] == seen["after", 1] == 3
    assert torch.get_num_threads() == 3
    # A new thread of Python begins with the number that any thread set last.
    run_in_threads(lambda: seen.update(new=torch.get_num_threads()))
    assert seen["new"] == 3


def test_many_blocks_leave_the_number_as_it_was():
    barrier = threading.Barrier(8)

    def user():
        barrier.wait(10)
        for number in range(50):
            with threads(1 + number % 4), threads(None):
                assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3

    run_in_threads(*[user] * 8)
    assert torch.get_num_threads() == 3
    with threads(2):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 3


def test_far_more_threads_than_cores_are_refused():
    with pytest.raises(ValueError, match=r"n_threads=1000000 is more than 16 threads for each"):
        with threads(10**6):
            pass
    assert torch.get_num_threads() == 3
