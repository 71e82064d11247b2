"""The summary of a fitted model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from small_trajectories import DT, make_oscillations, spring

from skhybrid import ODE, HybridRegressor, LatentODE, Param, Physics
from skhybrid.datasets import make_pendulum_images

RNG = np.random.default_rng(0)
X = np.linspace(0.0, 3.0, 40)[:, None]
Y = 2.0 * np.exp(-0.7 * X[:, 0]) + 0.05 * RNG.normal(size=40)


def decay(x, *, height=1.0, rate=0.4, scale=1.0, levels=(0.0, 0.0)):
    return scale * height * torch.exp(-rate * x) + levels[0] + levels[1] * x


def physics(**params):
    params = {"scale": Param(1.0, fixed=True), "levels": Param((0.0, 0.0), fixed=True), **params}
    return Physics(decay, **params)


def summary(nn=None, x=X, y=Y, **parameters):
    parameters = {"physics": physics(), "max_epochs": 2, **parameters}
    return HybridRegressor(nn=nn, **parameters).fit(x, y).summary()


def row_of(found, name) -> dict[str, str]:
    """Return the texts of an element by the column under whose header they lie."""
    lines = str(found).splitlines()
    (header,) = [i for i, line in enumerate(lines) if line.startswith("parameter")]
    marks = lines[header + 1]
    ends = [i for i, mark in enumerate(f"{marks} ") if mark == " " and marks[i - 1] == "-"]
    starts = [0, *(i for i in range(1, len(marks)) if marks[i - 1 : i + 1] == " -")]
    cut = lambda line: [line[a:b].strip() for a, b in zip(starts, ends, strict=True)]  # noqa: E731
    (row,) = [line for line in lines[header + 2 :] if line.startswith(f"{name} ")]
    assert all(len(line) <= len(marks) for line in (lines[header], row))
    return dict(zip(cut(lines[header]), cut(row), strict=True))


def test_the_table_of_the_physics_alone():
    rate = Param(0.4, bounds=(0.0, 0.5), unit="s^-1")
    with pytest.warns(match="ended on its upper bound"):
        model = HybridRegressor(physics(height=Param(1.0, unit="m"), rate=rate), nn=None).fit(X, Y)
    found = model.summary()
    height, error = model.physics_params_["height"], model.physics_params_std_["height"]
    row = row_of(found, "height")
    assert float(row["value"]) == pytest.approx(height, abs=0.05 * error)
    assert float(row["±"]) == pytest.approx(error, rel=0.05)
    assert (row["unit"], row["start"], row["bounds"], row["note"]) == ("m", "1", "", "")
    assert row_of(found, "rate") == {
        "parameter": "rate",
        "value": "0.5",
        "±": "",
        "unit": "s^-1",
        "start": "0.4",
        "bounds": "[0, 0.5]",
        "note": "on upper bound",
    }
    assert row_of(found, "scale")["note"] == "fixed"
    assert row_of(found, "levels[1]")["value"] == "0"
    assert found.standard_errors.interval()["height"][0] < height
    text = str(found)
    assert "40 rows" in text
    assert "Held on a bound, and so without ±: rate." in text
    assert f"{model.n_iter_} evaluations" in text
    r2 = float(text.partition("R² ")[2].partition(",")[0])
    assert r2 == pytest.approx(model.score(X, Y), abs=1e-4)


def test_the_frame_has_numbers():
    frame = summary(physics=physics(rate=Param(0.4, bounds=(0.0, None), unit="s^-1"))).frame
    assert [*frame.index] == ["height", "rate", "scale", "levels[0]", "levels[1]"]
    assert frame.loc["rate", ["start", "lower_bound", "upper_bound"]].tolist() == [0.4, 0.0, np.inf]
    assert frame.loc["rate", "unit"] == "s^-1"
    assert frame["fixed"].tolist() == [False, False, True, True, True]
    assert np.isfinite(frame["std"]).tolist() == [True, True, False, False, False]


def test_what_the_data_do_not_fix_is_named():
    with pytest.warns(match="act only together"):
        found = summary(physics=physics(scale=1.0))
    assert row_of(found, "height")["note"] == "not fixed by the data"
    assert "height and scale only together" in str(found)


def test_a_hybrid_says_how_to_get_errors():
    text = str(summary(nn=(4,)))
    assert "skhybrid.inspection.confidence_intervals" in text
    assert "±  " not in text
    assert "Physics' share" in text
    assert "network (4,)" in text
    both = "sam with rho 0.05: 2 epochs, then the network alone with rho 0: 2 epochs"
    assert f"Trained by {both}" in text
    text = str(summary(nn=(4,), optimizer="adam", refine_rho=None))
    assert "Trained by adam: 2 epochs" in text


def test_without_physics_there_are_no_parameters():
    found = summary(nn=torch.nn.Linear(1, 1), physics=None)
    assert "There are no physics parameters" in str(found)
    assert "network Linear" in str(found)
    assert "<table" not in found._repr_html_()
    assert len(found.frame) == 0


def test_long_parameters_are_cut_in_the_text_alone():
    def polynomial(x, *, powers=(0.0,) * 15):
        return sum(power * torch.cos(i * x) for i, power in enumerate(powers))

    found = summary(physics=Physics(polynomial))
    assert "powers: 3 more in .frame" in str(found)
    assert "powers[12]" not in str(found)
    assert len(found.frame) == 15


def test_open_bounds():
    found = summary(physics=physics(rate=Param(0.4, bounds=(0.0, None))))
    assert row_of(found, "rate")["bounds"] == "[0, ∞)"
    found = summary(physics=physics(rate=Param(0.4, bounds=(None, 9.0))))
    assert row_of(found, "rate")["bounds"] == "(-∞, 9]"


def test_html_escapes_units():
    page = summary(physics=physics(rate=Param(0.4, unit="<b>s</b>")))._repr_html_()
    assert "&lt;b&gt;s&lt;/b&gt;" in page
    assert "<b>" not in page
    assert page.count("<tr>") == 6


@pytest.mark.parametrize("nn", [None, (4,)])
def test_windows_and_steps_of_trajectories(nn):
    first, y = make_oscillations(n=6, n_times=12)
    found = summary(nn, first, y, physics=Physics(spring), structure=ODE(dt=DT, window=2))
    assert "66 windows of 2 steps" in str(found)
    assert "Solver: rk4, 1 step between observations" in str(found)
    assert "structure ODE" in str(found)


def test_images():
    film = make_pendulum_images(10, n_times=12, size=8, random_state=0)
    structure = LatentODE(encoder=4, decoder=4, n_states=2, dt=film.dt, window=5)
    found = summary((4,), film.data, film.target, physics=film.physics, structure=structure)
    assert "structure LatentODE" in str(found)
    assert "windows of 5 steps" in str(found)


def test_an_unfitted_model_says_so():
    with pytest.raises(NotFittedError):
        HybridRegressor(decay).summary()
