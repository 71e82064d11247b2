"""Effects of physics parameters where the network acts: on rows, or on rates of change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.rows import evenly_spaced
from skhybrid.inspection.training_rows import TrainingRows
from skhybrid.model.batch import Windows, select_rows
from skhybrid.model.derivatives import directional
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.layout import FIRST_STATES

# More points say hardly more about what the network can see.
MAX_POINTS = 2000


@dataclass(frozen=True)
class LocalEffects:
    """Effects of physics parameters beside what the network sees, at some points.

    Attributes
    ----------
    names : list of str
        Free elements of the physics parameters, such as "gain[0]".
    effects : array of shape (n_points, n_channels, n_elements)
        Derivatives of the target, or of the rates of change, by each element.
    seen : array of shape (n_points, n_inputs)
        Standardised inputs of the network.
    reached : array of bool of shape (n_channels,)
        Channels that the network can change.
    """

    names: list[str]
    effects: np.ndarray
    seen: np.ndarray
    reached: np.ndarray


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
    """
    hybrid = rows.hybrid
    if hybrid.network is None:
        return "There is no network."
    if not hybrid.free_names:
        return "There are no free physics parameters."
    if hybrid.varying:
        return f"{' and '.join(hybrid.varying)} may vary so as to make up for it."
    if isinstance(hybrid, Dynamics):
        if hybrid.has_hidden_encoder:
            return "The states are known only through the network's encoder."
        if hybrid.layout.is_field:
            return "The network may see a whole neighbourhood of each point."
        if hybrid.structure.correct != "rate":
            return "The network corrects the outputs, and not the rates."
        function, seen = _of_rates(rows)
    else:
        function, seen = _of_table(rows)
    names, values, shapes = [], [], hybrid.space.shapes
    with torch.no_grad():
        fitted = hybrid.space.values(rows.coordinates)
    for name, shape in shapes.items():
        for index in np.ndindex(shape):
            number = f"[{', '.join(map(str, index))}]" if index else ""
            names.append(f"{name}{number}")
        values.append(fitted[name].detach().reshape(-1))
    flat = torch.cat(values)

    def of_flat(point: Tensor) -> Tensor:
        pieces = point.split([each.numel() for each in values])
        moved = {n: p.reshape(shapes[n]) for n, p in zip(shapes, pieces, strict=True)}
        output = function({**fitted, **moved}, 0.0)
        return output.reshape(len(output), -1)

    with torch.no_grad():
        output = of_flat(flat)
    columns = directional(of_flat, flat, [*torch.eye(len(flat)).to(flat)], output.numel())
    effects = np.stack([column.reshape(output.shape) for column in columns], axis=-1)
    with torch.no_grad():
        pushed = function(fitted, 1.0)
        pushed = pushed.reshape(len(pushed), -1)
    reached = (pushed - output).abs().amax(dim=0).cpu().numpy() > 0
    return LocalEffects(names, effects.astype(float), seen, reached)


def _of_table(rows: TrainingRows) -> tuple[Callable, np.ndarray]:
    """Return the prediction as a function of (values, push), and what the network sees."""
    hybrid, x = rows.hybrid, _chosen(rows.data.x)
    seen: list[Tensor] = []
    network = hybrid.bind_network()

    def function(values: dict, push: float) -> Tensor:
        def pushed(x, *extra, **options):
            seen.append(hybrid.network_inputs(x, *extra).detach())
            return network(x, *extra, **options) + push

        return hybrid.join(x, values, pushed)

    with torch.no_grad():
        function(hybrid.space.values(rows.coordinates), 0.0)
    return function, seen[0].double().cpu().numpy()


def _of_rates(rows: TrainingRows) -> tuple[Callable, np.ndarray]:
    """Return the rates at the first states as a function of (values, push), and the inputs."""
    hybrid, x = rows.hybrid, _chosen(rows.data.x)
    t, inputs = x.first_time, None if x.inputs is None else x.inputs[:, 0]
    with torch.no_grad():
        state = hybrid.first_states(x, rows.coordinates.get(FIRST_STATES))
    seen: list[Tensor] = []
    network = hybrid.bind_network()

    def function(values: dict, push: float) -> Tensor:
        def pushed(t, state, inputs, *extra, **options):
            seen.append(hybrid.network_inputs(t, state, inputs, *extra).detach())
            answer = network(t, state, inputs, *extra, **options)
            pushes = state.new_full((len(state), hybrid.layout.n_corrected_rates), push)
            return answer + hybrid.as_rates(pushes, state)

        return hybrid.rate(hybrid.bind_physics(values), pushed)(t, state, inputs)

    with torch.no_grad():
        function(hybrid.space.values(rows.coordinates), 0.0)
    return function, seen[0].double().cpu().numpy()


def _chosen(x: Tensor | Windows) -> Tensor | Windows:
    """Return some of the rows or windows."""
    n_rows = len(x.first_time) if isinstance(x, Windows) else len(x)
    chosen = evenly_spaced(n_rows, MAX_POINTS)
    return x if chosen is None else select_rows(x, torch.from_numpy(chosen))
