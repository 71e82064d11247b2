"""Guess the states that images show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.optimize
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.solvers import FIXED_STEP

# The first guess is the best of several random ones, each improved in this many iterations.
N_GUESSES = 16
GUESS_ITERATIONS = 200
# About this many steps in time are compared with the physics.
GUESS_STEPS = 500
# Weight of the penalty on states that one image shows in part.
IN_PART = 0.1
# Added to mean squares of states, so that states that are zero have a finite loss.
SMALL = 1e-12


def guess_states(
    slow: np.ndarray,
    times: np.ndarray,
    steps: np.ndarray,
    physics: Physics | None,
    n_states: int,
    n_features: int,
) -> Tensor:
    """Guess states, linear in slow features, that change most nearly as the physics predicts.

    The guess starts from random states. It reads the features that change less in one step than
    they vary; others are noise. The fit changes the physics parameters and keeps the mean square of
    all states together.

    The error of one step is the distance between predicted and following states. Its unit is the
    geometric mean of two sizes: the standard deviation of a state, and its change in one step. In
    units of the standard deviation alone, states that hardly move would agree with the physics at
    an equilibrium. In units of the change alone, noise that moves from one image of the context to
    the one before would.

    States at a later or an earlier time also change as the physics predicts. But only at the time
    of the image does the image show some states, such as positions, and hide the others, such as
    velocities. So a penalty is added on states that one image shows in part.

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
    used = _smooth(before, after, n_states, n_features)
    before, after = before[:, used], after[:, used]
    last_image = before[:, -(len(used) * n_features // n_inputs) :]
    shown = torch.linalg.svd(last_image - last_image.mean(dim=0), full_matrices=False)[0]
    begin, length = begin.repeat(N_GUESSES), length.repeat(N_GUESSES)[:, None]
    space = ParameterSpace(physics)
    coordinates = {
        name: each.requires_grad_() for name, each in space.initial_coordinates().items()
    }

    def rate(t: Tensor, state: Tensor, part: float) -> Tensor:
        return physics(t, state, **space.values(coordinates))

    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(N_GUESSES, len(used), n_states, generator=generator, dtype=torch.float64)
    leaves = [draws.requires_grad_(), *coordinates.values()]

    def losses() -> Tensor:
        scaled = _scaled(draws, before)
        states, following = before @ scaled, after @ scaled
        end = FIXED_STEP["rk4"](rate, begin, states.flatten(0, 1), length, 0.0, 1.0)
        error = (end.unflatten(0, (N_GUESSES, -1)) - following).square().mean(dim=1)
        change = (following - states).square().mean(dim=1)
        unit = (change * following.var(dim=1, correction=0)).sqrt() + SMALL
        return (error / unit).mean(dim=1) + IN_PART * _shown_in_part(states, shown)

    try:
        _minimise(losses, leaves)
        with torch.no_grad():
            guess, loss = _scaled(draws, before), losses()
    except Exception:  # the checks of the model report physics that fails
        return nothing
    if not loss.isfinite().all():
        return nothing
    nothing[used] = guess[loss.argmin()]
    return nothing


def _minimise(losses: Callable[[], Tensor], leaves: list[Tensor]) -> None:
    """Change the leaves so that the sum of the losses falls."""

    def total(flat: np.ndarray) -> tuple[float, np.ndarray]:
        vector_to_parameters(torch.tensor(flat), leaves)
        loss = losses().sum()
        gradients = torch.autograd.grad(loss, leaves)
        return float(loss.detach()), parameters_to_vector(gradients).numpy()

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


def _smooth(before: Tensor, after: Tensor, n_states: int, n_features: int) -> Tensor:
    """Return the indices of the features that change less in one step than they vary.

    The features of an image go from slow to fast; there are at least as many as states.
    """
    now, later = before[:, -n_features:], after[:, -n_features:]
    n_smooth = int(((later - now).square().mean(dim=0) < now.var(dim=0)).sum())
    in_image = torch.arange(before.shape[1]) % n_features
    return torch.nonzero(in_image < max(n_states, n_smooth)).flatten()


def _scaled(guess: Tensor, slow: Tensor) -> Tensor:
    """Return guesses scaled so that all states together have a mean square of one."""
    size = (slow @ guess).square().mean(dim=(1, 2), keepdim=True)
    return guess / (size + SMALL).sqrt()


def _shown_in_part(states: Tensor, shown: Tensor) -> Tensor:
    """Return the mean of R² (1 - R²), where R² is the part of a state that one image shows.

    Parameters
    ----------
    states : Tensor of shape (n_guesses, n, n_states)
    shown : Tensor of shape (n, n_features)
        Orthonormal basis of the features of the images at the states' time.
    """
    states = states - states.mean(dim=1, keepdim=True)
    total = states.square().sum(dim=1)
    part = (shown.T @ states).square().sum(dim=1) / (total + SMALL)
    return (part * (1.0 - part)).mean(dim=1)
