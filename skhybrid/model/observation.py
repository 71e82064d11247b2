"""Observe states: call ``observe`` and check its outputs."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from skhybrid.exceptions import PhysicsError
from skhybrid.model.ode import ODE
from skhybrid.model.user_code import named, require_dense


def observe_states(
    ode: ODE,
    states: Tensor,
    inputs: Tensor | None,
    values: Mapping[str, Tensor],
    output_shape: tuple[int, ...],
) -> Tensor:
    """Return the outputs of a batch of states.

    Parameters
    ----------
    ode : ODE
    states : Tensor of shape (n, *state_shape)
    inputs : Tensor of shape (n, n_inputs) or None
    values : mapping of str to Tensor
        Physics parameters.
    output_shape : tuple of int
        Shape of one output.

    Returns
    -------
    Tensor of shape (n, *output_shape)

    Raises
    ------
    PhysicsError
        If ``observe`` fails, or its outputs have a wrong type or shape.
    """
    if ode.observe is None:
        return states
    arguments = [states, inputs][: ode.n_observe_inputs()]
    observe = named("observe", ode.observe)
    outputs = observe(*arguments, **{name: values[name] for name in ode.observe_parameters()})
    require_dense(outputs, PhysicsError, "observe")
    if outputs.shape == states.shape[:1]:
        outputs = outputs[:, None]
    if outputs.shape != (states.shape[0], *output_shape):
        raise PhysicsError(
            f"observe returned shape {tuple(outputs.shape)} for states of shape "
            f"{tuple(states.shape)}; y has outputs of shape {tuple(output_shape)}, so it must "
            f"return shape {(len(states), *output_shape)}."
        )
    return outputs
