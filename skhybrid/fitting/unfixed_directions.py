"""Directions in θ that the data do not fix, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skhybrid.fitting.parameter_warnings import listed
from skhybrid.fitting.standard_errors import UnfixedDirection

# An element with a smaller part in a direction does not count.
NO_PART = 1e-3


def unfixed_elements(null: np.ndarray) -> np.ndarray:
    """Return which elements take part in directions without effect.

    Parameters
    ----------
    null : array of shape (n_elements, n_directions)
        Orthonormal directions, each element in units of its own effect.
    """
    return np.linalg.norm(null, axis=1) > NO_PART


def find_unfixed(
    null: np.ndarray, effects: np.ndarray, names: Sequence[str], values: np.ndarray
) -> tuple[UnfixedDirection, ...]:
    """Return the groups of elements that the data fix only together.

    Parameters
    ----------
    null : array of shape (n_elements, n_directions)
        Orthonormal directions without effect on the prediction, each element in units of its own
        effect.
    effects : array of shape (n_elements,)
        Effect of one unit of each element.
    names : sequence of str
    values : array of shape (n_elements,)
        The elements, in the user's units.
    """
    projection = null @ null.T  # the same for every basis of these directions
    left = [int(i) for i in np.flatnonzero(unfixed_elements(null))]
    found = []
    while left:
        group = _connected(projection, left)
        left = [i for i in left if i not in group]
        own = [names[i] for i in group]
        sizes, directions = np.linalg.eigh(projection[np.ix_(group, group)])
        n_directions = int(np.sum(sizes > 0.5))
        change = None
        if n_directions == 1:
            change = directions[:, -1] / np.where(effects[group] > 0.0, effects[group], 1.0)
            change = change * (np.sign(change[0]) or 1.0)
        sentence = _sentence(own, values[group], change, n_directions, bool(effects[group[0]]))
        found.append(UnfixedDirection(tuple(own), change, sentence))
    return tuple(found)


def _connected(projection: np.ndarray, left: list[int]) -> list[int]:
    """Return the elements that move together with the first of those left."""
    group = [left[0]]
    for i in group:  # the list grows
        group += [j for j in left if j not in group and abs(projection[i, j]) > NO_PART**2]
    return sorted(group)


def _sentence(
    names: list[str],
    values: np.ndarray,
    change: np.ndarray | None,
    n_directions: int,
    has_effect: bool,
) -> str:
    """Return what the data do not fix."""
    if len(names) == 1:
        if has_effect:
            return f"The data do not fix {names[0]}: first states make up for its effect."
        return f"The data do not fix {names[0]}: it does not change the prediction."
    fixed = len(names) - n_directions
    if change is None or len(names) > 4:
        only = "no combination" if not fixed else f"only {fixed} combination{'s' * (fixed > 1)}"
        return f"The data fix {only} of {listed(names)}, not the single values."
    if (values != 0.0).all():
        relative = change / np.abs(values)
        relative = relative / np.abs(relative).max()
        steps = [f"{each:+.2g} %" for each in relative]
    else:
        steps = [f"{each:+.2g}" for each in change / np.abs(change).max()]
    moves = listed([f"{name} by {step}" for name, step in zip(names, steps, strict=True)])
    return (
        f"The data fix {listed(names)} only together: changing {moves} leaves the prediction as "
        "it is."
    )
