"""Predict rates of change that physics and network contribute."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array

from skhybrid.data.given_arrays import columns_named
from skhybrid.data.rows import as_tensor, require_range
from skhybrid.model.dynamics import Dynamics


def predict_rates(
    estimator: Any, states: Any, times: Any, inputs: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rates of change from the physics, and the rates that the network adds.

    Parameters
    ----------
    estimator : HybridRegressor
        Fitted, with an :class:`~skhybrid.ODE`.
    states : array-like of shape (n, *state_shape)
    times : float or array-like of shape (n,)
    inputs : array-like of shape (n, n_inputs) or None

    Returns
    -------
    physics, network : arrays of shape (n, *state_shape)
        In units of the states per unit of time. In the physics' rates, parameters that are
        functions have their mean over the training rows.
    """
    fitted = estimator._fitted
    model: Dynamics = fitted.hybrid
    scale = model.scales.target_scale
    with columns_named(states=states, times=times, inputs=inputs):
        states = check_array(states, dtype=np.float64, allow_nd=True, input_name="states")
        times = np.asarray(times, dtype=np.float64)
    if states.shape[1:] != model.layout.state_shape:
        raise ValueError(
            f"states has shape {states.shape}; one state has shape {model.layout.state_shape}."
        )
    if (inputs is None) != (model.layout.n_inputs == 0):
        given = "not given" if inputs is None else "given"
        raise ValueError(f"inputs is {given}, and the model has {model.layout.n_inputs} inputs.")
    if times.shape not in ((), (1,), (len(states),)) or not np.isfinite(times).all():
        raise ValueError(
            f"times must be one finite number, or one for each of the {len(states)} states; it "
            f"has shape {times.shape}: {np.array2string(times, threshold=6)}."
        )
    arguments = [np.broadcast_to(times, (len(states),)), states]
    if inputs is not None:
        inputs = check_array(inputs, dtype=np.float64, input_name="inputs")
        if inputs.shape != (len(states), model.layout.n_inputs):
            raise ValueError(
                f"inputs has shape {inputs.shape}; for these states it must have shape "
                f"{(len(states), model.layout.n_inputs)}."
            )
        arguments.append(inputs)
    for name, array in zip(("times", "states", "inputs"), arguments, strict=False):
        require_range(name, array, scale.dtype)
    t, x, *rest = (as_tensor(each, scale.dtype, scale.device) for each in arguments)
    u = rest[0] if rest else None
    with torch.no_grad():
        constant = model.constant_values(fitted.coordinates, fitted.function_means)
        physics = model.bind_physics(constant)
        network = model.bind_network(hold=estimator.nn_extrapolation == "hold")
        physics_rate = physics(t, x, u)
        varied = model.bind_physics(model.space.values(fitted.coordinates), network)
        total_rate = model.rate(varied, network)(t, x, u)
    rates = (physics_rate, total_rate - physics_rate)
    return tuple(each.cpu().double().numpy() for each in rates)
