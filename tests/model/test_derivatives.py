"""Directional derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skhybrid.exceptions import PhysicsError
from skhybrid.model.derivatives import directional

AT = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
TANGENT = torch.tensor([1.0, 0.5, -2.0], dtype=torch.float64)


class BackwardSine(torch.autograd.Function):
    """A sine that has no forward derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0].cos()


@pytest.mark.parametrize("sine", [torch.sin, BackwardSine.apply], ids=["forward", "backward only"])
def test_derivative_in_one_direction(sine):
    found = directional(lambda x: torch.stack([sine(x).sum(), (2.0 * sine(x)).prod()]), AT, TANGENT)
    change = 1e-6
    low, high = (
        torch.stack([torch.sin(x).sum(), (2.0 * torch.sin(x)).prod()])
        for x in (AT - change * TANGENT, AT + change * TANGENT)
    )
    np.testing.assert_allclose(found, (high - low) / (2.0 * change), rtol=1e-8)


def test_derivative_of_a_constant_is_zero():
    assert directional(lambda x: torch.ones(2, dtype=x.dtype), AT, TANGENT).tolist() == [0.0, 0.0]


def test_tangent_gets_the_dtype_of_the_point():
    found = directional(lambda x: 3.0 * x, AT.float(), TANGENT)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, 3.0 * TANGENT.numpy().astype(np.float32))


class OnlyBackwards(torch.autograd.Function):
    """The square, which can be differentiated once, and backwards only."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return 2.0 * ctx.saved_tensors[0] * gradient


def test_a_function_without_the_derivatives_is_named():
    at = torch.ones(3, dtype=torch.float64)
    for function in (OnlyBackwards.apply, lambda x: torch.sin(x) + OnlyBackwards.apply(x)):
        with pytest.raises(PhysicsError, match=r"no derivative.*differentiated only once"):
            directional(function, at, at)


def test_an_error_that_has_a_name_keeps_it():
    error = PhysicsError("mine")

    def law(x):
        raise error

    with pytest.raises(PhysicsError) as caught:
        directional(law, torch.ones(2), torch.ones(2))
    assert caught.value is error
