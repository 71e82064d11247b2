"""Rows as tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skhybrid.model.batch import Batch, Windows, select_rows

Y = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("weight", "expected"),
    [(None, False), (torch.ones(3, 2), False), (torch.ones(4, 3, 2), True)],
    ids=["none", "for all members", "per member"],
)
def test_weights_per_member_have_one_more_axis(weight, expected):
    assert Batch(torch.zeros(3, 1), Y, weight).weight_per_member is expected


def test_rows_of_tensors_and_arrays_are_selected():
    rows = [2, 0]
    assert select_rows(torch.arange(3.0), torch.tensor(rows)).tolist() == [2.0, 0.0]
    assert select_rows(np.arange(3.0), rows).tolist() == [2.0, 0.0]


def test_rows_of_every_field_are_selected():
    windows = Windows(torch.arange(6.0).reshape(3, 2), torch.arange(3.0), torch.ones(3, 4))
    chosen = select_rows(windows, torch.tensor([1]))
    assert isinstance(chosen, Windows)
    assert chosen.first_state.tolist() == [[2.0, 3.0]]
    assert chosen.first_time.tolist() == [1.0]
    assert chosen.steps.shape == (1, 4)
    assert chosen.inputs is None
