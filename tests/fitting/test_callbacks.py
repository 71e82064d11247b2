"""A running fit calls scikit-learn's callbacks."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import Recorder, StopAfter, drive_two, make_model, make_table

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

X, Y = make_table()
WEIGHT = np.linspace(1.0, 2.0, len(Y))
NEW_X, _ = make_table(15, seed=1)


def test_callbacks_and_verbose_do_not_change_the_fit(capsys):
    plain = make_model(refine_rho=0.0).fit(X, Y)
    watched = make_model(refine_rho=0.0, verbose=1).set_callbacks(Recorder()).fit(X, Y)
    assert watched.loss_curve_ == plain.loss_curve_
    np.testing.assert_array_equal(watched.predict(X), plain.predict(X))


def epochs_of(recorder: Recorder) -> list:
    return [task.task_name for task in recorder.ended if task.parent is not None]


def test_every_epoch_of_both_phases_is_a_task():
    recorder = Recorder()
    model = make_model(refine_rho=0.0, n_restarts=2).set_callbacks(recorder).fit(X, Y, WEIGHT)
    assert epochs_of(recorder) == ["estimate-epoch"] * 20 + ["refine-epoch"] * 20
    assert [task.task_id for task in recorder.ended[:-1]] == list(range(40))
    fit = recorder.begun[0]
    assert fit.task_name == "fit"
    assert fit.parent is None
    assert fit.max_subtasks == model.n_iter_ == 40
    assert recorder.ended[-1] is fit
    assert len(recorder.begun) == len(recorder.ended)
    assert recorder.n_set_up == recorder.n_torn_down == 1
    for table, target, metadata in recorder.given:
        assert table is X
        assert target is Y
        assert metadata == {"sample_weight": WEIGHT}


def test_second_phase_is_announced_only_if_there_is_one():
    recorder = Recorder()
    model = make_model(refine_rho=0.0).set_callbacks(recorder).fit(X[:20], Y[:20])
    assert epochs_of(recorder) == ["estimate-epoch"] * 20
    assert recorder.begun[0].max_subtasks == model.n_iter_ == 20
    recorder = Recorder()
    model.set_params(early_stopping=True, n_iter_no_change=50).set_callbacks(recorder)
    model.fit(X[:20], Y[:20])
    assert recorder.begun[0].max_subtasks == model.n_iter_ == 40


@pytest.mark.parametrize("structure", ["additive", "serial"])
@pytest.mark.parametrize("n_restarts", [1, 2])
@pytest.mark.parametrize("refine_rho", [None, 0.0])
def test_model_given_to_a_callback_does_not_change_later(structure, n_restarts, refine_rho):
    class Predictor(Recorder):
        def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
            super().on_fit_task_end(
                estimator, context, X=X, y=y, metadata=metadata, fitted_estimator=fitted_estimator
            )
            self.seen.append(fitted_estimator.predict(NEW_X))

    recorder = Predictor()
    recorder.seen = []
    settings = {"structure": structure, "n_restarts": n_restarts, "refine_rho": refine_rho}
    model = make_model(max_epochs=5, **settings).fit(X, 2.0 * Y)
    model.set_callbacks(recorder).fit(X, Y)
    for epoch, (fitted, seen) in enumerate(zip(recorder.models, recorder.seen, strict=True), 1):
        np.testing.assert_array_equal(fitted.predict(NEW_X), seen)
        assert fitted is not model
        assert fitted.n_iter_ == len(fitted.loss_curve_) == min(epoch, model.n_iter_)
    if n_restarts == 1:
        first, second = recorder.models[:2]
        assert first.physics_params_ != second.physics_params_
        assert first.loss_curve_ == model.loss_curve_[:1]
    if n_restarts == 1 and refine_rho is None:
        np.testing.assert_allclose(recorder.seen[4], model.predict(NEW_X), rtol=1e-12)
    np.testing.assert_array_equal(recorder.seen[-1], model.predict(NEW_X))
    assert recorder.models[-1].restarts_ == model.restarts_


def test_physics_alone_is_one_task():
    recorder = Recorder()
    model = make_model(nn=None).set_callbacks(recorder).fit(X, Y)
    assert [task.task_name for task in recorder.begun] == ["fit"]
    assert recorder.begun == recorder.ended
    np.testing.assert_array_equal(recorder.models[0].predict(X), model.predict(X))


def test_a_failed_fit_tears_callbacks_down():
    recorder = Recorder()
    model = make_model(physics=drive_two).set_callbacks(recorder)
    with pytest.raises(ValueError, match="must return shape"):
        model.fit(X, Y)
    # It fails before the first task.
    assert recorder.n_set_up == recorder.n_torn_down == 0

    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("full disk")

    recorder = Failing()
    with pytest.raises(RuntimeError, match="full disk"):
        make_model().set_callbacks(recorder).fit(X, Y)
    assert recorder.n_set_up == recorder.n_torn_down == 1


@pytest.mark.parametrize("settings", [{}, {"refine_rho": 0.0}, {"n_restarts": 2}], ids=str)
def test_callback_stops_the_fit(settings):
    model = make_model(**settings).set_callbacks(StopAfter(4)).fit(X, Y)
    assert model.n_iter_ == len(model.loss_curve_) == 4
    assert {restart["n_iter"] for restart in model.restarts_} == {4}
    assert np.isfinite(model.predict(X)).all()


def test_callback_stops_the_second_phase():
    model = make_model(refine_rho=0.0).set_callbacks(StopAfter(23)).fit(X, Y)
    assert model.n_iter_ == 23
    assert model.restarts_[0]["n_iter"] == 20


def test_callback_stops_the_fits_of_a_search():
    model = make_model().set_callbacks(StopAfter(3))
    search = GridSearchCV(model, {"rho": [0.0, 0.05]}, cv=2, error_score="raise")
    search.fit(X, Y)
    assert search.best_estimator_.n_iter_ == 3
    # After three epochs the fit is worse than after all.
    whole = GridSearchCV(make_model(), {"rho": [0.0, 0.05]}, cv=2).fit(X, Y)
    assert search.best_score_ != whole.best_score_


# scikit-learn's own callbacks.


def percentages(text: str) -> list[str]:
    return re.findall(r"(\d+)%", text)


@pytest.mark.parametrize(
    "model",
    [
        make_model(refine_rho=0.0),
        make_model(nn=None),
        make_model().set_callbacks(StopAfter(5)),
        make_pipeline(StandardScaler().set_output(transform="pandas"), make_model()),
        GridSearchCV(make_model(), {"nn": [(6,), None]}, cv=2),
    ],
    ids=["two phases", "physics alone", "stopped", "pipeline", "search"],
)
def test_progress_bar_reaches_the_end(model, capsys):
    pytest.importorskip("rich")
    kept = getattr(model, "_skl_callbacks", [])
    model.set_callbacks(*kept, ProgressBar()).fit(X, Y)
    shown = capsys.readouterr().out
    assert "HybridRegressor - fit" in shown
    assert set(percentages(shown.split("HybridRegressor - fit")[-1])) == {"100"}


def test_scoring_monitor_follows_the_score():
    monitor = ScoringMonitor(scoring="r2")
    model = make_model(refine_rho=0.0).set_callbacks(monitor).fit(X, Y)
    log = monitor.get_logs().data_as_pandas
    assert len(log) == model.n_iter_ + 1
    assert log["r2"].iloc[0] == pytest.approx(model.score(X, Y))
    epochs = log[log["task_name"].str.endswith("epoch")]["r2"].to_numpy()
    assert epochs[-1] > epochs[0]


def test_scoring_monitor_in_a_search():
    monitor = ScoringMonitor(scoring="neg_mean_squared_error")
    model = make_model(max_epochs=4).set_callbacks(monitor)
    GridSearchCV(model, {"nn": [(6,), None]}, cv=2).fit(X, Y)
    log = monitor.get_logs().data_as_pandas
    # Two folds and two models, of which one has epochs and is, or is not, fitted again.
    assert (log["task_name"] == "estimate-epoch").sum() in (8, 12)
    assert np.isfinite(log["neg_mean_squared_error"]).all()
