"""Addresses and MD5 sums of the Causal Chambers, as the fetchers use them."""

from __future__ import annotations

import pytest

from skhybrid.datasets import fetch_light_tunnel, fetch_wind_tunnel
from skhybrid.exceptions import DataNotAvailableError

# For each archive: fetcher and arguments, skhybrid's folder, default experiment and MD5 sum.
ARCHIVES = {
    "lt_interventions_standard_v1": (
        fetch_light_tunnel,
        (),
        "light_tunnel",
        "uniform_reference",
        "476664d024f88e8b7640998bb5e9ee33",
    ),
    "wt_intake_impulse_v1": (
        fetch_wind_tunnel,
        ("wt_intake_impulse_v1",),
        "wind_tunnel",
        "load_out_0.5_osr_downwind_4",
        "8b7a0e587d3e9a804b380d96f14a1b12",
    ),
    "wt_walks_v1": (
        fetch_wind_tunnel,
        ("wt_walks_v1",),
        "wind_tunnel",
        "actuators_random_walk_1",
        "19bb4e92cbe0b8dff49299b9b509ac36",
    ),
    "wt_test_v1": (
        fetch_wind_tunnel,
        ("wt_test_v1",),
        "wind_tunnel",
        "steps",
        "5eed621f5b54e431c4442fc9cc947db6",
    ),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_official_address_and_sum_are_in_the_error(name, tmp_path):
    fetch, arguments, folder, experiment, md5 = ARCHIVES[name]
    with pytest.raises(DataNotAvailableError, match="download_if_missing is False") as raised:
        fetch(*arguments, data_home=tmp_path, download_if_missing=False)
    for part in (
        f"https://causalchamber.s3.eu-central-1.amazonaws.com/downloadables/{name}.zip",
        md5,
        str(tmp_path / folder / f"{experiment}.csv"),
        str(tmp_path / name / f"{experiment}.csv"),
    ):
        assert part in str(raised.value)
    assert list(tmp_path.iterdir()) == []
