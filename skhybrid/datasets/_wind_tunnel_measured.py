"""The measured wind tunnel of the Causal Chambers: two fans and a hatch."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from skhybrid.datasets._argument_constraints import FOLDER, YES_OR_NO
from skhybrid.datasets._build_bunch import build_bunch, import_pandas
from skhybrid.datasets._causal_chambers import ARCHIVES, CITATION, LICENCE
from skhybrid.datasets._fetch_from_archive import fetch_from_archive
from skhybrid.datasets._read_csv import faulty_file, read_csv
from skhybrid.datasets._wind_tunnel_physics import (
    COLUMNS_DESCR,
    FEATURE_NAMES,
    TARGET_NAMES,
    fan_pressure,
    fan_speeds,
    observe_closed_tunnel,
)

_FOLDER = "wind_tunnel"
_RAD_PER_S = 2 * np.pi / 60  # one turn per minute

# Published names of the experiments of each data set; # is a number. The first one is the default.
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

_DESCR = f"""\
Wind tunnel (measured)
----------------------

Causal Chambers, data sets wt_intake_impulse_v1, wt_walks_v1 and wt_test_v1: a tube with a fan at
each end and a hatch in its wall.

{COLUMNS_DESCR}
The speeds are the measured turns per minute times 2 pi / 60. The pressure is the reading of the
downwind barometer minus the reading of the ambient barometer, including its offset. The tunnel
measures about seven samples per second. The times of the samples are given.

* wt_intake_impulse_v1: 5,000 records of 50 samples in each experiment. After 5 samples the intake
  fan goes from idle to full load, after 20 more back to idle. The exhaust fan keeps the load in the
  name of the experiment, the hatch a random position.
* wt_walks_v1: one long record in each experiment. Loads and hatch follow random walks, or sine and
  square waves.
* wt_test_v1: experiments that show single effects; "steps" has steps of both loads and the hatch.

The physics is the law of a fan (fan_speeds) and the pressure for a closed hatch (fan_pressure).

Licence: {LICENCE}
{CITATION}
"""


@validate_params(
    {
        "dataset": [StrOptions(set(_EXPERIMENTS))],
        "experiment": [str, None],
        "data_home": FOLDER,
        "as_frame": YES_OR_NO,
        "return_X_y": YES_OR_NO,
        "download_if_missing": YES_OR_NO,
        "accept_changed": YES_OR_NO,
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
    """Load the wind tunnel of the Causal Chambers; download it if necessary.

    Measured data: two driven fans, and the pressure between them, which also depends on a hatch.

    Parameters
    ----------
    dataset : {"wt_intake_impulse_v1", "wt_walks_v1", "wt_test_v1"}, \
            default="wt_intake_impulse_v1"
        Which data set: short records of an impulse, long random walks, or tests of single effects.
    experiment : str or None, default=None
        Published name of an experiment of the data set. ``None`` means
        ``"load_out_0.5_osr_downwind_4"``, ``"actuators_random_walk_1"`` or ``"steps"``.
    data_home : str, path-like or None, default=None
        Folder that holds data sets. ``None`` means the environment variable ``SKHYBRID_DATA``, or
        the user's cache folder if the variable is not set. If it holds
        ``wind_tunnel/<experiment>.csv`` or ``<dataset>/<experiment>.csv``, skhybrid reads that file
        and downloads nothing.
    as_frame : bool, default=True
        Whether the Bunch also holds the measured columns as a DataFrame.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    download_if_missing : bool, default=True
        Whether to download missing files. Otherwise a missing file is an error.
    accept_changed : bool, default=False
        Whether to accept a changed archive. Publishers re-issue archives at times. If the sum
        (SHA-256 where it is known, otherwise MD5) differs from the known one, ``False`` raises an
        error and ``True`` gives a warning. Both messages name both sums.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : ndarray of shape (n_records, n_times, 3)
            Loads of the intake fan and of the exhaust fan, 0 to 1, and the position of the hatch in
            degrees. The impulses are 5,000 records of 50 samples, the others one record.
        target : ndarray of shape (n_records, n_times, 3)
            Speeds of the intake fan and of the exhaust fan in rad/s, and the pressure downwind
            minus ambient, in Pa.
        times : ndarray of shape (n_records, n_times)
            Times since the first sample of each record, in s. They are not evenly spaced.
        frame : DataFrame of shape (n_records * n_times, 13) or None
            Measured columns: timestamp, flag, hatch, loads, turns per minute, currents, pressures.
        feature_names, target_names : list of str
            ``["load_in", "load_out", "hatch"]`` and ``["speed_in", "speed_out", "pressure"]``.
        physics : callable
            :func:`fan_speeds`, the right-hand side of the two speeds.
        observe : callable
            Function from the two speeds to the three targets, for a closed hatch.
        pressure_physics : callable
            :func:`fan_pressure`, for models with the speeds as features.
        licence, citation : str
            Terms of use, and publication to cite.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    DataNotAvailableError
        If the file is missing and cannot be downloaded, the archive has changed, or a file cannot
        be read. It is an OSError.
    ValueError
        If the data set has no experiment of that name.
    ImportError
        If ``as_frame`` is true and pandas is not installed.
    sklearn.utils._param_validation.InvalidParameterError
        If an argument has a wrong type or value. It is both a ValueError and a TypeError.

    Warns
    -----
    UserWarning
        If the archive has changed and ``accept_changed`` is true.

    See Also
    --------
    make_wind_tunnel : Simulated wind tunnel with known truth.

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
    archive = ARCHIVES[dataset]
    path = fetch_from_archive(
        archive,
        f"{dataset}/{experiment}.csv",
        folder=_FOLDER,
        data_home=data_home,
        accept_changed=accept_changed,
        download_if_missing=download_if_missing,
    )
    remedy = f"Delete it, or get it again from {archive.url}."
    table = read_csv(path, _MEASURED_COLUMNS, remedy=remedy, allow_empty=True)
    if not len(table):
        raise faulty_file(path, "is incomplete: it has no rows", remedy)
    columns = dict(zip(_MEASURED_COLUMNS, table.T, strict=True))
    n_records = 1
    if dataset == "wt_intake_impulse_v1":
        n_records = _count_records(columns["flag"], path, remedy)
    columns["speed_in"] = columns["rpm_in"] * _RAD_PER_S
    columns["speed_out"] = columns["rpm_out"] * _RAD_PER_S
    columns["pressure"] = columns["pressure_downwind"] - columns["pressure_ambient"]

    def records(*names):
        return np.stack([columns[name].reshape(n_records, -1) for name in names], axis=-1)

    timestamps = records("timestamp")[..., 0]
    frame = None
    if as_frame and not return_X_y:
        frame = import_pandas().DataFrame(table, columns=list(_MEASURED_COLUMNS))
    return build_bunch(
        records(*FEATURE_NAMES),
        records(*TARGET_NAMES),
        return_X_y=return_X_y,
        times=timestamps - timestamps[:, :1],
        frame=frame,
        feature_names=list(FEATURE_NAMES),
        target_names=list(TARGET_NAMES),
        physics=fan_speeds,
        observe=observe_closed_tunnel,
        pressure_physics=fan_pressure,
        licence=LICENCE,
        citation=CITATION,
        DESCR=_DESCR,
    )


def _check_experiment(dataset: str, experiment: str | None) -> str:
    """Return the name of an experiment of the data set; an unknown name is an error."""
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
    """Return the number of records: each has its own flag, and all have the same length."""
    first_rows = np.flatnonzero(np.diff(flag, prepend=flag[0] - 1))
    lengths = np.diff(first_rows, append=len(flag))
    if len(set(lengths)) > 1:
        other = flag[first_rows[np.argmax(lengths != lengths[0])]]
        fault = (
            f"is incomplete: the first record and the record with flag {other:g} differ in length"
        )
        raise faulty_file(path, fault, remedy)
    return len(first_rows)
