"""A fitted model and its attributes."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.learned_states import initial_states
from skhybrid.data.rows import Rows
from skhybrid.data.scaling import record_network_inputs
from skhybrid.data.training_range import TrainingRange
from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.fitting.standard_errors import HYBRID_ERRORS, StandardErrors
from skhybrid.model.batch import Batch, Windows
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.group_table import centred_values
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.layout import FIRST_STATES


@dataclass(frozen=True)
class Fitted:
    """A fitted model and the record of its fit.

    Attributes
    ----------
    hybrid : Hybrid
        Its network holds the trained parameters.
    coordinates : dict of str to Tensor
        Scaled physics parameters.
    loss : float
        Mean weighted squared error over the training rows, in units of the target's variance.
    loss_curve : list of float
    n_iter : int
        Epochs of both phases, or evaluations of a least-squares fit.
    restarts : list of dict
    trajectory_info : TrajectoryInfo or None
        For a differential equation.
    physics_share : float
        Part of the explained variance that the physics explains, at the end of the first phase.
    n_rows : int
        Number of training rows.
    learned_states : array of shape (n, *state_shape) or None
        Learned initial states of the training trajectories.
    window_states : array of shape (n_first_states, *state_shape) or None
        Learned first states of all training windows; NaN for windows that are held out.
    held_out_states : array of shape (n, *state_shape) or None
        First states of windows held out for early stopping; NaN for the others.
    drift : dict of str to float or array, or None
        Change of the physics parameters in the second half of the first phase, in the user's
        units; None if training did not run for all of its epochs, and for least squares.
    window : int or None
        Steps of the training windows of a differential equation, those of the last stage.
    free_run_losses : dict of str to float, or None
        Mean squared errors of whole rollouts over the training trajectories, in units of the
        target's variance: "hybrid" and "physics" alone.
    compiled : bool
        Whether steps of the training were compiled.
    standard_errors : StandardErrors or None
        For the physics alone.
    n_iter_first : int or None
        Epochs of the first phase; None for the physics alone, and while training runs.
    varying_ranges : dict of str to array of shape (3, *shape)
        Lowest value, mean and highest value over the training rows of each parameter that is a
        function of features, or has a value for each group.
    feature_range : TrainingRange or None
        For a table: range of the features. None while training runs.
    set_params : dict of str to array
        Values that ``with_params`` has set; they are not estimated.
    groups : dict of str to (list, array of shape (n_groups, *shape))
        Labels and values of the groups, by parameter.
    group_labels : mapping of int to list
        Labels of the groups in columns of a table.
    """

    hybrid: Hybrid
    coordinates: dict[str, Tensor]
    loss: float
    loss_curve: list[float]
    n_iter: int
    restarts: list[dict[str, Any]]
    trajectory_info: TrajectoryInfo | None = None
    physics_share: float = math.nan
    n_rows: int = 0
    learned_states: np.ndarray | None = None
    window_states: np.ndarray | None = None
    held_out_states: np.ndarray | None = None
    drift: dict[str, float | np.ndarray] | None = None
    window: int | None = None
    free_run_losses: dict[str, float] | None = None
    compiled: bool = False
    standard_errors: StandardErrors | None = None
    n_iter_first: int | None = None
    varying_ranges: dict[str, np.ndarray] = field(default_factory=dict)
    feature_range: TrainingRange | None = None
    set_params: dict[str, np.ndarray] = field(default_factory=dict)
    groups: dict[str, tuple[list, np.ndarray]] = field(default_factory=dict)
    group_labels: Mapping[int, list] = field(default_factory=dict)

    @property
    def initial_states(self) -> np.ndarray | None:
        """Initial states of the training trajectories, learned or given."""
        if self.learned_states is not None or self.trajectory_info is None:
            return self.learned_states
        return self.trajectory_info.initial_states

    @property
    def training_range(self) -> TrainingRange | None:
        """Range of the features; for a differential equation of states or outputs, and inputs."""
        info = self.trajectory_info
        return self.feature_range if info is None else info.training_range

    @property
    def free_names(self) -> list[str]:
        """Names of the physics parameters that are learned as numbers."""
        return list(self.hybrid.free_names)

    @property
    def function_means(self) -> dict[str, np.ndarray]:
        """Means of parameters that are functions of features; empty while training runs."""
        return means_of_functions(self.hybrid, self.varying_ranges)

    @property
    def physics_params(self) -> dict[str, float | np.ndarray]:
        """Physics parameters in the user's units, in the order of the signature."""
        given = {  # without the rounding of the training dtype
            name: float(value) if value.ndim == 0 else value.copy()
            for name, value in self.set_params.items()
        }
        return user_values(self.hybrid, self.coordinates) | given

    def require_standard_errors(self) -> StandardErrors:
        """Return the standard errors; raise an AttributeError for a model without them."""
        if self.set_params:
            names = ", ".join(self.set_params)
            raise AttributeError(
                f"There are no standard errors: with_params has set {names}, "
                "which are not estimated. Look at the model that was fitted."
            )
        if self.standard_errors is None:
            raise AttributeError(HYBRID_ERRORS)
        return self.standard_errors

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of a fitted estimator."""
        attributes = {
            "_fitted": self,
            "module_": self.hybrid.network,
            "physics_params_": self.physics_params,
            "loss_": self.loss,
            "loss_curve_": self.loss_curve,
            "n_iter_": self.n_iter,
            "restarts_": self.restarts,
            "physics_share_": self.physics_share,
            "compiled_": self.compiled,
        }
        if isinstance(self.hybrid, Dynamics) and self.hybrid.step is not None:
            counts = self.hybrid.solver_steps.counts
            attributes["substeps_"] = counts if isinstance(counts, int) else np.array(counts)
        if self.learned_states is not None:
            attributes["initial_states_"] = self.learned_states
        if self.window is not None:
            attributes["window_"] = self.window
        if self.free_run_losses is not None:
            attributes["free_run_losses_"] = self.free_run_losses
        return attributes


def means_of_functions(hybrid: Hybrid, ranges: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the mean over the training rows of each parameter that is a function.

    A function is a constant and what the network adds to it, and the data fix only their sum: the
    constant differs between fits of the same function, and its mean does not.
    """
    return {name: ranges[name][1] for name in hybrid.functions if name in ranges}


def user_values(hybrid: Hybrid, coordinates: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return physics parameters as floats and float64 arrays, in the order of the signature.

    Parameters that are functions of features have no one value, and are left out. Those with a
    value for each group have their common value.
    """
    values = hybrid.space.values(coordinates)
    names = [name for name in hybrid.space.names if name not in hybrid.functions]
    arrays = {name: values[name].detach().double().cpu().numpy() for name in names}
    return {name: float(array) if array.ndim == 0 else array for name, array in arrays.items()}


def varying_ranges(
    hybrid: Hybrid, x: Tensor | Windows, coordinates: Mapping[str, Tensor]
) -> dict[str, np.ndarray]:
    """Return lowest value, mean and highest value over rows of each parameter that is a function.

    Along windows, states begin at the observed ones. In a field, all points count.
    """
    if not hybrid.varying:
        return {}
    with torch.no_grad():
        found = hybrid.parameters_of(x, coordinates)
    n_row_axes = 2 if isinstance(x, Windows) else 1
    ranges = {}
    for name, shape in hybrid.parts.shapes:
        each = found[name].detach().double().cpu().numpy()
        each = each.reshape(-1, *each.shape[n_row_axes:])
        axes = (0, *range(1 + len(shape), each.ndim))
        ranges[name] = np.stack([each.min(axis=axes), each.mean(axis=axes), each.max(axis=axes)])
    return ranges


def group_values(
    hybrid: Hybrid, coordinates: Mapping[str, Tensor], labels: Mapping[int, list]
) -> dict[str, tuple[list, np.ndarray]]:
    """Return labels and values of the groups by parameter, of shape (n_groups, *shape)."""
    if hybrid.parts is None:
        return {}
    common, shapes, found = hybrid.space.values(coordinates), dict(hybrid.parts.shapes), {}
    for table, (position, codes, names) in zip(
        hybrid.network.tables, hybrid.parts.tables, strict=True
    ):
        sizes = [hybrid.parts.n_outputs([name]) for name in names]
        answers = centred_values(table.values.detach()).split(sizes, dim=1)
        own = labels.get(int(hybrid.network_columns[position]), codes)
        for name, answer in zip(names, answers, strict=True):
            by_group = answer.movedim(0, -1).reshape(*shapes[name], len(codes))
            values = hybrid.space.varied(common, {name: by_group})[name].movedim(-1, 0)
            found[name] = [*own], values.detach().double().cpu().numpy()
    return found


def drift_since(
    hybrid: Hybrid, midway: Mapping[str, Tensor] | None, end: Mapping[str, Tensor]
) -> dict[str, Any] | None:
    """Return the change of the physics parameters since :attr:`Schedule.midway`."""
    if midway is None:
        return None
    before, after = user_values(hybrid, midway), user_values(hybrid, end)
    return {name: after[name] - before[name] for name in after}


def learned_states(
    coordinates: Mapping[str, Tensor], rows: Rows, info: TrajectoryInfo | None
) -> np.ndarray | None:
    """Return the learned initial states of the training trajectories, if there are any."""
    if FIRST_STATES not in coordinates:
        return None
    learned = coordinates[FIRST_STATES].double().cpu().numpy()
    return initial_states(rows, learned, info.first_indices)


def window_states(coordinates: Mapping[str, Tensor], rows: Rows) -> np.ndarray | None:
    """Return the learned first states of all training windows, if there are any."""
    if FIRST_STATES not in coordinates:
        return None
    learned = coordinates[FIRST_STATES].double().cpu().numpy()
    return initial_states(rows, learned, np.arange(len(learned)))


def held_out_states(validation: Batch | None) -> np.ndarray | None:
    """Return the first states of held-out windows whose states are learned, by their number."""
    if validation is None or not isinstance(validation.x, Windows) or validation.x.index is None:
        return None
    first = validation.x.first_state.double().cpu().numpy()
    index = validation.x.index.cpu().numpy()
    states = np.full((index.max() + 1, *first.shape[1:]), np.nan)
    states[index] = first
    return states


def feature_range(rows: Rows) -> TrainingRange | None:
    """Return the range of the features of a table; None for windows."""
    return None if isinstance(rows.x, Windows) else TrainingRange.of(rows.x)


def window_length(rows: Rows) -> int | None:
    """Return the number of steps of windows; None for rows of a table."""
    return rows.x.steps.shape[1] if isinstance(rows.x, Windows) else None


def with_weights(hybrid: Hybrid, weights: Mapping[str, Tensor]) -> Hybrid:
    """Return the model after writing trained parameters into its network."""
    for name, parameter in hybrid.network.named_parameters():
        if name in weights:
            parameter.data = weights[name].detach().clone()
            parameter.grad = None
    hybrid.network.eval()
    return hybrid


def with_range_of(hybrid: Hybrid, x: Tensor | Windows, coordinates: Mapping[str, Tensor]) -> Hybrid:
    """Return the model with the range of its network's inputs for these physics parameters."""
    # A rollout that diverges must not make the range infinite.
    inputs = record_network_inputs(hybrid, x, coordinates, bounded=True)
    return hybrid.with_input_range(inputs)


def snapshot(
    hybrid: Hybrid,
    x: Tensor | Windows,
    coordinates: dict[str, Tensor],
    weights: Mapping[str, Tensor],
    loss_curve: list[float],
    trajectory_info: TrajectoryInfo | None,
) -> Fitted:
    """Return a fit with copies of these parameters; training does not change it.

    The rows ``x`` give the range of the network's inputs.
    """
    copied = with_weights(hybrid.with_network(copy.deepcopy(hybrid.network)), weights)
    copied = with_range_of(copied, x, coordinates)
    n_epochs = len(loss_curve)
    return Fitted(copied, coordinates, loss_curve[-1], loss_curve, n_epochs, [], trajectory_info)
