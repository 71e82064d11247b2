"""What a fit finds around it and leaves as it was: threads, the device, noted features."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from sklearn.utils._param_validation import InvalidParameterError


def usable_device(name: str | torch.device, estimator: str) -> torch.device:
    """Return a device of torch, or raise an error that says why it cannot be used.

    Parameters
    ----------
    name : str or torch.device
        "auto" is a graphics processor if torch can use one, otherwise the main processor.
    estimator : str
        Name of the class whose parameter it is, for the message.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InvalidParameterError(
            f"The 'device' parameter of {estimator} must be 'auto' or a torch device such as "
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


NOTED_FEATURES = ("n_features_in_", "feature_names_in_")


def noted_features(estimator: Any) -> dict[str, Any]:
    """Return what validation noted about the features."""
    return {name: vars(estimator)[name] for name in NOTED_FEATURES if name in vars(estimator)}


@contextlib.contextmanager
def features_restored_on_failure(estimator: Any) -> Iterator[None]:
    """Undo what validation notes about the features if what follows fails."""
    before = noted_features(estimator)
    try:
        yield
    except BaseException:
        for name in NOTED_FEATURES:
            vars(estimator).pop(name, None)
        vars(estimator).update(before)
        raise


class _Shared:
    """What is set for the whole process while it is needed by anybody."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_users = 0
        self.before: Any = None


_threads = _Shared()
_here = threading.local()


@contextlib.contextmanager
def threads(n_threads: int | None) -> Iterator[None]:
    """Use so many torch threads here (None: one), and as many as before afterwards.

    Torch has a number for every thread of Python, and a new one begins with the number that was set
    last, wherever that was. Of fits that run at the same time in threads of their own, as under
    joblib's threading backend, all therefore put back what the first of them found.
    """
    with _threads.lock:
        if _threads.n_users == 0:
            _threads.before = torch.get_num_threads()
        _threads.n_users += 1
        inside = getattr(_here, "inside", False)
        before = torch.get_num_threads() if inside else _threads.before
        _here.inside = True
        torch.set_num_threads(n_threads or 1)
    try:
        yield
    finally:
        with _threads.lock:
            _threads.n_users -= 1
            _here.inside = inside
            torch.set_num_threads(before)


@contextlib.contextmanager
def warnings_caught() -> Iterator[list[warnings.WarningMessage]]:
    """Catch warnings, to be given once and where the search is, or not at all.

    Threads other than the main one let them pass: what is done with warnings is set for the whole
    process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield caught
