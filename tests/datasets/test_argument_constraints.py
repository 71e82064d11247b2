"""Wrong arguments of all data sets: the error names the argument, its value and the choices."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid import datasets

TRAJECTORIES = [
    ("n_trajectories", 0),
    ("n_times", 0),
    ("n_times", 2.5),
    ("dt", 0.0),
    ("dt", np.inf),
    ("noise", -1.0),
    ("noise", np.nan),
    ("random_state", "seed"),
    ("return_X_y", "yes"),
]
TABLES = [
    ("n_samples", 0),
    ("noise", -0.1),
    ("random_state", "seed"),
    ("as_frame", "yes"),
    ("return_X_y", "yes"),
]
FILES = [("data_home", 3), ("return_X_y", "yes")]
DOWNLOADS = [*FILES, ("as_frame", "yes"), ("download_if_missing", "yes")]
WRONG = {
    "fetch_cascaded_tanks": FILES,
    "fetch_chemostat": [*FILES, ("as_frame", "yes"), ("return_X_y", 1.5)],
    "fetch_light_tunnel": [*DOWNLOADS, ("subset", "refrence"), ("target", "ir_1")],
    "fetch_wind_tunnel": [
        *DOWNLOADS,
        ("dataset", "wt_walks"),
        ("experiment", 3),
        ("accept_changed", "yes"),
    ],
    "load_lynx_hare": [("return_X_y", "yes")],
    "make_damped_wave": [*TRAJECTORIES, ("c", 0.0), ("k", -1.0)],
    "make_duffing": [*TRAJECTORIES, ("linear", 0.0), ("cubic", -1.0), ("damping", -0.1)],
    "make_light_tunnel": [*TABLES, ("subset", "refrence")],
    "make_lotka_volterra": [*TRAJECTORIES, ("interference", -0.1)],
    "make_pendulum": [
        *TRAJECTORIES,
        ("omega2", 0.0),
        ("damping", -0.1),
        ("forcing_amplitude", -1.0),
        ("forcing_frequency", -1.0),
    ],
    "make_pendulum_acceleration": [*TABLES, ("missing", "dragg")],
    "make_pendulum_images": [
        *TRAJECTORIES,
        ("n_context", 0),
        ("size", 3),
        ("omega2", 0.0),
        ("damping", -0.1),
        ("noise", [0.1]),
    ],
    "make_reaction_diffusion": [*TRAJECTORIES, ("a", 0.0), ("b", -1.0), ("k", "none")],
    "make_wind_tunnel": [
        ("n_records", 0),
        ("n_times", 1),
        ("loads", "impulse"),
        ("dt", 0.0),
        ("noise", -1.0),
        ("random_state", "seed"),
        ("return_X_y", "no"),
    ],
}
SUBSETS = ("reference", "polarizer_shift", "red_shift")
CHOICES = {
    ("fetch_light_tunnel", "subset"): SUBSETS,
    ("fetch_light_tunnel", "target"): ("ir_3", "vis_3"),
    ("fetch_wind_tunnel", "dataset"): ("wt_intake_impulse_v1", "wt_walks_v1", "wt_test_v1"),
    ("make_light_tunnel", "subset"): SUBSETS,
    ("make_pendulum_acceleration", "missing"): ("drag", "wiggly"),
    ("make_wind_tunnel", "loads"): ("impulses", "steps", "walk"),
}


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [(name, argument, value) for name, wrong in WRONG.items() for argument, value in wrong],
)
def test_wrong_argument_is_named_with_its_value_and_the_choices(name, argument, value):
    with pytest.raises(ValueError, match=argument) as raised:
        getattr(datasets, name)(**{argument: value})
    assert repr(value) in str(raised.value)
    for choice in CHOICES.get((name, argument), ()):
        assert f"'{choice}'" in str(raised.value)


def test_every_data_set_is_here():
    loaders = {n for n in datasets.__all__ if n.startswith(("make_", "load_", "fetch_"))}
    assert set(WRONG) == loaders
