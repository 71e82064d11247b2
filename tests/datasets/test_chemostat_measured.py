"""The measured chemostat: both forms of the files, faults, and the measured counts."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skhybrid.datasets import fetch_chemostat, rotifer_algae
from skhybrid.exceptions import DataNotAvailableError

COLUMNS = ["experiment", "day", "algae", "rotifers", "egg_ratio", "eggs", "dead", "medium_N"]
PUBLISHED_HEADER = (
    "time (days), algae (10^6 cells/ml), rotifers (animals/ml), egg-ratio, eggs (per ml), "
    "dead animals (per ml), external medium (mu mol N / l)"
)


def rows_of(number):
    """Return 195 or 196 rows of one made experiment, with a missing count in the second row."""
    n_rows = 195 + (number <= 3)
    return [
        f"{0.5 + day},{number},{day},0.5,{'NaN' if day == 1 else 2.5},1.5,{80 * (1 + day % 2)}"
        for day in range(n_rows)
    ]


def one_table():
    rows = [f"{number},{row}" for number in range(1, 11) for row in rows_of(number)]
    return "\n".join([",".join(COLUMNS), *rows, ""]).replace("NaN", "")


def put_table(tmp_path, text):
    path = tmp_path / "chemostat" / "blasius_rotifer_algae.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def put_ten_files(tmp_path):
    folder = tmp_path / "chemostat"
    folder.mkdir(parents=True)
    for number in range(1, 11):
        text = "\n".join([PUBLISHED_HEADER, *rows_of(number), ""]).replace(",", ", ")
        (folder / f"C{number}.csv").write_text(text)


def test_one_table_and_ten_files_are_the_same(tmp_path):
    put_table(tmp_path / "one", one_table())
    put_ten_files(tmp_path / "ten")
    one = fetch_chemostat(data_home=tmp_path / "one")
    ten = fetch_chemostat(data_home=tmp_path / "ten")
    assert one.frame.equals(ten.frame)
    assert list(one.frame.columns) == COLUMNS
    assert len(one.frame) == 1953
    for key in ("data", "target", "times"):
        assert len(one[key]) == 10
        for mine, other in zip(one[key], ten[key], strict=True):
            assert_array_equal(mine, other)
    assert one.target[4].shape == (195, 2)
    assert_array_equal(one.target[4][:2], [[5, 0], [5, 1]])
    assert_array_equal(one.data[4][:3], [[80], [160], [80]])
    assert_array_equal(one.times[4][:2], [0.5, 1.5])
    assert one.frame["eggs"].isna().sum() == 10


def test_layout_without_pandas_objects(tmp_path):
    put_table(tmp_path, one_table())
    chemostat = fetch_chemostat(data_home=tmp_path, as_frame=False)
    assert chemostat.frame is None
    assert chemostat.feature_names == ["medium_N"]
    assert chemostat.target_names == ["algae", "rotifers"]
    assert_array_equal(chemostat.experiments, np.arange(1, 11))
    assert pickle.loads(pickle.dumps(chemostat)).physics is rotifer_algae
    data, target = fetch_chemostat(data_home=tmp_path, return_X_y=True)
    assert_array_equal(data[-1], chemostat.data[-1])
    assert_array_equal(target[-1], chemostat.target[-1])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text[: text.rfind("\n10,")], "1952 rows, the published data have 1953"),
        (lambda text: text.replace("medium_N", "N"), "no column medium_N"),
        (lambda text: text.replace("\n10,", "\n11,"), "not numbered 1 to 10"),
        (lambda text: text.replace("\n4,7.5,", "\n4,6.5,"), "times of experiment 4"),
        (
            lambda text: text.replace("\n6,0.5,6,0,0.5,2.5,1.5,80", "\n6,0.5,6,0,0.5,2.5,1.5,"),
            "experiment 6 lacks a value of medium_N",
        ),
        (lambda text: text.replace("2.5", "many"), "cannot be read"),
    ],
)
def test_faulty_table_is_named(change, complaint, tmp_path):
    text = change(one_table())
    assert text != one_table()
    path = put_table(tmp_path, text)
    with pytest.raises(DataNotAvailableError, match=complaint) as raised:
        fetch_chemostat(data_home=tmp_path)
    assert str(path) in str(raised.value)
    assert "10.6084/m9.figshare.10045976" in str(raised.value)


def test_error_says_where_a_person_gets_the_files_and_where_to_put_them(tmp_path, monkeypatch):
    monkeypatch.setenv("SKHYBRID_DATA", str(tmp_path))
    put_ten_files(tmp_path)
    (tmp_path / "chemostat" / "C7.csv").unlink()
    with pytest.raises(DataNotAvailableError) as raised:
        fetch_chemostat()
    message = str(raised.value)
    for part in (
        "https://doi.org/10.6084/m9.figshare.10045976",
        "C1.csv to C10.csv",
        str(tmp_path / "chemostat" / "blasius_rotifer_algae.csv"),
        "data_home=",
        "SKHYBRID_DATA",
    ):
        assert part in message


# The measured counts


@pytest.fixture
def measured(data_home):
    if not (data_home / "chemostat").is_dir():
        pytest.skip(f"the chemostat is not in {data_home}")
    return data_home


def test_measured_counts(measured):
    path = measured / "chemostat" / "blasius_rotifer_algae.csv"
    if path.is_file():
        assert hashlib.sha256(path.read_bytes()).hexdigest().startswith("41c117bfdaac")
    chemostat = fetch_chemostat(data_home=measured)
    lengths = [len(times) for times in chemostat.times]
    assert lengths == [366, 190, 182, 139, 86, 232, 235, 184, 141, 198]
    assert_array_equal(chemostat.frame.groupby("experiment").size(), lengths)
    assert_allclose(chemostat.target[0][0], [1.5, np.nan])
    assert_allclose(chemostat.target[-1][-1], [0.2, 2.41])
    assert sum(np.isnan(target).sum() for target in chemostat.target) == 23 + 26
    assert all(np.isfinite(data).all() for data in chemostat.data)


def test_description_agrees_with_the_measured_counts(measured):
    chemostat = fetch_chemostat(data_home=measured)
    steps = np.concatenate([np.diff(times) for times in chemostat.times])
    assert (round(steps.min(), 2), round(steps.max(), 2)) == (0.48, 5.03)
    counted = chemostat.frame[["algae", "rotifers", "egg_ratio", "eggs", "dead"]]
    missing = counted.isna().sum()
    assert f"{missing.min()} to {missing.max()} values" in chemostat.DESCR
    days = [times[-1] for times in chemostat.times]
    assert f"for {min(days):.0f} to {max(days):.0f} days" in chemostat.DESCR
    pulsed = [len(np.unique(data)) > 1 for data in chemostat.data]
    assert_array_equal(np.flatnonzero(pulsed) + 1, [8, 9])
    rich = [data.max() for data in chemostat.data]
    assert sorted(rich) == [80.0] * 6 + [160.0] * 4
