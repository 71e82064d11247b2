"""From the estimator's parameters to how the two phases are trained."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from skhybrid.structures import Hybrid, LatentDynamics
from skhybrid.training import Batch, Patience, Penalties, Recipe, Schedule
from skhybrid.training.schedule import AUTO_STEPS, AUTO_WINDOW_STEPS

# θ learns so much faster than the network: with equal rates it stays near its start for thousands
# of steps, while the network explains the data.
PHYSICS_RATE_FACTOR = 10.0
# Behind an encoder θ means little until the encoder has learned (benchmarks/bench_images.py).
LATENT_RATE_FACTOR = 3.0
# Every point of a field is a sample of the right-hand side, so that few fields make a minibatch
# (benchmarks/bench_fields.py).
POINTS_IN_BATCH = 2048
MIN_FIELDS = 2


def make_recipes(
    settings: Any,
    hybrid: Hybrid,
    n_rows: int,
    seed: int,
    validation: Batch | None,
    *,
    n_stages: int = 1,
) -> tuple[Recipe, Recipe | None]:
    """Return the recipes of the two phases, of which the second may be None.

    Parameters
    ----------
    settings : HybridRegressor
        Read for its parameters only.
    hybrid : Hybrid
    n_rows : int
        Number of training rows.
    seed : int
        Of the minibatches.
    validation : Batch or None
        Held-out rows.
    n_stages : int, default=1
        Number of stages that share the steps of the first phase.
    """

    def spread(value: float, n_members: int) -> Tensor:
        scale = hybrid.scales.target_scale
        return torch.full((n_members,), float(value), dtype=scale.dtype, device=scale.device)

    def penalties(n_members: int) -> Penalties:
        return Penalties(
            spread(settings.l2, n_members),
            spread(settings.functional_norm, n_members),
            spread(settings.orthogonality, n_members),
        )

    n_steps = AUTO_STEPS if hybrid.course is None else AUTO_WINDOW_STEPS
    schedule = Schedule.for_rows(n_rows, settings.batch_size, settings.max_epochs, n_steps=n_steps)
    sharp = settings.optimizer == "sam" and settings.rho > 0
    physics_rate = settings.physics_learning_rate
    if physics_rate is None:
        is_latent = isinstance(hybrid, LatentDynamics)
        factor = LATENT_RATE_FACTOR if is_latent else PHYSICS_RATE_FACTOR
        physics_rate = factor * settings.learning_rate
    n_members = settings.n_restarts
    patience = None
    if settings.early_stopping:
        patience = Patience(settings.n_iter_no_change, settings.tol)
    common = {
        "perturbation": settings.perturbation,
        "compile": settings.compile,
        "seed": seed,
    }
    stage = replace(schedule, n_epochs=math.ceil(schedule.n_epochs / n_stages))
    first = Recipe(
        rho=spread(settings.rho, n_members) if sharp else None,
        learning_rate=spread(settings.learning_rate, n_members),
        physics_learning_rate=spread(physics_rate, n_members),
        penalties=penalties(n_members),
        perturb=settings.perturb,
        patience=patience,
        keep_best=None if validation is None else "each",
        schedule=stage,
        **common,
    )
    if not sharp or settings.refine_rho is None:
        return first, None
    second = Recipe(
        rho=spread(settings.refine_rho, 1) if settings.refine_rho > 0 else None,
        learning_rate=spread(settings.learning_rate, 1),
        physics_learning_rate=spread(0.0, 1),
        penalties=penalties(1),
        patience=copy.copy(patience),
        schedule=schedule,
        **common,
    )
    return first, second
