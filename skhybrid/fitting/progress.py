"""Texts about the progress of a fit, or of a batch of fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from skhybrid.fitting.fitted import Fitted, user_values
from skhybrid.fitting.residuals import Residuals
from skhybrid.fitting.settings import FitSettings
from skhybrid.model.hybrid import Hybrid
from skhybrid.training.explained_variance import measure_explained_variance
from skhybrid.training.members import Members
from skhybrid.training.problem import Fit


class TrainingState:
    """The state of a batch of fits after an epoch, as a text.

    Parameters
    ----------
    fits : sequence of Fit
    n_epochs : mapping of str to int
        Number of epochs of every phase.
    """

    def __init__(self, fits: Sequence[Fit], n_epochs: Mapping[str, int]) -> None:
        self.fits = fits
        self.n_epochs = n_epochs

    def describe(
        self, phase: str, epoch: int, members: Members, losses: Tensor, parts: Mapping[int, slice]
    ) -> str:
        """Return the phase, the epoch, the lowest loss, and whose loss and θ these are."""
        number, member = _lowest(phase, losses, parts)
        hybrid = self.fits[number].problem.hybrid
        coordinates = members.member_coordinates(member)
        columns = [epoch_column(phase, epoch, self.n_epochs[phase])]
        n_restarts = len(self.fits[number].starts)
        who = []
        if len(self.fits) > 1:
            columns.append(f"{len(parts)} fits")
            who.append(f"fit {number + 1}")
        if n_restarts > 1:
            restart = member - parts[number].start + 1
            refined = f"best of {n_restarts} restarts"
            who.append(refined if phase == "refine" else f"restart {restart} of {n_restarts}")
        loss = f"{float(losses[member]):.3e}"
        columns.append(f"lowest loss {loss} ({', '.join(who)})" if who else f"loss {loss}")
        if len(self.fits) == 1 and hybrid.physics is not None:
            x, y, _ = self.fits[0].problem.data
            weights = members.member_weights(member)
            share = measure_explained_variance(hybrid, x, y, coordinates, weights).physics_share
            columns.append(f"physics share {100 * share:5.1f} %")
        return "  ".join([*columns, *theta_columns(hybrid, user_values(hybrid, coordinates))])


def _lowest(phase: str, losses: Tensor, parts: Mapping[int, slice]) -> tuple[int, int]:
    """Return the fit and the member with the lowest loss; NaN is never lower."""
    # In the second phase the first member of a fit is the fit itself.
    losses = losses.nan_to_num(nan=float("inf"))
    best = {
        number: part.start if phase == "refine" else part.start + int(losses[part].argmin())
        for number, part in parts.items()
    }
    number = min(best, key=lambda each: float(losses[best[each]]))
    return number, best[number]


def least_squares_text(residuals: Residuals, vector: np.ndarray, max_evaluations: int) -> str:
    """Return the state of a least-squares fit at a vector of its parameters."""
    n_evaluations, loss = len(residuals.loss_curve), residuals.loss_curve[-1]
    columns = [
        f"least squares  evaluation {n_evaluations} of at most {max_evaluations}",
        f"loss {loss:.3e}",
    ]
    return "  ".join([*columns, *theta_columns(residuals.hybrid, residuals.unflatten(vector))])


def beginning_text(settings: FitSettings, n_samples: int) -> str:
    """Return what a fit is going to do."""
    if settings.nn is None:
        return f"Fitting {n_samples} samples by least squares"
    searches = settings.physics is not None and settings.physics_init != "given"
    first = "least squares for the start, then training" if searches else "training"
    return f"Fitting {n_samples} samples: {first}"


def training_text(fit: Fit, n_epochs: Mapping[str, int]) -> str:
    """Return what a training is going to do."""
    phases = " and ".join(
        f"{number} epochs of phase {phase!r}" for phase, number in n_epochs.items()
    )
    n_restarts = len(fit.starts)
    return f"Training {f'{n_restarts} restarts, ' * (n_restarts > 1)}{phases}"


def fitted_text(fitted: Fitted) -> str:
    """Return the result of a fit."""
    columns = [f"Fitted  loss {fitted.loss:.3e}"]
    if fitted.hybrid.physics is not None and fitted.hybrid.network is not None:
        columns.append(f"physics share {100 * fitted.physics_share:.1f} %")
    return "  ".join([*columns, *theta_columns(fitted.hybrid, fitted.physics_params)])


def epoch_column(phase: str, epoch: int, n_epochs: int) -> str:
    """Return the phase and the epoch; texts of successive epochs are aligned."""
    return f"{phase:<8} epoch {epoch:>{len(str(n_epochs))}}/{n_epochs}"


def theta_columns(hybrid: Hybrid, values: Mapping[str, float | np.ndarray]) -> list[str]:
    """Return the physics parameters, each with its name and its unit."""
    if hybrid.physics is None:
        return []
    units = {name: param.unit for name, param in hybrid.physics.params.items()}
    return [
        f"{name}={_shown(value)}" + (f" {units[name]}" if units.get(name) else "")
        for name, value in values.items()
    ]


def _shown(value: float | np.ndarray) -> str:
    """Return a number, or an array on one line, with four digits."""
    return np.array2string(
        np.asarray(value),
        formatter={"float_kind": lambda number: f"{number:.4g}"},
        max_line_width=10_000,
        threshold=8,
        edgeitems=2,
    ).replace("\n", "")
