"""Check parameters of an ODE that list columns or outputs."""

from __future__ import annotations

from numbers import Integral
from types import NoneType
from typing import Any

import numpy as np


def check_initial_state(initial_state: Any, inputs: str | None) -> None:
    """Raise a ValueError for a list of columns that cannot hold initial states."""
    if isinstance(initial_state, str):
        return
    if inputs is None:
        raise ValueError(
            f"initial_state={initial_state!r} names columns of X for records over time, "
            "but with inputs=None X itself holds the initial states. Set inputs='hold' or "
            "'linear', or initial_state='auto'."
        )
    wrong = [
        each
        for each in initial_state
        if isinstance(each, (bool, np.bool_)) or not isinstance(each, (str, Integral, NoneType))
    ]
    if wrong:
        raise ValueError(
            f"initial_state has {wrong[0]!r}; it must hold, for each state, the name or number "
            "of a column of X, or None for an unknown initial value."
        )
    if all(each is None for each in initial_state):
        raise ValueError(
            f"initial_state={initial_state!r} has no column: for unknown initial states "
            "set initial_state='learned'."
        )


def check_corrected(corrected: Any) -> None:
    """Raise a ValueError if ``corrected`` does not hold different numbers of outputs."""
    if corrected is None:
        return
    chosen = list(corrected)
    remedy = "Give the numbers of the outputs that nn corrects, such as [0], or None for all."
    if not chosen:
        raise ValueError(f"corrected is empty: nn would correct no output. {remedy}")
    wrong = [
        each
        for each in chosen
        if isinstance(each, (bool, np.bool_)) or not isinstance(each, Integral)
    ]
    if wrong:
        raise ValueError(f"corrected has {wrong[0]!r}, which is no integer. {remedy}")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"corrected={chosen} has an output twice. {remedy}")
