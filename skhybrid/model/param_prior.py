"""The prior of a physics parameter: its two forms, and what makes one wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from skhybrid.exceptions import PhysicsError

LOGNORMAL = "lognormal"
FORMS = f"(mean, std), or ({LOGNORMAL!r}, median, factor) for a positive parameter"


def moments_of(prior: tuple, shape: tuple[int, ...]) -> tuple[str, np.ndarray, np.ndarray]:
    """Return "normal" or "lognormal", and mean and standard deviation; of the logarithm if so.

    Parameters
    ----------
    prior : tuple
    shape : tuple of int
        Shape of the parameter, to which the numbers broadcast.
    """
    is_log = len(prior) == 3
    numbers = [_numbers(each) for each in prior[-2:]]
    centre, spread = (np.broadcast_to(np.log(n) if is_log else n, shape) for n in numbers)
    return LOGNORMAL if is_log else "normal", centre, spread


def require_prior(
    prior: Any, name: str, value: np.ndarray, limits: tuple[np.ndarray, np.ndarray]
) -> None:
    """Raise a PhysicsError that names the parameter if its prior is wrong.

    Parameters
    ----------
    prior : object
        What the user gave.
    name : str
    value : array
        Initial value of the parameter.
    limits : tuple of two arrays
        Its bounds, infinite where open.
    """
    shape = value.shape
    given = f"The prior of physics parameter {name!r}"
    if not isinstance(prior, (tuple, list)) or len(prior) not in (2, 3):
        raise PhysicsError(f"{given} must be {FORMS}; got {prior!r}.")
    if len(prior) == 3 and not (isinstance(prior[0], str) and prior[0] == LOGNORMAL):
        raise PhysicsError(f"{given} must be {FORMS}; got {prior!r}.")
    try:
        numbers = [_numbers(each) for each in prior[-2:]]
        centre, spread = (np.broadcast_to(each, shape) for each in numbers)
    except (TypeError, ValueError, OverflowError) as error:
        raise PhysicsError(
            f"{given} must be {FORMS}, of numbers or of arrays that broadcast to its shape "
            f"{shape}; got {prior!r}."
        ) from error
    low, high = limits
    if len(prior) == 3:
        if not (np.isfinite(centre).all() and (centre > 0).all()):
            raise PhysicsError(f"{given} needs a finite median above zero; got {prior[1]!r}.")
        if not (np.isfinite(spread).all() and (spread > 1).all()):
            raise PhysicsError(
                f"{given} needs a finite factor above one, such as 1.5 for about 50 %; got "
                f"{prior[2]!r}."
            )
        if np.any(low < 0) or np.any(value <= 0):
            raise PhysicsError(
                f"{given} is log-normal, so the parameter must be positive: give it an initial "
                "value above zero and bounds=(0, None), or a lower bound above zero."
            )
        centre_name = "median"
    else:
        if not np.isfinite(centre).all():
            raise PhysicsError(f"{given} needs a finite mean; got {prior[0]!r}.")
        if not (np.isfinite(spread).all() and (spread > 0).all()):
            raise PhysicsError(
                f"{given} needs a finite standard deviation above zero; got {prior[1]!r}. For a "
                "value that is known, set fixed=True; for one that is not, leave the prior out."
            )
        centre_name = "mean"
    if np.any(centre < low) or np.any(centre > high):
        raise PhysicsError(
            f"The {centre_name} {prior[-2]!r} of the prior of physics parameter {name!r} is "
            f"outside its bounds, {_side(low)} to {_side(high)}. Correct the prior or the bounds."
        )


def _side(numbers: np.ndarray) -> str:
    """Return one side of the bounds as text."""
    return np.array2string(numbers, precision=6, threshold=6)


def prior_text(prior: tuple | None, index: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """Return the prior of one element as text, empty if there is none."""
    if prior is None:
        return ""
    kind, centre, spread = moments_of(prior, shape)
    if kind == LOGNORMAL:
        return f"{np.exp(centre[index]):.4g} ×/÷ {np.exp(spread[index]):.4g}"
    return f"{centre[index]:.4g} ± {spread[index]:.4g}"


def _numbers(value: Any) -> np.ndarray:
    """Return an array of float64; texts are no numbers, although NumPy would convert them."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if np.asarray(value).dtype.kind in "SUb":
        raise TypeError("not a number")
    return np.array(value, dtype=np.float64)
