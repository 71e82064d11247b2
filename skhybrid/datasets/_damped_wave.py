"""Waves on a square whose damping the physics does not know."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import scipy.fft
import torch
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import validate_params

from skhybrid.datasets._fields import laplacian
from skhybrid.datasets._trajectories import (
    CONSTRAINTS,
    NOT_NEGATIVE,
    POSITIVE,
    as_trajectories,
    output_times,
)

_FEATURE_NAMES = ("displacement", "velocity")
_SIZE = 64
_SPACING = 1.0  # m
_ORDER = 4
_CENTRES = (20, 40)  # m; the last one is not drawn
_AREAS = (10.0, 100.0)  # m^2

_DESCR = f"""\
Damped wave (simulated)
-----------------------

============  ===  ================================
displacement       without unit, 1 at the start
velocity      1/s  the derivative of the displacement
============  ===  ================================

    displacement'' = c^2 Laplace(displacement) - k displacement'

with c = 330 m/s and k = 50 1/s, on a square without edges (periodic) of {_SIZE} times {_SIZE}
points 1 m apart. The physics is the wave without the damping, and does not know c.

data    initial states, at t = 0: a pulse at rest, exp(-r^2 / s) with r the distance to its centre,
        which is drawn from the grid points between {_CENTRES[0]} and {_CENTRES[1] - 1}, and s
        uniform between {_AREAS[0]:g} and {_AREAS[1]:g} m^2
target  states at dt, 2 dt, ...; the initial state is not among them

Laplace is a central difference of fourth order, here and in the physics, so that c is exact. The
velocity is about a hundred times as large as the displacement.

The numbers are those of Yin, Y., Le Guen, V., Dona, J., de Bézenac, E., Ayed, I., Thome, N.,
Gallinari, P.: Augmenting physical models with deep networks for complex dynamics forecasting.
ICLR 2021, arXiv 2010.04456. There, one long wave between fixed edges is cut into sequences; here,
every sequence starts with a pulse of its own.
"""


def wave(
    t: float | torch.Tensor, state: torch.Tensor, *, c: float | torch.Tensor = 250.0
) -> torch.Tensor:
    """Rate of change of a wave without damping, on a periodic grid of points 1 m apart.

    Parameters
    ----------
    t : float or Tensor
        Time in s, which makes no difference.
    state : Tensor of shape (..., 2, height, width)
        Displacement and velocity.
    c : float or Tensor of shape (), default=250.0
        Speed of the wave, in m/s. The default is where learning starts: the right order of
        magnitude for sound in a gas.

    Returns
    -------
    Tensor of shape (..., 2, height, width)
        Time derivative of the state.

    Examples
    --------
    >>> import torch
    >>> from skhybrid.datasets import wave
    >>> wave(0.0, torch.ones(2, 64, 64), c=330.0)[:, 0, 0]
    tensor([1., 0.])
    """
    displacement, velocity = state.unbind(-3)
    acceleration = c**2 * laplacian(displacement, spacing=_SPACING, order=_ORDER)
    return torch.stack([velocity, acceleration], dim=-3)


def _damping(t: float | torch.Tensor, state: torch.Tensor, *, k: float) -> torch.Tensor:
    velocity = state[..., 1, :, :]
    return torch.stack([torch.zeros_like(velocity), -k * velocity], dim=-3)


@validate_params(
    {**CONSTRAINTS, "c": POSITIVE, "k": NOT_NEGATIVE}, prefer_skip_nested_validation=True
)
def make_damped_wave(
    n_trajectories: int = 25,
    *,
    n_times: int = 25,
    dt: float = 1e-3,
    c: float = 330.0,
    k: float = 50.0,
    noise: float | Sequence[float] = 0.0,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple:
    """Simulate damped waves on a square; the physics does not know the damping.

    Parameters
    ----------
    n_trajectories : int, default=25
        Number of trajectories. Each takes three megabytes at the default length.
    n_times : int, default=25
        Number of recorded states in each, the initial state not counted.
    dt : float, default=1e-3
        Time between recorded states, in s. A wave moves by a third of the grid spacing.
    c : float, default=330.0
        The truth about ``c``, in m/s.
    k : float, default=50.0
        Damping that the physics does not know, in 1/s.
    noise : float or sequence of 2 floats, default=0.0
        Standard deviation of the Gaussian noise on all observed states, the initial ones
        included. The velocity is a hundred times as large as the displacement: give each its own,
        for example ``[0.01, 1.0]``. No noise by default.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial states and of the noise. Give an int to get the same data again.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : ndarray of shape (n_trajectories, 2, 64, 64)
            Initial states, at time 0, with noise.
        target : ndarray of shape (n_trajectories, n_times, 2, 64, 64)
            States at ``times``, with noise. The initial state is not among them.
        noise_free_data, noise_free : ndarrays
            The same without noise.
        times : ndarray of shape (n_times,)
            ``dt, 2 dt, ...``, in s.
        dt : float
            Time between two states, in s.
        feature_names, target_names : list of str
            ``["displacement", "velocity"]``.
        physics : callable
            :func:`wave`.
        physics_params : dict
            The truth: ``{"c": float}``, in m/s.
        missing : callable
            ``missing(t, state)``, what the physics leaves out of the rate of change.
        frame : None
            Trajectories are no table.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        A ValueError and a TypeError, if an argument is none of what is listed above.

    Notes
    -----
    No solver is needed: every Fourier mode of the grid is a damped oscillator with a solution in
    closed form. The constants and the pulses are those of Yin et al. [1]_, the periodic edges are
    not.

    References
    ----------
    .. [1] Y. Yin, V. Le Guen, J. Dona, E. de Bézenac, I. Ayed, N. Thome, P. Gallinari (2021).
       Augmenting physical models with deep networks for complex dynamics forecasting. ICLR.

    Examples
    --------
    >>> from skhybrid.datasets import make_damped_wave
    >>> waves = make_damped_wave(n_trajectories=2, n_times=3, random_state=0)
    >>> waves.data.shape, waves.target.shape
    ((2, 2, 64, 64), (2, 3, 2, 64, 64))
    """
    random = check_random_state(random_state)
    initial_states = _draw_pulses(n_trajectories, random)
    trajectories = _solve(initial_states, output_times(n_times, dt), c=float(c), k=float(k))
    return as_trajectories(
        initial_states,
        trajectories,
        dt=dt,
        noise=noise,
        random=random,
        feature_names=_FEATURE_NAMES,
        return_X_y=return_X_y,
        physics=wave,
        physics_params={"c": float(c)},
        missing=functools.partial(_damping, k=float(k)),
        DESCR=_DESCR,
    )


def _draw_pulses(n_trajectories: int, random: np.random.RandomState) -> np.ndarray:
    """Return initial states of shape (n_trajectories, 2, 64, 64): pulses at rest."""
    areas = random.uniform(*_AREAS, size=(n_trajectories, 1, 1))
    rows, columns = random.randint(*_CENTRES, size=(2, n_trajectories, 1, 1)) * _SPACING
    points = np.arange(_SIZE) * _SPACING
    distance2 = (points[:, None] - rows) ** 2 + (points - columns) ** 2
    pulses = np.exp(-distance2 / areas)
    return np.stack([pulses, np.zeros_like(pulses)], axis=1)


def _solve(initial_states: np.ndarray, times: np.ndarray, *, c: float, k: float) -> np.ndarray:
    """Return the states at ``times``, exactly: a damped oscillator for each Fourier mode."""
    impulse = torch.zeros(_SIZE, _SIZE, dtype=torch.float64)
    impulse[0, 0] = 1.0
    response = laplacian(impulse, spacing=_SPACING, order=_ORDER).numpy()
    frequency2 = -(c**2) * scipy.fft.rfft2(response).real
    frequency2[0, 0] = 0.0  # the mean, but for rounding
    displacement, velocity = np.moveaxis(scipy.fft.rfft2(initial_states), 1, 0)
    root = np.sqrt(k**2 / 4 - frequency2 + 0j)
    critical = root == 0
    safe_root = np.where(critical, 1.0, root)
    trajectories = np.empty((len(initial_states), len(times), *initial_states.shape[1:]))
    for i, t in enumerate(times):
        # exp(-k t / 2) times the hyperbolic cosine of root t, and times its sine over root.
        growing = np.exp((root - k / 2) * t)
        cosine = growing * (1 + np.exp(-2 * root * t)) / 2
        sine = np.where(critical, t, -np.expm1(-2 * root * t) / (2 * safe_root)) * growing
        moved = cosine * displacement + sine * (velocity + k / 2 * displacement)
        speed = cosine * velocity - sine * (frequency2 * displacement + k / 2 * velocity)
        modes = np.stack([moved, speed], axis=1)
        trajectories[:, i] = scipy.fft.irfft2(modes, s=(_SIZE, _SIZE))
    return trajectories
