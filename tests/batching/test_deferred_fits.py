"""Fits within meta-estimators: deferred while the context variable is set."""

from __future__ import annotations

import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from small_batches import NEW_X, X, Y
from small_searches import quick_model

from skhybrid.batching.batch_training import train_tasks
from skhybrid.batching.deferred_fits import (
    DeferredFits,
    NotTrainedYet,
    deferring,
    open_deferred_fits,
)
from skhybrid.batching.fit_tasks import FitTasks, TrialKeys

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore:`torch.jit:DeprecationWarning"
)


def deferred_fits(owner: int = 0) -> DeferredFits:
    return DeferredFits(FitTasks(), TrialKeys(owner, "key"))


def test_fits_are_deferred_within_the_block_only():
    deferred = deferred_fits()
    assert open_deferred_fits() is None
    with pytest.raises(KeyError), deferring(deferred):
        assert open_deferred_fits() is deferred
        with deferring(deferred_fits()):
            assert open_deferred_fits() is not deferred
        with deferring(None):
            assert open_deferred_fits() is None
            check_is_fitted(quick_model().fit(X, Y))
        assert open_deferred_fits() is deferred
        raise KeyError
    assert open_deferred_fits() is None
    check_is_fitted(quick_model().fit(X, Y))
    assert deferred.tasks.tasks == []


def test_a_deferred_fit_waits_and_is_trained_with_the_others():
    model = quick_model()
    deferred = deferred_fits(owner=3)
    with deferring(deferred):
        assert model.fit(X, Y) is model
    (task,) = deferred.tasks.tasks
    assert task.estimator is model
    assert task.owner == 3
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    train_tasks([task])
    assert (model.predict(NEW_X) == quick_model().fit(X, Y).predict(NEW_X)).all()


def test_fits_that_no_batch_can_train_are_trained_at_once():
    earlier = quick_model(warm_start=True).fit(X, Y)
    alone = [quick_model(nn=None), earlier]
    deferred = deferred_fits()
    with deferring(deferred):
        for model in alone:
            model.fit(X, Y)
    assert deferred.tasks.tasks == []
    for model in alone:
        check_is_fitted(model)
    # A batch can train a model with warm_start=True that has no earlier fit.
    with deferring(deferred):
        quick_model(warm_start=True).fit(X, Y)
    assert len(deferred.tasks.tasks) == 1


def test_using_a_fit_before_its_training_is_an_error():
    model = quick_model()
    fitted = quick_model().fit(X, Y)
    with deferring(deferred_fits()):
        model.fit(X, Y)
        for use in (model.predict, lambda X: model.score(X, Y), check_is_fitted):
            with pytest.raises(NotTrainedYet):
                use(X if use is not check_is_fitted else model)
        assert len(fitted.predict(X)) == 40
    # A meta-estimator that scores takes it neither for a failing nor for an unfitted model.
    assert not issubclass(NotTrainedYet, Exception)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_a_mistake_is_noticed_when_the_fit_is_deferred():
    model = quick_model(nn_features=["nothing"])
    with deferring(deferred_fits()):
        with pytest.raises(ValueError, match="'l2'"):
            quick_model(l2=-1.0).fit(X, Y)
        with pytest.raises(ValueError, match="nothing"):
            model.fit(X, Y)
    assert not hasattr(model, "feature_names_in_")


def test_fits_of_one_trial_differ_by_their_order():
    tasks = FitTasks()
    for owner in range(2):
        with deferring(DeferredFits(tasks, TrialKeys(owner, "key"))):
            for gain in (1.0, 2.0):
                quick_model().fit(X, gain * Y)
    keys = [task.key for task in tasks.tasks]
    assert keys[0] == keys[2] != keys[1] == keys[3]
    prepared = [task.prepared for task in tasks.tasks]
    assert prepared[0] is prepared[2] is not prepared[1] is prepared[3]


def test_other_steps_of_a_pipeline_are_fitted_at_once():
    pipeline = make_pipeline(StandardScaler(), quick_model())
    deferred = deferred_fits()
    with deferring(deferred):
        pipeline.fit(X, Y)
    check_is_fitted(pipeline[0])
    train_tasks(deferred.tasks.tasks)
    expected = make_pipeline(StandardScaler(), quick_model()).fit(X, Y)
    assert pipeline.predict(NEW_X) == pytest.approx(expected.predict(NEW_X), rel=1e-9)
