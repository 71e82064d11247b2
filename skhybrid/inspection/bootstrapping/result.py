"""The result of a bootstrap."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch

from skhybrid.inspection.bootstrapping.prediction_intervals import ends_of, quantiles, quantiles_of
from skhybrid.inspection.flat_parameters import elements_of, hybrid_of, in_shape
from skhybrid.inspection.tables import html_table, text_table
from skhybrid.prediction.outside import find_outside
from skhybrid.runtime.frames import data_frame
from skhybrid.runtime.user_warnings import warn

# Level of the intervals in tables.
FRAME_LEVEL = 0.95


@dataclass(frozen=True, repr=False)
class BootstrapResult:
    """What :func:`bootstrap` returns.

    Attributes
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted to all rows.
    estimators : list of estimator
        The fitted replicates.
    kind : {"pairs", "residual", "block"}
        What was resampled.
    n_failed : int
        Number of replicates whose fit failed; they are left out.
    block_length : int or None
        Number of neighbours in a block.
    residuals : ndarray of shape (n, n_columns) or None
        Residuals of rows that a fit had not seen ("block" for a single trajectory: of its own
        rows, inflated), for a sample weight of 1. With ``kind="pairs"`` only if replicates can
        predict.
    refined : bool
        Whether the replicates can predict: they have a second phase, if the estimator has one.
    """

    estimator: Any
    estimators: list[Any]
    kind: str
    n_failed: int = 0
    block_length: int | None = None
    residuals: np.ndarray | None = None
    refined: bool = True
    _seed: int = 0
    _elements: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = [elements_of(each) for each in self.estimators]
        self._elements.update({name: np.array([row[name] for row in rows]) for name in rows[0]})

    @property
    def n_replicates(self) -> int:
        """Number of replicates that were fitted."""
        return len(self.estimators)

    @property
    def params(self) -> dict[str, np.ndarray]:
        """Free physics parameters of each replicate, an array with one entry for each replicate."""
        models = [hybrid_of(each) for each in self.estimators]
        return {
            name: np.stack([np.asarray(model.physics_params_[name]) for model in models])
            for name in models[0]._fitted.free_names
        }

    @property
    def physics_params_std_(self) -> dict[str, float | np.ndarray]:
        """Standard deviation of each free physics parameter over the replicates."""
        return self._shaped(self.element_std())

    def element_std(self) -> dict[str, float]:
        """Return the standard deviation of each element, such as "gain[0]"."""
        return {name: float(each.std(ddof=1)) for name, each in self._elements.items()}

    @property
    def element_replicates(self) -> dict[str, np.ndarray]:
        """Values of each element, such as "gain[0]", of shape (n_replicates,)."""
        return dict(self._elements)

    def element_interval(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Return the interval of each element; see :meth:`interval`."""
        low, high = self._ends(level)
        return {name: (low[name], high[name]) for name in low}

    def interval(self, level: float = 0.95) -> dict[str, tuple[Any, Any]]:
        """Return an interval for each free physics parameter: quantiles of the replicates.

        Parameters
        ----------
        level : float, default=0.95
            Part of the replicates between its ends.

        Returns
        -------
        dict of str to (low, high)
            In the shape of the parameter.

        Warns
        -----
        UserWarning
            If there are fewer than 2 / (1 − level) − 1 replicates: the ends are then the smallest
            and the largest.
        """
        low, high = (self._shaped(each) for each in self._ends(level))
        return {name: (low[name], high[name]) for name in low}

    @property
    def correlation(self) -> Any:
        """Correlation of the elements of the physics parameters, as a DataFrame.

        NaN for an element that is the same in all replicates, such as one on a bound.
        """
        names = [*self._elements]
        if not names:
            return data_frame({})
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.atleast_2d(np.corrcoef([self._elements[name] for name in names]))
        columns = dict(zip(names, values.T, strict=True))
        return data_frame(columns, index=names)

    @property
    def frame(self) -> Any:
        """A DataFrame with a row for each element.

        Its columns are "estimate", "mean" and "std" of the replicates, and "low" and "high", the
        ends of the interval of 95 %.
        """
        return data_frame(self._rows(), index=[*self._elements])

    def to_frame(self) -> Any:
        """Return the elements of each replicate, a row for each, as a DataFrame."""
        return data_frame(self._elements)

    def predict(self, X: Any, interval: float = 0.9, *, noise: bool = False, **given: Any) -> Bunch:
        """Predict with an interval, and say which rows lie outside of the training range.

        Parameters
        ----------
        X : array-like
            As for ``predict``.
        interval : float, default=0.9
            Part of the replicates' predictions between the ends of the interval.
        noise : bool, default=False
            False: the interval of the mean, that is of what a measurement would be without noise.
            True: the interval of a new measurement with a sample weight of 1; residuals, drawn
            independently for each row and time, are added to the replicates' predictions. It is
            somewhat wide, because residuals of rows that a fit has not seen hold its error, too.
        **given
            For an :class:`~skhybrid.ODE`: ``times``, ``initial_states`` or ``first_outputs``.

        Returns
        -------
        Bunch
            ``prediction`` of the fit to all rows; ``low`` and ``high``, of the same shape;
            ``outside``, of shape (n_samples,): whether a row lies outside of the training range, as
            from ``predict(X, return_outside=True)``. There the replicates share the physics and its
            errors, and the interval says too little.

        Raises
        ------
        ValueError
            If the replicates have no second phase although the estimator has one.
        """
        if not self.refined:
            raise ValueError(
                "These replicates estimate θ only: their networks lack the second phase, which the "
                "estimator has, and their predictions would be too smooth. For predictions call "
                "bootstrap(..., refine=True)."
            )
        if not 0.0 < interval < 1.0:
            raise ValueError(f"interval must be between 0 and 1; got {interval}.")
        prediction = self.estimator.predict(X, **given)
        replicates = [each.predict(X, **given) for each in self.estimators]
        rng = np.random.default_rng(self._seed)
        drawn = self.residuals if noise else None
        low, high = quantiles_of(replicates, interval, noise=drawn, rng=rng)
        if isinstance(self.estimator, Pipeline):
            X = self.estimator[:-1].transform(X)
        outside = find_outside(hybrid_of(self.estimator), X, prediction, **given)
        return Bunch(prediction=prediction, low=low, high=high, outside=outside.rows)

    def _ends(self, level: float) -> tuple[dict[str, float], dict[str, float]]:
        """Return the ends of the interval of each element."""
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must be between 0 and 1; got {level}.")
        needed = int(np.ceil(2.0 / (1.0 - level) - 1e-9)) - 1
        if self.n_replicates < needed:
            warn(
                f"An interval of {100 * level:g} % by quantiles needs {needed} replicates, and "
                f"there are {self.n_replicates}: its ends are the smallest and the largest."
            )
        found = {name: quantiles(each, ends_of(level)) for name, each in self._elements.items()}
        return tuple({name: float(each[end]) for name, each in found.items()} for end in (0, 1))

    def _shaped(self, elements: dict[str, float]) -> dict[str, Any]:
        return in_shape(elements, self.estimator)

    def _rows(self) -> list[dict[str, float]]:
        estimate, std = elements_of(self.estimator), self.element_std()
        rows = []
        for name, values in self._elements.items():
            low, high = quantiles(values, ends_of(FRAME_LEVEL))
            row = {"estimate": estimate[name], "mean": float(values.mean()), "std": std[name]}
            rows.append({**row, "low": float(low), "high": float(high)})
        return rows

    @property
    def _title(self) -> str:
        what = {"pairs": "rows, groups or trajectories", "residual": "residuals"}
        drawn = what.get(self.kind, f"blocks of {self.block_length} residuals")
        failed = f", {self.n_failed} failed" if self.n_failed else ""
        return (
            f"Bootstrap of {drawn}: {self.n_replicates} replicates{failed}; "
            f"low and high are quantiles ({100 * FRAME_LEVEL:g} %)"
        )

    def __repr__(self) -> str:
        return text_table(self._title, dict(zip(self._elements, self._rows(), strict=True)))

    def _repr_html_(self) -> str:
        return html_table(self._title, dict(zip(self._elements, self._rows(), strict=True)))
