"""Guess states, and detect noise on observed states."""

from __future__ import annotations

import math

import numpy as np
import torch

from skhybrid.exceptions import PhysicsError
from skhybrid.model.layout import Layout
from skhybrid.model.observation import observe_states
from skhybrid.model.ode import ODE

# Noise larger than this part of the states' standard deviation biases θ more than learning the
# first states of windows does (benchmarks/bench_windows.py).
MUCH_NOISE = 0.2


def is_noisy(states: np.ndarray) -> bool:
    """Return whether states have noise of more than a fifth of their standard deviation.

    The variance of the noise is the mean square of fifth differences, divided by the sum of their
    squared coefficients (von Neumann, "Distribution of the ratio of the mean square successive
    difference to the variance", 1941, for first differences). Smooth changes, of six steps or more
    in a period, contribute little to these differences.

    Parameters
    ----------
    states : array of shape (n, n_times, n_states)
        At evenly spaced times; NaN where a state is missing.
    """
    order = 5
    if states.shape[1] < 2 * order:
        return False
    differences = np.diff(states, n=order, axis=1).reshape(-1, states.shape[2])
    known = ~np.isnan(differences)
    if known.sum(axis=0).min() < order:
        return False
    noise = np.nanmean(differences**2, axis=0) / math.comb(2 * order, order)
    variance = np.nanvar(states, axis=(0, 1))
    return bool(np.any(noise > MUCH_NOISE**2 * np.where(variance > 0, variance, np.inf)))


def guess_states(ode: ODE, layout: Layout, outputs: np.ndarray) -> np.ndarray:
    """Return observed states or, where first states are learned, guesses at all times.

    Missing observed states are interpolated in time. The guess of hidden states is
    ``ode.state_guess``, plus the smallest change that agrees with the outputs to first order.

    Parameters
    ----------
    ode : ODE
    layout : Layout
    outputs : array of shape (n, n_times, *output_shape)
        NaN where an output is missing.

    Returns
    -------
    states : array of shape (n, n_times, *state_shape)
    """
    if not layout.learned:
        return outputs.copy()
    filled = _filled(outputs)
    if layout.states_observed:
        return filled
    guess = np.zeros(layout.state_shape) if ode.state_guess is None else ode.state_guess
    guess = np.broadcast_to(np.asarray(guess, dtype=np.float64), layout.state_shape)
    states = np.broadcast_to(guess, (*outputs.shape[:2], *layout.state_shape)).copy()
    if ode.n_observe_inputs() == 1 and not ode.observe_parameters() and not layout.is_field:
        observed, slope = _observed(ode, guess, tuple(layout.output_shape))
        states += (filled - observed) @ np.linalg.pinv(slope).T
    return states


def _observed(
    ode: ODE, guess: np.ndarray, output_shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs of the guessed state, and their derivatives of shape (outputs, states)."""

    def observe(states: torch.Tensor) -> torch.Tensor:
        return observe_states(ode, states, None, {}, output_shape).reshape(-1)

    at = torch.tensor(guess)[None]
    with torch.no_grad():
        observed = observe(at).numpy()
    slope = torch.autograd.functional.jacobian(observe, at).reshape(len(observed), -1).numpy()
    if not (np.isfinite(observed).all() and np.isfinite(slope).all()):
        raise PhysicsError(
            f"observe or its derivative is not finite at the first guess of the state, {guess}: "
            f"it returned {observed}. Give a state_guess at which it is finite, or guard the "
            "function (torch.clamp, torch.where)."
        )
    return observed, slope


def _filled(outputs: np.ndarray) -> np.ndarray:
    """Return outputs whose missing values are interpolated in time, in each trajectory."""
    flat = outputs.reshape(*outputs.shape[:2], -1).copy()
    means = np.nanmean(flat, axis=(0, 1)) if np.isnan(flat).any() else None
    for trajectory in flat if means is not None else ():
        for column, values in enumerate(trajectory.T):
            known = np.flatnonzero(~np.isnan(values))
            if len(known) == 0:
                values[:] = means[column]
            elif len(known) < len(values):
                values[:] = np.interp(np.arange(len(values)), known, values[known])
    return flat.reshape(outputs.shape)
