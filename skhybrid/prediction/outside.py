"""Which rows of a prediction lie outside of the training range, and how far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from skhybrid.data.group_columns import encode_groups
from skhybrid.data.training_range import TrainingRange, channels, pixel_columns
from skhybrid.prediction.new_trajectories import NewTrajectories, read_new_trajectories
from skhybrid.runtime.frames import data_frame
from skhybrid.runtime.number_text import number_text
from skhybrid.runtime.tables import html_paragraphs, html_table, text_table

HEADER = ("feature", "outside", "farthest", "in std", "training range")


@dataclass(frozen=True)
class Outside:
    """Rows outside of the training range: what ``predict(X, return_outside=True)`` returns.

    It can be used as the bool array :attr:`rows`.

    Attributes
    ----------
    beyond : array of shape (n_samples, n_features)
        How far each feature is beyond its range, in its own unit: negative below, positive above,
        zero inside. For trajectories the farthest at any time.
    features : tuple of str
        Columns of X. For an :class:`~skhybrid.ODE` states or outputs, and inputs.
    low, high, std : array of shape (n_features,)
        Range and standard deviation of each feature in training.
    index : sequence or None
        Names of the rows, if X is a DataFrame.
    trajectories : bool
        Whether the rows are trajectories.
    """

    beyond: np.ndarray
    features: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    std: np.ndarray
    index: Any = None
    trajectories: bool = False

    @property
    def rows(self) -> np.ndarray:
        """Whether each row lies outside in at least one feature, of shape (n_samples,)."""
        return (self.beyond != 0.0).any(axis=1)

    @property
    def deviations(self) -> np.ndarray:
        """The array ``beyond`` in standard deviations of each feature in training.

        Infinite for a feature that was constant in training and now is not.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.beyond == 0.0, 0.0, self.beyond / self.std)

    @property
    def frame(self) -> Any:
        """The deviations as a DataFrame, with the index of X; needs pandas."""
        columns = dict(zip(self.features, self.deviations.T, strict=True))
        return data_frame(columns, self.index)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.rows, dtype=dtype)

    def __len__(self) -> int:
        return len(self.beyond)

    def __str__(self) -> str:
        rows = self._table()
        return "\n".join([self._title, *([text_table(HEADER, rows, [1, 2, 3])] if rows else [])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = self._table()
        return html_paragraphs([self._title]) + (
            html_table(HEADER, rows, [1, 2, 3]) if rows else ""
        )

    @property
    def _title(self) -> str:
        what = "trajectories leave" if self.trajectories else "rows lie outside of"
        return f"{int(self.rows.sum())} of {len(self)} {what} the training range."

    def _table(self) -> list[list[str]]:
        """Return a row for each feature that lies outside somewhere."""
        rows = []
        for column in np.flatnonzero((self.beyond != 0.0).any(axis=0)):
            beyond = self.beyond[:, column]
            worst = int(np.abs(beyond).argmax())
            ends = (number_text(each[column], 4) for each in (self.low, self.high))
            rows.append(
                [
                    self.features[column],
                    str(int((beyond != 0.0).sum())),
                    number_text(float(beyond[worst]), 3),
                    number_text(float(self.deviations[worst, column]), 3),
                    " to ".join(ends),
                ]
            )
        return rows


def find_outside(model: Any, X: Any, prediction: Any, **given: Any) -> Outside:
    """Return which rows of X lie outside of the training range of a model.

    Parameters
    ----------
    model : HybridRegressor
        Fitted.
    X : array-like
    prediction : array or list of arrays
        Of these rows.
    **given
        ``times`` and ``initial_states``, as for ``predict``.
    """
    training = model._fitted.training_range
    if training is None:
        raise ValueError(
            "The training range is known only after the fit. Leave return_outside out."
        )
    index = X.index if hasattr(X, "columns") and hasattr(X, "index") else None
    if model._fitted.trajectory_info is None:
        names = getattr(model, "feature_names_in_", None)
        codes = encode_groups(X, model._fitted.group_labels, names, tell=False)
        values = validate_data(model, codes, dtype=np.float64, reset=False)
        names = [f"x{i}" for i in range(values.shape[1])] if names is None else names
        return _outside(training, training.beyond(values), names, index)
    given.pop("first_outputs", None)
    new = read_new_trajectories(model, X, **given)
    beyond = np.stack(
        [
            _farthest(training.beyond(each))
            for each in _columns_of_trajectories(model, new, prediction)
        ]
    )
    return _outside(training, beyond, training.names, index, trajectories=True)


def _outside(training: TrainingRange, beyond: np.ndarray, names: Any, index: Any, **kind: bool):
    names = tuple(str(name) for name in names)
    return Outside(beyond, names, training.low, training.high, training.std, index, **kind)


def _farthest(beyond: np.ndarray) -> np.ndarray:
    """Return the entry of each column that is farthest from zero."""
    worst = np.abs(beyond).argmax(axis=0)
    return beyond[worst, np.arange(beyond.shape[1])]


def _columns_of_trajectories(model: Any, new: NewTrajectories, prediction: Any):
    """Yield the columns of each trajectory along it, in the order of the training range.

    Columns that do not change in time, such as initial states, are repeated.
    """
    fitted = model._fitted
    layout, images = fitted.trajectory_info.layout, fitted.hybrid.structure.reads_images
    given_states = fitted.hybrid.structure.inputs is None
    for i, each in enumerate(prediction):
        each = np.asarray(each).reshape(len(each), *layout.output_shape)
        if images:
            yield np.concatenate([pixel_columns(new.x.first_state[i]), pixel_columns(each)])
            continue
        first = channels(layout.known_states(new.x.first_state[i][None]))
        outputs = channels(each)
        if layout.states_observed:
            outputs = np.concatenate([first, outputs])
        parts = [first] if given_states and not layout.states_observed else []
        parts.append(outputs)
        if new.x.inputs is not None:
            parts.append(new.x.inputs[i, : new.lengths[i]])
        longest = max(len(part) for part in parts)
        padded = [np.pad(p, ((0, longest - len(p)), (0, 0)), mode="edge") for p in parts]
        yield np.concatenate(padded, axis=1)
