"""CSV files: columns by name, tolerated forms, and faults."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skhybrid.datasets._read_csv import check_row_count, read_csv
from skhybrid.exceptions import DataNotAvailableError

REMEDY = "Get it again."


def read(tmp_path, text, **options):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    return read_csv(path, ("a", "c"), remedy=REMEDY, **options)


@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n1,x,2.5\n-3e2,y,4\n",
        "c,a,b\n2.5,1,x\n4,-3e2,y",
        '"a", "b", "c",\r\n1, x, 2.5,\r\n\r\n-3e2, y, 4,\r\n\r\n',
        "\ufeffa,b,c\n 1 ,x, 2.5 \n-3e2,y,4\n",
    ],
)
def test_columns_are_read_by_name(text, tmp_path):
    got = read(tmp_path, text)
    assert got.dtype == np.float64
    assert_array_equal(got, [[1.0, 2.5], [-300.0, 4.0]])


def test_empty_cells_are_nan_or_an_error(tmp_path):
    text = "a,b,c\n1,x,\n,y,4\n"
    assert_array_equal(read(tmp_path, text, allow_empty=True), [[1.0, np.nan], [np.nan, 4.0]])
    with pytest.raises(DataNotAvailableError, match="cannot be read"):
        read(tmp_path, text)


def test_empty_rows_are_ignored(tmp_path):
    assert_array_equal(read(tmp_path, "a,b,c\n,,\n\n1,x,2\n,,\n", allow_empty=True), [[1.0, 2.0]])


def test_header_without_rows_is_an_empty_table(tmp_path):
    assert read(tmp_path, "a,b,c\n").shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has no column a, c"),
        ("a,b\n1,2\n", "has no column c"),
        ("a,b,c\n1,2,many\n", "cannot be read .*many"),
        ("a,b,c\n1,2\n", "cannot be read"),
    ],
)
def test_fault_is_named_with_file_and_remedy(text, complaint, tmp_path):
    with pytest.raises(DataNotAvailableError, match=complaint) as raised:
        read(tmp_path, text, allow_empty=True)
    assert str(tmp_path / "table.csv") in str(raised.value)
    assert str(raised.value).endswith(REMEDY)


@pytest.mark.parametrize(
    "content", [b"a,b,c\n1,\xff,2\n", b"\xff\xfea", b"PK\x03\x04\x00\xe9", b"a,\0,c\n1,2,3\n"]
)
def test_binary_file_is_named_with_a_remedy(content, tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(DataNotAvailableError) as raised:
        read_csv(path, ("a", "b"), remedy=REMEDY)
    assert str(path) in str(raised.value)
    assert str(raised.value).endswith(REMEDY)


def test_file_that_cannot_be_opened_is_named_with_a_remedy(tmp_path):
    with pytest.raises(DataNotAvailableError, match="cannot be read") as raised:
        read_csv(tmp_path, ("a",), remedy=REMEDY)
    assert str(raised.value).endswith(REMEDY)


def test_row_count(tmp_path):
    check_row_count(np.ones((3, 2)), 3, tmp_path, remedy=REMEDY)
    with pytest.raises(DataNotAvailableError, match="3 rows, the published data have 4") as raised:
        check_row_count(np.ones((3, 2)), 4, tmp_path, remedy=REMEDY)
    assert str(tmp_path) in str(raised.value)
