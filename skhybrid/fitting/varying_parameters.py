"""Assemble a network that gives physics parameters as functions of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from skhybrid.data.columns import network_columns
from skhybrid.exceptions import NetworkError, PhysicsError
from skhybrid.fitting.group_codes import group_codes, reject_groups
from skhybrid.fitting.inputs import FitInputs
from skhybrid.fitting.settings import FitSettings
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.network_parts import NetworkParts
from skhybrid.model.ode import ODE
from skhybrid.model.physics import Physics


def uses_parts(settings: FitSettings, model: Hybrid) -> bool:
    """Whether the network gives parameters, not only a correction.

    Raises
    ------
    NetworkError
        If it gives neither.
    """
    physics = settings.physics
    varies = physics is not None and bool(physics.varying or physics.grouped)
    if not (varies or settings.corrects):
        option = "join" if isinstance(settings.structure, ODE) else "structure"
        raise NetworkError(
            f"{option}='none' uses no network, and no parameter has depends_on. Name the features "
            "of one, as in Param(1.0, depends_on=['moisture']), or set nn=None for the physics "
            "alone."
        )
    return varies


def with_parts(
    settings: FitSettings,
    model: Hybrid,
    seen: Sequence[int] | None,
    names: Sequence[str] | None,
    n_columns: int,
    inputs: FitInputs,
) -> Hybrid:
    """Return the model with a network that reads the columns of all parts.

    Parameters
    ----------
    settings : FitSettings
    model : Hybrid
        The physics alone.
    seen : sequence of int or None
        Columns of the correction; None is all. Without a correction, the features of ``depends_on``
        that count: parameters of which none is left are numbers.
    names : sequence of str or None
        Names of the columns.
    n_columns : int
    inputs : FitInputs
        They have the groups of rows.

    Raises
    ------
    NetworkError
        If a column does not exist, or the network cannot be divided into parts.
    PhysicsError
        If the structure does not allow varying parameters.
    """
    physics, correction = settings.physics, None
    _check_allowed(settings, physics)
    found = group_codes(settings, inputs, names, n_columns)
    of_groups = {column for column, _, _ in found}
    if settings.corrects:
        # By default a correction reads all columns, but not the time, which is the last one.
        n_default = n_columns - 1 if isinstance(settings.structure, ODE) else n_columns
        default = [column for column in range(n_default) if column not in of_groups]
        correction = default if seen is None else list(seen)
        reject_groups("nn_features", correction, of_groups, names)
    read = columns_of_parameters(physics, names, n_columns)
    for name, own in read.items():
        reject_groups(f"depends_on of {name!r}", own, of_groups, names)
    if correction is None and seen is not None:
        read = {name: tuple(each for each in own if each in seen) for name, own in read.items()}
        read = {name: own for name, own in read.items() if own}
        if not read:
            raise NetworkError(
                f"nn_features={settings.nn_features!r} leaves no feature to the parameters that "
                f"depend on features ({', '.join(physics.varying) or 'none'}). Name some of those "
                "in depends_on, or set nn=None for parameters that are numbers."
            )
    of_networks = {column for own in read.values() for column in own}
    union = sorted({*(correction or ()), *of_networks, *of_groups})
    position = {column: i for i, column in enumerate(union)}
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, own in read.items():
        groups.setdefault(tuple(position[column] for column in own), []).append(name)
    parts = NetworkParts(
        len(union),
        None if correction is None else tuple(position[column] for column in correction),
        tuple((inputs, tuple(names)) for inputs, names in groups.items()),
        tuple((name, physics.params[name].shape) for name in (*read, *physics.grouped)),
        tuple((position[column], codes, grouped) for column, codes, grouped in found),
    )
    return replace(model.with_network_columns(union), parts=parts)


def columns_of_parameters(
    physics: Physics, names: Sequence[str] | None, n_columns: int
) -> dict[str, tuple[int, ...]]:
    """Return the columns that each varying parameter depends on."""
    return {
        name: tuple(
            network_columns(
                physics.params[name].depends_on, names, n_columns, who=f"depends_on of {name!r}"
            )
        )
        for name in physics.varying
    }


def _check_allowed(settings: FitSettings, physics: Physics) -> None:
    """Raise an error if the parameters cannot vary in this model."""
    varying = (*physics.varying, *physics.grouped)
    structure, first = settings.structure, varying[0]
    has = "depends_on" if physics.varying else "per"
    if isinstance(settings.nn, torch.nn.Module) and physics.varying:
        raise NetworkError(
            f"nn is a module, and {first!r} has depends_on. Parameters have networks of their own: "
            "give nn as hidden sizes, such as (64, 64)."
        )
    if not isinstance(structure, ODE):
        return
    if structure.reads_images:
        raise PhysicsError(
            f"{first!r} has {has}, which a LatentODE does not offer: its states have no names "
            f"that could be features. Leave {has} out."
        )
    observed = [name for name in structure.observe_parameters() if name in varying]
    if observed:
        raise PhysicsError(
            f"observe reads {observed[0]!r}, which has depends_on or per. Only parameters of the "
            "right-hand side can vary: leave it out, or divide the parameter into two."
        )
