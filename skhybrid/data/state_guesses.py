"""First guesses of states, and the noise of observed ones."""

from __future__ import annotations

import math

import numpy as np
import torch

from skhybrid.model.layout import Layout
from skhybrid.model.ode import ODE

# Part of the states' spread from which on noise on the states that windows start from biases θ by
# more than it costs to learn them (benchmarks/bench_windows.py).
MUCH_NOISE = 0.2


def is_noisy(states: np.ndarray) -> bool:
    """Whether states, evenly in time, have much noise: more than a fifth of their spread.

    The variance of noise is that of fifth differences, divided by the sum of their squared
    coefficients (von Neumann, "Distribution of the ratio of the mean square successive difference
    to the variance", 1941, for first differences). What moves smoothly, over six steps or more in a
    period, leaves little in them.

    Parameters
    ----------
    states : array of shape (n, n_times, n_states)
        NaN where one is missing.
    """
    order = 5
    if states.shape[1] < 2 * order:
        return False
    differences = np.diff(states, n=order, axis=1).reshape(-1, states.shape[2])
    known = ~np.isnan(differences)
    if known.sum(axis=0).min() < order:
        return False
    noise = np.nanmean(differences**2, axis=0) / math.comb(2 * order, order)
    spread = np.nanvar(states, axis=(0, 1))
    return bool(np.any(noise > MUCH_NOISE**2 * np.where(spread > 0, spread, np.inf)))


def guess_states(ode: ODE, layout: Layout, outputs: np.ndarray) -> np.ndarray:
    """Return observed states, or guesses at all times where first states are learned."""
    if not layout.learned:
        return outputs.copy()
    filled = _filled(outputs)
    if layout.states_observed:
        return filled
    guess = np.zeros(layout.state_shape) if ode.state_guess is None else ode.state_guess
    guess = np.broadcast_to(np.asarray(guess, dtype=np.float64), layout.state_shape)
    states = np.broadcast_to(guess, (*outputs.shape[:2], *layout.state_shape)).copy()
    if ode.n_observe_inputs() == 1 and not ode.observe_parameters() and not layout.is_field:
        at = torch.tensor(guess)[None]
        with torch.no_grad():
            there = ode.observe(at).reshape(-1).numpy()
        slope = torch.autograd.functional.jacobian(lambda s: ode.observe(s).reshape(-1), at)
        change = np.linalg.pinv(slope.reshape(len(there), -1).numpy())
        states += (filled - there) @ change.T
    return states


def _filled(outputs: np.ndarray) -> np.ndarray:
    """Return outputs with what is missing interpolated in time, trajectory by trajectory."""
    flat = outputs.reshape(*outputs.shape[:2], -1).copy()
    means = np.nanmean(flat, axis=(0, 1)) if np.isnan(flat).any() else None
    for trajectory in flat if means is not None else ():
        for column, values in enumerate(trajectory.T):
            there = np.flatnonzero(~np.isnan(values))
            if len(there) == 0:
                values[:] = means[column]
            elif len(there) < len(values):
                values[:] = np.interp(np.arange(len(values)), there, values[there])
    return flat.reshape(outputs.shape)
