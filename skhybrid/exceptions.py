"""Errors and warnings of skhybrid, each with its own class to catch."""

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
    """The scientific model cannot be used: its signature, output or gradient is wrong."""


class NetworkError(ValueError):
    """The network cannot be used: its inputs, output or running statistics are wrong."""


class TrainingError(RuntimeError):
    """Training ended without any usable parameters."""


class DataNotAvailableError(OSError):
    """A data set is not in the data folder and cannot be downloaded."""


class NonFiniteLossWarning(RuntimeWarning):
    """A loss became non-finite; the fit stopped and its last good parameters were restored."""


class DivergenceWarning(RuntimeWarning):
    """A predicted trajectory becomes non-finite."""


class CollapseWarning(UserWarning):
    """One part of the hybrid model, the network or the physics, explains nothing."""


class PhysicsInitWarning(UserWarning):
    """The least-squares start of the physics parameters failed; the given values are used."""


class SerialMembersWarning(UserWarning):
    """The model cannot be vectorised over fits, so fits are trained one after the other."""


class SearchInterruptedWarning(UserWarning):
    """A search was interrupted; its finished fits are kept."""
