"""X and y of an ODE from a long table, and predictions as a table again."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skhybrid.runtime.frames import import_pandas


class FrameTrajectories(Bunch):
    """Trajectories of a long table, as :func:`~skhybrid.trajectories_from_frame` returns them.

    A :class:`sklearn.utils.Bunch`, whose keys are listed there.
    """

    def __repr__(self) -> str:
        n_rows = self.records["n_rows"]
        n = len(n_rows)
        size = f"{n_rows.min()}" if n_rows.nunique() == 1 else f"{n_rows.min()} to {n_rows.max()}"
        named = {"inputs": self.input_names, "outputs": self.output_names}
        lists = [f"{key} {', '.join(map(str, names))}" for key, names in named.items() if names]
        parts = [f"{n} record{'s' if n > 1 else ''} of {size} rows", *lists]
        return f"{type(self).__name__}: {'; '.join(parts)}. Keys: {', '.join(self)}"

    def to_frame(self, predictions: Any, *, names: Any = None, events: bool = False) -> Any:
        """Return predictions as a long table.

        Parameters
        ----------
        predictions : array or list of arrays
            One for each record of ``X``, as ``predict`` returns them; or a part of them, from
            ``predict_parts``.
        names : sequence of str, default=None
            Names of the columns. None is ``output_names``.
        events : bool, default=False
            Whether to keep the rows that only events gave.

        Returns
        -------
        frame : DataFrame
            A row for each row of the records, sorted by run and time. Its columns are the run, the
            segment if runs were cut, the time as in the user's table, and the predictions. Its
            index is that of the user's table: ``df.join(frame[names].add_suffix("_predicted"))``.

        Raises
        ------
        ValueError
            If predictions do not match the records.
        """
        rows = _rows_of(predictions, self.records["n_rows"].to_numpy())
        if names is None:
            names = self.output_names or _numbered(rows.shape[1])
        names = [names] if isinstance(names, str) else list(names)
        if len(names) != rows.shape[1]:
            raise ValueError(
                f"Predictions have {rows.shape[1]} outputs, but there are {len(names)} names: "
                f"{', '.join(map(str, names))}."
            )
        index = self.index if events else self.index[~self.index["event"]]
        own = [name for name in ("run", "segment", "time") if self.columns[name] is not None]
        frame = index[own].rename(columns={name: self.columns[name] for name in own})
        for name, values in zip(names, rows[index.index].T, strict=True):
            frame[name] = values
        return frame.set_index(import_pandas().Index(index["row"].to_list()))


def _rows_of(predictions: Any, n_rows: np.ndarray) -> np.ndarray:
    """Return the predictions of all records as rows, one column for each output."""
    if len(predictions) != len(n_rows):
        raise ValueError(
            f"There are predictions of {len(predictions)} records, but {len(n_rows)} records. For "
            "other data, use what trajectories_from_frame returned for them."
        )
    rows = []
    for number, (each, n) in enumerate(zip(predictions, n_rows, strict=True)):
        values = np.asarray(each, dtype=np.float64)
        if values.ndim == 0 or len(values) != n:
            raise ValueError(
                f"Record {number} has {n} rows, but its prediction has shape {values.shape}."
            )
        rows.append(values.reshape(n, -1))
    return np.concatenate(rows)


def _numbered(n: int) -> list[str]:
    """Return names of predictions without names."""
    return ["prediction"] if n == 1 else [f"prediction_{i}" for i in range(n)]
