"""The measured light tunnel of the Causal Chambers: light through two polarizers."""

from __future__ import annotations

import os

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from skhybrid.datasets._argument_constraints import FOLDER, YES_OR_NO
from skhybrid.datasets._build_bunch import build_table_bunch
from skhybrid.datasets._causal_chambers import ARCHIVES, CITATION, LICENCE
from skhybrid.datasets._fetch_from_archive import fetch_from_archive
from skhybrid.datasets._light_tunnel_physics import COLUMNS_DESCR, FEATURE_NAMES, malus
from skhybrid.datasets._read_csv import check_row_count, read_csv

_ARCHIVE = "lt_interventions_standard_v1"
_FOLDER = "light_tunnel"

# For each subset: the experiment in the archive and its number of rows.
_EXPERIMENTS = {
    "reference": ("uniform_reference", 10_000),
    "polarizer_shift": ("uniform_pol_1_strong", 1_000),
    "red_shift": ("uniform_red_strong", 1_000),
}

# Colour response times brightness of the light source, for red, green and blue, from the published
# simulator of the chambers. It predicts ir_3 up to one common factor.
_PUBLISHED_GAIN = (4.3417 * 0.2909, 2.8594 * 0.2962, 1.9157 * 0.3053)

_DESCR = f"""\
Light tunnel (measured)
-----------------------

Causal Chambers, data set lt_interventions_standard_v1: 10,000 rows in the reference experiment,
1,000 in each of two experiments with shifted settings.

{COLUMNS_DESCR}
The gain is published only up to a common factor. The leak is not published. Least-squares fits to
the reference rows show two effects that the law misses. The LEDs give less than proportional light
at low drive: a straight line in the drive meets zero light at about -98 counts. The zeros of the
polarizers are 3.5 degrees apart. l_31 and l_32 have no visible effect on ir_3: 0.005 +- 0.010
counts per step, at most 4 counts at full drive. The noise is 12 to 14 per cent of the signal in the
reference rows, so no model has an RMSE below about 58 counts there. In "red_shift" the noise is 4
per cent.

vis_3 is the visible-light sensor at the same place, with other gains.

Licence: {LICENCE}
{CITATION}
"""


@validate_params(
    {
        "data_home": FOLDER,
        "subset": [StrOptions(set(_EXPERIMENTS))],
        "target": [StrOptions({"ir_3", "vis_3"})],
        "as_frame": YES_OR_NO,
        "return_X_y": YES_OR_NO,
        "download_if_missing": YES_OR_NO,
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
    """Load the light tunnel of the Causal Chambers; download it if necessary.

    Measured data: a sensor behind two polarizers, lit by three LEDs. Malus' law explains most of
    its reading, but not all.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        Folder that holds data sets. ``None`` means the environment variable ``SKHYBRID_DATA``, or
        the user's cache folder if the variable is not set. If it holds
        ``light_tunnel/<experiment>.csv`` or ``lt_interventions_standard_v1/<experiment>.csv``,
        skhybrid reads that file and downloads nothing.
    subset : {"reference", "polarizer_shift", "red_shift"}, default="reference"
        Which rows: the 10,000 reference rows for training, or 1,000 rows outside their range to
        test extrapolation, with polarizer 1 turned to 66..104 degrees or the red LED driven at
        171..255.
    target : {"ir_3", "vis_3"}, default="ir_3"
        Which reading of the third sensor to predict: infrared or visible light. The infrared
        reading has more counts.
    as_frame : bool, default=True
        Whether to return pandas objects instead of arrays. The physics then finds its inputs by
        name.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    download_if_missing : bool, default=True
        Whether to download missing files. Otherwise a missing file is an error.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : DataFrame of shape (n_samples, 7)
            Columns red, green, blue (LED drive), pol_1, pol_2 (degrees), l_31, l_32 (LED drive);
            float64, as measured.
        target : Series of shape (n_samples,)
            Sensor reading, in counts.
        frame : DataFrame of shape (n_samples, 8) or None
            Data and target if ``as_frame`` is true.
        feature_names : list of str
            Names of the columns of ``data``.
        target_name : str
            The argument ``target``.
        physics : callable
            :func:`malus`.
        physics_params_published : dict
            ``{"gain": array of shape (3,)}`` from the published simulator of ``ir_3``. It is known
            only up to a common factor: compare directions, not lengths. Empty for ``vis_3``, for
            which no simulator is published.
        licence, citation : str
            Terms of use, and publication to cite.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    DataNotAvailableError
        If the file is missing and cannot be downloaded, the download is not the published
        archive, or a file is incomplete. It is an OSError.
    sklearn.utils._param_validation.InvalidParameterError
        If an argument has a wrong type or value. It is both a ValueError and a TypeError.

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
    archive = ARCHIVES[_ARCHIVE]
    path = fetch_from_archive(
        archive,
        f"{_ARCHIVE}/{experiment}.csv",
        folder=_FOLDER,
        data_home=data_home,
        also=[f"{_ARCHIVE}/{other}.csv" for other, _ in _EXPERIMENTS.values()],
        download_if_missing=download_if_missing,
    )
    remedy = f"Delete it, or get it again from {archive.url}."
    table = read_csv(path, (*FEATURE_NAMES, target), remedy=remedy)
    check_row_count(table, n_rows, path, remedy=remedy)
    return build_table_bunch(
        table[:, :-1],
        table[:, -1],
        feature_names=FEATURE_NAMES,
        target_name=target,
        as_frame=as_frame,
        return_X_y=return_X_y,
        physics=malus,
        physics_params_published={"gain": np.array(_PUBLISHED_GAIN)} if target == "ir_3" else {},
        licence=LICENCE,
        citation=CITATION,
        DESCR=_DESCR,
    )
