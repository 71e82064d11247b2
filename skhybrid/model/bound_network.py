"""A network with its weights, as a function of what a model gives it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from skhybrid.model.user_code import named_network


class BoundNetwork:
    """The network as a function of rows of a table, or of time, state and inputs.

    Parameters
    ----------
    function : callable or None
        From standardised inputs to outputs; None answers zero.
    inputs : callable
        From the model's arguments and extra inputs to standardised inputs.
    checked : callable
        From an output and the model's arguments to the output in the right shape.
    unit : Tensor
        Unit of the outputs.
    silent : callable
        The network that answers zero.
    held : callable or None
        Clamps standardised inputs to the training range.
    record : list or None
        Gets the standardised inputs of every call.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor] | None,
        inputs: Callable[..., Tensor],
        checked: Callable[..., Tensor],
        unit: Tensor,
        silent: Callable[..., Tensor],
        *,
        held: Callable[[Tensor], Tensor] | None = None,
        record: list[Tensor] | None = None,
    ) -> None:
        self._function = function
        self._named = None if function is None else named_network(function)
        self._inputs = inputs
        self._checked = checked
        self._unit = unit
        self._silent = silent
        self._held = held
        self._record = record

    def __call__(self, *given: Tensor | None, scale: float | Tensor | None = None) -> Tensor:
        """Return the output, in the network's unit or in that of ``scale``."""
        seen = self._seen(*given)
        if self._named is None:
            return self._silent(*given)
        output = self._checked(self._named(seen), *given)
        return output * (self._unit if scale is None else scale)

    def answers(self, *given: Tensor | None) -> dict[str, Tensor]:
        """Return the answers for varying parameters, of shape (*shape, n, ...)."""
        seen = self._seen(*given)
        return {} if self._function is None else self._function.answers(seen)

    def _seen(self, *given: Tensor | None) -> Tensor:
        """Return the standardised inputs."""
        seen = self._inputs(*given)
        if self._record is not None:
            self._record.append(seen.detach())  # stiff solvers take gradients for their Jacobians
        return seen if self._held is None else self._held(seen)
