"""Scales of trajectories: of their outputs, their states and their rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from skhybrid.data.scaling import Moments, moments, robust_moments, robust_square
from skhybrid.data.trajectories import Trajectories
from skhybrid.model.scales import RateScales


def trajectory_scales(trajectories: Trajectories, *, robust: bool = False) -> RateScales:
    """Return the scales of outputs, states and rates; the network's inputs stay unchanged.

    For hidden states they are rough; the fitted physics gives better ones. The unit of free states
    is 1, and they change about as fast as the other states, in their units.

    Parameters
    ----------
    trajectories : Trajectories
    robust : bool, default=False
        Whether outliers do not inflate the scales.
    """
    if trajectories.layout.n_free_states:
        return _with_free_states(trajectories, robust)
    find = robust_moments if robust else moments
    layout, outputs = trajectories.layout, trajectories.outputs
    output_mean, output_std = _moments(outputs, trajectories.weight, layout.output_shape, find)
    if layout.states_observed:
        state_mean, state_std = output_mean, output_std
        find = robust_square if robust else moments
        squares = _rates(trajectories) ** 2
        square, _ = _moments(squares, trajectories.weight, layout.state_shape, find)
        rate_scale = np.sqrt(np.where(square > 0, square, 1.0))
    else:
        states, times = trajectories.states, trajectories.times
        typical = float(np.mean(np.sqrt(output_mean**2 + output_std**2)))
        state_mean = states.mean(axis=(0, 1))
        size = np.abs(state_mean)
        guessed = states.std(axis=(0, 1))
        state_std = np.where(guessed > 0, guessed, np.where(size > 0, size, typical))
        rate_scale = state_std * 10.0 / (times[:, -1] - times[:, 0]).mean()
    zero, one = torch.zeros(()), torch.ones(())
    state_values = [
        torch.tensor(np.ascontiguousarray(value)) for value in (state_mean, state_std, rate_scale)
    ]
    output_values = [torch.tensor(output_mean), torch.tensor(output_std)]
    return RateScales(zero, one, zero, one, *output_values, *state_values).to(torch.float64)


def _with_free_states(trajectories: Trajectories, robust: bool) -> RateScales:
    """Return the scales of the states of the physics, and after them those of the free states."""
    layout = trajectories.layout
    known = replace(layout, state_shape=(layout.n_known_states,), n_free_states=0)
    states = layout.known_states(trajectories.states)
    scales = trajectory_scales(replace(trajectories, states=states, layout=known), robust=robust)
    unit = torch.ones(layout.n_free_states, dtype=torch.float64)
    speed = (scales.rate_scale / scales.state_scale).log().mean().exp()
    return replace(
        scales,
        state_mean=torch.cat([scales.state_mean, 0.0 * unit]),
        state_scale=torch.cat([scales.state_scale, unit]),
        rate_scale=torch.cat([scales.rate_scale, speed * unit]),
    )


def _rates(trajectories: Trajectories) -> np.ndarray:
    """Return rates of change since the previous observed value, NaN where there is none."""
    outputs, times = trajectories.outputs, trajectories.times
    times = np.broadcast_to(times.reshape(*times.shape, *[1] * (outputs.ndim - 2)), outputs.shape)
    index = np.arange(outputs.shape[1]).reshape(1, -1, *[1] * (outputs.ndim - 2))
    last = np.maximum.accumulate(np.where(np.isnan(outputs), -1, index), axis=1)[:, :-1]
    before = np.maximum(last, 0)
    change = outputs[:, 1:] - np.take_along_axis(outputs, before, axis=1)
    elapsed = times[:, 1:] - np.take_along_axis(times, before, axis=1)
    known = (last >= 0) & (elapsed > 0)
    return np.where(known, change / np.where(known, elapsed, 1.0), np.nan)


def _moments(
    values: np.ndarray, weight: np.ndarray, shape: tuple[int, ...], find: Moments
) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted means and standard deviations of components without missing values."""
    columns = np.moveaxis(values, 2, -1)
    weight = weight.reshape(-1, *[1] * (columns.ndim - 2))
    weight = np.broadcast_to(weight, columns.shape[:-1]).reshape(-1)
    columns = columns.reshape(-1, columns.shape[-1])
    mean, std = np.empty(columns.shape[1]), np.empty(columns.shape[1])
    for component, column in enumerate(columns.T):
        known = ~np.isnan(column) & (weight > 0)
        if not known.any():
            raise ValueError(f"Output {component} of y is missing everywhere; leave it out.")
        mean[component], std[component] = find(column[known], weight[known])
    per_channel = (-1, *[1] * (len(shape) - 1))
    return mean.reshape(per_channel), std.reshape(per_channel)
