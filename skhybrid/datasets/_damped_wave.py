"""Simulated waves on a square; the physics misses the damping."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import scipy.fft
import torch
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import validate_params

from skhybrid.datasets._argument_constraints import (
    NOT_NEGATIVE,
    POSITIVE,
    TRAJECTORY_CONSTRAINTS,
)
from skhybrid.datasets._laplacian import laplacian
from skhybrid.datasets._simulate_trajectories import simulate_trajectories

_FEATURE_NAMES = ("displacement", "velocity")
_SIZE = 64
_SPACING = 1.0  # m
_ORDER = 4
_CENTRES = (20, 40)  # m; the upper limit is excluded
_AREAS = (10.0, 100.0)  # m^2

_DESCR = f"""\
Damped wave (simulated)
-----------------------

============  ===  ===============================================
displacement       without unit, 1 at the peak of the initial pulse
velocity      1/s  the derivative of the displacement
============  ===  ===============================================

    displacement'' = c^2 Laplace(displacement) - k displacement'

with c = 330 m/s and k = 50 1/s, on a periodic square of {_SIZE} times {_SIZE} points 1 m apart.
The physics has the wave, with unknown c. It misses the damping.

data    initial states at t = 0: a pulse at rest, exp(-r^2 / s), where r is the distance to its
        centre. The centre is a random grid point between {_CENTRES[0]} and {_CENTRES[1] - 1}, and
        s is uniform between {_AREAS[0]:g} and {_AREAS[1]:g} m^2
target  states at dt, 2 dt, ..., without the initial state

Both the simulation and the physics use a fourth-order central difference for Laplace, so c is
exact. The velocity is about a hundred times as large as the displacement.

The constants come from Yin, Y., Le Guen, V., Dona, J., de Bézenac, E., Ayed, I., Thome, N.,
Gallinari, P.: Augmenting physical models with deep networks for complex dynamics forecasting.
ICLR 2021, arXiv 2010.04456. Yin et al. cut one long wave between fixed edges into sequences.
Here, every sequence has its own initial pulse.
"""


def wave(
    t: float | torch.Tensor, state: torch.Tensor, *, c: float | torch.Tensor = 250.0
) -> torch.Tensor:
    """Return the rate of change of a wave without damping, on a periodic grid with spacing 1 m.

    Parameters
    ----------
    t : float or Tensor
        Time in s. The law does not depend on it.
    state : Tensor of shape (..., 2, height, width)
        Displacement and velocity.
    c : float or Tensor of shape (), default=250.0
        Speed of the wave, in m/s. Training starts from the default: the right order of magnitude
        for sound in a gas.

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
    """Return the damping, which the physics misses."""
    velocity = state[..., 1, :, :]
    return torch.stack([torch.zeros_like(velocity), -k * velocity], dim=-3)


@validate_params(
    {**TRAJECTORY_CONSTRAINTS, "c": POSITIVE, "k": NOT_NEGATIVE},
    prefer_skip_nested_validation=True,
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
    """Simulate damped waves on a square; the physics misses the damping.

    Parameters
    ----------
    n_trajectories : int, default=25
        Number of trajectories. Each needs three megabytes at the default length.
    n_times : int, default=25
        Number of recorded states in each trajectory, without the initial state.
    dt : float, default=1e-3
        Time between recorded states, in s. With the default, a wave moves by a third of the grid
        spacing.
    c : float, default=330.0
        True value of ``c``, in m/s.
    k : float, default=50.0
        Damping, which the physics misses, in 1/s.
    noise : float or sequence of 2 floats, default=0.0
        Standard deviation of the Gaussian noise on all observed states, including the initial
        states. The velocity is a hundred times as large as the displacement, so give one number for
        each, for example ``[0.01, 1.0]``. No noise by default.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial states and the noise. An int gives the same data in every call.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : ndarray of shape (n_trajectories, 2, 64, 64)
            Initial states at time 0, with noise.
        target : ndarray of shape (n_trajectories, n_times, 2, 64, 64)
            States at ``times``, with noise, without the initial state.
        noise_free_data, noise_free : ndarrays
            Same without noise.
        times : ndarray of shape (n_times,)
            ``dt, 2 dt, ...``, in s.
        dt : float
            Time between two states, in s.
        feature_names, target_names : list of str
            ``["displacement", "velocity"]``.
        physics : callable
            :func:`wave`.
        physics_params : dict
            True value: ``{"c": float}``, in m/s.
        missing : callable
            ``missing(t, state)``, the part of the rate of change that the physics misses.
        frame : None
            Trajectories have no DataFrame.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If an argument has a wrong type or value. It is both a ValueError and a TypeError.

    Notes
    -----
    The solution is exact: every Fourier mode of the grid is a damped oscillator with a closed-form
    solution. The constants and the pulses follow Yin et al. [1]_; the periodic edges do not.

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
    return simulate_trajectories(
        wave,
        {"c": float(c)},
        functools.partial(_damping, k=float(k)),
        _draw_pulses(n_trajectories, random),
        n_times=n_times,
        dt=dt,
        noise=noise,
        random=random,
        feature_names=_FEATURE_NAMES,
        return_X_y=return_X_y,
        solve=functools.partial(solve_exactly, c=float(c), k=float(k)),
        DESCR=_DESCR,
    )


def _draw_pulses(n_trajectories: int, random: np.random.RandomState) -> np.ndarray:
    """Draw pulses at rest; shape (n_trajectories, 2, 64, 64)."""
    areas = random.uniform(*_AREAS, size=(n_trajectories, 1, 1))
    rows, columns = random.randint(*_CENTRES, size=(2, n_trajectories, 1, 1)) * _SPACING
    points = np.arange(_SIZE) * _SPACING
    distance2 = (points[:, None] - rows) ** 2 + (points - columns) ** 2
    pulses = np.exp(-distance2 / areas)
    return np.stack([pulses, np.zeros_like(pulses)], axis=1)


def solve_exactly(
    initial_states: np.ndarray, times: np.ndarray, *, c: float, k: float
) -> np.ndarray:
    """Return the exact states at ``times``: each Fourier mode is a damped oscillator."""
    impulse = torch.zeros(_SIZE, _SIZE, dtype=torch.float64)
    impulse[0, 0] = 1.0
    response = laplacian(impulse, spacing=_SPACING, order=_ORDER).numpy()
    frequency2 = -(c**2) * scipy.fft.rfft2(response).real
    frequency2[0, 0] = 0.0  # exactly; rounding errors would move the mean
    displacement, velocity = np.moveaxis(scipy.fft.rfft2(initial_states), 1, 0)
    root = np.sqrt(k**2 / 4 - frequency2 + 0j)
    critical = root == 0
    safe_root = np.where(critical, 1.0, root)
    trajectories = np.empty((len(initial_states), len(times), *initial_states.shape[1:]))
    for i, t in enumerate(times):
        # exp(-k t / 2) times cosh(root t), and times sinh(root t) / root.
        growing = np.exp((root - k / 2) * t)
        cosine = growing * (1 + np.exp(-2 * root * t)) / 2
        sine = np.where(critical, t, -np.expm1(-2 * root * t) / (2 * safe_root)) * growing
        moved = cosine * displacement + sine * (velocity + k / 2 * displacement)
        speed = cosine * velocity - sine * (frequency2 * displacement + k / 2 * velocity)
        modes = np.stack([moved, speed], axis=1)
        trajectories[:, i] = scipy.fft.irfft2(modes, s=(_SIZE, _SIZE))
    return trajectories
