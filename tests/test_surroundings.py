"""What a fit finds around it is as it was afterwards: threads of torch, the memory of glibc."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from skhybrid import _surroundings
from skhybrid._surroundings import memory_kept, threads


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


# Memory


class Library:
    """What glibc would be asked for."""

    def __init__(self) -> None:
        self.options: dict[int, int] = {}
        self.n_trims = 0

    def mallopt(self, option, value):
        self.options[option] = value

    def malloc_trim(self, padding):
        self.n_trims += 1


@pytest.fixture
def library(monkeypatch):
    library = Library()
    monkeypatch.setattr(_surroundings, "_glibc", lambda: library)
    return library


def is_kept(library) -> bool:
    """Whether a gigabyte of freed memory would not be handed back."""
    return library.options[_surroundings.M_TRIM_THRESHOLD] >= 2**30


def test_memory_is_kept_until_the_last_of_several_is_done(library):
    with memory_kept():
        assert is_kept(library)
        with memory_kept():
            assert is_kept(library)
        assert is_kept(library)
        assert library.n_trims == 0
    assert not is_kept(library)
    assert library.n_trims == 1
    with memory_kept():
        assert is_kept(library)
    assert not is_kept(library)


def test_memory_is_given_back_after_an_error(library):
    with pytest.raises(KeyboardInterrupt), memory_kept(), memory_kept():
        raise KeyboardInterrupt
    assert not is_kept(library)
    assert library.n_trims == 1


def test_memory_is_kept_for_as_long_as_any_thread_needs_it(library):
    inside, outside = threading.Event(), threading.Event()

    def short():
        inside.wait(10)
        with memory_kept():
            pass
        assert is_kept(library)
        outside.set()

    def long():
        with memory_kept():
            inside.set()
            outside.wait(10)

    run_in_threads(short, long)
    assert not is_kept(library)
    assert library.n_trims == 1


def test_other_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(_surroundings, "_glibc", lambda: None)
    with memory_kept(), memory_kept():
        pass


def test_memory_can_be_used_within_and_afterwards():
    def work():
        big = torch.arange(4e6).reshape(2000, 2000)
        pieces = [big.sum(dim=i % 2) for i in range(20)]
        return float(torch.stack(pieces).double().sum())

    expected = work()
    with memory_kept():
        assert work() == expected
        with memory_kept():
            assert work() == expected
    assert work() == expected
    assert np.ones(10**6).sum() == 10**6
