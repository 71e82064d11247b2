"""The measured wind tunnel: a made archive of its layout, from a local server."""

from __future__ import annotations

import math
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skhybrid.datasets import fan_speeds, fetch_wind_tunnel
from skhybrid.datasets._causal_chambers import ARCHIVES
from skhybrid.datasets._fetch_from_archive import ZipArchive
from skhybrid.exceptions import DataNotAvailableError

DEFAULTS = {
    "wt_intake_impulse_v1": "load_out_0.5_osr_downwind_4",
    "wt_walks_v1": "actuators_random_walk_1",
    "wt_test_v1": "steps",
}
# The columns of the published files, in their order.
COLUMNS = (
    "timestamp,config,counter,flag,intervention,hatch,pot_1,pot_2,osr_1,osr_2,osr_mic,osr_in,"
    "osr_out,osr_upwind,osr_downwind,osr_ambient,osr_intake,v_1,v_2,v_mic,v_in,v_out,load_in,"
    "load_out,current_in,current_out,res_in,res_out,rpm_in,rpm_out,pressure_upwind,"
    "pressure_downwind,pressure_ambient,pressure_intake,mic,signal_1,signal_2"
).split(",")


def csv_text(n_records=3, n_times=4, columns=COLUMNS):
    """Write a table whose values tell the row and the column they come from."""
    lines = [",".join(columns)]
    for row in range(n_records * n_times):
        values = dict.fromkeys(columns, "1")
        values["timestamp"] = f"{1.7e9 + 0.15 * row:.2f}"
        values["config"] = "standard"
        values["flag"] = str(row // n_times)
        values["hatch"] = f"{row // n_times + 0.5}"
        values["load_in"] = f"{0.01 * row:.2f}"
        values["load_out"] = "0.5"
        values["rpm_in"] = str(60 * row)
        values["rpm_out"] = "1500"
        values["pressure_downwind"] = f"{95000.25 + row}"
        values["pressure_ambient"] = "95000"
        lines.append(",".join(values[name] for name in columns))
    return "\n".join([*lines, ""])


@pytest.fixture
def serve(server, monkeypatch):
    """Serve an archive with these members as the official one of the data set."""

    def serve(dataset, members, md5=None):
        archive = server.serve_zip(members)
        archive = ZipArchive(archive.url, md5 or archive.md5)
        monkeypatch.setitem(ARCHIVES, dataset, archive)
        return archive

    return serve


@pytest.mark.parametrize("dataset", DEFAULTS)
def test_default_experiment_is_downloaded_and_read_by_name(dataset, serve, server, tmp_path):
    shuffled = [*COLUMNS[::-1]]
    serve(dataset, {f"{dataset}/{DEFAULTS[dataset]}.csv": csv_text(columns=shuffled)})
    tunnel = fetch_wind_tunnel(dataset, data_home=tmp_path)
    records = (3, 4) if dataset == "wt_intake_impulse_v1" else (1, 12)
    row = np.arange(12.0).reshape(records)
    assert tunnel.data.shape == tunnel.target.shape == (*records, 3)
    assert_allclose(tunnel.data[..., 0], 0.01 * row)
    assert_array_equal(tunnel.data[..., 1], 0.5)
    assert_array_equal(tunnel.data[..., 2], row // 4 + 0.5)
    assert_allclose(tunnel.target[..., 0], 2 * math.pi * row)  # one turn per second is 2 pi rad/s
    assert_allclose(tunnel.target[..., 1], 50 * math.pi)
    assert_array_equal(tunnel.target[..., 2], row + 0.25)
    assert_allclose(tunnel.times, 0.15 * (row - row[:, :1]), atol=0.006)
    assert server.n_requests == 1


def test_layout(serve, tmp_path):
    serve("wt_test_v1", {"wt_test_v1/steps.csv": csv_text()})
    tunnel = fetch_wind_tunnel("wt_test_v1", data_home=tmp_path)
    assert tunnel.feature_names == ["load_in", "load_out", "hatch"]
    assert tunnel.target_names == ["speed_in", "speed_out", "pressure"]
    assert pickle.loads(pickle.dumps(tunnel)).physics is fan_speeds
    assert set(tunnel.frame.columns) < set(COLUMNS)
    assert_array_equal(tunnel.frame["rpm_in"], 60 * np.arange(12))
    assert len(tunnel.frame.columns) == 13
    plain = fetch_wind_tunnel("wt_test_v1", data_home=tmp_path, as_frame=False)
    assert plain.frame is None
    data, target = fetch_wind_tunnel("wt_test_v1", data_home=tmp_path, return_X_y=True)
    assert_array_equal(data, tunnel.data)
    assert_array_equal(target, tunnel.target)


def test_one_download_unpacks_all_experiments_only(serve, server, tmp_path, everything_in):
    names = ["actuators_random_walk_1", "actuators_random_walk_16", "loads_hatch_mix_fast_run_2"]
    members = {f"wt_walks_v1/{name}.csv": csv_text(1, 5 + i) for i, name in enumerate(names)}
    members |= {"wt_walks_v1/LICENSE.txt": "-", "../out.csv": "-", "wt_walks_v1/a/b.csv": "-"}
    serve("wt_walks_v1", members)
    for i, name in enumerate(names):
        tunnel = fetch_wind_tunnel("wt_walks_v1", name, data_home=tmp_path / "home")
        assert tunnel.data.shape == (1, 5 + i, 3)
    assert server.n_requests == 1
    tables = sorted(f"home/wt_walks_v1/{name}.csv" for name in names)
    assert everything_in(tmp_path) == ["home", "home/wt_walks_v1", *tables]


@pytest.mark.parametrize("folder", ["wind_tunnel", "wt_test_v1"])
def test_file_that_is_there_is_read_without_network(folder, serve, server, tmp_path, monkeypatch):
    serve("wt_test_v1", {})
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "no_load.csv").write_text(csv_text(1, 7))
    monkeypatch.setenv("SKHYBRID_DATA", str(tmp_path))
    assert fetch_wind_tunnel("wt_test_v1", "no_load").data.shape == (1, 7, 3)
    assert server.n_requests == 0


def test_changed_archive_is_an_error_unless_it_is_accepted(serve, server, tmp_path, everything_in):
    serve("wt_test_v1", {"wt_test_v1/steps.csv": csv_text()}, md5="0" * 32)
    with pytest.raises(DataNotAvailableError, match=r"has changed.*pass accept_changed=True"):
        fetch_wind_tunnel("wt_test_v1", data_home=tmp_path)
    assert everything_in(tmp_path) == []
    with pytest.warns(UserWarning, match="has changed") as warned:
        tunnel = fetch_wind_tunnel("wt_test_v1", data_home=tmp_path, accept_changed=True)
    assert tunnel.data.shape == (1, 12, 3)
    assert len(warned) == 1
    assert warned[0].filename == __file__  # the line of the user's call
    with warnings.catch_warnings():  # the tables exist now
        warnings.simplefilter("error")
        fetch_wind_tunnel("wt_test_v1", data_home=tmp_path)
    assert server.n_requests == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (csv_text()[: -len(csv_text().splitlines()[-1]) - 1], "with flag 2"),
        (csv_text(columns=COLUMNS[:-8]), "no column rpm_out"),
        (csv_text(n_records=0), "no rows"),
        (csv_text().replace("1500", "fast"), "cannot be read"),
    ],
)
def test_faulty_file_is_named(text, complaint, tmp_path):
    path = tmp_path / "wind_tunnel" / "load_out_0.5_osr_downwind_4.csv"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(DataNotAvailableError, match=complaint) as raised:
        fetch_wind_tunnel(data_home=tmp_path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("name", ["step", "../steps", "actuators_random_walk_1", "stepsX", ""])
def test_unknown_experiment_lists_the_choices(name, serve, server, tmp_path):
    serve("wt_test_v1", {})
    with pytest.raises(ValueError, match="has no experiment") as raised:
        fetch_wind_tunnel("wt_test_v1", name, data_home=tmp_path)
    assert repr(name) in str(raised.value)
    assert "steps, analog_calibration" in str(raised.value)
    assert server.n_requests == 0


# The measured rows


@pytest.fixture
def measured(data_home):
    names = ("wind_tunnel/load_out_0.5_osr_downwind_4.csv",)
    names += ("wt_intake_impulse_v1/load_out_0.5_osr_downwind_4.csv",)
    if not any((data_home / name).is_file() for name in names):
        pytest.skip(f"the wind tunnel is not in {data_home}")
    return data_home


def test_measured_impulses(measured):
    tunnel = fetch_wind_tunnel(data_home=measured, download_if_missing=False)
    assert tunnel.data.shape == (5000, 50, 3)
    assert_allclose(tunnel.data[:, :5, 0], 0.01)
    assert_allclose(tunnel.data[:, 5:25, 0], 1.0)
    assert_allclose(tunnel.data[..., 1], 0.5)
    rising = np.diff(tunnel.target[:, 5:25, 0].mean(axis=0))
    assert (rising > 0).all()
    assert 200 < tunnel.target[..., 0].max() < 400
    assert 5 < np.ptp(tunnel.target[..., 2].mean(axis=0)) < 40
