"""Networks that read different features, padded to read the same ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_fits import (
    make_config,
    make_penalties,
    make_problem,
    make_starts,
    trained_alone,
    with_network_columns,
)
from torch.testing import assert_close

from skhybrid.model.networks import build_network
from skhybrid.training.batching_key import fit_key
from skhybrid.training.input_padding import FEATURE_SCALES, input_paddings
from skhybrid.training.multistart import train_together
from skhybrid.training.problem import Fit

COLUMNS = [[0], [1], [1, 0], [0, 1]]


def two_inputs():
    """Return a network with two inputs."""
    return build_network((8,), 2, 1, seed=0).double()


def test_a_padded_network_answers_like_the_network_itself():
    problems = [with_network_columns(make_problem(), columns) for columns in COLUMNS]
    paddings, union = input_paddings(problems)
    assert union == [0, 1]
    for problem, padding in zip(problems, paddings, strict=True):
        (start,) = make_starts(problem.hybrid, 1)
        padded = padding.pad_model(problem.hybrid, union)
        weights = padding.pad(start.weights)
        assert weights["0.weight"].shape == (8, 2)
        x = problem.data.x
        for hold in (False, True):
            assert_close(
                padded(3.0 * x, start.coordinates, weights, hold=hold),
                problem.hybrid(3.0 * x, start.coordinates, start.weights, hold=hold),
                rtol=1e-12,
                atol=1e-12,
            )
        assert_close(padding.unpad(weights), dict(start.weights), rtol=0, atol=0)
        # The original model has not changed.
        assert len(problem.hybrid.scales.feature_offset) == len(problem.hybrid.network_columns)


def test_networks_that_read_the_same_features_are_not_padded():
    problems = [with_network_columns(make_problem(seed=i), [1]) for i in range(2)]
    assert input_paddings(problems) == (None, [])
    # A network without chosen columns reads all of them.
    problems = [make_problem(), with_network_columns(make_problem(), [0, 1])]
    assert input_paddings(problems) == (None, [])
    paddings, union = input_paddings([make_problem(), with_network_columns(make_problem(), [1])])
    assert union == [0, 1]
    assert [padding.position.tolist() for padding in paddings] == [[0, 1], [1]]


def test_extra_inputs_of_a_structure_come_after_all_features():
    def make_serial_problem(column):
        problem = with_network_columns(make_problem(structure="serial"), [column])
        # The network also reads the output of the physics.
        scales = problem.hybrid.scales
        wider = {name: torch.cat([getattr(scales, name)] * 2) for name in FEATURE_SCALES}
        hybrid = problem.hybrid.with_network(two_inputs())
        return replace(problem, hybrid=hybrid.at(hybrid.space, replace(scales, **wider)))

    problems = [make_serial_problem(column) for column in (0, 1)]
    paddings, union = input_paddings(problems)
    assert union == [0, 1]
    assert [padding.position.tolist() for padding in paddings] == [[0, 2], [1, 2]]
    for problem, padding in zip(problems, paddings, strict=True):
        (start,) = make_starts(problem.hybrid, 1)
        padded = padding.pad_model(problem.hybrid, union)
        assert_close(
            padded(problem.data.x, start.coordinates, padding.pad(start.weights)),
            problem.hybrid(problem.data.x, start.coordinates, start.weights),
            rtol=1e-12,
            atol=1e-12,
        )


@pytest.mark.parametrize("perturbation", ["layer", "global", "elementwise"])
def test_a_padded_network_is_trained_like_the_network_itself(perturbation):
    problem = with_network_columns(make_problem(), [1])
    (padding, _), union = input_paddings([problem, make_problem()])
    (start,) = make_starts(problem.hybrid, 1)
    config = make_config(
        perturbation=perturbation,
        penalties=make_penalties(l2=0.1, functional_norm=0.1),
        n_rows=27,
        n_batches=3,
        n_epochs=6,
    )
    _, (alone,) = trained_alone(problem, config, [start])
    hybrid = padding.pad_model(problem.hybrid, union).with_network(two_inputs())
    padded_start = replace(start, weights=padding.pad(start.weights))
    _, (padded,) = trained_alone(replace(problem, hybrid=hybrid), config, [padded_start])
    assert bool((padded["0.weight"][:, 0] == 0.0).all())
    assert_close(padding.unpad(padded), alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n_held_out", [0, 7])
def test_fits_of_networks_that_read_different_features_equal_fits_alone(n_held_out):
    problems = [
        with_network_columns(make_problem(30, i, n_held_out), columns)
        for i, columns in enumerate(COLUMNS[:3])
    ]
    problems.append(make_problem(30, 9, n_held_out))
    config = make_config(n_rows=30, n_batches=3, n_epochs=3)
    refinement = make_config(n_rows=30, n_batches=3, n_epochs=3, rho=None)
    fits = [
        Fit(problem, make_starts(problem.hybrid, 1, seed=i), config, refinement)
        for i, problem in enumerate(problems)
    ]
    assert len({fit_key(fit) for fit in fits}) == 1
    for fit, found in zip(fits, train_together(fits), strict=True):
        (alone,) = train_together([fit])
        assert_close(found.weights, alone.weights, rtol=1e-9, atol=1e-12)
        assert_close(found.coordinates, alone.coordinates, rtol=1e-9, atol=1e-12)
        assert found.loss == pytest.approx(alone.loss, rel=1e-9)
        assert found.loss_curve == pytest.approx(alone.loss_curve, rel=1e-9)
        assert vars(found.explained) == pytest.approx(vars(alone.explained), rel=1e-9)
        assert found.weights["0.weight"].shape == fit.starts[0].weights["0.weight"].shape
