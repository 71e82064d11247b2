"""Read the user's images as trajectories of hidden states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skhybrid.data.corrected_rates import find_corrected_rates
from skhybrid.data.given_arrays import columns_named
from skhybrid.data.given_x import component_names
from skhybrid.data.latent_state_guesses import guess_states
from skhybrid.data.read_trajectories import trajectory_weights
from skhybrid.data.records import read_outputs
from skhybrid.data.right_hand_side_signature import check_signature
from skhybrid.data.rows import Rows
from skhybrid.data.slow_features import slow_features
from skhybrid.data.times import read_times, uniform_step
from skhybrid.data.training_range import range_of_trajectories
from skhybrid.data.trajectories import Trajectories
from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.model.latent_dynamics import LatentDynamics
from skhybrid.model.latent_ode import LatentODE
from skhybrid.model.layout import Layout
from skhybrid.model.physics import Physics
from skhybrid.model.scales import LatentScales


class ImageTrajectories(Trajectories):
    """Trajectories of images."""

    def windows(self, window: int | str | None, scales: LatentScales) -> Rows:
        """Cut the trajectories into windows; without their last images they have no next state."""
        rows = super().windows(window, scales)
        last = rows.x.next_state
        missing = np.isnan(last).reshape(len(rows), -1).any(axis=1)
        x = rows.x._replace(next_state=np.nan_to_num(last), next_index=np.where(missing, -1, 0))
        return replace(rows, x=x)


def read_images(
    estimator: BaseEstimator,
    ode: LatentODE,
    physics: Physics | None,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    masked: bool,
    reset: bool,
) -> tuple[ImageTrajectories, TrajectoryInfo]:
    """Check the user's arrays and return them as trajectories of images.

    The state at a time is read from the images up to that time, as many as X has.

    Parameters
    ----------
    estimator : HybridRegressor
        Notes the features of X.
    ode : LatentODE
    physics : Physics or None
    X, y, sample_weight
        As given to ``fit``.
    masked : bool
        Whether NaN in y is a missing value rather than an error.
    reset : bool
        Whether the estimator notes the features of X anew; otherwise it compares them.

    Returns
    -------
    trajectories : ImageTrajectories
    info : TrajectoryInfo

    Raises
    ------
    ValueError
        If X and y do not agree.
    """
    ode.validate()
    check_signature(physics, ode)
    outputs, _ = read_outputs(y, masked)
    with columns_named(X=X):
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
    images = np.concatenate([X, values], axis=1)
    n_times = values.shape[1] + 1
    lengths = np.full(len(X), n_times)
    times = read_times(ode, len(X), lengths, False, None)
    ode.require_few_steps(times.shape[1] - 1, "over the longest sequence in y")
    names = component_names(ode.state_names, ode.n_states)
    layout = Layout(
        state_shape=(ode.n_states,),
        output_shape=image_shape,
        uniform_step=uniform_step(times, lengths),
        with_first=True,
        states_observed=False,
        corrects=find_corrected_rates(ode, physics, names[: ode.n_states]),
    )
    context = np.stack([images[:, k : k + n_context] for k in range(n_times)], axis=1)
    weight = trajectory_weights(sample_weight, len(X))
    trajectories = ImageTrajectories(
        context, times, images[:, n_context - 1 :], None, lengths, weight, layout, with_ends=True
    )
    scales = _scales(images, n_context, times, physics, ode)
    info = TrajectoryInfo(
        layout=layout,
        scales=scales,
        times=times[0],
        component_names=names,
        x_shape=X.shape[1:],
        training_range=range_of_trajectories(trajectories, (), given_states=False, images=images),
        model_type=LatentDynamics,
    )
    return trajectories, info


def _scales(
    images: np.ndarray, n_context: int, times: np.ndarray, physics: Physics | None, ode: LatentODE
) -> LatentScales:
    """Return the scales of images over time, the context images included."""
    mean, std = np.nanmean(images), np.nanstd(images) or 1.0
    standard = (images - mean) / std
    offset, factor = slow_features(standard)
    slow = offset + standard.reshape(*images.shape[:2], -1) @ factor
    n_times = times.shape[1]
    slow = np.concatenate([slow[:, k : k + n_times] for k in range(n_context)], axis=2)
    steps = np.diff(times, axis=1)
    guess = guess_states(slow, times[:, :-1], steps, physics, ode.n_states, len(offset))
    zero, one = torch.zeros(()), torch.ones(())
    target = (torch.tensor(mean), torch.tensor(std))
    latent = (torch.tensor(offset), torch.tensor(factor), guess)
    return LatentScales(zero, one, zero, one, *target, zero, one, one, *latent).to(torch.float64)
