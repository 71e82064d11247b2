"""Problems made one: their members are trained as they would be alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from small_fits import (
    make_config,
    make_data,
    make_hybrid,
    make_members,
    make_penalties,
    make_starts,
)
from small_trajectories import SmallTrajectories, make_oscillations
from torch import nn
from torch.testing import assert_close

from skhybrid.model.networks import build_network
from skhybrid.training import multistart as estimation
from skhybrid.training.combining import (
    combine_configs,
    combine_problems,
    part_of,
    signature,
    slices,
)
from skhybrid.training.early_stopping import Patience
from skhybrid.training.input_padding import FEATURE_SCALES, input_paddings
from skhybrid.training.loop import train
from skhybrid.training.members import Members
from skhybrid.training.multistart import Fit, train_together
from skhybrid.training.problem import Problem, TrainingConfig
from skhybrid.training.refinement import refine
from skhybrid.training.result import Start, Status

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

# Minibatches that come out alike for 27 to 32 rows.
SCHEDULE = {"n_rows": 27, "n_batches": 3, "n_epochs": 6}


def trained_together(problems, configs, starts) -> list[tuple]:
    """Return the result and the members' parameters of every problem."""
    counts = [len(each) for each in starts]
    problem = combine_problems(problems, [config.seed for config in configs], counts)
    members = make_members(problem.hybrid, [start for each in starts for start in each])
    result = train(problem, members, combine_configs(configs))
    return [(part_of(result, part), parameters(members, part)) for part in slices(counts)]


def trained_alone(problem, config, starts) -> tuple:
    members = make_members(problem.hybrid, starts)
    result = train(problem, members, config)
    return result, parameters(members, slice(0, len(starts)))


def parameters(members: Members, part: slice) -> list[dict]:
    return [
        members.member_weights(member) | members.member_coordinates(member)
        for member in range(part.start, part.stop)
    ]


def assert_same_result(together, alone):
    assert together.status == alone.status
    assert together.n_epochs == alone.n_epochs
    assert together.stopped_epoch == alone.stopped_epoch
    assert together.kept_epoch == alone.kept_epoch
    close = {"rtol": 1e-9, "atol": 1e-12, "equal_nan": True}
    assert_close(together.losses, alone.losses, **close)
    assert_close(together.curve, alone.curve, **close)
    assert (together.validation_losses is None) == (alone.validation_losses is None)
    if alone.validation_losses is not None:
        assert_close(together.validation_losses, alone.validation_losses, **close)


def assert_trained_as_alone(problems, configs, starts):
    together = trained_together(problems, configs, starts)
    for (result, found), problem, config, own in zip(
        together, problems, configs, starts, strict=True
    ):
        alone, expected = trained_alone(problem, config, own)
        assert_same_result(result, alone)
        assert_close(found, expected, rtol=1e-9, atol=1e-12)
        moved = [start.weights["0.weight"] for start in own]
        assert not any(
            torch.equal(after["0.weight"], before)
            for after, before in zip(found, moved, strict=True)
        )


def make_problem(n_rows: int = 30, seed: int = 0, n_held_out: int = 0, weighted=False, **model):
    data = make_data(n_rows, seed=seed)
    if weighted:
        data = data._replace(weight=torch.linspace(0.5, 1.5, n_rows, dtype=torch.float64))
    held_out = make_data(n_held_out, seed=seed + 20) if n_held_out else None
    return Problem(make_hybrid(data, **model), data, held_out)


def starts_of(problems, n_members) -> list[list[Start]]:
    """Return different starts of every problem."""
    return [
        make_starts(problem.hybrid, count, seed=10 * number + 1)
        for number, (problem, count) in enumerate(zip(problems, n_members, strict=True))
    ]


# Members of several problems


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


def test_what_differs_between_the_scales_of_the_problems_is_what_makes_them_differ():
    problems = [make_problem(seed=seed) for seed in (0, 1)]
    (start,) = make_starts(problems[0].hybrid, 1)
    configs = [make_config(), make_config()]
    (one, _), (other, _) = trained_together(problems, configs, [[start], [start]])
    assert abs(float(one.losses / other.losses) - 1.0) > 0.01


@pytest.mark.parametrize("n_held_out", [(8, 8), (9, 6)], ids=["equal", "unequal"])
@pytest.mark.parametrize("n_rows", [(30, 30), (32, 27)], ids=["equal rows", "unequal rows"])
@pytest.mark.parametrize("keep", [{"keep_best": "each"}, {"patience": Patience(2, 0.01)}])
def test_rows_that_are_held_out_decide_as_they_do_alone(n_rows, n_held_out, keep):
    problems = [make_problem(n_rows[i], i, n_held_out[i]) for i in range(2)]
    configs = [
        make_config(2, learning_rate=[0.01, 0.1], seed=3, **keep, **SCHEDULE),
        make_config(1, learning_rate=0.001, seed=4, **keep, **SCHEDULE),
    ]
    assert_trained_as_alone(problems, configs, starts_of(problems, [2, 1]))


def test_problems_end_one_by_one():
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


def logarithm(time, heat, *, gain=1.0):
    return torch.log(gain) * torch.exp(-time)


def test_a_problem_that_breaks_off_leaves_the_others_alone():
    data = make_data()._replace(y=make_data().y - 20.0)
    problems = [Problem(make_hybrid(data, logarithm), data), make_problem(physics=logarithm)]
    configs = [make_config(physics_learning_rate=0.3, n_epochs=12), make_config(n_epochs=12)]
    starts = starts_of(problems, [1, 1])
    (broken, _), (whole, _) = trained_together(problems, configs, starts)
    assert broken.status == [Status.NON_FINITE]
    assert whole.status == [Status.FINISHED]
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


def test_trajectories_of_different_numbers():
    several = [SmallTrajectories(*make_oscillations(n, seed=n)) for n in (5, 4)]
    problems = [Problem(small.hybrid(), small.data) for small in several]
    configs = [make_config(1, n_rows=12, n_batches=2, n_epochs=2) for _ in several]
    starts = [small.starts(p.hybrid, 1) for small, p in zip(several, problems, strict=True)]
    assert_trained_as_alone(problems, configs, starts)


def test_one_problem_stays_what_it_is():
    problem = make_problem()
    config = make_config()
    assert combine_problems([problem], [0], [1]) is problem
    assert combine_configs([config]) is config


def test_recipes_are_joined_member_by_member():
    configs = [
        make_config(2, rho=[0.1, 0.2], penalties=make_penalties(2, l2=[1.0, 2.0])),
        make_config(1, rho=0.3, learning_rate=0.5, penalties=make_penalties(1, l2=3.0)),
    ]
    joined = combine_configs(configs)
    assert joined.rho.tolist() == [0.1, 0.2, 0.3]
    assert joined.learning_rate.tolist() == [0.01, 0.01, 0.5]
    assert joined.physics_learning_rate.tolist() == [0.05] * 3
    assert joined.penalties.l2.tolist() == [1.0, 2.0, 3.0]
    assert combine_configs([make_config(rho=None)] * 2).rho is None
    assert slices([2, 1, 3]) == [slice(0, 2), slice(2, 3), slice(3, 6)]


# Which problems can be joined


def key(problem: Problem | None = None, config: TrainingConfig | None = None):
    return signature(problem or make_problem(), config or make_config())


def test_problems_that_differ_in_numbers_only_can_be_joined():
    assert key() == key(make_problem(seed=1)) == key(make_problem(41, seed=2))
    assert key() == key(make_problem(weighted=True))
    assert key(make_problem(n_held_out=5)) == key(make_problem(n_held_out=9, seed=1))
    other = make_config(3, rho=[0.0, 0.1, 0.2], learning_rate=0.5, seed=7)
    assert key() == key(config=other)
    assert key() == key(config=make_config(penalties=make_penalties(l2=0.1)))
    assert len({hash(key()), hash(key(make_problem(seed=1)))}) == 1


def two_targets(time, heat, *, rate=(0.8, 0.5)):
    return torch.exp(-rate * time[:, None])


def make_problem_of_two_targets():
    data = make_data()
    data = data._replace(y=torch.stack([data.y, -data.y], dim=1))
    return Problem(make_hybrid(data, two_targets), data)


def with_network(network: nn.Module) -> Problem:
    problem = make_problem()
    problem.hybrid.network = network.double()
    return problem


OTHER_PROBLEMS = {
    "width": lambda: make_problem(hidden=(9,)),
    "depth": lambda: make_problem(hidden=(8, 8)),
    "physics parameters": lambda: make_problem(physics=logarithm),
    "targets": make_problem_of_two_targets,
    "rows held out": lambda: make_problem(n_held_out=5),
    "precision": lambda: Problem(
        make_hybrid(make_data(dtype=torch.float32)), make_data(dtype=torch.float32)
    ),
    "kind of network": lambda: with_network(nn.Sequential(nn.Linear(2, 8), nn.Linear(8, 1))),
}
OTHER_RECIPES = {
    "no perturbation": {"rho": None},
    "epochs": {"n_epochs": 6},
    "minibatches": {"n_batches": 2},
    "perturbation": {"perturbation": "global"},
    "what is perturbed": {"perturb": "all"},
    "patience": {"patience": Patience(3, 0.1)},
    "what is kept": {"keep_best": "each"},
    "compilation": {"compile": True},
    "a functional norm": {"penalties": make_penalties(functional_norm=0.1)},
    "orthogonality": {"penalties": make_penalties(orthogonality=0.1)},
}


@pytest.mark.parametrize("make_other", OTHER_PROBLEMS.values(), ids=OTHER_PROBLEMS)
def test_other_models_cannot_be_joined(make_other):
    assert key(make_other()) == key(make_other())
    assert key(make_other()) != key()


@pytest.mark.parametrize("settings", OTHER_RECIPES.values(), ids=OTHER_RECIPES)
def test_other_ways_of_training_cannot_be_joined(settings):
    assert key(config=make_config(**settings)) == key(config=make_config(**settings))
    assert key(config=make_config(**settings)) != key()


def test_trajectories_with_other_steps_cannot_be_joined():
    def course_key(n=5, **structure):
        small = SmallTrajectories(*make_oscillations(n, n_times=12), **structure)
        return key(Problem(small.hybrid(), small.data))

    assert course_key() == course_key(n=4)
    assert course_key() != course_key(window=3)
    assert course_key() != course_key(dt=0.3)
    assert course_key() != course_key(initial_state="learned")
    # Of learned first states there are as many as there are windows.
    assert course_key(initial_state="learned") != course_key(n=4, initial_state="learned")


def test_what_is_not_trained_must_be_the_same():
    def frozen(value):
        network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        network[0].weight.requires_grad_(False).fill_(value)
        return with_network(network)

    def buffered(value):
        network = nn.Sequential(nn.Linear(2, 1))
        network.register_buffer("offset", torch.tensor(value))
        return with_network(network)

    for make in (frozen, buffered):
        assert key(make(1.0)) == key(make(1.0))
        assert key(make(1.0)) != key(make(2.0))


# Networks that read different features


def narrowed(problem: Problem, columns: list[int], seed: int = 0) -> Problem:
    """Return the problem with a network that reads these columns."""
    hybrid = problem.hybrid.with_network_columns(columns)
    scales = {name: getattr(problem.hybrid.scales, name)[columns] for name in FEATURE_SCALES}
    hybrid.scales = replace(hybrid.scales, **scales)
    hybrid.network = build_network((8,), len(columns), 1, seed=seed).double()
    return replace(problem, hybrid=hybrid)


COLUMNS = [[0], [1], [1, 0], [0, 1]]


def test_a_widened_network_answers_as_the_narrow_one():
    problems = [narrowed(make_problem(), columns) for columns in COLUMNS]
    changes, union = input_paddings(problems)
    assert union == [0, 1]
    for problem, change in zip(problems, changes, strict=True):
        (start,) = make_starts(problem.hybrid, 1)
        wide = change.widened(problem.hybrid, union)
        weights = change.widen(start.weights)
        assert weights["0.weight"].shape == (8, 2)
        x = problem.data.x
        for hold in (False, True):
            assert_close(
                wide(3.0 * x, start.coordinates, weights, hold=hold),
                problem.hybrid(3.0 * x, start.coordinates, start.weights, hold=hold),
                rtol=1e-12,
                atol=1e-12,
            )
        assert_close(change.narrow(weights), dict(start.weights), rtol=0, atol=0)
        # The model that it was made from is as it was.
        assert len(problem.hybrid.scales.feature_offset) == len(problem.hybrid.network_columns)


def test_networks_that_read_the_same_are_left_alone():
    assert input_paddings([narrowed(make_problem(seed=i), [1]) for i in range(2)]) == (None, [])
    # All columns are the same as no choice.
    problems = [make_problem(), narrowed(make_problem(), [0, 1])]
    assert input_paddings(problems) == (None, [])
    changes, union = input_paddings([make_problem(), narrowed(make_problem(), [1])])
    assert union == [0, 1]
    assert [change.position.tolist() for change in changes] == [[0, 1], [1]]


def test_what_a_structure_adds_comes_after_all_features():
    problems = [narrowed(make_problem(structure="serial"), [column]) for column in (0, 1)]
    for problem in problems:
        # The network reads what the physics says too.
        scales = problem.hybrid.scales
        wider = {name: torch.cat([getattr(scales, name)] * 2) for name in FEATURE_SCALES}
        problem.hybrid.scales = replace(scales, **wider)
        problem.hybrid.network = build_network((8,), 2, 1, seed=0).double()
    changes, union = input_paddings(problems)
    assert union == [0, 1]
    assert [change.position.tolist() for change in changes] == [[0, 2], [1, 2]]
    for problem, change in zip(problems, changes, strict=True):
        (start,) = make_starts(problem.hybrid, 1)
        assert_close(
            change.widened(problem.hybrid, union)(
                problem.data.x, start.coordinates, change.widen(start.weights)
            ),
            problem.hybrid(problem.data.x, start.coordinates, start.weights),
            rtol=1e-12,
            atol=1e-12,
        )


@pytest.mark.parametrize("perturbation", ["layer", "global", "elementwise"])
def test_a_widened_network_stays_the_narrow_one_while_it_is_trained(perturbation):
    problem = narrowed(make_problem(), [1])
    (change, _), union = input_paddings([problem, make_problem()])
    (start,) = make_starts(problem.hybrid, 1)
    config = make_config(
        perturbation=perturbation,
        penalties=make_penalties(l2=0.1, functional_norm=0.1),
        **SCHEDULE,
    )
    _, (alone,) = trained_alone(problem, config, [start])
    wide_problem = replace(problem, hybrid=change.widened(problem.hybrid, union))
    wide_problem.hybrid.network = build_network((8,), 2, 1, seed=0).double()
    wide_start = replace(start, weights=change.widen(start.weights))
    _, (wide,) = trained_alone(wide_problem, config, [wide_start])
    assert bool((wide["0.weight"][:, 0] == 0.0).all())
    assert_close(change.narrow(wide), alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n_held_out", [0, 7])
def test_fits_of_networks_that_read_different_features_are_those_of_fits_alone(n_held_out):
    problems = [narrowed(make_problem(30, i, n_held_out), c) for i, c in enumerate(COLUMNS[:3])]
    problems.append(make_problem(30, 9, n_held_out))
    config = make_config(n_rows=30, n_batches=3, n_epochs=3)
    refinement = make_config(n_rows=30, n_batches=3, n_epochs=3, rho=None)
    fits = [
        Fit(problem, make_starts(problem.hybrid, 1, seed=i), config, refinement)
        for i, problem in enumerate(problems)
    ]
    assert len({fit.signature() for fit in fits}) == 1
    for fit, found in zip(fits, train_together(fits), strict=True):
        (alone,) = train_together([fit])
        assert_close(found.weights, alone.weights, rtol=1e-9, atol=1e-12)
        assert_close(found.coordinates, alone.coordinates, rtol=1e-9, atol=1e-12)
        assert found.loss == pytest.approx(alone.loss, rel=1e-9)
        assert found.loss_curve == pytest.approx(alone.loss_curve, rel=1e-9)
        assert vars(found.explained) == pytest.approx(vars(alone.explained), rel=1e-9)
        assert found.weights["0.weight"].shape == fit.starts[0].weights["0.weight"].shape


def test_networks_that_cannot_be_widened_must_read_the_same():
    def reading(columns, network=None):
        problem = narrowed(make_problem(), columns)
        if network is not None:
            problem.hybrid.network = network.double()
        return key(problem)

    # A perceptron of ours can be widened, but not one that reads a column twice.
    assert reading([0]) == reading([1]) == reading([1, 0])
    assert reading([0, 0]) != reading([1, 1])
    assert reading([0, 0]) == reading([0, 0])
    modules = [nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)) for _ in range(2)]
    assert reading([0], modules[0]) == reading([0], modules[1])
    assert reading([0], modules[0]) != reading([1], modules[1])


# Whole fits


@pytest.mark.parametrize("n_held_out", [(0, 0), (9, 6)], ids=["folds", "rows held out"])
@pytest.mark.parametrize("max_members", [None, 11])
def test_both_phases_of_several_fits_are_those_of_fits_alone(n_held_out, max_members, monkeypatch):
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

    def noted(jobs, watch):
        at_once.append(sum(job.n_members for job in jobs))
        return refine(jobs, watch)

    monkeypatch.setattr(estimation, "refine", noted)
    outcomes = train_together(fits, max_members=max_members)
    each = 1 if n_held_out[0] else 6
    assert at_once == ([each * 2] if max_members is None or each == 1 else [each] * 2)
    for fit, found in zip(fits, outcomes, strict=True):
        (alone,) = train_together([fit])
        assert found.best == alone.best
        assert_same_result(found.restarts, alone.restarts)
        assert_same_result(found.refinement, alone.refinement)
        assert_close(found.weights, alone.weights, rtol=1e-9, atol=1e-12)
        assert_close(found.coordinates, alone.coordinates, rtol=0, atol=1e-12)
        assert found.loss_curve == pytest.approx(alone.loss_curve, rel=1e-9)


def test_fits_that_begin_on_shorter_windows():
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


def test_signatures_of_fits_tell_all_their_stages_apart():
    problem = make_problem()
    starts = make_starts(problem.hybrid, 1)
    config, other = make_config(), make_config(n_epochs=6)
    variants = [
        Fit(problem, starts, config),
        Fit(problem, starts, config, config),
        Fit(problem, starts, config, other),
        Fit(problem, starts, config, None, [(problem, other)]),
        Fit(problem, starts, other),
    ]
    for one, two in itertools.combinations(variants, 2):
        assert one.signature() != two.signature()
