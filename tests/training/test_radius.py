"""The radius in every step, compared with its formula in plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_fits import make_config, make_members, make_penalties, make_problem, make_starts

from skhybrid.training import step as step_module
from skhybrid.training.loop import train
from skhybrid.training.radius import AVERAGED_PART, FULL_RADIUS_ERROR, Radius
from skhybrid.training.schedule import Schedule

N_STEPS = 300
RNG = np.random.default_rng(0)


def draw_losses(n_members):
    """Return losses of every step and member, from far below the noise level to far above."""
    levels = 10.0 ** np.linspace(0.0, -6.0, n_members)
    return levels * RNG.exponential(size=(N_STEPS, n_members))


def follow(radius, losses):
    """Return the radii of all steps."""
    schedule = Schedule(n_epochs=len(losses), n_batches=1, batch_size=1)
    radii = []
    for step, of_members in enumerate(torch.as_tensor(losses)):
        radius.update(of_members, schedule.decay(step))
        radii.append(radius.values.clone())
    return torch.stack(radii).numpy()


def by_formula(rho, losses):
    """Return the radii of one member."""
    mean, radii = 1.0, []
    for step, loss in enumerate(losses):
        part = min(1.0, loss / FULL_RADIUS_ERROR**2) if np.isfinite(loss) else 1.0
        mean += (part - mean) / (AVERAGED_PART * N_STEPS)
        least = np.cos(np.pi * step / N_STEPS / 2.0) ** 4
        radii.append(rho * max(least, np.sqrt(mean)))
    return np.array(radii)


def test_the_radius_follows_its_formula():
    losses = draw_losses(4)
    losses[40:45, 1] = np.nan
    losses[50, 2] = np.inf
    rho = torch.tensor([0.05, 0.05, 0.2, 0.01], dtype=torch.float64)
    found = follow(Radius(rho, torch.ones(4, dtype=torch.bool), N_STEPS), losses)
    for member, own in enumerate(losses.T):
        np.testing.assert_allclose(
            found[:, member], by_formula(float(rho[member]), own), rtol=1e-12
        )
    assert found[-1, 0] > 0.99 * 0.05  # noise
    assert found[-1, 3] < 0.05 * 0.01  # none


def test_members_with_a_constant_radius_keep_it_bit_by_bit():
    rho = torch.rand(5)
    follows = torch.tensor([False, True, False, True, False])
    found = follow(Radius(rho, follows, N_STEPS), draw_losses(5).astype(np.float32))
    assert (found[:, ~follows] == rho[~follows].numpy()).all()
    assert (found[-1, follows] < rho[follows].numpy()).all()
    assert not Radius(rho, torch.zeros(5, dtype=torch.bool), N_STEPS).varies


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_radius_alone_is_the_one_among_others_bit_by_bit(dtype):
    losses, rho = torch.as_tensor(draw_losses(37)).to(dtype), torch.rand(37, dtype=dtype)
    together = follow(Radius(rho, torch.ones(37, dtype=torch.bool), N_STEPS), losses)
    for member in (0, 3, 36):
        alone = Radius(rho[member : member + 1], torch.ones(1, dtype=torch.bool), N_STEPS)
        assert (follow(alone, losses[:, member])[:, 0] == together[:, member]).all()


def test_one_loss_that_is_not_finite_is_forgotten():
    losses = np.full((N_STEPS, 2), 1e-8)
    losses[150, 1] = np.nan
    without, found = follow(Radius(torch.ones(2).double(), torch.ones(2).bool(), N_STEPS), losses).T
    assert np.isfinite(found).all()
    assert without[150] < found[150] < 0.4
    assert found[-1] < 1.01 * without[-1]


def test_a_radius_goes_on_from_its_state():
    losses = draw_losses(3)
    arguments = torch.full((3,), 0.05).double(), torch.ones(3, dtype=torch.bool), N_STEPS
    whole, first, second = (Radius(*arguments) for _ in range(3))
    expected = follow(whole, losses)
    for of_members in torch.as_tensor(losses[:100]):
        first.update(of_members, 0.0)
    second.restore(first.state().clone())
    for step, of_members in enumerate(torch.as_tensor(losses[100:])):
        second.update(of_members, Schedule(N_STEPS, 1, 1).decay(100 + step))
    assert (second.values.numpy() == expected[-1]).all()


def test_penalties_are_not_taken_for_noise(monkeypatch):
    """The radius gets the losses of the data, also where penalties are in the loss."""
    seen = []

    class Watched(Radius):
        def update(self, losses, decay):
            seen.append(losses.clone())
            super().update(losses, decay)

    monkeypatch.setattr(step_module, "Radius", Watched)
    problem = make_problem()
    for n_members in (1, 2):
        for strength in (0.0, 7.0):
            starts = make_starts(problem.hybrid, n_members)
            members = make_members(problem.hybrid, starts)
            penalties = make_penalties(n_members, functional_norm=strength, l2=strength)
            config = make_config(
                n_members,
                n_epochs=1,
                follows_noise=True,
                penalties=penalties,
                physics_learning_rate=0.0,
            )
            train(problem, members, config)
        without, with_penalty = (losses.reshape(-1) for losses in seen)
        torch.testing.assert_close(with_penalty, without, rtol=1e-12, atol=0.0)
        seen.clear()
