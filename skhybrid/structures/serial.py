"""Serial structure: the network reads the physics' output and corrects it."""

from __future__ import annotations

from torch import Tensor


def serial(x: Tensor, physics, nn) -> Tensor:
    """Return f_S(x; θ) + σ_y f_N(x, f_S(x; θ)).

    The physics' output passes through beside the network, so that a network that does nothing
    leaves the physics as it is and "flat" keeps its meaning for θ. For a network that answers
    alone, pass ``structure=lambda x, physics, nn: nn(x, physics(x))``.
    """
    known = physics(x)
    return known + nn(x, known)
