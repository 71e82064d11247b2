"""Simulated accelerations of a pendulum; the physics misses a term. The smallest data set."""

from __future__ import annotations

import math

import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import StrOptions, validate_params

from skhybrid.datasets._argument_constraints import (
    AT_LEAST_ONE,
    NOT_NEGATIVE,
    RANDOM_STATE,
    YES_OR_NO,
)
from skhybrid.datasets._build_bunch import build_table_bunch

_FEATURE_NAMES = ("angle", "velocity")
_OMEGA2 = (2 * math.pi / 6) ** 2  # rad s^-2 per unit of sin(angle): a period of 6 s
_LIMITS = (2.5, 2.0)  # rad and rad/s: far beyond small angles, but never over the top

_MISSING = {
    "drag": lambda angle, velocity: -0.2 * velocity * np.abs(velocity),
    "wiggly": lambda angle, velocity: 0.3 * np.cos(3 * angle) + 0.2 * velocity,
}

_DESCR = """\
Pendulum acceleration (simulated)
---------------------------------

States of a pendulum, and the angular acceleration measured in each state.

=============  ========  ==========================================
angle          rad       uniform on [-2.5, 2.5]; 0 hangs down
velocity       rad/s     uniform on [-2, 2]
acceleration   rad s^-2  the target
=============  ========  ==========================================

acceleration = -omega2 sin(angle) + missing(angle, velocity) + Gaussian noise

with omega2 = (2 pi / 6)^2 s^-2. The physics has the first term, with unknown omega2. It misses one
of two terms:

* "drag": -0.2 velocity |velocity|, which does not depend on the angle.
* "wiggly": 0.3 cos(3 angle) + 0.2 velocity. It depends on the angle, but cos(3 angle) is even and
  sin(angle) is odd.

Both are uncorrelated with sin(angle) over the range of the states. So least squares with the
physics alone converges to the true omega2 as the number of samples grows. An unconstrained network
can nevertheless replace any part of the sine.
"""


def pendulum_acceleration(
    angle: torch.Tensor, velocity: torch.Tensor, *, omega2: float | torch.Tensor = 1.0
) -> torch.Tensor:
    """Return the angular acceleration of a pendulum without friction.

    Parameters
    ----------
    angle : Tensor of shape (n_samples,)
        Angle in rad; 0 hangs down.
    velocity : Tensor of shape (n_samples,)
        Angular velocity in rad/s. The physics does not use it, but the network may need it.
    omega2 : float or Tensor of shape (), default=1.0
        Squared angular frequency of small swings (gravity over length), in s^-2. Training
        starts from the default: the right order of magnitude for a pendulum of a few metres.

    Returns
    -------
    Tensor of shape (n_samples,)
        Angular acceleration in rad s^-2.

    Examples
    --------
    >>> import math
    >>> import torch
    >>> from skhybrid.datasets import pendulum_acceleration
    >>> pendulum_acceleration(torch.tensor([math.pi / 2]), torch.zeros(1), omega2=2.0)
    tensor([-2.])
    """
    return -omega2 * torch.sin(angle)


@validate_params(
    {
        "n_samples": AT_LEAST_ONE,
        "missing": [StrOptions(set(_MISSING))],
        "noise": NOT_NEGATIVE,
        "random_state": RANDOM_STATE,
        "as_frame": YES_OR_NO,
        "return_X_y": YES_OR_NO,
    },
    prefer_skip_nested_validation=True,
)
def make_pendulum_acceleration(
    n_samples: int = 400,
    *,
    missing: str = "drag",
    noise: float = 0.05,
    random_state: int | np.random.RandomState | None = None,
    as_frame: bool = False,
    return_X_y: bool = False,
) -> Bunch | tuple:
    """Simulate accelerations of a pendulum; the physics misses one term.

    Parameters
    ----------
    n_samples : int, default=400
        Number of states. Training with the default takes seconds.
    missing : {"drag", "wiggly"}, default="drag"
        The term that the physics misses. ``"drag"`` is ``-0.2 velocity |velocity|``, smooth and
        simple. ``"wiggly"`` is ``0.3 cos(3 angle) + 0.2 velocity``; a network that is too simple
        cannot represent it.
    noise : float, default=0.05
        Standard deviation of the Gaussian noise on the target, in rad s^-2. The default is about
        six per cent of the standard deviation of the target.
    random_state : int, RandomState instance or None, default=None
        Seed of the states and the noise. An int gives the same data in every call.
    as_frame : bool, default=False
        Whether to return pandas objects instead of arrays.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : ndarray of shape (n_samples, 2)
            Angle in rad and velocity in rad/s, float64.
        target : ndarray of shape (n_samples,)
            Angular acceleration in rad s^-2, with noise.
        noise_free : ndarray of shape (n_samples,)
            Same without noise.
        frame : DataFrame of shape (n_samples, 3) or None
            Data and target, if ``as_frame`` is true.
        feature_names : list of str
            ``["angle", "velocity"]``.
        target_name : str
            ``"acceleration"``.
        physics : callable
            :func:`pendulum_acceleration`.
        physics_params : dict
            True value: ``{"omega2": (2 pi / 6)^2}``, in s^-2.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If an argument has a wrong type or value. It is both a ValueError and a TypeError.

    Examples
    --------
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> pendulum = make_pendulum_acceleration(random_state=0)
    >>> pendulum.data.shape, pendulum.feature_names
    ((400, 2), ['angle', 'velocity'])
    >>> round(pendulum.physics_params["omega2"], 3)
    1.097
    """
    random = check_random_state(random_state)
    data = random.uniform(-1.0, 1.0, size=(n_samples, 2)) * _LIMITS
    angle, velocity = data.T
    known = pendulum_acceleration(torch.tensor(angle), torch.tensor(velocity), omega2=_OMEGA2)
    noise_free = known.numpy() + _MISSING[missing](angle, velocity)
    return build_table_bunch(
        data,
        noise_free + noise * random.standard_normal(n_samples),
        feature_names=_FEATURE_NAMES,
        target_name="acceleration",
        as_frame=as_frame,
        return_X_y=return_X_y,
        noise_free=noise_free,
        physics=pendulum_acceleration,
        physics_params={"omega2": _OMEGA2},
        DESCR=_DESCR,
    )
