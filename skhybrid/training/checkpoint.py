"""The state of a training on disk: written at intervals, read when the same training begins again.

One call of :func:`~skhybrid.training.multistart.train_together` runs the training loop several
times, one *stage* after the other: shorter windows, the first phase, the second phase in chunks. A
checkpoint holds what the finished stages returned, and the state of the loop in the current one. A
training that goes on asks for its stages in the same order again: finished ones return at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from skhybrid.exceptions import CheckpointWarning
from skhybrid.runtime.atomic_files import set_aside, write_atomically
from skhybrid.runtime.draws import current_draws
from skhybrid.runtime.seeds import generator_states, set_generator_states
from skhybrid.runtime.state_files import DamagedStateError, pack_state, unpack_state
from skhybrid.runtime.user_warnings import warn
from skhybrid.training.members import Members
from skhybrid.training.result import FitResult, MemberResults
from skhybrid.training.stored_results import (
    fit_result_from,
    fit_result_state,
    member_results_from,
    member_results_state,
)

# Seconds of training before the first state is written, and between two states.
FIRST_SECONDS = 5.0
INTERVAL_SECONDS = 20.0
# If writing is slow, the interval is at least so many times as long as it took.
COST_FACTOR = 100.0
# The results of shorter trainings are not worth a file.
KEPT_SECONDS = 1.0


class Resumable(Protocol):
    """A part of the training loop that changes while it runs."""

    def state(self) -> Any:
        """Return what it needs to go on: tensors and plain values, nested."""

    def restore(self, state: Any) -> None:
        """Go on from a state."""


@dataclass(frozen=True)
class CheckpointFile:
    """Where the checkpoint of one training is, and how often it is written.

    Attributes
    ----------
    path : Path
    header : mapping
        Fingerprint of the training, and the versions of the software. A file with another header is
        not used.
    first, interval, kept : float
        Seconds; see the constants of this module.
    """

    path: Path
    header: Mapping[str, str]
    first: float
    interval: float
    kept: float


class Checkpoint:
    """The checkpoint of one training.

    Parameters
    ----------
    file : CheckpointFile

    Attributes
    ----------
    finished : list of FitResult or None
        The results, if the training was finished before.
    notes : dict
        What was stored with them.

    Warns
    -----
    CheckpointWarning
        If there is a file that cannot be used.
    """

    def __init__(self, file: CheckpointFile) -> None:
        self.file = file
        self.began = time.monotonic()
        self.finished: list[FitResult] | None = None
        self.notes: dict[str, Any] = {}
        self._stages: list[dict[str, Any]] = []
        self._running: dict[str, Any] | None = None
        self._position = 0
        self._writes = True
        self._due = self.began + file.first
        state = read_checkpoint(file)
        if state is None:
            return
        if "results" in state:
            self.finished = [fit_result_from(each) for each in state["results"]]
            self.notes = state["notes"]
        else:
            self._stages, self._running = state["stages"], state["running"]

    @property
    def resumes(self) -> bool:
        """Whether the training goes on from a state on disk."""
        return bool(self._stages or self._running)

    def next_stage(self, on_resume: Callable[[Sequence[Tensor]], None] | None = None) -> Stage:
        """Return the next stage; ``on_resume`` gets the losses of epochs that were run before."""
        number, self._position = self._position, self._position + 1
        if number < len(self._stages):
            return Stage(self, on_resume, finished=self._stages[number])
        running, self._running = self._running, None
        return Stage(self, on_resume, running=running)

    def add(self, stage: dict[str, Any]) -> None:
        """Note what a stage returned."""
        self._stages.append(stage)

    @property
    def due(self) -> bool:
        """Whether to write the state now."""
        return self._writes and time.monotonic() >= self._due

    def write(self, running: dict[str, Any]) -> None:
        """Write the finished stages and the state of the current one."""
        began = time.monotonic()
        self._write({"stages": self._stages, "running": running})
        now = time.monotonic()
        self._due = now + max(self.file.interval, COST_FACTOR * (now - began))

    def finish(self, results: Sequence[FitResult], notes: Mapping[str, Any]) -> None:
        """Write the results in place of the state, if they took long enough."""
        if self._writes and time.monotonic() - self.began >= self.file.kept:
            stored = [fit_result_state(each) for each in results]
            self._write({"results": stored, "notes": dict(notes)})

    def _write(self, state: dict[str, Any]) -> None:
        """Write a state; if the disk refuses, warn and write no more."""
        try:
            write_atomically(self.file.path, pack_state(state, self.file.header))
        except OSError as error:
            self._writes = False
            warn(
                f"The checkpoint {self.file.path} could not be written: {error}. The training goes "
                "on without further checkpoints. Make room on the disk, or choose another folder.",
                CheckpointWarning,
                once=("checkpoint", "write"),
            )


class Stage:
    """One run of the training loop.

    Parameters
    ----------
    checkpoint : Checkpoint
    on_resume : callable, default=None
        Gets the losses of epochs that were run before.
    finished, running : dict, default=None
        What the stage returned, or the state of the loop in it, if a file said so.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        on_resume: Callable[[Sequence[Tensor]], None] | None = None,
        *,
        finished: dict | None = None,
        running: dict | None = None,
    ) -> None:
        self._on_resume = on_resume
        self._checkpoint = checkpoint
        self._finished = finished
        self._running = running

    @property
    def finished(self) -> bool:
        """Whether the stage was finished before."""
        return self._finished is not None

    def replay(self, members: Members) -> MemberResults:
        """Give the members the parameters at the end of the finished stage; return its results."""
        members.restore(self._finished["members"])
        _set_random_states(self._finished["random"])
        results = member_results_from(self._finished["results"])
        if self._on_resume is not None:
            self._on_resume(results.curve)
        return results

    def resume(self, parts: Mapping[str, Resumable]) -> int:
        """Restore the parts of the loop; return the number of epochs that they have behind them."""
        if self._running is None:
            return 0
        running, self._running = self._running, None
        for name, part in parts.items():
            part.restore(running["parts"][name])
        _set_random_states(running["random"])
        if self._on_resume is not None:
            self._on_resume(running["parts"]["curve"])
        return running["epoch"]

    def epoch_done(self, epoch: int, parts: Mapping[str, Resumable]) -> None:
        """Write the state after a whole epoch, if it is time to."""
        if self._checkpoint.due:
            states = {name: part.state() for name, part in parts.items()}
            self._checkpoint.write({"epoch": epoch, "parts": states, "random": _random_states()})

    def finish(self, members: Members, results: MemberResults) -> None:
        """Note the parameters and the results at the end of the stage."""
        self._checkpoint.add(
            {
                "members": {"flat": members.flat.clone(), "midway": members.midway},
                "results": member_results_state(results),
                "random": _random_states(),
            }
        )


def _random_states() -> dict[str, Any]:
    """Return the states of the generators of the fit, and of torch's."""
    draws = current_draws()
    return {"fit": {} if draws is None else draws.state(), "torch": generator_states()}


def _set_random_states(states: Mapping[str, Any]) -> None:
    """Set the states of the generators."""
    draws = current_draws()
    if draws is not None:
        draws.restore(states["fit"])
    set_generator_states(states["torch"])


class Curve:
    """The losses of every epoch, as a part of the loop.

    Parameters
    ----------
    losses : list of Tensor
        Changed in place.
    """

    def __init__(self, losses: list[Tensor]) -> None:
        self._losses = losses

    def state(self) -> list[Tensor]:
        """Return the losses so far."""
        return list(self._losses)

    def restore(self, state: list[Tensor]) -> None:
        """Replace the losses."""
        self._losses[:] = state


def read_checkpoint(file: CheckpointFile) -> dict[str, Any] | None:
    """Return the state in a checkpoint, or None if there is none that can be used.

    Warns
    -----
    CheckpointWarning
        If the file is damaged, or belongs to another training. It is renamed.
    """
    try:
        state, header = unpack_state(file.path.read_bytes())
        fault = _difference(header, file.header)
    except FileNotFoundError:
        return None
    except (DamagedStateError, OSError) as error:
        state, fault = None, str(error)
    if fault is None:
        return state
    try:
        kept = f"It is kept as {set_aside(file.path).name}"
    except OSError as error:
        kept = f"It could not be renamed ({error})"
    warn(
        f"The checkpoint {file.path} is not used: {fault}. {kept}, and the training starts anew.",
        CheckpointWarning,
    )
    return None


def _difference(header: Mapping[str, str], expected: Mapping[str, str]) -> str | None:
    """Return what a checkpoint is of, if it is not of this training."""
    for name, value in expected.items():
        if header.get(name) != value:
            if name == "fingerprint":
                return "it is of other data or other settings"
            return f"it was written with {name} {header.get(name)}, and this is {value}"
    return None
