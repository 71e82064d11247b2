"""Check the shapes of what users' physics, networks and joins return for a right-hand side."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from skhybrid.exceptions import NetworkError, PhysicsError
from skhybrid.model.user_code import require_dense


def wrong_rates(
    output: Tensor, state: Tensor, error: type[Exception], who: str, varying: Sequence[str]
) -> Exception:
    """Return the error for an output that is not the rate of change of every state.

    Parameters
    ----------
    output, state : Tensor
    error : type of Exception
        A PhysicsError adds what may have gone wrong.
    who : str
        What has returned the output, for the message.
    varying : sequence of str
        Parameters with a value for each row.
    """
    hint = _hint(output, state, varying) if error is PhysicsError else ""
    return error(
        f"{who} must return the rate of change of every state, of shape {tuple(state.shape)}; "
        f"it returned {tuple(output.shape)}.{hint}"
    )


def _hint(output: Tensor, state: Tensor, varying: Sequence[str]) -> str:
    """Return what the author of a physics may have overlooked."""
    if varying and output.shape[:2] == 2 * state.shape[:1]:
        return (
            f" {varying[0]!r} has a value for each row, of shape ({len(state)},): multiply it by "
            "components of the state, such as state[:, 0], and stack the rates, or write "
            f"{varying[0]}[..., None] beside state[:, :1]."
        )
    if output.shape == state.shape[:1]:
        return (
            f" The time has shape ({len(state)},) and is the first argument; the state is the "
            "second one."
        )
    if output.shape == (len(state), len(state)):
        return " A column [:, 0] has shape (n,); write [:, :1] for one of shape (n, 1)."
    return ""


def require_corrections(output: Tensor, expected: tuple[int, ...]) -> None:
    """Raise a NetworkError if the output is not a correction of each output.

    The check comes before the multiplication by the unit, which may broadcast the output.
    """
    require_dense(output, NetworkError, "nn", many="The corrections of several outputs")
    if output.shape != expected:
        raise NetworkError(
            f"nn must return shape {expected}, a correction of each output; it returned "
            f"{tuple(output.shape)}."
        )


def require_corrected_rates(output: Tensor, state: Tensor, numbers: Sequence[int]) -> None:
    """Raise a NetworkError if the output is not a rate of each state with one of these numbers."""
    require_dense(output, NetworkError, "nn", many="The rates of several states")
    expected = (len(state), len(numbers), *state.shape[2:])
    if output.shape != expected:
        raise NetworkError(
            f"nn must return shape {expected}, the rate of each state in corrects (numbers "
            f"{', '.join(map(str, numbers))}); it returned {tuple(output.shape)}."
        )
