"""A rise to a height, measured with noise, for tests of profiles."""

from __future__ import annotations

import numpy as np
import torch

RNG = np.random.default_rng(0)
T = np.linspace(0.0, 5.0, 25)
Y = 3.0 * (1.0 - np.exp(-0.6 * T)) + 0.1 * RNG.standard_normal(25)


def rise(t, *, height=2.0, rate=0.5):
    return height * (1.0 - torch.exp(-rate * t))


def rise_of_array(t, *, both=(2.0, 0.5)):
    return both[0] * (1.0 - torch.exp(-both[1] * t))
