"""From images over time to trajectories whose states are not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.optimize
import torch
from sklearn.utils.validation import _check_sample_weight, validate_data
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from skhybrid._course import Course, check_signature, component_names
from skhybrid._data import Rows
from skhybrid._parameter_space import ParameterSpace
from skhybrid._records import read_outputs
from skhybrid._trajectories import Trajectories, read_times, uniform_step
from skhybrid.physics import Physics
from skhybrid.structures import LatentODE, Layout
from skhybrid.structures.latent_ode import LEAST_SPREAD, LatentScales
from skhybrid.structures.solvers import FIXED_STEP

# Slow features are sought among principal components of the images with this part of the variance,
# of so many images.
EXPLAINED = 0.95
MOST_IMAGES = 2000
# The first guess of the states is the best of so many, found in so many iterations.
N_GUESSES = 16
GUESS_ITERATIONS = 200
GUESS_STEPS = 500


class Films(Trajectories):
    """Trajectories of images."""

    def windows(self, window: int | str | None, scales: LatentScales) -> Rows:
        """Cut them into windows; where the images of an end are missing, nothing follows."""
        rows = super().windows(window, scales)
        missing = np.isnan(rows.x.end).reshape(len(rows), -1).any(axis=1)
        following = np.where(missing, -1, 0)
        return replace(rows, x=rows.x._replace(end=np.nan_to_num(rows.x.end), following=following))


def read_latent_course(
    estimator: Any, physics: Physics | None, X: Any, y: Any, sample_weight: Any, *, reset: bool
) -> tuple[Films, Course]:
    """Check what the user gave to ``fit`` and return it as trajectories of images.

    The state of a trajectory at a time is told by the images up to that time, as many as X has.

    Parameters
    ----------
    estimator : HybridRegressor
        Its structure is a :class:`LatentODE`.
    physics : Physics or None
    X, y, sample_weight
        As given to ``fit``.
    reset : bool
        Whether the estimator is to note the features of X.
    """
    ode: LatentODE = estimator.structure
    ode.validate()
    check_signature(physics, ode)
    outputs, _ = read_outputs(y, estimator.missing_targets == "mask")
    X = validate_data(estimator, X, dtype=np.float64, allow_nd=True, reset=reset)
    n_context, image_shape = X.shape[1], X.shape[2:]
    shapes = {each.shape for each in outputs}
    if len(X) != len(outputs) or len(shapes) > 1 or outputs[0].shape[1:] != image_shape:
        raise ValueError(
            "X must hold the images up to time 0, of shape (n, n_context, *image_shape), and y "
            "those that follow, of shape (n, n_times, *image_shape); X has shape "
            f"{X.shape}, and y holds {len(outputs)} sequences of shape {outputs[0].shape}."
        )
    values = np.stack(outputs)
    film = np.concatenate([X, values], axis=1)
    n_times = values.shape[1] + 1
    lengths = np.full(len(X), n_times)
    times = read_times(ode, len(X), lengths, False, None)
    layout = Layout(
        state_shape=(ode.n_states,),
        output_shape=image_shape,
        uniform_step=uniform_step(times, lengths),
        with_first=True,
        states_observed=False,
    )
    context = np.stack([film[:, k : k + n_context] for k in range(n_times)], axis=1)
    weight = np.ones(len(X))
    if sample_weight is not None:
        weight = _check_sample_weight(sample_weight, X[:, :1].reshape(len(X), -1), dtype=float)
    films = Films(
        context, times, film[:, n_context - 1 :], None, lengths, weight, layout, with_ends=True
    )
    scales = _scales(film, n_context, times, physics, ode)
    course = Course(
        layout=layout,
        scales=scales,
        times=times[0],
        component_names=component_names(ode.state_names, ode.n_states),
        start_shape=X.shape[1:],
    )
    return films, course


def _scales(
    film: np.ndarray, n_context: int, times: np.ndarray, physics: Physics | None, ode: LatentODE
) -> LatentScales:
    """Return the scales of images over time, those of the context first."""
    mean, spread = np.nanmean(film), np.nanstd(film) or 1.0
    standard = (film - mean) / spread
    offset, factor = slow_features(standard)
    slow = offset + standard.reshape(*film.shape[:2], -1) @ factor
    n_times = times.shape[1]
    slow = np.concatenate([slow[:, k : k + n_times] for k in range(n_context)], axis=2)
    steps = np.diff(times, axis=1)
    guess = guess_states(slow, times[:, :-1], steps, physics, ode.n_states, len(offset))
    zero, one = torch.zeros(()), torch.ones(())
    target = (torch.tensor(mean), torch.tensor(spread))
    latent = (torch.tensor(offset), torch.tensor(factor), guess)
    return LatentScales(zero, one, zero, one, *target, zero, one, one, *latent).to(torch.float64)


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
    coordinates = {name: each.requires_grad_() for name, each in space.origin().items()}

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


def slow_features(film: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the linear features of images that change least from one image to the next.

    Parameters
    ----------
    film : array of shape (n, n_times, *image_shape)
        NaN in an image leaves it out.

    Returns
    -------
    offset : array of shape (n_features,)
    factor : array of shape (n_pixels, n_features)
        Features are offset + pixels · factor, of mean zero. Their spread is in inverse proportion
        to how fast they change; that of the slowest is one.
    """
    pairs = np.stack([film[:, :-1], film[:, 1:]], axis=2)
    pairs = pairs.reshape(-1, 2, int(np.prod(film.shape[2:])))
    pairs = pairs[~np.isnan(pairs).any(axis=(1, 2))]
    pairs = pairs[:: max(1, -(-2 * len(pairs) // MOST_IMAGES))]
    images = pairs.reshape(-1, pairs.shape[-1])
    n_pixels = images.shape[1]
    if len(images) == 0 or not images.std(axis=0).any():
        return np.zeros(n_pixels), np.eye(n_pixels)
    mean = images.mean(axis=0)
    _, singular, components = np.linalg.svd(images - mean, full_matrices=False)
    explained = np.cumsum(singular**2) / np.sum(singular**2)
    n_components = 1 + int(np.sum(explained < EXPLAINED))
    spread = singular[:n_components] / np.sqrt(len(images))
    white = components[:n_components].T / spread
    change = (pairs[:, 1] - pairs[:, 0]) @ white
    squares, directions = np.linalg.eigh(change.T @ change / len(change))
    speed = np.sqrt(np.maximum(squares, np.finfo(float).eps))
    factor = white @ directions * (speed[0] / speed)
    return -mean @ factor, factor
