"""Whether a recorded step does what the step does, also for other rows and parameters.

torch records operations of tensors. What physics computes in numpy or with Python numbers would
stay at the values of the first minibatch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from skhybrid.exceptions import TrainingError

LEAVING = (torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.__array__)


class StaysInTorch(TorchFunctionMode):
    """Raises an error where a tensor becomes an array or a list."""

    def __torch_function__(self, function, types, given=(), options=None):
        if function in LEAVING:
            raise TrainingError(
                f"The model calls {function.__name__} of a tensor. A recorded step would keep the "
                "values of the first minibatch. Compute with torch alone."
            )
        return function(*given, **(options or {}))


def other_rows(n_rows: int, device: torch.device) -> Tensor:
    """Return rows in another order, of which half are left out."""
    return torch.arange(n_rows, device=device).flip(0) // 2


def require_same(
    record: Callable[..., tuple], step: Callable[..., tuple], tensors: Sequence[Tensor]
) -> None:
    """Raise an error if a record and its step differ.

    Parameters
    ----------
    record, step : callable
        Map tensors to results, and change some of the tensors in place.
    tensors : sequence of Tensor
        Arguments other than those of the recording. They stay as they are.

    Raises
    ------
    TrainingError
    """
    found, expected = ([each.clone() for each in tensors] for _ in range(2))
    found = [*record(*found), *found]
    expected = [*step(*expected), *expected]
    if not all(map(_close, found, expected)):
        raise TrainingError(
            "A recorded step gives other results than the step itself. The model may use random "
            "numbers, numpy, or values that it keeps between calls."
        )


def _close(one: Tensor, other: Tensor) -> bool:
    """Whether two results are the same up to rounding."""
    if not other.is_floating_point():
        return torch.equal(one, other)
    size = other.abs().nan_to_num(posinf=0.0).max() if other.numel() else 0.0
    tolerance = torch.finfo(other.dtype).eps ** 0.5 * float(size)
    return torch.allclose(one, other, rtol=0.0, atol=tolerance, equal_nan=True)
