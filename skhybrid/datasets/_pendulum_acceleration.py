"""The acceleration of a pendulum whose friction the physics does not know: the smallest task."""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skhybrid.datasets._bunch import as_bunch

_FEATURE_NAMES = ("angle", "velocity")
_OMEGA2 = (2 * math.pi / 6) ** 2  # rad s^-2 per unit of sin(angle): a period of 6 s
_LIMITS = (2.5, 2.0)  # rad and rad/s: far from small angles, short of going over the top

_MISSING = {
    "drag": lambda angle, velocity: -0.2 * velocity * np.abs(velocity),
    "wiggly": lambda angle, velocity: 0.3 * np.cos(3 * angle) + 0.2 * velocity,
}

_DESCR = """\
Pendulum acceleration (simulated)
---------------------------------

A table of states of a pendulum and the angular acceleration measured in each of them.

=============  ========  ==========================================
angle          rad       uniform on [-2.5, 2.5]; 0 hangs down
velocity       rad/s     uniform on [-2, 2]
acceleration   rad s^-2  the target
=============  ========  ==========================================

acceleration = -omega2 sin(angle) + missing(angle, velocity) + Gaussian noise

with omega2 = (2 pi / 6)^2 s^-2. The physics knows the first term, not omega2. What it misses:

* "drag": -0.2 velocity |velocity|, which does not depend on the angle.
* "wiggly": 0.3 cos(3 angle) + 0.2 velocity. It depends on the angle, but cos(3 angle) is even and
  sin(angle) is odd.

Both are uncorrelated with sin(angle) over the box from which the states are drawn, so the true
omega2 is also what least squares with the physics alone tends to as the number of samples grows.
A network that is free to do so can nevertheless take over any share of the sine.
"""


def pendulum_acceleration(
    angle: torch.Tensor, velocity: torch.Tensor, *, omega2: float | torch.Tensor = 1.0
) -> torch.Tensor:
    """Angular acceleration of a pendulum without friction.

    Parameters
    ----------
    angle : Tensor of shape (n_samples,)
        Angle in rad; 0 hangs down.
    velocity : Tensor of shape (n_samples,)
        Angular velocity in rad/s. This physics has no use for it; it is a feature that the
        network may need.
    omega2 : float or Tensor of shape (), default=1.0
        Squared angular frequency of small swings (gravity over length), in s^-2. The default is
        where learning starts: the right order of magnitude for a pendulum of a few metres.

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
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "missing": [StrOptions(set(_MISSING))],
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "as_frame": ["boolean"],
        "return_X_y": ["boolean"],
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
    """Simulate accelerations of a pendulum, with a term that the physics does not know.

    Parameters
    ----------
    n_samples : int, default=400
        Number of states. The default is enough to learn from in seconds.
    missing : {"drag", "wiggly"}, default="drag"
        What the physics leaves out: ``"drag"`` is ``-0.2 velocity |velocity|``, smooth and simple;
        ``"wiggly"`` is ``0.3 cos(3 angle) + 0.2 velocity``, which a network that is kept too
        simple cannot follow.
    noise : float, default=0.05
        Standard deviation of the Gaussian noise on the target, in rad s^-2. The default is about
        six per cent of the spread of the target.
    random_state : int, RandomState instance or None, default=None
        Seed of the states and of the noise. Give an int to get the same data again.
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
            The same without noise.
        frame : DataFrame of shape (n_samples, 3) or None
            Data and target, if ``as_frame`` is true.
        feature_names : list of str
            ``["angle", "velocity"]``.
        target_name : str
            ``"acceleration"``.
        physics : callable
            :func:`pendulum_acceleration`.
        physics_params : dict
            The truth: ``{"omega2": (2 pi / 6)^2}``, in s^-2.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        A ValueError and a TypeError, if an argument is none of what is listed above.

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
    return as_bunch(
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
