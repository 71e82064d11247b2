"""The measured light tunnel: a download from a local server, faults, and the measured rows."""

from __future__ import annotations

import doctest
import hashlib
import inspect
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skhybrid.datasets import fetch_light_tunnel, malus
from skhybrid.datasets._causal_chambers import ARCHIVES
from skhybrid.exceptions import DataNotAvailableError

FEATURES = ["red", "green", "blue", "pol_1", "pol_2", "l_31", "l_32"]
MEASURED = {
    "reference": ("uniform_reference", 10_000, "dabfabf99e79"),
    "polarizer_shift": ("uniform_pol_1_strong", 1_000, "a676a2b6839d"),
    "red_shift": ("uniform_red_strong", 1_000, "622cf3a6f45e"),
}


def csv_text(n_rows, columns=("config", "blue", "ir_3", "vis_3", *FEATURES[3:], "green", "red")):
    """Write a table whose columns are constant and known, with a column of text among them."""
    values = ["standard" if name == "config" else str(len(name)) for name in columns]
    return "\n".join([",".join(columns), *[",".join(values)] * n_rows, ""])


def test_download_is_read_by_name_and_kept_for_all_subsets(server, tmp_path, monkeypatch):
    members = {
        f"lt_interventions_standard_v1/{experiment}.csv": csv_text(n_rows)
        for experiment, n_rows, _ in MEASURED.values()
    }
    monkeypatch.setitem(ARCHIVES, "lt_interventions_standard_v1", server.serve_zip(members))
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
        (csv_text(999), "999 rows, the published data have 1000"),
        (csv_text(1000, columns=FEATURES), "no column ir_3"),
        (csv_text(1000)[:-5], "cannot be read"),
        (csv_text(1000)[:-2], "cannot be read"),
        ("", "no column red"),
    ],
)
def test_faulty_file_is_named(text, complaint, tmp_path):
    path = tmp_path / "light_tunnel" / "uniform_red_strong.csv"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(DataNotAvailableError, match=complaint) as raised:
        fetch_light_tunnel(data_home=tmp_path, subset="red_shift")
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("subset", MEASURED)
def test_rows_are_the_published_ones(subset, data_home, check_light_tunnel_ranges):
    experiment, n_rows, digest = MEASURED[subset]
    content = (data_home / "light_tunnel" / f"{experiment}.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith(digest)
    tunnel = fetch_light_tunnel(data_home=data_home, subset=subset, download_if_missing=False)
    assert tunnel.data.shape == (n_rows, 7)
    assert set(tunnel.data.dtypes) == {np.dtype("float64")}
    assert not tunnel.frame.isna().any(axis=None)
    check_light_tunnel_ranges(tunnel.data, subset)


def test_first_row_and_mean(data_home):
    tunnel = fetch_light_tunnel(data_home=data_home)
    assert_allclose(
        tunnel.frame.iloc[0], [72, 18, 60, -5.9624996, 2.0250001, 145, 134, 567], rtol=1e-6
    )
    assert tunnel.target.mean() == pytest.approx(434.8, abs=0.1)
    assert tunnel.target.std() == pytest.approx(201.3, abs=0.1)


def test_folder_from_the_environment_and_pickle(data_home, monkeypatch):
    monkeypatch.setenv("SKHYBRID_DATA", str(data_home))
    tunnel = fetch_light_tunnel(subset="red_shift", as_frame=False)
    assert tunnel.frame is None
    copy = pickle.loads(pickle.dumps(tunnel))
    assert copy.physics is malus
    assert_array_equal(copy.data, tunnel.data)


def test_visible_light_is_another_target(data_home):
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


def test_example_of_the_fetcher_runs(data_home, monkeypatch):
    monkeypatch.setenv("SKHYBRID_DATA", str(data_home))
    text = inspect.getdoc(fetch_light_tunnel).replace("# doctest: +SKIP", "")
    example = doctest.DocTestParser().get_doctest(text, {}, "fetch_light_tunnel", None, 0)
    assert len(example.examples) == 3
    assert doctest.DocTestRunner().run(example).failed == 0
