"""Notice that the stages of a rollout cannot be evaluated together."""

from __future__ import annotations

import torch
from torch import Tensor


class StagesDiffer(RuntimeError):
    """The right-hand side cannot be evaluated for all stages of a rollout together."""


def require_same_rates(found: Tensor, expected: Tensor) -> None:
    """Raise a StagesDiffer if rates are not the expected ones up to rounding.

    Their unit is the largest finite rate of the member. Rows that depend on each other, a state
    that physics keeps between calls, and random numbers give other rates.

    Parameters
    ----------
    found, expected : Tensor of shape (n_members, n, n_states)
    """
    tolerance = torch.finfo(expected.dtype).eps ** 0.5
    unit = expected.abs().amax(dim=1, keepdim=True)
    gap = (found - expected).abs().amax(dim=1, keepdim=True)
    if bool(((gap <= tolerance * unit) & unit.isfinite()).all()):  # usual, and few operations
        return
    unit = expected.nan_to_num(0.0, 0.0, 0.0).abs().amax(dim=1, keepdim=True)
    close = (found - expected).abs() <= tolerance * unit
    if not bool((close | torch.isclose(found, expected, 0.0, 0.0, equal_nan=True)).all()):
        raise StagesDiffer("The right-hand side of all stages together gives other rates.")
