"""Two fans and a hatch: the wind tunnel of the Causal Chambers, measured."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from skhybrid.datasets._by_hand import read_numbers
from skhybrid.datasets._fetch import ZipArchive
from skhybrid.datasets._reissued import fetch_table
from skhybrid.datasets._wind_tunnel import (
    CITATION,
    COLUMNS_DESCR,
    FEATURE_NAMES,
    TARGET_NAMES,
    fan_pressure,
    fan_speeds,
    observe_closed_tunnel,
)
from skhybrid.exceptions import DataNotAvailableError

_ADDRESS = "https://causalchamber.s3.eu-central-1.amazonaws.com/downloadables/"
_FOLDER = "wind_tunnel"
_RAD_PER_S = 2 * np.pi / 60  # of one turn a minute

_ARCHIVES = {
    name: ZipArchive(url=f"{_ADDRESS}{name}.zip", md5=md5)
    for name, md5 in {
        "wt_intake_impulse_v1": "8b7a0e587d3e9a804b380d96f14a1b12",
        "wt_walks_v1": "19bb4e92cbe0b8dff49299b9b509ac36",
        "wt_test_v1": "5eed621f5b54e431c4442fc9cc947db6",
    }.items()
}

# Of each data set, the experiments as its documentation names them; # stands for a number. The
# first one is the default.
_EXPERIMENTS = {
    "wt_intake_impulse_v1": (
        "load_out_0.5_osr_downwind_4",
        "load_out_0.5_osr_downwind_2",
        "load_out_0.5_osr_downwind_8",
        "load_out_0.01_osr_downwind_4",
        "load_out_1_osr_downwind_4",
    ),
    "wt_walks_v1": (
        "actuators_random_walk_#",
        "loads_hatch_mix_slow_run_#",
        "loads_hatch_mix_fast_run_#",
        "regime_jumps_single",
        "regime_jumps_multi",
    ),
    "wt_test_v1": (
        "steps",
        "analog_calibration",
        "mic_effects",
        "no_load",
        "osr_barometers",
        "osr_mic",
        "potis_coarse",
        "potis_fine",
        "tach_resolution",
        "zero_load",
    ),
}

_MEASURED_COLUMNS = (
    "timestamp",
    "flag",
    "hatch",
    "load_in",
    "load_out",
    "rpm_in",
    "rpm_out",
    "current_in",
    "current_out",
    "pressure_upwind",
    "pressure_downwind",
    "pressure_ambient",
    "pressure_intake",
)

_LICENCE = "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"

_DESCR = f"""\
Wind tunnel (measured)
----------------------

Causal Chambers, data sets wt_intake_impulse_v1, wt_walks_v1 and wt_test_v1: a tube with a fan at
either end and a hatch in its wall.

{COLUMNS_DESCR}
The speeds are the measured turns a minute times 2 pi / 60; the pressure is the reading of the
barometer downwind less that of the ambient one, whose offset is not taken off. About seven samples
a second are measured, at times that are given.

* wt_intake_impulse_v1: 5,000 records of 50 samples in each experiment. After 5 samples the intake
  fan goes from idle to full load, after 20 more back to idle. The exhaust fan is held at the load
  in the name of the experiment, the hatch at a random position.
* wt_walks_v1: one long record in each experiment. Loads and hatch follow random walks, or sine and
  square waves.
* wt_test_v1: experiments that show single effects; "steps" has steps of both loads and the hatch.

What is known: the law of a fan (fan_speeds), and the pressure for a closed hatch (fan_pressure).

Licence: {_LICENCE}
{CITATION}
"""


@validate_params(
    {
        "dataset": [StrOptions(set(_ARCHIVES))],
        "experiment": [str, None],
        "data_home": [str, os.PathLike, None],
        "as_frame": ["boolean"],
        "return_X_y": ["boolean"],
        "download_if_missing": ["boolean"],
        "accept_changed": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_wind_tunnel(
    dataset: str = "wt_intake_impulse_v1",
    experiment: str | None = None,
    *,
    data_home: str | os.PathLike | None = None,
    as_frame: bool = True,
    return_X_y: bool = False,
    download_if_missing: bool = True,
    accept_changed: bool = False,
) -> Bunch | tuple:
    """Load the wind tunnel of the Causal Chambers, downloading it if necessary.

    Measured data: two fans that are driven over time, and the pressure between them, which a hatch
    changes.

    Parameters
    ----------
    dataset : {"wt_intake_impulse_v1", "wt_walks_v1", "wt_test_v1"}, \
            default="wt_intake_impulse_v1"
        Which data set: short records of an impulse, long random walks, or tests of single effects.
    experiment : str or None, default=None
        Which experiment of it, by its published name. ``None`` takes
        ``"load_out_0.5_osr_downwind_4"``, ``"actuators_random_walk_1"`` or ``"steps"``.
    data_home : str, path-like or None, default=None
        Folder in which data sets are kept. ``None`` takes the environment variable
        ``SKHYBRID_DATA`` and, where that is not set, the user's cache folder. Files that are
        there already, as ``wind_tunnel/<experiment>.csv`` or ``<dataset>/<experiment>.csv``, are
        read and nothing is downloaded.
    as_frame : bool, default=True
        Whether the Bunch also holds the measured columns as a DataFrame.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    download_if_missing : bool, default=True
        Whether to download files that are not there; otherwise that is an error.
    accept_changed : bool, default=False
        Archives are re-issued at times. One whose MD5 sum is another than the one known here is an
        error that names both; with ``True`` it is a warning.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : ndarray of shape (n_records, n_times, 3)
            Loads of the intake fan and of the exhaust fan, 0 to 1, and the position of the hatch in
            degrees. The impulses are 5,000 records of 50 samples, the others one record.
        target : ndarray of shape (n_records, n_times, 3)
            Speeds of the intake fan and of the exhaust fan in rad/s, and the pressure downwind,
            less the ambient one, in Pa.
        times : ndarray of shape (n_records, n_times)
            Times since the first sample of each record, in s. They are not evenly spaced.
        frame : DataFrame of shape (n_records * n_times, 13) or None
            As measured: timestamp, flag, hatch, loads, turns a minute, currents and pressures.
        feature_names, target_names : list of str
            ``["load_in", "load_out", "hatch"]`` and ``["speed_in", "speed_out", "pressure"]``.
        physics : callable
            :func:`fan_speeds`, the right-hand side for the two speeds.
        observe : callable
            The three targets from the two speeds, for a closed hatch.
        pressure_physics : callable
            :func:`fan_pressure`, for those who take the speeds as given.
        licence, citation : str
            The terms of use, and what to cite.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    DataNotAvailableError
        An OSError, if the data is not there and cannot be downloaded, if the archive has changed,
        or if a file that is there cannot be read.
    ValueError
        If the data set has no experiment of that name.
    ImportError
        If ``as_frame`` is true and pandas is not installed.
    sklearn.utils._param_validation.InvalidParameterError
        A ValueError and a TypeError, if an argument is none of what is listed above.

    Warns
    -----
    UserWarning
        If the archive has changed and was accepted.

    See Also
    --------
    make_wind_tunnel : A simulated one, with the truth known.

    References
    ----------
    J. L. Gamella, J. Peters, P. Bühlmann: "Causal chambers as a real-world physical testbed for
    AI methodology", Nature Machine Intelligence (2025), doi:10.1038/s42256-024-00964-x. Licence
    CC BY 4.0.

    Examples
    --------
    >>> from skhybrid.datasets import fetch_wind_tunnel
    >>> tunnel = fetch_wind_tunnel()  # doctest: +SKIP
    >>> tunnel.data.shape, tunnel.target.shape  # doctest: +SKIP
    ((5000, 50, 3), (5000, 50, 3))
    """
    experiment = _check_experiment(dataset, experiment)
    archive = _ARCHIVES[dataset]
    path = fetch_table(
        archive,
        f"{dataset}/{experiment}.csv",
        folder=_FOLDER,
        data_home=data_home,
        accept_changed=accept_changed,
        download_if_missing=download_if_missing,
    )
    remedy = f"Delete it, or get it again from {archive.url}."
    table = read_numbers(path, _MEASURED_COLUMNS, remedy=remedy)
    if not len(table):
        raise DataNotAvailableError(f"{path} is not whole: it has no rows. {remedy}")
    columns = dict(zip(_MEASURED_COLUMNS, table.T, strict=True))
    n_records = 1
    if dataset == "wt_intake_impulse_v1":
        n_records = _count_records(columns["flag"], path, remedy)
    shape = (n_records, len(table) // n_records)
    data = np.stack([columns[name].reshape(shape) for name in FEATURE_NAMES], axis=-1)
    speeds = [columns[name] * _RAD_PER_S for name in ("rpm_in", "rpm_out")]
    pressure = columns["pressure_downwind"] - columns["pressure_ambient"]
    target = np.stack([column.reshape(shape) for column in (*speeds, pressure)], axis=-1)
    if return_X_y:
        return data, target
    timestamps = columns["timestamp"].reshape(shape)
    return Bunch(
        data=data,
        target=target,
        times=timestamps - timestamps[:, :1],
        frame=_frame(table) if as_frame else None,
        feature_names=list(FEATURE_NAMES),
        target_names=list(TARGET_NAMES),
        physics=fan_speeds,
        observe=observe_closed_tunnel,
        pressure_physics=fan_pressure,
        licence=_LICENCE,
        citation=CITATION,
        DESCR=_DESCR,
    )


def _check_experiment(dataset: str, experiment: str | None) -> str:
    """Return the name of an experiment that the data set can have."""
    names = _EXPERIMENTS[dataset]
    if experiment is None:
        return names[0].replace("#", "1")
    for name in names:
        if re.fullmatch(re.escape(name).replace(r"\#", r"[1-9]\d*"), experiment):
            return experiment
    raise ValueError(
        f"The data set {dataset} has no experiment {experiment!r}. It has "
        f"{', '.join(name.replace('#', '<number>') for name in names)}."
    )


def _count_records(flag: np.ndarray, path: Path, remedy: str) -> int:
    """Return the number of records, which carry rising flags and are of one length."""
    starts = np.flatnonzero(np.diff(flag, prepend=flag[0] - 1))
    lengths = np.diff(starts, append=len(flag))
    if len(set(lengths)) > 1:
        odd = starts[np.argmax(lengths != lengths[0])]
        raise DataNotAvailableError(
            f"{path} is not whole: its records differ in length, the first one from the one with "
            f"flag {flag[odd]:g}. {remedy}"
        )
    return len(starts)


def _frame(table: np.ndarray):
    """The measured columns as a DataFrame."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "as_frame=True needs pandas, which is not installed. Install it, or pass "
            "as_frame=False to do without the table of measured columns."
        ) from error
    return pandas.DataFrame(table, columns=list(_MEASURED_COLUMNS))
