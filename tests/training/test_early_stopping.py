"""Which parameters are kept, and when training stops early."""

from __future__ import annotations

import math

import pytest
import torch

from skhybrid.training.early_stopping import EVALUATIONS, BestKeeper, Patience, PatienceCounter
from skhybrid.training.members import Members

NAN = math.nan


def values(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float32)


def keep(mode, losses_by_epoch):
    """Give member m the parameter 10 m + epoch; return the kept parameters and their epochs."""
    n_members = len(losses_by_epoch[0])
    members = Members(None, [{}] * n_members, [{"z": torch.tensor(0.0)}] * n_members)
    keeper = BestKeeper(members, mode)
    for epoch, losses in enumerate(losses_by_epoch):
        with torch.no_grad():
            members.flat.copy_(10.0 * torch.arange(n_members) + epoch)
        keeper.update(epoch, values(*losses))
    epochs = keeper.restore([len(losses_by_epoch) - 1] * n_members)
    return members.flat.tolist(), epochs, keeper


LOSSES = [[3.0, 3.0], [1.0, 4.0], [2.0, 2.0], [2.0, 1.8], [9.0, 9.0]]


def test_without_a_mode_the_last_parameters_stay():
    assert keep(None, LOSSES)[:2] == ([4.0, 14.0], [4, 4])


def test_each_member_has_its_own_best_epoch():
    flat, epochs, keeper = keep("each", LOSSES)
    assert (flat, epochs) == ([1.0, 13.0], [1, 3])
    assert keeper.best.tolist() == pytest.approx([1.0, 1.8])


def test_together_the_mean_loss_decides():
    assert keep("together", LOSSES)[:2] == ([3.0, 13.0], [3, 3])


def test_together_the_last_epoch_is_kept_unless_it_is_worse_by_a_standard_error():
    best = [1.0, 2.0, 3.0]
    start = [5.0, 5.0, 5.0]
    within = [1.3, 1.9, 3.0]  # mean rise 0.067, standard error 0.120
    beyond = [1.1, 2.15, 3.1]  # mean rise 0.117, standard error 0.017
    assert keep("together", [start, best, within])[1] == [2, 2, 2]
    assert keep("together", [start, best, beyond])[1] == [1, 1, 1]
    # A single loss has no standard error.
    assert keep("together", [[5.0], [1.0], [1.01]])[1] == [1]


@pytest.mark.parametrize(
    ("mode", "rises", "n_epochs", "over"),
    [
        ("together", [0.0, 0.10, 0.11, 0.12], 10, True),
        ("each", [0.0, 0.10, 0.11, 0.12], 10, False),  # the user's own early stopping decides
        ("together", [0.0, 0.10, 0.11, 0.12], 20, False),  # too early in the phase
        ("together", [0.3, 0.1, 0.0, 0.12], 10, False),  # it was better a short time ago
        ("together", [0.0, 0.10, 0.11, 0.01], 10, False),  # within three standard errors
    ],
)
def test_together_a_fit_overfits_if_it_was_clearly_better_long_ago(mode, rises, n_epochs, over):
    scatter = torch.tensor([0.0, -0.02, 0.02])
    curve = [[1.0] * 3] + [[1.0 + rise + d for d in scatter.tolist()] for rise in rises[1:]]
    curve[0] = [1.0 + rises[0]] * 3
    _, _, keeper = keep(mode, curve)
    assert keeper.overfits(3, n_epochs) == [over]


def test_together_averages_over_the_members_that_hold_rows_out():
    assert keep("together", [[NAN, 2.0, 2.0], [NAN, 1.0, 2.0], [NAN, 1.5, 2.4]])[:2] == (
        [1.0, 11.0, 21.0],
        [1, 1, 1],
    )


def test_the_start_may_be_kept_and_a_tie_goes_to_the_earlier_epoch():
    assert keep("each", [[1.0], [1.0], [2.0]])[:2] == ([0.0], [0])


def test_a_loss_that_is_not_finite_is_never_the_best():
    assert keep("each", [[NAN, 5.0], [2.0, NAN], [3.0, NAN]])[:2] == ([1.0, 10.0], [1, 0])


def test_members_without_a_finite_loss_keep_their_last_parameters():
    flat, epochs, _ = keep("each", [[NAN, 1.0], [NAN, 2.0], [math.inf, 3.0]])
    assert (flat, epochs) == ([2.0, 10.0], [2, 0])


@pytest.mark.parametrize("n_epochs", [1, 50, 100, 199, 1000, 3037])
def test_evaluations_are_few_and_include_the_last_epoch(n_epochs):
    due = [epoch for epoch in range(1, n_epochs + 1) if BestKeeper.due(epoch, n_epochs)]
    assert min(n_epochs, EVALUATIONS) <= len(due) <= 2 * EVALUATIONS
    assert due[-1] == n_epochs
    if n_epochs <= EVALUATIONS:
        assert len(due) == n_epochs


def first_exhausted(patience, losses_by_epoch):
    counter = PatienceCounter(patience, [slice(0, len(losses_by_epoch[0]))])
    for epoch, losses in enumerate(losses_by_epoch, start=1):
        if counter.exhausted(epoch, values(*losses)) == [True]:
            return epoch
    return None


def test_patience_is_exhausted_a_number_of_epochs_after_the_last_improvement():
    losses = [[5.0], [4.0], [4.5], [3.0], [3.5], [3.0], [3.2], [3.1]]
    assert first_exhausted(Patience(3, 0.0), losses) == 7
    assert first_exhausted(Patience(5, 0.0), losses) is None


def test_improvements_below_the_tolerance_count_once_they_add_up():
    slow = [[1.0 - 0.03 * epoch] for epoch in range(30)]
    assert first_exhausted(Patience(3, 0.1), slow) == 4
    assert first_exhausted(Patience(4, 0.1), slow) is None
    assert first_exhausted(Patience(3, 0.0), slow) is None


def test_one_improving_member_is_enough():
    losses = [[1.0, 9.0 - epoch] for epoch in range(6)] + [[1.0, 4.0]] * 5
    assert first_exhausted(Patience(3, 0.0), losses) == 9


def test_a_member_whose_loss_is_not_finite_at_first_counts_later():
    losses = [[NAN, 1.0], *[[9.0 - epoch, 1.0] for epoch in range(6)], *[[4.0, 1.0]] * 9]
    assert first_exhausted(Patience(3, 0.0), losses) == 10


def test_patience_is_also_exhausted_without_a_finite_loss():
    assert first_exhausted(Patience(3, 0.0), [[NAN]] * 9) == 3
