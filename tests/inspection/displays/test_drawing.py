"""What the displays share."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skhybrid.inspection.displays.drawing import MAX_POINTS, binned, draw_values, panels, unit_of


def test_a_single_axes_is_divided_and_a_sequence_is_used():
    figure, axes = plt.subplots(1, 2)
    divided = panels(axes[0], 3)
    assert len(divided) == 3
    assert {each.figure for each in divided} == {figure}
    assert not axes[0].axison
    assert panels(axes, 2).tolist() == axes.tolist()
    assert panels(axes[1], 1)[0] is axes[1]


def test_axes_that_do_not_fit_are_refused():
    figure, axes = plt.subplots(1, 2)
    with pytest.raises(ValueError, match="ax must be one axes or 3 axes; got 2"):
        panels(axes, 3)
    with pytest.raises(ValueError, match=r"not part of a grid.*or give 2 axes"):
        panels(figure.add_axes([0.1, 0.1, 0.5, 0.5]), 2)


def test_means_over_bins_follow_the_values():
    x = np.linspace(0.0, 1.0, 1_000)
    bins = binned(x, 3.0 * x, n_bins=10)
    assert len(bins.x) == 10
    assert bins.mean == pytest.approx(3.0 * bins.x)
    assert (bins.low < bins.mean).all()
    assert (bins.mean < bins.high).all()


def test_a_feature_with_few_values_has_a_bin_for_each():
    bins = binned(np.repeat([1.0, 5.0], 4), np.arange(8.0))
    assert bins.x.tolist() == [1.0, 5.0]
    assert bins.mean.tolist() == [1.5, 5.5]


@pytest.mark.parametrize("n", [MAX_POINTS, MAX_POINTS + 1])
def test_many_points_are_drawn_as_means_with_a_band(n):
    axes = plt.subplots()[1]
    draw_values(axes, np.arange(float(n)), np.ones(n), colour="k", marker="o", label="data")
    many = n > MAX_POINTS
    assert len(axes.collections) == many
    assert (len(axes.lines[0].get_xdata()) < n) is many


def test_elements_have_the_unit_of_their_parameter():
    assert unit_of({"gain": "V"}, "gain[0]") == "V"
    assert unit_of({"gain[0]": "V"}, "gain[0]") == "V"
    assert unit_of({}, "gain") is None
