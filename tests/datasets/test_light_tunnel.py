"""The light tunnel: its physics, the measured rows and the simulated ones."""

from __future__ import annotations

import doctest
import hashlib
import inspect
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skhybrid.datasets import _light_tunnel, fetch_light_tunnel, make_light_tunnel, malus
from skhybrid.exceptions import DataNotAvailableError

FEATURES = ["red", "green", "blue", "pol_1", "pol_2", "l_31", "l_32"]
SUBSETS = ["reference", "polarizer_shift", "red_shift"]
MEASURED = {
    "reference": ("uniform_reference", 10_000, "dabfabf99e79"),
    "polarizer_shift": ("uniform_pol_1_strong", 1_000, "a676a2b6839d"),
    "red_shift": ("uniform_red_strong", 1_000, "622cf3a6f45e"),
}


def check_ranges(data, subset):
    limits = {
        "red": (171, 255) if subset == "red_shift" else (0, 85),
        "green": (0, 85),
        "blue": (0, 85),
        "pol_1": (66, 104) if subset == "polarizer_shift" else (-15, 24),
        "pol_2": (-15, 24),
        "l_31": (0, 170),
        "l_32": (0, 170),
    }
    assert list(data.columns) == FEATURES
    for name, (low, high) in limits.items():
        assert low <= data[name].min() < data[name].max() <= high, name
        # The rows fill the range: a wrong column or a wrong scale would not.
        assert data[name].max() - data[name].min() > 0.9 * (high - low), name
    for name in ("red", "green", "blue", "l_31", "l_32"):
        assert_array_equal(data[name], data[name].round())


# Physics


def test_malus_by_hand():
    settings = torch.tensor(
        [
            [10.0, 0.0, 0.0, 7.0, 7.0],  # aligned: everything passes
            [0.0, 10.0, 0.0, 90.0, 0.0],  # crossed: only the leak
            [0.0, 0.0, 10.0, 20.0, -40.0],  # 60 degrees: a quarter, and the leak of the rest
        ],
        dtype=torch.float64,
    )
    got = malus(*settings.T, gain=(2.0, 3.0, 4.0), leak=0.2)
    assert got.dtype == torch.float64
    assert_allclose(got, [20.0, 30.0 * 0.2, 40.0 * (0.25 + 0.2 * 0.75)], rtol=1e-12)


def test_malus_passes_gradients_to_its_parameters():
    gain = torch.ones(3, dtype=torch.float64, requires_grad=True)
    leak = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    settings = torch.rand(5, 4, dtype=torch.float64) * 80
    assert torch.autograd.gradcheck(lambda g, k: malus(*settings, gain=g, leak=k), (gain, leak))


# Simulated


@pytest.mark.parametrize("subset", SUBSETS)
def test_simulated_ranges(subset):
    check_ranges(make_light_tunnel(2000, subset=subset, random_state=0).data, subset)


def test_simulated_layout():
    tunnel = make_light_tunnel(50, random_state=0)
    assert tunnel.feature_names == FEATURES
    assert tunnel.target_name == tunnel.target.name == "ir_3"
    assert list(tunnel.frame.columns) == [*FEATURES, "ir_3"]
    assert set(tunnel.data.dtypes) == {np.dtype("float64")}
    assert tunnel.target.dtype == tunnel.noise_free.dtype == np.float64
    assert tunnel.physics is malus
    assert set(tunnel.physics_params) == {"gain", "leak"}
    assert "simulated" in tunnel.DESCR


def test_simulated_arrays_equal_frames():
    framed = make_light_tunnel(50, random_state=3)
    plain = make_light_tunnel(50, random_state=3, as_frame=False)
    assert plain.frame is None
    assert isinstance(plain.data, np.ndarray)
    assert_array_equal(plain.data, framed.data)
    assert_array_equal(plain.noise_free, framed.noise_free)
    data, target = make_light_tunnel(50, random_state=3, return_X_y=True)
    assert data.equals(framed.data)
    assert target.equals(framed.target)


def test_simulated_is_reproducible():
    first, again = (make_light_tunnel(50, random_state=1).frame for _ in range(2))
    assert first.equals(again)
    assert not first.equals(make_light_tunnel(50, random_state=2).frame)


def test_simulated_noise_is_multiplicative():
    tunnel = make_light_tunnel(20_000, noise=0.2, random_state=0)
    relative = tunnel.target / tunnel.noise_free - 1
    assert relative.std() == pytest.approx(0.2, rel=0.03)
    bright = tunnel.noise_free > tunnel.noise_free.median()
    assert relative[bright].std() == pytest.approx(relative[~bright].std(), rel=0.05)


def test_simulated_without_noise_is_noise_free():
    tunnel = make_light_tunnel(50, noise=0, random_state=0)
    assert_array_equal(tunnel.target, tunnel.noise_free)


def test_simulated_dark_tunnel_reads_the_offset_and_stray_light():
    dark = np.zeros((2, 7))
    dark[1, 5:] = 100, 50
    assert_allclose(_light_tunnel._simulate(dark), [10.0, 10.0 + 0.02 * 150], rtol=1e-12)


def test_true_gain_is_the_slope_at_high_drive():
    settings = np.zeros((2, 7))
    settings[:, 0] = 200, 201
    settings[:, 3] = -3.5  # makes up for the misalignment
    low, high = _light_tunnel._simulate(settings)
    gain = make_light_tunnel(1).physics_params["gain"]
    assert high - low == pytest.approx(gain[0], rel=1e-5)


def test_physics_alone_misses_something():
    tunnel = make_light_tunnel(2000, random_state=0)
    columns = [torch.tensor(tunnel.data[name].to_numpy()) for name in FEATURES[:5]]
    missing = tunnel.noise_free - malus(*columns, **tunnel.physics_params).numpy()
    assert 10 < missing.std() < 0.5 * tunnel.noise_free.std()


@pytest.mark.parametrize("function", [fetch_light_tunnel, make_light_tunnel])
def test_typing_error_in_subset_lists_the_choices(function):
    with pytest.raises(ValueError, match="'refrence'") as raised:
        function(subset="refrence")
    for subset in SUBSETS:
        assert subset in str(raised.value)


@pytest.mark.parametrize("wrong", [{"n_samples": 0}, {"noise": -0.1}, {"random_state": "seed"}])
def test_simulated_wrong_argument_is_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_light_tunnel(**wrong)


# Measured: the download, against a server on this computer


def csv_text(n_rows, columns=("config", "blue", "ir_3", "vis_3", *FEATURES[3:], "green", "red")):
    """Write a table whose columns are constant and known, with a column of text among them."""
    values = ["standard" if name == "config" else str(len(name)) for name in columns]
    return "\n".join([",".join(columns), *[",".join(values)] * n_rows, ""])


def test_download_is_read_by_name_and_kept_for_all_subsets(server, tmp_path, monkeypatch):
    members = {
        f"lt_interventions_standard_v1/{experiment}.csv": csv_text(n_rows)
        for experiment, n_rows, _ in MEASURED.values()
    }
    monkeypatch.setattr(_light_tunnel, "_ARCHIVE", server.serve_zip(members))
    for subset, (_, n_rows, _) in MEASURED.items():
        tunnel = fetch_light_tunnel(data_home=tmp_path, subset=subset)
        assert list(tunnel.data.columns) == FEATURES
        assert tunnel.data.shape == (n_rows, 7)
        assert_array_equal(tunnel.data.iloc[-1], [3, 5, 4, 5, 5, 4, 4])
        assert_array_equal(tunnel.target.iloc[-1], 4)
    assert server.n_requests == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (csv_text(999), "999 rows, the published file has 1000"),
        (csv_text(1000, columns=FEATURES), "no column ir_3"),
        (csv_text(1000)[:-5], "cannot be read"),
        ("", "no column red"),
    ],
)
def test_file_that_is_not_whole_is_named(text, complaint, tmp_path):
    path = tmp_path / "light_tunnel" / "uniform_red_strong.csv"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(DataNotAvailableError, match=complaint) as raised:
        fetch_light_tunnel(data_home=tmp_path, subset="red_shift")
    assert str(path) in str(raised.value)


def test_official_address_and_hash_are_in_the_error(tmp_path):
    with pytest.raises(DataNotAvailableError) as raised:
        fetch_light_tunnel(data_home=tmp_path, download_if_missing=False)
    assert "/downloadables/lt_interventions_standard_v1.zip" in str(raised.value)
    assert "476664d024f88e8b7640998bb5e9ee33" in str(raised.value)
    assert str(tmp_path / "light_tunnel" / "uniform_reference.csv") in str(raised.value)


# Measured: the real rows


@pytest.mark.parametrize("subset", SUBSETS)
def test_measured_rows_are_the_published_ones(subset, data_home):
    experiment, n_rows, digest = MEASURED[subset]
    content = (data_home / "light_tunnel" / f"{experiment}.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith(digest)
    tunnel = fetch_light_tunnel(data_home=data_home, subset=subset, download_if_missing=False)
    assert tunnel.data.shape == (n_rows, 7)
    assert set(tunnel.data.dtypes) == {np.dtype("float64")}
    assert not tunnel.frame.isna().any(axis=None)
    check_ranges(tunnel.data, subset)


def test_measured_first_row_and_mean(data_home):
    tunnel = fetch_light_tunnel(data_home=data_home)
    assert_allclose(
        tunnel.frame.iloc[0], [72, 18, 60, -5.9624996, 2.0250001, 145, 134, 567], rtol=1e-6
    )
    assert tunnel.target.mean() == pytest.approx(434.8, abs=0.1)
    assert tunnel.target.std() == pytest.approx(201.3, abs=0.1)


def test_measured_folder_from_the_environment_and_pickle(data_home, monkeypatch):
    monkeypatch.setenv("SKHYBRID_DATA", str(data_home))
    tunnel = fetch_light_tunnel(subset="red_shift", as_frame=False)
    assert tunnel.frame is None
    copy = pickle.loads(pickle.dumps(tunnel))
    assert copy.physics is malus
    assert_array_equal(copy.data, tunnel.data)


def test_measured_visible_light_is_another_target(data_home):
    infrared = fetch_light_tunnel(data_home=data_home, subset="red_shift")
    visible = fetch_light_tunnel(data_home=data_home, subset="red_shift", target="vis_3")
    assert visible.target.name == visible.target_name == "vis_3"
    assert visible.data.equals(infrared.data)
    assert visible.target.max() == 390
    assert visible.physics_params_published == {}


def test_published_gain_points_where_the_measured_rows_do(data_home):
    tunnel = fetch_light_tunnel(data_home=data_home)
    design = np.column_stack([tunnel.data[["red", "green", "blue"]], np.ones(len(tunnel.data))])
    fitted = np.linalg.lstsq(design, tunnel.target, rcond=None)[0][:3]
    published = tunnel.physics_params_published["gain"]
    cosine = fitted @ published / np.linalg.norm(fitted) / np.linalg.norm(published)
    assert cosine > 0.999
    assert not np.allclose(fitted, published, rtol=0.5)  # the scale is not published


@pytest.mark.parametrize(
    ("subset", "error"), [("reference", 60), ("polarizer_shift", 21), ("red_shift", 100)]
)
def test_simulated_tunnel_predicts_the_measured_one(subset, error, data_home):
    tunnel = fetch_light_tunnel(data_home=data_home, subset=subset)
    residual = _light_tunnel._simulate(tunnel.data.to_numpy()) - tunnel.target
    assert np.sqrt(np.mean(residual**2)) < error


def test_example_of_the_fetcher_runs(data_home, monkeypatch):
    monkeypatch.setenv("SKHYBRID_DATA", str(data_home))
    text = inspect.getdoc(fetch_light_tunnel).replace("# doctest: +SKIP", "")
    example = doctest.DocTestParser().get_doctest(text, {}, "fetch_light_tunnel", None, 0)
    assert len(example.examples) == 3
    assert doctest.DocTestRunner().run(example).failed == 0
