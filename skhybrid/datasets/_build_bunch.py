"""Build what a data set returns: arrays, pandas objects and the Bunch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import Bunch


def build_bunch(data: Any, target: Any, *, return_X_y: bool, **keys: Any) -> Bunch | tuple:
    """Return ``(data, target)`` if ``return_X_y`` is true, else a Bunch with all keys."""
    return (data, target) if return_X_y else Bunch(data=data, target=target, **keys)


def build_table_bunch(
    data: np.ndarray,
    target: np.ndarray,
    *,
    feature_names: Sequence[str],
    target_name: str,
    as_frame: bool,
    return_X_y: bool,
    noise_free: np.ndarray | None = None,
    **keys: Any,
) -> Bunch | tuple:
    """Build a data set of rows with one target, in the layout of scikit-learn.

    Parameters
    ----------
    data : ndarray of shape (n_samples, n_features)
        The features, one column for each of ``feature_names``.
    target : ndarray of shape (n_samples,)
        The measured or simulated target.
    feature_names : sequence of str
        Names of the columns of ``data``.
    target_name : str
        Name of the target.
    as_frame : bool
        Whether ``data`` becomes a DataFrame, and ``target`` and ``noise_free`` become Series.
    return_X_y : bool
        Whether to return only ``(data, target)``.
    noise_free : ndarray of shape (n_samples,) or None, default=None
        The target without noise. With ``None`` the Bunch has no such key.
    **keys : object
        Further keys of the Bunch.

    Returns
    -------
    Bunch or tuple
        The data set. ``frame`` is None unless ``as_frame`` is true.

    Raises
    ------
    ImportError
        If ``as_frame`` is true and pandas is not installed.
    """
    frame = None
    if as_frame:
        pandas = import_pandas()
        data = pandas.DataFrame(data, columns=list(feature_names))
        target = pandas.Series(target, name=target_name)
        frame = data.assign(**{target_name: target})
        if noise_free is not None:
            noise_free = pandas.Series(noise_free, name=target_name)
    if noise_free is not None:
        keys["noise_free"] = noise_free
    return build_bunch(
        data,
        target,
        return_X_y=return_X_y,
        frame=frame,
        feature_names=list(feature_names),
        target_name=target_name,
        **keys,
    )


def import_pandas():
    """Return the pandas module; say what to do if it is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "as_frame=True needs pandas, which is not installed. Install pandas, or pass "
            "as_frame=False."
        ) from error
    return pandas
