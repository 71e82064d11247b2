"""Rows of several sources: what every member sees, in which order, and what padding does not do."""

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


# Which rows


def test_every_member_sees_the_rows_of_its_source_and_then_padding_without_weight():
    long, short = make_batch(7), make_batch(5, seed=1)
    streams = PerMemberBatches([long, short], [3, 3], [1, 2])
    assert streams.n_rows == 7
    assert streams.n_sources == 2
    x, y, weight = streams.rows(slice(None))
    assert x.shape == (3, 7, 2)
    assert y.shape == weight.shape == (3, 7)
    exact(x[0], long.x)
    exact(y[0], long.y)
    for member in (1, 2):
        exact(x[member, :5], short.x)
        exact(y[member, :5], short.y)
        # Padding repeats a row, at which the physics is as good as it was there.
        exact(x[member, 5:], short.x[4:].expand(2, 2))
    assert weight.tolist() == [[1.0] * 7] + [[1.0] * 5 + [0.0] * 2] * 2
    # It makes up for rows that count in a mean over all and have no weight.
    assert streams.padding.tolist() == pytest.approx([1.0, 7 / 5, 7 / 5])


def test_some_rows_of_every_member():
    long, short = make_batch(7), make_batch(5, seed=1)
    part = PerMemberBatches([long, short], [3, 3], [1, 1]).rows(slice(3, 6))
    exact(part.x[0], long.x[3:6])
    exact(part.x[1, :2], short.x[3:])
    assert part.weight.tolist() == [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]


def test_rows_that_several_problems_share_are_kept_once():
    batch, other = make_batch(7), make_batch(7, seed=1)
    streams = PerMemberBatches([batch, other, batch], [3, 3, 3], [2, 1, 1])
    assert streams.n_sources == 2
    assert streams.x.shape == (2, 7, 2)
    assert streams.source_of.tolist() == [0, 0, 1, 0]
    # Of another seed the minibatches are other ones.
    assert PerMemberBatches([batch, batch], [3, 4], [1, 1]).n_sources == 2


def test_without_weights_and_padding_there_are_no_weights():
    batches = [make_batch(7), make_batch(7, seed=1)]
    streams = PerMemberBatches(batches, [3, 3], [1, 1])
    assert not need_weights(batches)
    assert streams.weight is None
    assert streams.padding is None
    assert streams.rows(slice(2)).weight is None
    assert streams.idle() is None
    # The other half of a problem may need them.
    wanted = PerMemberBatches(batches, [3, 3], [1, 1], weighted=True)
    assert wanted.padding is None
    assert wanted.rows(slice(2)).weight.tolist() == [[1.0, 1.0]] * 2


def test_weights_of_one_problem_are_ones_for_the_others():
    weight = torch.linspace(0.5, 1.5, 7, dtype=torch.float64)
    batches = [make_batch(7, weight=weight), make_batch(7, seed=1)]
    assert need_weights(batches)
    exact(PerMemberBatches(batches, [3, 3], [1, 1]).rows(slice(None)).weight[0], weight)
    assert bool(
        (PerMemberBatches(batches, [3, 3], [1, 1]).rows(slice(None)).weight[1] == 1.0).all()
    )


def test_members_of_one_problem_may_have_weights_of_their_own():
    own = torch.arange(14.0, dtype=torch.float64).reshape(2, 7)
    shared = torch.linspace(0.5, 1.5, 5, dtype=torch.float64)
    batches = [make_batch(7, weight=own), make_batch(5, seed=1, weight=shared)]
    weight = PerMemberBatches(batches, [3, 3], [2, 2]).rows(slice(None)).weight
    exact(weight[:2], own)
    for member in (2, 3):
        exact(weight[member, :5], shared)
        assert weight[member, 5:].tolist() == [0.0, 0.0]


def test_the_same_rows_with_other_weights_are_one_source():
    batch = make_batch(7)
    weight = torch.linspace(0.5, 1.5, 7, dtype=torch.float64)
    streams = PerMemberBatches([batch, batch._replace(weight=weight)], [3, 3], [1, 1])
    assert streams.n_sources == 1
    seen = streams.rows(slice(None)).weight
    exact(seen, torch.stack([torch.ones_like(weight), weight]))


def test_idle_members_see_no_row_with_a_weight():
    own = torch.stack([torch.zeros(7, dtype=torch.float64), torch.ones(7, dtype=torch.float64)])
    streams = PerMemberBatches([make_batch(7, weight=own), make_batch(5, seed=1)], [3, 3], [2, 1])
    assert streams.idle().tolist() == [True, False, False]


def test_several_targets():
    x = make_data(6).x
    y = torch.arange(12.0, dtype=torch.float64).reshape(6, 2)
    weight = torch.ones(4, 2, dtype=torch.float64)
    weight[1, 0] = 0.0
    batches = [Batch(x, y, None), Batch(x[:4], y[:4] + 1.0, weight)]
    rows = PerMemberBatches(batches, [3, 3], [1, 1]).rows(slice(None))
    assert rows.y.shape == rows.weight.shape == (2, 6, 2)
    exact(rows.weight[1, :4], weight)
    assert not rows.weight[1, 4:].any()


# Minibatches


@pytest.mark.parametrize("seeds", [(3, 3), (3, 4)])
def test_minibatches_are_those_of_a_fit_alone(seeds):
    lengths = (32, 27)
    batches = [make_batch(n, seed=i) for i, n in enumerate(lengths)]
    # Weights that tell the rows apart show that they go with them.
    batches = [batch._replace(weight=batch.y.square()) for batch in batches]
    streams = PerMemberBatches(batches, seeds, [2, 1])
    generators = streams.generators()
    alone = [torch.Generator().manual_seed(seed) for seed in seeds]
    schedule = Schedule(n_epochs=3, n_batches=4, batch_size=6)
    for _ in range(schedule.n_epochs):
        orders = [torch.randperm(n, generator=g) for n, g in zip(lengths, alone, strict=True)]
        epoch = streams.shuffled(schedule, generators)
        for number in range(4):
            rows = epoch.rows(slice(6 * number, 6 * number + 6))
            for member, source in enumerate((0, 0, 1)):
                chosen = orders[source][6 * number : 6 * number + 6]
                exact(rows.x[member], batches[source].x[chosen])
                exact(rows.y[member], batches[source].y[chosen])
                exact(rows.weight[member], batches[source].weight[chosen])
    # The rows themselves are where they were.
    exact(streams.rows(slice(27)).y[2], batches[1].y)


def test_an_epoch_of_minibatches_sees_no_padding_and_no_row_twice():
    batches = [make_batch(32), make_batch(27, seed=1)]
    streams = PerMemberBatches(batches, [3, 3], [1, 1])
    schedule = Schedule(n_epochs=1, n_batches=4, batch_size=6)
    rows = streams.shuffled(schedule, streams.generators()).rows(slice(24))
    assert bool((rows.weight == 1.0).all())
    assert [len(set(row.tolist())) for row in rows.y] == [24, 24]


def test_all_rows_at_once_stay_in_order():
    streams = PerMemberBatches([make_batch(7), make_batch(5, seed=1)], [3, 3], [1, 1])
    assert streams.shuffled(Schedule(2, 1, 7), streams.generators()) is streams


# Trajectories


def test_windows_of_trajectories():
    long, short = (
        SmallTrajectories(*make_oscillations(n, seed=n), initial_state="learned").data
        for n in (3, 2)
    )
    n_short = len(short.y)
    streams = PerMemberBatches([long, short], [3, 3], [1, 1])
    rows = streams.rows(slice(None))
    assert isinstance(rows.x, Windows)
    for name, part in rows.x._asdict().items():
        expected_axis = None if part is None else 0
        assert getattr(streams.row_axes, name) == expected_axis
        if part is not None:
            exact(part[0], getattr(long.x, name))
            exact(part[1, :n_short], getattr(short.x, name))
    assert rows.x.inputs is None
    assert not rows.weight[1, n_short:].any()


def test_windows_that_pad_refer_to_no_other_window():
    long, short = (
        SmallTrajectories(*make_oscillations(n, seed=n), initial_state="learned").data
        for n in (3, 2)
    )
    # The last one begins a trajectory, so that there is one that follows it.
    short = rows_of(short, torch.arange(len(short.y)).flip(0))
    assert int(short.x.following[-1]) >= 0
    padded = PerMemberBatches([long, short], [3, 3], [1, 1]).rows(slice(len(short.y), None)).x
    assert padded.following.shape == padded.entry.shape == (2, len(long.y) - len(short.y))
    assert padded.following[1].tolist() == padded.entry[1].tolist() == [-1] * 3


def test_the_axis_of_the_members_of_a_table():
    assert PerMemberBatches([make_batch(7), make_batch(7)], [3, 3], [1, 1]).row_axes == 0


# Some rows of any kind of data


def test_rows_of_a_batch_take_their_weights_along():
    batch = make_batch(7, weight=torch.arange(7.0, dtype=torch.float64))
    exact(rows_of(batch, slice(2, 4)).weight, batch.weight[2:4])
    own = torch.arange(14.0, dtype=torch.float64).reshape(2, 7)
    part = rows_of(batch._replace(weight=own), torch.tensor([6, 0]))
    exact(part.weight, own[:, [6, 0]])
    exact(part.x, batch.x[[6, 0]])
    assert rows_of(make_batch(7), slice(3)).weight is None
