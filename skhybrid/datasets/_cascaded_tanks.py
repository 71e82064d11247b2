"""The measured cascaded tanks, a benchmark of system identification, and their physics."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skhybrid.datasets._argument_constraints import FOLDER, YES_OR_NO
from skhybrid.datasets._build_bunch import build_bunch
from skhybrid.datasets._find_manual_download import find_manual_download
from skhybrid.datasets._read_csv import check_row_count, faulty_file, read_csv

_FOLDER = "cascaded_tanks"
_FILE = "dataBenchmark.csv"
_DOI = "10.4121/12960104"
_N_TIMES = 1024
_DT = 4.0  # s

# Below this level, in V, the physics differs from Bernoulli's square root.
_NEARLY_EMPTY = 0.01

_LICENCE = "CC BY-SA 4.0, as users of the data state it; not checked at the source"
_CITATION = (
    "Schoukens, M., Mattsson, P., Wigren, T., Noël, J.-P.: Cascaded tanks benchmark combining soft "
    f"and hard nonlinearities. 4TU.ResearchData (2020). doi:{_DOI}"
)

_DESCR = f"""\
Cascaded tanks (measured)
-------------------------

A pump lifts water into an upper tank. The water runs through a hole into a lower tank, and through
another hole back into the reservoir. Two records of 1,024 samples, one for estimation (``data``,
``target``) and one for testing (``data_test``, ``target_test``):

======  =========  ======================================================
input   V          voltage of the pump
output  V          voltage of the level sensor in the lower tank
time    s          one sample every 4 s
======  =========  ======================================================

Both records have the same initial state. The level of the upper tank is never measured. Bernoulli's
law, with levels x1 and x2, input u and output y, is

    x1' = -k1 sqrt(x1) + k4 u
    x2' =  k2 sqrt(x1) - k3 sqrt(x2)
    y   =  x2

The law misses three effects. When the upper tank overflows, some of the water falls into the lower
tank. The lower tank overflows, too. Its sensor saturates at 10 V.

Licence: {_LICENCE}
{_CITATION}
"""


def cascaded_tanks(
    t: torch.Tensor,
    state: torch.Tensor,
    inputs: torch.Tensor,
    *,
    k1: float | torch.Tensor = 0.05,
    k2: float | torch.Tensor = 0.05,
    k3: float | torch.Tensor = 0.05,
    k4: float | torch.Tensor = 0.05,
) -> torch.Tensor:
    """Return the rates of the levels of two cascaded tanks, by Bernoulli's law, without overflow.

    Parameters
    ----------
    t : Tensor of shape ()
        Time in s. The law does not depend on it.
    state : Tensor of shape (..., 2)
        Levels of the upper tank and of the lower tank, in V.
    inputs : Tensor of shape (..., 1)
        Voltage of the pump, in V.
    k1, k2, k3 : float or Tensor of shape (), default=0.05
        Outflow of the upper tank, inflow of the lower tank and outflow of the lower tank, each per
        square root of the level that drives it, in V^(1/2) s^-1. Training starts from the default:
        tanks that settle within some minutes.
    k4 : float or Tensor of shape (), default=0.05
        Inflow of the upper tank per volt of the pump, in s^-1.

    Returns
    -------
    Tensor of shape (..., 2)
        Rates of the levels, in V/s.

    Notes
    -----
    The square root has an infinite slope at 0 and is not defined below 0. With e = 0.01 V,
    ``x / (x^2 + e^2)^(1/4)`` replaces sqrt(x). It is smooth and increases everywhere. Its slope is
    largest at 0, e^(-1/2) = 10 V^(-1/2). It is negative below 0: if an inexact step gives a level
    below 0, the level comes back. At 0.1 V it is 0.25 per cent below the root. From 1 V on, the
    relative difference is less than 3e-5.

    Examples
    --------
    >>> import torch
    >>> from skhybrid.datasets import cascaded_tanks
    >>> levels, pump = torch.tensor([4.0, 1.0]), torch.tensor([2.0])
    >>> cascaded_tanks(torch.tensor(0.0), levels, pump, k1=0.1, k2=0.1, k3=0.1, k4=0.2)
    tensor([0.2000, 0.1000])
    """
    upper, lower = _guarded_sqrt(state).unbind(-1)
    return torch.stack([k4 * inputs[..., 0] - k1 * upper, k2 * upper - k3 * lower], dim=-1)


def _guarded_sqrt(level: torch.Tensor) -> torch.Tensor:
    """Return the square root of a level, smooth at 0; see the Notes of :func:`cascaded_tanks`."""
    return level * (level**2 + _NEARLY_EMPTY**2) ** -0.25


def _observe_lower_tank(state: torch.Tensor) -> torch.Tensor:
    """Return the sensor reading, shape (..., 1), for a state of shape (..., 2)."""
    return state[..., 1:]


@validate_params({"data_home": FOLDER, "return_X_y": YES_OR_NO}, prefer_skip_nested_validation=True)
def fetch_cascaded_tanks(
    *, data_home: str | os.PathLike | None = None, return_X_y: bool = False
) -> Bunch | tuple:
    """Load the cascaded tanks benchmark: one long record with an input; half the state is measured.

    Measured data. skhybrid cannot download it, because it has no stable address. Download it once
    by hand, and put it where the error message says.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        Folder that holds data sets, and in it ``cascaded_tanks/dataBenchmark.csv``. ``None`` means
        the environment variable ``SKHYBRID_DATA``, or the user's cache folder if the variable is
        not set.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data, target : ndarray of shape (1, 1024, 1)
            Voltage of the pump and voltage of the level sensor in the estimation record, in V.
        data_test, target_test : ndarray of shape (1, 1024, 1)
            Same in the test record.
        times : ndarray of shape (1024,)
            Times of the samples in both records, in s.
        dt : float
            Time between two samples: 4 s.
        feature_names, target_names : list of str
            ``["pump"]`` and ``["level"]``.
        physics : callable
            :func:`cascaded_tanks`.
        observe : callable
            Function from a state to the measured part: the level of the lower tank.
        licence, citation : str
            Terms of use, and publication to cite.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    DataNotAvailableError
        If the file is missing or incomplete. The message says where to get it. It is an OSError.
    sklearn.utils._param_validation.InvalidParameterError
        If an argument has a wrong type or value. It is both a ValueError and a TypeError.

    References
    ----------
    M. Schoukens, P. Mattsson, T. Wigren, J.-P. Noël: "Cascaded tanks benchmark combining soft and
    hard nonlinearities", 4TU.ResearchData (2020), doi:10.4121/12960104.

    Examples
    --------
    >>> from skhybrid.datasets import fetch_cascaded_tanks
    >>> tanks = fetch_cascaded_tanks()  # doctest: +SKIP
    >>> tanks.data.shape, tanks.target.shape, tanks.dt  # doctest: +SKIP
    ((1, 1024, 1), (1, 1024, 1), 4.0)
    """
    path = find_manual_download(
        _FILE,
        folder=_FOLDER,
        doi=_DOI,
        contents=f"the published archive holds {_FILE}.",
        data_home=data_home,
    )
    data, data_test, target, target_test = (
        np.ascontiguousarray(column)[np.newaxis, :, np.newaxis] for column in _read_records(path).T
    )
    return build_bunch(
        data,
        target,
        return_X_y=return_X_y,
        data_test=data_test,
        target_test=target_test,
        times=_DT * np.arange(_N_TIMES),
        dt=_DT,
        feature_names=["pump"],
        target_names=["level"],
        physics=cascaded_tanks,
        observe=_observe_lower_tank,
        licence=_LICENCE,
        citation=_CITATION,
        DESCR=_DESCR,
    )


def _read_records(path: Path) -> np.ndarray:
    """Read both records; shape (n_times, 4), columns as in the file."""
    remedy = f"Delete it, and get it again from https://doi.org/{_DOI}."
    # The file states the sampling time Ts only in its first row.
    names = ("uEst", "uVal", "yEst", "yVal", "Ts")
    table = read_csv(path, names, remedy=remedy, allow_empty=True)
    check_row_count(table, _N_TIMES, path, remedy=remedy)
    if table[0, -1] != _DT:
        fault = f"has the sampling time {table[0, -1]:g} s, the published file has {_DT:g} s"
        raise faulty_file(path, fault, remedy)
    gaps = np.argwhere(~np.isfinite(table[:, :-1]))
    if len(gaps):
        raise faulty_file(path, f"lacks a value in row {gaps[0, 0] + 1}", remedy)
    return table[:, :-1]
