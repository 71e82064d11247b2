"""Guess the states that images show."""

from __future__ import annotations

import numpy as np
import scipy.optimize
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from skhybrid.model.latent_dynamics import MIN_STD
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.solvers import FIXED_STEP

# The first guess is the best of several random ones, each improved in this many iterations.
N_GUESSES = 16
GUESS_ITERATIONS = 200
# About this many steps in time are compared with the physics.
GUESS_STEPS = 500


def guess_states(
    slow: np.ndarray,
    times: np.ndarray,
    steps: np.ndarray,
    physics: Physics | None,
    n_states: int,
    n_features: int,
) -> Tensor:
    """Guess states, linear in slow features, that change most nearly as the physics predicts.

    The guess starts from random states. It reads as many features of an image as there are states.
    The fit changes the physics parameters and keeps the mean square of all states together. The
    error of one step is the distance between predicted and following states, in units of the
    standard deviation of the following states.

    Parameters
    ----------
    slow : array of shape (n, n_times, n_inputs)
        Slow features of the images that show the state at each time.
    times, steps : arrays of shape (n, n_times - 1)
        Start times and lengths of the steps.
    physics : Physics or None
    n_states : int
    n_features : int
        Number of slow features of one image.

    Returns
    -------
    guess : Tensor of shape (n_inputs, n_states)
        States are slow · guess. Zero without physics, and with physics that fails.
    """
    n_inputs = slow.shape[2]
    nothing = torch.zeros((n_inputs, n_states), dtype=torch.float64)
    before, after = (each.reshape(-1, n_inputs) for each in (slow[:, :-1], slow[:, 1:]))
    chosen = np.flatnonzero(~np.isnan(before + after).any(axis=1))
    chosen = chosen[:: max(1, len(chosen) // GUESS_STEPS)]
    if physics is None or len(chosen) == 0:
        return nothing
    before, after = torch.tensor(before[chosen]), torch.tensor(after[chosen])
    begin, length = (torch.tensor(each.reshape(-1)[chosen]) for each in (times, steps))
    begin, length = begin.repeat(N_GUESSES), length.repeat(N_GUESSES)[:, None]
    space = ParameterSpace(physics)
    coordinates = {
        name: each.requires_grad_() for name, each in space.initial_coordinates().items()
    }

    def rate(t: Tensor, state: Tensor, part: float) -> Tensor:
        return physics(t, state, **space.values(coordinates))

    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(N_GUESSES, n_inputs, n_states, generator=generator, dtype=torch.float64)
    slowest = (torch.arange(n_inputs) % n_features < n_states)[:, None]
    leaves = [draws.requires_grad_(), *coordinates.values()]

    def losses() -> Tensor:
        scaled = _scaled(draws * slowest, before)
        first = (before @ scaled).flatten(0, 1)
        end = FIXED_STEP["rk4"](rate, begin, first, length, 0.0, 1.0)
        end = end.unflatten(0, (N_GUESSES, -1))
        following = after @ scaled
        std = following.std(dim=1, keepdim=True, correction=0) + MIN_STD
        return ((end - following) / std).square().mean(dim=(1, 2))

    def total(flat: np.ndarray) -> tuple[float, np.ndarray]:
        vector_to_parameters(torch.tensor(flat), leaves)
        loss = losses().sum()
        gradients = torch.autograd.grad(loss, leaves)
        return float(loss.detach()), parameters_to_vector(gradients).numpy()

    try:
        # L-BFGS-B's small products are several times slower with more threads.
        with threadpool_limits(limits=1, user_api="blas"):
            scipy.optimize.minimize(
                total,
                parameters_to_vector(leaves).detach().numpy(),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": GUESS_ITERATIONS},
                callback=lambda flat: vector_to_parameters(torch.tensor(flat), leaves),
            )
        with torch.no_grad():
            guess, loss = _scaled(draws * slowest, before), losses()
    except Exception:  # the checks of the model report physics that fails
        return nothing
    if not loss.isfinite().all():
        return nothing
    return guess[(loss - _distinction(before @ guess, before[:, -n_features])).argmin()]


def _scaled(guess: Tensor, slow: Tensor) -> Tensor:
    """Return guesses scaled so that all states together have a mean square of one."""
    size = (slow @ guess).square().mean(dim=(1, 2), keepdim=True).sqrt()
    return guess / size.clamp(min=MIN_STD)


def _distinction(states: Tensor, visible: Tensor) -> Tensor:
    """Return the largest squared correlation of a state with a visible feature, less their mean.

    States at a later or an earlier time also change as the physics predicts. But only at the time
    of the image does the image show one state, such as a position, and hide the others, such as
    velocities.
    """
    states = states - states.mean(dim=1, keepdim=True)
    visible = (visible - visible.mean())[:, None]
    products = (states * visible).mean(dim=1).square()
    correlations = products / (states.square().mean(dim=1) * visible.square().mean())
    return correlations.amax(dim=1) - correlations.mean(dim=1)
