"""Types and values that the estimator's parameters may have, as scikit-learn checks them."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from skhybrid.model.ode import ODE
from skhybrid.model.physics import Physics
from skhybrid.model.structures import STRUCTURES

PARAMETER_CONSTRAINTS: dict = {
    "physics": [callable, Physics, None],
    "nn": [Interval(Integral, 1, None, closed="left"), list, tuple, torch.nn.Module, None],
    "structure": [StrOptions(set(STRUCTURES)), callable, ODE],
    "optimizer": [StrOptions({"sam", "adam"})],
    "rho": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "perturbation": [StrOptions({"layer", "global", "elementwise"})],
    "perturb": [StrOptions({"nn", "all"})],
    "refine_rho": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"}), None],
    "l2": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "functional_norm": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "orthogonality": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "physics_learning_rate": [Interval(Real, 0, None, closed="left"), None],
    "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
    "n_restarts": [Interval(Integral, 1, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "nn_features": [list, tuple, np.ndarray, StrOptions({"auto"}), None],
    "nn_extrapolation": [StrOptions({"hold", "free"})],
    "physics_init": [StrOptions({"least_squares", "given"})],
    "missing_targets": [StrOptions({"error", "mask"})],
    "warm_start": ["boolean"],
    "dtype": [StrOptions({"float32", "float64"})],
    "device": [str, torch.device],
    "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    "compile": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}
