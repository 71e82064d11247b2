"""Many fits in one batch: one flat vector of parameters, and its views with a member axis."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skhybrid.exceptions import TrainingError
from skhybrid.model.layout import FIRST_STATES
from skhybrid.model.out_of_memory import is_out_of_memory
from skhybrid.model.user_code import reason

# Roles of parameter tensors.
PHYSICS = "physics"
FIRST_STATE = "state"
WEIGHT = "weight"
BIAS = "bias"
CODER = "coder"
GROUP = "group"
ALL = (PHYSICS, FIRST_STATE, WEIGHT, BIAS, CODER, GROUP)

Limits = Mapping[str, tuple[Tensor, Tensor]]

# Standard deviation of a disturbance, relative to the parameter's size plus this number.
DISTURBANCE = 0.1


@dataclass(frozen=True)
class Block:
    """The position of one parameter tensor of all members in the flat vector.

    ``role`` is "physics" (scaled physics parameters), "state" (learned first states of
    trajectories), "weight" (network tensors of two or more dimensions), "bias" (network tensors
    of one dimension or none), "coder" (tensors of an encoder or a decoder) or "group" (values of
    groups).
    """

    name: str
    role: str
    start: int
    stop: int
    n_members: int

    def view(self, flat: Tensor) -> Tensor:
        """Return this block of a flat vector as (n_members, size)."""
        return flat[self.start : self.stop].view(self.n_members, -1)


class Members:
    """Parameters of one or many fits of the same model.

    All values lie in one flat vector, ordered by tensor, then by member. The tensors that autograd
    sees are views of this vector. With several members they have a leading member axis, and
    ``torch.vmap`` evaluates the model. A single member has no such axis, because ``vmap`` would
    double its time.

    Parameters
    ----------
    network : torch.nn.Module or None
        The architecture. With a single member its own parameters become views of the flat vector.
    weights : sequence of mapping of str to Tensor
        The network's parameters, one mapping for every member.
    coordinates : sequence of mapping of str to Tensor
        The scaled physics parameters, and learned first states if there are any, one mapping for
        every member.
    limits : sequence of mapping of str to (Tensor, Tensor), default=None
        Lowest and highest scaled physics parameters, one mapping for every member. None, and names
        that are missing, mean no limits.

    Attributes
    ----------
    flat, gradient : Tensor of shape (n_members * n_parameters,)
        All parameters, and the gradient of each member's loss.
    blocks : list of Block
        One for every parameter tensor.
    coordinates, weights : dict of str to Tensor
        Views of ``flat``, with a leading member axis for several members.
    midway : Tensor or None
        ``flat`` as it was halfway through training.
    stopped : Tensor of bool, shape (n_members,)
        Which members are held where they are.
    stopped_elements : Tensor of bool, in the shape of ``flat``, or None
        The parameters of stopped members; None if no member was ever stopped.
    """

    def __init__(
        self,
        network: nn.Module | None,
        weights: Sequence[Mapping[str, Tensor]],
        coordinates: Sequence[Mapping[str, Tensor]],
        limits: Sequence[Limits] | None = None,
    ) -> None:
        self.n_members = len(coordinates)
        live = {} if network is None else dict(network.named_parameters())
        trainable = [name for name, parameter in live.items() if parameter.requires_grad]
        stacks = [
            (
                name,
                FIRST_STATE if name == FIRST_STATES else PHYSICS,
                torch.stack([member[name] for member in coordinates]),
            )
            for name in (coordinates[0] if coordinates else ())
        ]
        stacks += [
            (
                name,
                _network_role(network, name, live[name]),
                torch.stack([w[name] for w in weights]),
            )
            for name in trainable
        ]
        self.blocks: list[Block] = []
        position = 0
        for name, role, stack in stacks:
            block = Block(name, role, position, position + stack.numel(), self.n_members)
            self.blocks.append(block)
            position = block.stop
        self.flat = torch.cat([stack.reshape(-1) for _, _, stack in stacks]).detach().clone()
        self.gradient = torch.zeros_like(self.flat)
        self.coordinates: dict[str, Tensor] = {}
        self.weights: dict[str, Tensor] = {}
        for block, (name, role, stack) in zip(self.blocks, stacks, strict=True):
            shape = stack.shape if self.n_members > 1 else stack.shape[1:]
            view = self.flat[block.start : block.stop].view(shape)
            if role in (PHYSICS, FIRST_STATE):
                self.coordinates[name] = view.requires_grad_()
            elif self.n_members == 1:
                live[name].data = view
                self.weights[name] = live[name]
            else:
                self.weights[name] = view.requires_grad_()
        self.leaves = [*self.coordinates.values(), *self.weights.values()]
        self.midway: Tensor | None = None
        self.stopped = torch.zeros(self.n_members, dtype=torch.bool, device=self.flat.device)
        self.stopped_elements: Tensor | None = None
        self._all_members = torch.ones_like(self.stopped)
        self._limits = self._limits_of_blocks(limits or [])

    def _limits_of_blocks(self, limits: Sequence[Limits]) -> dict[Block, tuple[Tensor, Tensor]]:
        """Return the limits of every block that has finite ones."""
        found = {}
        for block in self.blocks if limits else ():
            if block.role != PHYSICS or block.name not in limits[0]:
                continue
            low, high = (
                torch.stack([member[block.name][side].reshape(-1) for member in limits])
                for side in (0, 1)
            )
            if bool(torch.isfinite(low).any() | torch.isfinite(high).any()):
                found[block] = low.to(self.flat), high.to(self.flat)
        return found

    def gradient_of(self, name: str) -> Tensor:
        """Return the gradient of a parameter tensor, as a view of :attr:`gradient`."""
        names = [block.name for block in self.blocks]
        return self.tensors_of(self.gradient)[names.index(name)]

    def tensors_of(self, flat: Tensor) -> list[Tensor]:
        """Return the parameter tensors in another flat vector, as views of it."""
        return [
            flat[block.start : block.stop].view(leaf.shape)
            for block, leaf in zip(self.blocks, self.leaves, strict=True)
        ]

    def by_name(self, tensors: Sequence[Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return such tensors as coordinates and weights by name."""
        n_coordinates = len(self.coordinates)
        return (
            dict(zip(self.coordinates, tensors[:n_coordinates], strict=True)),
            dict(zip(self.weights, tensors[n_coordinates:], strict=True)),
        )

    def has_limits(self, block: Block) -> bool:
        """Whether a block has finite limits."""
        return block in self._limits

    def limited(self, block: Block, values: Tensor) -> Tensor:
        """Return a block's values moved onto its limits, if it has any."""
        if not self.has_limits(block):
            return values
        low, high = (limit.reshape(values.shape) for limit in self._limits[block])
        return values.clamp(low, high)

    @torch.no_grad()
    def project(self) -> None:
        """Move physics parameters that are beyond their limits onto them."""
        for block, (low, high) in self._limits.items():
            values = block.view(self.flat)
            torch.clamp(values, low, high, out=values)

    @contextlib.contextmanager
    def disturbed(self) -> Iterator[None]:
        """Disturb all parameters, differently for every member, and restore them at the end."""
        before = self.flat.clone()
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(self.flat.shape, generator=generator).to(self.flat)
        with torch.no_grad():
            self.flat.addcmul_(self.flat.abs().add_(DISTURBANCE), noise, value=DISTURBANCE)
        self.project()
        try:
            yield
        finally:
            with torch.no_grad():
                self.flat.copy_(before)

    def backward(self, losses: Tensor, *, keep: str | None = None) -> None:
        """Write the gradient of each member's loss into :attr:`gradient`.

        One backward pass of the summed losses is enough, because a member's loss depends only on
        its own parameters. Blocks of the role ``keep`` keep their current gradient.
        """
        kept = [block.view(self.gradient).clone() for block in self.blocks if block.role == keep]
        loss = losses if losses.ndim == 0 else losses.sum()
        found = gradients(loss, self.leaves)
        torch.cat([gradient.reshape(-1) for gradient in found], out=self.gradient)
        for block in self.blocks if kept else ():
            if block.role == keep:
                block.view(self.gradient).copy_(kept.pop(0))
        self.clear_stopped()

    def clear_stopped(self) -> None:
        """Set the gradients of stopped members to zero."""
        if self.stopped_elements is not None:
            self.gradient.masked_fill_(self.stopped_elements, 0.0)

    @torch.no_grad()
    def drop_non_finite(self) -> Tensor:
        """Set non-finite gradients of members to zero; return which members have finite ones."""
        if math.isfinite(float(self.gradient.sum())):
            return self._all_members
        finite = self._all_finite(self.gradient)
        self.gradient.masked_fill_(self.per_parameter(~finite).bool(), 0.0)
        return finite

    def stop(self, stopped: Tensor) -> None:
        """Set the gradients of these members to zero from now on, even for a non-finite loss."""
        self.stopped = stopped
        self.stopped_elements = self.per_parameter(stopped).bool()

    def finite(self) -> Tensor:
        """Return which members have only finite parameters: bool of shape (n_members,)."""
        return self._all_finite(self.flat)

    def _all_finite(self, flat: Tensor) -> Tensor:
        """Return which members have only finite values in a flat vector."""
        finite = torch.ones(self.n_members, dtype=torch.bool, device=flat.device)
        for block in self.blocks:
            finite &= torch.isfinite(block.view(flat).sum(dim=1))  # faster than each element
        return finite

    @torch.no_grad()
    def copy_where(self, target: Tensor, source: Tensor, chosen: Tensor) -> None:
        """Copy the values of the chosen members from one flat vector to another."""
        if bool(chosen.all()):
            target.copy_(source)
        else:
            target.copy_(torch.where(self.per_parameter(chosen).bool(), source, target))

    @torch.no_grad()
    def set_flat(self, flat: Tensor) -> None:
        """Copy all parameters from another flat vector."""
        self.flat.copy_(flat)

    def state(self) -> dict[str, Tensor | None]:
        """Return all parameters, now and midway."""
        return {"flat": self.flat, "midway": self.midway}

    def restore(self, state: Mapping[str, Tensor | None]) -> None:
        """Go on from a state."""
        self.set_flat(state["flat"])
        self.midway = state["midway"]

    def per_parameter(self, values: Tensor, roles: Sequence[str] = ALL) -> Tensor:
        """Return a flat vector with each member's value in the blocks of the given roles."""
        flat = torch.zeros_like(self.flat)
        for block in self.blocks:
            if block.role in roles:
                block.view(flat).copy_(values.reshape(-1, 1))
        return flat

    def member_coordinates(self, member: int) -> dict[str, Tensor]:
        """Return a detached copy of one member's scaled physics parameters and first states."""
        return self._member(self.coordinates, member)

    def note_midway(self) -> None:
        """Note that half of the training is over."""
        self.midway = self.flat.detach().clone()

    def member_midway(self, member: int) -> dict[str, Tensor] | None:
        """Return what :meth:`member_coordinates` was halfway through training, or None."""
        if self.midway is None:
            return None
        return self._member_of(self.midway, member, self.coordinates, [PHYSICS])

    def member_midway_weights(self, member: int) -> dict[str, Tensor]:
        """Return what :meth:`member_weights` was halfway through training."""
        return self._member_of(self.midway, member, self.weights, [WEIGHT, BIAS, CODER, GROUP])

    def _member_of(
        self, flat: Tensor, member: int, like: Mapping[str, Tensor], roles: Sequence[str]
    ) -> dict[str, Tensor]:
        """Return copies of one member's tensors in a flat vector, in the shapes of others."""
        views = {b.name: b.view(flat)[member] for b in self.blocks if b.role in roles}
        first = 0 if self.n_members == 1 else 1
        return {
            name: view.reshape(like[name].shape[first:]).clone() for name, view in views.items()
        }

    def member_weights(self, member: int) -> dict[str, Tensor]:
        """Return a detached copy of one member's network parameters."""
        return self._member(self.weights, member)

    def _member(self, tensors: Mapping[str, Tensor], member: int) -> dict[str, Tensor]:
        """Return detached copies of one member's tensors."""
        if self.n_members == 1:
            return {name: tensor.detach().clone() for name, tensor in tensors.items()}
        return {name: tensor.detach()[member].clone() for name, tensor in tensors.items()}


def gradients(
    output: Tensor, leaves: Sequence[Tensor], of_output: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Return the gradients of the leaves by autograd, from that of the output.

    Raises
    ------
    TrainingError
        If autograd fails.
    """
    try:
        return torch.autograd.grad(output, leaves, of_output, materialize_grads=True)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise TrainingError(
            f"The gradient of the loss failed: {reason(error)} Operations in place in the "
            "physics, nn, structure or observe are a usual cause: write a = a + b instead of "
            "a += b."
        ) from error


def _network_role(network: nn.Module, name: str, parameter: Tensor) -> str:
    """Return the role of a network's parameter."""
    is_coder = getattr(network, "is_coder", None)
    if is_coder is not None and is_coder(name):
        return CODER
    is_group = getattr(network, "is_group", None)
    if is_group is not None and is_group(name):
        return GROUP
    return WEIGHT if parameter.ndim > 1 else BIAS
