"""A whole step of the optimiser as one compiled graph: both passes, SAM, penalties and Adam."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from skhybrid.exceptions import TrainingError
from skhybrid.model.batch import select_rows
from skhybrid.runtime.user_warnings import warnings_caught
from skhybrid.training.adam import Adam
from skhybrid.training.members import FIRST_STATE, PHYSICS, Members
from skhybrid.training.priors import PriorGradient
from skhybrid.training.radius import Radius
from skhybrid.training.record_checks import StaysInTorch, other_rows, require_same
from skhybrid.training.sam import SAM, directions

# Code in C++ around the kernels saves a fifth of a step, and takes no longer to compile. Vector
# instructions are those that the processor names: to try them takes two seconds in each process.
OPTIONS = {"cpp_wrapper": True, "cpp.vec_isa_ok": True}
# Compiled steps of this process by their code and the layout of their arguments, the latest last.
_compiled: dict[tuple, Callable] = {}
MAX_KEPT = 64
# torch patches modules while it records, so one thread records at a time.
_recording = threading.Lock()


# Steps of a phase from which "auto" compiles: it takes about 20 seconds, and saves a third of a
# millisecond in every step.
AUTO_LEAST_STEPS = 60_000

# Arguments of the loss that differ between minibatches: rows, targets and weights. They come first.
N_CHANGING = 3

# A window of two RK4 steps takes about 250 operations, which compile in half a minute.
MAX_OPERATIONS = 1000


def compiles(setting: bool | str, n_steps: int) -> bool:
    """Whether to compile the steps of a phase.

    Parameters
    ----------
    setting : bool or "auto"
        "auto" decides by the number of steps, and by whether there is a C++ compiler.
    n_steps : int
    """
    if setting != "auto":
        return bool(setting)
    return n_steps >= AUTO_LEAST_STEPS and has_compiler()


def has_compiler() -> bool:
    """Whether there is a C++ compiler: the one of the variable CXX, or a usual one."""
    names = (os.environ.get("CXX"), "g++", "clang++", "cl")
    return any(name is not None and shutil.which(name) is not None for name in names)


class CompiledStep:
    """One step of all members, compiled at its first call.

    The operations are those of :class:`~skhybrid.training.step.Step`, as a function of tensors.
    torch records them once, with the gradients, and compiles the record: no Python code of the
    model runs in a step. Every tensor is an argument of the compiled function, so that the
    compiler's cache on disk serves later fits with the same shapes.

    Parameters
    ----------
    loss : callable
        Maps coordinates, weights and further arguments to the losses of all members, and to the
        losses without penalties.
    members : Members
    adam : Adam
    sam : SAM or None
    radius : Radius or None
        The radius of ``sam``.
    norms : mapping of str to Tensor of shape (n_members,)
        Strengths of the penalties on squared norms, by the role of the parameters.
    prior : PriorGradient or None, default=None
        What is known of θ beforehand.
    row_axis : int, default=0
        Axis of the rows of a minibatch: 1 if every member has its own.

    Attributes
    ----------
    has_run : bool
        Whether a step was made; before, compilation may fail, and nothing has changed.
    """

    def __init__(
        self,
        loss: Callable[..., tuple[Tensor, Tensor]],
        members: Members,
        adam: Adam,
        sam: SAM | None,
        radius: Radius | None,
        norms: Mapping[str, Tensor],
        prior: PriorGradient | None = None,
        row_axis: int = 0,
    ) -> None:
        self._loss = loss
        self._row_axis = row_axis
        self._prior = prior
        self._members = members
        self._adam = adam
        self._sam = sam
        self._radius = radius if radius is not None and radius.varies else None
        self._norms = {role: each.to(members.flat).reshape(-1, 1) for role, each in norms.items()}
        self._none_stopped = torch.zeros_like(members.flat, dtype=torch.bool)
        self._numbers = torch.zeros(3, dtype=members.flat.dtype)
        self._compiled: Callable | None = None
        self._same: list[Tensor] = []
        self._constants: list[Tensor] = []
        self.has_run = False

    @torch.no_grad()
    def __call__(self, arguments: tuple, decay: float) -> tuple[Tensor, Tensor]:
        """Make one step; return the loss of every member, and whether its gradient was finite.

        Parameters
        ----------
        arguments : tuple
            Arguments of the loss after coordinates and weights. Shapes are those of the first call.
        decay : float
            Factor of the learning rates.
        """
        adam, stopped = self._adam, self._members.stopped_elements
        state = (
            self._members.flat,
            adam.mean,
            adam.square,
            adam.learning_rate,
            self._numbers,
            self._none_stopped if stopped is None else stopped,
            None if self._sam is None else self._sam.rho,
            None if self._radius is None else self._radius.mean,
            self._norms,
        )
        if self._compiled is None:
            with _recording:
                self._compile((*state, arguments))
        x, *others = arguments[:N_CHANGING]
        parts = (*state[:-1], *pytree.tree_leaves(state[-1]))
        parts = (*parts, *(x if isinstance(x, tuple) else (x,)), *others)
        tensors = [part for part in parts if part is not None]
        adam.n_steps += 1
        try:
            return self._run(tensors, (*adam.factors(decay), decay))
        except Exception:
            adam.n_steps -= 1
            raise

    def _run(self, tensors: Sequence[Tensor], factors: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Run the compiled step."""
        for place, number in enumerate(factors):
            self._numbers[place] = number
        found = self._compiled(*tensors, *self._same, *self._constants)
        self.has_run = True
        return found

    def _compile(self, given: tuple) -> None:
        """Record the step on copies of the tensors, and compile the record."""
        leaves, spec = pytree.tree_flatten(given)
        tensors = [each.detach() for each in leaves if isinstance(each, Tensor)]
        same = pytree.tree_leaves(given[-1][N_CHANGING:])
        self._same = [each for each in same if isinstance(each, Tensor)]
        with _Counted(), StaysInTorch(), warnings_caught():
            self._loss(*self._members.by_name(self._members.tensors_of(given[0])), *given[-1])

        def step(*tensors: Tensor) -> tuple[Tensor, Tensor]:
            left = iter(tensors)
            filled = [next(left) if isinstance(each, Tensor) else each for each in leaves]
            return self._step(*pytree.tree_unflatten(filled, spec))

        with warnings_caught():
            record = make_fx(step)(*[each.clone() for each in tensors])
            others = pytree.tree_leaves(self._other_arguments(given))
            require_same(record, step, [each for each in others if isinstance(each, Tensor)])
        self._constants = _constants_as_arguments(record)
        layouts = [
            (each.dtype, each.device, each.shape, each.stride())
            for each in (*tensors, *self._constants)
        ]
        key = (record.code, torch.get_num_threads(), *layouts)
        if key not in _compiled:
            if len(_compiled) >= MAX_KEPT:
                del _compiled[next(iter(_compiled))]
            _compiled[key] = torch.compile(record, dynamic=False, fullgraph=True, options=OPTIONS)
        self._compiled = _compiled[key]

    def _other_arguments(self, given: tuple) -> tuple:
        """Return the arguments of a step for other rows and parameters."""
        x, *others = given[-1]
        rows = other_rows(others[0].shape[self._row_axis], others[0].device)
        x = select_rows(x, (*[slice(None)] * self._row_axis, rows))
        with self._members.disturbed():
            flat = self._members.flat.clone()
        numbers = torch.ones_like(self._numbers)
        return (flat, *given[1:4], numbers, *given[5:-1], (x, *others))

    def _step(
        self,
        flat: Tensor,
        mean: Tensor,
        square: Tensor,
        rates: Tensor,
        numbers: Tensor,
        stopped: Tensor,
        rho: Tensor | None,
        mean_losses: Tensor | None,
        norms: Mapping[str, Tensor],
        arguments: tuple,
    ) -> tuple[Tensor, Tensor]:
        """Make one step; parameters, moments and moving averages change in place."""
        values = self._members.tensors_of(flat)
        gradients, (losses, data_losses) = self._gradients(values, arguments)
        if mean_losses is not None:
            radii, new_mean = self._radius.after(mean_losses, data_losses, numbers[2])
            rho = radii.reshape(-1, 1)
            mean_losses.copy_(new_mean)
        if rho is not None:
            moved = self._moved(values, gradients, rho)
            perturbed, _ = self._gradients(moved, arguments)
            blocks = self._members.blocks
            gradients = [
                first if block.role == FIRST_STATE else second
                for block, first, second in zip(blocks, gradients, perturbed, strict=True)
            ]
        gradient = torch.cat([each.reshape(-1) for each in gradients])
        gradient = torch.where(stopped, 0.0, gradient)
        gradient, finite = self._without_non_finite(gradient)
        gradient = self._with_norms(gradient, flat, norms)
        if self._prior is not None:
            added = self._prior(flat, data_losses, finite)
            gradient = gradient + torch.where(stopped, 0.0, added)
        new_flat, new_mean, new_square = self._adam.moved(
            flat, mean, square, gradient, rates, numbers
        )
        flat.copy_(self._projected(new_flat))
        mean.copy_(new_mean)
        square.copy_(new_square)
        return losses, finite

    def _gradients(
        self, values: Sequence[Tensor], arguments: tuple
    ) -> tuple[list[Tensor], tuple[Tensor, Tensor]]:
        """Return the gradients of all tensors, and the losses with and without penalties."""

        def summed(values: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            losses, data_losses = self._loss(*self._members.by_name(values), *arguments)
            return losses.sum(), (losses, data_losses)

        return torch.func.grad(summed, has_aux=True)(list(values))

    def _moved(
        self, values: Sequence[Tensor], gradients: Sequence[Tensor], rho: Tensor
    ) -> list[Tensor]:
        """Return the tensors at which SAM takes its gradient."""
        members, sam = self._members, self._sam
        chosen = [i for i, block in enumerate(members.blocks) if sam.moves(block)]
        flatten = [
            (members.blocks[i].role, *(t.reshape(members.n_members, -1) for t in pair))
            for i, pair in ((i, (values[i], gradients[i])) for i in chosen)
        ]
        moved = list(values)
        for i, (direction, length) in zip(
            chosen, directions(flatten, rho, sam.perturbation), strict=True
        ):
            moved[i] = values[i] + (direction * length).reshape(values[i].shape)
            if members.blocks[i].role == PHYSICS:
                moved[i] = self._members.limited(members.blocks[i], moved[i])
        return moved

    def _without_non_finite(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient with zeros for members where it is not finite, and which are."""
        blocks = self._members.blocks
        sums = torch.stack([block.view(gradient).sum(dim=1) for block in blocks])
        finite = torch.isfinite(sums).all(dim=0)
        kept = [torch.where(finite[:, None], block.view(gradient), 0.0) for block in blocks]
        return torch.cat([each.reshape(-1) for each in kept]), finite

    def _with_norms(self, gradient: Tensor, flat: Tensor, norms: Mapping[str, Tensor]) -> Tensor:
        """Return the gradient plus 2 λ W."""
        if not norms:
            return gradient
        added = [
            block.view(gradient) + 2.0 * norms[block.role] * block.view(flat)
            if block.role in norms
            else block.view(gradient)
            for block in self._members.blocks
        ]
        return torch.cat([each.reshape(-1) for each in added])

    def _projected(self, flat: Tensor) -> Tensor:
        """Return the parameters with physics parameters moved onto their limits."""
        blocks, limited = self._members.blocks, self._members.limited
        if not any(self._members.has_limits(block) for block in blocks):
            return flat
        return torch.cat([limited(block, block.view(flat)).reshape(-1) for block in blocks])


class _Counted(TorchDispatchMode):
    """Counts the operations of a loss, and raises an error if there are too many to compile."""

    n_operations = 0

    def __torch_dispatch__(self, operation, types, given=(), options=None):
        self.n_operations += 1
        if self.n_operations > MAX_OPERATIONS:
            raise TrainingError(
                f"The loss takes more than {MAX_OPERATIONS} operations, which would take minutes "
                "to compile. Shorter windows or fewer steps of the solver take fewer."
            )
        return operation(*given, **(options or {}))


def _constants_as_arguments(record: fx.GraphModule) -> list[Tensor]:
    """Turn the tensors that a record holds into further arguments; return them.

    The compiler writes small tensors into its code, and would compile again for other values.
    """
    constants, graph = [], record.graph
    last = [node for node in graph.nodes if node.op == "placeholder"][-1]
    for node in list(graph.nodes):
        if node.op != "get_attr":
            continue
        value = getattr(record, node.target)
        if not isinstance(value, Tensor):
            continue
        with graph.inserting_after(last):
            last = graph.placeholder(f"constant_{len(constants)}")
        node.replace_all_uses_with(last)
        graph.erase_node(node)
        constants.append(value.detach())
    record.recompile()
    return constants
