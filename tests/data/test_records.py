"""Arrays of single trajectories: errors in their shapes, columns and values."""

from __future__ import annotations

import numpy as np
import pytest
from small_arrays import AFTER, FIRST, HOLD, INPUTS, OUTPUTS, as_frames, check_data_raise, with_nan

from skhybrid import ODE
from skhybrid.data.records import read_inputs, read_outputs

BAD = {
    "different number of trajectories": (ODE(dt=1), FIRST, AFTER[:3], "X has 4 .* but y has 3"),
    "y without an axis of times": (ODE(dt=1), FIRST, AFTER[:, 0, 0], r"y must have shape .*\(4,\)"),
    "NaN in y": (ODE(dt=1), FIRST, with_nan(AFTER, 1, 2), "set missing_targets='mask'"),
    "infinity": (ODE(dt=1), FIRST, np.full_like(AFTER, np.inf), "infinity"),
    "text": (ODE(dt=1), FIRST, AFTER.astype(str) + "m", "could not convert"),
    "no observations": (ODE(dt=1), FIRST, AFTER[:, :0], "no change to learn|minimum of 1"),
    "outputs of different shapes": (
        ODE(dt=1),
        FIRST,
        [*AFTER[:3], AFTER[3, :, :1]],
        "outputs of different shapes",
    ),
    "inputs without an axis of times": (
        ODE(**HOLD),
        FIRST,
        AFTER,
        r"X must have shape .*\(4, 2\). For initial states set inputs=None",
    ),
    "inputs at different times": (
        ODE(**HOLD),
        INPUTS,
        AFTER,
        "Trajectory 0 has inputs at 7 times, but outputs at 6.*at the same times",
    ),
    "different numbers of inputs": (
        ODE(**HOLD),
        [*INPUTS[:3], INPUTS[3, :, :1]],
        OUTPUTS,
        "different numbers of inputs",
    ),
    "DataFrames with different columns": (
        ODE(**HOLD),
        [*as_frames()[1][:3], *as_frames(("push", "cold", "time"))[1][3:]],
        OUTPUTS,
        "Trajectory 3 of X has columns .*cold",
    ),
    "NaN in inputs": (ODE(**HOLD), with_nan(INPUTS, 1, 2), OUTPUTS, r"X\[1\] contains NaN"),
    "missing column of times": (
        ODE(times="tme", inputs="hold"),
        as_frames()[1],
        OUTPUTS,
        "names a column that X does not have.*[Dd]id you mean 'time'",
    ),
    "column number out of range": (
        ODE(times=3, inputs="hold"),
        INPUTS,
        OUTPUTS,
        r"ODE\(times=3\) is a column, but X has 3 of them",
    ),
}


@pytest.mark.parametrize("nn", [None, (4,)], ids=["physics alone", "hybrid"])
@pytest.mark.parametrize("case", BAD)
def test_bad_arrays_raise_an_error(case, nn):
    check_data_raise(BAD[case], nn)


@pytest.mark.parametrize("as_list", [list, np.asarray])
def test_outputs_without_their_own_axis_get_one(as_list):
    outputs, scalar = read_outputs(as_list([*OUTPUTS[..., 0]]), masked=False)
    assert scalar
    np.testing.assert_array_equal(outputs, OUTPUTS[..., :1])
    outputs, scalar = read_outputs(as_list([*OUTPUTS]), masked=False)
    assert not scalar
    np.testing.assert_array_equal(outputs, OUTPUTS)


def test_missing_outputs_stay_nan_if_they_are_masked():
    outputs, _ = read_outputs(with_nan(OUTPUTS, 1, 2), masked=True)
    assert np.isnan(outputs[1][2]).all()
    assert np.isfinite(outputs[0]).all()


def test_inputs_have_the_column_names_of_data_frames():
    records, frames = as_frames()
    arrays, names = read_inputs(frames, ODE(**HOLD))
    assert names == ("push", "heat", "time")
    np.testing.assert_array_equal(arrays, records)
    assert read_inputs(records, ODE(**HOLD))[1] == ()
