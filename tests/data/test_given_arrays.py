"""Arrays that cannot be used: the error names the column and the row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from skhybrid.data.given_arrays import check_given, columns_named

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
        (table(soil=pd.Categorical(TEXTS)), "the value 'dry' in column 'soil', row 2.*OneHot"),
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
