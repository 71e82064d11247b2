"""Solvers of differential equations: fixed steps of our own, other methods by torchdiffeq."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# rate(t, state, part) with the part of the step that lies behind, between 0 and 1
Rate = Callable[[Tensor, Tensor, float], Tensor]


Length = float | Tensor


def euler(rate: Rate, t: Tensor, state: Tensor, length: Length, begin: float, end: float) -> Tensor:
    """Take one step of Euler's method, of first order."""
    return _moved(state, rate(t, state, begin), length)


def midpoint(
    rate: Rate, t: Tensor, state: Tensor, length: Length, begin: float, end: float
) -> Tensor:
    """Take one step of the midpoint method, of second order."""
    half, between = 0.5 * length, 0.5 * (begin + end)
    middle = _moved(state, rate(t, state, begin), half)
    return _moved(state, rate(_later(t, half), middle, between), length)


def rk4(rate: Rate, t: Tensor, state: Tensor, length: Length, begin: float, end: float) -> Tensor:
    """Take one step of the classical Runge-Kutta method, of fourth order.

    Hairer, Nørsett and Wanner, "Solving ordinary differential equations I" (1993), table II.1.2.
    """
    half, between = 0.5 * length, 0.5 * (begin + end)
    middle = _later(t, half)
    first = rate(t, state, begin)
    second = rate(middle, _moved(state, first, half), between)
    third = rate(middle, _moved(state, second, half), between)
    fourth = rate(_later(t, length), _moved(state, third, length), end)
    slope = torch.add(first + fourth, second + third, alpha=2.0)
    return _moved(state, slope, length / 6.0)


FIXED_STEP = {"euler": euler, "midpoint": midpoint, "rk4": rk4}


# torchdiffeq's, without those that are fixed-step methods of the same name.
ADAPTIVE = ("dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun")


# scipy's, which torchdiffeq hands over to. Gradients come from the adjoint equation.
STIFF = {"bdf": "BDF", "radau": "Radau"}


IMPLICIT = ("implicit_adams", *STIFF)


METHODS = (*FIXED_STEP, *ADAPTIVE, *IMPLICIT)


def solve_fixed(
    step: Callable,
    rate_in_interval: Callable[[int], Rate],
    state: Tensor,
    origin: Tensor,
    lengths: Sequence[Length],
    substeps: int,
) -> list[Tensor]:
    """Return the states at the start and after every interval, by steps of fixed length.

    Parameters
    ----------
    step : callable
        One of :data:`FIXED_STEP`, or the like.
    rate_in_interval : callable
        From the number of an interval to the right-hand side in it.
    state : Tensor of shape (n, *state_shape)
    origin : Tensor of shape (n,)
        Time of the first state.
    lengths : sequence of float or Tensor of shape (n, 1, ...)
        Lengths of the intervals.
    substeps : int
        Steps in each interval.
    """
    states, t = [state], origin
    for interval, length in enumerate(lengths):
        rate = rate_in_interval(interval)
        part = length / substeps
        for substep in range(substeps):
            state = step(rate, t, state, part, substep / substeps, (substep + 1) / substeps)
            t = _later(t, part)
        states.append(state)
    return states


def solve_adaptive(
    method: str,
    rate_in_interval: Callable[[int], Rate],
    state: Tensor,
    origin: Tensor,
    lengths: Sequence[Length],
    *,
    rtol: float,
    atol: float,
    smooth: bool,
    adjoint: Sequence[Tensor] | None,
    substeps: int = 1,
) -> list[Tensor]:
    """Return the states at the start and after every interval, by torchdiffeq.

    Time is counted in intervals, so that intervals of different lengths are solved together.

    Parameters
    ----------
    method : str
        One of :data:`ADAPTIVE` or :data:`IMPLICIT`.
    rate_in_interval, state, origin, lengths
        As for :func:`solve_fixed`.
    rtol, atol : float
        Tolerances of one step.
    smooth : bool
        Whether the right-hand side is smooth across intervals that are equally long, so that the
        solver need not stop and start at each.
    adjoint : sequence of Tensor or None
        Tensors to which gradients go by the adjoint equation; None differentiates through the
        solver.
    substeps : int, default=1
        Steps of "implicit_adams" in each interval.
    """
    import torchdiffeq  # here, because it takes a second and few need it

    settings = {"method": method, "rtol": rtol, "atol": atol}
    if method in STIFF:
        settings |= {"method": "scipy_solver", "options": {"solver": STIFF[method]}}
    elif method == "implicit_adams":
        settings["options"] = {"step_size": 1.0 / substeps}
    odeint = torchdiffeq.odeint
    if adjoint is not None:
        odeint = torchdiffeq.odeint_adjoint
        settings["adjoint_params"] = tuple(adjoint)

    def clock(n_intervals: int) -> Tensor:
        return torch.arange(n_intervals + 1, dtype=state.dtype, device=state.device)

    if smooth:
        rate, length = rate_in_interval(0), lengths[0]
        whole = odeint(
            lambda s, y: rate(origin + s * length, y, 0.0) * length,
            state,
            clock(len(lengths)),
            **settings,
        )
        return list(whole.unbind(0))
    states, t = [state], origin
    for interval, length in enumerate(lengths):
        rate = rate_in_interval(interval)

        def scaled(s, y, rate=rate, t=t, length=length):
            return rate(t + s * _plain(length), y, s) * length

        states.append(odeint(scaled, states[-1], clock(1), **settings)[-1])
        t = _later(t, length)
    return states


def _moved(state: Tensor, slope: Tensor, length: Length) -> Tensor:
    if isinstance(length, Tensor):
        return torch.addcmul(state, slope, length)
    return torch.add(state, slope, alpha=length)


def _later(t: Tensor, length: Length) -> Tensor:
    return t + _plain(length)


def _plain(length: Length) -> Length:
    """Return a length in the shape of the times, one for each window."""
    return length.flatten() if isinstance(length, Tensor) else length
