"""Which fits keep their model after an interrupt: those that the user calls."""

from __future__ import annotations

import multiprocessing
import threading

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.multioutput import RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skhybrid.runtime.interrupts import keeps_interrupted_fit

X = np.random.default_rng(0).normal(size=(20, 2))
Y = X[:, 0]


class Asking(RegressorMixin, BaseEstimator):
    """An estimator that notes whether an interrupt would keep its model."""

    def __init__(self, level=0.0):
        self.level = level

    def fit(self, X, y):
        self.keeps_ = keeps_interrupted_fit()
        return self

    def predict(self, X):
        return np.full(len(X), self.level)


def test_a_fit_that_the_user_calls_keeps_its_model():
    assert Asking().fit(X, Y).keeps_
    assert make_pipeline(StandardScaler(), Asking()).fit(X, Y)[-1].keeps_
    assert (
        TransformedTargetRegressor(Asking(), func=np.exp, inverse_func=np.log)
        .fit(X, Y)
        .regressor_.keeps_
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_interrupt_of_one_fit_of_many_is_raised():
    search = GridSearchCV(Asking(), {"level": [0.0, 1.0]}, cv=2).fit(X, Y)
    assert not search.best_estimator_.keeps_
    within = make_pipeline(StandardScaler(), Asking())
    folds = cross_validate(within, X, Y, cv=2, return_estimator=True)["estimator"]
    assert not any(pipeline[-1].keeps_ for pipeline in folds)
    assert not any(each.keeps_ for each in BaggingRegressor(Asking(), 3).fit(X, Y).estimators_)
    chain = RegressorChain(Asking()).fit(X, np.stack([Y, Y], axis=1))
    assert not any(each.keeps_ for each in chain.estimators_)


def test_an_interrupt_of_a_function_that_joblib_calls_is_raised():
    (model,) = Parallel(n_jobs=1)(delayed(lambda: Asking().fit(X, Y))() for _ in range(1))
    assert not model.keeps_


def test_an_interrupt_in_a_thread_or_a_worker_process_is_raised(monkeypatch):
    model = Asking()
    thread = threading.Thread(target=model.fit, args=(X, Y))
    thread.start()
    thread.join()
    assert not model.keeps_
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: "the user's process")
    assert not Asking().fit(X, Y).keeps_
