"""From images over time to trajectories whose states are not known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight, validate_data

from skhybrid._course import Course, check_signature, component_names, read_outputs
from skhybrid._trajectories import Trajectories, read_times, uniform_step
from skhybrid.physics import Physics
from skhybrid.structures import LatentODE, Layout, RateScales


def read_latent_course(
    estimator: Any, physics: Physics | None, X: Any, y: Any, sample_weight: Any, *, reset: bool
) -> tuple[Trajectories, Course]:
    """Check what the user gave to ``fit`` and return it as trajectories of images.

    The state of a trajectory at a time is told by the images up to that time, as many as X has.

    Parameters
    ----------
    estimator : HybridRegressor
        Its structure is a :class:`LatentODE`.
    physics : Physics or None
    X, y, sample_weight
        As given to ``fit``.
    reset : bool
        Whether the estimator is to note the features of X.
    """
    ode: LatentODE = estimator.structure
    ode.validate()
    check_signature(physics, ode)
    outputs, _ = read_outputs(y, estimator.missing_targets == "mask")
    X = validate_data(estimator, X, dtype=np.float64, allow_nd=True, reset=reset)
    n_context, image_shape = X.shape[1], X.shape[2:]
    shapes = {each.shape for each in outputs}
    if len(X) != len(outputs) or len(shapes) > 1 or outputs[0].shape[1:] != image_shape:
        raise ValueError(
            "X must hold the images up to time 0, of shape (n, n_context, *image_shape), and y "
            "those that follow, of shape (n, n_times, *image_shape); X has shape "
            f"{X.shape}, and y holds {len(outputs)} sequences of shape {outputs[0].shape}."
        )
    values = np.stack(outputs)
    film = np.concatenate([X, values], axis=1)
    n_times = values.shape[1] + 1
    lengths = np.full(len(X), n_times)
    times = read_times(ode, len(X), lengths, False, None)
    layout = Layout(
        state_shape=(ode.n_states,),
        output_shape=image_shape,
        uniform_step=uniform_step(times, lengths),
        with_first=True,
        states_observed=False,
    )
    context = np.stack([film[:, k : k + n_context] for k in range(n_times)], axis=1)
    weight = np.ones(len(X))
    if sample_weight is not None:
        weight = _check_sample_weight(sample_weight, X[:, :1].reshape(len(X), -1), dtype=float)
    trajectories = Trajectories(
        context, times, film[:, n_context - 1 :], None, lengths, weight, layout, with_ends=True
    )
    zero, one = torch.zeros(()), torch.ones(())
    mean, spread = torch.tensor(np.nanmean(film)), torch.tensor(np.nanstd(film) or 1.0)
    scales = RateScales(zero, one, zero, one, mean, spread, zero, one, one).to(torch.float64)
    course = Course(
        layout=layout,
        scales=scales,
        times=times[0],
        component_names=component_names(ode.state_names, ode.n_states),
        start_shape=X.shape[1:],
    )
    return trajectories, course
