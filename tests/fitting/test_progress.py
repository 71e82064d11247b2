"""Lines that a verbose fit prints after every epoch."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from small_models import drive, make_model, make_table
from small_swings import SWINGS, make_swing_model

from skhybrid import Param, Physics
from skhybrid.fitting.progress import epoch_column, theta_columns
from skhybrid.runtime import progress

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

X, Y = make_table()
WEIGHT = np.linspace(1.0, 2.0, len(Y))
NUMBER = r"-?\d[\d.]*(?:e[-+]\d+)?"
TIMES = r"\d+:\d\d elapsed(?:, about \d+:\d\d left)?"


@pytest.fixture
def talkative(monkeypatch):
    """Let every epoch and every evaluation give a line."""
    for name in ("FIRST_SECONDS", "LINE_SECONDS", "LINE_PART", "COST_FACTOR"):
        monkeypatch.setattr(progress, name, 0.0)


def lines_of(model, capsys, *given):
    model.fit(*given)
    return capsys.readouterr().out.splitlines()


def test_a_short_fit_says_what_it_does_and_what_it_found(capsys, monkeypatch):
    monkeypatch.setattr(progress, "FIRST_SECONDS", 1e9)
    model = make_model(physics=Physics(drive, gain=Param(1.0, unit="N/m")), verbose=1)
    first, second, last = lines_of(model, capsys, X, Y)
    assert first == "Fitting 40 samples: least squares for the start, then training"
    assert second == "Training 20 epochs of phase 'estimate'"
    theta = rf"gain=({NUMBER}) N/m  offset={NUMBER}"
    match = re.fullmatch(
        rf"Fitted  loss ({NUMBER})  physics share ({NUMBER}) %  {theta}  {TIMES}", last
    )
    expected = model.loss_, 100 * model.physics_share_, model.physics_params_["gain"]
    assert [float(text) for text in match.groups()] == pytest.approx(expected, rel=1e-2)


@pytest.mark.usefixtures("talkative")
def test_every_line_has_phase_epoch_loss_restart_share_parameters_and_times(capsys):
    model = make_model(verbose=1, refine_rho=0.0, max_epochs=12, n_restarts=2)
    lines = lines_of(model, capsys, X, Y, WEIGHT)
    for phase, whose in (("estimate", r"restart [12] of 2"), ("refine  ", "best of 2 restarts")):
        shown = [line for line in lines if line.startswith(phase)]
        assert len(shown) == 12
        for epoch, line in enumerate(shown, 1):
            assert re.fullmatch(
                rf"{phase} epoch {epoch:>2}/12  lowest loss {NUMBER} \({whose}\)  "
                rf"physics share [ \d]{{3}}\.\d %  gain={NUMBER}  offset={NUMBER}  {TIMES}",
                line,
            ), line
    # The last line of the first phase shows the parameters that were kept.
    last = [line for line in lines if line.startswith("estimate")][-1]
    assert f"gain={model.physics_params_['gain']:.4g}" in last
    evaluations = [line for line in lines if line.startswith("least squares")]
    assert re.fullmatch(
        rf"least squares  evaluation [12] of at most \d+  loss {NUMBER}  "
        rf"gain={NUMBER}  offset={NUMBER}  0:0\d elapsed",
        evaluations[0],
    )


@pytest.mark.usefixtures("talkative")
def test_physics_alone_shows_its_evaluations(capsys):
    model = make_model(nn=None, verbose=1)
    first, *evaluations, last = lines_of(model, capsys, X, Y)
    assert first == "Fitting 40 samples by least squares"
    assert all(line.startswith("least squares  evaluation ") for line in evaluations)
    assert last.startswith(f"Fitted  loss {model.loss_:.3e}  gain=")


@pytest.mark.usefixtures("talkative")
def test_without_physics_there_is_neither_share_nor_theta(capsys):
    lines = lines_of(make_model(physics=None, verbose=True), capsys, X, Y)
    assert lines[0] == "Fitting 40 samples: training"
    assert re.fullmatch(rf"estimate epoch  1/20  loss {NUMBER}  {TIMES}", lines[2])
    assert re.fullmatch(rf"Fitted  loss {NUMBER}  {TIMES}", lines[-1])


@pytest.mark.usefixtures("talkative")
def test_trajectories_and_fits_that_stop_early(capsys):
    lines = lines_of(make_swing_model(max_epochs=3, verbose=1), capsys, SWINGS.data, SWINGS.target)
    assert sum(line.startswith("estimate epoch") for line in lines) == 3
    model = make_model(verbose=1, max_epochs=500, early_stopping=True, n_iter_no_change=3, tol=9.0)
    lines = lines_of(model, capsys, X, Y)
    assert sum(line.startswith("estimate epoch") for line in lines) == model.n_iter_ - 1 < 100


@pytest.mark.usefixtures("talkative")
@pytest.mark.parametrize("nn", [(6,), None])
def test_silent_by_default(capsys, nn):
    make_model(nn=nn, refine_rho=0.0).fit(X, Y)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.usefixtures("talkative")
@pytest.mark.parametrize("settings", [{}, {"n_restarts": 2}, {"nn": (4, torch.nn.Dropout())}])
def test_verbose_does_not_change_the_fit(capsys, settings):
    if "nn" in settings:
        layers = torch.nn.Linear(2, 6), torch.nn.Dropout(0.2), torch.nn.Linear(6, 1)
        settings = {"nn": torch.nn.Sequential(*layers)}
    plain = make_model(refine_rho=0.0, batch_size=16, **settings).fit(X, Y)
    shown = make_model(refine_rho=0.0, batch_size=16, verbose=1, **settings).fit(X, Y)
    assert shown.loss_curve_ == plain.loss_curve_
    np.testing.assert_array_equal(shown.predict(X), plain.predict(X))


def test_long_arrays_stay_on_one_line():
    values = {"gain": 1.23456, "leak": np.array([1e-7, 200.0]), "field": np.zeros((30, 40))}
    physics = type("Physics", (), {"params": {n: Param(v, unit="m") for n, v in values.items()}})
    line = "  ".join(theta_columns(type("Hybrid", (), {"physics": physics}), values))
    assert line.startswith("gain=1.235 m  leak=[1e-07 200] m  field=[[0 0 ... 0 0]")
    assert "\n" not in line
    assert len(line) < 200


def test_columns_of_successive_epochs_are_aligned():
    texts = [epoch_column(*each, 300) for each in (("estimate", 1), ("refine", 300))]
    assert texts == ["estimate epoch   1/300", "refine   epoch 300/300"]
