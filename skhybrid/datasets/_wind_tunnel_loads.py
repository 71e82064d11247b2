"""Random loads and hatch positions that drive the simulated wind tunnel.

Each function of ``DRAW_LOADS`` returns an array of shape (n_records, n_times, 3): loads of the
intake fan and of the exhaust fan, and the position of the hatch in degrees.
"""

from __future__ import annotations

import numpy as np

from skhybrid.datasets._wind_tunnel_physics import PUBLISHED

_IDLE = 0.01  # load of an idle fan in the measured experiments


def _draw_impulses(random: np.random.RandomState, n_records: int, n_times: int) -> np.ndarray:
    """Draw records as in wt_intake_impulse_v1, which has 5 idle, 20 full and 25 idle samples."""
    data = np.empty((n_records, n_times, 3))
    data[..., 0] = _IDLE
    data[:, max(1, n_times // 10) : max(2, n_times // 2), 0] = 1.0
    data[..., 1] = random.choice([_IDLE, 0.5, 1.0], size=(n_records, 1))
    data[..., 2] = _draw_hatch(random, (n_records, 1))
    return data


def _draw_steps(random: np.random.RandomState, n_records: int, n_times: int) -> np.ndarray:
    """Draw records in which every input jumps, on average after a tenth of the record."""
    levels = np.stack(
        [
            _draw_load(random, (n_records, n_times)),
            _draw_load(random, (n_records, n_times)),
            _draw_hatch(random, (n_records, n_times)),
        ],
        axis=-1,
    )
    jumps = random.uniform(size=levels.shape) < min(1.0, 10 / n_times)
    jumps[:, 0] = True
    held_since = np.where(jumps, np.arange(n_times)[:, None], 0)
    return np.take_along_axis(levels, np.maximum.accumulate(held_since, axis=1), axis=1)


def _draw_walk(random: np.random.RandomState, n_records: int, n_times: int) -> np.ndarray:
    """Draw random walks with the step sizes of wt_walks_v1, reflected at the range limits."""
    low = np.array([_IDLE, _IDLE, 0.0])
    span = np.array([1.0, 1.0, PUBLISHED["hatch_max"]]) - low
    largest_step = random.uniform([0.01, 0.01, 0.1], span / 50, size=(n_records, 1, 3))
    steps = largest_step * random.uniform(-1.0, 1.0, size=(n_records, n_times, 3))
    steps[:, 0] = span * random.uniform(size=(n_records, 3))
    folded = np.cumsum(steps, axis=1) % (2 * span)
    return low + np.minimum(folded, 2 * span - folded)


def _draw_load(random: np.random.RandomState, shape: tuple[int, ...]) -> np.ndarray:
    """Draw loads from 0.01 to 1."""
    return random.randint(1, 101, size=shape) / 100


def _draw_hatch(random: np.random.RandomState, shape: tuple[int, ...]) -> np.ndarray:
    """Draw positions of the hatch from 0 to 45 degrees."""
    return random.randint(0, 451, size=shape) / 10


DRAW_LOADS = {"impulses": _draw_impulses, "steps": _draw_steps, "walk": _draw_walk}
