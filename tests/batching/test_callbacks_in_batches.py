"""Callbacks and ``verbose`` leave a fit in its batch, and do not change it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import Recorder, StopAfter, same_fit
from small_searches import BOTH_PHASES, NEW_X, X, Y, quick_model
from small_swings import DT, SWINGS, make_swing_model

from skhybrid import ODE, HybridSearchCV
from skhybrid.batching import batch_workers
from skhybrid.batching.batch_training import train_tasks
from skhybrid.batching.fit_tasks import FitTasks, TrialKeys
from skhybrid.runtime import progress

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore:`torch.jit:DeprecationWarning"
)

RADII = (0.02, 0.05, 0.1)


class Predicting(Recorder):
    """Keeps what the model of every epoch predicts."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = []

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        super().on_fit_task_end(
            estimator, context, X=X, y=y, metadata=metadata, fitted_estimator=fitted_estimator
        )
        self.seen.append(fitted_estimator.predict(NEW_X))


class Failing(Recorder):
    """Raises an error after its third epoch."""

    def on_fit_task_end(self, estimator, context):
        if context.task_name.endswith("epoch") and context.task_id == 2:
            raise RuntimeError("full disk")


def trained(models, **options):
    """Train models in one batch; return their tasks."""
    tasks = FitTasks()
    for number, model in enumerate(models):
        tasks.add(model, TrialKeys(number, "key", "same"), 0, X, Y)
    train_tasks(tasks.tasks, **options)
    return tasks.tasks


def radii_of(*callbacks, **settings):
    """Return one model for each radius, each with its own callback or None."""
    models = [quick_model(rho=rho, l2=0.0, **settings) for rho in RADII]
    for model, callback in zip(models, callbacks, strict=True):
        if callback is not None:
            model.set_callbacks(callback)
    return models


@pytest.mark.parametrize(
    "settings",
    [{}, BOTH_PHASES, {**BOTH_PHASES, "n_restarts": 2, "batch_size": 16}],
    ids=["one phase", "two phases", "restarts"],
)
def test_neither_verbose_nor_callbacks_change_a_bit(settings, batches, capsys, monkeypatch):
    for name in ("FIRST_SECONDS", "LINE_SECONDS", "LINE_PART", "COST_FACTOR"):
        monkeypatch.setattr(progress, name, 0.0)
    plain, shown, watched = (
        radii_of(*callbacks, **settings, verbose=verbose)
        for callbacks, verbose in (
            ([None] * 3, 0),
            ([None] * 3, 1),
            ([Predicting(), None, Predicting()], 1),
        )
    )
    for models in (plain, shown, watched):
        trained(models)
    assert batches == [3] * 3
    assert "estimate epoch" in capsys.readouterr().out
    for expected, *others in zip(plain, shown, watched, strict=True):
        for model in others:
            assert same_fit(model, expected, X)


@pytest.mark.parametrize("features", ["all", "different"])
def test_a_callback_sees_its_own_fit(features):
    def given():
        models = radii_of(Predicting(), Predicting(), Predicting(), **BOTH_PHASES, n_restarts=2)
        if features == "different":  # the networks of a batch are padded to the same inputs
            for model, names in zip(models, (["force"], ["angle"], None), strict=True):
                model.set_params(nn_features=names)
        return models

    together, alone = given(), [clone(model) for model in given()]
    trained(together)
    for model, other in zip(together, alone, strict=True):
        own, expected = Predicting(), model._skl_callbacks[0]
        other.set_callbacks(own).fit(X, Y)
        assert [t.task_name for t in own.begun] == [t.task_name for t in expected.begun]
        assert [t.task_name for t in own.ended] == [t.task_name for t in expected.ended]
        for seen, wanted in zip(expected.seen, own.seen, strict=True):
            np.testing.assert_allclose(seen, wanted, rtol=1e-7)
        assert all(estimator_rows is X for estimator_rows, *_ in expected.given)
        assert expected.n_set_up == expected.n_torn_down == 1


@pytest.mark.parametrize("n_epochs", [2, 9])
def test_a_callback_that_stops_stops_its_own_fit(n_epochs, batches):
    settings = {**BOTH_PHASES, "max_epochs": 6}
    stopped, whole = StopAfter(n_epochs), Recorder()
    models = radii_of(None, stopped, whole, **settings)
    trained(models)
    assert batches == [3]
    alone = quick_model(rho=RADII[1], l2=0.0, **settings).set_callbacks(StopAfter(n_epochs))
    alone.fit(X, Y)
    assert models[1].n_iter_ == len(models[1].loss_curve_) == n_epochs == alone.n_iter_
    np.testing.assert_allclose(models[1].loss_curve_, alone.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(models[1].predict(X), alone.predict(X), rtol=1e-7)
    assert models[1].restarts_[0]["status"] == alone.restarts_[0]["status"]
    # The others are the same as without it.
    plain = radii_of(None, None, None, **settings)
    trained(plain)
    for index in (0, 2):
        assert models[index].n_iter_ == 12
        assert same_fit(models[index], plain[index], X)
    assert sum(task.task_name.endswith("epoch") for task in whole.begun) == 12


def test_all_fits_that_stop_end_the_batch():
    models = radii_of(StopAfter(2), StopAfter(4), StopAfter(3), max_epochs=500)
    trained(models)
    assert [model.n_iter_ for model in models] == [2, 4, 3]


def test_a_callback_that_stops_in_an_early_stage_stops_all_later_ones():
    settings = {"structure": ODE(dt=DT, window=(2, 4)), "max_epochs": 6, "refine_rho": 0.0}
    models = [make_swing_model(**settings, rho=rho) for rho in RADII]
    plain = [clone(model) for model in models]
    models[1].set_callbacks(StopAfter(2))
    alone = clone(models[1]).set_callbacks(StopAfter(2)).fit(SWINGS.data, SWINGS.target)
    for group in (models, plain):
        tasks = FitTasks()
        for number, model in enumerate(group):
            tasks.add(model, TrialKeys(number, "key"), 0, SWINGS.data, SWINGS.target)
        train_tasks(tasks.tasks)
    assert models[1].n_iter_ == alone.n_iter_ == 2
    np.testing.assert_allclose(
        models[1].predict(SWINGS.data), alone.predict(SWINGS.data), rtol=1e-7
    )
    for index in (0, 2):
        assert models[index].loss_curve_ == plain[index].loss_curve_


def test_a_callback_that_fails_fails_its_own_fit():
    models = radii_of(None, Failing(), Recorder())
    tasks = trained(models)
    assert [type(task.error) for task in tasks] == [type(None), RuntimeError, type(None)]
    assert not hasattr(models[1], "physics_params_")
    assert models[1]._skl_callbacks[0].n_torn_down == 1
    alone = quick_model(rho=RADII[2], l2=0.0).fit(X, Y)
    np.testing.assert_allclose(models[2].predict(X), alone.predict(X), rtol=1e-9)


def test_no_epoch_is_told_twice_if_a_batch_is_trained_again(monkeypatch):
    together = batch_workers.train_together

    def train(fits, *, observer, **options):
        def failing(phase, epoch, *state):
            asked = observer(phase, epoch, *state)
            if len(fits) > 1 and epoch == 3:
                raise RuntimeError("a shape")
            return asked

        return together(fits, observer=failing, **options)

    monkeypatch.setattr(batch_workers, "train_together", train)
    recorders = [Recorder(), Recorder(), StopAfter(2)]
    models = radii_of(*recorders, max_epochs=5)
    trained(models)
    for recorder in recorders[:2]:
        epochs = [task.task_id for task in recorder.begun if task.parent is not None]
        assert epochs == [0, 1, 2, 3, 4]
    assert [model.n_iter_ for model in models] == [5, 5, 2]


# Searches


def percentages(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"(\d+)%", text)]


def test_the_progress_bar_of_a_search_follows_the_training(capsys, batches):
    pytest.importorskip("rich")
    search = HybridSearchCV(quick_model(max_epochs=20), {"rho": RADII}, cv=2)
    search.set_callbacks(ProgressBar()).fit(X, Y)
    shown = capsys.readouterr().out
    assert batches == [6]
    last = shown.split("HybridSearchCV - fit")[-1]
    assert last.count("candidate-split-evaluation | HybridRegressor - fit") == 6
    assert "refit-with-best-params | HybridRegressor - fit" in last
    assert set(percentages(last)) == {100}


class Tree(Recorder):
    """An auto-propagated callback that keeps the tasks as a tree."""

    max_propagation_depth = None

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context)

    def paths(self) -> tuple[list[str], list[str]]:
        """Return the paths of all tasks that begun and that ended, sorted."""

        def path(task):
            name = task.estimator_name.replace("HybridSearchCV", "GridSearchCV")
            own = f"{name}.{task.task_name}.{task.task_id}"
            return own if task.parent is None else f"{path(task.parent)}/{own}"

        return sorted(map(path, self.begun)), sorted(map(path, self.ended))


@pytest.mark.parametrize(
    "model",
    [
        quick_model(max_epochs=3),
        make_pipeline(StandardScaler().set_output(transform="pandas"), quick_model(max_epochs=3)),
        quick_model(nn=None),
    ],
    ids=["model", "pipeline", "physics alone"],
)
def test_propagated_callbacks_see_the_tasks_of_grid_search(model, batches):
    name = "hybridregressor__l2" if hasattr(model, "steps") else "l2"
    trees = []
    for search_class in (HybridSearchCV, GridSearchCV):
        tree = Tree()
        search_class(model, {name: [0.0, 0.1]}, cv=2).set_callbacks(tree).fit(X, Y)
        trees.append(tree)
        assert tree.n_set_up == tree.n_torn_down == 1
    ours, theirs = (tree.paths() for tree in trees)
    assert ours == theirs
    if getattr(model, "nn", "network") is not None:
        assert batches == [4]


def test_the_scores_of_a_search_do_not_change_through_callbacks(capsys):
    grid = {"rho": RADII}
    plain = HybridSearchCV(quick_model(), grid, cv=2).fit(X, Y)
    watched = HybridSearchCV(
        quick_model(verbose=1).set_callbacks(Recorder()), grid, cv=2, verbose=1
    )
    watched.fit(X, Y)
    for split in ("split0_test_score", "split1_test_score"):
        assert (watched.cv_results_[split] == plain.cv_results_[split]).all()
