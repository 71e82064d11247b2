"""Errors about memory say how much was asked for."""

from __future__ import annotations

import pytest
import torch

from skhybrid.exceptions import OutOfMemoryError
from skhybrid.model.out_of_memory import (
    described_bytes,
    is_out_of_memory,
    memory_errors_named,
    physical_memory,
    require_memory,
)


def test_errors_of_torch_and_numpy_name_the_size():
    with pytest.raises(OutOfMemoryError, match=r"during a test: 36\.4 TiB could not .* Try less"):
        with memory_errors_named("a test", "Try less."):
            torch.empty(10**13)
    with pytest.raises(OutOfMemoryError, match="Unable to allocate 9 PiB"):
        with memory_errors_named("a test", "Try less."):
            raise MemoryError("Unable to allocate 9 PiB for an array")


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="mine"), memory_errors_named("a test", "Try less."):
        raise RuntimeError("mine")
    assert not is_out_of_memory(RuntimeError("mine"))
    assert not is_out_of_memory(ValueError("out of memory"))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))


def test_more_than_the_computer_has_is_refused():
    require_memory(8, "A number")
    if physical_memory() is None:
        pytest.skip("the computer does not say how much memory it has")
    with pytest.raises(OutOfMemoryError, match=r"A giant would need 888 PiB of memory"):
        require_memory(1e18, "A giant")


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(12, "12 bytes"), (3 * 2**20, "3 MiB"), (1e18, "888 PiB")]
)
def test_sizes_are_readable(n_bytes, text):
    assert described_bytes(n_bytes) == text
