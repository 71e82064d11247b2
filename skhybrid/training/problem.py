"""A problem (model and data), its training configuration, and a whole fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.model.hybrid import Hybrid
from skhybrid.training.early_stopping import Patience
from skhybrid.training.losses import SQUARED_ERROR, Loss
from skhybrid.training.minibatches import PerMemberBatches
from skhybrid.training.penalties import Penalties
from skhybrid.training.priors import Prior
from skhybrid.training.result import Start
from skhybrid.training.schedule import Schedule


@dataclass(frozen=True)
class Problem:
    """A model and its data.

    Attributes
    ----------
    hybrid : Hybrid
    data : Batch or PerMemberBatches
        Training rows, with weights of shape (n, ...) or (n_members, n, ...). Several combined
        problems have PerMemberBatches.
    validation : Batch, PerMemberBatches or None
        Held-out rows. Weights of shape (n_members, n, ...) tell which rows each member held out.
    groups : Tensor of int, shape (n,), or None
        Rows of the same group are held out together. None means that every row is a group.
    fits : sequence of slice or None
        Members of every fit. None means that all members belong to one fit.
    member_constants : dict or None
        The tensors that differ between the members' models, stacked (see
        :meth:`~skhybrid.model.hybrid.Hybrid.member_constants`).
    """

    hybrid: Hybrid
    data: Batch | PerMemberBatches
    validation: Batch | PerMemberBatches | None = None
    groups: Tensor | None = None
    fits: Sequence[slice] | None = None
    member_constants: dict | None = None


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes
    ----------
    rho : Tensor of shape (n_members,) or None
        Radius of sharpness-aware minimisation. None means plain Adam with one gradient per step.
    follows_noise : Tensor of bool, shape (n_members,), or None
        Whether rho is the base of a radius that follows the noise in the loss (see
        :class:`~skhybrid.training.radius.Radius`), not a constant radius. None without rho.
    learning_rate, physics_learning_rate : Tensor of shape (n_members,)
        A physics learning rate of zero holds θ.
    penalties : Penalties
    schedule : Schedule
    perturbation, perturb : str
        See :class:`~skhybrid.training.sam.SAM`.
    patience : Patience or None
        When to stop by the validation loss; None means never.
    keep_best : {None, "each", "together"}
        Which parameters to keep; see :class:`~skhybrid.training.early_stopping.BestKeeper`.
    compile : bool or "auto"
        Whether to compile the steps; see :func:`~skhybrid.training.compiled_step.compiles`.
    seed : int
        Seed of the minibatches.
    loss : Loss
        What an error costs; all members share it.
    prior : Prior or None
        What is known of θ beforehand.
    """

    rho: Tensor | None
    follows_noise: Tensor | None
    learning_rate: Tensor
    physics_learning_rate: Tensor
    penalties: Penalties
    schedule: Schedule
    perturbation: str = "layer"
    perturb: str = "nn"
    patience: Patience | None = None
    keep_best: str | None = None
    compile: bool | str = False
    seed: int = 0
    loss: Loss = SQUARED_ERROR
    prior: Prior | None = None


@dataclass(frozen=True)
class Fit:
    """Everything that the training of one fit needs.

    Attributes
    ----------
    problem : Problem
    starts : sequence of Start
        One for every restart.
    config : TrainingConfig
        Configuration of the first phase, with a value for every restart.
    refinement : TrainingConfig or None
        Configuration of the second phase, for a single member; None skips this phase.
    earlier : sequence of (Problem, TrainingConfig)
        Problems with the same parameters, to train on first, in this order.
    """

    problem: Problem
    starts: Sequence[Start]
    config: TrainingConfig
    refinement: TrainingConfig | None = None
    earlier: Sequence[tuple[Problem, TrainingConfig]] = ()
