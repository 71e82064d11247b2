"""Assemble the model: the physics alone, then physics and network, scaled and checked."""

from __future__ import annotations

from torch import Tensor

from skhybrid.data.columns import bind_columns, network_columns
from skhybrid.data.rows import Rows
from skhybrid.data.scaling import input_scales, record_network_inputs, target_scales
from skhybrid.fitting.checks import check_physics, check_structure
from skhybrid.fitting.coupled_rows import check_coupled_rows
from skhybrid.fitting.inputs import FitInputs
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.start import PhysicsStart
from skhybrid.fitting.untrained import calm_network
from skhybrid.fitting.varying_parameters import uses_parts, with_parts
from skhybrid.model.batch import Windows
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.scales import Scales


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
            columns = bind_columns(physics.inputs, names, n_columns, physics.name)
        model = Hybrid(
            physics,
            space,
            None,
            settings.structure,
            target_scales(rows).to(settings.device),
            physics_columns=columns,
            target_shape=rows.y.shape[1:],
        )
    seen = network_columns(settings.nn_features, names, n_columns)
    if seen is not None and info is not None:  # a network always reads its own states
        seen += [column for column in info.layout.free_columns if column not in seen]
    if settings.nn is not None and uses_parts(settings, model):
        return with_parts(settings, model, seen, names, n_columns)
    return model if seen is None else model.with_network_columns(seen)


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
        settings.physics, start.values, effects=start.effects, dtype=dtype, device=device
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
            )
        model = model.at(space, scales.to(device, dtype))
        model = model.with_network(model.new_network(settings.nn, seed=seed))
        calm_network(model, x)
    check_structure(model, x)
    check_coupled_rows(model, x)
    return model
