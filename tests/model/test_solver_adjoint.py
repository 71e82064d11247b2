"""Derivatives of whole solver steps."""

import pytest
import torch
from torch.testing import assert_close

from skhybrid.model.solver_adjoint import TABLEAUS, backwards, of_begins
from skhybrid.model.solvers import FIXED_STEP

H = 0.3
RATES = torch.tensor([[0.1, 1.0], [-0.8, -0.4]], dtype=torch.float64)


def jacobian_of(tableau, n_steps=1, n_rows=3):
    """Jacobians of the linear equation x' = A x: of members, steps, stages and rows."""
    return RATES.expand(1, n_steps, tableau.n_stages, n_rows, 2, 2)


@pytest.mark.parametrize("method", TABLEAUS)
def test_a_tableau_is_that_of_the_solver(method):
    """For x' = A x, the matrix of a step is the step of every unit vector."""
    tableau = TABLEAUS[method]
    h = torch.full((1, 1, 1, 1), H, dtype=torch.float64)
    found = tableau.step_matrices(jacobian_of(tableau), h)[0, 0, 0]
    units = torch.eye(2, dtype=torch.float64)
    ends = FIXED_STEP[method](lambda t, x, _: x @ RATES.T, torch.zeros(2), units, H, 0.0, 1.0)
    assert_close(found, ends.T)


@pytest.mark.parametrize("method", TABLEAUS)
def test_gradients_of_slopes(method):
    """A push δ on every slope moves the end of a step by what the gradients of the slopes say."""
    tableau = TABLEAUS[method]
    push = torch.randn(tableau.n_stages, 1, 2, dtype=torch.float64)
    pushed = push.clone().requires_grad_()
    stages = iter(pushed)
    start = torch.tensor([[1.0, -0.5]], dtype=torch.float64)
    end = FIXED_STEP[method](
        lambda t, x, _: x @ RATES.T + next(stages), torch.zeros(1), start, H, 0.0, 1.0
    )
    of_end = torch.tensor([[0.7, 2.0]], dtype=torch.float64)
    (expected,) = torch.autograd.grad(end, pushed, of_end)
    h = torch.full((1, 1, 1, 1), H, dtype=torch.float64)
    found = tableau.of_slopes(jacobian_of(tableau, n_rows=1), of_end[None, None], h)
    assert_close(found[0, 0], expected)


def test_gradients_go_back_through_all_steps():
    first, second = torch.randn(2, 1, 4, 3, 3, dtype=torch.float64)
    of_first, of_last = torch.randn(2, 1, 4, 3, dtype=torch.float64)
    gradient, of_ends = of_begins([first, second], [of_first, None, of_last], None)
    assert_close(of_ends[1], of_last)
    assert_close(of_ends[0], backwards(second, of_last))
    assert_close(gradient, of_first + backwards(first, backwards(second, of_last)))


def test_states_moved_to_a_bound_have_no_gradient():
    matrix = torch.eye(2, dtype=torch.float64).expand(1, 1, 2, 2)
    inside = torch.tensor([[[True, False]]])
    gradient, _ = of_begins([matrix], [None, torch.ones(1, 1, 2, dtype=torch.float64)], [inside])
    assert gradient.tolist() == [[[1.0, 0.0]]]
