"""Arrays that cannot be used: the error names the column and the row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from skhybrid.data.given_arrays import check_given, columns_named, read_numbers, read_weights

N_ROWS = 6
DATES = pd.date_range("2020-02-01", periods=N_ROWS)


def table(**columns) -> pd.DataFrame:
    return pd.DataFrame({"flow": np.arange(float(N_ROWS)), **columns})


@pytest.mark.parametrize(
    "values",
    [
        table(),
        table().to_numpy(),
        table().flow,
        table(kind=pd.Categorical([1, 2] * 3), wet=[True, False] * 3),
        torch.zeros(3, 2),
        [[1.0], [2.0]],
        None,
        "text",
    ],
)
def test_sound_arrays_pass(values):
    check_given("X", values)
    with columns_named(X=values):
        pass


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(2, requires_grad=True), r"inflow is a tensor .* Pass inflow\.detach\(\)"),
        (
            pd.DataFrame(np.ones((2, 3)), columns=["b", "a", "b"]),
            "inflow has more than one column named 'b'.*b, a, b",
        ),
        (table(day=DATES), "Column 'day' of inflow holds datetime64"),
        (table(day=DATES.tz_localize("UTC")), "Column 'day' of inflow holds datetime64"),
        (table(age=DATES - DATES[0]), "Column 'age' of inflow holds timedelta64"),
        (DATES.to_numpy(), "inflow holds datetime64.*seconds since the first"),
    ],
)
def test_what_would_be_lost_in_silence_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        check_given("inflow", values)


TEXTS = ["3.5", "1", "dry", "2", "wet", "2"]
GAPS = [1.0, np.nan, 2.0, np.nan, 3.0, 4.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (table(soil=TEXTS), "X contains the value 'dry' in column 'soil', row 2"),
        (table(soil=pd.Categorical(TEXTS)), "column 'soil', row 2.*OneHot.*per='soil'"),
        (table(soil=TEXTS).to_numpy(), "the value 'dry' in column 1, row 2"),
        (table(when=DATES.to_period()), "in column 'when', row 0"),
        (np.array(TEXTS), "X contains the value 'dry' in row 2"),
    ],
)
def test_a_conversion_that_fails_names_the_column(values, message):
    with pytest.raises(ValueError, match=message), columns_named(other=table(), X=values):
        raise ValueError("could not convert string to float: 'dry'")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (table(rain=GAPS), "X contains NaN in column 'rain', 2 of 6 rows; the first is row 1"),
        (table(rain=pd.array(GAPS, "Float64")), "X contains NaN in column 'rain', 2 of 6"),
        (table(rain=GAPS).to_numpy(), "X contains NaN in column 1, 2 of 6 rows"),
        (table(rain=[np.inf, *GAPS[1:]]), "X contains infinity in column 'rain'"),
    ],
)
def test_numbers_that_are_not_finite_are_located(values, message):
    with pytest.raises(ValueError, match=message), columns_named(X=values):
        raise ValueError("Input X contains NaN.")


def test_other_errors_stay():
    for error in (ValueError("Input y contains NaN."), ValueError("mine"), TypeError("mine")):
        with pytest.raises(type(error)) as caught, columns_named(X=table(rain=GAPS), y=None):
            raise error
        assert caught.value is error


class Stubborn:
    def __init__(self, error):
        self.error = error

    def __array__(self, dtype=None, copy=None):
        raise self.error


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.eye(3).to_sparse(), r"X is a sparse tensor. Pass X.to_dense\(\)"),
        (torch.eye(3).bfloat16(), r"X is a tensor of torch.bfloat16.*Pass X.float\(\)"),
        (torch.eye(3, device="meta"), "X is a tensor on the device 'meta'"),
        (Stubborn(RuntimeError("closed")), "X .Stubborn. cannot be turned.*RuntimeError: closed"),
        (Stubborn(KeyError("row")), "X .Stubborn. cannot be turned.*KeyError: 'row'"),
        ([[1.0], [10**400]], "X contains an integer in column 0, row 1, that is too large"),
        ([[1.0], [2.0, 3.0]], "X .list. cannot be turned into an array of numbers.*of numbers.$"),
        ([table(), table()[:3]], r"X .list. cannot be turned.*is for structure=ODE\(...\)"),
        (pd.Series(DATES), "X holds datetime64"),
        (DATES, "X holds datetime64"),
    ],
)
def test_values_that_are_no_array_of_numbers(values, message):
    with pytest.raises(ValueError, match=message):
        read_numbers("X", values)


def test_dates_in_a_list_are_named():
    with pytest.raises(TypeError, match=r"X contains the value Timestamp.*row 0. Turn dates"):
        read_numbers("X", list(DATES))


@pytest.mark.parametrize("error", [MemoryError("full"), KeyboardInterrupt()])
def test_other_exceptions_pass(error):
    with pytest.raises(type(error)):
        read_numbers("X", Stubborn(error))


def test_weights_are_named():
    np.testing.assert_array_equal(read_weights(None, 3), np.ones(3))
    with pytest.raises(ValueError, match="sample_weight contains the value 'heavy' in row 0"):
        read_weights(["heavy", 1.0], 2)
