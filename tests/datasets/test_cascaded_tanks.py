"""The cascaded tanks: the smooth square root, the file, and the measured records."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skhybrid.datasets import cascaded_tanks, fetch_cascaded_tanks
from skhybrid.exceptions import DataNotAvailableError

K = {"k1": 0.1, "k2": 0.2, "k3": 0.3, "k4": 0.4}
T0 = torch.tensor(0.0, dtype=torch.float64)

# A least-squares fit of the law alone to the measured estimation record: 0.60 V RMSE there, 0.67 V
# in the test record; with the initial level of the upper tank, in V.
FITTED = {"k1": 0.0406, "k2": 0.0716, "k3": 0.0897, "k4": 0.0423}
UPPER_LEVEL = 7.92


# Physics


def rates(state, pump=3.0, **parameters):
    state = torch.as_tensor(state, dtype=torch.float64)
    inputs = torch.full((*state.shape[:-1], 1), pump, dtype=torch.float64)
    return cascaded_tanks(T0, state, inputs, **parameters)


def test_bernoulli_by_hand():
    got = rates([[4.0, 9.0], [9.0, 4.0]], **K)
    by_hand = [[0.4 * 3 - 0.1 * 2, 0.2 * 2 - 0.3 * 3], [0.4 * 3 - 0.1 * 3, 0.2 * 3 - 0.3 * 2]]
    assert got.dtype == torch.float64
    assert_allclose(got, by_hand, atol=1e-4)


def test_square_root_is_within_what_the_notes_say():
    levels = torch.tensor([[0.1, 0.1], [1.0, 1.0], [10.0, 10.0]], dtype=torch.float64)
    root = -rates(levels, pump=0.0, k1=1.0, k2=0.0, k3=1.0, k4=0.0)
    relative = (root / levels.sqrt() - 1).abs()
    assert_array_equal(relative[0] < 2.6e-3, True)
    assert_array_equal(relative[0] > 2e-3, True)
    assert_array_equal(relative[1:] < 3e-5, True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_finite_at_and_below_zero(dtype):
    level = torch.tensor([-1e6, -10.0, -0.01, -1e-30, 0.0, 1e-30, 1e-5, 10.0], dtype=dtype)
    state = torch.stack([level, level.flip(0)], dim=-1).requires_grad_()
    k = {name: torch.tensor(value, dtype=dtype, requires_grad=True) for name, value in K.items()}
    got = cascaded_tanks(T0, state, torch.ones(len(level), 1, dtype=dtype), **k)
    assert got.dtype == dtype
    assert got.isfinite().all()
    for gradient in torch.autograd.grad(got.square().sum(), [state, *k.values()]):
        assert gradient.isfinite().all()


def test_outflow_grows_through_zero_and_its_slope_is_bounded():
    level = torch.linspace(-1.0, 1.0, 2001, dtype=torch.float64, requires_grad=True)
    outflow = -rates(torch.stack([level, level], dim=-1), k1=1.0, k4=0.0)[:, 0]
    (slope,) = torch.autograd.grad(outflow.sum(), level)
    assert slope.min() > 0
    assert slope.max() == pytest.approx(10.0, rel=1e-9)
    assert_array_equal(torch.sign(outflow.detach()), torch.sign(level.detach()))


def test_physics_is_vectorised_over_fits():
    state = torch.rand(5, 3, 2)
    inputs = torch.rand(3, 1)
    k1 = torch.rand(5)
    mapped = torch.vmap(lambda x, k: cascaded_tanks(T0, x, inputs, k1=k))(state, k1)
    one_by_one = [cascaded_tanks(T0, x, inputs, k1=k) for x, k in zip(state, k1, strict=True)]
    assert_allclose(mapped, torch.stack(one_by_one), rtol=1e-5)


# The file


def csv_text(n_rows=1024, header='"uEst","uVal","yEst","yVal","Ts",', sampling="4", last="\n"):
    """Write a file as published: commas at the ends, the sampling time once, a blank last line."""
    rows = [f"{i},{i + 0.25},{i + 0.5},{i + 0.75},{'' if i else sampling}," for i in range(n_rows)]
    return "\n".join([header, *rows, last])


def put(tmp_path, text):
    path = tmp_path / "cascaded_tanks" / "dataBenchmark.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_published_form_is_parsed(tmp_path):
    put(tmp_path, csv_text())
    tanks = fetch_cascaded_tanks(data_home=tmp_path)
    for key, first in [("data", 0), ("data_test", 0.25), ("target", 0.5), ("target_test", 0.75)]:
        assert tanks[key].dtype == np.float64
        assert_array_equal(tanks[key], first + np.arange(1024.0)[None, :, None])
    assert tanks.dt == 4.0
    assert_array_equal(tanks.times, 4.0 * np.arange(1024))
    assert tanks.feature_names == ["pump"]
    assert tanks.target_names == ["level"]
    data, target = fetch_cascaded_tanks(data_home=tmp_path, return_X_y=True)
    assert_array_equal(data, tanks.data)
    assert_array_equal(target, tanks.target)


def test_plain_form_is_parsed_alike(tmp_path):
    put(tmp_path, csv_text(header="uEst, uVal, yEst, yVal, Ts", last="").replace("\n", "\r\n"))
    assert fetch_cascaded_tanks(data_home=tmp_path).target[0, -1, 0] == 1023.5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (csv_text(1023), "1023 rows, the published data have 1024"),
        (csv_text(header="uEst,uVal,y,yVal,Ts,"), "no column yEst"),
        (csv_text(sampling="5"), "sampling time 5 s"),
        (csv_text().replace("1000,1000.25", "1000,"), "lacks a value in row 1001"),
        (csv_text().replace("1000.25", "full"), "cannot be read"),
        (csv_text().rstrip()[:-12], "cannot be read"),
        ("", "no column uEst"),
    ],
)
def test_faulty_file_is_named(text, complaint, tmp_path):
    path = put(tmp_path, text)
    with pytest.raises(DataNotAvailableError, match=complaint) as raised:
        fetch_cascaded_tanks(data_home=tmp_path)
    assert str(path) in str(raised.value)
    assert "10.4121/12960104" in str(raised.value)


def test_error_says_where_a_person_gets_the_file_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SKHYBRID_DATA", str(tmp_path))
    with pytest.raises(DataNotAvailableError) as raised:
        fetch_cascaded_tanks()
    message = str(raised.value)
    for part in (
        "https://doi.org/10.4121/12960104",
        str(tmp_path / "cascaded_tanks" / "dataBenchmark.csv"),
        "data_home=",
        "SKHYBRID_DATA",
    ):
        assert part in message
    assert isinstance(raised.value, OSError)
    assert list(tmp_path.iterdir()) == []


# The measured records


@pytest.fixture
def measured(data_home):
    if not (data_home / "cascaded_tanks").is_dir():
        pytest.skip(f"the cascaded tanks are not in {data_home}")
    return data_home


def test_measured_records(measured):
    content = (measured / "cascaded_tanks" / "dataBenchmark.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith("ef2388ed822f")
    tanks = fetch_cascaded_tanks(data_home=measured)
    assert (tanks.data[0, 0, 0], tanks.target[0, 0, 0]) == (3.2567, 5.205)
    assert (tanks.data_test[0, -1, 0], tanks.target_test[0, -1, 0]) == (0.94805, 3.7179)
    for key in ("data", "data_test", "target", "target_test"):
        assert tanks[key].shape == (1, 1024, 1)
        assert np.isfinite(tanks[key]).all()
    assert tanks.target.max() == pytest.approx(10.0, abs=0.1)  # where the sensor saturates


def test_measured_bunch_can_be_pickled(measured):
    tanks = pickle.loads(pickle.dumps(fetch_cascaded_tanks(data_home=measured)))
    assert tanks.physics is cascaded_tanks
    state = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert_array_equal(tanks.observe(state), [[2.0], [4.0]])


def test_physics_follows_the_measured_level(measured):
    """With parameters of a least-squares fit the law alone predicts the test record to 0.7 V."""
    tanks = fetch_cascaded_tanks(data_home=measured)
    pump = torch.tensor(tanks.data_test[0])
    state = torch.tensor([UPPER_LEVEL, tanks.target_test[0, 0, 0]], dtype=torch.float64)
    levels = []
    for u in pump:
        levels.append(tanks.observe(state))
        for _ in range(2):
            middle = state + cascaded_tanks(T0, state, u, **FITTED)
            state = state + 2 * cascaded_tanks(T0, middle, u, **FITTED)
    error = torch.stack(levels).numpy() - tanks.target_test[0]
    assert np.sqrt(np.mean(error**2)) < 0.7
