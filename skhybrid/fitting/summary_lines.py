"""The lines of a summary: the parts of a model, what ± means, and how the model was fitted."""

from __future__ import annotations

from typing import Any

import numpy as np

from skhybrid.fitting.fitted import Fitted
from skhybrid.fitting.parameter_warnings import element_name
from skhybrid.fitting.standard_errors import HYBRID_ERRORS
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.param_prior import prior_text
from skhybrid.model.user_code import function_name
from skhybrid.runtime.number_text import number_text

# Elements of one parameter whose priors are told.
MAX_SHOWN = 12


def title(estimator: Any, fitted: Fitted) -> str:
    """Return the class of the estimator and the parts of its model."""
    physics, network, structure = fitted.hybrid.physics, estimator.nn, estimator.structure
    parts = [] if physics is None else [f"physics {physics.name!r}"]
    if fitted.hybrid.network is not None and _has_network(fitted):
        own = hasattr(network, "forward")
        parts.append(f"network {type(network).__name__ if own else network}")
    if isinstance(fitted.hybrid, Dynamics):
        structure = type(structure).__name__
    else:  # not "auto", but what was chosen
        structure = function_name(fitted.hybrid.structure)
    return f"{type(estimator).__name__}: {' and '.join(parts)}, structure {structure}"


def _has_network(fitted: Fitted) -> bool:
    """Whether the model has a network, and not only values of groups."""
    return fitted.hybrid.parts is None or fitted.hybrid.parts.has_networks


def error_lines(fitted: Fitted) -> list[str]:
    """Return what ± means, and where it is missing."""
    if fitted.hybrid.physics is None:
        return ["There are no physics parameters: physics=None."]
    if not fitted.free_names:
        return ["There are no free physics parameters.", *_varying_lines(fitted)]
    if fitted.set_params:
        return [
            "Without ±: with_params has set parameters. The others, the network, and all that is "
            "said below are those of the fit before."
        ]
    errors = fitted.standard_errors
    if errors is None:
        return [f"Without ±. {HYBRID_ERRORS}", *_prior_lines(fitted), *_varying_lines(fitted)]
    return [*errors.sentences, *_prior_lines(fitted)]


def _prior_lines(fitted: Fitted) -> list[str]:
    """Return the priors of free parameters."""
    params = fitted.hybrid.physics.params
    texts = [
        f"{element_name(name, index)} {prior_text(param.prior, index, param.shape)}"
        for name, param in params.items()
        if param.prior is not None and not param.fixed
        for index in list(np.ndindex(param.shape))[:MAX_SHOWN]
    ]
    return [f"Priors: {', '.join(texts)}."] if texts else []


def _varying_lines(fitted: Fitted) -> list[str]:
    """Return how to read parameters that are functions of features."""
    names, grouped = fitted.hybrid.functions, [*fitted.groups]
    lines = []
    if grouped:
        verb = "has a value" if len(grouped) == 1 else "have values"
        lines = [
            f"{', '.join(grouped)} {verb} for each group: the value is the common one, the note "
            "the range. group_params_ has the values of the groups."
        ]
    if not names:
        return lines
    verb = "is a function" if len(names) == 1 else "are functions"
    return [
        *lines,
        f"{', '.join(names)} {verb} of features: the value is the mean over the training rows, the "
        "note the range. predict_params(X) returns a value for every row.",
    ]


def fit_lines(estimator: Any, fitted: Fitted) -> list[str]:
    """Return the quality of the fit, and how it was made."""
    rows = f"{fitted.n_rows} rows"
    if fitted.window is not None:
        rows = f"{fitted.n_rows} windows of {fitted.window} steps"
    quality = f"loss {number_text(fitted.loss, 4)}"
    if estimator.loss == "squared_error":
        quality = f"R² {_r2_text(1.0 - fitted.loss)}, {quality} (mean squared error"
    else:
        quality = f"{quality} (loss={estimator.loss!r}"
    lines = [f"Training data: {rows}, {quality} in units of the target's variance)"]
    both = fitted.hybrid.physics is not None and fitted.hybrid.network is not None
    if both and np.isfinite(fitted.physics_share):
        share = f"Physics' share of what is explained: {100.0 * fitted.physics_share:.1f} %"
        constant = share_without(fitted)
        lines.append(f"{share}, {constant}" if constant else share)
    if fitted.free_run_losses is not None:
        shown = [f"{part} {number_text(each, 4)}" for part, each in fitted.free_run_losses.items()]
        lines.append(f"Loss of whole rollouts: {', '.join(shown)}")
    lines.append(_training_line(estimator, fitted))
    if isinstance(fitted.hybrid, Dynamics):
        lines += _rates_lines(fitted)
        lines.append(_solver_line(fitted.hybrid))
    return lines


def share_without(fitted: Fitted) -> str:
    """Return which parameters do not vary in the physics' part; empty if none varies."""
    said = []
    for names, kind in ((fitted.hybrid.functions, "mean"), ([*fitted.groups], "common value")):
        if names:
            plural, their = ("s", "their") if len(names) > 1 else ("", "its")
            said.append(f"{', '.join(names)} at {their} {kind}{plural}")
    return f"with {' and '.join(said)}" if said else ""


def _training_line(estimator: Any, fitted: Fitted) -> str:
    """Return the optimizer and its radii."""
    if fitted.hybrid.network is None:
        return f"Fitted by least squares: {fitted.n_iter} evaluations"
    if not _has_network(fitted):
        return f"Trained by adam: {fitted.n_iter} epochs"
    radius = lambda name: getattr(estimator, f"{name}_", getattr(estimator, name))  # noqa: E731
    rho = f" with rho {number_text(radius('rho'), 4)}" if estimator.optimizer == "sam" else ""
    refined = fitted.n_iter - fitted.n_iter_first
    first = f"Trained by {estimator.optimizer}{rho}: {fitted.n_iter_first} epochs"
    if not refined:
        return first
    radius_then = number_text(radius("refine_rho"), 4)
    return f"{first}, then the network alone with rho {radius_then}: {refined} epochs"


def _rates_lines(fitted: Fitted) -> list[str]:
    """Return the states whose rates the network changes, if it does not change all."""
    numbers = fitted.hybrid.layout.corrects
    if fitted.hybrid.network is None or numbers is None:
        return []
    names = fitted.trajectory_info.component_names
    return [f"The network changes the rates of: {', '.join(names[each] for each in numbers)}"]


def _solver_line(hybrid: Dynamics) -> str:
    """Return the method of the solver and its steps."""
    steps = ""
    if hybrid.step is not None:
        counts = np.unique(hybrid.solver_steps.counts)
        few = " to ".join(str(each) for each in {counts[0]: 0, counts[-1]: 0})
        steps = f", {few} step{'s' if counts[-1] > 1 else ''} between observations"
    return f"Solver: {hybrid.structure.method}{steps}"


def _r2_text(r2: float) -> str:
    """Return R² with as many digits as tell it from one."""
    digits = 4 if r2 < 0.999 or r2 >= 1.0 else int(np.ceil(-np.log10(1.0 - r2))) + 1
    return f"{r2:.{min(digits, 12)}f}"
