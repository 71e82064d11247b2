"""The chemostat: its physics, both forms of the files, and the measured counts."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skhybrid.datasets import fetch_chemostat, rotifer_algae
from skhybrid.exceptions import DataNotAvailableError

COLUMNS = ["experiment", "day", "algae", "rotifers", "egg_ratio", "eggs", "dead", "medium_N"]
PUBLISHED_HEADER = (
    "time (days), algae (10^6 cells/ml), rotifers (animals/ml), egg-ratio, eggs (per ml), "
    "dead animals (per ml), external medium (mu mol N / l)"
)
T0 = torch.tensor(0.0, dtype=torch.float64)
CONSTANTS = {
    "growth": 2.0,
    "half_nitrogen": 5.0,
    "nitrogen_content": 10.0,
    "grazing": 0.3,
    "half_algae": 1.0,
    "conversion": 4.0,
    "mortality": 0.1,
    "dilution": 0.5,
}


# Physics


def rates(state, medium, dtype=torch.float64, **constants):
    state = torch.as_tensor(state, dtype=dtype)
    inputs = torch.full((*state.shape[:-1], 1), medium, dtype=dtype)
    return rotifer_algae(T0.to(dtype), state, inputs, **constants)


def test_physics_by_hand():
    got = rates([2.0, 6.0], 35.0, **CONSTANTS)
    # Free nitrogen 35 - 10 * 2 = 15, so growth is at 15 / (5 + 15); grazing is at 2 / (1 + 2).
    algae = 2.0 * 0.75 * 2.0 - 0.3 * 2 / 3 * 6.0 - 0.5 * 2.0
    rotifers = 4.0 * 0.3 * 2 / 3 * 6.0 - 0.6 * 6.0
    assert got.dtype == torch.float64
    assert_allclose(got, [algae, rotifers], rtol=1e-12)


def test_without_nitrogen_everything_is_washed_out():
    assert_allclose(rates([2.0, 0.0], 0.0, **CONSTANTS), [-1.0, 0.0], rtol=1e-12)
    assert_allclose(rates([2.0, 0.0], 19.0, **CONSTANTS), [-1.0, 0.0], rtol=1e-12)


def test_nitrogen_is_balanced_where_predators_are_absent():
    """Algae settle where growth equals dilution, below what all the nitrogen could make."""
    free = 5.0 * 0.5 / (2.0 - 0.5)
    settled = (80.0 - free) / 10.0
    assert_allclose(rates([settled, 0.0], 80.0, **CONSTANTS), [0.0, 0.0], atol=1e-12)


def test_values_and_gradients_are_finite_everywhere():
    grid = torch.tensor([-5.0, -0.54, -1e-9, 0.0, 1e-9, 1.0, 300.0])
    state = torch.cartesian_prod(grid, grid).requires_grad_()
    names = {name: torch.tensor(value, requires_grad=True) for name, value in CONSTANTS.items()}
    for medium in (0.0, 80.0):
        got = rates(state, medium, torch.float32, **names)
        assert got.isfinite().all()
        for gradient in torch.autograd.grad(got.square().sum(), [state, *names.values()]):
            assert gradient.isfinite().all()


def test_amounts_below_zero_return_to_zero():
    got = rates([[-0.1, 5.0], [0.5, -5.0], [-0.1, -5.0]], 80.0, **CONSTANTS)
    assert got[0, 0] > 0
    assert got[1, 1] > 0
    assert (got[2] > 0).all()


def test_defaults_make_the_counts_that_are_measured():
    """Predator and prey live on, in the order of magnitude of the measured means."""
    state = torch.tensor([1.0, 10.0], dtype=torch.float64)
    medium = torch.tensor([80.0], dtype=torch.float64)
    path = []
    for _ in range(2000):
        middle = state + 0.025 * rotifer_algae(T0, state, medium)
        state = state + 0.05 * rotifer_algae(T0, middle, medium)
        path.append(state)
    algae, rotifers = torch.stack(path)[400:].mean(dim=0).tolist()
    assert 0.1 < algae < 3
    assert 3 < rotifers < 100


# The files


def rows_of(number):
    """Rows of one made experiment: 195 or so, with a missing count in the second."""
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
        (lambda text: text.replace("\n6,0.5,6,0,0.5,2.5,1.5,80", "\n6,0.5,6,0,0.5,2.5,1.5,"), "6"),
        (lambda text: text.replace("2.5", "many"), "cannot be read"),
    ],
)
def test_table_that_is_not_whole_is_named(change, complaint, tmp_path):
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


@pytest.mark.parametrize("wrong", [{"data_home": 3}, {"as_frame": "yes"}, {"return_X_y": 1.5}])
def test_wrong_argument_is_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        fetch_chemostat(**wrong)


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
