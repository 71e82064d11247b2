"""A constant that physics and network can both give: the mean of the network moves to the physics.

In y = f_S(x; θ) + σ_y f_N(x), an offset in the physics and the mean of f_N make up for each other
exactly; in y = f_S(x; θ) · (1 + f_N(x)), a gain in the physics and the mean of 1 + f_N do. Data do
not tell them apart. The convention is that f_N has a weighted mean of zero over the training rows
when θ is final, at the end of the first phase.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from skhybrid.model.batch import Batch, row_chunks
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.param_prior import LOGNORMAL
from skhybrid.model.structures import additive, multiplicative
from skhybrid.runtime.draws import drawing
from skhybrid.runtime.user_warnings import warnings_caught
from skhybrid.training.flat_directions import EXACT, PhysicsOnRows, flat_directions

# With fewer predicted numbers for each parameter, a constant may be flat by coincidence.
MIN_PER_PARAMETER = 3
# A mean factor below this is left alone: the network takes the physics away.
MIN_FACTOR = 0.1
# Attempts to stay within the bounds of θ, where the physics is not linear in it.
MAX_ATTEMPTS = 5
# The prediction may change by so many times its rounding error.
ROUNDING = 256.0

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Shift:
    """How far θ moves, to give what the network gives on average.

    Attributes
    ----------
    elements : list of (str, tuple of int)
        Names and indices of the physics parameters that move.
    coordinates : dict of str to Tensor
        Scaled physics parameters after the shift.
    amount : Tensor of shape (n_targets,)
        What the network loses.
    wanted : Tensor of shape (n_targets,)
        What it would lose without bounds of θ.
    """

    elements: list[tuple[str, tuple[int, ...]]]
    coordinates: dict[str, Tensor]
    amount: Tensor
    wanted: Tensor


def settle(
    hybrid: Hybrid, data: Batch, weights: Tensors, coordinates: Tensors
) -> tuple[Tensors, Tensors]:
    """Move the network's mean to θ if that changes no prediction.

    Parameters
    ----------
    hybrid : Hybrid
    data : Batch
        Training rows.
    weights : mapping of str to Tensor
        Parameters of the network.
    coordinates : mapping of str to Tensor
        Scaled physics parameters.

    Returns
    -------
    weights, coordinates : mapping of str to Tensor
        The given ones, unless a change of θ gives the constant exactly, the network ends in a
        linear layer with a bias, and the prediction stays the same up to rounding.
    """
    shift = find_shift(hybrid, data, weights, coordinates)
    if shift is None:
        return weights, coordinates
    return shifted(hybrid, data, weights, coordinates, shift)


def shifted(
    hybrid: Hybrid, data: Batch, weights: Tensors, coordinates: Tensors, shift: Shift
) -> tuple[Tensors, Tensors]:
    """Return weights and coordinates after a shift, or the given ones, as :func:`settle` does."""
    if not bool(shift.amount.any()):
        return weights, coordinates
    after = _without_mean(hybrid, weights, shift.amount)
    if after is None:
        return weights, coordinates
    with _evaluating(hybrid):
        for x in row_chunks(data.x):
            before = hybrid(x, coordinates, weights)
            change = hybrid(x, shift.coordinates, after) - before
            output = hybrid.bind_network(weights)(x, scale=1.0).abs().max()
            known = hybrid.physics_part(x, coordinates).abs().max()
            size = before.abs().max() + known * (1.0 + output)
            if not _is_rounding(change, size + hybrid.scales.target_scale.max() * (1.0 + output)):
                return weights, coordinates
    return after, shift.coordinates


def find_shift(hybrid: Hybrid, data: Batch, weights: Tensors, coordinates: Tensors) -> Shift | None:
    """Return the shift of θ that gives the network's mean; None if no shift gives it exactly.

    Only tables with the structures "additive" and "multiplicative" have one. The parameters are
    those of :func:`settle`.
    """
    joined = hybrid.structure is additive or hybrid.structure is multiplicative
    if type(hybrid) is not Hybrid or not joined or hybrid.parts is not None:
        return None
    if hybrid.network is None or hybrid.physics is None or not hybrid.space.shapes:
        return None
    try:
        with _evaluating(hybrid), warnings_caught():
            return _find_shift(hybrid, data, weights, coordinates)
    except (RuntimeError, ValueError, TypeError):  # a trained model must not fail here
        return None


def _find_shift(
    hybrid: Hybrid, data: Batch, weights: Tensors, coordinates: Tensors
) -> Shift | None:
    """Return the shift, or None."""
    physics = PhysicsOnRows(hybrid, data, coordinates)
    if len(physics.start) * MIN_PER_PARAMETER > physics.n_numbers:
        return None
    known, jacobian = physics(physics.start), physics.jacobian(physics.start)
    constants = physics.constants(known)
    flat = flat_directions(jacobian, constants)
    if flat.shape[1] == 0:
        return None
    lengths = constants.norm(dim=0)
    mean = _network_mean(hybrid, data, weights).to(lengths)
    wanted = amount = flat @ (flat.T @ (mean * lengths)) / lengths
    wanted = amount = _with_priors(hybrid, physics, amount, known + constants @ amount, jacobian)
    if hybrid.structure is multiplicative and not bool((1.0 + wanted > MIN_FACTOR).all()):
        return None
    for _ in range(MAX_ATTEMPTS):
        moved = physics.solve(known + constants @ amount, jacobian)
        if moved is None:
            return None
        part = physics.part_within_limits(moved)
        if part == 1.0:
            break
        amount = amount * part
    shift = Shift(
        physics.elements_that_give(constants @ wanted, jacobian),
        physics.coordinates(moved),
        amount.to(hybrid.scales.target_mean),
        wanted.to(hybrid.scales.target_mean),
    )
    effects = float((jacobian * physics.start).abs().sum(dim=1).max())
    return shift if _holds_everywhere(hybrid, data, coordinates, shift, effects) else None


def _with_priors(
    hybrid: Hybrid, physics: PhysicsOnRows, amount: Tensor, goal: Tensor, jacobian: Tensor
) -> Tensor:
    """Return the part of a shift that priors of θ leave; it may be negative.

    The data do not tell the network's mean m and θ apart, so their priors decide: a standard
    deviation of one for m, in units of the network's outputs, and those of θ. The part λ minimises
    (1 - λ)² m² + Σ ((θ + λ Δθ - μ)/τ)². Without priors it is one.
    """
    params = hybrid.physics.params
    if all(params[name].prior is None for name in hybrid.space.shapes):
        return amount
    moved = physics.solve(goal, jacobian)
    size = float(amount.square().sum())
    if moved is None or size == 0.0:
        return amount
    along, against = 0.0, 0.0
    before, after = physics.by_name(physics.start), physics.by_name(moved)
    for name, value in before.items():
        if params[name].prior is None:
            continue
        kind, centre, std = params[name].prior_moments()
        place = np.log if kind == LOGNORMAL else np.asarray
        first, last = (place(each.cpu().numpy()) for each in (value, after[name]))
        against += float(np.sum(((last - first) / std) ** 2))
        along += float(np.sum((first - centre) * (last - first) / std**2))
    return amount * ((size - along) / (size + against))


@contextlib.contextmanager
def _evaluating(hybrid: Hybrid) -> Iterator[None]:
    """Evaluate the network without gradients and as for predictions, without dropout."""
    modes = {module: module.training for module in hybrid.network.modules()}
    try:
        hybrid.network.eval()
        with torch.no_grad(), drawing(0):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _network_mean(hybrid: Hybrid, data: Batch, weights: Tensors) -> Tensor:
    """Return the weighted mean of the network's outputs over the rows, of shape (n_targets,)."""
    network = hybrid.bind_network(weights)
    outputs = torch.cat([network(x, scale=1.0) for x in row_chunks(data.x)])
    outputs = outputs.double().reshape(len(outputs), -1)
    if data.weight is None:
        return outputs.mean(dim=0)
    importance = data.weight.double().reshape(outputs.shape)
    return (outputs * importance).sum(dim=0) / importance.sum(dim=0)


def _holds_everywhere(
    hybrid: Hybrid, data: Batch, coordinates: Tensors, shift: Shift, effects: float
) -> bool:
    """Whether the physics changes on all rows as on those of the derivatives.

    ``effects`` is the size of the effects of θ on the physics, in standard deviations of the
    target. They may be larger than their sum, and so are their rounding errors.
    """
    unit = hybrid.scales.target_scale
    amount = shift.amount.reshape(unit.shape)
    for x in row_chunks(data.x):
        before = hybrid.physics_part(x, coordinates)
        constant = amount * (before if hybrid.structure is multiplicative else unit)
        change = hybrid.physics_part(x, shift.coordinates) - (before + constant)
        size = before.abs().max() + constant.abs().max() + effects * unit.max()
        if not _is_rounding(change, size):
            return False
    return True


def _is_rounding(change: Tensor, size: Tensor) -> bool:
    """Whether a change is at most a rounding error of numbers of a size."""
    part = max(ROUNDING * torch.finfo(change.dtype).eps, 2.0 * EXACT)
    return bool((change.abs() <= part * size).all())


def _without_mean(hybrid: Hybrid, weights: Tensors, amount: Tensor) -> dict[str, Tensor] | None:
    """Return the network's parameters after its loss; None if no linear layer can take it."""
    layers = [
        name for name, layer in hybrid.network.named_modules() if isinstance(layer, nn.Linear)
    ]
    if not layers:
        return None
    weight, bias = (f"{layers[-1]}.{each}".removeprefix(".") for each in ("weight", "bias"))
    if bias not in weights or len(weights[bias]) != len(amount):
        return None
    if hybrid.structure is additive:
        return {**weights, bias: weights[bias] - amount}
    if weight not in weights:
        return None
    factor = 1.0 + amount
    return {
        **weights,
        weight: weights[weight] / factor.unsqueeze(1),
        bias: (weights[bias] - amount) / factor,
    }
