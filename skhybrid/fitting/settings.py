"""The settings of one fit: the estimator's parameters, checked and typed."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils._param_validation import Interval, StrOptions

from skhybrid.model.networks import hidden_sizes
from skhybrid.model.ode import ODE
from skhybrid.model.physics import Physics, as_physics
from skhybrid.model.structures import STRUCTURES, get_structure
from skhybrid.runtime.device import usable_device
from skhybrid.training.losses import Loss

# Default of HybridRegressor, which warnings about a fit name.
DEFAULT_LEARNING_RATE = 6e-3

NetworkSpec = int | Sequence[int] | torch.nn.Module


def has_functions(physics: Physics | None) -> bool:
    """Whether parameters of a physics are functions of features."""
    return physics is not None and len(physics.varying) > 0


@dataclass(frozen=True)
class FitSettings:
    """The parameters of :class:`~skhybrid.HybridRegressor` as plain values.

    Only ``max_epochs`` and ``batch_size`` may still be "auto": they depend on the rows.

    Attributes
    ----------
    physics : Physics or None
        A copy: parameters that the user sets later do not change a fitted model.
    nn : int, sequence of int, torch.nn.Module or None
    structure : callable or ODE
        A structure's name is replaced by its function, the user's ODE by a clone. Without a network
        it has no free states.
    dtype, device : torch.dtype, torch.device
    """

    physics: Physics | None
    nn: NetworkSpec | None
    structure: Callable | ODE
    loss: str
    huber_delta: float
    optimizer: str
    rho: float
    rho_schedule: str
    perturbation: str
    perturb: str
    refine_rho: float | None
    l2: float
    functional_norm: float
    orthogonality: float
    learning_rate: float
    physics_learning_rate: float | None
    max_epochs: int | str
    batch_size: int | str | None
    n_restarts: int
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    nn_features: Sequence[str | int] | None
    nn_extrapolation: str
    physics_init: str
    missing_targets: str
    warm_start: bool
    dtype: torch.dtype
    device: torch.device
    n_threads: int | None
    compile: bool | str
    checkpoint: str | os.PathLike | None
    random_state: int | np.random.RandomState | None
    verbose: int

    @classmethod
    def of(cls, estimator: Any, **chosen: Any) -> FitSettings:
        """Return the settings of an estimator.

        Parameters
        ----------
        estimator : HybridRegressor
        **chosen
            Chosen values of parameters that are "auto".

        Raises
        ------
        ValueError
            If physics and network are both None, or one of them cannot be used.
        """
        given = {each.name: getattr(estimator, each.name) for each in fields(cls)} | chosen
        structure, nn = given["structure"], given["nn"]
        if given["physics"] is None and nn is None:
            raise ValueError("physics and nn are both None: there is nothing to fit.")
        if isinstance(structure, type):
            raise ValueError(
                f"structure is the class {structure.__name__}; pass an instance of it, such as "
                f"{structure.__name__}(dt=1.0)."
            )
        if nn is not None and not isinstance(nn, torch.nn.Module):
            hidden_sizes(nn)
        given |= {
            "physics": copy.copy(as_physics(given["physics"])),
            "structure": clone(structure) if isinstance(structure, ODE) else structure,
            "dtype": getattr(torch, given["dtype"]),
            "device": usable_device(given["device"], type(estimator).__name__),
        }
        if isinstance(structure, ODE):
            if nn is None and structure.n_free_states:
                given["structure"].n_free_states = 0
        else:
            varies = nn is not None and has_functions(given["physics"])
            given["structure"] = get_structure(structure, varies=varies)
        return cls(**given)

    @property
    def corrects(self) -> bool:
        """Whether the structure has a correction, beside functions that the network gives."""
        structure = self.structure
        if isinstance(structure, ODE):
            join = structure.chosen_join(varies=has_functions(self.physics))
            return join != "none" or structure.correct == "output"
        return structure is not STRUCTURES["none"]

    @property
    def cost(self) -> Loss:
        """What an error costs."""
        if self.loss != "huber":  # fits that differ in an unused number can share a batch
            return Loss(self.loss)
        return Loss(self.loss, float(self.huber_delta))

    @property
    def uses_sam(self) -> bool:
        """Whether the first phase uses sharpness-aware minimisation."""
        return self.optimizer == "sam" and self.rho > 0


# Types and values of the estimator's parameters, for scikit-learn's validation.
PARAMETER_CONSTRAINTS: dict = {
    "physics": [callable, Physics, None],
    "nn": [Interval(Integral, 1, None, closed="left"), list, tuple, torch.nn.Module, None],
    "structure": [StrOptions({"auto", *STRUCTURES}), callable, ODE],
    "loss": [StrOptions({"squared_error", "huber", "absolute_error"})],
    "huber_delta": [Interval(Real, 0.01, None, closed="left")],
    "optimizer": [StrOptions({"sam", "adam"})],
    "rho": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "rho_schedule": [StrOptions({"noise", "constant"})],
    "perturbation": [StrOptions({"layer", "global", "elementwise"})],
    "perturb": [StrOptions({"nn", "all"})],
    "refine_rho": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"}), None],
    "l2": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "functional_norm": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "orthogonality": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "physics_learning_rate": [Interval(Real, 0, None, closed="left"), None],
    "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
    "n_restarts": [Interval(Integral, 1, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "nn_features": [list, tuple, np.ndarray, StrOptions({"auto"}), None],
    "nn_extrapolation": [StrOptions({"hold", "free"})],
    "physics_init": [StrOptions({"least_squares", "given"})],
    "missing_targets": [StrOptions({"error", "mask"})],
    "warm_start": ["boolean"],
    "dtype": [StrOptions({"float32", "float64"})],
    "device": [str, torch.device],
    "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    "compile": ["boolean", StrOptions({"auto"})],
    "checkpoint": [str, os.PathLike, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}
