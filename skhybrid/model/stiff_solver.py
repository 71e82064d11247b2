"""Implicit solvers for stiff equations, from scipy, with gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.integrate
import scipy.sparse
import torch
from torch import Tensor

# Evaluations of the right-hand side in one interval; more take seconds, and do not help.
MAX_EVALUATIONS = 20_000
# Nodes and weights of a Gauss quadrature on [0, 1]; it is exact to the order of the solvers.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(3)
NODES, WEIGHTS = (NODES + 1.0) / 2.0, WEIGHTS / 2.0

# rate(s, y): states of shape (n, *state_shape) at s, a number.
StiffRate = Callable[[float, Tensor], Tensor]


class SolverFailure(RuntimeError):
    """A solver cannot solve an equation; the message says why."""


def solve_stiff(
    solver: str,
    rate: StiffRate,
    first: Tensor,
    n_intervals: int,
    *,
    rtol: float,
    atol: float,
    parameters: Sequence[Tensor],
) -> Tensor:
    """Return the states at 0, 1, …, n_intervals, of shape (n_intervals + 1, n, *state_shape).

    The windows are independent of each other, so that the Jacobian is block diagonal; it comes from
    automatic differentiation. Gradients come from the adjoint equation, which reads the states from
    the interpolant of the solution: a stiff equation cannot be solved backwards in time, its
    adjoint can (Hindmarsh et al., "SUNDIALS", ACM Transactions on Mathematical Software 31, 2005).

    Parameters
    ----------
    solver : str
        "BDF" or "Radau".
    rate : callable
    first : Tensor of shape (n, *state_shape)
    n_intervals : int
    rtol, atol : float
    parameters : sequence of Tensor
        Tensors, besides ``first``, that get gradients.

    Raises
    ------
    SolverFailure
    """
    settings = {"method": solver, "rtol": rtol, "atol": atol}
    return _Solution.apply(rate, n_intervals, settings, first, *parameters)


class _Solution(torch.autograd.Function):
    """The states at whole numbers, with the gradients of the adjoint equation."""

    @staticmethod
    def forward(ctx, rate, n_intervals, settings, first, *parameters):
        system = _System(rate, first)
        at = np.arange(n_intervals + 1.0)
        solution = system.solve(system.rates, system.jacobian, first, at, settings)
        ctx.system, ctx.solution, ctx.settings, ctx.at = system, solution, settings, at
        ctx.parameters = parameters
        return system.tensor(solution.sol(at).T).reshape(len(at), *first.shape)

    @staticmethod
    def backward(ctx, gradient):
        system, states = ctx.system, ctx.solution.sol
        total = [torch.zeros_like(each) for each in ctx.parameters]
        adjoint = gradient[-1].double()
        for end in range(len(ctx.at) - 1, 0, -1):
            size = float(adjoint.abs().max())
            if size > 0 and np.isfinite(size):
                backward = system.solve(
                    lambda s, a, end=end: system.pulled(end - s, states(end - s), a),
                    lambda s, a, end=end: system.jacobian(end - s, states(end - s)).T.tocsc(),
                    adjoint / size,
                    np.array([0.0, 1.0]),
                    ctx.settings,
                )
                parts = system.parameter_gradients(ctx.parameters, states, backward, end)
                total = [each + size * part for each, part in zip(total, parts, strict=True)]
                adjoint = size * system.tensor(backward.y[:, -1]).double().reshape(adjoint.shape)
            adjoint = adjoint + gradient[end - 1].double()
        return (None, None, None, adjoint.to(gradient), *total)


class _System:
    """The equation of all windows as one system of flat float64 arrays."""

    def __init__(self, rate: StiffRate, first: Tensor) -> None:
        self.rate = rate
        self.shape, self.dtype, self.device = first.shape, first.dtype, first.device
        self.n_windows = len(first)
        self.size = first[0].numel()

    def tensor(self, array: np.ndarray) -> Tensor:
        """Return an array as a tensor of the model's type."""
        return torch.as_tensor(np.ascontiguousarray(array)).to(self.device, self.dtype)

    def states(self, flat: np.ndarray) -> Tensor:
        """Return a flat array as states that can be differentiated."""
        return self.tensor(flat).reshape(self.shape).requires_grad_()

    def solve(
        self,
        rates: Callable,
        jacobian: Callable,
        first: Tensor,
        at: np.ndarray,
        settings: dict,
    ) -> object:
        """Return scipy's solution with its interpolant, or raise a SolverFailure."""
        n_evaluations = 0

        def counted(s: float, flat: np.ndarray) -> np.ndarray:
            nonlocal n_evaluations
            n_evaluations += 1
            if n_evaluations > MAX_EVALUATIONS * (len(at) - 1):
                raise SolverFailure(
                    f"it needs more than {MAX_EVALUATIONS} evaluations of the rates between two "
                    "observations"
                )
            return rates(s, flat)

        flat = first.detach().cpu().double().numpy().ravel()
        try:
            with np.errstate(all="ignore"):
                solution = scipy.integrate.solve_ivp(
                    counted, (at[0], at[-1]), flat, jac=jacobian, dense_output=True, **settings
                )
        except (ValueError, RuntimeError, np.linalg.LinAlgError, OverflowError) as error:
            if isinstance(error, SolverFailure) or type(error).__module__.startswith("skhybrid"):
                raise
            raise SolverFailure(str(error)) from error  # not finite, or a singular matrix
        if solution.status != 0:
            raise SolverFailure(solution.message)
        return solution

    def rates(self, s: float, flat: np.ndarray) -> np.ndarray:
        """Return the rates of flat states."""
        with torch.no_grad():
            rates = self.rate(s, self.states(flat))
        return rates.detach().cpu().double().numpy().ravel()

    def jacobian(self, s: float, flat: np.ndarray) -> scipy.sparse.csc_matrix:
        """Return the derivative of the rates with respect to the states."""
        blocks = np.empty((self.n_windows, self.size, self.size))
        with torch.enable_grad():
            states = self.states(flat)
            totals = self.rate(s, states).reshape(self.n_windows, self.size).sum(dim=0)
            for component, total in enumerate(totals):
                row = self._gradients(total, [states])[0].reshape(self.n_windows, self.size)
                blocks[:, component] = row.detach().cpu().numpy()
        return scipy.sparse.block_diag(list(blocks), format="csc")

    def pulled(self, s: float, flat: np.ndarray, adjoint: np.ndarray) -> np.ndarray:
        """Return the product of an adjoint state with the Jacobian."""
        with torch.enable_grad():
            states = self.states(flat)
            product = (self.rate(s, states) * self.tensor(adjoint).reshape(self.shape)).sum()
            (gradient,) = self._gradients(product, [states])
        return gradient.cpu().double().numpy().ravel()

    def parameter_gradients(
        self, parameters: Sequence[Tensor], states: Callable, backward: object, end: int
    ) -> list[Tensor]:
        """Return the integral of the adjoint state times the derivatives of the rates."""
        wanted = [each for each in parameters if each.requires_grad]
        if not wanted:
            return [torch.zeros_like(each) for each in parameters]
        total = torch.zeros((), dtype=self.dtype, device=self.device)
        with torch.enable_grad():
            for begin, length in zip(backward.t[:-1], np.diff(backward.t), strict=True):
                for node, weight in zip(NODES, WEIGHTS, strict=True):
                    s = begin + node * length
                    adjoint = self.tensor(backward.sol(s)).reshape(self.shape)
                    rates = self.rate(end - s, self.states(states(end - s)))
                    total = total + weight * length * (adjoint * rates).sum()
            found = iter(self._gradients(total, wanted))
        return [
            next(found) if each.requires_grad else torch.zeros_like(each) for each in parameters
        ]

    @staticmethod
    def _gradients(output: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return gradients; zeros where there are none. The graph of the parameters stays."""
        if not output.requires_grad:
            return [torch.zeros_like(each) for each in inputs]
        return list(
            torch.autograd.grad(
                output, inputs, retain_graph=True, allow_unused=True, materialize_grads=True
            )
        )
