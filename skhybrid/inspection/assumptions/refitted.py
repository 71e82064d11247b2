"""Assumptions that are settings of the estimator."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skhybrid.model.latent_ode import LatentODE
from skhybrid.model.ode import ODE
from skhybrid.training.schedule import Schedule

# Weights that clearly bind and still let the network explain what the physics cannot.
FUNCTIONAL_NORM = 0.01
ORTHOGONALITY = 1.0
PLAIN = {"optimizer": "adam", "l2": 0.0, "functional_norm": 0.0, "orthogonality": 0.0}
# The second phase does not change θ.
FIRST_PHASE = {"refine_rho": None}


@dataclass(frozen=True)
class Assumption:
    """An assumption about what the physics lacks, as settings of the estimator.

    Attributes
    ----------
    name, meaning : str
    params : mapping of str to object
        Settings that differ from the estimator's.
    reference : bool
        Whether it is shown for comparison alone.
    """

    name: str
    meaning: str
    params: Mapping[str, Any] = field(default_factory=dict)
    reference: bool = False


ORTHOGONAL = "orthogonal"
# Part of the epochs. A step takes some eight times as long with this penalty, and θ after 750 steps
# was that after 3,000 within 0.2 % on random tasks.
ORTHOGONAL_EPOCHS = 0.25
FEW_INPUTS = "few inputs"
OWN = Assumption("own", "the estimator's own settings", FIRST_PHASE)
ASSUMPTIONS = (
    Assumption(
        "small",
        f"as small as possible (functional_norm={FUNCTIONAL_NORM}, Adam)",
        {**PLAIN, **FIRST_PHASE, "functional_norm": FUNCTIONAL_NORM},
    ),
    Assumption(
        ORTHOGONAL,
        f"nothing that θ could explain (orthogonality={ORTHOGONALITY}, Adam)",
        {**PLAIN, **FIRST_PHASE, "orthogonality": ORTHOGONALITY},
    ),
    Assumption(
        FEW_INPUTS,
        "depends on few inputs (nn_features='auto')",
        {**FIRST_PHASE, "nn_features": "auto"},
    ),
    Assumption("plain", "nothing (Adam)", {**PLAIN, **FIRST_PHASE}, reference=True),
    Assumption("physics alone", "is zero (nn=None)", {"nn": None}, reference=True),
)


def settings_of(assumption: Assumption, model: Any, n_rows: int) -> dict[str, Any]:
    """Return the settings of an assumption for a model.

    Parameters
    ----------
    assumption : Assumption
    model : HybridRegressor
    n_rows : int

    Notes
    -----
    The epochs of ``max_epochs="auto"`` are those of 3,000 steps here.
    """
    settings = dict(assumption.params)
    if assumption.name == ORTHOGONAL and not isinstance(model.structure, ODE):
        schedule = Schedule.for_rows(n_rows, model.batch_size, model.max_epochs)
        settings["max_epochs"] = math.ceil(ORTHOGONAL_EPOCHS * schedule.n_epochs)
    return settings


def unusable(assumption: Assumption, model: Any) -> str:
    """Return why an assumption says nothing about a model; empty if it does.

    Parameters
    ----------
    assumption : Assumption
    model : HybridRegressor
    """
    if assumption.name == FEW_INPUTS:
        if model.nn_features is not None and not isinstance(model.nn_features, str):
            return "nn_features are given: the inputs are chosen already."
        if isinstance(model.structure, LatentODE):
            return "The states are hidden in images: inputs differ between fits."
    if assumption.name == "physics alone" and isinstance(model.structure, LatentODE):
        return "Images need an encoder and a decoder."
    return ""
