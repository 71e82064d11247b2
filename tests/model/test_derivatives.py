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


# Few values are differentiated backwards, many forwards.
SIZES = [1, 10**9]


@pytest.mark.parametrize("n_values", SIZES)
@pytest.mark.parametrize("sine", [torch.sin, BackwardSine.apply], ids=["forward", "backward only"])
def test_derivatives_are_slopes(sine, n_values):
    def function(x):
        return torch.stack([sine(x).sum(), (2.0 * sine(x)).prod()])

    first, found = directional(function, AT, [2.0 * TANGENT, TANGENT], n_values)
    change = 1e-6
    low, high = (
        torch.stack([torch.sin(x).sum(), (2.0 * torch.sin(x)).prod()])
        for x in (AT - change * TANGENT, AT + change * TANGENT)
    )
    np.testing.assert_allclose(found, (high - low) / (2.0 * change), rtol=1e-8)
    np.testing.assert_allclose(first, 2.0 * found, rtol=1e-12)


class SineByNumbers(BackwardSine):
    """A sine whose derivatives read numbers, which torch cannot do for several directions."""

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return ByNumbers.apply(gradient, x.cos())


class ByNumbers(torch.autograd.Function):
    """A product."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx, gradient):
        x, y = ctx.saved_tensors
        gradient = gradient * float(gradient.abs().sum() >= 0.0)
        return gradient * y, gradient * x


def test_directions_that_cannot_be_taken_together():
    def function(sine):
        return lambda x: torch.stack([sine(x).sum(), (2.0 * x).prod()])

    directions = [2.0 * TANGENT, TANGENT]
    expected = directional(function(torch.sin), AT, directions, 1)
    found = directional(function(SineByNumbers.apply), AT, directions, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("n_values", SIZES)
def test_derivative_of_a_constant_is_zero(n_values):
    (found,) = directional(lambda x: torch.ones(2, dtype=x.dtype), AT, [TANGENT], n_values)
    assert found.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("n_values", SIZES)
def test_a_linear_function_has_the_dtype_of_the_point(n_values):
    (found,) = directional(lambda x: 3.0 * x, AT.float(), [TANGENT], n_values)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, 3.0 * TANGENT.numpy().astype(np.float32))


@pytest.mark.parametrize("n_values", SIZES)
def test_beside_a_singularity_that_is_avoided(n_values):
    at = torch.tensor([0.0, 4.0], dtype=torch.float64)
    (found,) = directional(
        lambda x: torch.where(x > 0, x.sqrt(), 2.0 * x), at, [torch.ones(2)], n_values
    )
    np.testing.assert_allclose(found, [2.0, 0.25])


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
            directional(function, at, [at], 1)


def test_an_error_that_has_a_name_keeps_it():
    error = PhysicsError("mine")

    def law(x):
        raise error

    with pytest.raises(PhysicsError) as caught:
        directional(law, torch.ones(2), [torch.ones(2)], 1)
    assert caught.value is error
