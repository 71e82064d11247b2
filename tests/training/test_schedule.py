"""Epochs, minibatches and the decay of the learning rate."""

from __future__ import annotations

from itertools import pairwise

import pytest

from skhybrid.training import schedule as schedule_module
from skhybrid.training.schedule import Schedule


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "expected"),
    [
        (100, None, (1, 100)),
        (100, 100, (1, 100)),
        (100, 1000, (1, 100)),
        (100, 50, (2, 50)),
        (100, 32, (4, 25)),
        (100, 1, (100, 1)),
        (101, 50, (3, 33)),
        (1, 64, (1, 1)),
    ],
)
def test_minibatches_have_equal_size_and_are_not_larger_than_requested(
    n_rows, batch_size, expected
):
    schedule = Schedule.for_rows(n_rows, batch_size, 7)
    assert (schedule.n_batches, schedule.batch_size) == expected
    assert schedule.n_epochs == 7


@pytest.mark.parametrize("n_rows", [1, 2, 63, 64, 65, 127, 1000, 4097])
@pytest.mark.parametrize("batch_size", [None, "auto", 1, 5, 64])
def test_fewer_rows_are_left_over_than_there_are_minibatches(n_rows, batch_size):
    schedule = Schedule.for_rows(n_rows, batch_size, "auto")
    left_over = n_rows - schedule.n_batches * schedule.batch_size
    assert 0 <= left_over < schedule.n_batches


def test_automatic_values(monkeypatch):
    monkeypatch.setattr(schedule_module, "AUTO_MIN_EPOCHS", 20)
    monkeypatch.setattr(schedule_module, "AUTO_BATCH_SIZE", 64)
    assert Schedule.for_rows(640, "auto", "auto", n_steps=1000) == Schedule(100, 10, 64)
    assert Schedule.for_rows(10, "auto", "auto", n_steps=1000) == Schedule(1000, 1, 10)
    assert Schedule.for_rows(192, "auto", "auto", n_steps=1000) == Schedule(334, 3, 64)
    assert Schedule.for_rows(10_000, "auto", "auto", n_steps=3000) == Schedule(20, 157, 63)
    assert Schedule.for_rows(640, "auto", 3) == Schedule(3, 10, 64)


@pytest.mark.parametrize("n_steps", [1000, 3000])
def test_many_rows_have_fewer_epochs_then_larger_minibatches_so_that_steps_are_bounded(n_steps):
    def schedule(n_rows):
        return Schedule.for_rows(n_rows, "auto", "auto", n_steps=n_steps)

    assert schedule(20_480) == Schedule(20, 320, 64)
    assert schedule(50_000) == Schedule(8, 782, 63)
    assert schedule(200_000) == Schedule(2, 3125, 64)
    assert schedule(1_000_000) == Schedule(2, 3195, 312)
    for n_rows in (20_500, 45_678, 99_999, 102_401, 350_001, 1_000_003, 3_000_001):
        found = schedule(n_rows)
        assert 4200 <= found.n_epochs * found.n_batches <= 6400
        assert 62 <= found.batch_size == n_rows // found.n_batches


def test_a_given_size_of_minibatches_stays_and_has_twenty_epochs():
    assert Schedule.for_rows(200_000, 64, "auto") == Schedule(20, 3125, 64)
    assert Schedule.for_rows(200_000, "auto", 7).n_epochs == 7


def test_the_rate_decays_from_one_to_zero_along_a_half_cosine():
    schedule = Schedule(n_epochs=5, n_batches=4, batch_size=3)
    decay = [schedule.decay(step) for step in range(21)]
    assert decay[0] == 1.0
    assert decay[10] == pytest.approx(0.5)
    assert decay[20] == pytest.approx(0.0, abs=1e-15)
    assert decay[5] == pytest.approx(0.5 + 0.5**1.5)
    assert all(later < earlier for earlier, later in pairwise(decay))


@pytest.mark.parametrize("part", [0.25, 0.4])
def test_the_rate_is_constant_until_the_last_part(part):
    schedule = Schedule(n_epochs=5, n_batches=4, batch_size=3, decay_part=part)
    n_decay = round(20 * part)
    decay = [schedule.decay(step) for step in range(21)]
    assert decay[: 21 - n_decay] == [1.0] * (21 - n_decay)
    whole = Schedule(n_epochs=1, n_batches=n_decay, batch_size=3)
    assert decay[20 - n_decay :] == pytest.approx(
        [whole.decay(step) for step in range(n_decay + 1)]
    )


def test_the_part_that_decays_does_not_change_the_number_of_steps():
    late = Schedule.for_rows(640, "auto", "auto", n_steps=1000, decay_part=0.25)
    assert late == Schedule(100, 10, 64, 0.25)


@pytest.mark.parametrize(("part", "midway"), [(1.0, 10), (0.6, 10), (0.5, 10), (0.25, 15)])
def test_midway_is_the_half_or_the_begin_of_a_later_decay(part, midway):
    assert Schedule(n_epochs=20, n_batches=3, batch_size=2, decay_part=part).midway == midway


@pytest.mark.parametrize(("n_epochs", "factor"), [(0, 10.0), (20, 10.0), (100, 4.0), (800, 1.0)])
def test_first_states_that_are_rarely_seen_learn_faster(n_epochs, factor):
    assert Schedule(n_epochs, 1, 10).state_rate_factor == factor
