"""Choose the steps of a fixed-step solver by halving them, and check them after a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from torch import Tensor

from skhybrid.data.rows import Rows
from skhybrid.exceptions import SolverWarning
from skhybrid.fitting.compared_steps import (
    ComparedSteps,
    Values,
    few_at_first_states,
    tolerance_of,
)
from skhybrid.fitting.findings import Finding
from skhybrid.fitting.least_squares import LeastSquaresFit
from skhybrid.model.batch import Windows
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.layout import FIRST_STATES
from skhybrid.model.out_of_memory import is_out_of_memory
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.solver_steps import SolverSteps
from skhybrid.model.solvers import FIXED_STEP
from skhybrid.runtime.seeds import seeded
from skhybrid.runtime.user_warnings import warnings_caught

# A change of the prediction, or of θ relative to its size, that is worth a warning.
NOTABLE = 1e-2
# A smaller change of the prediction moves no θ that the data determine.
NEGLIGIBLE = 1e-6
# With more steps between observations, an implicit method is faster.
MAX_SUBSTEPS = 64
# With more elements of θ, their changes are not computed.
MAX_ELEMENTS = 30


def fit_with_steps(
    model: Hybrid, rows: Rows, fit: Callable[[Hybrid], LeastSquaresFit]
) -> tuple[Hybrid, LeastSquaresFit, Hybrid]:
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
    later : Hybrid
        With the steps that suit it at the fitted θ, which may be fewer.
    """
    result = fit(model)
    later = with_chosen_steps(model, rows, result.values, result.states)
    if isinstance(model, Dynamics) and later.solver_steps.most > model.solver_steps.most:
        model, result = later, fit(later)
        later = with_chosen_steps(model, rows, result.values, result.states)
    return model, result, later


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
    try:
        with seeded(0), warnings_caught():
            steps = ComparedSteps(model, few_at_first_states(rows.x, model, states), at, lengths)
            return _halved_until_short(steps, model)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return model


def with_enough_steps(model: Dynamics, x: Windows, values: Values) -> Dynamics:
    """Return a fitted model with steps that suit other values of θ than those of its fit.

    Unchanged unless ``substeps`` is "auto", and for an encoder.

    Parameters
    ----------
    model : Dynamics
    x : Windows
        Arrays of the trajectories to predict.
    values : mapping of str to Tensor
        Physics parameters in the user's units.
    """
    ode = model.structure
    if ode.method not in FIXED_STEP or ode.substeps != "auto" or model.has_hidden_encoder:
        return model
    with seeded(0), warnings_caught():
        steps = ComparedSteps(model, few_at_first_states(x, model, None), values, x.steps)
        return _halved_until_short(steps, model)


def _halved_until_short(steps: ComparedSteps, model: Dynamics) -> Dynamics:
    """Return the model with steps that are short enough, or unchanged if it diverges."""
    tolerance = tolerance_of(model)
    while steps.change > tolerance and steps.model.solver_steps.most < MAX_SUBSTEPS:
        steps = steps.halved
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
            x = few_at_first_states(rows.x, model, coordinates.get(FIRST_STATES))
            steps = ComparedSteps(model, x, values, np.asarray(rows.x.steps))
            message = _message_about(steps, float(np.sqrt(loss * len(x.steps) / len(rows))))
    except Exception as error:  # a finished fit must not fail here
        if is_out_of_memory(error):
            raise
        return
    if message is not None:
        yield Finding(SolverWarning, "steps", message)


def _message_about(steps: ComparedSteps, noise: float) -> str | None:
    """Return a message if the steps are too long, or None."""
    if steps.change < NEGLIGIBLE:
        return None
    n_elements = sum(each.numel() for each in steps.values.values())
    jacobian = steps.jacobian() if n_elements <= MAX_ELEMENTS else {}
    moved = steps.moved(jacobian, noise)
    name = max(moved, key=moved.get, default="")
    is_auto = steps.model.structure.substeps == "auto"
    at_most = is_auto and steps.model.solver_steps.most >= MAX_SUBSTEPS
    tolerance = tolerance_of(steps.model)
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


def _message(steps: ComparedSteps, about: str, needed: int) -> str:
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
