"""First guesses of the states that images show."""

from __future__ import annotations

import numpy as np
import scipy.optimize
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from skhybrid.model.latent_dynamics import LEAST_SPREAD
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.solvers import FIXED_STEP

# The first guess of the states is the best of so many, found in so many iterations.
N_GUESSES = 16


GUESS_ITERATIONS = 200


GUESS_STEPS = 500


def guess_states(
    slow: np.ndarray,
    times: np.ndarray,
    steps: np.ndarray,
    physics: Physics | None,
    n_states: int,
    n_features: int,
) -> Tensor:
    """Return states, linear in the slowest features, that change most nearly as the physics says.

    As many features of an image as there are states are read. The parameters of the physics may
    change, the size of the states may not. How far a step ends from the states that follow is
    measured in units of their spread.

    Parameters
    ----------
    slow : array of shape (n, n_times, n_inputs)
        Slow features of the images from which the state of a time is to be found.
    times, steps : arrays of shape (n, n_times - 1)
    physics : Physics or None
    n_states : int
    n_features : int
        Slow features of one image.

    Returns
    -------
    guess : Tensor of shape (n_inputs, n_states)
        Zero where there is no physics.
    """
    n_inputs = slow.shape[2]
    nothing = torch.zeros((n_inputs, n_states), dtype=torch.float64)
    before, after = (each.reshape(-1, n_inputs) for each in (slow[:, :-1], slow[:, 1:]))
    chosen = np.flatnonzero(~np.isnan(before + after).any(axis=1))
    chosen = chosen[:: max(1, len(chosen) // GUESS_STEPS)]
    if physics is None or len(chosen) == 0:
        return nothing
    before, after = torch.tensor(before[chosen]), torch.tensor(after[chosen])
    origin, length = (torch.tensor(each.reshape(-1)[chosen]) for each in (times, steps))
    origin, length = origin.repeat(N_GUESSES), length.repeat(N_GUESSES)[:, None]
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
        end = FIXED_STEP["rk4"](rate, origin, first, length, 0.0, 1.0)
        end = end.unflatten(0, (N_GUESSES, -1))
        found = after @ scaled
        spread = found.std(dim=1, keepdim=True, correction=0) + LEAST_SPREAD
        return ((end - found) / spread).square().mean(dim=(1, 2))

    def total(flat: np.ndarray) -> tuple[float, np.ndarray]:
        vector_to_parameters(torch.tensor(flat), leaves)
        loss = losses().sum()
        gradients = torch.autograd.grad(loss, leaves)
        return float(loss.detach()), parameters_to_vector(gradients).numpy()

    try:
        scipy.optimize.minimize(
            total,
            parameters_to_vector(leaves).detach().numpy(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": GUESS_ITERATIONS},
            callback=lambda flat: vector_to_parameters(torch.tensor(flat), leaves),
        )
        with torch.no_grad():
            guess, left = _scaled(draws * slowest, before), losses()
    except Exception:  # physics that fails is told of where the model is checked
        return nothing
    if not left.isfinite().all():
        return nothing
    return guess[(left - _alone(before @ guess, before[:, -n_features])).argmin()]


def _scaled(guess: Tensor, slow: Tensor) -> Tensor:
    """Return guesses whose states are of about one, relative to each other as they were."""
    size = (slow @ guess).square().mean(dim=(1, 2), keepdim=True).sqrt()
    return guess / size.clamp(min=LEAST_SPREAD)


def _alone(states: Tensor, place: Tensor) -> Tensor:
    """Return by how much one state tells better where something is than the others do.

    States of a later or an earlier time change as the physics says too, but only of those of the
    same time is there one that the image shows, and others, such as velocities, that it does not.
    """
    states = states - states.mean(dim=1, keepdim=True)
    place = (place - place.mean())[:, None]
    products = (states * place).mean(dim=1).square()
    told = products / (states.square().mean(dim=1) * place.square().mean())
    return told.amax(dim=1) - told.mean(dim=1)
