"""Rotifers that eat algae in a chemostat: ten measured experiments with missing values."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skhybrid.datasets._by_hand import find_file, read_numbers
from skhybrid.datasets._fetch import find_data_home
from skhybrid.exceptions import DataNotAvailableError

_FOLDER = "chemostat"
_FILE = "blasius_rotifer_algae.csv"
_DOI = "10.6084/m9.figshare.10045976"
_N_EXPERIMENTS = 10
_N_ROWS = 1953
_SINGLE_FILES = tuple(f"C{number}.csv" for number in range(1, _N_EXPERIMENTS + 1))
_WHAT = (
    f"the ten experiments are published there as {_SINGLE_FILES[0]} to {_SINGLE_FILES[-1]}, and "
    f"skhybrid reads them as they are from the folder {_FOLDER}. The same rows in one table, with "
    f"the columns that fetch_chemostat lists, can take their place."
)
_REMEDY = f"Delete it, and get it again from https://doi.org/{_DOI}."

# The columns of the one table, and what they are called in the published files.
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

Rotifers (Brachionus calyciflorus) feed on green algae (Monoraphidium minutum) in a chemostat, into
which medium with nitrogen flows and from which everything is washed out at the same rate. Ten
experiments, counted about once a day for 85 to 374 days:

==========  ================  ========================================================
experiment  1 to 10
day         d                 time since the start of the experiment
algae       10^6 cells / ml   living algae (a target)
rotifers    animals / ml      living rotifers (a target)
egg_ratio   eggs per animal
eggs        1 / ml            eggs of the rotifers
dead        animals / ml      dead rotifers
medium_N    umol N / l        nitrogen in the medium that flows in (the input)
==========  ================  ========================================================

The times are not exactly a day apart, between 0.48 and 5.03 days, and 23 to 41 values of every
counted column are missing. medium_N is 80 in six experiments and 160 in two; in experiments 8
and 9 it changes between 0 and 160 about every four days. Predator and prey run through cycles, with
phases in which they lose their rhythm and find it again.

The physics, rotifer_algae, is a predator-prey model with saturating growth and grazing. It knows
neither the age structure of the rotifers, whose eggs take a day to hatch and who age, nor the
nitrogen that the rotifers and their remains hold, nor that the nitrogen in the vessel follows that
of the inflow with a delay.

Licence: {_LICENCE}
{_CITATION}
"""


def rotifer_algae(
    t: torch.Tensor,
    state: torch.Tensor,
    inputs: torch.Tensor,
    *,
    growth: float | torch.Tensor = 3.3,
    half_nitrogen: float | torch.Tensor = 4.3,
    nitrogen_content: float | torch.Tensor = 28.0,
    grazing: float | torch.Tensor = 0.18,
    half_algae: float | torch.Tensor = 0.54,
    conversion: float | torch.Tensor = 12.0,
    mortality: float | torch.Tensor = 0.055,
    dilution: float | torch.Tensor = 0.55,
) -> torch.Tensor:
    """Rates of algae and rotifers in a chemostat: saturating grazing, nitrogen-limited growth.

    Parameters
    ----------
    t : Tensor of shape ()
        Time in d. The law does not depend on it.
    state : Tensor of shape (..., 2)
        Algae in 10^6 cells/ml and rotifers in animals/ml.
    inputs : Tensor of shape (..., 1)
        Nitrogen in the medium that flows in, in umol/l.
    growth : float or Tensor of shape (), default=3.3
        Growth rate of the algae with nitrogen in plenty, in 1/d.
    half_nitrogen : float or Tensor of shape (), default=4.3
        Free nitrogen at which they grow half as fast, in umol/l.
    nitrogen_content : float or Tensor of shape (), default=28.0
        Nitrogen that the algae hold, in umol/l per 10^6 cells/ml.
    grazing : float or Tensor of shape (), default=0.18
        Algae that a rotifer eats where there are plenty, in 10^6 cells per animal and day.
    half_algae : float or Tensor of shape (), default=0.54
        Algae at which it eats half as much, in 10^6 cells/ml.
    conversion : float or Tensor of shape (), default=12.0
        Rotifers that come of 10^6 cells.
    mortality : float or Tensor of shape (), default=0.055
        Death rate of the rotifers, in 1/d.
    dilution : float or Tensor of shape (), default=0.55
        Rate at which the contents of the vessel are replaced, in 1/d.

    Returns
    -------
    Tensor of shape (..., 2)
        Rates of algae and rotifers, per day.

    Notes
    -----
    With a for algae, r for rotifers, N for the nitrogen of the inflow and n for what is free of it:

    ::

        n  = max(N - nitrogen_content a, 0)
        g  = grazing a / (half_algae + a)
        a' = growth n / (half_nitrogen + n) a - g r - dilution a
        r' = conversion g r - (mortality + dilution) r

    It is the predator-prey model of Rosenzweig and MacArthur with the nutrient-limited growth of
    Fussmann et al., whose free nitrogen is replaced by what a balance leaves of the inflow's, so
    that both states are measured, and whose rotifers all reproduce. Amounts below 0, which an
    inexact step can reach, neither grow, nor eat, nor are eaten, so that values and gradients stay
    finite there.

    The defaults, where learning starts, are the constants of Fussmann et al. (growth 3.3 per day,
    half-saturation 4.3 umol N/l; rotifers 2.25 per day, 15 umol N/l, a quarter of what they eat
    assimilated; mortality 0.055 per day), converted from nitrogen to counts with 28 umol N/l for
    10^6 algae per ml and 0.57 umol N/l for one rotifer per ml. Those two figures and the dilution
    rate are as users of the data state them.

    References
    ----------
    G. F. Fussmann, S. P. Ellner, K. W. Shertzer, N. G. Hairston Jr.: "Crossing the Hopf bifurcation
    in a live predator-prey system", Science 290, 1358-1360 (2000),
    doi:10.1126/science.290.5495.1358.

    M. L. Rosenzweig, R. H. MacArthur: "Graphical representation and stability conditions of
    predator-prey interactions", American Naturalist 97, 209-223 (1963), doi:10.1086/282272.

    Examples
    --------
    >>> import torch
    >>> from skhybrid.datasets import rotifer_algae
    >>> counts, medium = torch.tensor([0.5, 0.0]), torch.tensor([80.0])
    >>> rotifer_algae(torch.tensor(0.0), counts, medium, dilution=0.0)  # algae grow, undisturbed
    tensor([1.5491, 0.0000])
    """
    algae, rotifers = state.unbind(-1)
    living_algae, living_rotifers = torch.relu(algae), torch.relu(rotifers)
    nitrogen = torch.relu(inputs[..., 0] - nitrogen_content * living_algae)
    born = growth * nitrogen / (half_nitrogen + nitrogen) * living_algae
    eaten = grazing * living_algae / (half_algae + living_algae) * living_rotifers
    return torch.stack(
        [
            born - eaten - dilution * algae,
            conversion * eaten - (mortality + dilution) * rotifers,
        ],
        dim=-1,
    )


@validate_params(
    {
        "data_home": [str, os.PathLike, None],
        "as_frame": ["boolean"],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_chemostat(
    *,
    data_home: str | os.PathLike | None = None,
    as_frame: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple:
    """Load ten experiments with rotifers and algae, counted daily, with values missing.

    Measured data. There is no stable address from which skhybrid could download it: get it once by
    hand, and put it where the error says.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        Folder in which data sets are kept. In its folder ``chemostat`` are either the table of all
        experiments, ``blasius_rotifer_algae.csv``, or the published files ``C1.csv`` to
        ``C10.csv``. ``None`` takes the environment variable ``SKHYBRID_DATA`` and, where that is
        not set, the user's cache folder.
    as_frame : bool, default=True
        Whether the Bunch also holds all columns as a DataFrame.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : list of 10 ndarrays of shape (n_times, 1)
            Of each experiment, the nitrogen in the medium that flows in, in umol/l.
        target : list of 10 ndarrays of shape (n_times, 2)
            Algae in 10^6 cells/ml and rotifers in animals/ml; NaN where a count is missing.
        times : list of 10 ndarrays of shape (n_times,)
            Times of the counts, in d; they increase, not evenly.
        experiments : ndarray of shape (10,)
            Numbers of the experiments, 1 to 10.
        frame : DataFrame of shape (1953, 8) or None
            All columns: experiment, day, algae, rotifers, egg_ratio, eggs, dead, medium_N.
        feature_names, target_names : list of str
            ``["medium_N"]`` and ``["algae", "rotifers"]``.
        physics : callable
            :func:`rotifer_algae`.
        licence, citation : str
            The terms of use, and what to cite.
        DESCR : str
            Description of the data set, with the units.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    DataNotAvailableError
        An OSError, if the data is not there or not whole. It says where to get it.
    ImportError
        If ``as_frame`` is true and pandas is not installed.
    sklearn.utils._param_validation.InvalidParameterError
        A ValueError and a TypeError, if an argument is none of what is listed above.

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
    experiment, table = _read(data_home)
    data, target, times = [], [], []
    numbers = np.arange(1, _N_EXPERIMENTS + 1)
    names = list(_COLUMNS)
    for number in numbers:
        rows = table[experiment == number]
        times.append(rows[:, names.index("day")])
        data.append(rows[:, [names.index(name) for name in _FEATURE_NAMES]])
        target.append(rows[:, [names.index(name) for name in _TARGET_NAMES]])
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        times=times,
        experiments=numbers,
        frame=_frame(experiment, table) if as_frame else None,
        feature_names=list(_FEATURE_NAMES),
        target_names=list(_TARGET_NAMES),
        physics=rotifer_algae,
        licence=_LICENCE,
        citation=_CITATION,
        DESCR=_DESCR,
    )


def _frame(experiment: np.ndarray, table: np.ndarray):
    """All columns as a DataFrame."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "as_frame=True needs pandas, which is not installed. Install it, or pass "
            "as_frame=False to do without the table of all columns."
        ) from error
    frame = pandas.DataFrame(table, columns=list(_COLUMNS))
    frame.insert(0, "experiment", experiment)
    return frame


def _read(data_home: str | os.PathLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Read the one table or the ten files; shapes (n_rows,) and (n_rows, n_columns)."""
    folder = find_data_home(data_home) / _FOLDER
    singles = [folder / name for name in _SINGLE_FILES]
    if not (folder / _FILE).is_file() and all(path.is_file() for path in singles):
        tables = [read_numbers(path, tuple(_COLUMNS.values()), remedy=_REMEDY) for path in singles]
        experiment = np.repeat(np.arange(1, _N_EXPERIMENTS + 1), [len(table) for table in tables])
        table = np.concatenate(tables)
        path = folder
    else:
        path = find_file(_FILE, folder=_FOLDER, doi=_DOI, what=_WHAT, data_home=data_home)
        numbered = read_numbers(path, ("experiment", *_COLUMNS), remedy=_REMEDY)
        experiment, table = numbered[:, 0], numbered[:, 1:]
    _check(path, experiment, table)
    return experiment.astype(np.int64), table


def _check(path: Path, experiment: np.ndarray, table: np.ndarray) -> None:
    """Raise an error that says what is wrong with the rows of the ten experiments."""
    if len(table) != _N_ROWS:
        raise DataNotAvailableError(
            f"{path} is not whole: it has {len(table)} rows, the published data have {_N_ROWS}. "
            f"{_REMEDY}"
        )
    if not np.array_equal(np.unique(experiment), np.arange(1, _N_EXPERIMENTS + 1)):
        raise DataNotAvailableError(
            f"{path} is not the published data: its experiments are not numbered 1 to "
            f"{_N_EXPERIMENTS}. {_REMEDY}"
        )
    names = list(_COLUMNS)
    for number in range(1, _N_EXPERIMENTS + 1):
        rows = table[experiment == number]
        times = rows[:, names.index("day")]
        if not (np.isfinite(times).all() and np.all(np.diff(times) > 0)):
            raise DataNotAvailableError(
                f"{path} is not the published data: the times of experiment {number} do not "
                f"increase. {_REMEDY}"
            )
        if not np.isfinite(rows[:, names.index("medium_N")]).all():
            raise DataNotAvailableError(
                f"{path} is not the published data: experiment {number} lacks values of the "
                f"medium. {_REMEDY}"
            )
