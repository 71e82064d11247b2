"""Assemble the model: the physics alone, then physics and network, scaled and checked."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from skhybrid.data.columns import bind_columns, network_columns
from skhybrid.data.rows import Rows
from skhybrid.data.scaling import input_scales, record_network_inputs, target_scales
from skhybrid.exceptions import PhysicsError
from skhybrid.fitting.checks import check_physics, check_structure
from skhybrid.fitting.coupled_rows import check_coupled_rows
from skhybrid.fitting.inputs import FitInputs
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.start import PhysicsStart
from skhybrid.fitting.untrained import calm_network
from skhybrid.fitting.varying_parameters import uses_parts, with_parts
from skhybrid.model.batch import Windows
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.scales import Scales
from skhybrid.model.structures import STRUCTURES

# In the literature, the network of a serial hybrid gives an argument of the physics.
SERIAL_HINT = (
    " structure='serial' gives no arguments to the physics: its network reads X and the physics' "
    "output, and corrects it. For a parameter that the network gives, write "
    "Param(..., depends_on=[...])."
)


def assemble_physics(settings: FitSettings, inputs: FitInputs, rows: Rows) -> Hybrid:
    """Return the model without its network, in float64.

    Parameters
    ----------
    settings : FitSettings
    inputs : FitInputs
    rows : Rows
        Training rows.
    """
    physics, info = settings.physics, inputs.trajectory_info
    space = ParameterSpace(physics, device=settings.device)
    if info is not None:
        model = info.model_type(
            physics,
            space,
            None,
            settings.structure,
            info.scales.to(settings.device),
            target_shape=info.layout.output_shape,
            layout=info.layout,
            n_first_states=info.n_first_states,
        )
        names, n_columns = info.component_names, len(info.component_names)
    else:
        names, n_columns = inputs.feature_names, rows.x.shape[1]
        columns = None
        if physics is not None:
            hint = SERIAL_HINT if settings.structure is STRUCTURES["serial"] else ""
            columns = _physics_columns(physics, names, n_columns, inputs.group_labels, hint)
        model = Hybrid(
            physics,
            space,
            None,
            settings.structure,
            target_scales(rows, robust=not settings.cost.is_squared).to(settings.device),
            physics_columns=columns,
            target_shape=rows.y.shape[1:],
            table_columns=_table_columns(n_columns, inputs.group_labels, settings.device),
        )
    seen = network_columns(settings.nn_features, names, n_columns)
    if seen is not None and info is not None:  # a network always reads its own states
        seen += [column for column in info.layout.free_columns if column not in seen]
    if settings.nn is not None and uses_parts(settings, model):
        return with_parts(settings, model, seen, names, n_columns, inputs)
    return model if seen is None else model.with_network_columns(seen)


def _physics_columns(
    physics: Physics,
    names: Sequence[str] | None,
    n_columns: int,
    groups: Collection[int],
    hint: str,
) -> list[int] | None:
    """Return the columns of a table that the physics reads: none of those that hold groups."""
    others = [column for column in range(n_columns) if column not in groups]
    if names is not None:
        read = [names[column] for column in groups if names[column] in physics.inputs]
        if read:
            raise PhysicsError(
                f"physics {physics.name!r} reads column {read[0]!r}, which holds groups (per), so "
                "its labels are no numbers. Give a feature of the groups in a column of its own."
            )
        names = [names[column] for column in others]
    columns = bind_columns(physics.inputs, names, len(others), physics.name, hint=hint)
    return None if columns is None else [others[column] for column in columns]


def _table_columns(n_columns: int, groups: Collection[int], device: torch.device) -> Tensor | None:
    """Return the columns of a table without those that hold groups; None is all."""
    if not groups:
        return None
    others = [column for column in range(n_columns) if column not in groups]
    return torch.tensor(others, dtype=torch.int64, device=device)


def assemble_hybrid(
    settings: FitSettings,
    rows: Rows,
    x: Tensor | Windows,
    start: PhysicsStart,
    *,
    seed: int,
    scales: Scales | None = None,
) -> Hybrid:
    """Return the complete model at its start, in the training dtype, and check it.

    Parameters
    ----------
    settings : FitSettings
    rows : Rows
        Training rows; their weights count when the network's inputs are standardised.
    x : Tensor or Windows
        Rows on which to check the model.
    start : PhysicsStart
        Physics parameters, and the physics alone from :func:`assemble_physics`.
    seed : int
        Seed of the network's initialisation.
    scales : Scales, default=None
        Scales of an earlier fit to continue from.
    """
    dtype, device, physical = settings.dtype, settings.device, start.physical
    space = ParameterSpace(
        settings.physics,
        start.values,
        effects=start.effects,
        spreads=start.spreads,
        dtype=dtype,
        device=device,
    )
    model = physical.at(space, physical.scales.to(dtype))
    if model.has_hidden_encoder:  # the physics needs the encoder's states
        model = model.at(space, scales or model.scales)
        model = model.with_network(model.new_network(settings.nn, seed=seed))
        check_physics(model, x)
    else:
        check_physics(model, x)
        if scales is None:
            recorded = record_network_inputs(model, x, model.initial_coordinates())
            scales = input_scales(
                recorded,
                physical.scales,
                rows,
                model.channel_axis,
                physical.input_units(),
                physical.least_input_stds(),
                robust=isinstance(physical, Dynamics) and not settings.cost.is_squared,
            )
            scales = model.with_group_codes(scales)
        model = model.at(space, scales.to(device, dtype))
        network = model.new_network(settings.nn, seed=seed)
        if start.group_answers:
            network.set_groups(start.group_answers)
        model = model.with_network(network)
        calm_network(model, x)
    check_structure(model, x)
    check_coupled_rows(model, x)
    return model
