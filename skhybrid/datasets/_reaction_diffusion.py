"""Simulated fields of two substances that diffuse and react; the physics misses the reactions."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from numbers import Real

import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from skhybrid.datasets._argument_constraints import POSITIVE, TRAJECTORY_CONSTRAINTS
from skhybrid.datasets._laplacian import laplacian
from skhybrid.datasets._simulate_trajectories import simulate_trajectories

_FEATURE_NAMES = ("u", "v")
_SIZE = 32
_WIDTH = 2.0  # the square is [-1, 1]^2

_DESCR = f"""\
Reaction and diffusion (simulated)
----------------------------------

=  ===========================
u  concentration, without unit
v  concentration, without unit
=  ===========================

    u' = a Laplace(u) + u - u^3 - v - k
    v' = b Laplace(v) + u - v

on the periodic square [-1, 1]^2, on a grid of {_SIZE} times {_SIZE} points, with a = 1e-3,
b = 5e-3 and k = 5e-3. The reactions are of the FitzHugh-Nagumo type. The physics has the diffusion,
with unknown a and b. It misses the reactions.

data    initial states at t = 0: u and v uniform on (0, 1), independent in every point
target  states at dt, 2 dt, ..., without the initial state

Both the simulation and the physics use the five-point stencil for Laplace. The initial fields are
as rough as the grid allows, so a and b belong to this grid and this stencil. A 3 times 3
convolution can imitate the stencil. A network that sees one point at a time cannot.

The constants come from Yin, Y., Le Guen, V., Dona, J., de Bézenac, E., Ayed, I., Thome, N.,
Gallinari, P.: Augmenting physical models with deep networks for complex dynamics forecasting.
ICLR 2021, arXiv 2010.04456.
"""


def diffusion(
    t: float | torch.Tensor,
    state: torch.Tensor,
    *,
    a: float | torch.Tensor = 2e-3,
    b: float | torch.Tensor = 2e-3,
) -> torch.Tensor:
    """Return the rate of change of two substances that diffuse on [-1, 1]^2 and do not react.

    Parameters
    ----------
    t : float or Tensor
        Time. The law does not depend on it.
    state : Tensor of shape (..., 2, size, size)
        Concentrations of both substances on a periodic grid.
    a : float or Tensor of shape (), default=2e-3
        Diffusion coefficient of the first substance. Training starts from the defaults, which are
        equal for both substances.
    b : float or Tensor of shape (), default=2e-3
        Diffusion coefficient of the second substance.

    Returns
    -------
    Tensor of shape (..., 2, size, size)
        Time derivative of the state.

    Examples
    --------
    >>> import torch
    >>> from skhybrid.datasets import diffusion
    >>> drop = torch.zeros(2, 32, 32)
    >>> drop[0, 5, 5] = 1.0
    >>> diffusion(0.0, drop, a=1 / 256)[0, 4:7, 4:7]
    tensor([[ 0.,  1.,  0.],
            [ 1., -4.,  1.],
            [ 0.,  1.,  0.]])
    """
    u, v = state.unbind(-3)
    spacing = _WIDTH / state.shape[-1]
    return torch.stack([a * laplacian(u, spacing=spacing), b * laplacian(v, spacing=spacing)], -3)


def _reaction(t: float | torch.Tensor, state: torch.Tensor, *, k: float) -> torch.Tensor:
    """Return the reactions, which the physics misses."""
    u, v = state.unbind(-3)
    return torch.stack([u - u**3 - v - k, u - v], dim=-3)


@validate_params(
    {
        **TRAJECTORY_CONSTRAINTS,
        "a": POSITIVE,
        "b": POSITIVE,
        "k": [Interval(Real, None, None, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def make_reaction_diffusion(
    n_trajectories: int = 64,
    *,
    n_times: int = 30,
    dt: float = 0.1,
    a: float = 1e-3,
    b: float = 5e-3,
    k: float = 5e-3,
    noise: float | Sequence[float] = 0.0,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple:
    """Simulate reaction and diffusion on a square; the physics misses the reactions.

    Parameters
    ----------
    n_trajectories : int, default=64
        Number of trajectories. Yin et al. [1]_ use 1600 for training and 320 for the test. Each
        trajectory needs one megabyte at the default length.
    n_times : int, default=30
        Number of recorded states in each trajectory, without the initial state.
    dt : float, default=0.1
        Time between recorded states.
    a : float, default=1e-3
        True value of ``a``.
    b : float, default=5e-3
        True value of ``b``.
    k : float, default=5e-3
        Constant of the reactions, which the physics misses.
    noise : float or sequence of 2 floats, default=0.0
        Standard deviation of the Gaussian noise on all observed states, including the initial
        states. No noise by default.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial states and the noise. An int gives the same data in every call.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : ndarray of shape (n_trajectories, 2, 32, 32)
            Initial states at time 0, with noise.
        target : ndarray of shape (n_trajectories, n_times, 2, 32, 32)
            States at ``times``, with noise, without the initial state.
        noise_free_data, noise_free : ndarrays
            Same without noise.
        times : ndarray of shape (n_times,)
            ``dt, 2 dt, ...``.
        dt : float
            Time between two states.
        feature_names, target_names : list of str
            ``["u", "v"]``.
        physics : callable
            :func:`diffusion`.
        physics_params : dict
            True values: ``{"a": float, "b": float}``.
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

    References
    ----------
    .. [1] Y. Yin, V. Le Guen, J. Dona, E. de Bézenac, I. Ayed, N. Thome, P. Gallinari (2021).
       Augmenting physical models with deep networks for complex dynamics forecasting. ICLR.

    Examples
    --------
    >>> from skhybrid.datasets import make_reaction_diffusion
    >>> fields = make_reaction_diffusion(n_trajectories=2, n_times=3, random_state=0)
    >>> fields.data.shape, fields.target.shape
    ((2, 2, 32, 32), (2, 3, 2, 32, 32))
    """
    random = check_random_state(random_state)
    return simulate_trajectories(
        diffusion,
        {"a": float(a), "b": float(b)},
        functools.partial(_reaction, k=float(k)),
        random.uniform(0.0, 1.0, size=(n_trajectories, 2, _SIZE, _SIZE)),
        n_times=n_times,
        dt=dt,
        noise=noise,
        random=random,
        feature_names=_FEATURE_NAMES,
        return_X_y=return_X_y,
        DESCR=_DESCR,
    )
