"""Find the columns that hold groups of rows, and the codes of the groups."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch

from skhybrid.data.columns import network_columns
from skhybrid.exceptions import NetworkError, PhysicsError
from skhybrid.fitting.inputs import FitInputs
from skhybrid.fitting.settings import FitSettings

# An input with more different values is hardly a code of groups.
MAX_GROUPS = 10_000


def group_codes(
    settings: FitSettings, inputs: FitInputs, names: Sequence[str] | None, n_columns: int
) -> list[tuple[int, tuple[float, ...], tuple[str, ...]]]:
    """Return column, codes in ascending order, and parameters of every column of groups.

    Parameters
    ----------
    settings : FitSettings
    inputs : FitInputs
        For a table, columns of groups already hold codes.
    names : sequence of str or None
        Names of the columns.
    n_columns : int

    Raises
    ------
    NetworkError
        If a column does not exist.
    PhysicsError
        If a column of an ODE is not an input, or its values are hardly codes of groups.
    """
    columns: dict[int, list[str]] = {}
    for name in settings.physics.grouped:
        per, who = settings.physics.params[name].per, f"per of {name!r}"
        (column,) = network_columns([per], names, n_columns, who=who)
        columns.setdefault(column, []).append(name)
    found = []
    for column, grouped in columns.items():
        if inputs.trajectory_info is None:
            codes = tuple(float(code) for code in range(len(inputs.group_labels[column])))
        else:
            codes = _codes_of_input(inputs, column, grouped[0], names, settings.dtype)
        found.append((column, codes, tuple(grouped)))
    return found


def reject_groups(
    who: str, columns: Collection[int], groups: Collection[int], names: Sequence[str] | None
) -> None:
    """Raise a NetworkError if columns that a network reads hold groups."""
    for column in columns:
        if column in groups:
            shown = column if names is None else repr(str(names[column]))
            raise NetworkError(
                f"{who} has column {shown}, which holds groups (per). A network cannot read their "
                "labels: leave it out, or give a feature of the groups in a column of its own."
            )


def _codes_of_input(
    inputs: FitInputs, column: int, name: str, names: Sequence[str], dtype: torch.dtype
) -> tuple[float, ...]:
    """Return the different values of an input of trajectories, in ascending order."""
    info, x = inputs.trajectory_info, inputs.rows.x
    n_states = info.layout.state_shape[0]
    if x.inputs is None or not n_states <= column < len(names) - 1:
        raise PhysicsError(
            f"per of {name!r} names {names[column]!r}, which is no input of the trajectories. Give "
            "the group of each trajectory as a number in an input that does not change over time."
        )
    codes = np.unique(x.inputs[..., column - n_states])
    gaps = np.diff(codes)
    if len(codes) > min(MAX_GROUPS, len(x.inputs)):
        raise PhysicsError(
            f"per of {name!r} names {names[column]!r}, which has {len(codes)} different values in "
            f"{len(x.inputs)} windows. Is it a code of groups, constant in each trajectory?"
        )
    if len(gaps) and gaps.min() < 1e4 * torch.finfo(dtype).eps * np.abs(codes).max():
        raise PhysicsError(
            f"The codes of {names[column]!r}, which per of {name!r} names, are too close together "
            f"for {dtype}. Number the groups 0, 1, 2, ..."
        )
    return tuple(float(code) for code in codes)
