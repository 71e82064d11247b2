"""The restart that is kept is the one that training thinks best."""

from __future__ import annotations

import torch
from small_fits import decay, make_data, make_hybrid

from skhybrid.model.param import Param
from skhybrid.model.physics import Physics
from skhybrid.training.priors import Prior
from skhybrid.training.restart_choice import CLEARLY_BETTER, best_restart
from skhybrid.training.result import MemberResults, Start, Status

DATA = make_data()
HYBRID = make_hybrid(DATA, Physics(decay, rate=Param(0.8, prior=(0.8, 0.1)), level=(1.0, 1.0)))


def chosen(losses, rates, *, prior=True, validation=None, sources=None, status=None):
    """Return the restart that is kept, of restarts with these losses and rates."""
    n = len(losses)
    results = MemberResults(
        status or [Status.FINISHED] * n,
        torch.tensor(losses),
        None if validation is None else torch.tensor(validation),
        torch.zeros(1, n),
    )
    starts = [Start({}, {}, source) for source in sources or ["least squares"] * n]
    level = {"level": torch.ones(2).double()}
    found = [HYBRID.space.coordinates({"rate": torch.tensor(rate), **level}) for rate in rates]
    priors = Prior.of(HYBRID.physics, HYBRID.space, 20, n, DATA.y) if prior else None
    return best_restart(results, starts, found, priors)


def test_a_prior_counts_beside_the_loss():
    losses, rates = [0.105, 0.1, 0.2], [0.8, 1.8, 0.8]  # the second is ten deviations away
    assert chosen(losses, rates) == 0
    assert chosen(losses, rates, prior=False) == 1
    assert chosen([1.0, 0.001, 1.0], rates) == 1  # but data can outweigh it
    assert chosen([9.0, 1.0, 9.0], rates, validation=losses) == 0


def test_given_values_must_be_clearly_better():
    sources = ["least squares", "given"]
    for prior in (True, False):
        for ratio, best in ((1.01, 0), (0.99, 1)):
            losses = [0.1, 0.1 * ratio * CLEARLY_BETTER]
            assert chosen(losses, [0.8, 0.8], sources=sources, prior=prior) == best


def test_failed_restarts_are_left_out():
    status = [Status.FAILED, Status.NON_FINITE, Status.FINISHED]
    assert chosen([0.01, 0.02, 0.3], [0.8] * 3, status=status) == 2
    assert chosen([0.01, 0.02, torch.nan], [0.8] * 3, status=status) == 1
    assert chosen([0.01], [0.8], status=status[:1]) is None
