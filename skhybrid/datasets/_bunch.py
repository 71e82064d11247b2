"""What every data set of skhybrid returns: one layout, as arrays or as pandas objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch


def as_bunch(
    data: np.ndarray,
    target: np.ndarray,
    *,
    feature_names: tuple[str, ...],
    target_name: str,
    as_frame: bool,
    return_X_y: bool,
    noise_free: np.ndarray | None = None,
    **extra: Any,
) -> Bunch | tuple:
    """Lay out a data set the way scikit-learn does.

    Parameters
    ----------
    data : ndarray of shape (n_samples, n_features)
        The features, one column for each of ``feature_names``.
    target : ndarray of shape (n_samples,)
        The measured or simulated answer.
    feature_names : tuple of str
        Names of the columns of ``data``.
    target_name : str
        Name of the target.
    as_frame : bool
        Whether ``data`` becomes a DataFrame, and ``target`` and ``noise_free`` become Series.
    return_X_y : bool
        Whether to return only ``(data, target)``.
    noise_free : ndarray of shape (n_samples,) or None, default=None
        The target without its noise; ``None`` where nobody knows it, and then the Bunch has no
        such key.
    **extra : object
        Further keys of the Bunch.

    Returns
    -------
    Bunch or tuple
        The data set; ``frame`` is None unless ``as_frame`` is true.

    Raises
    ------
    ImportError
        If ``as_frame`` is true and pandas is not installed.
    """
    frame = None
    if as_frame:
        try:
            import pandas
        except ImportError as error:
            raise ImportError(
                "as_frame=True needs pandas, which is not installed. Install it, or pass "
                "as_frame=False to get arrays."
            ) from error
        data = pandas.DataFrame(data, columns=list(feature_names))
        target = pandas.Series(target, name=target_name)
        frame = data.assign(**{target_name: target})
        if noise_free is not None:
            noise_free = pandas.Series(noise_free, name=target_name)
    if return_X_y:
        return data, target
    if noise_free is not None:
        extra["noise_free"] = noise_free
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=list(feature_names),
        target_name=target_name,
        **extra,
    )
