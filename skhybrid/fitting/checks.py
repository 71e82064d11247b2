"""Check the physics and the whole model before training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from skhybrid.exceptions import NetworkError, PhysicsError
from skhybrid.model.batch import Windows, row_chunks
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.out_of_memory import is_out_of_memory
from skhybrid.model.physics import Physics
from skhybrid.model.solvers import FIXED_STEP, STIFF
from skhybrid.model.user_code import NAMED, described, failure, reason


def check_physics(hybrid: Hybrid, x: Tensor | Windows) -> None:
    """Evaluate the physics once, with gradients; raise an error that names its fault.

    Raises
    ------
    PhysicsError
        If it fails, changes its inputs, returns a wrong type or shape or non-finite values, or if
        a free parameter has no finite gradient.
    """
    physics = hybrid.physics
    if physics is None:
        return
    coordinates = _differentiable_coordinates(hybrid)
    gradients: dict[str, Tensor | None] = dict.fromkeys(coordinates)
    for rows in row_chunks(x):
        for name, gradient in _check_physics_of_rows(hybrid, rows, coordinates, len(x)).items():
            gradients[name] = gradient if gradients[name] is None else gradients[name]
    for name, gradient in gradients.items():
        if gradient is None:
            raise PhysicsError(
                f"The output of physics {physics.name!r} has no gradient with respect to "
                f"parameter {name!r}: it does not use it, or cuts it off (numpy, math, float(), "
                f".item(), .detach(), torch.tensor()). If {name!r} is known, set fixed=True."
            )


def _check_physics_of_rows(
    hybrid: Hybrid, x: Tensor | Windows, coordinates: Mapping[str, Tensor], n_rows: int
) -> dict[str, Tensor | None]:
    """Check the physics on some of the rows; return the gradients of its summed prediction."""
    physics = hybrid.physics
    values = described(hybrid.space.start)
    at = f" at {values}" if values else ""
    who = f"physics {physics.name!r}"
    before = [part.clone() for part in _tensors(x)]
    with torch.enable_grad():
        try:
            prediction = hybrid.physics_part(x, coordinates)
        except NAMED:
            raise
        except Exception as error:  # of the solver
            if is_out_of_memory(error):
                raise
            raise PhysicsError(failure(who, error, hybrid.space.start)) from error
        if not all(torch.equal(*pair) for pair in zip(_tensors(x), before, strict=True)):
            raise PhysicsError(
                f"physics {physics.name!r} changes its inputs in place, and with them the data. "
                "Write a = a * b instead of a *= b or a.mul_(b), and copy what you index into "
                "with a.clone()."
            )
        broken = ~torch.isfinite(prediction.detach()).reshape(len(prediction), -1).all(dim=1)
        if bool(broken.any()):
            if isinstance(x, Windows):
                raise PhysicsError(_described_divergence(hybrid, x, prediction.detach(), at))
            which = "training rows" if len(x) == n_rows else "checked training rows"
            raise PhysicsError(
                f"physics {physics.name!r} is not finite for {int(broken.sum())} of {len(x)} "
                f"{which}{at}; the first has {_described_row(hybrid, x[broken][0])}. Choose "
                "another initial value or guard the function (torch.clamp, torch.where)."
            )
        try:
            if isinstance(x, Windows):
                _check_rate_gradients(hybrid, x, coordinates, at)
            return _checked_gradients(physics, prediction, coordinates, at)
        except NAMED:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise PhysicsError(_gradient_failure(who, error, at)) from error


def _differentiable_coordinates(hybrid: Hybrid) -> dict[str, Tensor]:
    """Return the initial coordinates of the physics parameters, with gradients."""
    initial = hybrid.space.initial_coordinates()
    return {name: coordinate.requires_grad_() for name, coordinate in initial.items()}


def _checked_gradients(
    physics: Physics, prediction: Tensor, coordinates: Mapping[str, Tensor], at: str
) -> dict[str, Tensor | None]:
    """Return the gradients; raise an error for one that is not finite."""
    gradients = _gradients(prediction, coordinates)
    for name, gradient in gradients.items():
        if gradient is not None and not bool(torch.isfinite(gradient).all()):
            raise PhysicsError(
                f"The gradient of physics {physics.name!r} with respect to parameter {name!r} is "
                f"not finite{at}. Functions such as sqrt, log and powers have infinite slopes at "
                "zero: guard them with torch.clamp or torch.where."
            )
    return gradients


def _gradients(prediction: Tensor, coordinates: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """Return the gradient of the summed prediction for every parameter; None if there is none."""
    if not (coordinates and prediction.requires_grad):
        return dict.fromkeys(coordinates)
    gradients = torch.autograd.grad(prediction.sum(), list(coordinates.values()), allow_unused=True)
    return dict(zip(coordinates, gradients, strict=True))


def check_structure(hybrid: Hybrid, x: Tensor | Windows) -> None:
    """Evaluate the whole model once, with gradients; raise an error that names its fault.

    Raises
    ------
    NetworkError
        If there is nothing to learn, the network fails, or its output does not fit the target.
    ValueError
        If the structure's output does not fit, or does not depend on the physics.
    """
    if hybrid.network is not None and not hybrid.space.shapes:
        if not any(parameter.requires_grad for parameter in hybrid.network.parameters()):
            raise NetworkError("Neither physics nor nn has a parameter to learn: nothing to fit.")
    coordinates = _differentiable_coordinates(hybrid)
    depends = not coordinates
    for rows in row_chunks(x):
        gradients = _structure_gradients(hybrid, rows, coordinates)
        depends = depends or any(gradient is not None for gradient in gradients.values())
    if not depends:
        raise ValueError(
            "structure returns a prediction that does not depend on the physics, so its "
            "parameters cannot be learned. Use physics(x) in it, or set physics=None."
        )


def _structure_gradients(
    hybrid: Hybrid, x: Tensor | Windows, coordinates: Mapping[str, Tensor]
) -> dict[str, Tensor | None]:
    """Return the gradients of the whole model's summed prediction for some of the rows."""
    with torch.enable_grad():
        values = hybrid.space.values(coordinates)
        # Training bounds the states, too: an untrained network may let a rollout grow.
        prediction = hybrid.join(x, values, hybrid.bind_network(), bounded=True)
        if not bool(torch.isfinite(prediction.detach()).all()):
            raise NetworkError(
                "The untrained model's prediction is not finite for some training rows, although "
                "the physics is: look at structure and nn."
            )
        try:
            return _gradients(prediction, coordinates)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise NetworkError(_gradient_failure("nn and structure", error, "")) from error


def _check_rate_gradients(
    hybrid: Dynamics, x: Windows, coordinates: Mapping[str, Tensor], at: str
) -> None:
    """Raise an error that names the step in which the right-hand side has no finite gradient."""
    with torch.no_grad():
        physics = hybrid.bind_physics(hybrid.space.values(coordinates))
        states = hybrid.rollout(x, hybrid.first_states(x, None), physics, hybrid.silent_network)
    for step in range(states.shape[1]):
        state = states[:, step].detach().requires_grad_()
        inputs = None if x.inputs is None else x.inputs[:, step]
        t = x.first_time + x.steps[:, :step].sum(1)
        physics = hybrid.bind_physics(hybrid.space.values(coordinates))
        rates = physics(t, state, inputs)
        if not rates.requires_grad:
            return
        leaves = {**coordinates, "state": state}
        gradients = torch.autograd.grad(rates.sum(), list(leaves.values()), allow_unused=True)
        for name, gradient in zip(leaves, gradients, strict=True):
            if gradient is None or bool(torch.isfinite(gradient).all()):
                continue
            variable = "the state" if name == "state" else f"parameter {name!r}"
            where = ""
            if name == "state":
                window = int(
                    (~torch.isfinite(gradient)).reshape(len(gradient), -1).any(1).nonzero()[0]
                )
                where = (
                    f" (window {window}, t = {float(t[window]):g}, state = {_short(state[window])})"
                )
            raise PhysicsError(
                f"The gradient of physics {hybrid.physics.name!r} with respect to {variable} is "
                f"not finite in step {step} of the windows{where}{at}. Functions such as sqrt, "
                "log and powers have infinite slopes at zero: guard them with torch.clamp or "
                "torch.where."
            )


def _gradient_failure(part: str, error: Exception, at: str) -> str:
    """Return an error message for a backward pass that fails."""
    return (
        f"The gradient of {part} failed{at}: {reason(error)} Operations in place are a usual "
        "cause: write a = a + b instead of a += b or a.add_(b)."
    )


def _described_divergence(hybrid: Dynamics, x: Windows, prediction: Tensor, at: str) -> str:
    """Return an error message: when the rollout became non-finite, and what may help."""
    finite = torch.isfinite(prediction).reshape(*prediction.shape[:2], -1).all(dim=2)
    window = int((~finite.all(dim=1)).nonzero()[0])
    step = int((~finite[window]).nonzero()[0]) + (not hybrid.layout.with_first)
    begins = f"t = {float(x.first_time[window]):g} with state {_short(x.first_state[window])}"
    physics = hybrid.bind_physics(hybrid.space.values(hybrid.space.initial_coordinates()))
    inputs = None if x.inputs is None else x.inputs[:, 0]
    with torch.no_grad():
        first = hybrid.first_states(x, None)
        rates = physics(x.first_time, first, inputs)[window]
        states = hybrid.rollout(x, first, physics, hybrid.silent_network)[window]
    if hybrid.structure.observe is not None and bool(torch.isfinite(states).all()):
        return (
            f"observe is not finite{at}, in step {step} of a window that begins at {begins}: the "
            f"state there is {_short(states[step])}. Guard observe (torch.clamp, torch.where), or "
            "choose another initial value or state_guess."
        )
    if not bool(torch.isfinite(rates).all()):
        return (
            f"physics {hybrid.physics.name!r} is not finite{at}, at {begins}: it returned "
            f"{_short(rates)}. Choose another initial value or guard the function (torch.clamp, "
            "torch.where)."
        )
    ode = hybrid.structure
    values = hybrid.space.values(hybrid.space.initial_coordinates())
    failure = hybrid.solver_failure(x, hybrid.first_states(x, None), values)
    if failure is not None:
        others = [each for each in STIFF if each != ode.method]
        return (
            f"method={ode.method!r} cannot solve physics {hybrid.physics.name!r}{at}: "
            f"{failure.rstrip('.')}. If the equation is stiff, try method={others[0]!r}; otherwise "
            f"larger tolerances (rtol={ode.rtol:g}, atol={ode.atol:g}) or other initial values."
        )
    remedy = "smaller tolerances, method='bdf'"
    if ode.method in FIXED_STEP:
        more = f"more substeps (substeps={ode.substeps}), "
        remedy = (
            f"{'' if ode.substeps == 'auto' else more}an adaptive method (method='dopri5') or, "
            "if the equation is stiff, method='bdf' or 'radau'"
        )
    return (
        f"The rollout of physics {hybrid.physics.name!r}{at} is not finite from step {step} of a "
        f"window that begins at {begins}, although the rates are finite there: the steps of "
        f"method={ode.method!r} are too long for it, or it grows without bound. Try {remedy}, "
        f"shorter windows (window={ode.window!r}) or other initial values."
    )


def _short(values: Tensor) -> str:
    """Return numbers as a short text."""
    return np.array2string(values.detach().cpu().numpy(), precision=4, threshold=6)


def _tensors(x: Tensor | Windows) -> list[Tensor]:
    """Return the tensors of the rows."""
    return [x] if isinstance(x, Tensor) else [part for part in x if part is not None]


def _described_row(hybrid: Hybrid, row: Tensor) -> str:
    """Return the features of a row that the physics reads as text."""
    if hybrid.physics_columns is None:
        return f"X = {row.tolist()}"
    return ", ".join(
        f"{name} = {float(row[column]):.6g}"
        for name, column in zip(hybrid.physics.inputs, hybrid.physics_columns, strict=True)
    )
