"""Fits that are collected, and then trained side by side."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from small_models import drive, make_model, make_table

from skhybrid import HybridRegressor
from skhybrid.batching import batch_training
from skhybrid.batching.batch_training import _tasks, train_collected
from skhybrid.batching.deferred_fits import (
    Collected,
    DeferredFits,
    NotTrainedYet,
    open_deferred_fits,
    training_at_once,
)
from skhybrid.exceptions import SerialMembersWarning, TrainingError

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore:`torch.jit:DeprecationWarning"
)

X, Y = make_table()
NEW_X, _ = make_table(15, seed=1)


def quick_model(**settings) -> HybridRegressor:
    return make_model(**{"max_epochs": 3, "physics_init": "given", **settings})


def collect(models: Sequence[HybridRegressor], rows: Sequence = ((X, Y),)) -> DeferredFits:
    """Return a collector that has taken the models, each with its rows or all with the same."""
    collector = DeferredFits()
    for number, model in enumerate(models):
        with collector.open(number, "kind", "start"):
            model.fit(*rows[number % len(rows)])
    return collector


def assert_fitted_as_alone(model: HybridRegressor, rows=(X, Y)) -> None:
    alone = clone(model).fit(*rows)
    np.testing.assert_allclose(model.predict(NEW_X), alone.predict(NEW_X), rtol=1e-9)
    assert model.physics_params_ == pytest.approx(alone.physics_params_, rel=1e-9)
    assert model.loss_curve_ == pytest.approx(alone.loss_curve_, rel=1e-9)
    assert model.loss_ == pytest.approx(alone.loss_, rel=1e-9)
    assert model.n_iter_ == alone.n_iter_
    assert [each["status"] for each in model.restarts_] == [
        each["status"] for each in alone.restarts_
    ]
    np.testing.assert_array_equal(model.feature_names_in_, alone.feature_names_in_)


# Collecting


def test_a_fit_that_is_collected_is_prepared_and_waits():
    model = quick_model()
    collector = collect([model])
    (each,) = collector.collected
    assert each.estimator is model
    assert each.owner == 0
    assert each.seconds is each.error is None
    assert len(each.prepared.data.y) == 40
    assert list(model.feature_names_in_) == ["force", "angle"]
    with pytest.raises(NotFittedError):
        check_is_fitted(model)


def test_a_collector_is_open_within_its_block_only():
    collector = DeferredFits()
    assert open_deferred_fits() is None
    with pytest.raises(KeyError), collector.open(0, "kind", None):
        assert open_deferred_fits() is collector
        with DeferredFits().open(0, "kind", None):
            assert open_deferred_fits() is not collector
        with training_at_once():
            assert open_deferred_fits() is None
            check_is_fitted(quick_model().fit(X, Y))
        assert open_deferred_fits() is collector
        raise KeyError
    assert open_deferred_fits() is None
    check_is_fitted(quick_model().fit(X, Y))
    assert collector.collected == []


def test_what_is_to_be_trained_alone_is_trained_at_once(capsys):
    earlier = quick_model(warm_start=True).fit(X, Y)
    alone = [quick_model(nn=None), quick_model(verbose=1), earlier]
    collector = collect(alone)
    assert collector.collected == []
    for model in alone:
        check_is_fitted(model)
    # Without a fit to go on from, there is nothing against it.
    assert len(collect([quick_model(warm_start=True)]).collected) == 1


def test_who_uses_a_fit_too_early_is_told_so():
    model = quick_model()
    fitted = quick_model().fit(X, Y)
    with DeferredFits().open(0, "kind", None):
        model.fit(X, Y)
        for use in (model.predict, lambda X: model.score(X, Y), check_is_fitted):
            with pytest.raises(NotTrainedYet):
                use(X if use is not check_is_fitted else model)
        assert len(fitted.predict(X)) == 40
    # What scores within a fit takes it neither for a failure nor for a model that is not fitted.
    assert not issubclass(NotTrainedYet, Exception)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_a_mistake_is_noticed_when_the_fit_is_collected():
    with pytest.raises(ValueError, match="'l2'"):
        collect([quick_model(l2=-1.0)])
    model = quick_model(nn_features=["nothing"])
    with pytest.raises(ValueError, match="nothing"):
        collect([model])
    assert not hasattr(model, "feature_names_in_")


def test_fits_of_one_owner_can_be_forgotten():
    collector = collect([quick_model(), quick_model(), quick_model()])
    collector.discard(1)
    assert [each.owner for each in collector.collected] == [0, 2]


def test_what_is_prepared_once_serves_all_with_the_same_start_and_rows():
    calls = []

    def counted(force, *, gain=1.0):
        calls.append(len(force))
        return gain * force

    models = [quick_model(physics=counted, rho=rho) for rho in (0.0, 0.02, 0.05)]
    collector = collect(models[:1])
    n_calls = len(calls)
    assert n_calls > 0
    calls.clear()
    first, second, third = collect(models).collected
    assert len(calls) == n_calls
    assert first.prepared is second.prepared is third.prepared
    # Every one has a network of its own to hold what it learns.
    networks = {id(each.fit.problem.hybrid.network) for each in (first, second, third)}
    assert len(networks) == 3
    assert len(collector.collected) == 1


def test_equal_rows_are_the_same_and_others_are_not():
    rows = [(X, Y), (X.copy(), Y.copy()), (X + 1e-9, Y), (X, Y + 1e-9), (X, Y, np.ones(40))]
    collector = collect([quick_model() for _ in rows], rows)
    prepared = [each.prepared for each in collector.collected]
    assert prepared[0] is prepared[1]
    assert len({id(each) for each in prepared}) == 4


def test_fits_of_one_owner_are_told_apart():
    collector = DeferredFits()
    for owner in range(2):
        with collector.open(owner, "kind", None):
            for gain in (1.0, 2.0):
                quick_model().fit(X, gain * Y)
    kinds = [each.kind for each in collector.collected]
    assert kinds[0] == kinds[2] != kinds[1] == kinds[3]
    prepared = [each.prepared for each in collector.collected]
    assert prepared[0] is prepared[2] is not prepared[1] is prepared[3]


def test_other_steps_of_a_pipeline_are_fitted_as_ever():
    pipeline = make_pipeline(StandardScaler(), quick_model())
    collector = DeferredFits()
    with collector.open(0, "kind", None):
        pipeline.fit(X, Y)
    check_is_fitted(pipeline[0])
    train_collected(collector.collected)
    expected = make_pipeline(StandardScaler(), quick_model()).fit(X, Y)
    np.testing.assert_allclose(pipeline.predict(NEW_X), expected.predict(NEW_X), rtol=1e-9)


# Chunks


@pytest.mark.parametrize("n", [1, 2, 7, 10, 64])
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_portions_are_few_and_about_equally_large(n, size):
    found = [*chunks(range(n), size)]
    assert [number for chunk in found for number in chunk] == [*range(n)]
    lengths = [len(chunk) for chunk in found]
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1
    assert len(found) == -(-n // size)


def chunks(collected: Sequence[Collected], n_jobs=1, max_members=None) -> list[int]:
    tasks = [*_tasks(collected, n_jobs, max_members)]
    found = [each for chunk, *_ in tasks for each in chunk]
    assert sorted(map(id, found)) == sorted(map(id, collected))
    return [len(chunk) for chunk, *_ in tasks]


@pytest.fixture(scope="module")
def ten() -> list[Collected]:
    return collect([quick_model(rho=0.01 + 0.01 * number) for number in range(10)]).collected


@pytest.mark.parametrize(
    ("max_members", "sizes"),
    [(None, [10]), (10, [10]), (9, [5, 5]), (4, [3, 4, 3]), (3, [2, 3, 2, 3]), (1, [1] * 10)],
)
def test_a_chunk_has_as_many_fits_as_are_allowed(ten, max_members, sizes):
    found = chunks(ten, max_members=max_members)
    assert sorted(found) == sorted(sizes)


def test_every_process_gets_an_equal_share(ten):
    assert chunks(ten, n_jobs=2) == [5, 5]
    assert sorted(chunks(ten, n_jobs=3)) == [3, 3, 4]
    assert sorted(chunks(ten, n_jobs=2, max_members=3)) == [2, 2, 3, 3]
    assert chunks(ten, n_jobs=20) == [1] * 10


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"n_restarts": 2}, 6),
        ({"n_restarts": 5}, 2),
        ({"n_restarts": 13}, 1),
        # The second phase, which takes members for five folds, is portioned where it is trained.
        ({"refine_rho": 0.0, "n_restarts": 4}, 3),
    ],
)
def test_restarts_count_as_members(settings, size):
    models = [quick_model(**settings, rho=0.01 + 0.01 * number) for number in range(12)]
    assert max(chunks(collect(models).collected, max_members=12)) == size


def test_what_cannot_be_trained_together_is_in_chunks_of_its_own():
    settings = [{}, {"rho": 0.0}, {"n_restarts": 2}, {"n_threads": 2}, {"max_epochs": 4}]
    collector = DeferredFits()
    for number, each in enumerate(settings * 2):
        with collector.open(number, "kind", number):
            quick_model(**each).fit(X, Y)
    assert chunks(collector.collected) == [2] * 5
    by_kind = DeferredFits()
    for kind in ("one", "other"):
        with by_kind.open(0, kind, None):
            quick_model().fit(X, Y)
    assert chunks(by_kind.collected) == [1, 1]


def test_fits_of_unequal_folds_share_a_chunk_if_their_minibatches_are_alike():
    models = [quick_model(batch_size=7) for _ in range(3)]
    rows = [(X[:n], Y[:n]) for n in (26, 27, 20)]
    assert sorted(chunks(collect(models, rows).collected)) == [1, 2]


def test_memory_limits_the_members(ten, monkeypatch):
    (one,) = collect([quick_model()]).collected
    needed = batch_training.member_bytes(one.fit.problem, one.fit.starts[0], one.fit.config)
    monkeypatch.setattr(batch_training, "MEMORY_LIMIT", 4 * needed)
    assert max(chunks(ten)) == 4
    monkeypatch.setattr(batch_training, "MEMORY_LIMIT", 1)
    assert chunks(ten) == [1] * 10
    # What the user says goes first.
    assert chunks(ten, max_members=10) == [10]


def test_more_members_than_are_fast_are_not_trained_at_once(monkeypatch, ten):
    monkeypatch.setattr(batch_training, "FAST_MEMBERS", 5)
    assert chunks(ten) == [5, 5]


# Training


def test_fits_that_were_collected_become_those_of_estimators_that_were_fitted():
    models = [
        quick_model(rho=0.02, random_state=1),
        quick_model(rho=0.05, l2=0.1),
        quick_model(nn_features=["angle"], learning_rate=0.03),
        quick_model(n_restarts=2),
        quick_model(refine_rho=0.0, batch_size=10),
        quick_model(early_stopping=True, validation_fraction=0.3),
    ]
    collector = DeferredFits()
    for number, model in enumerate(models):
        # What they are prepared for differs.
        with collector.open(number, "kind", number):
            model.fit(X, Y)
    reported = []
    train_collected(collector.collected, done=lambda chunk: reported.append(len(chunk)))
    assert sorted(reported) == [1, 1, 1, 3]
    for model, each in zip(models, collector.collected, strict=True):
        assert each.error is None
        assert each.seconds > 0
        assert_fitted_as_alone(model)


def test_nothing_collected_is_nothing_to_train():
    train_collected([], done=lambda chunk: pytest.fail("nothing has been trained"))


def broken(collected: Collected) -> None:
    """Give a fit a start that no model has."""
    (start,) = collected.fit.starts
    weights = {name: value[..., :1] for name, value in start.weights.items()}
    collected.fit = replace(collected.fit, starts=[replace(start, weights=weights)])


def test_a_fit_that_fails_does_not_fail_its_neighbours():
    models = [quick_model(rho=rho) for rho in (0.02, 0.03, 0.05)]
    collector = collect(models)
    broken(collector.collected[1])
    assert chunks(collector.collected) == [3]
    train_collected(collector.collected)
    errors = [each.error for each in collector.collected]
    assert errors[0] is errors[2] is None
    assert isinstance(errors[1], Exception)
    assert not hasattr(models[1], "physics_params_")
    assert_fitted_as_alone(models[0])
    assert_fitted_as_alone(models[2])


def test_a_fit_without_usable_parameters_is_an_error_of_its_own():
    models = [quick_model(learning_rate=rate) for rate in (0.01, 1e308)]
    collector = collect(models)
    train_collected(collector.collected)
    first, second = collector.collected
    assert first.error is None
    assert isinstance(second.error, TrainingError)
    assert "1e+308" in str(second.error)
    assert_fitted_as_alone(models[0])


def test_fits_are_given_back_as_soon_as_they_are_trained(monkeypatch):
    models = [quick_model(rho=0.01 * number) for number in range(1, 6)]
    collector = collect(models)
    seen = []

    def done(chunk):
        seen.append([hasattr(model, "physics_params_") for model in models])
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_collected(collector.collected, max_members=2, done=done)
    assert [sum(each) for each in seen] == [2, 3]
    finished = [each.seconds is not None for each in collector.collected]
    assert finished == seen[-1]


def test_the_generators_of_torch_and_the_threads_are_as_before():
    collector = collect([quick_model(), quick_model(n_threads=2)])
    torch.manual_seed(5)
    state, n_threads = torch.get_rng_state(), torch.get_num_threads()
    train_collected(collector.collected)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == n_threads


def branching(force, *, gain=1.0):
    return gain * force if float(gain.detach()) < 100 else force


def test_what_cannot_be_vectorised_is_said_once_for_all_chunks():
    models = [quick_model(physics=branching, rho=0.01 * number) for number in range(1, 7)]
    collector = collect(models)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train_collected(collector.collected, max_members=2)
    said = [each for each in caught if each.category is SerialMembersWarning]
    assert len(said) == 1
    for model in models[::5]:
        assert_fitted_as_alone(model)


def test_physics_that_fails_where_memory_is_measured_fails_its_fits_only(monkeypatch):
    def failing(*args):
        raise RuntimeError("no derivative")

    monkeypatch.setattr(batch_training, "member_bytes", failing)
    model = quick_model(physics=drive)
    train_collected(collect([model]).collected)
    assert_fitted_as_alone(model)
