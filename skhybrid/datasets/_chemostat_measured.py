"""Ten measured experiments with rotifers and algae in a chemostat, with missing values."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skhybrid.datasets._argument_constraints import FOLDER, YES_OR_NO
from skhybrid.datasets._build_bunch import build_bunch, import_pandas
from skhybrid.datasets._chemostat_physics import rotifer_algae
from skhybrid.datasets._data_home import find_data_home
from skhybrid.datasets._find_manual_download import find_manual_download
from skhybrid.datasets._read_csv import check_row_count, faulty_file, read_csv

_FOLDER = "chemostat"
_FILE = "blasius_rotifer_algae.csv"
_DOI = "10.6084/m9.figshare.10045976"
_EXPERIMENTS = np.arange(1, 11)
_N_ROWS = 1953
_SINGLE_FILES = tuple(f"C{number}.csv" for number in _EXPERIMENTS)
_CONTENTS = (
    f"the ten experiments are published as {_SINGLE_FILES[0]} to {_SINGLE_FILES[-1]}, and skhybrid "
    f"reads these files from the folder {_FOLDER}. Or combine all rows in one table, with columns "
    "as in fetch_chemostat."
)
_REMEDY = f"Delete it, and get it again from https://doi.org/{_DOI}."

# Columns of the table of all experiments, and their names in the published files.
_COLUMNS = {
    "day": "time (days)",
    "algae": "algae (10^6 cells/ml)",
    "rotifers": "rotifers (animals/ml)",
    "egg_ratio": "egg-ratio",
    "eggs": "eggs (per ml)",
    "dead": "dead animals (per ml)",
    "medium_N": "external medium (mu mol N / l)",
}
_FEATURE_NAMES = ("medium_N",)
_TARGET_NAMES = ("algae", "rotifers")

_LICENCE = "CC BY 4.0, as users of the data state it; not checked at the source"
_CITATION = (
    "Blasius, B., Rudolf, L., Weithoff, G., Gaedke, U., Fussmann, G. F.: Long-term cyclic "
    "persistence in an experimental predator-prey system. Nature 577, 226-230 (2020). "
    f"doi:10.1038/s41586-019-1857-0. Data: doi:{_DOI}"
)

_DESCR = f"""\
Chemostat (measured)
--------------------

Rotifers (Brachionus calyciflorus) eat green algae (Monoraphidium minutum) in a chemostat. Medium
with nitrogen flows in, and the contents flow out at the same rate. Ten experiments, counted about
once a day for 85 to 374 days:

==========  ================  ========================================================
experiment  1 to 10
day         d                 time since the beginning of the experiment
algae       10^6 cells / ml   living algae (a target)
rotifers    animals / ml      living rotifers (a target)
egg_ratio   eggs per animal
eggs        1 / ml            eggs of the rotifers
dead        animals / ml      dead rotifers
medium_N    umol N / l        nitrogen in the inflowing medium (the input)
==========  ================  ========================================================

Counts are between 0.48 and 5.03 days apart. In every counted column, 23 to 41 values are missing.
medium_N is 80 in six experiments and 160 in two. In experiments 8 and 9 it switches between 0 and
160 about every four days. Predator and prey cycle, with phases in which they lose their rhythm and
find it again.

The physics, rotifer_algae, is a predator-prey model with saturating growth and grazing. It misses
the age structure of the rotifers, who age and whose eggs take a day to hatch; the nitrogen in the
rotifers and their remains; and the delay between the nitrogen of the inflow and of the vessel.

Licence: {_LICENCE}
{_CITATION}
"""


@validate_params(
    {
        "data_home": FOLDER,
        "as_frame": YES_OR_NO,
        "return_X_y": YES_OR_NO,
    },
    prefer_skip_nested_validation=True,
)
def fetch_chemostat(
    *,
    data_home: str | os.PathLike | None = None,
    as_frame: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple:
    """Load ten experiments with rotifers and algae, with daily counts and missing values.

    Measured data. skhybrid cannot download it, because it has no stable address. Download it once
    by hand, and put it where the error message says.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        Folder that holds data sets. Its folder ``chemostat`` holds either the table of all
        experiments, ``blasius_rotifer_algae.csv``, or the published files ``C1.csv`` to
        ``C10.csv``. ``None`` means the environment variable ``SKHYBRID_DATA``, or the user's cache
        folder if the variable is not set.
    as_frame : bool, default=True
        Whether the Bunch also holds all columns as a DataFrame.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : list of 10 ndarrays of shape (n_times, 1)
            Nitrogen in the inflowing medium of each experiment, in umol/l.
        target : list of 10 ndarrays of shape (n_times, 2)
            Algae in 10^6 cells/ml and rotifers in animals/ml; NaN where a count is missing.
        times : list of 10 ndarrays of shape (n_times,)
            Times of the counts, in d. They increase, but are not evenly spaced.
        experiments : ndarray of shape (10,)
            Numbers of the experiments, 1 to 10.
        frame : DataFrame of shape (1953, 8) or None
            All columns: experiment, day, algae, rotifers, egg_ratio, eggs, dead, medium_N.
        feature_names, target_names : list of str
            ``["medium_N"]`` and ``["algae", "rotifers"]``.
        physics : callable
            :func:`rotifer_algae`.
        licence, citation : str
            Terms of use, and publication to cite.
        DESCR : str
            Description of the data set, with the units.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    DataNotAvailableError
        If the data are missing or incomplete. The message says where to get them. It is an
        OSError.
    ImportError
        If ``as_frame`` is true and pandas is not installed.
    sklearn.utils._param_validation.InvalidParameterError
        If an argument has a wrong type or value. It is both a ValueError and a TypeError.

    References
    ----------
    B. Blasius, L. Rudolf, G. Weithoff, U. Gaedke, G. F. Fussmann: "Long-term cyclic persistence in
    an experimental predator-prey system", Nature 577, 226-230 (2020),
    doi:10.1038/s41586-019-1857-0; data doi:10.6084/m9.figshare.10045976.

    Examples
    --------
    >>> from skhybrid.datasets import fetch_chemostat
    >>> chemostat = fetch_chemostat()  # doctest: +SKIP
    >>> len(chemostat.target), chemostat.target[0].shape  # doctest: +SKIP
    (10, (366, 2))
    """
    experiment, table = _read_experiments(data_home)
    names = list(_COLUMNS)
    features, targets = ([names.index(n) for n in part] for part in (_FEATURE_NAMES, _TARGET_NAMES))
    experiments = [table[experiment == number] for number in _EXPERIMENTS]
    frame = None
    if as_frame and not return_X_y:
        frame = import_pandas().DataFrame(table, columns=names)
        frame.insert(0, "experiment", experiment)
    return build_bunch(
        [rows[:, features] for rows in experiments],
        [rows[:, targets] for rows in experiments],
        return_X_y=return_X_y,
        times=[rows[:, names.index("day")] for rows in experiments],
        experiments=_EXPERIMENTS.copy(),
        frame=frame,
        feature_names=list(_FEATURE_NAMES),
        target_names=list(_TARGET_NAMES),
        physics=rotifer_algae,
        licence=_LICENCE,
        citation=_CITATION,
        DESCR=_DESCR,
    )


def _read_experiments(data_home: str | os.PathLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Read the one table or the ten files; shapes (n_rows,) and (n_rows, n_columns)."""
    path = find_data_home(data_home) / _FOLDER
    singles = [path / name for name in _SINGLE_FILES]
    options = {"remedy": _REMEDY, "allow_empty": True}
    if not (path / _FILE).is_file() and all(single.is_file() for single in singles):
        tables = [read_csv(single, tuple(_COLUMNS.values()), **options) for single in singles]
        experiment = np.repeat(_EXPERIMENTS, [len(table) for table in tables])
        table = np.concatenate(tables)
    else:
        path = find_manual_download(
            _FILE, folder=_FOLDER, doi=_DOI, contents=_CONTENTS, data_home=data_home
        )
        numbered = read_csv(path, ("experiment", *_COLUMNS), **options)
        experiment, table = numbered[:, 0], numbered[:, 1:]
    _check_experiments(path, experiment, table)
    return experiment.astype(np.int64), table


def _check_experiments(path: Path, experiment: np.ndarray, table: np.ndarray) -> None:
    """Raise an error that names the fault, if the rows are not the ten experiments."""
    check_row_count(table, _N_ROWS, path, remedy=_REMEDY)
    if not np.array_equal(np.unique(experiment), _EXPERIMENTS):
        fault = f"has experiments that are not numbered 1 to {len(_EXPERIMENTS)}"
        raise faulty_file(path, fault, _REMEDY)
    columns = dict(zip(_COLUMNS, table.T, strict=True))
    for number in _EXPERIMENTS:
        times, medium = (columns[name][experiment == number] for name in ("day", "medium_N"))
        if not (np.isfinite(times).all() and np.all(np.diff(times) > 0)):
            fault = f"is not the published data: the times of experiment {number} do not increase"
            raise faulty_file(path, fault, _REMEDY)
        if not np.isfinite(medium).all():
            fault = f"is not the published data: experiment {number} lacks a value of medium_N"
            raise faulty_file(path, fault, _REMEDY)
