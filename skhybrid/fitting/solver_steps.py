"""Choose the steps of a fixed-step solver by halving them, and check them after a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.rows import Rows, as_tensors, evenly_spaced
from skhybrid.exceptions import SolverWarning
from skhybrid.fitting.findings import Finding
from skhybrid.fitting.least_squares import LeastSquaresFit
from skhybrid.model.batch import Windows, select_rows
from skhybrid.model.derivatives import directional
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.layout import FIRST_STATES
from skhybrid.model.out_of_memory import is_out_of_memory
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.solver_steps import SolverSteps
from skhybrid.model.solvers import FIXED_STEP
from skhybrid.runtime.seeds import seeded
from skhybrid.runtime.user_warnings import warnings_caught

# Steps are short enough if halving them changes the prediction by less, relative to the smaller of
# the target's standard deviation and the change within a window. On simulated tasks, θ then moves
# by less than a fifth of its standard error.
TOLERANCE = 1e-3
# The same for method="euler", whose error falls with the length of the steps only in proportion.
EULER_TOLERANCE = 1e-2
# A change of the prediction, or of θ relative to its size, that is worth a warning.
NOTABLE = 1e-2
# A smaller change of the prediction moves no θ that the data determine.
NEGLIGIBLE = 1e-6
# With more steps between observations, an implicit method is faster.
MAX_SUBSTEPS = 64
# Windows, and numbers in them, with which steps are compared.
N_WINDOWS, MIN_WINDOWS = 64, 2
N_NUMBERS = 2**16
# With more elements of θ, their changes are not computed.
MAX_ELEMENTS = 30
# Directions of θ with a smaller relative effect are not determined by the data.
RCOND = 1e-4

Values = Mapping[str, Tensor]


def fit_with_steps(
    model: Hybrid, rows: Rows, fit: Callable[[Hybrid], LeastSquaresFit]
) -> tuple[Hybrid, LeastSquaresFit]:
    """Fit, and fit once more if the solver needs shorter steps at the fitted θ.

    Parameters
    ----------
    model : Hybrid
        The physics alone, in float64, with the steps for its start.
    rows : Rows
        Training rows; for windows of several lengths, the last ones.
    fit : callable
        Fits a model.

    Returns
    -------
    model : Hybrid
        With the steps of the fit.
    fit : LeastSquaresFit
    """
    result = fit(model)
    again = with_chosen_steps(model, rows, result.values, result.states)
    if isinstance(model, Dynamics) and again.solver_steps.most > model.solver_steps.most:
        model, result = again, fit(again)
    return model, result


def with_chosen_steps(
    model: Hybrid,
    rows: Rows,
    values: Mapping[str, np.ndarray] | None = None,
    states: Tensor | None = None,
) -> Hybrid:
    """Return the model with steps that suit it at θ; unchanged unless ``substeps`` is "auto".

    A physics that fails keeps one step between observations: the checks before training name its
    fault.

    Parameters
    ----------
    model : Hybrid
        The physics alone, in float64.
    rows : Rows
    values : mapping of str to array, default=None
        Physics parameters in the user's units; None is the start.
    states : Tensor, default=None
        Learned first states, as coordinates.
    """
    if not isinstance(model, Dynamics) or model.structure.method not in FIXED_STEP:
        return model
    if model.structure.substeps != "auto":
        return model
    lengths = np.asarray(rows.x.steps)
    longest = model.layout.uniform_step or float(lengths.max(initial=0.0))
    if not longest > 0:
        return model
    one = SolverSteps(1, longest).at(lengths)
    model = model.with_steps(one)
    if model.physics is None:
        return model
    device = model.scales.target_scale.device
    space = ParameterSpace(model.physics, values or model.space.start, device=device)
    at = space.values(space.initial_coordinates())
    tolerance = _tolerance(model)
    try:
        with seeded(0), warnings_caught():
            steps = _Steps(model, _few(rows.x, model, states), at, lengths)
            while steps.change > tolerance and steps.model.solver_steps.most < MAX_SUBSTEPS:
                steps = steps.halved
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return model
    return steps.model if steps.is_finite else model


def findings_of_steps(
    model: Hybrid,
    rows: Rows,
    coordinates: Values,
    loss: float,
) -> Iterator[Finding]:
    """Yield a finding if shorter steps would change θ or the prediction of a fitted model.

    Parameters
    ----------
    model : Hybrid
        Fitted model, with its network.
    rows : Rows
        Training rows.
    coordinates : mapping of str to Tensor
        Fitted coordinates.
    loss : float
        Mean squared error, in units of the target's variance.
    """
    if not isinstance(model, Dynamics) or model.structure.method not in FIXED_STEP:
        return
    try:
        with seeded(0), warnings_caught():
            values = model.space.values(coordinates)
            values = {name: each.detach() for name, each in values.items()}
            x = _few(rows.x, model, coordinates.get(FIRST_STATES))
            steps = _Steps(model, x, values, np.asarray(rows.x.steps))
            message = _message_about(steps, float(np.sqrt(loss * len(x.steps) / len(rows))))
    except Exception as error:  # a finished fit must not fail here
        if is_out_of_memory(error):
            raise
        return
    if message is not None:
        yield Finding(SolverWarning, "steps", message)


def _message_about(steps: _Steps, noise: float) -> str | None:
    """Return a message if the steps are too long, or None."""
    if steps.change < NEGLIGIBLE:
        return None
    n_elements = sum(each.numel() for each in steps.values.values())
    jacobian = steps.jacobian() if n_elements <= MAX_ELEMENTS else {}
    moved = steps.moved(jacobian, noise)
    name = max(moved, key=moved.get, default="")
    is_auto = steps.model.structure.substeps == "auto"
    at_most = is_auto and steps.model.solver_steps.most >= MAX_SUBSTEPS
    tolerance = _tolerance(steps.model)
    # The choice was made before, at another θ.
    notable = 2.0 * NOTABLE if is_auto else NOTABLE
    if max(steps.change, moved.get(name, 0.0)) <= notable:
        if not (at_most and steps.change > tolerance):
            return None
    shorter = steps
    while (
        shorter.model.solver_steps.most < MAX_SUBSTEPS
        and max(shorter.change, *shorter.moved(jacobian, noise).values(), 0.0) > tolerance
    ):
        shorter = shorter.halved
    about = f", and {name!r} by {_percent(moved[name])}" if moved.get(name, 0.0) > NOTABLE else ""
    return _message(steps, about, shorter.model.solver_steps.most)


def _message(steps: _Steps, about: str, needed: int) -> str:
    """Return the message about steps that are too long."""
    ode, used = steps.model.structure, steps.model.solver_steps.most
    who = f"substeps={used}" if ode.substeps != "auto" else f"{used}, chosen by substeps='auto'"
    start = (
        f"The steps of method={ode.method!r} ({who}) are too long at the fitted parameters: steps "
        f"of half the length would change the prediction by {_percent(steps.change)} of its "
        f"standard deviation or of its change within a window{about}."
    )
    if needed >= MAX_SUBSTEPS:
        others = "If the equation is stiff, set method='bdf' or 'radau'."
        if ode.method != "rk4":
            others = f"method='rk4' needs fewer. {others}"
        return f"{start} {needed} or more steps between observations would be needed. {others}"
    auto = "" if ode.substeps == "auto" or ode.reads_images else " or substeps='auto'"
    return f"{start} Set substeps={needed}{auto}, and fit again."


def _percent(part: float) -> str:
    """Return a part as a percentage with two digits."""
    return f"{100.0 * part:.2g} %" if np.isfinite(part) else "far more than 100 %"


def _tolerance(model: Dynamics) -> float:
    """Return the change with steps of half the length up to which steps are short enough."""
    return EULER_TOLERANCE if model.structure.method == "euler" else TOLERANCE


def _few(x: Windows, model: Dynamics, learned: Tensor | None) -> Windows:
    """Return a few windows, evenly spaced, at their first states, in the model's dtype."""
    numbers = max(1, x.first_state[0].size * (x.steps.shape[1] + 1))
    chosen = evenly_spaced(len(x.steps), max(MIN_WINDOWS, min(N_WINDOWS, N_NUMBERS // numbers)))
    few = x if chosen is None else select_rows(x, chosen)
    dtype, device = model.scales.target_scale.dtype, model.scales.target_scale.device
    few = as_tensors(few, dtype, device)
    if learned is None:
        return few
    return few._replace(first_state=model.first_states(few, learned.to(dtype)), index=None)


class _Steps:
    """The prediction of a model, to compare with the one for steps of half the length.

    Parameters
    ----------
    model : Dynamics
    x : Windows
        A few windows that begin at their first states.
    values : mapping of str to Tensor
        Physics parameters in the user's units.
    lengths : array of shape (n_windows, n_intervals)
        Times between observations in all windows.
    """

    def __init__(self, model: Dynamics, x: Windows, values: Values, lengths: np.ndarray) -> None:
        self.model, self.x, self.values, self.lengths = model, x, values, lengths
        self._unit = 1.0 / model.scales.target_scale
        with torch.no_grad():
            self.prediction = self._predict(values)

    @cached_property
    def halved(self) -> _Steps:
        """The same with steps of half the length."""
        model = self.model.with_steps(self.model.solver_steps.halved(self.lengths))
        return _Steps(model, self.x, self.values, self.lengths)

    @property
    def is_finite(self) -> bool:
        """Whether the prediction is finite."""
        return bool(torch.isfinite(self.prediction).all())

    @cached_property
    def change(self) -> float:
        """Root mean square change with steps of half the length; infinite if it is not finite.

        The unit is the standard deviation of the target, or the change within windows if that is
        smaller.
        """
        model, x = self.model, self.x
        with torch.no_grad():
            first = model.first_states(x, None)
            states = first[:, None].expand(-1, x.steps.shape[1] + 1, *first.shape[1:])
            constant = model.observed(x, states, self.values, model.silent_output)
        size, motion = (
            _rms(self._difference),
            _rms((self.halved.prediction - constant) * self._unit),
        )
        if not np.isfinite(size):
            return np.inf
        return size / min(1.0, motion) if size > 0.0 and motion > 0.0 else 0.0

    def jacobian(self) -> dict[str, np.ndarray]:
        """Return ∂ŷ/∂θ of the free parameters, a column for each element."""
        columns = {}
        free = self.model.physics.free if self.model.physics is not None else ()
        n_values = self.prediction.numel() * self.model.solver_steps.most
        for name in free:
            at = self.values[name]
            tangents = torch.eye(at.numel(), dtype=at.dtype).reshape(-1, *at.shape)
            predict = lambda value, name=name: self._predict({**self.values, name: value})  # noqa: E731
            slopes = directional(predict, at, [*tangents], n_values)
            slopes = [slope.ravel() for slope in slopes]
            columns[name] = np.stack(slopes, axis=1).astype(np.float64)
        return columns

    def moved(self, jacobian: Mapping[str, np.ndarray], noise: float) -> dict[str, float]:
        """Return the change of each parameter that makes up for steps of half the length.

        The change is linearised: the least-squares solution of J Δθ = Δŷ. Its unit is the size of
        the parameter, or its standard error if that is larger.

        Parameters
        ----------
        jacobian : mapping of str to array
            As :meth:`jacobian` returns it.
        noise : float
            Root mean square residual in standard deviations of the target, divided by the square
            root of the number of training windows and multiplied by that of the windows here.
        """
        if not jacobian:
            return {}
        unit = np.broadcast_to(self._unit.cpu().numpy(), self.prediction.shape).reshape(-1, 1)
        slopes = np.concatenate([*jacobian.values()], axis=1) * unit
        theta = [np.abs(self.values[name].detach().cpu().numpy()).ravel() for name in jacobian]
        size = np.concatenate(theta)
        norm = np.linalg.norm(slopes, axis=0)
        scale = np.where(size > 0, size, 1.0 / np.where(norm > 0, norm, 1.0))
        inverse = np.linalg.pinv(slopes * scale, rcond=RCOND)
        change = np.abs(inverse @ self._difference.cpu().double().numpy().ravel()) * scale
        error = noise * np.linalg.norm(inverse, axis=1) * scale
        relative = change / np.where(change > 0, np.maximum(size, error), 1.0)
        pieces = np.split(relative, np.cumsum([len(each) for each in theta])[:-1])
        return {name: float(piece.max()) for name, piece in zip(jacobian, pieces, strict=True)}

    @property
    def _difference(self) -> Tensor:
        """The change of the prediction in standard deviations of the target."""
        return (self.halved.prediction - self.prediction) * self._unit

    def _predict(self, values: Values) -> Tensor:
        """Return the prediction of the whole model."""
        return self.model.join(self.x, values, self.model.bind_network())


def _rms(values: Tensor) -> float:
    """Return the root mean square."""
    return float(values.square().mean().sqrt())
