"""Solvers of differential equations: own fixed-step methods, others of torchdiffeq and scipy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from skhybrid.model.stiff_solver import SolverFailure, solve_stiff

# rate(t, state, fraction): fraction is the part of the interval that has passed, from 0 to 1.
# A step gets the fractions at its begin and its end.
Rate = Callable[[Tensor, Tensor, float], Tensor]
Length = float | Tensor


def euler(rate: Rate, t: Tensor, state: Tensor, length: Length, begin: float, end: float) -> Tensor:
    """Take one step of Euler's method, of first order."""
    return moved(state, rate(t, state, begin), length)


def midpoint(
    rate: Rate, t: Tensor, state: Tensor, length: Length, begin: float, end: float
) -> Tensor:
    """Take one step of the midpoint method, of second order."""
    half, between = 0.5 * length, 0.5 * (begin + end)
    middle = moved(state, rate(t, state, begin), half)
    return moved(state, rate(_later(t, half), middle, between), length)


def rk4(rate: Rate, t: Tensor, state: Tensor, length: Length, begin: float, end: float) -> Tensor:
    """Take one step of the classical Runge-Kutta method, of fourth order.

    Hairer, Nørsett and Wanner, "Solving ordinary differential equations I" (1993), table II.1.2.
    """
    half, between = 0.5 * length, 0.5 * (begin + end)
    middle = _later(t, half)
    first = rate(t, state, begin)
    second = rate(middle, moved(state, first, half), between)
    third = rate(middle, moved(state, second, half), between)
    fourth = rate(_later(t, length), moved(state, third, length), end)
    slope = torch.add(first + fourth, second + third, alpha=2.0)
    return moved(state, slope, length / 6.0)


FIXED_STEP = {"euler": euler, "midpoint": midpoint, "rk4": rk4}
# Methods of torchdiffeq, without its fixed-step methods of the names above.
ADAPTIVE = ("dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun")
# Methods of scipy. Gradients come from the adjoint equation.
STIFF = {"bdf": "BDF", "radau": "Radau"}
IMPLICIT = ("implicit_adams", *STIFF)
# Steps of an adaptive method between two observations; more take seconds and do not help.
MAX_ADAPTIVE_STEPS = 1000
METHODS = (*FIXED_STEP, *ADAPTIVE, *IMPLICIT)


def solve_fixed(
    step: Callable,
    rate_in_interval: Callable[[int], Rate],
    state: Tensor,
    first_time: Tensor,
    lengths: Sequence[Length],
    substeps: Sequence[int],
) -> list[Tensor]:
    """Return the first states and the states after every interval, by steps of fixed length.

    Parameters
    ----------
    step : callable
        One of :data:`FIXED_STEP`, or a function with the same arguments.
    rate_in_interval : callable
        Returns the right-hand side in the interval of a given number.
    state : Tensor of shape (n, *state_shape)
        First states.
    first_time : Tensor of shape (n,)
        Times of the first states.
    lengths : sequence of float or Tensor of shape (n, 1, ...)
        Lengths of the intervals.
    substeps : sequence of int
        Number of steps in each interval.
    """
    states, t = [state], first_time
    for interval, (length, n_steps) in enumerate(zip(lengths, substeps, strict=True)):
        rate = rate_in_interval(interval)
        substep_length = length / n_steps
        for substep in range(n_steps):
            begin, end = substep / n_steps, (substep + 1) / n_steps
            state = step(rate, t, state, substep_length, begin, end)
            t = _later(t, substep_length)
        states.append(state)
    return states


def solve_adaptive(
    method: str,
    rate_in_interval: Callable[[int], Rate],
    state: Tensor,
    first_time: Tensor,
    lengths: Sequence[Length],
    *,
    rtol: float,
    atol: float,
    smooth: bool,
    adjoint: Sequence[Tensor] | None,
    substeps: int = 1,
    unit: Tensor | None = None,
) -> list[Tensor]:
    """Return the first states and the states after every interval, by torchdiffeq or scipy.

    The unit of time is the interval, so that one call solves intervals of different lengths.

    Parameters
    ----------
    method : str
        One of :data:`ADAPTIVE` or :data:`IMPLICIT`.
    rate_in_interval, state, first_time, lengths
        As for :func:`solve_fixed`.
    rtol, atol : float
        Tolerances of one step.
    smooth : bool
        Whether the right-hand side is smooth across intervals and all intervals have the same
        length, so that the solver need not restart at each.
    adjoint : sequence of Tensor or None
        Tensors that get gradients from the adjoint equation; None differentiates through the
        solver.
    substeps : int, default=1
        Steps of "implicit_adams" in each interval.
    unit : Tensor, default=None
        Unit of the states to which the absolute tolerance applies; None is one.

    Raises
    ------
    SolverFailure
        If the solver cannot solve the equation, or needs too many steps.
    """
    settings = {"rtol": rtol, "atol": atol}
    parameters = [*(adjoint or ())]
    unit = 1.0 if unit is None else unit
    solve = _torchdiffeq(method, adjoint, substeps)
    if method in STIFF:
        solve = partial(solve_stiff, STIFF[method], parameters=parameters)
    if smooth:
        rate, length = rate_in_interval(0), lengths[0]
        whole = solve(
            lambda s, y: rate(first_time + s * length, y * unit, 0.0) * length / unit,
            state / unit,
            len(lengths),
            **settings,
        )
        return [state, *(whole[1:] * unit).unbind(0)]
    states, t = [state], first_time
    for interval, length in enumerate(lengths):
        rate = rate_in_interval(interval)

        def scaled(s, y, rate=rate, t=t, length=length):
            return rate(t + s * _per_window(length), y * unit, s) * length / unit

        states.append(solve(scaled, states[-1] / unit, 1, **settings)[-1] * unit)
        t = _later(t, length)
    return states


def _torchdiffeq(method: str, adjoint: Sequence[Tensor] | None, substeps: int) -> Callable:
    """Return a method of torchdiffeq as a function like :func:`solve_stiff`."""
    import torchdiffeq  # here, because the import takes a second and few models need it

    options = {"step_size": 1.0 / substeps}
    if method in ADAPTIVE:
        options = {"max_num_steps": MAX_ADAPTIVE_STEPS}
    odeint, settings = torchdiffeq.odeint, {"method": method, "options": options}
    if adjoint is not None:
        odeint = torchdiffeq.odeint_adjoint
        settings["adjoint_params"] = tuple(adjoint)

    def solve(rate: Callable, first: Tensor, n_intervals: int, **tolerances: float) -> Tensor:
        clock = torch.arange(n_intervals + 1, dtype=first.dtype, device=first.device)
        try:
            return odeint(rate, first, clock, **settings, **tolerances)
        except AssertionError as error:  # of torchdiffeq: errors of the rate have other classes
            raise SolverFailure(_reason(str(error))) from error

    return solve


def _reason(message: str) -> str:
    """Return why torchdiffeq failed."""
    if "max_num_steps" in message:
        return f"it needs more than {MAX_ADAPTIVE_STEPS} steps between two observations"
    if "underflow" in message:
        return "its steps became too short for the precision of the numbers"
    return "the state became non-finite"


def moved(state: Tensor, slope: Tensor, length: Length) -> Tensor:
    """Return state + length · slope."""
    if isinstance(length, Tensor):
        return torch.addcmul(state, slope, length)
    return torch.add(state, slope, alpha=length)


def _later(t: Tensor, length: Length) -> Tensor:
    """Return t + length."""
    return t + _per_window(length)


def _per_window(length: Length) -> Length:
    """Return a length in the shape of the times: one per window."""
    return length.flatten() if isinstance(length, Tensor) else length
