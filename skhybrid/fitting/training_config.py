"""Make the training configurations of both phases from the settings."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import torch
from torch import Tensor

from skhybrid.fitting.settings import FitSettings
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid
from skhybrid.training.early_stopping import Patience
from skhybrid.training.penalties import Penalties
from skhybrid.training.priors import Prior
from skhybrid.training.problem import TrainingConfig
from skhybrid.training.schedule import (
    AUTO_DECAY_PART,
    AUTO_ESTIMATE_STEPS,
    AUTO_RATE_FACTOR,
    AUTO_STEPS,
    AUTO_WINDOW_STEPS,
    Schedule,
)

# θ learns faster than the network by this factor. With equal rates θ stays near its start for
# thousands of steps, while the network explains the data.
PHYSICS_RATE_FACTOR = 10.0
# Behind an encoder θ means little until the encoder has learned (benchmarks/bench_images.py).
LATENT_RATE_FACTOR = 3.0


def make_training_configs(
    settings: FitSettings,
    hybrid: Hybrid,
    n_rows: int,
    seed: int,
    *,
    n_members: int,
    validates: bool,
    n_stages: int = 1,
    n_observed: float | None = None,
    most_noise: float = math.inf,
) -> tuple[TrainingConfig, TrainingConfig | None]:
    """Return the configurations of both phases; the second is None if there is no second phase.

    Parameters
    ----------
    settings : FitSettings
    hybrid : Hybrid
    n_rows : int
        Number of training rows.
    seed : int
        Seed of the minibatches.
    n_members : int
        Number of restarts, and of other starts that are tried.
    validates : bool
        Whether rows are held out.
    n_stages : int, default=1
        Number of stages that share the steps of the first phase.
    n_observed : float, default=None
        Number of observed values, which gives priors their weight; None is the number of rows.
    most_noise : float, default=inf
        Largest variance of the noise in this weight.
    """
    of_members = _PerMember(settings, hybrid)
    estimate, refine, rate_factor = _schedules(settings, hybrid, n_rows)
    patience = None
    if settings.early_stopping:
        patience = Patience(settings.n_iter_no_change, settings.tol)
    # Values of groups are not perturbed, and the second phase holds them, like θ.
    has_network = hybrid.parts is None or hybrid.parts.has_networks
    uses_sam = settings.uses_sam and has_network
    common = {
        "perturbation": settings.perturbation,
        "patience": patience,
        "loss": settings.cost,
        "compile": settings.compile,
        "seed": seed,
    }
    first = TrainingConfig(
        rho=of_members("rho", n_members) if uses_sam else None,
        follows_noise=of_members.follow_noise(n_members) if uses_sam else None,
        learning_rate=of_members("learning_rate", n_members, rate_factor),
        physics_learning_rate=of_members.physics_rate(n_members, rate_factor),
        penalties=of_members.penalties(n_members),
        perturb=settings.perturb,
        keep_best="each" if validates else None,
        prior=Prior.of(
            hybrid.physics,
            hybrid.space,
            n_rows if n_observed is None else n_observed,
            n_members,
            hybrid.scales.target_scale,
            most_noise,
        ),
        schedule=replace(estimate, n_epochs=math.ceil(estimate.n_epochs / n_stages)),
        **common,
    )
    if not uses_sam or settings.refine_rho is None:
        return first, None
    second = TrainingConfig(
        rho=of_members("refine_rho", 1) if settings.refine_rho > 0 else None,
        follows_noise=of_members.follow_noise(1) if settings.refine_rho > 0 else None,
        learning_rate=of_members("learning_rate", 1),
        physics_learning_rate=torch.zeros_like(of_members("learning_rate", 1)),
        penalties=of_members.penalties(1),
        schedule=refine,
        **common,
    )
    return first, second


class _PerMember:
    """Settings as tensors with a number for each member."""

    def __init__(self, settings: FitSettings, hybrid: Hybrid) -> None:
        self._settings = settings
        self._hybrid = hybrid
        self._like = hybrid.scales.target_scale
        self._largest = torch.finfo(self._like.dtype).max

    def __call__(self, name: str, n_members: int, factor: float = 1.0) -> Tensor:
        """Return a setting times a factor for members that share it.

        Raises
        ------
        ValueError
            If the setting is too large for the training dtype.
        """
        return self._numbers(name, getattr(self._settings, name), n_members, factor)

    def physics_rate(self, n_members: int, factor: float) -> Tensor:
        """Return the learning rate of θ times a factor."""
        rate, settings = self._settings.physics_learning_rate, self._settings
        if rate is None:
            hidden = self._hybrid.has_hidden_encoder
            own = LATENT_RATE_FACTOR if hidden else PHYSICS_RATE_FACTOR
            rate = min(own * settings.learning_rate, self._largest)
        return self._numbers("physics_learning_rate", rate, n_members, factor)

    def penalties(self, n_members: int) -> Penalties:
        """Return the strengths of the penalties."""
        given = {each.name: getattr(self._settings, each.name, 0.0) for each in fields(Penalties)}
        given["groups"] = self._hybrid.group_penalty
        return Penalties(**{k: self._numbers(k, each, n_members) for k, each in given.items()})

    def follow_noise(self, n_members: int) -> Tensor:
        """Return whether the radius follows the noise."""
        follows = self._settings.rho_schedule == "noise"
        return torch.full((n_members,), follows, device=self._like.device)

    def _numbers(self, name: str, value: float, n_members: int, factor: float = 1.0) -> Tensor:
        """Return a number times a factor for each member."""
        if not value <= self._largest:
            raise ValueError(
                f"{name}={value!r} is beyond {self._largest:.1e}, the largest number of "
                f"{self._like.dtype}. Choose a much smaller number."
            )
        each = self._like.new_full((n_members,), float(value))
        return (factor * each).clamp(max=self._largest)


def _schedules(
    settings: FitSettings, hybrid: Hybrid, n_rows: int
) -> tuple[Schedule, Schedule, float]:
    """Return the schedules of both phases, and the factor of the first one's learning rates.

    The first phase is short for tables with ``max_epochs="auto"``, if SAM trains them. Early
    stopping needs rates that decay from the beginning: it could stop before a late decay.
    """
    given = (n_rows, settings.batch_size, settings.max_epochs)
    if isinstance(hybrid, Dynamics):
        schedule = Schedule.for_rows(*given, n_steps=AUTO_WINDOW_STEPS)
        return schedule, schedule, 1.0
    schedule = Schedule.for_rows(*given, n_steps=AUTO_STEPS)
    if settings.max_epochs != "auto" or not settings.uses_sam or settings.early_stopping:
        return schedule, schedule, 1.0
    short = Schedule.for_rows(*given, n_steps=AUTO_ESTIMATE_STEPS, decay_part=AUTO_DECAY_PART)
    return short, schedule, AUTO_RATE_FACTOR
