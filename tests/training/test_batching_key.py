"""The batching key: which problems and fits can be trained in one batch."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from small_fits import (
    logarithm,
    make_config,
    make_data,
    make_hybrid,
    make_penalties,
    make_problem,
    make_starts,
    with_network_columns,
)
from small_trajectories import SmallTrajectories, make_oscillations
from torch import nn

from skhybrid.training.batching_key import fit_key, problem_key
from skhybrid.training.early_stopping import Patience
from skhybrid.training.losses import Loss
from skhybrid.training.priors import Prior
from skhybrid.training.problem import Fit, Problem, TrainingConfig


def key(problem: Problem | None = None, config: TrainingConfig | None = None):
    return problem_key(problem or make_problem(), config or make_config())


def test_problems_that_differ_only_in_numbers_have_the_same_key():
    assert key() == key(make_problem(seed=1)) == key(make_problem(41, seed=2))
    assert key() == key(make_problem(weighted=True))
    assert key(make_problem(n_held_out=5)) == key(make_problem(n_held_out=9, seed=1))
    other = make_config(3, rho=[0.0, 0.1, 0.2], learning_rate=0.5, seed=7)
    assert key() == key(config=other)
    assert key() == key(config=make_config(penalties=make_penalties(l2=0.1)))
    assert len({hash(key()), hash(key(make_problem(seed=1)))}) == 1


def two_targets(time, heat, *, rate=(0.8, 0.5)):
    return torch.exp(-rate * time[:, None])


def make_problem_with_two_targets():
    data = make_data()
    data = data._replace(y=torch.stack([data.y, -data.y], dim=1))
    return Problem(make_hybrid(data, two_targets), data)


def with_network(network: nn.Module) -> Problem:
    problem = make_problem()
    return replace(problem, hybrid=problem.hybrid.with_network(network.double()))


def test_another_loss_or_a_prior_is_another_key():
    assert key() != key(config=replace(make_config(), loss=Loss("huber")))
    assert key(config=replace(make_config(), loss=Loss("huber", 1.0))) != key(
        config=replace(make_config(), loss=Loss("huber", 2.0))
    )
    prior = Prior({}, torch.ones(1), torch.ones(1))
    other = Prior({}, torch.zeros(1), torch.zeros(1))
    assert key() != key(config=replace(make_config(), prior=prior))
    assert key(config=replace(make_config(), prior=other)) == key(
        config=replace(make_config(), prior=prior)
    )


OTHER_PROBLEMS = {
    "width": lambda: make_problem(hidden=(9,)),
    "depth": lambda: make_problem(hidden=(8, 8)),
    "physics parameters": lambda: make_problem(physics=logarithm),
    "targets": make_problem_with_two_targets,
    "held-out rows": lambda: make_problem(n_held_out=5),
    "dtype": lambda: Problem(
        make_hybrid(make_data(dtype=torch.float32)), make_data(dtype=torch.float32)
    ),
    "architecture": lambda: with_network(nn.Sequential(nn.Linear(2, 8), nn.Linear(8, 1))),
}
OTHER_CONFIGS = {
    "no perturbation": {"rho": None},
    "epochs": {"n_epochs": 6},
    "minibatches": {"n_batches": 2},
    "perturbation": {"perturbation": "global"},
    "perturbed parameters": {"perturb": "all"},
    "patience": {"patience": Patience(3, 0.1)},
    "kept parameters": {"keep_best": "each"},
    "compilation": {"compile": True},
    "functional norm": {"penalties": make_penalties(functional_norm=0.1)},
    "orthogonality": {"penalties": make_penalties(orthogonality=0.1)},
}


@pytest.mark.parametrize("make_other", OTHER_PROBLEMS.values(), ids=OTHER_PROBLEMS)
def test_other_models_have_another_key(make_other):
    assert key(make_other()) == key(make_other())
    assert key(make_other()) != key()


@pytest.mark.parametrize("settings", OTHER_CONFIGS.values(), ids=OTHER_CONFIGS)
def test_other_configurations_have_another_key(settings):
    assert key(config=make_config(**settings)) == key(config=make_config(**settings))
    assert key(config=make_config(**settings)) != key()


def test_trajectories_with_other_steps_have_another_key():
    def trajectory_key(n=5, **structure):
        small = SmallTrajectories(*make_oscillations(n, n_times=12), **structure)
        return key(Problem(small.hybrid(), small.data))

    assert trajectory_key() == trajectory_key(n=4)
    assert trajectory_key() != trajectory_key(window=3)
    assert trajectory_key() != trajectory_key(dt=0.3)
    learned = trajectory_key(initial_state="learned")
    assert trajectory_key() != learned
    # There is one learned first state for each window.
    assert learned != trajectory_key(n=4, initial_state="learned")


def test_untrained_parts_of_the_network_must_be_the_same():
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


def test_networks_that_cannot_be_padded_must_read_the_same_features():
    def reading(columns, network=None):
        problem = with_network_columns(make_problem(), columns)
        if network is not None:
            hybrid = problem.hybrid.with_network(network.double())
            problem = replace(problem, hybrid=hybrid)
        return key(problem)

    # The library's own perceptron can be padded, unless it reads a column twice.
    assert reading([0]) == reading([1]) == reading([1, 0])
    assert reading([0, 0]) != reading([1, 1])
    assert reading([0, 0]) == reading([0, 0])
    modules = [nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)) for _ in range(2)]
    assert reading([0], modules[0]) == reading([0], modules[1])
    assert reading([0], modules[0]) != reading([1], modules[1])


def test_the_key_of_a_fit_depends_on_all_its_stages():
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
        assert fit_key(one) != fit_key(two)
