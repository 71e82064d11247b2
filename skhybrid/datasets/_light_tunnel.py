"""Light through two polarizers: the measured data set, and a simulated one made after it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skhybrid.datasets._bunch import as_bunch
from skhybrid.datasets._fetch import ZipArchive, fetch_member
from skhybrid.datasets._table import read_columns

_ARCHIVE = ZipArchive(
    url=(
        "https://causalchamber.s3.eu-central-1.amazonaws.com/downloadables/"
        "lt_interventions_standard_v1.zip"
    ),
    md5="476664d024f88e8b7640998bb5e9ee33",
)
_FOLDER = "light_tunnel"

# Of each subset, the experiment in the archive and its number of rows.
_EXPERIMENTS = {
    "reference": ("uniform_reference", 10_000),
    "polarizer_shift": ("uniform_pol_1_strong", 1_000),
    "red_shift": ("uniform_red_strong", 1_000),
}
_FEATURE_NAMES = ("red", "green", "blue", "pol_1", "pol_2", "l_31", "l_32")

# Colour response times brightness of the light source, for red, green and blue, as the simulator
# published with the chambers has them. It predicts ir_3 up to one common factor.
_PUBLISHED_GAIN = (4.3417 * 0.2909, 2.8594 * 0.2962, 1.9157 * 0.3053)

# The simulated tunnel: rounded from least-squares fits to 6,000 reference rows (see its Notes).
_GAIN = (6.9, 4.6, 3.1)  # counts per step of the LED drive
_LEAK = 0.05
_OFFSET = 10.0  # counts
_STRAY = 0.02  # counts per step of l_31 and of l_32
_THRESHOLD = 15.0  # steps of the LED drive, for which an LED stays behind its straight line
_MISALIGNMENT = 3.5  # degrees

_LICENCE = "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"
_CITATION = (
    "Gamella, J. L., Peters, J., Bühlmann, P.: Causal chambers as a real-world physical testbed "
    "for AI methodology. Nature Machine Intelligence (2025). doi:10.1038/s42256-024-00964-x"
)

_COLUMNS_DESCR = """\
================  =========  ====================================================
red, green, blue  LED drive  0 to 85; red 171 to 255 in "red_shift"
pol_1, pol_2      degrees    -15 to 24; pol_1 66 to 104 in "polarizer_shift"
l_31, l_32        LED drive  0 to 170; two small LEDs beside the third sensor
ir_3              counts     infrared sensor behind both polarizers (the target)
================  =========  ====================================================

Rows are independent settings of the tunnel, not a time series. What is known of ir_3 is Malus' law
for a pair of imperfect polarizers:

    ir_3 = (gain . RGB) (cos^2(pol_1 - pol_2) + leak sin^2(pol_1 - pol_2))
"""

_MEASURED_DESCR = f"""\
Light tunnel (measured)
-----------------------

Causal Chambers, data set lt_interventions_standard_v1: 10,000 rows in the reference experiment,
1,000 in each of two experiments with shifted settings.

{_COLUMNS_DESCR}
The gain is published only up to a common factor, and the leak not at all. Missing from the law, as
least-squares fits to the reference rows show: the LEDs give less than their share of light at low
drive (a straight line in the drive meets zero light at about -98 counts); the polarizers' zeros
are 3.5 degrees apart. No effect of l_31 and l_32 on ir_3 can be seen: 0.005 +- 0.010 counts per
step, at most 4 counts at full drive. The noise is 12 to 14 per cent of the signal in the reference
rows, so that no model comes below about 58 counts RMSE there; in "red_shift" it is 4 per cent.

vis_3 is the visible-light sensor at the same place, with other gains.

Licence: {_LICENCE}
{_CITATION}
"""

_SIMULATED_DESCR = f"""\
Light tunnel (simulated)
------------------------

{_COLUMNS_DESCR}
The simulated tunnel obeys that law with gain = {_GAIN} and leak = {_LEAK}, but

* an LED at drive c gives the light of c - {_THRESHOLD:g} (1 - exp(-c / {_THRESHOLD:g})),
* the zeros of the polarizers are {_MISALIGNMENT} degrees apart,
* the sensor reads {_OFFSET:g} counts in the dark, and {_STRAY} more per step of l_31 and of l_32,
* the noise is multiplicative.
"""


def malus(
    red: torch.Tensor,
    green: torch.Tensor,
    blue: torch.Tensor,
    pol_1: torch.Tensor,
    pol_2: torch.Tensor,
    *,
    gain: Sequence[float] | torch.Tensor = (1.0, 1.0, 1.0),
    leak: float | torch.Tensor = 0.1,
) -> torch.Tensor:
    """Light of three LEDs through two imperfect polarizers, by Malus' law.

    Parameters
    ----------
    red, green, blue : Tensor of shape (n_samples,)
        Drive of the LEDs, in steps from 0 to 255.
    pol_1, pol_2 : Tensor of shape (n_samples,)
        Angles of the polarizers, in degrees.
    gain : sequence of 3 floats or Tensor of shape (3,), default=(1.0, 1.0, 1.0)
        What the sensor reads per step of red, green and blue with the polarizers aligned, in
        counts per step. The default favours no colour.
    leak : float or Tensor of shape (), default=0.1
        Share of the light that crossed polarizers let through. The default starts learning at
        imperfect polarizers, which is what all of them are.

    Returns
    -------
    Tensor of shape (n_samples,)
        Reading of the sensor, in counts.

    Examples
    --------
    >>> import torch
    >>> from skhybrid.datasets import malus
    >>> colour = torch.tensor([10.0, 10.0])
    >>> malus(colour, colour, colour, torch.tensor([0.0, 90.0]), torch.zeros(2), leak=0.5)
    tensor([30., 15.])
    """
    light = gain[0] * red + gain[1] * green + gain[2] * blue
    aligned = torch.cos(torch.deg2rad(pol_1 - pol_2)) ** 2
    return light * (aligned + leak * (1 - aligned))


@validate_params(
    {
        "data_home": [str, os.PathLike, None],
        "subset": [StrOptions(set(_EXPERIMENTS))],
        "target": [StrOptions({"ir_3", "vis_3"})],
        "as_frame": ["boolean"],
        "return_X_y": ["boolean"],
        "download_if_missing": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_light_tunnel(
    *,
    data_home: str | os.PathLike | None = None,
    subset: str = "reference",
    target: str = "ir_3",
    as_frame: bool = True,
    return_X_y: bool = False,
    download_if_missing: bool = True,
) -> Bunch | tuple:
    """Load the light tunnel of the Causal Chambers, downloading it if necessary.

    Measured data: a sensor behind two polarizers, lit by three LEDs. Malus' law explains most of
    what it reads, not all.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        Folder in which data sets are kept. ``None`` takes the environment variable
        ``SKHYBRID_DATA`` and, where that is not set, the user's cache folder. Files that are
        there already, as ``light_tunnel/<experiment>.csv`` or
        ``lt_interventions_standard_v1/<experiment>.csv``, are read and nothing is downloaded.
    subset : {"reference", "polarizer_shift", "red_shift"}, default="reference"
        Which rows: the 10,000 reference rows to learn from, or one of two sets of 1,000 rows
        outside their range, to extrapolate to: polarizer 1 turned to 66..104 degrees, or the red
        LED driven at 171..255.
    target : {"ir_3", "vis_3"}, default="ir_3"
        Which reading of the third sensor to predict: infrared or visible light. The infrared one
        has more counts.
    as_frame : bool, default=True
        Whether to return pandas objects rather than arrays, so that the physics finds its inputs
        by name.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    download_if_missing : bool, default=True
        Whether to download files that are not there; otherwise that is an error.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : DataFrame of shape (n_samples, 7)
            Columns red, green, blue (LED drive), pol_1, pol_2 (degrees), l_31, l_32 (LED drive);
            float64, as measured.
        target : Series of shape (n_samples,)
            Reading of the sensor, in counts.
        frame : DataFrame of shape (n_samples, 8) or None
            Data and target, if ``as_frame`` is true.
        feature_names : list of str
            Names of the columns of ``data``.
        target_name : str
            The argument ``target``.
        physics : callable
            :func:`malus`.
        physics_params_published : dict
            ``{"gain": array of shape (3,)}`` from the simulator that its publishers give for
            ``ir_3``. It is known only up to a common factor: compare directions, not lengths.
            Empty for ``vis_3``, for which they give none.
        licence, citation : str
            The terms of use, and what to cite.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    DataNotAvailableError
        An OSError, if the data is not there and cannot be downloaded, if the download is not the
        published archive, or if a file that is there is not whole.
    sklearn.utils._param_validation.InvalidParameterError
        A ValueError and a TypeError, if an argument is none of what is listed above.

    References
    ----------
    J. L. Gamella, J. Peters, P. Bühlmann: "Causal chambers as a real-world physical testbed for
    AI methodology", Nature Machine Intelligence (2025), doi:10.1038/s42256-024-00964-x. Licence
    CC BY 4.0.

    Examples
    --------
    >>> from skhybrid.datasets import fetch_light_tunnel
    >>> tunnel = fetch_light_tunnel()  # doctest: +SKIP
    >>> tunnel.data.shape, tunnel.target.name  # doctest: +SKIP
    ((10000, 7), 'ir_3')
    """
    experiment, n_rows = _EXPERIMENTS[subset]
    archive_folder = "lt_interventions_standard_v1"
    path = fetch_member(
        _ARCHIVE,
        f"{archive_folder}/{experiment}.csv",
        folder=_FOLDER,
        data_home=data_home,
        also=[f"{archive_folder}/{other}.csv" for other, _ in _EXPERIMENTS.values()],
        download_if_missing=download_if_missing,
    )
    table = read_columns(path, (*_FEATURE_NAMES, target), n_rows=n_rows, url=_ARCHIVE.url)
    return as_bunch(
        table[:, :-1],
        table[:, -1],
        feature_names=_FEATURE_NAMES,
        target_name=target,
        as_frame=as_frame,
        return_X_y=return_X_y,
        physics=malus,
        physics_params_published={"gain": np.array(_PUBLISHED_GAIN)} if target == "ir_3" else {},
        licence=_LICENCE,
        citation=_CITATION,
        DESCR=_MEASURED_DESCR,
    )


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "subset": [StrOptions(set(_EXPERIMENTS))],
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "as_frame": ["boolean"],
        "return_X_y": ["boolean"],
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
    """Simulate the light tunnel: the same task as the measured one, with the truth known.

    Parameters
    ----------
    n_samples : int, default=6000
        Number of settings. The default leaves the precision of the estimates where it is with a
        training share of the measured rows.
    subset : {"reference", "polarizer_shift", "red_shift"}, default="reference"
        The range of settings, as in :func:`fetch_light_tunnel`.
    noise : float, default=0.13
        Standard deviation of the noise, as a share of the noise-free target. The default is that
        of the measured reference rows.
    random_state : int, RandomState instance or None, default=None
        Seed of the settings and of the noise. Give an int to get the same data again.
    as_frame : bool, default=True
        Whether to return pandas objects rather than arrays, so that the physics finds its inputs
        by name.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys of :func:`fetch_light_tunnel` but ``physics_params_published``, ``licence``
        and ``citation``, and with

        physics_params : dict
            The truth: ``{"gain": array of shape (3,), "leak": float}``.
        noise_free : Series of shape (n_samples,)
            The target without noise, in counts.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        A ValueError and a TypeError, if an argument is none of what is listed above.

    See Also
    --------
    fetch_light_tunnel : The measured data set.

    Notes
    -----
    The constants are rounded from least-squares fits to 6,000 measured reference rows. With them
    the noise-free simulation predicts those rows to 59 counts RMSE, where the noise alone is about
    58, the rows of "polarizer_shift" to 20 counts and those of "red_shift" to 96.

    The measured rows show no effect of ``l_31`` and ``l_32``; the one that is simulated is about
    as large as they leave room for. The measured noise does not grow with the red drive beyond
    the reference range; for "red_shift" ``noise=0.04`` is closer to it than the default.

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
    red_limits = (171, 255) if subset == "red_shift" else (0, 85)
    pol_1_limits = (66.0, 104.0) if subset == "polarizer_shift" else (-15.0, 24.0)
    data = np.column_stack(
        [
            random.randint(red_limits[0], red_limits[1] + 1, n_samples),
            random.randint(0, 86, n_samples),
            random.randint(0, 86, n_samples),
            random.uniform(*pol_1_limits, n_samples),
            random.uniform(-15.0, 24.0, n_samples),
            random.randint(0, 171, n_samples),
            random.randint(0, 171, n_samples),
        ]
    )
    noise_free = _simulate(data)
    return as_bunch(
        data,
        noise_free * (1 + noise * random.standard_normal(n_samples)),
        feature_names=_FEATURE_NAMES,
        target_name="ir_3",
        as_frame=as_frame,
        return_X_y=return_X_y,
        noise_free=noise_free,
        physics=malus,
        physics_params={"gain": np.array(_GAIN), "leak": _LEAK},
        DESCR=_SIMULATED_DESCR,
    )


def _simulate(data: np.ndarray) -> np.ndarray:
    """Reading of the simulated sensor without noise; ``data`` has shape (n_samples, 7)."""
    *colours, pol_1, pol_2, l_31, l_32 = torch.tensor(data).unbind(-1)
    red, green, blue = (
        colour + _THRESHOLD * torch.expm1(-colour / _THRESHOLD) for colour in colours
    )
    polarized = malus(red, green, blue, pol_1 + _MISALIGNMENT, pol_2, gain=_GAIN, leak=_LEAK)
    return (polarized + _OFFSET + _STRAY * (l_31 + l_32)).numpy()
