"""The device to compute on."""

from __future__ import annotations

import pytest
import torch
from sklearn.utils._param_validation import InvalidParameterError

from skhybrid.runtime.device import usable_device


@pytest.mark.parametrize("name", ["cpu", torch.device("cpu")], ids=["name", "device"])
def test_the_cpu_can_be_used(name):
    assert usable_device(name, "Model") == torch.device("cpu")


@pytest.mark.parametrize(("has_gpu", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_a_gpu_where_there_is_one(has_gpu, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert usable_device("auto", "Model") == torch.device(expected)


def test_unknown_devices_are_refused():
    message = "'device' parameter of Model must be 'auto' or a torch device.*Got 'abacus' instead"
    with pytest.raises(InvalidParameterError, match=message):
        usable_device("abacus", "Model")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this computer has a GPU")
def test_a_gpu_that_is_missing_is_an_error():
    message = "device='cuda' cannot be used on this computer: .* Choose device='cpu'"
    with pytest.raises(ValueError, match=message):
        usable_device("cuda", "Model")


def test_a_device_without_values_is_refused():
    with pytest.raises(ValueError, match="device='meta' has tensors without values"):
        usable_device("meta", "Model")
