"""Facts about training trajectories that prediction also needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skhybrid.data.training_range import TrainingRange
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.layout import Layout
from skhybrid.model.scales import RateScales


@dataclass(frozen=True)
class TrajectoryInfo:
    """Facts about the trajectories that a differential equation is fitted to.

    Attributes
    ----------
    layout : Layout
    scales : RateScales
    times : array of shape (n_times,)
        Times of the longest training trajectory; ``predict`` returns states at these times.
    component_names : tuple of str
        Names of the possible inputs of the network: states, inputs and the time.
    time_column : int or None
        Column of X that holds the times.
    state_columns : tuple of int or None, or None
        Columns of X that hold the initial states; None in the tuple is an unknown one.
    scalar : bool
        Whether y has one output, without an axis for it.
    n_first_states : int
        Number of learned first states.
    initial_states : array of shape (n, *state_shape)
        Initial states of the training trajectories; NaN where unknown.
    first_indices : array of int, shape (n,), or None
        Indices of the learned first states that are initial states of trajectories.
    x_shape : tuple
        Shape of one trajectory in X: an initial state, or its context images.
    has_first_times : bool
        Whether the user gave the times of each trajectory, the time of the initial state included.
    training_range : TrainingRange or None
        Range of the states or outputs, and of the inputs.
    model_type : type
        Type of the forward map.
    """

    layout: Layout
    scales: RateScales
    times: np.ndarray
    component_names: tuple[str, ...]
    time_column: int | None = None
    state_columns: tuple[int | None, ...] | None = None
    scalar: bool = False
    n_first_states: int = 0
    initial_states: np.ndarray | None = None
    first_indices: np.ndarray | None = None
    x_shape: tuple[int, ...] | None = None
    has_first_times: bool = False
    training_range: TrainingRange | None = None
    model_type: type[Dynamics] = Dynamics
