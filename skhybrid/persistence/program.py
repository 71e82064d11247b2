"""The whole prediction as one module, from raw features to the shape of ``predict``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import validate_data
from torch import Tensor, nn

from skhybrid._regressor import HybridRegressor
from skhybrid.data.given_arrays import columns_named
from skhybrid.data.group_columns import decode_groups, encode_groups
from skhybrid.data.times import uniform_step
from skhybrid.exceptions import ExportError
from skhybrid.model.batch import Windows
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.solvers import FIXED_STEP
from skhybrid.persistence.probe import test_inputs
from skhybrid.prediction.initial_states import physics_coordinates
from skhybrid.prediction.new_trajectories import NewTrajectories, read_new_trajectories
from skhybrid.runtime.frames import data_frame

try:  # torch has no public name for a loop that torch.export keeps as a loop
    from torch._higher_order_ops.scan import scan
except ImportError:
    scan = None

# Rows of the test inputs; sizes of zero and one would be fixed in a program.
N_EXAMPLES = 4


class TableProgram(nn.Module):
    """Predicts rows of a table; columns of groups hold codes.

    Parameters
    ----------
    model : HybridRegressor
        Fitted.
    """

    def __init__(self, model: HybridRegressor) -> None:
        super().__init__()
        hybrid = model._fitted.hybrid
        self.network = hybrid.network  # registered: its parameters become those of the program
        self._hybrid = hybrid
        self._coordinates = physics_coordinates(model._fitted)
        self._hold = model.nn_extrapolation == "hold"

    def forward(self, X: Tensor) -> Tensor:
        """Predict, from (n, n_features) to (n,) or (n, n_targets)."""
        return self._hybrid(X, self._coordinates, hold=self._hold)


class RolloutProgram(TableProgram):
    """Predicts trajectories at fixed times.

    Parameters
    ----------
    model : HybridRegressor
        Fitted, with an ODE and a fixed-step method.
    example : array-like
        Examples of X; records over time give the times of the program.
    times, initial_states
        As for ``predict``.

    Attributes
    ----------
    loops : bool
        Whether the program holds one interval in a loop. Otherwise it holds all intervals one
        after the other, which takes minutes to record for a few hundred steps.
    """

    def __init__(
        self, model: HybridRegressor, example: Any, times: Any, initial_states: Any
    ) -> None:
        super().__init__(model)
        fitted = model._fitted
        new = read_new_trajectories(model, example, times=times, initial_states=initial_states)
        _require_same_times(new, reads_states=fitted.hybrid.structure.inputs is None)
        hybrid = fitted.hybrid.at_step(uniform_step(new.times, new.lengths))
        self._hybrid = hybrid.with_steps(hybrid.solver_steps.at(np.diff(new.times, axis=1)))
        self._layout, self._info = hybrid.layout, fitted.trajectory_info
        as_tensor = lambda each: torch.tensor(np.asarray(each)).to(hybrid.scales.target_scale)  # noqa: E731
        self._first_time, self._steps = as_tensor(new.times[0, :1]), as_tensor(new.x.steps[:1])
        self._reads_states = hybrid.structure.inputs is None
        self._mean = None
        if not self._reads_states or self._layout.n_free_states:
            mean = as_tensor(np.nanmean(fitted.initial_states, axis=0))
            self._mean = mean.expand(self._layout.state_shape)
        n_columns = np.shape(example[0])[-1] if np.ndim(example[0]) else 0
        own = (self._info.time_column, *(self._info.state_columns or ()))
        self._columns = [i for i in range(n_columns) if i not in own]
        begin = 1 if self._reads_states and hybrid.layout.with_first else 0
        self._wanted = None if new.wanted is None else [int(i) - 1 + begin for i in new.wanted]
        self._begin = begin
        # In a loop, all intervals have the same number of steps.
        self.loops = scan is not None and isinstance(self._hybrid.solver_steps.counts, int)

    def forward(self, X: Tensor, initial_states: Tensor | None = None) -> Tensor:
        """Predict, from initial states, images or inputs over time, to outputs over time."""
        n, inputs = X.shape[0], None
        if self._reads_states:
            first = X
        else:
            if self._layout.n_inputs:
                inputs = X[..., self._columns] if X.ndim > 2 else X[..., None]
            first = initial_states
            if first is None:
                first = self._first_of_records(X)
        if self._layout.n_free_states and first.shape[1] < len(self._mean):
            free = self._mean[self._layout.n_known_states :]
            first = torch.cat([first, free.expand(n, -1)], dim=1)
        steps = self._steps.expand(n, -1)
        windows = Windows(first, self._first_time.expand(n), steps, inputs)
        if self.loops:
            outputs = self._looped(windows)
        else:
            outputs = self._hybrid(windows, self._coordinates, hold=self._hold)
        wanted = slice(self._begin, None) if self._wanted is None else self._wanted
        outputs = outputs[:, wanted]
        return outputs[..., 0] if self._info.scalar else outputs

    def _first_of_records(self, X: Tensor) -> Tensor:
        """Return initial states from their columns, or the training mean where they are unknown."""
        mean = self._mean.expand(X.shape[0], *self._mean.shape)
        if self._info.state_columns is None:
            return mean
        states = [
            mean[:, i]
            if each is None
            else torch.where(X[:, 0, each].isnan(), mean[:, i], X[:, 0, each])
            for i, each in enumerate(self._info.state_columns)
        ]
        return torch.stack(states, dim=1)

    def _looped(self, x: Windows) -> Tensor:
        """Return the outputs, with one interval of the solver in a loop."""
        hybrid = self._hybrid
        values = hybrid.space.values(self._coordinates)
        network = hybrid.bind_network(hold=self._hold)
        physics = hybrid.bind_physics(values, network)
        first = hybrid.first_states(x, None)
        intervals = [self._steps[0]]
        if x.inputs is not None:  # at the begin and the end of each interval
            intervals.append(torch.stack([x.inputs[:, :-1], x.inputs[:, 1:]], 2).movedim(1, 0))

        def interval(carry: tuple[Tensor, Tensor], given: list[Tensor]) -> tuple:
            state, time = carry
            steps = given[0].expand(state.shape[0], 1)
            window = Windows(state, time, steps, given[1] if len(given) > 1 else None)
            state = hybrid.rollout(window, state, physics, network)[:, 1]
            return (_own(state), _own(time + given[0])), _own(state)

        _, later = scan(interval, (_own(first), _own(x.first_time)), intervals)
        states = torch.cat([first[:, None], later.movedim(0, 1)], dim=1)
        return hybrid.observed(x, states, values, network)


def _own(tensor: Tensor) -> Tensor:
    """Return a copy with the strides of a new tensor: a loop must not change strides."""
    return tensor.clone(memory_format=torch.contiguous_format)


def make_program(
    model: HybridRegressor, example: Any, times: Any, initial_states: Any
) -> tuple[nn.Module, tuple[Tensor, ...], Any]:
    """Return the program of a prediction, examples of its inputs, and the example of X.

    Raises
    ------
    ExportError
        If the prediction depends on its data in a way that no program can hold.
    """
    hybrid, info = model._fitted.hybrid, model._fitted.trajectory_info
    if info is None:
        return _table_program(model, example)
    ode = hybrid.structure
    if ode.method not in FIXED_STEP:
        raise ExportError(
            f"method={ode.method!r} chooses its steps from the data, which a program cannot. Fit "
            f"with a fixed-step method: {', '.join(FIXED_STEP)}."
        )
    if example is None:
        example = _own_example(hybrid, model)
    program = RolloutProgram(model, example, times, initial_states).eval()
    given = [example] if initial_states is None else [example, initial_states]
    return program, tuple(_rows(each, hybrid) for each in given), example


def _table_program(
    model: HybridRegressor, example: Any
) -> tuple[nn.Module, tuple[Tensor, ...], Any]:
    """Return the program of a table."""
    hybrid, labels = model._fitted.hybrid, model._fitted.group_labels
    names = getattr(model, "feature_names_in_", None)
    if example is None:
        x = test_inputs(model._fitted, model.n_features_in_, N_EXAMPLES)
        example = decode_groups(x.double().cpu().numpy(), labels)
        if names is not None:
            example = data_frame(dict(zip(names, example.T, strict=True)))
    codes = encode_groups(example, labels, names, tell=False)  # predict tells
    with columns_named(X=codes):
        X = validate_data(model, codes, dtype=np.float64, reset=False)
    return TableProgram(model).eval(), (_rows(X, hybrid),), example


def _own_example(hybrid: Hybrid, model: HybridRegressor) -> np.ndarray:
    """Return initial states or images around those of training."""
    if hybrid.structure.inputs is not None:
        raise ExportError(
            "This model reads records over time, and a program is for records of one length. Give "
            "an example: export(model, path, example=X[:1])."
        )
    windows = test_inputs(model._fitted, model.n_features_in_, N_EXAMPLES)
    return hybrid.layout.known_states(windows.first_state).double().cpu().numpy()


def _require_same_times(new: NewTrajectories, *, reads_states: bool) -> None:
    """Raise an ExportError if trajectories of the example differ in times or lengths."""
    if np.ptp(new.lengths) and not reads_states:
        shortest, longest = int(new.lengths.min()), int(new.lengths.max())
        raise ExportError(
            f"The records of the example have from {shortest} to {longest} times, and a program is "
            "for records of one length. Give records of one length; example=[record] of the "
            f"longest, for example. Its program also predicts shorter records, filled up to "
            f"{longest} rows at the end (by repeating their last inputs): ignore the predictions "
            "for the added rows. Or export a program for each length."
        )
    if isinstance(new.wanted, list) or np.ptp(new.lengths) or np.ptp(new.times, 0).any():
        one = "times=[...], one list for all" if reads_states else "example=X[:1], for example"
        raise ExportError(
            "A program predicts all trajectories at the same times, but those of the example "
            f"differ. Give an example whose trajectories have the same times ({one}), and export "
            "a program for each other list of times."
        )


def _rows(example: Any, hybrid: Hybrid) -> Tensor:
    """Return an example as a tensor with at least two rows."""
    rows = torch.tensor(np.asarray(example, dtype=np.float64)).to(hybrid.scales.target_scale)
    return torch.cat([rows, rows]) if len(rows) == 1 else rows
