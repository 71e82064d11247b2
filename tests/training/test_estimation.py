"""A whole fit: which restart is kept, and how the two phases follow each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_fits import make_config, make_data, make_hybrid, make_starts
from torch.testing import assert_close

from skhybrid.model.batch import Batch
from skhybrid.training.multistart import Fit, FitResult, train_together
from skhybrid.training.problem import Problem
from skhybrid.training.result import MemberResults, Status

N_STARTS = 4


@pytest.fixture
def data():
    return make_data()


@pytest.fixture
def hybrid(data):
    return make_hybrid(data)


@pytest.fixture
def starts(hybrid):
    return make_starts(hybrid, N_STARTS)


def estimate(problem, starts, config, refinement, observer=None, earlier=()):
    """Return what a single fit finds."""
    fit = Fit(problem, starts, config, refinement, earlier)
    return train_together([fit], observer=observer)[0]


def predicted_by(hybrid, x, start) -> Batch:
    """Return rows on which this start makes no error."""
    with torch.no_grad():
        return Batch(x, hybrid(x, start.coordinates, start.weights), None)


def standing_still(n_members=N_STARTS):
    return make_config(n_members, learning_rate=0.0, physics_learning_rate=0.0, n_epochs=2)


def undefined(start):
    return replace(start, coordinates={n: z + torch.nan for n, z in start.coordinates.items()})


def assert_kept(outcome, start):
    assert isinstance(outcome, FitResult)
    assert_close(outcome.weights, start.weights, rtol=0, atol=0)
    assert_close(outcome.coordinates, start.coordinates, rtol=0, atol=0)


@pytest.mark.parametrize("best", range(N_STARTS))
def test_the_restart_with_the_lowest_training_loss_is_kept(hybrid, data, starts, best):
    problem = Problem(hybrid, predicted_by(hybrid, data.x, starts[best]))
    outcome = estimate(problem, starts, standing_still(), None)
    assert outcome.best == best
    assert_kept(outcome, starts[best])
    assert outcome.loss == pytest.approx(0.0, abs=1e-20)
    assert outcome.restarts.losses.shape == (N_STARTS,)
    assert bool((outcome.restarts.losses[[m for m in range(N_STARTS) if m != best]] > 1e-4).all())
    for coordinates, start in zip(outcome.restart_coordinates, starts, strict=True):
        assert_close(coordinates, start.coordinates, rtol=0, atol=0)
    assert outcome.refinement is None


def test_validation_rows_decide_where_there_are_some(hybrid, data, starts):
    problem = Problem(
        hybrid,
        predicted_by(hybrid, data.x, starts[2]),
        predicted_by(hybrid, data.x.flip(1), starts[1]),
    )
    outcome = estimate(problem, starts, standing_still(), None)
    assert outcome.best == 1
    assert_kept(outcome, starts[1])
    assert outcome.loss == pytest.approx(float(outcome.restarts.losses[1]))
    assert outcome.loss > 1e-4


def test_the_loss_is_that_of_the_parameters_kept(hybrid, data, starts):
    for config in (None, make_config(n_epochs=3)):
        outcome = estimate(Problem(hybrid, data), starts, make_config(N_STARTS), config)
        prediction = hybrid(data.x, outcome.coordinates, outcome.weights)
        error = (prediction - data.y) / hybrid.scales.target_scale
        assert outcome.loss == pytest.approx(float(error.square().mean()), rel=1e-10)


def test_a_restart_that_failed_is_passed_over(hybrid, data, starts):
    starts[0], starts[3] = undefined(starts[0]), undefined(starts[3])
    outcome = estimate(Problem(hybrid, data), starts, standing_still(), None)
    usable = outcome.restarts.losses[1:3]
    assert outcome.best == 1 + int(usable.argmin())
    assert [status is Status.FAILED for status in outcome.restarts.status] == [
        True,
        False,
        False,
        True,
    ]


def test_without_a_usable_restart_the_result_says_why(hybrid, data, starts):
    outcome = estimate(
        Problem(hybrid, data), [undefined(start) for start in starts], standing_still(), None
    )
    assert isinstance(outcome, MemberResults)
    assert outcome.status == [Status.FAILED] * N_STARTS


def logarithm(time, heat, *, gain=1.0):
    return torch.log(gain) * torch.exp(-time)


@pytest.mark.parametrize("n_restarts", [1, 2])
def test_a_restart_that_broke_off_is_the_last_choice_and_is_not_refined(data, n_restarts):
    data = data._replace(y=data.y - 20.0)
    hybrid = make_hybrid(data, logarithm)
    config = make_config(
        n_restarts, n_epochs=12, physics_learning_rate=[0.3, 0.01][:n_restarts], learning_rate=1e-4
    )
    phases = []

    def observer(phase, epoch, members, losses):
        phases.append(phase)
        return False

    starts = make_starts(hybrid, n_restarts)
    outcome = estimate(Problem(hybrid, data), starts, config, make_config(n_epochs=2), observer)
    assert outcome.restarts.status[0] is Status.NON_FINITE
    if n_restarts == 1:
        assert outcome.best == 0
        assert outcome.refinement is None
        assert set(phases) == {"estimate"}
        assert float(outcome.coordinates["gain"]) > -1.0
        assert outcome.loss == pytest.approx(float(outcome.restarts.losses))
    else:
        # It came closer before it broke, but to nowhere.
        assert outcome.restarts.losses[0] < outcome.restarts.losses[1]
        assert outcome.best == 1
        assert outcome.refinement is not None


def test_the_observer_sees_both_phases_and_the_curve_is_theirs(hybrid, data, starts):
    seen = []

    def observer(phase, epoch, members, losses):
        seen.append((phase, epoch, members.n_members, losses.clone()))
        return False

    outcome = estimate(
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
    curve = [float(losses[outcome.best]) for *_, losses in seen[:4]]
    curve += [float(losses[0]) for *_, losses in seen[4:]]
    assert outcome.loss_curve == pytest.approx(curve)


def test_an_observer_that_stops_stops_both_phases(hybrid, data, starts):
    seen = []

    def observer(phase, epoch, members, losses):
        seen.append((phase, epoch))
        return epoch == 2

    outcome = estimate(
        Problem(hybrid, data), starts, make_config(N_STARTS), make_config(), observer
    )
    assert seen == [("estimate", 1), ("estimate", 2)]
    assert outcome.restarts.status == [Status.CALLBACK_STOPPED] * N_STARTS
    assert outcome.refinement is None


def test_refining_holds_the_physics_of_the_best_restart(hybrid, data, starts):
    outcome = estimate(
        Problem(hybrid, data), starts, make_config(N_STARTS), make_config(n_epochs=40)
    )
    first = outcome.restart_coordinates[outcome.best]
    assert_close(outcome.coordinates, first, rtol=0, atol=0)
    assert outcome.refinement.kept_epoch[0] > 0
    assert outcome.loss == pytest.approx(float(outcome.refinement.losses[0]))
    assert outcome.loss < float(outcome.restarts.losses[outcome.best])


@pytest.mark.parametrize(("n_rows", "refined"), [(24, False), (25, True)])
def test_few_rows_are_not_refined_unless_others_validate(n_rows, refined):
    data = make_data(n_rows)
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, 1)
    config = make_config(n_rows=n_rows)
    outcome = estimate(Problem(hybrid, data), starts, config, config)
    assert (outcome.refinement is not None) == refined
    outcome = estimate(Problem(hybrid, data, make_data(9, seed=5)), starts, config, config)
    assert outcome.refinement is not None
