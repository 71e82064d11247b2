"""A pendulum seen by a camera: the physics holds for states that nobody has measured."""

from __future__ import annotations

import functools
from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from skhybrid.datasets._pendulum import (
    DAMPING,
    FEATURE_NAMES,
    OMEGA2,
    draw_initial_states,
    friction,
    pendulum,
)
from skhybrid.datasets._trajectories import CONSTRAINTS, NOT_NEGATIVE, POSITIVE, integrate

_LENGTH = 0.7
_BLUR = 0.15

_DESCR = f"""\
Pendulum images (simulated)
---------------------------

Grey images of a pendulum with friction, 0 is black and 1 is white. The picture shows the square
[-1, 1]^2, rows from top to bottom and columns from left to right. The pendulum hangs from its
middle, and only the bob is seen, as a blurred white spot on black: at an angle of 0 it is below
the middle, at a positive one to the right. A pixel whose centre has the distance r from the bob,
which is {_LENGTH} away from the middle, has the grey value

    exp(-r^2 / (2 {_BLUR}^2))

The angle obeys angle'' = -omega2 sin(angle) - damping angle'. The physics knows the first term and
not omega2. It does not know the friction. One image shows the angle, and only several show the
velocity:

data    the context: the last of these images is at t = 0, the others dt, 2 dt, ... before
target  images at dt, 2 dt, ...; neither the image at t = 0 nor the initial state is among them

initial_states and states are the true angle (rad) and velocity (rad/s) at t = 0 and at dt, 2 dt,
..., for comparison only. The first image of the context has a state of the data set "Pendulum":
a random direction and a radius that is uniform between 1.3 and 2.3. omega2 = (2 pi / 6)^2 s^-2 and
damping = 0.2 s^-1 are the same as there, too. The rendering is ours.
"""


@validate_params(
    {
        **CONSTRAINTS,
        "noise": NOT_NEGATIVE,
        "n_context": [Interval(Integral, 1, None, closed="left")],
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
    """Simulate images of a pendulum with friction, which its physics does not know.

    Parameters
    ----------
    n_trajectories : int, default=100
        Number of image sequences. Each takes 90 kilobytes at the default size and length.
    n_context : int, default=4
        Number of images up to time 0 in each, from which the state at time 0 is to be found. The
        default is two more than a velocity needs.
    n_times : int, default=40
        Number of images after time 0 in each. The default is a bit more than one and a half
        swings.
    dt : float, default=0.25
        Time between images, in s.
    size : int, default=16
        Height and width of an image, in pixels.
    omega2 : float, default=(2 pi / 6)^2
        The truth about ``omega2``, in s^-2.
    damping : float, default=0.2
        Friction that the physics does not know, in s^-1.
    noise : float, default=0.0
        Standard deviation of the Gaussian noise on every pixel, where white is 1. Noisy pixels may
        be negative or greater than 1. No noise by default.
    random_state : int, RandomState instance or None, default=None
        Seed of the first states and of the noise. Give an int to get the same data again.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : ndarray of shape (n_trajectories, n_context, size, size)
            Images at ``context_times``, with noise.
        target : ndarray of shape (n_trajectories, n_times, size, size)
            Images at ``times``, with noise. The image at time 0 is not among them.
        noise_free_data, noise_free : ndarrays
            The same without noise.
        context_times : ndarray of shape (n_context,)
            ``..., -2 dt, -dt, 0``, in s.
        times : ndarray of shape (n_times,)
            ``dt, 2 dt, ...``, in s.
        dt : float
            Time between two images, in s.
        initial_states : ndarray of shape (n_trajectories, 2)
            The true angle and velocity at time 0, in rad and rad/s.
        states : ndarray of shape (n_trajectories, n_times, 2)
            The true angle and velocity at ``times``.
        state_names : list of str
            ``["angle", "velocity"]``.
        physics : callable
            :func:`pendulum`, a function of the state.
        physics_params : dict
            The truth: ``{"omega2": float}``, in s^-2.
        missing : callable
            ``missing(t, state)``, what the physics leaves out of the rate of change.
        frame : None
            Images are no table.
        DESCR : str
            Description of the data set, the rendering included.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        A ValueError and a TypeError, if an argument is none of what is listed above.

    See Also
    --------
    make_pendulum : The same pendulum, with its angle and velocity measured.

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
        start=all_times[0],
    )
    states = np.concatenate([first_states[:, None], later_states], axis=1)
    noise_free = _render(states[..., 0], size)
    images = noise_free + noise * random.standard_normal(noise_free.shape)
    data, target = images[:, :n_context], images[:, n_context:]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
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


def _render(angles: np.ndarray, size: int) -> np.ndarray:
    """Return images of shape (..., size, size) for angles of shape (...)."""
    centres = (2 * np.arange(size) + 1) / size - 1
    right, down = _LENGTH * np.sin(angles), _LENGTH * np.cos(angles)
    # A Gaussian of the distance is one of the rows times one of the columns.
    rows, columns = (
        np.exp(-((centres - place[..., None]) ** 2) / (2 * _BLUR**2)) for place in (down, right)
    )
    return rows[..., :, None] * columns[..., None, :]
