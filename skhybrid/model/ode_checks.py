"""Check the parameters of an ODE: each alone, and those that belong together."""

from __future__ import annotations

import sys
from collections.abc import Callable
from numbers import Integral
from types import NoneType
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import validate_parameter_constraints

from skhybrid.model.solvers import ADAPTIVE, IMPLICIT

MAX_FLOAT = sys.float_info.max


def check_ode(ode: BaseEstimator) -> None:
    """Raise a ValueError that names the first wrong parameter of an ODE."""
    validate_parameter_constraints(
        ode._parameter_constraints, ode.get_params(deep=False), type(ode).__name__
    )
    for name in ("dt", "continuity", "rtol", "atol"):
        value = getattr(ode, name, None)
        if value is not None and not abs(value) < MAX_FLOAT:
            raise ValueError(
                f"{name} of {type(ode).__name__} is not finite, or too large for a "
                f"floating-point number: it must be below {MAX_FLOAT:.1e}."
            )
    check_times(ode.dt, ode.times, ode.inputs)
    hidden = "observe" if ode.observe is not None else "n_free_states"
    check_windows(ode.window, ode.initial_state, hidden if ode.has_hidden_states else None)
    check_initial_state(ode.initial_state, ode.inputs)
    if ode.corrected is not None and ode.correct != "output":
        raise ValueError(
            f"corrected={ode.corrected!r} chooses outputs and is for correct='output'. For "
            "rates, give corrects: names or numbers of states."
        )
    check_corrected(ode.corrected)
    check_corrects(ode.corrects, ode.correct, ode.join)
    check_free_states(ode.n_free_states, ode.correct, ode.join, ode.initial_state)
    if ode.adjoint and ode.method not in (*ADAPTIVE, *IMPLICIT):
        raise ValueError(
            f"adjoint=True is for torchdiffeq's methods; method={ode.method!r} takes fixed "
            f"steps. Choose one of {', '.join((*ADAPTIVE, *IMPLICIT))}, or adjoint=False."
        )


def check_times(dt: float | None, times: Any, inputs: str | None) -> None:
    """Raise a ValueError if it is not known when the observations were made."""
    if (dt is None) == (times is None):
        given = "neither" if dt is None else "both"
        raise ValueError(f"ODE needs dt or times, one of them; it was given {given}.")
    if not isinstance(times, (str, Integral, type(None))) and len(times) == 0:
        raise ValueError(
            "times of ODE is empty. Give the time of each observation, or dt in place of times."
        )
    if isinstance(times, (str, Integral)) and inputs is None:
        raise ValueError(
            f"ODE: times={times!r} names a column of X for records over time, but with "
            "inputs=None X holds initial states: give the times themselves, or set "
            "inputs='hold' or 'linear'."
        )


def check_windows(window: Any, initial_state: Any, hidden: str | None) -> None:
    """Raise a ValueError for a list of windows that are no numbers, or that cannot be combined.

    Parameters
    ----------
    window : int, list, tuple, str or None
    initial_state : str, list or tuple
    hidden : str or None
        The option with which states are not observed, so that first states of windows are learned.
    """
    if not isinstance(window, (list, tuple)):
        return
    if not (window and all(isinstance(each, Integral) and each > 0 for each in window)):
        raise ValueError(
            "The 'window' of ODE must be a positive number of steps, several of them, 'auto' "
            f"or None; got {window!r}."
        )
    if initial_state == "learned" or hidden:
        reason = f"{hidden} (states are learned)" if hidden else "initial_state='learned'"
        raise ValueError(
            f"window={window!r} trains with several windows, whose first states differ; "
            f"with {reason} choose one."
        )


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


def check_corrects(corrects: Any, correct: str, join: str | Callable) -> None:
    """Raise a ValueError if ``corrects`` holds no names or numbers, or if nothing reads it.

    Parameters
    ----------
    corrects : sequence of str or int, or None
    correct : {"rate", "output"}
    join : str or callable
    """
    if corrects is None:
        return
    if isinstance(corrects, str):
        raise ValueError(f"corrects is a text; give a list of names: corrects=[{corrects!r}].")
    if correct != "rate":
        raise ValueError(
            f"corrects={corrects!r} chooses rates, and with correct={correct!r} the network adds "
            "to the outputs. Choose outputs by their numbers with corrected=[...]."
        )
    if callable(join):
        raise ValueError(
            f"corrects={corrects!r} and a function as join both say what the network may change. "
            "Choose the rates in the function, or use join='add' or 'multiply'."
        )
    if join == "none":
        raise ValueError(
            f"corrects={corrects!r} chooses rates that the network changes, and with join='none' "
            "it changes none. Set join='add' or 'multiply', or leave corrects out."
        )
    chosen = list(corrects)
    remedy = "Give names or numbers of states, such as ['velocity'] or [1], or None for all."
    if not chosen:
        raise ValueError(
            f"corrects is empty: nn would change no rate. {remedy} For the physics alone, set "
            "nn=None."
        )
    wrong = [
        each
        for each in chosen
        if isinstance(each, (bool, np.bool_)) or not isinstance(each, (str, Integral))
    ]
    if wrong:
        raise ValueError(f"corrects has {wrong[0]!r}, which is no name and no integer. {remedy}")


def check_free_states(
    n_free_states: int, correct: str, join: str | Callable, initial_state: Any
) -> None:
    """Raise a ValueError if free states would not change, or begin at unknown values."""
    if n_free_states == 0:
        return
    if isinstance(initial_state, str) and initial_state == "given":
        raise ValueError(
            f"n_free_states={n_free_states} adds states that are not observed, so that the first "
            "states of windows are learned. Leave initial_state='given' out."
        )
    for option, value in (("correct", correct), ("join", join)):
        if value in ("output", "none"):
            raise ValueError(
                f"n_free_states={n_free_states} needs a network that gives rates, and with "
                f"{option}={value!r} it gives none. Leave one of them out."
            )
