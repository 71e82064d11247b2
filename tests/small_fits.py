"""A small hybrid model and its data, for the tests of the training engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.networks import build_network
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.scales import Scales
from skhybrid.model.structures import get_structure
from skhybrid.training.members import Members
from skhybrid.training.penalties import Penalties
from skhybrid.training.problem import TrainingConfig
from skhybrid.training.result import Start
from skhybrid.training.schedule import Schedule


def decay(time, heat, *, rate=0.8, level=(1.5, 0.5)):
    """A level that decays in time, over a background."""
    return level[0] * torch.exp(-rate * time) + level[1]


def make_data(n_rows: int = 30, *, dtype: torch.dtype = torch.float64, seed: int = 0) -> Batch:
    """Return rows of what :func:`decay` leaves a part of unexplained."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n_rows, 2, generator=generator, dtype=torch.float64) * torch.tensor([3.0, 2.0])
    noise = 0.05 * torch.randn(n_rows, generator=generator, dtype=torch.float64)
    time, heat = x.unbind(1)
    y = 2.0 * torch.exp(-1.2 * time) + 0.4 + 0.3 * torch.sin(3.0 * heat) + noise
    return Batch(x.to(dtype), y.to(dtype), None)


def make_hybrid(
    data: Batch,
    physics: Callable | Physics | None = decay,
    hidden: Sequence[int] = (8,),
    structure: str = "additive",
) -> Hybrid:
    """Return a hybrid model for the rows, of their dtype."""
    x, y, _ = data
    if physics is not None and not isinstance(physics, Physics):
        physics = Physics(physics)
    standard = (x - x.mean(0)) / x.std(0)
    target_shape = tuple(y.shape[1:])
    n_outputs = y[0].numel()
    return Hybrid(
        physics,
        ParameterSpace(physics, dtype=x.dtype),
        build_network(hidden, x.shape[1], n_outputs, seed=0).to(x.dtype),
        get_structure(structure),
        Scales(
            -x.mean(0) / x.std(0),
            1.0 / x.std(0),
            standard.amin(0),
            standard.amax(0),
            y.mean(0),
            y.std(0),
        ),
        physics_columns=range(x.shape[1]),
        target_shape=target_shape,
    )


def make_starts(
    hybrid: Hybrid, n_members: int, hidden: Sequence[int] = (8,), seed: int = 1
) -> list[Start]:
    """Return different starts of the same model."""
    generator = torch.Generator().manual_seed(seed)
    scale = hybrid.scales.target_scale
    starts = []
    for member in range(n_members):
        n_inputs, n_outputs = len(hybrid.scales.feature_offset), scale.numel()
        network = build_network(hidden, n_inputs, n_outputs, seed=seed + member).to(scale.dtype)
        weights = {name: p.detach().clone() for name, p in network.named_parameters()}
        coordinates = {
            name: 0.1 * torch.randn(shape, generator=generator, dtype=torch.float64).to(scale.dtype)
            for name, shape in hybrid.space.shapes.items()
        }
        starts.append(Start(weights, coordinates))
    return starts


def make_members(hybrid: Hybrid, starts: Sequence[Start]) -> Members:
    """Return members at these starts."""
    weights = [{name: value.clone() for name, value in s.weights.items()} for s in starts]
    return Members(hybrid.network, weights, [s.coordinates for s in starts])


def make_penalties(
    n_members: int = 1,
    *,
    l2: float | Sequence[float] = 0.0,
    functional_norm: float | Sequence[float] = 0.0,
    orthogonality: float | Sequence[float] = 0.0,
    dtype: torch.dtype = torch.float64,
) -> Penalties:
    """Return penalties, each a number or one number per member."""
    values = (l2, functional_norm, orthogonality)
    return Penalties(*(per_member(value, n_members).to(dtype) for value in values))


def make_config(
    n_members: int = 1,
    *,
    rho: float | Sequence[float] | None = 0.05,
    learning_rate: float | Sequence[float] = 0.01,
    physics_learning_rate: float | Sequence[float] = 0.05,
    penalties: Penalties | None = None,
    n_epochs: int = 5,
    n_batches: int = 1,
    n_rows: int = 30,
    **others,
) -> TrainingConfig:
    """Return a recipe, with a number for all members or one number for each."""
    return TrainingConfig(
        rho=None if rho is None else per_member(rho, n_members),
        learning_rate=per_member(learning_rate, n_members),
        physics_learning_rate=per_member(physics_learning_rate, n_members),
        penalties=penalties or make_penalties(n_members),
        schedule=Schedule(n_epochs, n_batches, n_rows // n_batches),
        **others,
    )


def per_member(value: float | Sequence[float], n_members: int) -> Tensor:
    """Return one value for every member."""
    return torch.as_tensor(value, dtype=torch.float64).expand(n_members).clone()
