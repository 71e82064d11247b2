"""Lines that a verbose fit prints."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid.fitting.progress import is_due, progress_line


@pytest.mark.parametrize("n_epochs", [1, 7, 20, 21, 39, 40, 59, 300, 3001])
def test_a_phase_has_about_twenty_lines(n_epochs):
    due = [epoch for epoch in range(1, n_epochs + 1) if is_due(epoch, n_epochs)]
    assert min(n_epochs, 11) <= len(due) <= 22
    assert due[0] == 1
    assert due[-1] == n_epochs


def test_long_arrays_stay_on_one_line():
    values = {"gain": 1.23456, "leak": np.array([1e-7, 200.0]), "field": np.zeros((30, 40))}
    line = progress_line("refine", 7, 300, 0.0123, 0.954, values)
    assert line.startswith("refine   epoch   7/300  loss 1.230e-02  physics share  95.4 %  ")
    assert "gain=1.235  leak=[1e-07 200]  field=[[0 0 ... 0 0]" in line
    assert "\n" not in line
    assert len(line) < 200


def test_columns_of_successive_epochs_are_aligned():
    lines = [progress_line("estimate", epoch, 300, 1.0, 0.5, {}) for epoch in (1, 30, 300)]
    assert len({len(line) for line in lines}) == 1


def test_a_line_without_a_physics_share():
    assert progress_line("estimate", 2, 20, 0.5, None, {}) == "estimate epoch  2/20  loss 5.000e-01"
