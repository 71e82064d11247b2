"""Small long tables, for tests of what reads them."""

from __future__ import annotations

import pandas as pd


def make_table(**columns) -> pd.DataFrame:
    """Return two runs of three rows each, mixed, with other columns in place or added."""
    return pd.DataFrame(
        {
            "run": list("bababa"),
            "time": [0.0, 0.0, 2.0, 1.0, 3.0, 4.0],
            "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "u": 1.0,
            **columns,
        }
    )


def make_events(**columns) -> pd.DataFrame:
    """Return the switching on and off of a pump in run a, and one event in run b."""
    events = {"run": ["a", "a", "b"], "time": [1.5, 0.5, 2.0], "pump": [0.0, 3.0, 2.0]}
    return pd.DataFrame({**events, **columns})
