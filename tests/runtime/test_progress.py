"""A display shows works within works, with a clock and a terminal that are not real."""

from __future__ import annotations

import io

import pytest

from skhybrid.runtime import progress
from skhybrid.runtime.progress import SILENT, Display, duration, open_display, showing


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def run(display, clock, n_epochs=100, seconds=1.0):
    """Let a work of some epochs pass."""
    with display.work("training", n_epochs) as work:
        for epoch in range(1, n_epochs + 1):
            clock.now += seconds
            work.advance(1, lambda: f"epoch {epoch}")  # noqa: B023


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture
def display(stream, clock):
    return Display(stream, clock=clock)


def test_the_first_line_comes_within_two_seconds_and_says_how_long_it_will_take(
    display, stream, clock
):
    with display.work("training", 300) as work:
        for epoch in range(1, 21):
            clock.now += 0.125
            work.advance(1, lambda: f"epoch {epoch}")  # noqa: B023
    assert stream.getvalue() == "epoch 8  0:01 elapsed, about 0:36 left\n"


@pytest.mark.parametrize(("seconds", "most"), [(0.01, 1), (0.1, 3), (1.0, 21), (36.0, 85)])
def test_logs_stay_short(display, stream, clock, seconds, most):
    run(display, clock, seconds=seconds)
    lines = stream.getvalue().splitlines()
    assert most // 2 <= len(lines) <= most


def test_time_before_the_first_report_does_not_count_for_what_is_left(display, stream, clock):
    with display.work("training", 1000) as work:
        clock.now += 60.0  # a process begins
        work.advance(1)
        clock.now += 10.0
        work.reach(101)
    first, second = stream.getvalue().splitlines()
    assert first.endswith("1:00 elapsed")
    assert second.endswith("1:10 elapsed, about 1:30 left")


def test_a_slow_first_epoch_is_enough_for_an_estimate(display, stream, clock):
    with display.work("training", 50) as work:
        clock.now += 3.0
        work.advance(1)
    assert stream.getvalue().endswith("0:03 elapsed, about 2:27 left\n")


def test_works_within_works(display, stream, clock):
    with display.work("fit", 4) as outer:
        outer.advance(2)
        with display.work("least squares") as inner:
            clock.now += 3.0
            inner.advance(1, lambda: "evaluation 1")
            outer.advance(0, lambda: "never, because another work runs within it")
        with display.work("training", 10) as inner:
            clock.now += 6.0
            inner.advance(5, lambda: "epoch 5")
    first, second = stream.getvalue().splitlines()
    assert first == "fit 3/4  evaluation 1  0:03 elapsed, about 0:03 left"
    # Two and a half of four fits: the half took nine seconds.
    assert second == "fit 3/4  epoch 5  0:09 elapsed, about 0:27 left"


def test_a_description_is_computed_only_for_a_line(display, clock):
    n_described = 0

    def describe():
        nonlocal n_described
        n_described += 1
        clock.now += 2.0
        return "text"

    with display.work("training", 1000) as work:
        for _ in range(400):
            clock.now += 0.5
            work.advance(1, describe)
    # After two seconds for a text, the next one waits for a hundred.
    assert n_described == 2


def test_announcements_are_left_out_within_a_work(display, stream, clock):
    clock.now += 65.0
    display.announce("first", with_time=True)
    with display.work("fit", 2):
        display.announce("one of many")
        display.say("this in any case")
    assert stream.getvalue().splitlines() == ["first  1:05 elapsed", "this in any case"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (3599, "59:59"), (36061, "10:01:01")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


# The display of a context.


def test_a_display_is_open_in_its_context_only(capsys):
    with showing(0) as none:
        assert none is open_display() is SILENT
        assert not none.speaks
        none.say("nothing")
        run(none, Clock())
        none.announce("nothing")
    with showing(1) as outer:
        assert outer.speaks
        outer.say("something")
        for verbose in (0, 1):
            with showing(verbose) as inner:
                assert inner is outer is open_display()
    assert open_display() is SILENT
    assert capsys.readouterr().out == "something\n"


# Terminals.


def test_a_terminal_gets_a_bar_and_no_lines(clock):
    pytest.importorskip("rich")
    terminal = Terminal()
    display = Display(terminal, clock=clock)
    run(display, clock, seconds=0.5)
    shown = terminal.getvalue()
    assert "━" in shown
    assert "0:25 elapsed, about 0:25 left  epoch 50" in shown
    display.say("gain=[1 2] stays as it is")
    display.close()
    after = terminal.getvalue()[len(shown) :]
    assert "gain=[1 2] stays as it is\n" in after
    assert progress._bar_in_use.acquire(blocking=False)
    progress._bar_in_use.release()


def test_a_second_display_prints_lines(clock):
    pytest.importorskip("rich")
    first, second = (Display(Terminal(), clock=clock) for _ in range(2))
    run(second, clock)
    assert second.stream.getvalue().startswith("epoch 1  0:01 elapsed, about 1:39 left\n")
    first.close()
    second.close()
    third = Display(Terminal(), clock=clock)
    assert third._bar is not None
    third.close()


@pytest.mark.parametrize("lack", ["rich", "main process", "terminal"])
def test_otherwise_there_are_lines(clock, lack, monkeypatch):
    stream = io.StringIO() if lack == "terminal" else Terminal()
    if lack == "rich":
        monkeypatch.setitem(__import__("sys").modules, "rich.console", None)
    if lack == "main process":
        worker = type("Worker", (), {"name": "LokyProcess-1"})
        monkeypatch.setattr(progress.multiprocessing, "current_process", worker)
    display = Display(stream, clock=clock)
    run(display, clock, n_epochs=2)
    assert stream.getvalue() == "epoch 1  0:01 elapsed, about 0:01 left\n"
    display.close()
    assert not progress._bar_in_use.locked()
