"""Whole fits: which restart is kept, how the two phases follow each other, and several at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_fits import (
    assert_same_results,
    is_defined,
    make_config,
    make_data,
    make_doomed_problem,
    make_hybrid,
    make_problem,
    make_starts,
    starts_of,
)
from small_trajectories import SmallTrajectories, make_oscillations
from torch.testing import assert_close

from skhybrid.model.batch import Batch
from skhybrid.training import multistart
from skhybrid.training.multistart import train_together
from skhybrid.training.non_finite import NonFiniteGuard
from skhybrid.training.problem import Fit, Problem
from skhybrid.training.refinement import refine
from skhybrid.training.result import FitResult, Status

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

N_STARTS = 4
# The number and size of the minibatches are the same for 27 to 32 rows.
SCHEDULE = {"n_rows": 27, "n_batches": 3, "n_epochs": 6}


@pytest.fixture
def data():
    return make_data()


@pytest.fixture
def hybrid(data):
    return make_hybrid(data)


@pytest.fixture
def starts(hybrid):
    return make_starts(hybrid, N_STARTS)


def train_one(problem, starts, config, refinement, observer=None, earlier=()) -> FitResult:
    """Return the result of a single fit."""
    fit = Fit(problem, starts, config, refinement, earlier)
    return train_together([fit], observer=observer)[0]


def predicted_by(hybrid, x, start) -> Batch:
    """Return rows on which this start makes no error."""
    with torch.no_grad():
        return Batch(x, hybrid(x, start.coordinates, start.weights), None)


def without_steps(n_members=N_STARTS):
    """Return a configuration under which no parameter moves."""
    return make_config(n_members, learning_rate=0.0, physics_learning_rate=0.0, n_epochs=2)


def undefined(start):
    return replace(start, coordinates={n: z + torch.nan for n, z in start.coordinates.items()})


def assert_kept(result, start):
    assert_close(result.weights, start.weights, rtol=0, atol=0)
    assert_close(result.coordinates, start.coordinates, rtol=0, atol=0)


# Which restart is kept


@pytest.mark.parametrize("best", range(N_STARTS))
def test_the_restart_with_the_lowest_training_loss_is_kept(hybrid, data, starts, best):
    problem = Problem(hybrid, predicted_by(hybrid, data.x, starts[best]))
    result = train_one(problem, starts, without_steps(), None)
    assert result.best == best
    assert result.status is Status.FINISHED
    assert_kept(result, starts[best])
    assert result.loss == pytest.approx(0.0, abs=1e-20)
    assert result.restarts.losses.shape == (N_STARTS,)
    assert bool((result.restarts.losses[[m for m in range(N_STARTS) if m != best]] > 1e-4).all())
    for coordinates, start in zip(result.restart_coordinates, starts, strict=True):
        assert_close(coordinates, start.coordinates, rtol=0, atol=0)
    assert result.refinement is None


def test_validation_rows_choose_the_restart_if_there_are_any(hybrid, data, starts):
    problem = Problem(
        hybrid,
        predicted_by(hybrid, data.x, starts[2]),
        predicted_by(hybrid, data.x.flip(1), starts[1]),
    )
    result = train_one(problem, starts, without_steps(), None)
    assert result.best == 1
    assert_kept(result, starts[1])
    assert result.loss == pytest.approx(float(result.restarts.losses[1]))
    assert result.loss > 1e-4


def test_the_loss_belongs_to_the_kept_parameters(hybrid, data, starts):
    for refinement in (None, make_config(n_epochs=3)):
        result = train_one(Problem(hybrid, data), starts, make_config(N_STARTS), refinement)
        prediction = hybrid(data.x, result.coordinates, result.weights)
        error = (prediction - data.y) / hybrid.scales.target_scale
        assert result.loss == pytest.approx(float(error.square().mean()), rel=1e-10)


def test_a_failed_restart_is_not_chosen(hybrid, data, starts):
    starts[0], starts[3] = undefined(starts[0]), undefined(starts[3])
    result = train_one(Problem(hybrid, data), starts, without_steps(), None)
    usable = result.restarts.losses[1:3]
    assert result.best == 1 + int(usable.argmin())
    assert [status is Status.FAILED for status in result.restarts.status] == [
        True,
        False,
        False,
        True,
    ]


def test_without_a_usable_restart_the_fit_has_failed(hybrid, data, starts):
    result = train_one(
        Problem(hybrid, data), [undefined(start) for start in starts], without_steps(), None
    )
    assert result.status is Status.FAILED
    assert result.restarts.status == [Status.FAILED] * N_STARTS
    assert result.best is None
    assert not result.weights
    assert not result.coordinates


@pytest.mark.parametrize("n_restarts", [1, 2])
def test_a_non_finite_restart_is_the_last_choice_and_is_not_refined(n_restarts):
    problem = make_doomed_problem()
    config = make_config(
        n_restarts, n_epochs=12, physics_learning_rate=[0.3, 0.01][:n_restarts], learning_rate=1e-4
    )
    phases = []

    def observer(phase, epoch, members, losses, parts):
        phases.append(phase)
        return []

    starts = make_starts(problem.hybrid, n_restarts)
    result = train_one(problem, starts, config, make_config(n_epochs=2), observer)
    assert result.restarts.status[0] is Status.NON_FINITE
    if n_restarts == 1:
        assert result.best == 0
        assert result.refinement is None
        assert set(phases) == {"estimate"}
        assert is_defined(result.coordinates["gain"])
        assert result.loss == pytest.approx(float(result.restarts.losses))
    else:
        # It had the lower loss before it became non-finite, but it did not settle there.
        assert result.restarts.losses[0] < result.restarts.losses[1]
        assert result.best == 1
        assert result.refinement is not None


# The two phases


def test_the_observer_sees_both_phases_and_their_losses_are_the_curve(hybrid, data, starts):
    seen = []

    def observer(phase, epoch, members, losses, parts):
        seen.append((phase, epoch, members.n_members, losses.clone()))
        return []

    result = train_one(
        Problem(hybrid, data),
        starts,
        make_config(N_STARTS, n_epochs=4),
        make_config(n_epochs=3),
        observer,
    )
    assert [(phase, epoch) for phase, epoch, *_ in seen] == [
        *(("estimate", epoch) for epoch in range(1, 5)),
        *(("refine", epoch) for epoch in range(1, 4)),
    ]
    assert [n_members for _, _, n_members, _ in seen] == [N_STARTS] * 4 + [6] * 3
    curve = [float(losses[result.best]) for *_, losses in seen[:4]]
    curve += [float(losses[0]) for *_, losses in seen[4:]]
    assert result.loss_curve == pytest.approx(curve)


def test_an_observer_that_stops_training_stops_both_phases(hybrid, data, starts):
    seen = []

    def observer(phase, epoch, members, losses, parts):
        seen.append((phase, epoch))
        return parts if epoch == 2 else []

    result = train_one(
        Problem(hybrid, data), starts, make_config(N_STARTS), make_config(), observer
    )
    assert seen == [("estimate", 1), ("estimate", 2)]
    assert result.restarts.status == [Status.CALLBACK_STOPPED] * N_STARTS
    assert result.refinement is None


def test_the_second_phase_holds_the_physics_of_the_best_restart(hybrid, data, starts):
    result = train_one(
        Problem(hybrid, data), starts, make_config(N_STARTS), make_config(n_epochs=40)
    )
    first = result.restart_coordinates[result.best]
    assert_close(result.coordinates, first, rtol=0, atol=0)
    assert result.refinement.kept_epoch[0] > 0
    assert result.loss == pytest.approx(float(result.refinement.losses[0]))
    assert result.loss < float(result.restarts.losses[result.best])


@pytest.mark.parametrize(("n_rows", "refined"), [(24, False), (25, True)])
def test_a_fit_to_few_rows_is_refined_only_with_validation_rows(n_rows, refined):
    data = make_data(n_rows)
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, 1)
    config = make_config(n_rows=n_rows)
    result = train_one(Problem(hybrid, data), starts, config, config)
    assert (result.refinement is not None) == refined
    result = train_one(Problem(hybrid, data, make_data(9, seed=5)), starts, config, config)
    assert result.refinement is not None


# Interrupts


def train_interrupted(problem, starts, at, *, stop=False, earlier=(), keep=True):
    """Return the result of a fit that is interrupted, or stops, after ``at = (phase, epoch)``."""

    def observer(phase, epoch, members, losses, parts):
        if (phase, epoch) != at:
            return []
        if stop:
            return parts
        raise KeyboardInterrupt

    fit = Fit(problem, starts, make_config(len(starts)), make_config(n_epochs=6), earlier)
    return train_together([fit], observer=observer, keep_interrupted=keep)[0]


@pytest.mark.parametrize("n_held_out", [0, 9], ids=["folds", "validation rows"])
@pytest.mark.parametrize("at", [("estimate", 3), ("refine", 4)])
def test_an_interrupted_fit_equals_one_that_stops_there(hybrid, data, starts, at, n_held_out):
    problem = Problem(hybrid, data, make_data(n_held_out, seed=5) if n_held_out else None)
    found = train_interrupted(problem, starts, at)
    expected = train_interrupted(problem, starts, at, stop=True)
    assert found.status is Status.INTERRUPTED
    assert found.best == expected.best
    assert found.loss == expected.loss
    assert found.loss_curve == expected.loss_curve
    assert_close(found.weights, expected.weights, rtol=0, atol=0)
    assert_close(found.coordinates, expected.coordinates, rtol=0, atol=0)
    if at[0] == "estimate":
        assert found.restarts.status == [Status.INTERRUPTED] * N_STARTS
        assert found.refinement is None
    else:
        assert found.restarts.status == [Status.FINISHED] * N_STARTS
        assert found.refinement.status[0] is Status.INTERRUPTED
        assert found.refinement.kept_epoch == expected.refinement.kept_epoch


def test_an_interrupt_in_a_batch_is_raised(hybrid, data, starts):
    for at in (("estimate", 3), ("refine", 4)):
        with pytest.raises(KeyboardInterrupt):
            train_interrupted(Problem(hybrid, data), starts, at, keep=False)


def test_an_interrupt_between_the_phases_keeps_the_first(hybrid, data, starts, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    fit = Fit(Problem(hybrid, data), starts, make_config(N_STARTS), None)
    (whole,) = train_together([fit])
    monkeypatch.setattr(multistart, "refine", interrupted)
    fit = replace(fit, refinement=make_config())
    (found,) = train_together([fit], keep_interrupted=True)
    assert found.status is Status.INTERRUPTED
    assert found.restarts.status == [Status.FINISHED] * N_STARTS
    assert_close(found.weights, whole.weights, rtol=0, atol=0)
    assert found.loss_curve == whole.loss_curve


@pytest.mark.parametrize("phase", ["estimate", "refine"])
def test_a_second_interrupt_is_raised(hybrid, data, starts, phase, monkeypatch):
    restore = NonFiniteGuard.restore_whole_epoch

    def interrupted(guard):
        restore(guard)
        raise KeyboardInterrupt

    monkeypatch.setattr(NonFiniteGuard, "restore_whole_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_interrupted(Problem(hybrid, data), starts, (phase, 2))


@pytest.mark.parametrize("n_before", [0, 1])
def test_an_interrupt_before_the_first_whole_epoch_is_raised(data, n_before):
    n_calls = 0

    def law(time, heat, *, rate=0.8):
        nonlocal n_calls
        n_calls += 1
        if n_calls > n_before:
            raise KeyboardInterrupt
        return torch.exp(-rate * time)

    hybrid = make_hybrid(data, law)
    fit = Fit(Problem(hybrid, data), make_starts(hybrid, 1), make_config())
    with pytest.raises(KeyboardInterrupt):
        train_together([fit], keep_interrupted=True)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_an_interrupt_in_any_stage_keeps_the_epochs_before(epoch):
    small, short = SmallTrajectories(), SmallTrajectories(window=2)
    hybrid = small.hybrid()
    config = make_config(1, n_rows=12, n_batches=2, n_epochs=2)
    problem, earlier = Problem(hybrid, small.data), [(Problem(hybrid, short.data), config)]
    starts = small.starts(hybrid, 1)
    at = ("estimate", epoch)
    found = train_interrupted(problem, starts, at, earlier=earlier)
    expected = train_interrupted(problem, starts, at, earlier=earlier, stop=True)
    assert found.restarts.status == [Status.INTERRUPTED]
    assert expected.restarts.status == [Status.CALLBACK_STOPPED]
    assert len(found.loss_curve) == epoch
    assert found.loss == expected.loss
    assert_close(found.weights, expected.weights, rtol=0, atol=0)


def test_an_interrupt_between_stages_keeps_the_stages_before(monkeypatch):
    small, short = SmallTrajectories(), SmallTrajectories(window=2)
    hybrid = small.hybrid()
    config = make_config(1, n_rows=12, n_batches=2, n_epochs=2)
    problem, earlier = Problem(hybrid, small.data), [(Problem(hybrid, short.data), config)]
    starts = small.starts(hybrid, 1)
    expected = train_interrupted(problem, starts, ("estimate", 2), earlier=earlier, stop=True)
    train, n_calls = multistart.train, 0

    def interrupted(problem, members, *args):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 2:
            members.set_flat(members.flat + 1.0)
            raise KeyboardInterrupt
        return train(problem, members, *args)

    monkeypatch.setattr(multistart, "train", interrupted)
    found = train_interrupted(problem, starts, None, earlier=earlier)
    assert found.restarts.status == [Status.INTERRUPTED]
    assert len(found.loss_curve) == 2
    assert_close(found.weights, expected.weights, rtol=0, atol=0)


# Several fits


@pytest.mark.parametrize("n_held_out", [(0, 0), (9, 6)], ids=["folds", "validation rows"])
@pytest.mark.parametrize("max_members", [None, 11])
def test_both_phases_of_several_fits_equal_fits_alone(n_held_out, max_members, monkeypatch):
    problems = [make_problem(n, i, n_held_out[i]) for i, n in enumerate((32, 27))]
    configs = [
        make_config(2, rho=[0.02, 0.1], seed=3, **SCHEDULE),
        make_config(2, rho=0.05, learning_rate=0.02, seed=4, **SCHEDULE),
    ]
    refinements = [
        make_config(1, rho=None, seed=3, learning_rate=0.02, **SCHEDULE),
        make_config(1, rho=None, seed=4, **SCHEDULE),
    ]
    fits = [
        Fit(problem, starts, config, refinement)
        for problem, starts, config, refinement in zip(
            problems, starts_of(problems, [2, 2]), configs, refinements, strict=True
        )
    ]
    at_once = []

    def counted(jobs, *observers):
        at_once.append(sum(job.n_members for job in jobs))
        return refine(jobs, *observers)

    monkeypatch.setattr(multistart, "refine", counted)
    results = train_together(fits, max_members=max_members)
    each = 1 if n_held_out[0] else 6
    assert at_once == ([each * 2] if max_members is None or each == 1 else [each] * 2)
    for fit, found in zip(fits, results, strict=True):
        (alone,) = train_together([fit])
        assert found.best == alone.best
        assert_same_results(found.restarts, alone.restarts)
        assert_same_results(found.refinement, alone.refinement)
        assert_close(found.weights, alone.weights, rtol=1e-9, atol=1e-12)
        assert_close(found.coordinates, alone.coordinates, rtol=0, atol=1e-12)
        assert found.loss_curve == pytest.approx(alone.loss_curve, rel=1e-9)


def test_fits_that_train_on_shorter_windows_first():
    several = [SmallTrajectories(*make_oscillations(n, seed=n)) for n in (5, 4)]
    shorter = [SmallTrajectories(*make_oscillations(n, seed=n), window=2) for n in (5, 4)]
    fits = []
    for number, (small, short) in enumerate(zip(several, shorter, strict=True)):
        hybrid = small.hybrid()
        config = make_config(1, n_rows=12, n_batches=2, n_epochs=2, seed=number)
        earlier = [(Problem(hybrid, short.data), config)]
        starts = small.starts(hybrid, 1)
        fits.append(Fit(Problem(hybrid, small.data), starts, config, None, earlier))
    for fit, found in zip(fits, train_together(fits), strict=True):
        (alone,) = train_together([fit])
        assert len(found.loss_curve) == 4
        assert found.loss_curve == pytest.approx(alone.loss_curve, rel=1e-9)
        assert_close(found.weights, alone.weights, rtol=1e-9, atol=1e-12)
