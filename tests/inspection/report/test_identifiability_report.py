"""The identifiability report of a fitted model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.datasets import make_pendulum
from skhybrid.exceptions import OtherDataWarning, PoorFitWarning
from skhybrid.inspection import identifiability_report
from skhybrid.inspection.assumptions.result import Opinion, OtherAssumptions
from skhybrid.inspection.usage.result import PhysicsUsage

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning",
    "ignore::skhybrid.exceptions.ParameterWarning",
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "error::skhybrid.exceptions.OtherDataWarning",
)

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.uniform(-1, 1, (160, 2)), columns=["force", "angle"])
NOISE = 0.02 * RNG.standard_normal(160)
Y = 2.0 * np.sin(2.0 * X["force"]) + 0.4 * X["angle"] ** 2 + NOISE


def spring(force, *, gain=1.0):
    return gain * torch.sin(2.0 * force)


def product(force, *, p=1.0, q=1.5):
    return p * q * torch.sin(2.0 * force)


def make_model(physics=spring, **settings):
    defaults = {"nn": (8,), "max_epochs": 100, "random_state": 0}
    return HybridRegressor(physics, **{**defaults, **settings})


@pytest.fixture(scope="module")
def sees_angle():
    return make_model(Physics(spring, gain=Param(1.0, unit="N")), nn_features=["angle"]).fit(X, Y)


def test_what_the_network_cannot_see_is_identified(sees_angle):
    report = identifiability_report(sees_angle, X, Y)
    assert report.verdicts["gain"].name == "identified"
    evidence = report.evidence["gain"]
    assert evidence.value == sees_angle.physics_params_["gain"]
    assert evidence.predictable < 0.2
    assert 0.0 < evidence.standard_error < 0.02
    assert report.seconds["quick"] > 0.0
    for text in (str(report), report._repr_html_()):
        assert "gain" in text
        assert "identified" in text
        assert "N" in text
    assert report.frame.loc["gain", "verdict"] == "identified"
    json.dumps(report.to_dict())


def test_what_the_network_sees_is_undecided_without_refits():
    report = identifiability_report(make_model(max_epochs=200), X, Y)  # fits a clone
    assert report.verdicts["gain"].name == "undecided"
    assert "parts='all'" in report.verdicts["gain"].advice


@pytest.mark.parametrize(
    ("depends_on", "verdict"), [(["angle"], "identified"), (["force"], "undecided")]
)
def test_a_number_beside_a_function_of_features(depends_on, verdict):
    def growth(force, *, base=1.0, rate=0.5):
        return base * torch.exp(rate * force)

    y = (1.0 + 0.3 * X["angle"]) * np.exp(0.7 * X["force"]) + NOISE
    base = Param(1.0, bounds=(0.0, None), depends_on=depends_on)
    model = make_model(Physics(growth, base=base), max_epochs=120)
    if depends_on == ["force"]:
        y = np.exp(0.7 * X["force"]) + NOISE
    report = identifiability_report(model, X, y)
    assert [*report.verdicts] == ["rate"]
    assert report.verdicts["rate"].name == verdict
    assert "the function base can make up for" in report.verdicts["rate"].reason
    assert "overlap" not in report.details  # there is no correction


def test_the_physics_alone_is_identified_unless_it_misses_something():
    clean = 2.0 * np.sin(2.0 * X["force"]) + NOISE
    assert identifiability_report(make_model(nn=None), X, clean).verdicts["gain"].name == (
        "identified"
    )
    report = identifiability_report(make_model(nn=None), X, Y)
    assert report.residuals.trends == ["angle"]
    assert report.verdicts["gain"].name == "undecided"


def test_physics_alone_has_the_standard_errors_of_its_summary():
    weight = np.linspace(0.5, 2.0, 160)
    model = make_model(Physics(spring, gain=Param(1.0, bounds=(0.0, None))), nn=None)
    model.fit(X, Y, sample_weight=weight)
    report = identifiability_report(model, X, Y, sample_weight=weight)
    assert report.evidence["gain"].standard_error == model.physics_params_std_["gain"]


@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.PoorFitWarning")
@pytest.mark.parametrize("nn", [(4,), None], ids=["hybrid", "physics alone"])
def test_few_rows_identify_nothing(nn):
    n_rows = 12 if nn else 1
    report = identifiability_report(make_model(nn=nn, max_epochs=20), X[:n_rows], Y[:n_rows])
    assert report.verdicts["gain"].name == ("undecided" if nn else "not identified")
    assert "few" in report.verdicts["gain"].reason or "not more values" in str(report)


def test_a_parameter_that_is_zero_has_a_standard_error_and_no_partners():
    def line(force, *, slope=0.0, offset=1.0):
        return slope * force + offset

    force = X["force"].to_numpy()
    flat = 3.0 + 5 * NOISE
    flat -= np.polyfit(force, flat, 1)[0] * force
    report = identifiability_report(make_model(line, nn=None), X[["force"]], flat)
    assert np.isfinite(report.evidence["slope"].standard_error)
    assert report.evidence["slope"].partners == ()
    assert "zero" in report.verdicts["slope"].reason


def test_a_fit_worse_than_the_mean_identifies_nothing():
    with pytest.warns(PoorFitWarning):
        model = make_model(Physics(spring, gain=Param(-1.0, bounds=(None, -1.0))), nn=None)
        model.fit(X, Y)
    report = identifiability_report(model, X, Y)
    assert "worse than the mean" in report.evidence["gain"].misfit


@pytest.mark.parametrize("nn", [(4,), None], ids=["hybrid", "physics alone"])
def test_both_factors_of_a_product_are_named(nn):
    report = identifiability_report(make_model(product, nn=nn, max_epochs=20), X, Y)
    for name, other in (("p", "q"), ("q", "p")):
        assert report.verdicts[name].name == "not identified"
        assert report.evidence[name].partners == (other,)
        assert other in report.verdicts[name].reason


def test_a_pipeline_and_weights(sees_angle):
    weight = np.where(np.arange(160) < 80, 1.0, 0.0)
    model = clone(sees_angle).set_params(max_epochs=20)
    pipeline = make_pipeline(FunctionTransformer(), model)
    report = identifiability_report(pipeline, X, Y, sample_weight=weight)
    half = clone(model).fit(X[:80], Y[:80])
    alone = identifiability_report(half, X[:80], Y[:80])
    assert report.evidence["gain"].value == pytest.approx(alone.evidence["gain"].value, rel=1e-4)
    error = report.evidence["gain"].standard_error
    assert error == pytest.approx(alone.evidence["gain"].standard_error, rel=1e-2)


def test_refits_complete_the_evidence(sees_angle):
    report = identifiability_report(sees_angle, X, Y, parts=["starts", "intervals"], n_replicates=4)
    assert report.parts == ("quick", "intervals", "starts")
    evidence = report.evidence["gain"]
    assert evidence.low < evidence.value < evidence.high
    assert evidence.sampling > 0.0
    assert evidence.over_starts >= 0.0


def test_mistakes_are_named(sees_angle):
    with pytest.raises(ValueError, match=r"'interval'.*Did you mean 'intervals'"):
        identifiability_report(sees_angle, X, Y, parts=["interval"])
    with pytest.raises(ValueError, match="no free physics parameters"):
        identifiability_report(make_model(None, max_epochs=2), X, Y)


def test_values_under_other_assumptions_are_part_of_the_evidence(sees_angle):
    report = identifiability_report(sees_angle, X, Y, parts=["assumptions"])
    opinions = report.evidence["gain"].opinions
    assert [*opinions] == ["small", "orthogonal", "partially linear"]
    # The model is fitted already.
    assert report.details["assumptions"]["own"].values == sees_angle.physics_params_
    assert report.frame.loc["gain", "under partially linear"] == pytest.approx(2.0, abs=0.05)


def test_physics_alone_has_no_other_assumptions():
    report = identifiability_report(make_model(nn=None), X, Y, parts=["assumptions"])
    assert report.parts == ("quick",)
    assert report.evidence["gain"].opinions == {}


def test_a_part_that_cannot_be_made_does_not_end_the_report():
    model = make_model(nn=(2,), max_epochs=3)
    with pytest.warns(PoorFitWarning):
        report = identifiability_report(model, X[:1], Y[:1], parts=["usage", "starts"])
    assert report.parts == ("quick", "starts")
    assert "Folds need two rows" in report.missing["usage"]
    assert "Without usage: Folds" in str(report)
    assert report.to_dict()["missing"] == report.missing


@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.FreeRunWarning")
def test_a_single_trajectory_is_resampled_in_blocks():
    swing = make_pendulum(1, n_times=40, noise=0.05, random_state=0)
    model = HybridRegressor(swing.physics, structure=ODE(dt=swing.dt), nn=None)
    hybrid = clone(model).set_params(nn=(2,), max_epochs=2, random_state=0)
    report = identifiability_report(
        hybrid, swing.data, swing.target, parts=["intervals"], n_replicates=2
    )
    assert not report.missing
    assert report.details["intervals"].bootstrap.kind == "block"


def test_data_that_are_not_those_of_the_fit_are_noticed(sees_angle):
    with pytest.raises(OtherDataWarning):
        identifiability_report(sees_angle, X, Y[::-1].to_numpy())


def test_residuals_that_cannot_be_tested_are_not_called_free_of_trends():
    report = identifiability_report(make_model(nn=None), X[:8], Y[:8])
    assert not report.residuals.tested
    assert "could not be tested" in str(report)


def test_other_rows_than_those_of_the_fit_are_refused(sees_angle):
    with pytest.raises(ValueError, match=r"fitted to 160 rows or windows, and these are 20.*clone"):
        identifiability_report(sees_angle, X[:20], Y[:20])


def test_usage_and_other_assumptions_are_in_the_text(sees_angle):
    losses = {"hybrid": [0.1, 0.1], "physics alone": [0.3, 0.4], "network alone": [0.8, 0.9]}
    usage = PhysicsUsage(
        share={"training": np.array([0.9, 0.9]), "held out": np.array([0.8, 0.8])},
        losses={"all": {model: np.array(each) for model, each in losses.items()}},
        loss=0.1,
        moves={},
    )
    own, small = (Opinion(name, name, {"gain": v}) for name, v in (("own", 2.0), ("small", 1.5)))
    details = {"usage": usage, "assumptions": OtherAssumptions([own, small], ["gain"])}
    report = replace(identifiability_report(sees_angle, X, Y), details=details)
    for text in (" ".join(str(report).split()), report._repr_html_()):
        assert "Usage: The physics explains 90% of what the hybrid explains, and 80%" in text
        assert "The network alone is worse than the hybrid on rows held out" in text
        assert "Other assumptions: gain is between 1.5 and 2 over 2 assumptions" in text
    assert "Usage" not in str(identifiability_report(sees_angle, X, Y))
