import numpy as np
import pytest
import torch

from skhybrid import Param
from skhybrid.model.variation import INSIDE, Variation


def as_tensor(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def variation(scale, **bounds):
    return Variation(np.asarray(scale), Param(np.ones(np.shape(scale)), **bounds), as_tensor)


BOUNDS = [(None, None), (0.5, None), (None, 3.0), (0.5, 3.0)]


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_silent_network_gives_the_constant(bounds):
    values = variation(0.7, bounds=bounds)(as_tensor(1.2), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(values, torch.full((4,), 1.2, dtype=torch.float64))


@pytest.mark.parametrize("bounds", BOUNDS)
def test_values_grow_with_the_answer_and_stay_inside(bounds):
    answers = torch.linspace(-30.0, 30.0, 101, dtype=torch.float64)
    values = variation(0.7, bounds=bounds)(as_tensor(1.2), answers)
    low, high = (
        np.inf * sign if side is None else side for side, sign in zip(bounds, (-1, 1), strict=True)
    )
    assert bool((values.diff() >= 0).all()) and bool((values[40:60].diff() > 0).all())
    assert bool((values >= low).all()) and bool((values <= high).all())


def test_an_answer_of_one_is_a_step_of_the_scale():
    answers = as_tensor([-1.0, 1.0])
    torch.testing.assert_close(variation(0.7)(as_tensor(1.2), answers), as_tensor([0.5, 1.9]))
    # Above one scale from the bound, the value is linear in the answer.
    far = variation(0.2, bounds=(0.0, None))(as_tensor(1.2), answers)
    torch.testing.assert_close(far, as_tensor([1.0, 1.4]))
    # In the middle of two bounds, the slope is the scale.
    answers = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    variation(0.7, bounds=(0.0, 4.0))(as_tensor(2.0), answers).backward()
    torch.testing.assert_close(answers.grad, as_tensor([0.7]))


@pytest.mark.parametrize("bounds", BOUNDS[1:])
def test_a_constant_on_a_bound_can_leave_it(bounds):
    for side in bounds:
        if side is None:
            continue
        answers = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        value = variation(0.7, bounds=bounds)(as_tensor(side), answers)
        value.backward()
        assert float(answers.grad) > 0.1 * INSIDE
        torch.testing.assert_close(value.detach(), as_tensor([side]), atol=0.003, rtol=0.0)


def test_the_elements_of_an_array_vary_on_their_own():
    values = variation([1.0, 2.0])(as_tensor([5.0, 6.0]), torch.ones(2, 3, dtype=torch.float64))
    torch.testing.assert_close(values, as_tensor([[6.0] * 3, [8.0] * 3]))
    by_row = as_tensor([[5.0, 5.5, 6.0]] * 2)  # a constant for every row
    values = variation([1.0, 2.0])(by_row, torch.ones(2, 3, dtype=torch.float64))
    torch.testing.assert_close(values, as_tensor([[6.0, 6.5, 7.0], [7.0, 7.5, 8.0]]))
