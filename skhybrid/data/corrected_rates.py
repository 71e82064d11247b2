"""Find the states whose rates the network changes."""

from __future__ import annotations

from collections.abc import Sequence

from skhybrid.model.ode import ODE
from skhybrid.model.physics import Physics
from skhybrid.runtime.suggestions import suggestion


def find_corrected_rates(
    ode: ODE, physics: Physics | None, names: Sequence[str]
) -> tuple[int, ...] | None:
    """Return the numbers of the states in ``ODE(corrects=[...])``, in increasing order.

    Parameters
    ----------
    ode : ODE
    physics : Physics or None
    names : sequence of str
        Names of the states of the physics.

    Returns
    -------
    numbers : tuple of int, or None
        Free states, which the network alone changes, are among them. None is all states.

    Raises
    ------
    ValueError
        If a state does not exist or is there twice, or if no physics gives the other rates.
    """
    if ode.corrects is None:
        return None
    numbers = [_number(each, names) for each in ode.corrects]
    twice = [names[each] for each in numbers if numbers.count(each) > 1]
    if twice:
        raise ValueError(f"corrects={list(ode.corrects)} has the state {twice[0]!r} twice.")
    if len(numbers) == len(names):
        return None
    if physics is None:
        raise ValueError(
            f"corrects={list(ode.corrects)} leaves the other rates to the physics, and "
            "physics=None: these states would not change. Set corrects=None for a network alone."
        )
    return (*sorted(numbers), *range(len(names), len(names) + ode.n_free_states))


def _number(state: str | int, names: Sequence[str]) -> int:
    """Return the number of a state."""
    if isinstance(state, str):
        if state not in names:
            raise ValueError(
                f"corrects names {state!r}, which is no state{suggestion(state, names)} States: "
                f"{', '.join(names)}."
            )
        if list(names).count(state) > 1:
            raise ValueError(f"corrects names {state!r}, but several states have this name.")
        return list(names).index(state)
    if not 0 <= state < len(names):
        raise ValueError(
            f"corrects has state {state}; there are {len(names)} states, 0 to {len(names) - 1}."
        )
    return int(state)
