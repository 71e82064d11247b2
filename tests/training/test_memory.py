"""How much memory a member needs, compared with the size of its tensors."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from small_fits import make_config, make_data, make_hybrid, make_penalties, make_starts
from small_trajectories import SmallTrajectories
from torch import nn
from torch.testing import assert_close

from skhybrid.training.memory import PARAMETER_COPIES, PASSES, member_bytes
from skhybrid.training.problem import Problem

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

DOUBLE = 8


def measured(
    n_rows: int = 60,
    n_batches: int = 1,
    hidden: tuple[int, ...] = (32, 32),
    dtype: torch.dtype = torch.float64,
    **config,
) -> int:
    data = make_data(n_rows, dtype=dtype)
    hybrid = make_hybrid(data, hidden=hidden)
    (start,) = make_starts(hybrid, 1, hidden)
    config = make_config(n_rows=n_rows, n_batches=n_batches, **config)
    return member_bytes(Problem(hybrid, data), start, config)


@pytest.mark.parametrize("n_rows", [40, 400])
@pytest.mark.parametrize("hidden", [(16,), (64, 64), (32, 32, 32)])
def test_it_is_close_to_the_size_of_a_perceptrons_tensors(n_rows, hidden):
    sizes = [2, *hidden, 1]
    # Every layer keeps its inputs; every hidden unit keeps the input of its activation.
    kept = n_rows * (sum(sizes[:-1]) + sum(hidden))
    n_parameters = sum((before + 1) * after for before, after in pairwise(sizes))
    counted = DOUBLE * (PASSES * kept + PARAMETER_COPIES * n_parameters)
    assert 0.5 < measured(n_rows, hidden=hidden) / counted < 2.0


def test_it_grows_with_the_minibatch_and_with_the_width():
    assert 6 < measured(8000) / measured(1000) < 8.5
    assert 2.5 < measured(1000, hidden=(256, 256)) / measured(1000, hidden=(64, 64)) < 8.5


def test_only_the_rows_of_one_minibatch_count():
    together, apart = measured(4000), measured(4000, n_batches=40)
    assert apart < together / 20
    assert apart == measured(100)


def test_float32_needs_half():
    assert measured(dtype=torch.float32) == pytest.approx(measured() / 2, rel=0.05)


def test_penalties_count():
    penalties = make_penalties(orthogonality=0.1)
    assert measured(400, penalties=penalties) > measured(400) + DOUBLE * 400


def test_the_configuration_may_be_for_several_members():
    data = make_data()
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, 3)
    problem = Problem(hybrid, data)
    three = member_bytes(problem, starts[0], make_config(3, rho=[0.0, 0.1, 0.2]))
    assert three == member_bytes(problem, starts[0], make_config())


def test_the_start_does_not_change():
    data = make_data()
    hybrid = make_hybrid(data)
    (start,) = make_starts(hybrid, 1)
    before = {name: value.clone() for name, value in start.weights.items()}
    member_bytes(Problem(hybrid, data), start, make_config())
    assert_close(dict(start.weights), before, rtol=0, atol=0)
    assert not any(value.requires_grad for value in start.weights.values())


def test_trajectories_and_own_networks():
    small = SmallTrajectories(initial_state="learned")
    hybrid = small.hybrid()
    (start,) = small.starts(hybrid, 1)
    n_rows = len(small.data.y)
    config = make_config(n_rows=n_rows)
    # A step keeps as much as a row of a table; a window has four steps of four stages.
    assert member_bytes(Problem(hybrid, small.data), start, config) > DOUBLE * n_rows * 16 * 5
    data = make_data()
    hybrid = make_hybrid(data)
    network = nn.Sequential(nn.Linear(2, 500), nn.Tanh(), nn.Linear(500, 1)).double()
    hybrid = hybrid.with_network(network)
    start = make_starts(make_hybrid(data), 1)[0]
    weights = {name: p.detach().clone() for name, p in hybrid.network.named_parameters()}
    wide = member_bytes(Problem(hybrid, data), type(start)(weights, start.coordinates), config)
    assert wide > DOUBLE * 30 * 500
