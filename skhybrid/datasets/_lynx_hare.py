"""Measured pelts of lynxes and hares, 1900 to 1920, for the Lotka-Volterra model."""

from __future__ import annotations

from importlib import resources

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skhybrid.datasets._argument_constraints import YES_OR_NO
from skhybrid.datasets._build_bunch import build_bunch
from skhybrid.datasets._lotka_volterra import lotka_volterra
from skhybrid.datasets._read_csv import read_csv

_FEATURE_NAMES = ("hare", "lynx")

_DESCR = """\
Lynxes and hares (measured)
---------------------------

====  =========  ==========================================
hare  thousands  pelts of snowshoe hares, Lepus americanus
lynx  thousands  pelts of Canada lynxes, Lynx canadensis
====  =========  ==========================================

Pelts that the Hudson's Bay Company collected in Canada in each year from 1900 to 1920, 21 rows.
They represent the animals, whose numbers are unknown.

data    counts of 1900, as the initial state
target  counts of 1901 to 1920, without the initial state

The physics is the Lotka-Volterra model. Its true constants and its missing part are unknown: hares
also cycle where there are no lynxes, and pelts are not animals.

Source: the table that is common in teaching and statistics, in P. Howard, "Modeling basics",
lecture notes, Texas A&M University. It follows the records of the company, which were published by
C. G. Hewitt, "The conservation of the wild life of Canada", Scribner (1921), and D. A. MacLulich,
"Fluctuations in the numbers of the varying hare", University of Toronto Studies, Biological Series
43 (1937). The numbers equal two public copies:

* B. Carpenter: "Predator-prey population dynamics: the Lotka-Volterra model in Stan" (2018);
  repository stan-dev/example-models, knitr/lotka-volterra/hudson-bay-lynx-hare.csv
* G. Brunkhorst: "ODE Lotka-Volterra with Bayesian inference in multiple ways", PyMC example
  gallery (2023)
"""


@validate_params({"return_X_y": YES_OR_NO}, prefer_skip_nested_validation=True)
def load_lynx_hare(*, return_X_y: bool = False) -> Bunch | tuple:
    """Load the pelts of lynxes and hares collected from 1900 to 1920.

    Measured data, part of the package: one trajectory with one state per year.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : ndarray of shape (1, 2)
            Hares and lynxes in 1900, in thousands of pelts: the state at time 0.
        target : ndarray of shape (1, 20, 2)
            Hares and lynxes in 1901 to 1920, without the initial state.
        times : ndarray of shape (20,)
            Years since 1900: ``1, 2, ..., 20``.
        dt : float
            1.0, in years.
        years : ndarray of shape (21,)
            ``1900, ..., 1920``, as integers.
        counts : ndarray of shape (21, 2)
            All counts: hares and lynxes in each of the ``years``.
        feature_names, target_names : list of str
            ``["hare", "lynx"]``.
        physics : callable
            :func:`lotka_volterra`. There is no ``physics_params``: true values are unknown.
        frame : None
            Trajectories have no DataFrame.
        DESCR : str
            Description of the data set, with its sources.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If the argument has a wrong type. It is both a ValueError and a TypeError.

    See Also
    --------
    make_lotka_volterra : Simulated prey and predators, in similar numbers.

    Examples
    --------
    >>> from skhybrid.datasets import load_lynx_hare
    >>> pelts = load_lynx_hare()
    >>> pelts.years[:2], pelts.counts[:2]
    (array([1900, 1901]), array([[30. ,  4. ],
           [47.2,  6.1]]))
    """
    path = resources.files("skhybrid.datasets") / "data" / "lynx_hare.csv"
    table = read_csv(path, ("year", *_FEATURE_NAMES), remedy="Install skhybrid again.")
    counts = np.ascontiguousarray(table[:, 1:])
    return build_bunch(
        counts[None, 0].copy(),
        counts[None, 1:].copy(),
        return_X_y=return_X_y,
        times=table[1:, 0] - table[0, 0],
        dt=1.0,
        years=table[:, 0].astype(int),
        counts=counts,
        frame=None,
        feature_names=list(_FEATURE_NAMES),
        target_names=list(_FEATURE_NAMES),
        physics=lotka_volterra,
        DESCR=_DESCR,
    )
