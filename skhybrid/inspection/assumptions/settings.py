"""Assumptions that are settings of the training: each is one refit."""

from __future__ import annotations

from typing import Any

# Weight of the size of the network's part, as a mean square in units of the target's variance.
FUNCTIONAL_NORM = 0.01
# Weight of the part of the network's contribution that looks like the effects of θ.
ORTHOGONALITY = 1.0

PHYSICS_ALONE = "physics alone"
FEWEST_INPUTS = "fewest inputs"

NO_PENALTY = {"l2": 0.0, "functional_norm": 0.0, "orthogonality": 0.0}
# By assumption, the parameters of the estimator that differ. θ does not change in a second phase.
SETTINGS: dict[str, dict[str, Any]] = {
    PHYSICS_ALONE: {**NO_PENALTY, "nn": None, "nn_features": None},
    "plain training": {**NO_PENALTY, "optimizer": "adam"},
    "small network": {**NO_PENALTY, "optimizer": "adam", "functional_norm": FUNCTIONAL_NORM},
    "orthogonal network": {**NO_PENALTY, "optimizer": "adam", "orthogonality": ORTHOGONALITY},
    FEWEST_INPUTS: {"nn_features": "auto"},
}
