"""Scales on other devices and in other dtypes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from skhybrid.model.scales import LatentScales, RateScales, Scales


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scales_type", [Scales, RateScales, LatentScales])
def test_all_scales_get_the_dtype(scales_type, dtype):
    names = [field.name for field in dataclasses.fields(scales_type)]
    scales = scales_type(**{name: torch.tensor(float(i)) for i, name in enumerate(names)})
    moved = scales.to(dtype)
    assert type(moved) is scales_type
    assert {value.dtype for value in vars(moved).values()} == {dtype}
    assert {name: float(value) for name, value in vars(moved).items()} == {
        name: float(i) for i, name in enumerate(names)
    }


def test_scales_never_change():
    scales = Scales(*[torch.tensor(1.0)] * 6)
    with pytest.raises(dataclasses.FrozenInstanceError):
        scales.target_mean = torch.tensor(2.0)
