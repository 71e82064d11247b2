"""How much variance the physics and the network explain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skhybrid.model.batch import select_rows
from skhybrid.model.hybrid import Hybrid
from skhybrid.runtime.draws import drawing

# This many rows give the physics' share to within one per cent.
MAX_ROWS = 2000


@dataclass(frozen=True)
class ExplainedVariance:
    """Variances over rows, averaged over targets, in units of the target's standard deviation.

    Attributes
    ----------
    physics : float
        Variance of the physics' prediction; for trajectories, of its change from the first state.
    network : float
        Variance of the network's contribution: the prediction minus the physics' prediction.
    residual : float
        Mean squared error of the prediction.
    """

    physics: float
    network: float
    residual: float

    @property
    def physics_share(self) -> float:
        """The physics' share of the explained variance, between 0 and 1."""
        explained = self.physics + self.network
        return self.physics / explained if explained > 0.0 else float("nan")


@torch.no_grad()
def measure_explained_variance(
    hybrid: Hybrid,
    x: Tensor,
    y: Tensor,
    coordinates: Mapping[str, Tensor],
    weights: Mapping[str, Tensor] | None = None,
    target_weight: Tensor | None = None,
    constants: Mapping[str, np.ndarray] | None = None,
) -> ExplainedVariance:
    """Measure the explained variance on at most :data:`MAX_ROWS` evenly spaced rows.

    Parameters
    ----------
    hybrid : Hybrid
    x, y : Tensor or Windows, and Tensor
        Rows and targets.
    coordinates : mapping of str to Tensor
        Scaled physics parameters.
    weights : mapping of str to Tensor, default=None
        The network's parameters; None uses those in the module.
    target_weight : Tensor, default=None
        Weights of the shape of y, for the residual; a missing target has a weight of zero.
    constants : mapping of str to array, default=None
        Values of parameters that are functions of features, for the physics' prediction; None is
        what a silent network gives.

    Returns
    -------
    ExplainedVariance
    """
    rows = slice(None, None, math.ceil(len(y) / MAX_ROWS))
    x, y = select_rows(x, rows), y[rows]
    importance = torch.ones_like(y) if target_weight is None else target_weight[rows]
    importance = importance / importance.mean()
    unit = 1.0 / hybrid.scales.target_scale
    with drawing(0):  # dropout here does not change the random numbers of training
        physics = hybrid.physics_part(x, coordinates, constants)
        prediction = hybrid(x, coordinates, weights)
    baseline = hybrid.baseline(x, coordinates)

    def variance(values: Tensor) -> float:
        return float((values * unit).var(dim=0, correction=0).mean())

    return ExplainedVariance(
        physics=variance(physics - baseline),
        network=variance(prediction - physics),
        residual=float((((prediction - y) * unit).square() * importance).mean()),
    )
