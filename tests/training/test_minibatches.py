"""Rows of several sources: which rows every member sees, in which order, and the padding."""

from __future__ import annotations

import pytest
import torch
from small_fits import make_data
from small_trajectories import SmallTrajectories, make_oscillations
from torch.testing import assert_close

from skhybrid.model.batch import Batch, Windows
from skhybrid.training.minibatches import PerMemberBatches, need_weights, rows_of
from skhybrid.training.schedule import Schedule


def make_batch(n_rows: int, seed: int = 0, weight: torch.Tensor | None = None) -> Batch:
    return make_data(n_rows, seed=seed)._replace(weight=weight)


def exact(actual, expected):
    assert_close(actual, expected, rtol=0, atol=0)


# Which rows a member sees


def test_every_member_sees_the_rows_of_its_source_and_padding_without_weight():
    long, short = make_batch(7), make_batch(5, seed=1)
    data = PerMemberBatches([long, short], [3, 3], [1, 2])
    assert data.n_rows == 7
    assert data.n_sources == 2
    x, y, weight = data.rows(slice(None))
    assert x.shape == (3, 7, 2)
    assert y.shape == weight.shape == (3, 7)
    exact(x[0], long.x)
    exact(y[0], long.y)
    for member in (1, 2):
        exact(x[member, :5], short.x)
        exact(y[member, :5], short.y)
        # Padding repeats the last row, so the physics is defined there if it is defined at all.
        exact(x[member, 5:], short.x[4:].expand(2, 2))
    assert weight.tolist() == [[1.0] * 7] + [[1.0] * 5 + [0.0] * 2] * 2
    # The factor corrects a mean over all rows, which counts those without weight.
    assert data.padding.tolist() == pytest.approx([1.0, 7 / 5, 7 / 5])


def test_some_rows_of_every_member():
    long, short = make_batch(7), make_batch(5, seed=1)
    part = PerMemberBatches([long, short], [3, 3], [1, 1]).rows(slice(3, 6))
    exact(part.x[0], long.x[3:6])
    exact(part.x[1, :2], short.x[3:])
    assert part.weight.tolist() == [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]


def test_rows_shared_by_several_problems_are_stored_once():
    batch, other = make_batch(7), make_batch(7, seed=1)
    data = PerMemberBatches([batch, other, batch], [3, 3, 3], [2, 1, 1])
    assert data.n_sources == 2
    assert data.x.shape == (2, 7, 2)
    assert data.source_of.tolist() == [0, 0, 1, 0]
    # Another seed gives other minibatches.
    assert PerMemberBatches([batch, batch], [3, 4], [1, 1]).n_sources == 2


def test_without_weights_and_padding_there_are_no_weights():
    sources = [make_batch(7), make_batch(7, seed=1)]
    data = PerMemberBatches(sources, [3, 3], [1, 1])
    assert not need_weights(sources)
    assert data.weight is None
    assert data.padding is None
    assert data.rows(slice(2)).weight is None
    assert data.idle() is None
    # Training rows need weights if the validation rows have them.
    wanted = PerMemberBatches(sources, [3, 3], [1, 1], weighted=True)
    assert wanted.padding is None
    assert wanted.rows(slice(2)).weight.tolist() == [[1.0, 1.0]] * 2


def test_problems_without_weights_get_weights_of_one():
    weight = torch.linspace(0.5, 1.5, 7, dtype=torch.float64)
    sources = [make_batch(7, weight=weight), make_batch(7, seed=1)]
    assert need_weights(sources)
    exact(PerMemberBatches(sources, [3, 3], [1, 1]).rows(slice(None)).weight[0], weight)
    assert bool(
        (PerMemberBatches(sources, [3, 3], [1, 1]).rows(slice(None)).weight[1] == 1.0).all()
    )


def test_members_of_one_problem_may_have_their_own_weights():
    own = torch.arange(14.0, dtype=torch.float64).reshape(2, 7)
    shared = torch.linspace(0.5, 1.5, 5, dtype=torch.float64)
    sources = [make_batch(7, weight=own), make_batch(5, seed=1, weight=shared)]
    weight = PerMemberBatches(sources, [3, 3], [2, 2]).rows(slice(None)).weight
    exact(weight[:2], own)
    for member in (2, 3):
        exact(weight[member, :5], shared)
        assert weight[member, 5:].tolist() == [0.0, 0.0]


def test_the_same_rows_with_other_weights_are_one_source():
    batch = make_batch(7)
    weight = torch.linspace(0.5, 1.5, 7, dtype=torch.float64)
    data = PerMemberBatches([batch, batch._replace(weight=weight)], [3, 3], [1, 1])
    assert data.n_sources == 1
    seen = data.rows(slice(None)).weight
    exact(seen, torch.stack([torch.ones_like(weight), weight]))


def test_idle_members_see_no_row_with_a_weight():
    own = torch.stack([torch.zeros(7, dtype=torch.float64), torch.ones(7, dtype=torch.float64)])
    data = PerMemberBatches([make_batch(7, weight=own), make_batch(5, seed=1)], [3, 3], [2, 1])
    assert data.idle().tolist() == [True, False, False]


def test_several_targets():
    x = make_data(6).x
    y = torch.arange(12.0, dtype=torch.float64).reshape(6, 2)
    weight = torch.ones(4, 2, dtype=torch.float64)
    weight[1, 0] = 0.0
    sources = [Batch(x, y, None), Batch(x[:4], y[:4] + 1.0, weight)]
    rows = PerMemberBatches(sources, [3, 3], [1, 1]).rows(slice(None))
    assert rows.y.shape == rows.weight.shape == (2, 6, 2)
    exact(rows.weight[1, :4], weight)
    assert not rows.weight[1, 4:].any()


# Minibatches


@pytest.mark.parametrize("seeds", [(3, 3), (3, 4)])
def test_minibatches_are_the_same_as_in_a_fit_alone(seeds):
    lengths = (32, 27)
    sources = [make_batch(n, seed=i) for i, n in enumerate(lengths)]
    # Each row has its own weight, which shows that weights stay with their rows.
    sources = [batch._replace(weight=batch.y.square()) for batch in sources]
    data = PerMemberBatches(sources, seeds, [2, 1])
    generators = data.generators()
    alone = [torch.Generator().manual_seed(seed) for seed in seeds]
    schedule = Schedule(n_epochs=3, n_batches=4, batch_size=6)
    for _ in range(schedule.n_epochs):
        orders = [torch.randperm(n, generator=g) for n, g in zip(lengths, alone, strict=True)]
        epoch = data.shuffled(schedule, generators)
        for number in range(4):
            rows = epoch.rows(slice(6 * number, 6 * number + 6))
            for member, source in enumerate((0, 0, 1)):
                chosen = orders[source][6 * number : 6 * number + 6]
                exact(rows.x[member], sources[source].x[chosen])
                exact(rows.y[member], sources[source].y[chosen])
                exact(rows.weight[member], sources[source].weight[chosen])
    # The order of the original rows has not changed.
    exact(data.rows(slice(27)).y[2], sources[1].y)


def test_an_epoch_of_minibatches_sees_no_padding_and_no_row_twice():
    sources = [make_batch(32), make_batch(27, seed=1)]
    data = PerMemberBatches(sources, [3, 3], [1, 1])
    schedule = Schedule(n_epochs=1, n_batches=4, batch_size=6)
    rows = data.shuffled(schedule, data.generators()).rows(slice(24))
    assert bool((rows.weight == 1.0).all())
    assert [len(set(row.tolist())) for row in rows.y] == [24, 24]


def test_a_single_minibatch_keeps_the_order_of_the_rows():
    data = PerMemberBatches([make_batch(7), make_batch(5, seed=1)], [3, 3], [1, 1])
    assert data.shuffled(Schedule(2, 1, 7), data.generators()) is data


# Trajectories


def test_windows_of_trajectories():
    long, short = (
        SmallTrajectories(*make_oscillations(n, seed=n), initial_state="learned").data
        for n in (3, 2)
    )
    n_short = len(short.y)
    data = PerMemberBatches([long, short], [3, 3], [1, 1])
    rows = data.rows(slice(None))
    assert isinstance(rows.x, Windows)
    for name, part in rows.x._asdict().items():
        expected_axis = None if part is None else 0
        assert getattr(data.row_axes, name) == expected_axis
        if part is not None:
            exact(part[0], getattr(long.x, name))
            exact(part[1, :n_short], getattr(short.x, name))
    assert rows.x.inputs is None
    assert not rows.weight[1, n_short:].any()


def test_padding_windows_refer_to_no_other_window():
    long, short = (
        SmallTrajectories(*make_oscillations(n, seed=n), initial_state="learned").data
        for n in (3, 2)
    )
    # Now the last window begins a trajectory, so another window follows it.
    short = rows_of(short, torch.arange(len(short.y)).flip(0))
    assert int(short.x.next_index[-1]) >= 0
    padded = PerMemberBatches([long, short], [3, 3], [1, 1]).rows(slice(len(short.y), None)).x
    assert padded.next_index.shape == padded.index.shape == (2, len(long.y) - len(short.y))
    assert padded.next_index[1].tolist() == padded.index[1].tolist() == [-1] * 3


def test_the_member_axis_of_a_table():
    assert PerMemberBatches([make_batch(7), make_batch(7)], [3, 3], [1, 1]).row_axes == 0


# Rows of a batch


def test_rows_of_selects_their_weights_too():
    batch = make_batch(7, weight=torch.arange(7.0, dtype=torch.float64))
    exact(rows_of(batch, slice(2, 4)).weight, batch.weight[2:4])
    own = torch.arange(14.0, dtype=torch.float64).reshape(2, 7)
    part = rows_of(batch._replace(weight=own), torch.tensor([6, 0]))
    exact(part.weight, own[:, [6, 0]])
    exact(part.x, batch.x[[6, 0]])
    assert rows_of(make_batch(7), slice(3)).weight is None


@pytest.mark.parametrize("rows", [slice(2, 5), torch.tensor([4, 0])])
def test_rows_of_finds_the_row_axis_of_the_weights(rows):
    data = make_data(6)._replace(y=torch.arange(12.0, dtype=torch.float64).reshape(6, 2))
    assert rows_of(data, rows).weight is None
    shared = torch.arange(12.0).reshape(6, 2)
    each = torch.stack([shared, shared + 100.0])
    assert_close(rows_of(data._replace(weight=shared), rows).weight, shared[rows])
    batch = rows_of(data._replace(weight=each), rows)
    assert_close(batch.weight, torch.stack([shared[rows], shared[rows] + 100.0]))
    assert_close(batch.x, data.x[rows])
    assert_close(batch.y, data.y[rows])
