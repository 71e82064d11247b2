"""Find fits that are worse than the mean, and data that are constant or too few, after a fit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from skhybrid.data.rows import Rows
from skhybrid.exceptions import PoorFitWarning
from skhybrid.fitting.findings import Finding
from skhybrid.fitting.settings import DEFAULT_LEARNING_RATE, FitSettings
from skhybrid.model.batch import Windows
from skhybrid.model.hybrid import Hybrid
from skhybrid.training.losses import loss_of_centre

# With a larger offset, in standard deviations of the target, single precision leaves few digits.
MANY_DEVIATIONS = 1e3
# A larger loss, in units of the target's variance, is worse than the mean.
LOSS_OF_MEAN = 1.001
# Beside a network, fewer known target values for each free parameter say little about it.
VALUES_PER_PARAMETER = 5


def findings_of_data(
    hybrid: Hybrid, rows: Rows, loss: float, settings: FitSettings
) -> Iterator[Finding]:
    """Yield the findings about the target and about the fit as a whole.

    Parameters
    ----------
    hybrid : Hybrid
        Model with free parameters.
    rows : Rows
        Training rows.
    loss : float
        Mean loss over them, in units of the target's variance.
    settings : FitSettings
    """
    known = np.ones(rows.y.shape, dtype=bool) if rows.weight is None else rows.weight > 0
    n_free = sum(int(np.prod(shape)) for shape in hybrid.space.shapes.values())
    n_known = int(known.sum())
    # Beside a network, as many values as parameters determine nothing.
    if n_known < n_free or (n_known == n_free and settings.nn is not None):
        size = "smaller than" if n_known < n_free else "not larger than"
        yield Finding(
            PoorFitWarning,
            "few rows",
            f"The number of known target values, {n_known}, is {size} the number of free "
            f"physics parameters, {n_free}. The data do not determine them: other values fit as "
            "well. Give more rows, or fix parameters that are known with Param(..., fixed=True).",
        )
    elif settings.nn is not None and n_known < VALUES_PER_PARAMETER * n_free:
        yield Finding(
            PoorFitWarning,
            "few rows",
            f"There are {n_known} known target values for {n_free} free physics parameters. A "
            f"network can fit so few values whatever the parameters are. Give more rows, at least "
            f"{VALUES_PER_PARAMETER * n_free}, or fit the physics alone (nn=None) and read its "
            "standard errors.",
        )
    if settings.dtype == torch.float32 and settings.nn is not None:
        yield from _large_offset(hybrid, rows)
    constant = _constant_targets(rows, known)
    if constant:
        yield Finding(
            PoorFitWarning,
            "constant target",
            f"y is constant ({', '.join(constant)}), so it does not say how it depends on X. Check "
            "that y is the measured quantity, that its unit does not round it, and that X varies "
            "over a range that changes it.",
        )
        return
    relative = loss
    if not settings.cost.is_squared:
        if isinstance(rows.x, Windows):  # windows that begin at an outlier are far off
            return
        data = rows.tensors(torch.float64, "cpu")
        relative = loss / loss_of_centre(hybrid, data, settings.cost)
    if relative > LOSS_OF_MEAN:
        yield Finding(PoorFitWarning, "worse than mean", _worse_than_mean(relative, settings))


def _large_offset(hybrid: Hybrid, rows: Rows) -> Iterator[Finding]:
    """Yield a finding if the target's offset leaves few digits for its variation."""
    mean, std = hybrid.scales.target_mean.abs(), hybrid.scales.target_scale
    if np.ptp(rows.y) == 0.0 or not bool((mean > MANY_DEVIATIONS * std).any()):
        return
    worst = float((mean / std).max())
    digits = torch.finfo(torch.float32).eps * worst
    yield Finding(
        PoorFitWarning,
        "few digits",
        f"The offset of y is {worst:.3g} times its standard deviation. In single precision, "
        f"rounding changes y by up to {digits:.1g} standard deviations, and training does not see "
        "smaller differences. Set dtype='float64', or subtract a constant from y.",
    )


def _constant_targets(rows: Rows, known: np.ndarray) -> list[str]:
    """Return the constant columns of y with their values; for trajectories, if all are constant."""
    is_table = not isinstance(rows.x, Windows)
    y, known = (each.reshape(len(each), -1) for each in (rows.y, known))
    columns = [y[known[:, column], column] for column in range(y.shape[1] if is_table else 0)]
    if not is_table:
        columns = [y[known]]
    return [
        f"{values[0]:.6g}" + (f" in column {number}" if len(columns) > 1 else "")
        for number, values in enumerate(columns)
        if len(values) > 1 and np.ptp(values) == 0.0
    ]


def _worse_than_mean(loss: float, settings: FitSettings) -> str:
    """Return the message about a fit that is worse than the mean."""
    message = (
        f"The fit is worse than the mean of y: on the training rows R2 = {1.0 - loss:.3g}. Its "
        "parameters say nothing."
    )
    rate = settings.learning_rate
    if settings.nn is None:
        return (
            f"{message} Give other initial values, check the units of X and y, or add an offset "
            "that the physics lacks as a parameter."
        )
    if rate > DEFAULT_LEARNING_RATE:
        return (
            f"{message} learning_rate={rate:g} is larger than the default "
            f"({DEFAULT_LEARNING_RATE:g}): training probably jumps over the solution. Leave it at "
            "the default."
        )
    hints = ["Train longer (max_epochs)"]
    if rate < DEFAULT_LEARNING_RATE:
        hints.append(f"increase learning_rate={rate:g} (default {DEFAULT_LEARNING_RATE:g})")
    return f"{message} {', '.join(hints)}, or give other initial values of the parameters."
