"""Values of parameters for groups, as tables for users."""

from __future__ import annotations

from typing import Any

import numpy as np

from skhybrid.fitting.fitted import Fitted
from skhybrid.fitting.parameter_warnings import element_name
from skhybrid.runtime.frames import import_pandas


def group_tables(fitted: Fitted) -> dict[str, Any]:
    """Return the values of all groups by parameter: a Series or, of an array, a DataFrame.

    Parameters
    ----------
    fitted : Fitted

    Raises
    ------
    AttributeError
        If no parameter has values for groups.
    """
    if not fitted.groups:
        raise AttributeError(
            "There is no group_params_: no parameter has a value for each group. Name the column "
            "of the groups, as in Param(1.0, per='subject')."
        )
    pandas, tables = import_pandas(), {}
    params = fitted.hybrid.physics.params
    for name, (labels, values) in fitted.groups.items():
        index = pandas.Index(labels, name=str(params[name].per))
        if values.ndim == 1:
            tables[name] = pandas.Series(values, index=index, name=name)
            continue
        shape = values.shape[1:]
        columns = [element_name(name, each) for each in np.ndindex(shape)]
        tables[name] = pandas.DataFrame(values.reshape(len(labels), -1), index, columns)
    return tables
