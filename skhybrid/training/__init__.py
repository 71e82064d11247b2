"""Training of one or many fits: init, step, stop, and one result."""

from __future__ import annotations

from skhybrid.training.batch import Batch
from skhybrid.training.loop import Problem, Recipe, train
from skhybrid.training.members import Members
from skhybrid.training.penalties import Penalties
from skhybrid.training.result import Result, Status
from skhybrid.training.schedule import Schedule
from skhybrid.training.stopping import Patience

__all__ = [
    "Batch",
    "Members",
    "Patience",
    "Penalties",
    "Problem",
    "Recipe",
    "Result",
    "Schedule",
    "Status",
    "train",
]
