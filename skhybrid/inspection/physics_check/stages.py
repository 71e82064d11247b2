"""The stages of a check, and the problems that they find."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from skhybrid.inspection.physics_check.result import Problem
from skhybrid.runtime.user_warnings import warnings_caught

# In the order of a fit.
STAGES = (
    "signature and settings",
    "reading of the data",
    "columns of the physics",
    "output and gradients",
    "rows one by one",
    "model with a network",
    "starting values",
)
PASSED, FAILED, NOT_REACHED, NOT_NEEDED = "passed", "failed", "not reached", "does not apply"
# What code of the user, numpy, torch and scikit-learn raise for arguments that they cannot use.
DESCRIBED = (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError, MemoryError)


class Stopped(Exception):
    """A stage has failed, and the next ones need it."""


class Stages:
    """Runs stages one after the other, and notes errors and warnings as problems.

    Attributes
    ----------
    outcomes : dict of str to str
        By stage.
    problems : list of Problem
    """

    def __init__(self) -> None:
        self.outcomes = dict.fromkeys(STAGES, NOT_REACHED)
        self.problems: list[Problem] = []

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Run one stage.

        Raises
        ------
        Stopped
            If it raises an error, which is then a problem.
        """
        failed = None
        with warnings_caught() as caught:
            try:
                yield
            except DESCRIBED as error:
                failed = error
        for each in caught:
            # What torch says of its own inside is no advice beside the error that follows.
            if failed is not None and "Triggered internally" in str(each.message):
                continue
            self.add(name, "warning", each.category.__name__, str(each.message))
        if failed is not None:
            self.add(name, "error", type(failed).__name__, str(failed) or repr(failed))
            self.outcomes[name] = FAILED
            raise Stopped from failed
        if self.outcomes[name] == NOT_REACHED:
            self.outcomes[name] = PASSED

    def add(self, stage: str, severity: str, category: str, message: str) -> None:
        """Note a problem, once."""
        found = Problem(stage, severity, category, " ".join(message.split()))
        if found.message not in {each.message for each in self.problems}:
            self.problems.append(found)
