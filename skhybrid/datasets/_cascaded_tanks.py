"""Water that runs from one tank into another: a measured benchmark of system identification."""

from __future__ import annotations

import os

import numpy as np
import torch
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skhybrid.datasets._by_hand import find_file, read_numbers
from skhybrid.exceptions import DataNotAvailableError

_FOLDER = "cascaded_tanks"
_FILE = "dataBenchmark.csv"
_DOI = "10.4121/12960104"
_WHAT = f"the archive there holds {_FILE}."
_N_TIMES = 1024
_DT = 4.0  # s

# The level below which the physics departs from Bernoulli's square root, in V.
_NEARLY_EMPTY = 0.01

_LICENCE = "CC BY-SA 4.0, as users of the data state it; not checked at the source"
_CITATION = (
    "Schoukens, M., Mattsson, P., Wigren, T., Noël, J.-P.: Cascaded tanks benchmark combining soft "
    f"and hard nonlinearities. 4TU.ResearchData (2020). doi:{_DOI}"
)

_DESCR = f"""\
Cascaded tanks (measured)
-------------------------

A pump lifts water into an upper tank, from which it runs through a hole into a lower tank, and from
there through a hole back into the reservoir. Two records of 1,024 samples, one to estimate with
(``data``, ``target``) and one to test with (``data_test``, ``target_test``):

======  =========  ======================================================
input   V          voltage of the pump
output  V          voltage of the sensor of the level in the lower tank
time    s          one sample every 4 s
======  =========  ======================================================

Both records start from the same state, of which nobody knows the level of the upper tank. With
Bernoulli's law, x1 and x2 for the levels, u for the input and y for the output,

    x1' = -k1 sqrt(x1) + k4 u
    x2' =  k2 sqrt(x1) - k3 sqrt(x2)
    y   =  x2

Missing from it: when the upper tank overflows, some of the water falls into the lower one; the
lower one overflows, too, and its sensor saturates at 10 V.

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
    """Rates of the levels of two cascaded tanks, by Bernoulli's law, without overflow.

    Parameters
    ----------
    t : Tensor of shape ()
        Time in s. The law does not depend on it.
    state : Tensor of shape (..., 2)
        Levels of the upper and of the lower tank, in V.
    inputs : Tensor of shape (..., 1)
        Voltage of the pump, in V.
    k1, k2, k3 : float or Tensor of shape (), default=0.05
        Outflow of the upper tank, inflow of the lower tank and outflow of the lower tank, each per
        square root of the level that drives it, in V^(1/2) s^-1. The default is where learning
        starts: tanks that settle within some minutes.
    k4 : float or Tensor of shape (), default=0.05
        Inflow of the upper tank per volt of the pump, in s^-1.

    Returns
    -------
    Tensor of shape (..., 2)
        Rates of the levels, in V/s.

    Notes
    -----
    The slope of the square root is infinite at 0, and there is no root below. In place of sqrt(x)
    stands ``x / (x^2 + e^2)^(1/4)`` with e = 0.01 V. It is smooth and grows everywhere; its slope
    is at most e^(-1/2) = 10 V^(-1/2), at 0; below 0 it is negative, so that a level that an inexact
    step has taken below 0 comes back. At 0.1 V it is 0.25 per cent below the root, from 1 V on less
    than 3e-5 of it.

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
    """Square root of a level, smooth through 0; see the Notes of :func:`cascaded_tanks`."""
    return level * (level**2 + _NEARLY_EMPTY**2) ** -0.25


def _observe_lower_tank(state: torch.Tensor) -> torch.Tensor:
    """What the sensor sees of a state of shape (..., 2); shape (..., 1)."""
    return state[..., 1:]


@validate_params(
    {"data_home": [str, os.PathLike, None], "return_X_y": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def fetch_cascaded_tanks(
    *, data_home: str | os.PathLike | None = None, return_X_y: bool = False
) -> Bunch | tuple:
    """Load the cascaded tanks benchmark: one long record with an input, the state half seen.

    Measured data. There is no stable address from which skhybrid could download it: get it once by
    hand, and put it where the error says.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        Folder in which data sets are kept; the file is ``cascaded_tanks/dataBenchmark.csv`` in it.
        ``None`` takes the environment variable ``SKHYBRID_DATA`` and, where that is not set, the
        user's cache folder.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data, target : ndarray of shape (1, 1024, 1)
            Voltage of the pump and voltage of the level sensor in the estimation record, in V.
        data_test, target_test : ndarray of shape (1, 1024, 1)
            The same in the test record.
        times : ndarray of shape (1024,)
            Times of the samples, in s; the same in both records.
        dt : float
            Time between two samples: 4 s.
        feature_names, target_names : list of str
            ``["pump"]`` and ``["level"]``.
        physics : callable
            :func:`cascaded_tanks`.
        observe : callable
            What of a state is measured: the level of the lower tank.
        licence, citation : str
            The terms of use, and what to cite.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    DataNotAvailableError
        An OSError, if the file is not there or not whole. It says where to get it.
    sklearn.utils._param_validation.InvalidParameterError
        A ValueError and a TypeError, if an argument is none of what is listed above.

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
    path = find_file(_FILE, folder=_FOLDER, doi=_DOI, what=_WHAT, data_home=data_home)
    records = _read(path)
    data, data_test, target, target_test = (
        np.ascontiguousarray(column)[np.newaxis, :, np.newaxis] for column in records.T
    )
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
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


def _read(path: os.PathLike) -> np.ndarray:
    """Read the two records; shape (n_times, 4), columns as in the file."""
    remedy = f"Delete it, and get it again from https://doi.org/{_DOI}."
    table = read_numbers(path, ("uEst", "uVal", "yEst", "yVal", "Ts"), remedy=remedy)
    if len(table) != _N_TIMES:
        raise DataNotAvailableError(
            f"{path} is not whole: it has {len(table)} rows, the published file has {_N_TIMES}. "
            f"{remedy}"
        )
    if table[0, -1] != _DT:
        raise DataNotAvailableError(
            f"{path} is not the published file: its sampling time is {table[0, -1]:g} s, the "
            f"published one is {_DT:g} s. {remedy}"
        )
    gaps = np.argwhere(~np.isfinite(table[:, :-1]))
    if len(gaps):
        raise DataNotAvailableError(
            f"{path} is not the published file: a value is missing in row {gaps[0, 0] + 1}. "
            f"{remedy}"
        )
    return table[:, :-1]
