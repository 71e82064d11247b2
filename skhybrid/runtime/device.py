"""The device to compute on."""

from __future__ import annotations

import torch
from sklearn.utils._param_validation import InvalidParameterError


def usable_device(name: str | torch.device, estimator: str) -> torch.device:
    """Return the torch device, or raise an error that says why it cannot be used.

    Parameters
    ----------
    name : str or torch.device
        "auto" is a GPU if torch can use one, otherwise the CPU.
    estimator : str
        Name of the class that has the ``device`` parameter, for the message.

    Returns
    -------
    torch.device

    Raises
    ------
    InvalidParameterError
        If torch knows no device of this name.
    ValueError
        If this computer cannot use the device.
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
    if device.type == "meta":
        raise ValueError(
            f"device={name!r} has tensors without values, which cannot be fitted. Choose "
            "device='cpu'."
        )
    return device
