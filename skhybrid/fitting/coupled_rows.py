"""Check that the output for a row does not depend on other rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from skhybrid.data.rows import evenly_spaced
from skhybrid.data.scaling import record_network_inputs
from skhybrid.exceptions import NetworkError, PhysicsError, StructureError
from skhybrid.model.batch import Windows
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.latent_dynamics import LatentDynamics
from skhybrid.model.network_parts import SplitNetwork
from skhybrid.model.networks import MultilayerPerceptron, Pointwise
from skhybrid.model.observation import observe_states
from skhybrid.model.out_of_memory import is_out_of_memory
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.structures import STRUCTURES
from skhybrid.model.user_code import function_name, reason
from skhybrid.runtime.seeds import seeded

# The check needs no more rows, and no more numbers in them.
MAX_ROWS = 512
MAX_NUMBERS = 2**16
# Differences below this fraction of the output's range are harmless: an iteration in the physics,
# such as an adaptive solver, may stop at another step for other rows.
HARMLESS = 1e-4
# Rounding errors are below this number of units in the last place of the largest output.
ROUNDING = 1000
# The second values of θ are this far from the start, in scaled coordinates. A parameter that starts
# at zero hides what it multiplies.
DISTANCE = 0.3

Rows = tuple[Tensor | None, ...]
Function = Callable[..., Tensor]

_IN_TABLES = (
    "For a store that fills over time, write the physics as a rate of change and set "
    "structure=ODE(...), with one trajectory per row of X. Otherwise compute what needs several "
    "rows (cumulative sums, shifts, means, ranks) beforehand, and give it as a column of X."
)
_IN_ODES = (
    "A row is a window here: state has shape (n, n_states). Write state[:, 0] for one component "
    "and state.sum(dim=-1) for a sum over components. What accumulates over time is a state of "
    "its own. What needs several trajectories is a feature to compute beforehand, as an input; "
    "structure=ODE(...) expects one trajectory per row of X."
)
_IN_NETWORKS = (
    "Batch statistics, and a softmax, sum or mean over dim=0, do this. Use LayerNorm in place of "
    "BatchNorm, and dim=-1."
)
_IN_STRUCTURES = "Use operations that act on every row alone, such as + and *."


@dataclass(frozen=True)
class _Part:
    """A part of the model that is code of the user.

    Attributes
    ----------
    name : str
    error : type
        Class of the error.
    advice : str
    rows : tuple of Tensor or None
        Inputs of the function.
    bind : callable
        Returns the function for a model and its coordinates.
    """

    name: str
    error: type[ValueError]
    advice: str
    rows: Rows
    bind: Callable[[Hybrid, Mapping[str, Tensor]], Function]


def check_coupled_rows(hybrid: Hybrid, x: Tensor | Windows) -> None:
    """Evaluate halves of the rows in another order; raise an error if an output changes.

    Minibatches, cross-validation and ``predict`` would see other rows, and silently give other
    numbers. Random outputs, as with dropout, are no sign of coupled rows.

    Parameters
    ----------
    hybrid : Hybrid
        Checked model, at its start.
    x : Tensor or Windows

    Raises
    ------
    PhysicsError
        If the physics or ``observe`` couples rows.
    NetworkError
        If a network of the user couples rows.
    StructureError
        If a structure or ``join`` of the user couples rows.
    """
    n_rows = len(x) if isinstance(x, Tensor) else len(x.first_time)
    if n_rows < 2:
        return
    with seeded(0), torch.enable_grad():
        for part in _parts(_in_evaluation_mode(hybrid), x):
            _check_part(part, hybrid)


def _in_evaluation_mode(hybrid: Hybrid) -> Hybrid:
    """Return the model with a copy of the network without dropout."""
    if hybrid.network is None or _is_built_in(hybrid.network):
        return hybrid
    return hybrid.with_network(copy.deepcopy(hybrid.network).eval())


def _is_built_in(network: nn.Module) -> bool:
    """Whether a network is made from hidden sizes."""
    network = network.network if type(network) is Pointwise else network
    return type(network) in (MultilayerPerceptron, SplitNetwork)


def _parts(hybrid: Hybrid, x: Tensor | Windows) -> Iterator[_Part]:
    """Yield the parts of a model that are the user's code, the innermost ones first."""
    if isinstance(hybrid, Dynamics):
        yield from _parts_of_dynamics(hybrid, x)
        return
    network = hybrid.network
    if hybrid.physics is not None:
        name = f"physics {hybrid.physics.name!r}"

        def physics(model: Hybrid, coordinates: Mapping[str, Tensor]) -> Function:
            return model.bind_physics(model.space.values(coordinates))

        yield _Part(name, PhysicsError, _IN_TABLES, (x,), physics)
    if network is not None and not _is_built_in(network):
        yield _network_part(hybrid, network, x, "nn")
    if hybrid.structure not in STRUCTURES.values():
        name = f"structure {function_name(hybrid.structure)!r}"

        def joined(model: Hybrid, coordinates: Mapping[str, Tensor]) -> Function:
            model = model.with_network(network)
            values = model.space.values(coordinates)
            return lambda rows: model.join(rows, values, model.bind_network())

        yield _Part(name, StructureError, _IN_STRUCTURES, (x,), joined)


def _parts_of_dynamics(hybrid: Dynamics, x: Windows) -> Iterator[_Part]:
    """Yield the parts of a differential equation."""
    ode, network = hybrid.structure, hybrid.network
    is_latent = isinstance(hybrid, LatentDynamics)
    with torch.no_grad():
        state = hybrid.first_states(x, None)
    rows = (x.first_time, state, None if x.inputs is None else x.inputs[:, 0])
    if hybrid.physics is not None:
        name = f"physics {hybrid.physics.name!r}"

        def physics(model: Dynamics, coordinates: Mapping[str, Tensor]) -> Function:
            return model.bind_physics(model.space.values(coordinates))

        yield _Part(name, PhysicsError, _IN_ODES, rows, physics)
    if not is_latent and ode.observe is not None:

        def observed(model: Dynamics, coordinates: Mapping[str, Tensor]) -> Function:
            values, shape = model.space.values(coordinates), model.target_shape
            return lambda state, inputs: observe_states(
                ode, model.layout.known_states(state), inputs, values, shape
            )

        yield _Part("observe", PhysicsError, _IN_ODES, rows[1:], observed)
    rate = network.rate if is_latent and network is not None else network
    if rate is not None and not _is_built_in(rate):
        yield _network_part(hybrid, rate, x, "nn")
    if is_latent and network is not None:
        if isinstance(ode.encoder, nn.Module):
            images = (x.first_state - hybrid.scales.target_mean) / hybrid.scales.target_scale
            yield _Part("encoder", NetworkError, _IN_NETWORKS, (images,), _same(network.encoder))
        if isinstance(ode.decoder, nn.Module):
            yield _Part("decoder", NetworkError, _IN_NETWORKS, (state,), _same(network.decoder))
    if callable(ode.join):

        def joined(model: Dynamics, coordinates: Mapping[str, Tensor]) -> Function:
            model = model.with_network(network)
            return model.rate(
                model.bind_physics(model.space.values(coordinates)), model.bind_network()
            )

        yield _Part("join", StructureError, _IN_STRUCTURES, rows, joined)


def _network_part(hybrid: Hybrid, network: nn.Module, x: Tensor | Windows, name: str) -> _Part:
    """Return a network of the user, with the inputs that the model gives it."""
    inputs = record_network_inputs(hybrid, x, hybrid.initial_coordinates())
    return _Part(name, NetworkError, _IN_NETWORKS, (inputs,), _same(network))


def _same(network: nn.Module) -> Callable[[Hybrid, Mapping[str, Tensor]], Function]:
    """Return a function that binds nothing."""
    return lambda model, coordinates: network


def _check_part(part: _Part, hybrid: Hybrid) -> None:
    """Raise an error if one part of the model couples rows."""
    part, hybrid = _exact(replace(part, rows=_few(part.rows)), hybrid)
    for number, coordinates in enumerate(_coordinates(hybrid)):
        function = part.bind(hybrid, coordinates)
        try:
            whole = _evaluated(part, function, part.rows)
        except ValueError:
            if number == 0:
                raise
            return  # other values of θ may be out of range
        _compare(part, function, whole)


def _exact(part: _Part, hybrid: Hybrid) -> tuple[_Part, Hybrid]:
    """Return the part and the model in float64, where a difference is no rounding error.

    Networks, and physics that needs the training dtype, stay as they are.
    """
    if part.error is not PhysicsError:
        return part, hybrid
    device = hybrid.scales.target_scale.device
    space = ParameterSpace(hybrid.physics, hybrid.space.start, device=device)
    model = hybrid.at(space, hybrid.scales.to(torch.float64))
    rows = tuple(None if each is None else each.double() for each in part.rows)
    try:
        part.bind(model, space.initial_coordinates())(*rows)
    except ValueError:
        return part, hybrid
    return replace(part, rows=rows), model


def _evaluated(part: _Part, function: Function, rows: Rows) -> Tensor:
    """Return the output for some rows; raise an error if the function needs all rows."""
    try:
        return function(*rows).detach()
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise part.error(
            f"{part.name} works on all training rows and fails on {_length(rows)} of them: "
            f"{reason(error.__cause__ or error)} Its output for a row must not depend on other "
            f"rows. {part.advice}"
        ) from error


def _few(rows: Rows) -> Rows:
    """Return some of the rows, evenly spaced."""
    n_numbers = max(each[0].numel() for each in rows if each is not None)
    chosen = evenly_spaced(_length(rows), max(4, min(MAX_ROWS, MAX_NUMBERS // n_numbers)))
    return rows if chosen is None else _selected(rows, torch.from_numpy(chosen))


def _length(rows: Rows) -> int:
    """Return the number of rows."""
    return len(next(each for each in rows if each is not None))


def _selected(rows: Rows, chosen: Tensor) -> Rows:
    """Return the chosen rows."""
    return tuple(None if each is None else each[chosen.to(each.device)] for each in rows)


def _coordinates(hybrid: Hybrid) -> list[dict[str, Tensor]]:
    """Return the coordinates of the start, and others."""
    start = hybrid.space.initial_coordinates()
    other = {name: z + DISTANCE * torch.randn_like(z) for name, z in start.items()}
    return [start, other] if start else [start]


def _compare(part: _Part, function: Function, whole: Tensor) -> None:
    """Raise an error if halves of the rows in another order give other outputs."""
    tolerance = _tolerance(whole)
    for half in _halves(whole):
        expected = _flat(whole[half.to(whole.device)])
        found = _flat(_evaluated(part, function, _selected(part.rows, half)))
        changed = (found - expected).abs() > tolerance
        if not bool(changed.any()):
            continue
        again = _flat(function(*part.rows).detach())
        if bool(((again - _flat(whole)).abs() > tolerance).any()):
            return  # random
        row, column = (int(index) for index in changed.nonzero()[0])
        raise part.error(
            f"The output of {part.name} for a row depends on other rows: for one row it is "
            f"{float(expected[row, column]):.6g} among {len(whole)} rows and "
            f"{float(found[row, column]):.6g} among {len(half)} of them in another order. "
            "Minibatches, cross-validation and predict see other rows, so parameters and "
            f"predictions would be wrong without notice. {part.advice}"
        )


def _halves(whole: Tensor) -> Iterator[Tensor]:
    """Yield the rows with the smaller and with the larger outputs, in another order.

    Halves that differ show means and extremes; the order shows sums, shifts and sorting.
    """
    n_rows = len(whole)
    if n_rows == 2:
        yield torch.tensor([1, 0])
        return
    order = _flat(whole)[:, 0].argsort().cpu()
    size = -(-n_rows // 2)
    generator = torch.Generator().manual_seed(0)
    for half in (order[:size], order[-size:]):
        yield half.flip(0) if size == 2 else half[torch.randperm(size, generator=generator)]


def _flat(output: Tensor) -> Tensor:
    """Return an output with one axis after the rows."""
    return output.reshape(len(output), -1)


def _tolerance(whole: Tensor) -> Tensor:
    """Return the largest harmless difference of every output."""
    flat = _flat(whole)
    finite = flat[torch.isfinite(flat).all(dim=1)]
    if not len(finite):
        return torch.full_like(flat[0], torch.inf)
    rounding = ROUNDING * torch.finfo(whole.dtype).eps * finite.abs().max()
    return HARMLESS * (finite.amax(dim=0) - finite.amin(dim=0)) + rounding
