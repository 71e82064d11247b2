"""Errors and warnings of skhybrid, each with its own class to catch."""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "CheckpointWarning",
    "CollapseWarning",
    "ColumnBindingWarning",
    "CompilationWarning",
    "DataNotAvailableError",
    "DivergenceWarning",
    "ExportError",
    "FitInterruptedWarning",
    "FreeRunWarning",
    "LeftOutWarning",
    "NetworkError",
    "NonFiniteLossWarning",
    "OtherDataWarning",
    "OutOfMemoryError",
    "ParameterWarning",
    "PhysicsError",
    "PhysicsInitWarning",
    "PoorFitWarning",
    "RandomNetworkWarning",
    "SavedModelError",
    "SearchInterruptedWarning",
    "SerialMembersWarning",
    "ShortTrainingWarning",
    "SolverWarning",
    "StructureError",
    "TrainingError",
    "UnknownGroupWarning",
    "WorkerKilledError",
    "WorkerKilledWarning",
]


class PhysicsError(ValueError):
    """The scientific model cannot be used: its signature, output or gradient is wrong."""


class NetworkError(ValueError):
    """The network cannot be used: its inputs, output or running statistics are wrong."""


class StructureError(ValueError):
    """The structure, or the join of an ODE, cannot be used: it fails, or its output is wrong."""


class TrainingError(RuntimeError):
    """Training ended without any usable parameters."""


class OutOfMemoryError(MemoryError):
    """Memory could not be allocated; the message says how much was asked for."""


class DataNotAvailableError(OSError):
    """A data set is not in the data folder and cannot be downloaded."""


class CheckpointError(OSError):
    """The folder for checkpoints cannot be created or written."""


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written, or cannot be used; the work goes on without it."""


class SavedModelError(ValueError):
    """A model cannot be saved, or its file is damaged or does not fit what ``load`` was given."""


class ExportError(RuntimeError):
    """A prediction cannot be written as a program, or the program gives other predictions."""


class WorkerKilledError(RuntimeError):
    """The worker processes of a search were killed again and again."""


class WorkerKilledWarning(RuntimeWarning):
    """A worker process of a search was killed; its fits are trained again."""


class NonFiniteLossWarning(RuntimeWarning):
    """A loss became non-finite; the fit stopped and its last good parameters were restored."""


class DivergenceWarning(RuntimeWarning):
    """A predicted trajectory becomes non-finite."""


class CollapseWarning(UserWarning):
    """One part of the hybrid model, the network or the physics, explains nothing."""


class ColumnBindingWarning(UserWarning):
    """Columns without names, more than the physics reads, are bound to it by position."""


class CompilationWarning(RuntimeWarning):
    """The steps of a fit could not be compiled; the fit goes on without."""


class UnknownGroupWarning(UserWarning):
    """Rows belong to groups that were not in training, and get common values."""


class FreeRunWarning(UserWarning):
    """Whole rollouts of a hybrid are worse than those of its physics alone."""


class LeftOutWarning(UserWarning):
    """Records of a long table cannot be used and are left out."""


class ParameterWarning(UserWarning):
    """The data do not determine a physics parameter: it is on a bound, idle or redundant."""


class PoorFitWarning(UserWarning):
    """A fit says little: it is worse than the mean, or its data are constant or too few."""


class OtherDataWarning(UserWarning):
    """The data given with a fitted model seem to be others than those of its fit."""


class PhysicsInitWarning(UserWarning):
    """The least-squares start of the physics parameters failed; the given values are used."""


class RandomNetworkWarning(UserWarning):
    """Fits in several threads take turns, because their model draws from a shared generator."""


class SerialMembersWarning(UserWarning):
    """The model cannot be vectorised over fits, so fits are trained one after the other."""


class SolverWarning(UserWarning):
    """The steps of a solver are too long: smaller ones would change θ or the prediction."""


class ShortTrainingWarning(UserWarning):
    """Training is too short to compare candidates: physics parameters have not settled."""


class FitInterruptedWarning(UserWarning):
    """A fit was interrupted from the keyboard; it keeps what it has found so far."""


class SearchInterruptedWarning(UserWarning):
    """A search was interrupted; its finished fits are kept."""
