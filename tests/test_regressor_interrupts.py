"""An interrupt from the keyboard during a fit: a warning and a usable model, or the interrupt."""

from __future__ import annotations

import os
import signal
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from small_models import Interrupt, StopAfter, make_model, make_table

from skhybrid import HybridSearchCV
from skhybrid.batching import auto_parameters
from skhybrid.exceptions import FitInterruptedWarning, SearchInterruptedWarning

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning",
    "ignore::skhybrid.exceptions.SerialMembersWarning",
)

X, Y = make_table()
TEXT = "interrupted from the keyboard"


class InterruptAfter(StopAfter):
    """A callback that raises an interrupt once, after an epoch of a phase."""

    def __init__(self, n_epochs: int, phase: str = "estimate") -> None:
        super().__init__(n_epochs)
        self.phase = phase
        self.n_left = n_epochs

    def on_fit_task_end(self, estimator, context):
        self.n_left -= context.task_name == f"{self.phase}-epoch"
        if self.n_left == 0:
            self.n_left = -1
            raise KeyboardInterrupt
        return False


class StopIn(InterruptAfter):
    """A callback that ends training there."""

    def on_fit_task_end(self, estimator, context):
        self.n_left -= context.task_name == f"{self.phase}-epoch"
        return self.n_left == 0


def interrupted(model, after, X=X, y=Y):
    with pytest.warns(FitInterruptedWarning) as caught:
        model.set_callbacks(after).fit(X, y)
    (warning,) = [each for each in caught if each.category is FitInterruptedWarning]
    assert warning.filename == __file__
    return str(warning.message)


@pytest.mark.parametrize(
    ("phase", "n_iter", "settings"),
    [
        ("estimate", 7, {}),
        ("estimate", 7, {"early_stopping": True}),
        ("estimate", 7, {"optimizer": "adam"}),
        ("refine", 27, {}),
        ("refine", 27, {"early_stopping": True}),
    ],
)
def test_an_interrupted_fit_equals_one_that_a_callback_stops(phase, n_iter, settings):
    model = make_model(n_restarts=2, refine_rho=0.0, batch_size=10, **settings)
    expected = clone(model).set_callbacks(StopIn(7, phase)).fit(X, Y)
    text = interrupted(model, InterruptAfter(7, phase))
    assert "after 7 of 20 epochs" in text
    assert ("second phase. The physics parameters are from" in text) == (phase == "refine")
    assert model.physics_params_ == expected.physics_params_
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    assert model.loss_ == expected.loss_
    assert model.loss_curve_ == expected.loss_curve_
    assert model.n_iter_ == len(model.loss_curve_) == n_iter
    status = [each["status"] for each in model.restarts_]
    assert status.count(TEXT) == (2 if phase == "estimate" else 1)
    assert [each["n_iter"] for each in model.restarts_] == [
        each["n_iter"] for each in expected.restarts_
    ]


def law_interrupted(n_calls):
    """Return physics that raises an interrupt at an evaluation, and a list to count them."""
    counted = []

    def law(force, *, gain=1.0, offset=0.1):
        counted.append(None)
        if len(counted) == n_calls:
            raise KeyboardInterrupt
        return gain * force + offset

    return law, counted


def test_an_interrupt_within_an_epoch_leaves_the_epoch_before():
    law, counted = law_interrupted(np.inf)
    whole = make_model(physics=law, batch_size=10).fit(X, Y)
    law, _ = law_interrupted(len(counted) - 40)  # four evaluations an epoch
    model = make_model(physics=law, batch_size=10)
    with pytest.warns(FitInterruptedWarning):
        model.fit(X, Y)
    assert 10 < model.n_iter_ < 20
    assert model.loss_curve_ == whole.loss_curve_[: model.n_iter_]
    stopped = make_model(batch_size=10).set_callbacks(StopAfter(model.n_iter_)).fit(X, Y)
    assert model.physics_params_ == pytest.approx(stopped.physics_params_, rel=1e-12)
    np.testing.assert_allclose(model.predict(X), stopped.predict(X), rtol=1e-12)


@pytest.mark.parametrize("moment", ["reading", "least squares", "first epoch", "physics alone"])
def test_before_the_first_epoch_is_complete_the_estimator_stays_as_it_was(moment):
    model = make_model().fit(X, Y)
    before, prediction = dict(vars(model)), model.predict(X)
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    nn = None if moment == "physics alone" else (6,)
    law, counted = law_interrupted(np.inf)
    make_model(physics=law, max_epochs=1, optimizer="adam").fit(X, Y)
    n_calls = {"first epoch": len(counted) - 3}.get(moment, 2)
    if moment == "reading":
        law, _ = law_interrupted(1)
    else:
        law, _ = law_interrupted(n_calls)
    model.set_params(physics=law, nn=nn, optimizer="adam", max_epochs=1)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X.to_numpy()[:, ::-1], Y)
    fitted = [name for name in before if name.endswith("_") or name == "_fitted"]
    assert all(vars(model)[name] is before[name] for name in fitted)
    np.testing.assert_array_equal(model.predict(X), prediction)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_second_interrupt_is_raised():
    with pytest.raises(KeyboardInterrupt):
        make_model().set_callbacks(Interrupt(1)).fit(X, Y)


def test_a_warm_start_continues_an_interrupted_fit():
    model = make_model(max_epochs=200, warm_start=True)
    text = interrupted(model, InterruptAfter(20))
    assert "set warm_start=True and fit again" in text
    before = model.loss_
    model.set_callbacks().fit(X, Y)
    assert model.loss_ < 0.5 * before
    assert abs(model.physics_params_["gain"] - 2.0) < 0.2


def test_a_real_signal_ends_a_long_fit():
    class Signal(InterruptAfter):
        def on_fit_task_end(self, estimator, context):
            self.n_left -= 1
            if self.n_left == 0:
                os.kill(os.getpid(), signal.SIGINT)
            return self.n_left < -1000

    # A process started in the background ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        model = make_model(max_epochs=2000)
        interrupted(model, Signal(30))
    finally:
        signal.signal(signal.SIGINT, before)
    assert 29 <= model.n_iter_ < 1000
    assert model.restarts_[0]["status"] == TEXT
    assert np.isfinite(model.predict(X)).all()


# Many fits.


def test_an_interrupt_ends_searches_of_scikit_learn():
    model = make_model(max_epochs=3)
    for run in (
        lambda: GridSearchCV(model, {"rho": [0.0, 0.05]}, cv=2).fit(X, Y),
        lambda: cross_val_score(model, X, Y, cv=2),
    ):
        model.set_callbacks(InterruptAfter(2))
        with warnings.catch_warnings(), pytest.raises(KeyboardInterrupt):
            warnings.simplefilter("error", FitInterruptedWarning)
            run()


def test_an_interrupt_of_a_model_that_a_search_trains_alone_ends_the_search():
    model = make_model(max_epochs=3).set_callbacks(InterruptAfter(2))
    search = HybridSearchCV(model, {"rho": [0.0, 0.05]}, cv=2)
    with (
        pytest.warns(SearchInterruptedWarning, match="0 of 4 fits") as caught,
        pytest.raises(KeyboardInterrupt),
    ):
        search.fit(X, Y)
    assert not [each for each in caught if each.category is FitInterruptedWarning]


# Parameters that are "auto".


@pytest.fixture
def interrupt_choice(monkeypatch):
    """Raise an interrupt in the comparison with this number."""
    results = auto_parameters.Comparison.results
    monkeypatch.setattr(auto_parameters, "RADII", (0.0, 0.1))

    def at(number):
        done = []

        def interrupted(comparison, candidates):
            done.append(None)
            if len(done) == number:
                raise KeyboardInterrupt
            return results(comparison, candidates)

        monkeypatch.setattr(auto_parameters.Comparison, "results", interrupted)

    return at


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "The choice of rho='auto' .* defaults rho=0.05, l2=0.0"),
        (2, "The choice of l2='auto' .* the default l2=0.0"),
    ],
)
def test_an_interrupted_choice_leaves_the_defaults(number, text, interrupt_choice):
    interrupt_choice(number)
    model = make_model(rho="auto", l2="auto", max_epochs=5)
    with pytest.warns(FitInterruptedWarning, match=text):
        model.fit(X, Y)
    assert model.l2_ == 0.0
    assert len(model.l2_path_["l2"]) == 0
    if number == 1:
        assert model.rho_ == 0.05
        assert len(model.rho_path_["score"]) == 0
    else:
        assert len(model.rho_path_["score"]) == 2
    fitted = make_model(rho=model.rho_, max_epochs=5).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), fitted.predict(X))
    assert model.restarts_[0]["status"] != TEXT


def test_an_interrupted_choice_within_a_search_ends_the_search(interrupt_choice):
    interrupt_choice(1)
    model = make_model(rho="auto", max_epochs=2)
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(model, X, Y, cv=2)


def test_after_the_choice_another_interrupt_ends_the_fit(interrupt_choice):
    interrupt_choice(1)
    model = make_model(rho="auto").set_callbacks(InterruptAfter(4))
    with pytest.warns(FitInterruptedWarning) as caught:
        model.fit(X, Y)
    messages = [str(each.message) for each in caught if each.category is FitInterruptedWarning]
    assert len(messages) == 2
    assert "Another interrupt ends it" in messages[0]
    assert (model.rho_, model.n_iter_) == (0.05, 4)
