"""Several problems combined into one: their members are trained as they would be alone."""

from __future__ import annotations

import pytest
import torch
from small_fits import (
    assert_same_results,
    logarithm,
    make_config,
    make_doomed_problem,
    make_members,
    make_penalties,
    make_problem,
    make_starts,
    parameters,
    starts_of,
    trained_alone,
)
from small_trajectories import SmallTrajectories, make_oscillations
from torch.testing import assert_close

from skhybrid.training.combining import (
    combine_configs,
    combine_problems,
    member_slices,
    results_of_fit,
)
from skhybrid.training.early_stopping import Patience
from skhybrid.training.loop import train
from skhybrid.training.problem import Problem
from skhybrid.training.result import Status

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

# The number and size of the minibatches are the same for 27 to 32 rows.
SCHEDULE = {"n_rows": 27, "n_batches": 3, "n_epochs": 6}


def trained_together(problems, configs, starts) -> list[tuple]:
    """Return the results and the members' parameters of every problem."""
    counts = [len(each) for each in starts]
    problem = combine_problems(problems, [config.seed for config in configs], counts)
    members = make_members(problem.hybrid, [start for each in starts for start in each])
    results = train(problem, members, combine_configs(configs))
    return [
        (
            results_of_fit(results, fit),
            [parameters(members, member) for member in range(fit.start, fit.stop)],
        )
        for fit in member_slices(counts)
    ]


def assert_trained_as_alone(problems, configs, starts):
    together = trained_together(problems, configs, starts)
    for (results, found), problem, config, own in zip(
        together, problems, configs, starts, strict=True
    ):
        alone, expected = trained_alone(problem, config, own)
        assert_same_results(results, alone)
        assert_close(found, expected, rtol=1e-9, atol=1e-12)
        for start, after in zip(own, found, strict=True):
            assert not torch.equal(after["0.weight"], start.weights["0.weight"])


@pytest.mark.parametrize("n_rows", [(30, 30), (32, 27)], ids=["equal", "unequal"])
@pytest.mark.parametrize("rho", [None, 0.05])
@pytest.mark.parametrize("weighted", [False, True])
def test_members_of_several_problems_are_trained_as_alone(n_rows, rho, weighted):
    problems = [make_problem(n_rows[0], 0, weighted=weighted), make_problem(n_rows[1], 1)]
    configs = [
        make_config(1, rho=rho, seed=3, **SCHEDULE),
        make_config(2, rho=rho and [0.02, 0.1], learning_rate=[0.02, 0.03], seed=4, **SCHEDULE),
    ]
    assert_trained_as_alone(problems, configs, starts_of(problems, [1, 2]))


def test_each_problem_has_its_own_scales():
    problems = [make_problem(seed=seed) for seed in (0, 1)]
    (start,) = make_starts(problems[0].hybrid, 1)
    configs = [make_config(), make_config()]
    (one, _), (other, _) = trained_together(problems, configs, [[start], [start]])
    assert abs(float(one.losses / other.losses) - 1.0) > 0.01


@pytest.mark.parametrize("n_held_out", [(8, 8), (9, 6)], ids=["equal", "unequal"])
@pytest.mark.parametrize("n_rows", [(30, 30), (32, 27)], ids=["equal rows", "unequal rows"])
@pytest.mark.parametrize("keep", [{"keep_best": "each"}, {"patience": Patience(2, 0.01)}])
def test_held_out_rows_decide_as_they_do_alone(n_rows, n_held_out, keep):
    problems = [make_problem(n_rows[i], i, n_held_out[i]) for i in range(2)]
    configs = [
        make_config(2, learning_rate=[0.01, 0.1], seed=3, **keep, **SCHEDULE),
        make_config(1, learning_rate=0.001, seed=4, **keep, **SCHEDULE),
    ]
    assert_trained_as_alone(problems, configs, starts_of(problems, [2, 1]))


def test_each_problem_stops_at_its_own_epoch():
    problems = [make_problem(30, 0, 8), make_problem(30, 1, 8)]
    patience = Patience(2, 1e-4)
    configs = [
        make_config(
            1, learning_rate=rate, physics_learning_rate=rate, patience=patience, **SCHEDULE
        )
        for rate in (1e-8, 0.005)
    ]
    starts = starts_of(problems, [1, 1])
    (first, _), (second, _) = trained_together(problems, configs, starts)
    assert first.status == [Status.EARLY_STOPPED]
    assert second.status == [Status.FINISHED]
    assert first.n_epochs == len(first.curve) < second.n_epochs == len(second.curve)
    assert_trained_as_alone(problems, configs, starts)


def test_a_problem_that_becomes_non_finite_does_not_affect_the_others():
    problems = [make_doomed_problem(), make_problem(physics=logarithm)]
    configs = [make_config(physics_learning_rate=0.3, n_epochs=12), make_config(n_epochs=12)]
    starts = starts_of(problems, [1, 1])
    (broken, _), (finite, _) = trained_together(problems, configs, starts)
    assert broken.status == [Status.NON_FINITE]
    assert finite.status == [Status.FINISHED]
    assert_trained_as_alone(problems[1:], configs[1:], starts[1:])


@pytest.mark.parametrize(
    "penalty", [{"l2": 0.1}, {"functional_norm": 0.1}, {"orthogonality": 0.1}], ids=str
)
@pytest.mark.parametrize("n_rows", [(30, 30), (32, 27)], ids=["equal", "unequal"])
def test_penalties_of_several_problems(penalty, n_rows):
    problems = [make_problem(n, i) for i, n in enumerate(n_rows)]
    ((name, value),) = penalty.items()
    configs = [
        make_config(1, penalties=make_penalties(1, **{name: value}), **SCHEDULE),
        make_config(2, penalties=make_penalties(2, **{name: [3 * value, 0.0]}), **SCHEDULE),
    ]
    assert_trained_as_alone(problems, configs, starts_of(problems, [1, 2]))


@pytest.mark.parametrize("perturbation", ["layer", "global", "elementwise"])
def test_perturbations_of_several_problems(perturbation):
    problems = [make_problem(32, 0), make_problem(27, 1)]
    configs = [
        make_config(1, rho=rho, perturbation=perturbation, perturb="all", **SCHEDULE)
        for rho in (0.02, 0.1)
    ]
    assert_trained_as_alone(problems, configs, starts_of(problems, [1, 1]))


def test_problems_with_different_numbers_of_trajectories():
    several = [SmallTrajectories(*make_oscillations(n, seed=n)) for n in (5, 4)]
    problems = [Problem(small.hybrid(), small.data) for small in several]
    configs = [make_config(1, n_rows=12, n_batches=2, n_epochs=2) for _ in several]
    starts = [small.starts(p.hybrid, 1) for small, p in zip(several, problems, strict=True)]
    assert_trained_as_alone(problems, configs, starts)


def test_a_single_problem_is_returned_unchanged():
    problem = make_problem()
    config = make_config()
    assert combine_problems([problem], [0], [1]) is problem
    assert combine_configs([config]) is config


def test_configurations_are_combined_member_by_member():
    configs = [
        make_config(2, rho=[0.1, 0.2], penalties=make_penalties(2, l2=[1.0, 2.0])),
        make_config(1, rho=0.3, learning_rate=0.5, penalties=make_penalties(1, l2=3.0)),
    ]
    combined = combine_configs(configs)
    assert combined.rho.tolist() == [0.1, 0.2, 0.3]
    assert combined.learning_rate.tolist() == [0.01, 0.01, 0.5]
    assert combined.physics_learning_rate.tolist() == [0.05] * 3
    assert combined.penalties.l2.tolist() == [1.0, 2.0, 3.0]
    assert combine_configs([make_config(rho=None)] * 2).rho is None
    assert member_slices([2, 1, 3]) == [slice(0, 2), slice(2, 3), slice(3, 6)]
