"""A small hybrid model and its data, for the tests of the training engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.testing import assert_close

from skhybrid.model.batch import Batch
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.networks import build_network
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.scales import Scales
from skhybrid.model.structures import get_structure
from skhybrid.training.input_padding import FEATURE_SCALES
from skhybrid.training.loop import train
from skhybrid.training.members import Members
from skhybrid.training.penalties import Penalties
from skhybrid.training.problem import Problem, TrainingConfig
from skhybrid.training.result import MemberResults, Start
from skhybrid.training.schedule import Schedule


def decay(time, heat, *, rate=0.8, level=(1.5, 0.5)):
    """A level that decays in time, above a constant background."""
    return level[0] * torch.exp(-rate * time) + level[1]


def make_data(n_rows: int = 30, *, dtype: torch.dtype = torch.float64, seed: int = 0) -> Batch:
    """Return noisy rows that :func:`decay` explains in part."""
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
    """Return a hybrid model for the rows, in their dtype."""
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
    groups: float | Sequence[float] = 0.0,
    dtype: torch.dtype = torch.float64,
) -> Penalties:
    """Return penalties; each is one number for all members, or one for each."""
    values = (l2, functional_norm, orthogonality, groups)
    return Penalties(*(per_member(value, n_members).to(dtype) for value in values))


def make_config(
    n_members: int = 1,
    *,
    rho: float | Sequence[float] | None = 0.05,
    learning_rate: float | Sequence[float] = 0.01,
    physics_learning_rate: float | Sequence[float] = 0.05,
    follows_noise: bool | Sequence[bool] = False,
    penalties: Penalties | None = None,
    n_epochs: int = 5,
    n_batches: int = 1,
    n_rows: int = 30,
    **others,
) -> TrainingConfig:
    """Return a training configuration, with one number for all members or one for each."""
    return TrainingConfig(
        rho=None if rho is None else per_member(rho, n_members),
        follows_noise=torch.as_tensor(follows_noise).expand(n_members).clone(),
        learning_rate=per_member(learning_rate, n_members),
        physics_learning_rate=per_member(physics_learning_rate, n_members),
        penalties=penalties or make_penalties(n_members),
        schedule=Schedule(n_epochs, n_batches, n_rows // n_batches),
        **others,
    )


def per_member(value: float | Sequence[float], n_members: int) -> Tensor:
    """Return one value for every member."""
    return torch.as_tensor(value, dtype=torch.float64).expand(n_members).clone()


def make_problem(
    n_rows: int = 30, seed: int = 0, n_held_out: int = 0, *, weighted: bool = False, **model
) -> Problem:
    """Return a model and its rows, with held-out rows if there are to be some."""
    data = make_data(n_rows, seed=seed)
    if weighted:
        data = data._replace(weight=torch.linspace(0.5, 1.5, n_rows, dtype=torch.float64))
    held_out = make_data(n_held_out, seed=seed + 20) if n_held_out else None
    return Problem(make_hybrid(data, **model), data, held_out)


def with_network_columns(problem: Problem, columns: Sequence[int], seed: int = 0) -> Problem:
    """Return the problem with a network that reads these columns."""
    hybrid = problem.hybrid
    scales = {name: getattr(hybrid.scales, name)[columns] for name in FEATURE_SCALES}
    network = build_network((8,), len(columns), 1, seed=seed).double()
    hybrid = hybrid.with_network_columns(columns).with_network(network)
    return replace(problem, hybrid=hybrid.at(hybrid.space, replace(hybrid.scales, **scales)))


def logarithm(time, heat, *, gain=1.0):
    """Physics that is undefined for a negative gain."""
    return torch.log(gain) * torch.exp(-time)


def make_doomed_problem() -> Problem:
    """Return a problem whose data push the gain of :func:`logarithm` below zero."""
    data = make_data()
    data = data._replace(y=data.y - 20.0)
    return Problem(make_hybrid(data, logarithm), data)


def is_defined(gain_coordinate: Tensor) -> bool:
    """Whether :func:`logarithm` is defined for this scaled gain."""
    return float(gain_coordinate) > -1.0


def starts_of(problems: Sequence[Problem], n_members: Sequence[int]) -> list[list[Start]]:
    """Return different starts for every problem."""
    return [
        make_starts(problem.hybrid, count, seed=10 * number + 1)
        for number, (problem, count) in enumerate(zip(problems, n_members, strict=True))
    ]


def parameters(members: Members, member: int) -> dict[str, Tensor]:
    """Return the network and physics parameters of one member."""
    return members.member_weights(member) | members.member_coordinates(member)


def trained_alone(
    problem: Problem, config: TrainingConfig, starts: Sequence[Start]
) -> tuple[MemberResults, list[dict[str, Tensor]]]:
    """Train the members of one problem; return the results and the parameters of every member."""
    members = make_members(problem.hybrid, starts)
    results = train(problem, members, config)
    return results, [parameters(members, member) for member in range(len(starts))]


def assert_same_results(found: MemberResults, expected: MemberResults) -> None:
    """Assert that two results are the same up to rounding."""
    assert found.status == expected.status
    assert found.n_epochs == expected.n_epochs
    assert found.stopped_epoch == expected.stopped_epoch
    assert found.kept_epoch == expected.kept_epoch
    close = {"rtol": 1e-9, "atol": 1e-12, "equal_nan": True}
    assert_close(found.losses, expected.losses, **close)
    assert_close(found.curve, expected.curve, **close)
    assert (found.validation_losses is None) == (expected.validation_losses is None)
    if expected.validation_losses is not None:
        assert_close(found.validation_losses, expected.validation_losses, **close)
