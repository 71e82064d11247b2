"""Solvers: order of convergence, times of the stages, gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.integrate
import torch
from torch.testing import assert_close

from skhybrid.model.solvers import ADAPTIVE, FIXED_STEP, METHODS, solve_adaptive, solve_fixed

DOUBLE = torch.float64
DURATION = 2.0


def logistic(t, state, part):
    return state * (1.0 - state)


def logistic_solution(first: torch.Tensor, t: float) -> torch.Tensor:
    grown = first * math.exp(t)
    return grown / (1.0 - first + grown)


def driven(t, state, part):
    """Decay that is driven in time, for states of shape (n, 1)."""
    return -state + torch.cos(3.0 * t)[:, None]


def solve(method, rate, first, first_time, lengths, *, substeps=1, **settings):
    """Solve with any method; ``rate`` is the same in all intervals."""
    if method in FIXED_STEP:
        step = FIXED_STEP[method]
        return solve_fixed(
            step, lambda i: rate, first, first_time, lengths, [substeps] * len(lengths)
        )
    settings = {"rtol": 1e-7, "atol": 1e-8, "smooth": False, "adjoint": None, **settings}
    return solve_adaptive(method, lambda i: rate, first, first_time, lengths, **settings)


@pytest.fixture
def first():
    return torch.tensor([[0.1], [0.6], [1.5]], dtype=DOUBLE)


@pytest.fixture
def first_time():
    return torch.zeros(3, dtype=DOUBLE)


def errors(method, rate, first, first_time, truth, counts, *, by_substeps=False):
    found = []
    for n in counts:
        lengths, substeps = ([DURATION], n) if by_substeps else ([DURATION / n] * n, 1)
        last = solve(method, rate, first, first_time, lengths, substeps=substeps)[-1]
        found.append(float((last - truth).abs().max()))
    return np.array(found)


@pytest.mark.parametrize("by_substeps", [False, True])
@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_order_of_convergence(method, order, by_substeps, first, first_time):
    truth = logistic_solution(first, DURATION)
    found = errors(method, logistic, first, first_time, truth, (32, 64), by_substeps=by_substeps)
    assert np.log2(found[0] / found[1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("by_substeps", [False, True])
@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_order_of_convergence_where_the_rate_depends_on_time(
    method, order, by_substeps, first, first_time
):
    first_time = first_time + torch.tensor([0.0, 0.7, -2.0], dtype=DOUBLE)
    truth = [
        scipy.integrate.solve_ivp(
            lambda t, y: -y + np.cos(3.0 * t), (t0, t0 + DURATION), y0, rtol=1e-12, atol=1e-12
        ).y[:, -1]
        for t0, y0 in zip(first_time.tolist(), first.tolist(), strict=True)
    ]
    truth = torch.tensor(np.array(truth))
    found = errors(method, driven, first, first_time, truth, (32, 64), by_substeps=by_substeps)
    assert np.log2(found[0] / found[1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(
    ("method", "nodes"), [("euler", [0.0]), ("midpoint", [0.0, 0.5]), ("rk4", [0.0, 0.5, 0.5, 1.0])]
)
def test_times_and_fractions_of_the_stages(method, nodes, first, first_time):
    calls = []

    def rate(t, state, part):
        calls.append((t.tolist(), part))
        return torch.zeros_like(state)

    solve(method, rate, first, first_time + 1.0, [0.5, 0.25], substeps=2)
    expected = [
        ([begin + (substep + node) / 2 * length] * 3, (substep + node) / 2)
        for begin, length in ((1.0, 0.5), (1.5, 0.25))
        for substep in range(2)
        for node in nodes
    ]
    assert [part for _, part in calls] == pytest.approx([part for _, part in expected])
    np.testing.assert_allclose([t for t, _ in calls], [t for t, _ in expected], rtol=1e-14)


def test_states_are_at_the_first_time_and_after_every_interval(first, first_time):
    lengths = [0.1, 0.5, 0.02, 1.0]
    states = solve("rk4", logistic, first, first_time, lengths, substeps=20)
    assert len(states) == 5
    assert states[0] is first
    for state, t in zip(states[1:], np.cumsum(lengths), strict=True):
        assert_close(state, logistic_solution(first, t), rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_the_same_answer(method, first, first_time):
    substeps = {"euler": 2000, "midpoint": 200, "rk4": 20}.get(method, 1)
    settings = {} if method in FIXED_STEP else {"rtol": 1e-6, "atol": 1e-7}
    states = solve(method, driven, first, first_time, [0.1, 0.2], substeps=substeps, **settings)
    expected = solve("rk4", driven, first, first_time, [0.1, 0.2], substeps=100)
    tolerance = {"euler": 1e-3, "dopri8": 1e-5, "rk4": 1e-5}.get(method, 1e-4)
    assert_close(torch.stack(states), torch.stack(expected), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("method", [*FIXED_STEP, "dopri5"])
def test_windows_with_different_steps_equal_windows_alone(method, first, first_time):
    first_time = first_time + torch.tensor([0.0, 1.0, 2.0], dtype=DOUBLE)
    lengths = torch.tensor([[0.1, 0.4], [0.5, 0.2], [0.3, 0.3]], dtype=DOUBLE)
    together = solve(
        method, driven, first, first_time, [each[:, None] for each in lengths.unbind(1)]
    )
    for i in range(3):
        window = slice(i, i + 1)
        alone = solve(method, driven, first[window], first_time[window], lengths[i].tolist())
        for state, expected in zip(together, alone, strict=True):
            assert_close(state[window], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_of_length_zero_leaves_the_state(method, first, first_time):
    settings = {} if method in FIXED_STEP else {"rtol": 1e-4, "atol": 1e-5}
    lengths = [torch.tensor([[0.0], [0.25], [0.0]], dtype=DOUBLE)]
    states = solve(method, driven, first, first_time, lengths, **settings)
    assert_close(states[1][::2], first[::2], rtol=0, atol=0)
    assert abs(float(states[1][1, 0] - first[1, 0])) > 0.01


def test_a_smooth_equation_is_solved_in_one_call_with_fewer_evaluations(first, first_time):
    calls = {True: 0, False: 0}
    found = {}
    for smooth in calls:

        def rate(t, state, part, smooth=smooth):
            calls[smooth] += 1
            return driven(t, state, part)

        settings = {"rtol": 1e-7, "atol": 1e-8, "smooth": smooth}
        states = solve("dopri5", rate, first, first_time + 0.5, [0.1] * 20, **settings)
        found[smooth] = torch.stack(states)
    assert_close(found[True], found[False], rtol=1e-5, atol=1e-6)
    assert calls[True] < calls[False]


@pytest.mark.parametrize("method", ADAPTIVE)
def test_adjoint_gradients_equal_gradients_through_the_solver(method, first, first_time):
    gradients = []
    for adjoint in (False, True):
        damping = torch.tensor(1.3, dtype=DOUBLE, requires_grad=True)
        state = first.clone().requires_grad_()

        def rate(t, state, part, damping=damping):
            return -damping * state + torch.cos(3.0 * t)[:, None]

        given = [damping] if adjoint else None
        settings = {"rtol": 1e-5, "atol": 1e-6}
        states = solve(method, rate, state, first_time, [0.4, 0.4], adjoint=given, **settings)
        states[-1].square().sum().backward()
        gradients.append((damping.grad, state.grad))
    assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-3)
    change = 1e-5
    low, high = (
        solve(
            "rk4",
            lambda t, s, part, d=1.3 + sign * change: -d * s + torch.cos(3.0 * t)[:, None],
            first,
            first_time,
            [0.4, 0.4],
            substeps=50,
        )[-1]
        .square()
        .sum()
        for sign in (-1.0, 1.0)
    )
    assert float(gradients[0][0]) == pytest.approx(float(high - low) / (2 * change), rel=5e-3)


@pytest.mark.parametrize("per_window", [False, True])
@pytest.mark.parametrize("method", FIXED_STEP)
def test_members_in_one_batch_equal_members_one_by_one(method, per_window, first, first_time):
    rates = torch.tensor([0.5, 1.0, 2.0], dtype=DOUBLE)
    length = torch.tensor([[0.1], [0.2], [0.3]], dtype=DOUBLE) if per_window else 0.2

    def last(rate):
        def slope(t, state, part):
            return rate * driven(t, state, part)

        return solve(method, slope, first, first_time, [length] * 3, substeps=2)[-1]

    expected = torch.stack([last(rate) for rate in rates])
    assert_close(torch.vmap(last)(rates), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", METHODS)
def test_states_keep_their_dtype(method, dtype, first, first_time):
    settings = {"rtol": 1e-5, "atol": 1e-7}
    states = solve(method, driven, first.to(dtype), first_time.to(dtype), [0.1, 0.1], **settings)
    assert {state.dtype for state in states} == {dtype}
