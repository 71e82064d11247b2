"""What a fit finds around it and leaves as it was: threads, the device, noted features."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from sklearn.utils._param_validation import InvalidParameterError


def usable_device(name: str | torch.device, estimator: str) -> torch.device:
    """Return a device of torch, or raise an error that says why it cannot be used.

    Parameters
    ----------
    name : str or torch.device
    estimator : str
        Name of the class whose parameter it is, for the message.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InvalidParameterError(
            f"The 'device' parameter of {estimator} must be a torch device such as "
            f"'cpu' or 'cuda'. Got {name!r} instead."
        ) from error
    try:
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={name!r} cannot be used on this computer: {reason}. Choose device='cpu'."
        ) from error
    return device


@contextlib.contextmanager
def features_restored_on_failure(estimator: Any) -> Iterator[None]:
    """Undo what validation notes about the features if what follows fails."""
    names = ("n_features_in_", "feature_names_in_")
    before = {name: vars(estimator)[name] for name in names if hasattr(estimator, name)}
    try:
        yield
    except BaseException:
        for name in names:
            vars(estimator).pop(name, None)
        vars(estimator).update(before)
        raise


@contextlib.contextmanager
def threads(n_threads: int | None) -> Iterator[None]:
    """Use so many torch threads here (None: one), and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
