"""Find the candidates at which θ is reproducible, predicts well and has stopped moving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skhybrid.exceptions import ShortTrainingWarning
from skhybrid.fitting.diagnostics import NOTHING, SMALL_SHARE
from skhybrid.model_selection.fold_statistics import (
    about_as_stable,
    excess,
    fold_columns,
    folds_with_any,
    spread,
    stacked,
    theta_columns,
)
from skhybrid.model_selection.scoring import DRIFT, PHYSICS_SHARE
from skhybrid.runtime.user_warnings import warn

# A prediction within this many standard errors of the best one is as good.
N_ERRORS = 2.0
# A parameter that changes by this fraction of its size has not settled, unless its spread is
# larger.
SMALL_DRIFT = 0.01


@dataclass(frozen=True)
class Plateau:
    """Which candidates can be chosen, each array of shape (n_candidates,).

    Attributes
    ----------
    admissible : array of bool
        See :func:`admissible`.
    settled : array of bool
        See :func:`settled`.
    stable : array of bool
        Whether θ is about as reproducible as at the best candidate that is admissible and settled;
        False for all others.
    would_be_stable : array of bool
        The same if settling did not count.
    """

    admissible: np.ndarray
    settled: np.ndarray
    stable: np.ndarray
    would_be_stable: np.ndarray

    @classmethod
    def of(cls, results: Mapping[str, Any]) -> Plateau:
        """Return the plateau in ``cv_results_`` with physics parameters."""
        good, still = admissible(results), settled(results)
        return cls(good, still, _stable(results, good & still), _stable(results, good))


def admissible(results: Mapping[str, Any]) -> np.ndarray:
    """Return which candidates predict well enough that their θ counts.

    The mean held-out loss is within :data:`N_ERRORS` paired standard errors of the best, or its
    excess is no larger than what the network adds: its share of the explained variance. Otherwise
    the network leaves out most of what it could explain. And neither part has vanished, which
    :func:`~skhybrid.fitting.diagnostics.warn_of_collapse` would report.

    All candidates are admissible if none is, or if the results have no shares.
    """
    losses = -fold_columns(results, "test_score")
    if f"mean_test_{PHYSICS_SHARE}" not in results:
        return np.ones(len(losses), dtype=bool)
    losses = losses[:, folds_with_any(losses)]
    shares = fold_columns(results, f"test_{PHYSICS_SHARE}")
    alive = ~((shares > 1.0 - NOTHING) | (shares < SMALL_SHARE)).any(axis=1)
    if not np.isfinite(losses.mean(axis=1)).any():
        return alive if alive.any() else np.ones_like(alive)
    worse, error = excess(losses)
    with np.errstate(invalid="ignore"):
        added = (1.0 - shares.mean(axis=1)) * np.maximum(-losses.mean(axis=1), 0.0)
        good = alive & ((worse <= N_ERRORS * error) | (worse <= added))
    return good if good.any() else np.ones_like(good)


def settled(results: Mapping[str, Any]) -> np.ndarray:
    """Return which candidates were trained until θ stopped moving.

    The mean change over folds of each parameter in the second half of training, in which the
    learning rate decays, is smaller than its spread, or than :data:`SMALL_DRIFT` of its size. While
    θ is on its way, it is at about the same place in every fold: then a small spread means nothing.
    """
    columns = theta_columns(results)
    drifts = [_drift(results, name, values) for name, (values, _) in columns.items()]
    allowed = [
        np.maximum(spread(*each), SMALL_DRIFT * np.abs(each[0].mean(axis=1)))
        for each in columns.values()
    ]
    return ~np.any([d > most for d, most in zip(drifts, allowed, strict=True)], axis=0)


def warn_of_short_training(
    results: Mapping[str, Any], index: int, name: str, value: Any, consequence: str
) -> None:
    """Warn that θ was still moving for a candidate that would be chosen otherwise.

    Parameters
    ----------
    results : mapping
    index : int
        Number of the candidate.
    name, value : str and object
        The parameter that is compared, and its value.
    consequence : str
        What happens now, as a sentence.
    """
    moving = {
        each: (values[index].mean(), _drift(results, each, values)[index])
        for each, (values, _) in theta_columns(results).items()
    }
    worst = max(moving, key=lambda each: moving[each][1] / max(abs(moving[each][0]), 1e-300))
    mean, drift = moving[worst]
    warn(
        f"Training is too short to choose {name}: at {name}={value:g} the physics parameters have "
        f"not settled. Parameter {worst!r} ended at {mean:.4g}, after a change of {drift:.2g} in "
        f"the last part of training. {consequence} With physics_init='given', begin nearer "
        "to the solution: set physics_init='least_squares'. Otherwise increase max_epochs, for "
        "example to four times its value.",
        ShortTrainingWarning,
    )


def _drift(results: Mapping[str, Any], name: str, values: np.ndarray) -> np.ndarray:
    """Return how far the mean of a parameter over folds moved; zero if it is not known."""
    if f"mean_test_{DRIFT}{name}" not in results:
        return np.zeros(len(values))
    return np.abs(fold_columns(results, f"test_{DRIFT}{name}").mean(axis=1))


def _stable(results: Mapping[str, Any], chosen: np.ndarray) -> np.ndarray:
    """Return which of the chosen candidates have about the smallest spread among them."""
    if not chosen.any():
        return chosen
    values, restarts = stacked(theta_columns(results))
    there = folds_with_any(values)
    values = np.where(chosen[:, None, None], values[:, there], np.nan)
    return chosen & about_as_stable(values, restarts[:, there])
