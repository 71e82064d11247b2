"""Gradients of weights, in the faster order."""

import pytest
import torch
from torch.testing import assert_close

from skhybrid.model.narrow_products import NARROW, weight_gradient


@pytest.mark.parametrize("n_inputs", [2, NARROW])
@pytest.mark.parametrize(("leading", "product"), [((), torch.mm), ((3,), torch.bmm)])
def test_the_order_does_not_matter(n_inputs, leading, product):
    gradient = torch.randn(*leading, 7, 4, dtype=torch.float64)
    layer_input = torch.randn(*leading, 7, n_inputs, dtype=torch.float64)
    expected = torch.einsum("...no,...ni->...oi", gradient, layer_input)
    assert_close(weight_gradient(gradient, layer_input, product), expected)
