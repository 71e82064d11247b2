"""A table of waves with a quadratic effect that the physics misses."""

from __future__ import annotations

import numpy as np
import torch

FEW = {"nn": (8,), "max_epochs": 8, "random_state": 0}


def wave(angle, wind, *, gain=1.0, level=0.1):
    return gain * torch.sin(angle) + level


def make_waves(n_rows, noise):
    """Return X, y, and the generator that has drawn them."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-2.0, 2.0, (n_rows, 2))
    return X, 1.3 * np.sin(X[:, 0]) + 0.2 * X[:, 1] ** 2 + noise * rng.normal(size=n_rows), rng
