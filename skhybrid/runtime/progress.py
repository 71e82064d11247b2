"""Show what runs and how long it will take: a bar in a terminal, plain lines elsewhere.

A call of ``fit`` with ``verbose`` opens a display for its context. Everything that runs inside it
(least squares, training, the fits of a search) finds the display there and reports its work to it,
so nothing has to be passed on.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, TextIO

# Seconds of work before its first line; a shorter time gives a poor estimate of what is left.
FIRST_SECONDS = 1.0
# Seconds between two lines at least, and as a part of the time so far, so that logs stay short.
LINE_SECONDS = 5.0
LINE_PART = 0.05
# Seconds between two updates of a bar.
BAR_SECONDS = 0.2
# A description is computed again after so many times as long as it took.
COST_FACTOR = 50.0
# From one report alone, the time that is left is estimated if at least this part is done.
LEAST_FRACTION = 0.002

Describe = Callable[[], str]

_open: ContextVar[Display | None] = ContextVar("display", default=None)
# Two bars at the same time would overwrite each other; the second display prints lines.
_bar_in_use = threading.Lock()


@contextlib.contextmanager
def showing(verbose: bool | int) -> Iterator[Display]:
    """Open a display for this context if ``verbose``, unless one is open; yield the open one."""
    outer = _open.get()
    if outer is not None or not verbose:
        yield outer or SILENT
        return
    display = Display()
    token = _open.set(display)
    try:
        yield display
    finally:
        _open.reset(token)
        display.close()


def open_display() -> Display:
    """Return the display of this context; without one, a display that shows nothing."""
    return _open.get() or SILENT


class Display:
    """Shows works that run within each other, and sentences.

    Parameters
    ----------
    stream : file, default=None
        None is standard output.
    clock : callable, default=time.monotonic
        Returns seconds.
    """

    speaks = True

    def __init__(
        self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.stream = stream
        self.clock = clock
        self.began = clock()
        self._works: list[Work] = []
        self._bar = _new_bar(stream or sys.stdout)
        self._due = self.began + FIRST_SECONDS
        self._lock = threading.RLock()

    def say(self, sentence: str) -> None:
        """Print a sentence now."""
        with self._lock:
            if self._bar is not None:
                self._bar.print(sentence)
            else:
                print(sentence, file=self.stream or sys.stdout, flush=True)

    def announce(self, sentence: str, *, with_time: bool = False) -> None:
        """Print a sentence now, unless its subject is only a part of another work."""
        with self._lock:
            if not self._works:
                passed = f"  {duration(self.clock() - self.began)} elapsed" if with_time else ""
                self.say(sentence + passed)

    @contextlib.contextmanager
    def work(self, title: str, total: float | None = None) -> Iterator[Work]:
        """Show a work while it runs.

        Parameters
        ----------
        title : str
            Name of the work. The display shows it with its progress if another work runs within it.
        total : float, default=None
            Amount of work, in any unit; None if it is not known.
        """
        work = Work(self, title, total)
        with self._lock:
            self._works.append(work)
            if self._bar is None:
                self._due = min(self._due, self.clock() + FIRST_SECONDS)
        try:
            yield work
        finally:
            with self._lock:
                self._works.remove(work)

    def report(self, work: Work, describe: Describe) -> None:
        """Show the innermost work if an update is due, or a line is."""
        with self._lock:
            now = self.clock()
            if now < self._due or not self._works or work is not self._works[-1]:
                return
            line = "  ".join([*(outer.position for outer in self._works[:-1]), describe()])
            cost = self.clock() - now
            times = self._times()
            if self._bar is not None:
                self._bar.update(self.fraction or 0.0, line, times)
                pause = BAR_SECONDS
            else:
                self.say(f"{line}  {times}")
                pause = max(LINE_SECONDS, LINE_PART * (now - self.began))
            self._due = self.clock() + max(pause, COST_FACTOR * cost)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    @property
    def fraction(self) -> float | None:
        """How much of the outermost work is done, or None if that is not known."""
        inner = 0.0
        for work in reversed(self._works):
            if work.total is None:
                fraction = None
            else:
                fraction = min(1.0, (work.done + (inner or 0.0)) / max(work.total, 1e-9))
            inner = fraction
        return inner if self._works else None

    def _times(self) -> str:
        """Return the elapsed time, and what is left of the outermost work."""
        now, fraction = self.clock(), self.fraction
        times = f"{duration(now - self.began)} elapsed"
        if not fraction:
            return times
        work = self._works[0]
        began, before = (
            work.first
        )  # what comes before, for example a process that begins, is no pace
        if fraction <= before:
            began, before = work.began, 0.0
            if fraction < LEAST_FRACTION:
                return times
        left = (now - began) * (1.0 - fraction) / (fraction - before)
        return f"{times}, about {duration(left)} left"


class Work:
    """Something that runs, and how much of it is done.

    Parameters
    ----------
    display : Display
    title : str
    total : float or None

    Attributes
    ----------
    done : float
    first : (float, float)
        Time of the first report, and the part that was done then.
    """

    def __init__(self, display: Display, title: str, total: float | None) -> None:
        self.display = display
        self.title = title
        self.total = total
        self.done = 0.0
        self.began = display.clock()
        self.first = self.began, 0.0
        self._reported = False

    @property
    def position(self) -> str:
        """The title, with the number of the part that runs now."""
        if self.total is None:
            return self.title
        return f"{self.title} {min(int(self.done) + 1, int(self.total))}/{int(self.total)}"

    def advance(self, amount: float = 1.0, describe: Describe | None = None) -> None:
        """Add to what is done; ``describe`` is called only if its text is shown."""
        self.reach(self.done + amount, describe)

    def reach(self, done: float, describe: Describe | None = None) -> None:
        """Set what is done."""
        self.done = done
        if not self._reported and self.total:
            self._reported = True
            self.first = self.display.clock(), done / self.total
        self.display.report(self, describe or (lambda: self.position))


class _Silent(Display):
    """Shows nothing."""

    speaks = False

    def __init__(self) -> None:
        self.clock = time.monotonic
        self._work = Work(self, "", None)

    def say(self, sentence: str) -> None:
        pass

    def announce(self, sentence: str, *, with_time: bool = False) -> None:
        pass

    @contextlib.contextmanager
    def work(self, title: str, total: float | None = None) -> Iterator[Work]:
        yield self._work

    def report(self, work: Work, describe: Describe) -> None:
        pass


SILENT = _Silent()


def duration(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours if there are any."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class _Bar:
    """A bar of the package rich, updated by the work itself and not by a thread.

    Parameters
    ----------
    stream : file
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.console = Console(file=stream, highlight=False)
        self.progress = Progress(
            BarColumn(bar_width=20),
            TextColumn("{task.description}", markup=False),
            console=self.console,
            auto_refresh=False,
            transient=True,
        )
        self.progress.start()
        self.task = self.progress.add_task("", total=1.0, visible=False)

    def update(self, fraction: float, line: str, times: str) -> None:
        """Show a fraction from 0 to 1, and a text."""
        described = f"{times}  {line}"
        self.progress.update(
            self.task, completed=fraction, description=described, visible=True, refresh=True
        )

    def print(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self.console.print(sentence, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Remove the bar."""
        self.progress.stop()
        _bar_in_use.release()


def _new_bar(stream: Any) -> _Bar | None:
    """Return a bar, or None without a terminal or rich, in a worker, or if another bar is there."""
    in_worker = multiprocessing.current_process().name != "MainProcess"
    if in_worker or not getattr(stream, "isatty", lambda: False)():
        return None
    if not _bar_in_use.acquire(blocking=False):
        return None
    try:
        return _Bar(stream)
    except Exception:  # rich is missing, or another live display of it is there
        _bar_in_use.release()
        return None
