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
    scale = hybrid.scales.target_scale

    def per_member(name: str, value: float, n_members: int) -> Tensor:
        _require_range(name, value, scale.dtype)
        return torch.full((n_members,), float(value), dtype=scale.dtype, device=scale.device)

    def penalties(n_members: int) -> Penalties:
        given = {each.name: getattr(settings, each.name, 0.0) for each in fields(Penalties)}
        given["groups"] = hybrid.group_penalty
        strengths = {name: per_member(name, value, n_members) for name, value in given.items()}
        return Penalties(**strengths)

    estimate, refine, rate_factor = _schedules(settings, hybrid, n_rows)
    largest = torch.finfo(scale.dtype).max
    physics_rate = settings.physics_learning_rate
    if physics_rate is None:
        factor = LATENT_RATE_FACTOR if hybrid.has_hidden_encoder else PHYSICS_RATE_FACTOR
        physics_rate = min(factor * settings.learning_rate, largest)
    patience = None
    if settings.early_stopping:
        patience = Patience(settings.n_iter_no_change, settings.tol)

    def first_rate(name: str, rate: float) -> Tensor:
        return (rate_factor * per_member(name, rate, n_members)).clamp(max=largest)

    def follows_noise(n_members: int) -> Tensor:
        follows = settings.rho_schedule == "noise"
        return torch.full((n_members,), follows, device=scale.device)

    # Values of groups are not perturbed, and the second phase holds them, like θ.
    has_network = hybrid.parts is None or hybrid.parts.has_networks
    uses_sam = settings.uses_sam and has_network
    first = TrainingConfig(
        rho=per_member("rho", settings.rho, n_members) if uses_sam else None,
        follows_noise=follows_noise(n_members) if uses_sam else None,
        learning_rate=first_rate("learning_rate", settings.learning_rate),
        physics_learning_rate=first_rate("physics_learning_rate", physics_rate),
        penalties=penalties(n_members),
        perturbation=settings.perturbation,
        perturb=settings.perturb,
        patience=patience,
        keep_best="each" if validates else None,
        loss=settings.cost,
        prior=Prior.of(
            hybrid.physics,
            hybrid.space,
            n_rows if n_observed is None else n_observed,
            n_members,
            scale,
            most_noise,
        ),
        schedule=replace(estimate, n_epochs=math.ceil(estimate.n_epochs / n_stages)),
        compile=settings.compile,
        seed=seed,
    )
    if not uses_sam or settings.refine_rho is None:
        return first, None
    second = TrainingConfig(
        rho=per_member("refine_rho", settings.refine_rho, 1) if settings.refine_rho > 0 else None,
        follows_noise=follows_noise(1) if settings.refine_rho > 0 else None,
        learning_rate=per_member("learning_rate", settings.learning_rate, 1),
        physics_learning_rate=per_member("physics_learning_rate", 0.0, 1),
        penalties=penalties(1),
        loss=settings.cost,
        perturbation=settings.perturbation,
        patience=patience,
        schedule=refine,
        compile=settings.compile,
        seed=seed,
    )
    return first, second


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


def _require_range(name: str, value: float, dtype: torch.dtype) -> None:
    """Raise a ValueError for a setting that is too large for the training dtype."""
    largest = torch.finfo(dtype).max
    if not value <= largest:
        raise ValueError(
            f"{name}={value!r} is beyond {largest:.1e}, the largest number of {dtype}. "
            "Choose a much smaller number."
        )
