"""Simulated images of a pendulum; the physics describes its unmeasured angle and velocity."""

from __future__ import annotations

import functools
from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from skhybrid.datasets._argument_constraints import (
    AT_LEAST_ONE,
    NOT_NEGATIVE,
    POSITIVE,
    TRAJECTORY_CONSTRAINTS,
)
from skhybrid.datasets._build_bunch import build_bunch
from skhybrid.datasets._integrate_trajectories import integrate
from skhybrid.datasets._pendulum import (
    DAMPING,
    FEATURE_NAMES,
    OMEGA2,
    draw_initial_states,
    friction,
    pendulum,
)

_LENGTH = 0.7
_BLUR = 0.15

_DESCR = f"""\
Pendulum images (simulated)
---------------------------

Grey images of a pendulum with friction; 0 is black and 1 is white. An image shows the square
[-1, 1]^2, rows from top to bottom and columns from left to right. The pendulum hangs from the
middle. Only the bob is visible, as a blurred white spot on black, at distance {_LENGTH} from the
middle: below the middle at angle 0, to the right at positive angles. A pixel whose centre has the
distance r from the bob has the grey value

    exp(-r^2 / (2 {_BLUR}^2))

The angle obeys angle'' = -omega2 sin(angle) - damping angle'. The physics has the first term, with
unknown omega2. It misses the friction. One image shows the angle. Several images show the velocity.

data    the context: images at ..., -2 dt, -dt, 0
target  images at dt, 2 dt, ..., without the image at t = 0

initial_states and states are the true angle (rad) and velocity (rad/s) at t = 0 and at dt, 2 dt,
..., for comparison only. The state in the first image of the context has the distribution of the
initial states of the data set "Pendulum": a random direction and a uniform radius between 1.3 and
2.3. omega2 = (2 pi / 6)^2 s^-2 and damping = 0.2 s^-1 equal the constants of that data set.
"""


@validate_params(
    {
        **TRAJECTORY_CONSTRAINTS,
        "noise": NOT_NEGATIVE,
        "n_context": AT_LEAST_ONE,
        "size": [Interval(Integral, 4, None, closed="left")],
        "omega2": POSITIVE,
        "damping": NOT_NEGATIVE,
    },
    prefer_skip_nested_validation=True,
)
def make_pendulum_images(
    n_trajectories: int = 100,
    *,
    n_context: int = 4,
    n_times: int = 40,
    dt: float = 0.25,
    size: int = 16,
    omega2: float = OMEGA2,
    damping: float = DAMPING,
    noise: float = 0.0,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple:
    """Simulate images of a pendulum with friction, which the physics misses.

    Parameters
    ----------
    n_trajectories : int, default=100
        Number of image sequences. Each needs 90 kilobytes at the default size and length.
    n_context : int, default=4
        Number of images up to time 0 in each sequence, which show the state at time 0. The default
        is two more than a velocity needs.
    n_times : int, default=40
        Number of images after time 0 in each sequence. The default gives a bit more than one and a
        half swings.
    dt : float, default=0.25
        Time between images, in s.
    size : int, default=16
        Height and width of an image, in pixels.
    omega2 : float, default=(2 pi / 6)^2
        True value of ``omega2``, in s^-2.
    damping : float, default=0.2
        Friction, which the physics misses, in s^-1.
    noise : float, default=0.0
        Standard deviation of the Gaussian noise on every pixel, where white is 1. Noisy pixels may
        be negative or greater than 1. No noise by default.
    random_state : int, RandomState instance or None, default=None
        Seed of the first states and the noise. An int gives the same data in every call.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : ndarray of shape (n_trajectories, n_context, size, size)
            Images at ``context_times``, with noise.
        target : ndarray of shape (n_trajectories, n_times, size, size)
            Images at ``times``, with noise, without the image at time 0.
        noise_free_data, noise_free : ndarrays
            Same without noise.
        context_times : ndarray of shape (n_context,)
            ``..., -2 dt, -dt, 0``, in s.
        times : ndarray of shape (n_times,)
            ``dt, 2 dt, ...``, in s.
        dt : float
            Time between two images, in s.
        initial_states : ndarray of shape (n_trajectories, 2)
            True angle and velocity at time 0, in rad and rad/s.
        states : ndarray of shape (n_trajectories, n_times, 2)
            True angle and velocity at ``times``.
        state_names : list of str
            ``["angle", "velocity"]``.
        physics : callable
            :func:`pendulum`, a function of the state.
        physics_params : dict
            True value: ``{"omega2": float}``, in s^-2.
        missing : callable
            ``missing(t, state)``, the part of the rate of change that the physics misses.
        frame : None
            Images have no DataFrame.
        DESCR : str
            Description of the data set and of the rendering.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If an argument has a wrong type or value. It is both a ValueError and a TypeError.

    See Also
    --------
    make_pendulum : Same pendulum with measured angle and velocity.

    Examples
    --------
    >>> from skhybrid.datasets import make_pendulum_images
    >>> film = make_pendulum_images(n_trajectories=10, random_state=0)
    >>> film.data.shape, film.target.shape
    ((10, 4, 16, 16), (10, 40, 16, 16))
    """
    random = check_random_state(random_state)
    missing = functools.partial(friction, damping=float(damping))
    all_times = dt * np.arange(1 - n_context, n_times + 1)
    first_states = draw_initial_states(n_trajectories, random)
    later_states = integrate(
        lambda t, state: pendulum(t, state, omega2=omega2) + missing(t, state),
        first_states,
        all_times[1:],
        initial_time=all_times[0],
    )
    states = np.concatenate([first_states[:, None], later_states], axis=1)
    noise_free = render(states[..., 0], size)
    images = noise_free + noise * random.standard_normal(noise_free.shape)
    return build_bunch(
        images[:, :n_context],
        images[:, n_context:],
        return_X_y=return_X_y,
        noise_free_data=noise_free[:, :n_context],
        noise_free=noise_free[:, n_context:],
        context_times=all_times[:n_context],
        times=all_times[n_context:],
        dt=dt,
        initial_states=states[:, n_context - 1],
        states=states[:, n_context:],
        state_names=list(FEATURE_NAMES),
        frame=None,
        physics=pendulum,
        physics_params={"omega2": float(omega2)},
        missing=missing,
        DESCR=_DESCR,
    )


def render(angles: np.ndarray, size: int) -> np.ndarray:
    """Render angles of shape (...) as images of shape (..., size, size)."""
    centres = (2 * np.arange(size) + 1) / size - 1
    right, down = _LENGTH * np.sin(angles), _LENGTH * np.cos(angles)
    # A Gaussian of the distance is the product of a Gaussian of rows and one of columns.
    rows, columns = (
        np.exp(-((centres - place[..., None]) ** 2) / (2 * _BLUR**2)) for place in (down, right)
    )
    return rows[..., :, None] * columns[..., None, :]
