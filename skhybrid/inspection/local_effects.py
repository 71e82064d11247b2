"""Effects of physics parameters where the network acts: on rows, or on rates of change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.rows import evenly_spaced
from skhybrid.inspection.imitators import Imitator, MovedNetwork, imitators_of, no_moves
from skhybrid.inspection.training_rows import TrainingRows
from skhybrid.model.batch import Windows, select_rows
from skhybrid.model.derivatives import directional
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.layout import FIRST_STATES

# More points say hardly more about what the network can see.
MAX_POINTS = 2000


@dataclass(frozen=True)
class LocalEffects:
    """Effects of physics parameters beside what could make up for them, at some points.

    Attributes
    ----------
    names : list of str
        Free elements of the physics parameters, such as "gain[0]".
    effects : array of shape (n_points, n_channels, n_elements)
        Derivatives of the target, or of the rates of change, by each element, in standard
        deviations of the target or of the state.
    imitators : tuple of Imitator
        Outputs of the network, and parameters that are functions or have values for groups.
    """

    names: list[str]
    effects: np.ndarray
    imitators: tuple[Imitator, ...]

    @property
    def reached(self) -> np.ndarray:
        """Channels that something learned can change: bool of shape (n_channels,)."""
        slopes = [np.any(each.slopes, axis=0) for each in self.imitators]
        return np.any([np.zeros(self.effects.shape[1], dtype=bool), *slopes], axis=0)


def local_effects(rows: TrainingRows) -> LocalEffects | str:
    """Return the effects of the physics parameters where the network acts.

    For a table, these are the effects on the target. For an ODE, these are the effects on the rates
    of change at the first states of the training windows.

    Parameters
    ----------
    rows : TrainingRows

    Returns
    -------
    LocalEffects, or str
        The reason why there are none.

    Notes
    -----
    A network, a function of features and a value of a group answer point by point, so what they can
    make up for is also told point by point: a change δ of an answer changes the target, or the
    rate, by its slope at this point times δ. This is exact for tables. For an ODE it is exact where
    all states are observed: trajectories through the same states are the same if their rates are.
    States that are not observed may be other ones, and could hide a change of rates.
    """
    hybrid = rows.hybrid
    reason = _why_unknown(hybrid)
    if reason:
        return reason
    shapes = {n: each for n, each in hybrid.space.shapes.items() if n in hybrid.free_names}
    moves = no_moves(hybrid)
    with torch.no_grad():
        fitted = hybrid.space.values(rows.coordinates)
    start = [*(fitted[name].detach() for name in shapes), *moves.values()]
    flat = torch.cat([each.reshape(-1) for each in start])
    evaluate = _rates(rows) if isinstance(hybrid, Dynamics) else _targets(rows)
    seen: dict[str, Tensor] = {}

    def of_flat(point: Tensor) -> Tensor:
        pieces = point.split([each.numel() for each in start])
        pieces = [piece.reshape(each.shape) for piece, each in zip(pieces, start, strict=True)]
        values = {**fitted, **dict(zip(shapes, pieces, strict=False))}
        moved = dict(zip(moves, pieces[len(shapes) :], strict=True))
        network = MovedNetwork(hybrid.bind_network(), hybrid, moved)
        output = evaluate(values, network)
        seen.update(network.seen)
        return output.reshape(len(output), -1)

    with torch.no_grad():
        output = of_flat(flat)
    columns = directional(of_flat, flat, [*torch.eye(len(flat)).to(flat)], output.numel())
    columns = np.stack([column.reshape(output.shape) for column in columns], axis=-1)
    names = _elements(shapes)
    ends = np.cumsum([len(names), *(each.numel() for each in moves.values())])
    effects, *slopes = np.split(columns.astype(float), ends[:-1], axis=-1)
    by_name = dict(zip(moves, slopes, strict=True))
    return LocalEffects(names, effects, imitators_of(hybrid, seen, by_name))


def _why_unknown(hybrid: Hybrid) -> str:
    """Return why there are no effects; empty if there are."""
    if hybrid.network is None:
        return "There is no network."
    if not hybrid.free_names:
        return "There are no free physics parameters."
    if not isinstance(hybrid, Dynamics):
        return ""
    if hybrid.has_hidden_encoder:
        return "The states are known only through the network's encoder."
    if hybrid.layout.is_field:
        return "The network may see a whole neighbourhood of each point."
    if hybrid.structure.correct != "rate":
        return "The network corrects the outputs, and not the rates."
    if hybrid.varying and not hybrid.layout.states_observed:
        varying = " and ".join(hybrid.varying)
        return f"Not all states are observed, and {varying} may make up for it in hidden ones."
    return ""


def _elements(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return the names of the elements of parameters."""
    names = []
    for name, shape in shapes.items():
        for index in np.ndindex(shape):
            names.append(name + (f"[{', '.join(map(str, index))}]" if index else ""))
    return names


def _targets(rows: TrainingRows) -> Callable[[dict, Callable], Tensor]:
    """Return the prediction, in standard deviations, as a function of values and network."""
    hybrid, x = rows.hybrid, _chosen(rows.data.x)
    return lambda values, network: hybrid.join(x, values, network) / hybrid.scales.target_scale


def _rates(rows: TrainingRows) -> Callable[[dict, Callable], Tensor]:
    """Return the rates at the first states of windows as a function of values and network."""
    hybrid, x = rows.hybrid, _chosen(rows.data.x)
    t, inputs = x.first_time, None if x.inputs is None else x.inputs[:, 0]
    with torch.no_grad():
        state = hybrid.first_states(x, rows.coordinates.get(FIRST_STATES))

    def function(values: dict, network: Callable) -> Tensor:
        physics = hybrid.bind_physics(values, network)
        return hybrid.rate(physics, network)(t, state, inputs) / hybrid.scales.state_scale

    return function


def _chosen(x: Tensor | Windows) -> Tensor | Windows:
    """Return some of the rows or windows."""
    n_rows = len(x.first_time) if isinstance(x, Windows) else len(x)
    chosen = evenly_spaced(n_rows, MAX_POINTS)
    return x if chosen is None else select_rows(x, torch.from_numpy(chosen))
