"""The simulated light tunnel: light through two polarizers, with known truth."""

from __future__ import annotations

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
from skhybrid.datasets._light_tunnel_physics import COLUMNS_DESCR, FEATURE_NAMES, malus

# For each subset: the range of the red drive, and of pol_1 in degrees.
_RANGES = {
    "reference": ((0, 85), (-15.0, 24.0)),
    "polarizer_shift": ((0, 85), (66.0, 104.0)),
    "red_shift": ((171, 255), (-15.0, 24.0)),
}

# Rounded estimates from least-squares fits to 6,000 reference rows; see the Notes.
_GAIN = (6.9, 4.6, 3.1)  # counts per step of the LED drive
_LEAK = 0.05
_OFFSET = 10.0  # counts
_STRAY = 0.02  # counts per step of l_31 and of l_32
_THRESHOLD = 15.0  # steps of the LED drive; how far an LED lags behind its straight line
_MISALIGNMENT = 3.5  # degrees

_DESCR = f"""\
Light tunnel (simulated)
------------------------

{COLUMNS_DESCR}
The simulated tunnel obeys this law with gain = {_GAIN} and leak = {_LEAK}, but:

* an LED at drive c gives as much light as c - {_THRESHOLD:g} (1 - exp(-c / {_THRESHOLD:g})),
* the zeros of the polarizers are {_MISALIGNMENT} degrees apart,
* the sensor reads {_OFFSET:g} counts in the dark, and {_STRAY} more per step of l_31 and of l_32,
* the noise is multiplicative.
"""


@validate_params(
    {
        "n_samples": AT_LEAST_ONE,
        "subset": [StrOptions(set(_RANGES))],
        "noise": NOT_NEGATIVE,
        "random_state": RANDOM_STATE,
        "as_frame": YES_OR_NO,
        "return_X_y": YES_OR_NO,
    },
    prefer_skip_nested_validation=True,
)
def make_light_tunnel(
    n_samples: int = 6000,
    *,
    subset: str = "reference",
    noise: float = 0.13,
    random_state: int | np.random.RandomState | None = None,
    as_frame: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple:
    """Simulate the light tunnel: the same task as the measured tunnel, with known truth.

    Parameters
    ----------
    n_samples : int, default=6000
        Number of settings. With the default, estimates are as precise as with a training set of
        the measured rows.
    subset : {"reference", "polarizer_shift", "red_shift"}, default="reference"
        Range of the settings, as in :func:`fetch_light_tunnel`.
    noise : float, default=0.13
        Standard deviation of the noise, as a fraction of the noise-free target. The default is the
        value in the measured reference rows.
    random_state : int, RandomState instance or None, default=None
        Seed of the settings and the noise. An int gives the same data in every call.
    as_frame : bool, default=True
        Whether to return pandas objects instead of arrays. The physics then finds its inputs by
        name.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys of :func:`fetch_light_tunnel`, without ``physics_params_published``,
        ``licence`` and ``citation``, and with the keys

        physics_params : dict
            True values: ``{"gain": array of shape (3,), "leak": float}``.
        noise_free : Series of shape (n_samples,)
            Target without noise, in counts.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If an argument has a wrong type or value. It is both a ValueError and a TypeError.

    See Also
    --------
    fetch_light_tunnel : The measured data set.

    Notes
    -----
    The constants are rounded estimates from least-squares fits to 6,000 measured reference rows.
    The noise-free simulation predicts these rows with an RMSE of 59 counts, where the noise alone
    is about 58 counts. The RMSE is 20 counts in "polarizer_shift" and 96 counts in "red_shift".

    The measured rows show no effect of ``l_31`` and ``l_32``. The simulated effect is about as
    large as the measured rows allow. Beyond the reference range, the measured noise does not grow
    with the red drive: in "red_shift" ``noise=0.04`` is closer to it than the default.

    Examples
    --------
    >>> from skhybrid.datasets import make_light_tunnel
    >>> tunnel = make_light_tunnel(n_samples=100, random_state=0)
    >>> tunnel.data.shape, tunnel.target.name
    ((100, 7), 'ir_3')
    >>> tunnel.physics_params
    {'gain': array([6.9, 4.6, 3.1]), 'leak': 0.05}
    """
    random = check_random_state(random_state)
    (red_low, red_high), pol_1_range = _RANGES[subset]
    data = np.column_stack(
        [
            random.randint(red_low, red_high + 1, n_samples),
            random.randint(0, 86, n_samples),
            random.randint(0, 86, n_samples),
            random.uniform(*pol_1_range, n_samples),
            random.uniform(-15.0, 24.0, n_samples),
            random.randint(0, 171, n_samples),
            random.randint(0, 171, n_samples),
        ]
    )
    noise_free = simulate_reading(data)
    return build_table_bunch(
        data,
        noise_free * (1 + noise * random.standard_normal(n_samples)),
        feature_names=FEATURE_NAMES,
        target_name="ir_3",
        as_frame=as_frame,
        return_X_y=return_X_y,
        noise_free=noise_free,
        physics=malus,
        physics_params={"gain": np.array(_GAIN), "leak": _LEAK},
        DESCR=_DESCR,
    )


def simulate_reading(data: np.ndarray) -> np.ndarray:
    """Return the sensor reading without noise; ``data`` has shape (n_samples, 7)."""
    *colours, pol_1, pol_2, l_31, l_32 = torch.tensor(data).unbind(-1)
    red, green, blue = (
        colour + _THRESHOLD * torch.expm1(-colour / _THRESHOLD) for colour in colours
    )
    polarized = malus(red, green, blue, pol_1 + _MISALIGNMENT, pol_2, gain=_GAIN, leak=_LEAK)
    return (polarized + _OFFSET + _STRAY * (l_31 + l_32)).numpy()
