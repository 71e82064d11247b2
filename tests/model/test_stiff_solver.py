"""Implicit solvers and their gradients."""

import numpy as np
import pytest
import torch

from skhybrid.model import solvers, stiff_solver
from skhybrid.model.solvers import solve_adaptive
from skhybrid.model.stiff_solver import SolverFailure, solve_stiff

SOLVERS = ["BDF", "Radau"]
FIRST = torch.tensor([[2.0], [-1.0], [0.3]], dtype=torch.float64)
TIGHT = {"rtol": 1e-8, "atol": 1e-10}


def relaxation(fast, level):
    """Return the rates of dy/ds = -fast (y - level)."""
    return lambda s, y: -fast * (y - level)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("fast", [0.7, 1e6])
def test_states_and_gradients_of_a_relaxation(solver, fast):
    first = FIRST.clone().requires_grad_()
    parameters = [torch.tensor(each, dtype=torch.float64) for each in (fast, 0.4)]
    for each in parameters:
        each.requires_grad_()
    states = solve_stiff(solver, relaxation(*parameters), first, 2, parameters=parameters, **TIGHT)
    s = torch.arange(3.0, dtype=torch.float64)[:, None, None]
    expected = parameters[1] + (first - parameters[1]) * torch.exp(-parameters[0] * s)
    torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-6)
    leaves = [first, *parameters]
    weights = torch.arange(9.0, dtype=torch.float64).reshape(3, 3, 1)
    found, true = (
        torch.autograd.grad((each * weights).sum(), leaves) for each in (states, expected)
    )
    for gradient, reference in zip(found, true, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_windows_do_not_change_each_other(solver):
    def rate(s, y):
        return torch.stack([-1e4 * (y[:, 0] - y[:, 1] ** 2), -y[:, 1]], dim=-1)

    first = torch.tensor([[0.0, 1.0], [0.2, -0.5]], dtype=torch.float64)
    together = solve_stiff(solver, rate, first, 1, parameters=[], **TIGHT)
    alone = [solve_stiff(solver, rate, each[None], 1, parameters=[], **TIGHT) for each in first]
    torch.testing.assert_close(together, torch.cat(alone, dim=1), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("solver", SOLVERS)
def test_single_precision(solver):
    rate = relaxation(1e5, 0.4)
    states = solve_stiff(solver, rate, FIRST.float(), 1, rtol=1e-5, atol=1e-7, parameters=[])
    assert states.dtype == torch.float32
    torch.testing.assert_close(states[-1], torch.full((3, 1), 0.4), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_failures_say_why(solver, monkeypatch):
    with pytest.raises(SolverFailure):
        solve_stiff(solver, lambda s, y: y * np.nan, FIRST, 1, parameters=[], **TIGHT)
    with pytest.raises(SolverFailure):  # infinite at s = 1/2
        solve_stiff(solver, lambda s, y: y**2, FIRST, 1, parameters=[], **TIGHT)
    monkeypatch.setattr(stiff_solver, "MAX_EVALUATIONS", 5)
    with pytest.raises(SolverFailure, match="more than 5 evaluations"):
        solve_stiff(solver, relaxation(3.0, 0.1), FIRST, 1, parameters=[], **TIGHT)


@pytest.mark.parametrize("method", ["dopri5", "bosh3", "adaptive_heun"])
def test_adaptive_methods_have_a_step_budget(method, monkeypatch):
    monkeypatch.setattr(solvers, "MAX_ADAPTIVE_STEPS", 50)
    with pytest.raises(SolverFailure, match="steps"):
        solve_adaptive(
            method,
            lambda i: lambda t, y, fraction: -1e7 * (y - torch.cos(t)[:, None]),
            FIRST,
            torch.zeros(3, dtype=torch.float64),
            [1.0],
            rtol=1e-5,
            atol=1e-7,
            smooth=False,
            adjoint=None,
        )


@pytest.mark.parametrize("method", ["dopri5", "radau"])
def test_tolerances_are_in_units_of_the_states(method):
    def solve(size):
        return solve_adaptive(
            method,
            lambda i: lambda t, y, fraction: -3.0 * y * y / size,
            FIRST.abs() * size,
            torch.zeros(3, dtype=torch.float64),
            [1.0, 2.0],
            rtol=1e-5,
            atol=1e-7,
            smooth=False,
            adjoint=None,
            unit=torch.tensor([size], dtype=torch.float64),
        )[-1]

    torch.testing.assert_close(solve(2.0**-60) * 2.0**60, solve(1.0), rtol=0.0, atol=0.0)
