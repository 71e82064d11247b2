"""What a fit finds around it is as it was afterwards: threads of torch, warnings."""

from __future__ import annotations

import threading
import warnings

import pytest
import torch

from skhybrid.runtime.threads import threads
from skhybrid.runtime.user_warnings import warnings_caught


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


# Threads


@pytest.mark.parametrize(("wanted", "used"), [(None, 1), (1, 1), (2, 2)])
def test_the_number_of_threads_is_put_back(wanted, used):
    with threads(wanted):
        assert torch.get_num_threads() == used
    assert torch.get_num_threads() == 3


def test_the_number_of_threads_is_put_back_after_an_error():
    with pytest.raises(KeyboardInterrupt), threads(1):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 3


def test_within_others_the_number_is_that_of_the_innermost():
    with threads(4):
        with threads(None):
            assert torch.get_num_threads() == 1
            with threads(2):
                assert torch.get_num_threads() == 2
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 4
    assert torch.get_num_threads() == 3


def run_in_threads(*functions) -> None:
    """Run functions in threads of their own, and raise what any of them raises."""
    errors = []

    def noted(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=noted, args=(function,)) for function in functions]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert not any(worker.is_alive() for worker in workers)
    if errors:
        raise errors[0]


@pytest.mark.parametrize("first_out", [0, 1], ids=["in turn", "one within the other"])
def test_users_that_overlap_put_back_what_the_first_of_them_found(first_out):
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
    # A new thread of Python begins with what was set last, wherever that was.
    run_in_threads(lambda: seen.update(new=torch.get_num_threads()))
    assert seen["new"] == 3


def test_many_users_leave_the_number_as_it_was():
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


# Warnings


def test_what_is_caught_is_not_said_and_afterwards_all_is_as_before():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with warnings_caught():
            warnings.warn("unheard", stacklevel=1)
        warnings.warn("heard", stacklevel=1)
    assert [str(each.message) for each in caught] == ["heard"]


def test_threads_leave_what_is_done_with_warnings_alone():
    filters = list(warnings.filters)
    seen = []

    def silent():
        with warnings_caught():
            seen.append(list(warnings.filters))

    run_in_threads(silent)
    assert seen == [filters]
