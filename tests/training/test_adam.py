"""Adam: the same steps as torch, a learning rate for every element, and elements that stop."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from skhybrid.training.adam import Adam

SIZE = 12


def gradients(n_steps: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = 10.0 ** torch.linspace(-9, 3, SIZE, dtype=torch.float64)
    return [
        torch.randn(SIZE, generator=generator, dtype=torch.float64) * sizes for _ in range(n_steps)
    ]


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.9)])
def test_takes_the_same_steps_as_torch(betas):
    ours = torch.linspace(-1, 1, SIZE, dtype=torch.float64)
    theirs = ours.clone().requires_grad_()
    adam = Adam(ours, torch.full_like(ours, 0.03), beta1=betas[0], beta2=betas[1])
    oracle = torch.optim.Adam([theirs], lr=0.03, betas=betas)
    for gradient in gradients(50):
        theirs.grad = gradient.clone()
        oracle.step()
        adam.step(gradient)
        assert_close(ours, theirs.detach(), rtol=1e-12, atol=1e-12)
    assert adam.n_steps == 50


def test_decay_multiplies_the_learning_rate_of_one_step():
    ours = torch.zeros(SIZE, dtype=torch.float64)
    theirs = ours.clone().requires_grad_()
    adam = Adam(ours, torch.full_like(ours, 0.1))
    oracle = torch.optim.Adam([theirs], lr=0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(oracle, 0.8)
    for step, gradient in enumerate(gradients(20)):
        theirs.grad = gradient.clone()
        oracle.step()
        schedule.step()
        adam.step(gradient, 0.8**step)
    assert_close(ours, theirs.detach(), rtol=1e-12, atol=1e-12)


def test_every_element_has_its_own_learning_rate():
    rates = torch.linspace(0.0, 0.2, SIZE, dtype=torch.float64)
    ours = torch.ones(SIZE, dtype=torch.float64)
    alone = [ours[[element]].clone() for element in range(SIZE)]
    adam = Adam(ours, rates.clone())
    adams = [Adam(value, rates[[element]].clone()) for element, value in enumerate(alone)]
    for gradient in gradients(10):
        adam.step(gradient)
        for element, single in enumerate(adams):
            single.step(gradient[[element]])
    assert_close(ours, torch.cat(alone), rtol=0, atol=0)
    assert ours[0] == 1.0
    assert bool((ours[1:] != 1.0).all())


def test_forgotten_elements_do_not_move_even_after_a_non_finite_gradient():
    ours = torch.ones(SIZE, dtype=torch.float64)
    untouched = ours.clone()
    adam = Adam(ours, torch.full_like(ours, 0.1))
    other = Adam(untouched, torch.full_like(ours, 0.1))
    chosen = torch.zeros(SIZE, dtype=torch.bool)
    chosen[[2, 7]] = True
    for gradient in gradients(5):
        other.step(gradient)
        adam.step(gradient.masked_fill(chosen, float("nan")))
    ours[chosen] = 0.5
    adam.forget(chosen)
    for gradient in gradients(5):
        adam.step(gradient.masked_fill(chosen, 0.0))
        other.step(gradient)
    assert bool((ours[chosen] == 0.5).all())
    assert_close(ours[~chosen], untouched[~chosen], rtol=0, atol=0)
