"""Errors and warnings that skhybrid raises, each with a name to catch."""

from __future__ import annotations

__all__ = [
    "CollapseWarning",
    "DataNotAvailableError",
    "DivergenceWarning",
    "NetworkError",
    "NonFiniteLossWarning",
    "PhysicsError",
    "PhysicsInitWarning",
    "SearchInterruptedWarning",
    "SerialMembersWarning",
    "TrainingError",
]


class PhysicsError(ValueError):
    """The scientific model cannot be used as it is: its signature, its output or its gradient."""


class NetworkError(ValueError):
    """The network cannot be used as it is: its inputs, its output or its running statistics."""


class TrainingError(RuntimeError):
    """Training ended without any usable parameters."""


class DataNotAvailableError(OSError):
    """A data set is neither in the data folder nor can it be downloaded."""


class NonFiniteLossWarning(RuntimeWarning):
    """A fit met a non-finite loss; it was stopped and its last good parameters were restored."""


class DivergenceWarning(RuntimeWarning):
    """A predicted trajectory is not finite from some time on."""


class CollapseWarning(UserWarning):
    """One half of the hybrid model explains nothing: the network's part or the physics' part."""


class PhysicsInitWarning(UserWarning):
    """The least-squares start of the physics parameters failed; the given values are used."""


class SerialMembersWarning(UserWarning):
    """The model cannot be vectorised over fits, so they are trained one after the other."""


class SearchInterruptedWarning(UserWarning):
    """A search was interrupted; what it finished is kept."""
