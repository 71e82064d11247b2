"""Pelts of lynxes and hares, 1900 to 1920: the measured companion of the Lotka-Volterra model."""

from __future__ import annotations

from importlib import resources

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skhybrid.datasets._lotka_volterra import lotka_volterra

_FEATURE_NAMES = ("hare", "lynx")

_DESCR = """\
Lynxes and hares (measured)
---------------------------

====  =========  ==========================================
hare  thousands  pelts of snowshoe hares, Lepus americanus
lynx  thousands  pelts of Canada lynxes, Lynx canadensis
====  =========  ==========================================

Pelts that the Hudson's Bay Company collected in Canada in each year from 1900 to 1920, 21 rows.
They stand in for the animals, of which nobody knows the number.

data    the counts of 1900, as the initial state
target  the counts of 1901 to 1920; the initial state is not among them

The physics is the model of Lotka and Volterra. Nobody knows its true constants, nor what it
misses: hares also cycle where there are no lynxes, and pelts are not animals.

Source: the table that teaching and statistics use, in P. Howard, "Modeling basics", lecture notes,
Texas A&M University, after the records of the company that C. G. Hewitt, "The conservation of the
wild life of Canada", Scribner (1921), and D. A. MacLulich, "Fluctuations in the numbers of the
varying hare", University of Toronto Studies, Biological Series 43 (1937), made known. These
numbers equal those of two public copies:

* B. Carpenter: "Predator-prey population dynamics: the Lotka-Volterra model in Stan" (2018);
  repository stan-dev/example-models, knitr/lotka-volterra/hudson-bay-lynx-hare.csv
* G. Brunkhorst: "ODE Lotka-Volterra with Bayesian inference in multiple ways", PyMC example
  gallery (2023)
"""


@validate_params({"return_X_y": ["boolean"]}, prefer_skip_nested_validation=True)
def load_lynx_hare(*, return_X_y: bool = False) -> Bunch | tuple:
    """Load the pelts of lynxes and hares collected from 1900 to 1920.

    Measured data that comes with the package: one trajectory, one state a year, no repetition.

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
            Hares and lynxes in 1901 to 1920. The initial state is not among them.
        times : ndarray of shape (20,)
            Years since 1900: ``1, 2, ..., 20``.
        dt : float
            1.0, in years.
        years : ndarray of shape (21,)
            ``1900, ..., 1920``, as integers.
        counts : ndarray of shape (21, 2)
            The table: hares and lynxes in each of the ``years``.
        feature_names, target_names : list of str
            ``["hare", "lynx"]``.
        physics : callable
            :func:`lotka_volterra`. There is no ``physics_params``: nobody knows the truth.
        frame : None
            Trajectories are no table.
        DESCR : str
            Description of the data set, with its sources.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        A ValueError and a TypeError, if the argument is none of what is listed above.

    See Also
    --------
    make_lotka_volterra : Simulated prey and predators, of the same size.

    Examples
    --------
    >>> from skhybrid.datasets import load_lynx_hare
    >>> pelts = load_lynx_hare()
    >>> pelts.years[:2], pelts.counts[:2]
    (array([1900, 1901]), array([[30. ,  4. ],
           [47.2,  6.1]]))
    """
    place = resources.files("skhybrid.datasets") / "data" / "lynx_hare.csv"
    with place.open(encoding="utf-8") as file:
        table = np.loadtxt(file, delimiter=",", skiprows=1)
    counts = np.ascontiguousarray(table[:, 1:])
    data, target = counts[None, 0], counts[None, 1:]
    if return_X_y:
        return data, target
    return Bunch(
        data=data.copy(),
        target=target.copy(),
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
