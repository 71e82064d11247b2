"""Standard errors of the physics parameters after a fit of the physics alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from skhybrid.runtime.frames import data_frame

HYBRID_ERRORS = (
    "Standard errors of a hybrid need refits: use "
    "skhybrid.inspection.confidence_intervals(model, X, y)."
)


@dataclass(frozen=True)
class UnfixedDirection:
    """Elements of θ that the data fix only together.

    Attributes
    ----------
    names : tuple of str
        Names of the elements, such as ``"gain[0]"``.
    change : array of shape (len(names),) or None
        A change of these elements, in the user's units, that changes no prediction. None if there
        are several.
    sentence : str
    """

    names: tuple[str, ...]
    change: np.ndarray | None
    sentence: str


@dataclass(frozen=True)
class StandardErrors:
    """Covariance of the free physics parameters, element by element.

    Elements on a bound are held, and elements in a direction that the data do not fix have no
    standard error: both are NaN. Fixed parameters are left out.

    Attributes
    ----------
    shapes : mapping of str to tuple
        Shapes of the free parameters, in the order of the signature.
    names : tuple of str
        Names of their elements, such as ``"gain[0]"``.
    estimate : array of shape (n_elements,)
        Fitted values, in the user's units.
    limits : tuple of two arrays of shape (n_elements,)
        Bounds, infinite where open.
    covariance : array of shape (n_elements, n_elements)
    dof : int
        Degrees of freedom of the noise estimate.
    groups : {"values", "rollouts", "trajectories", "blocks"}
        What is taken to be independent: the errors of single values, of single values of rollouts
        whose first states are exact, of whole trajectories, or of blocks of windows.
    n_groups : int
        Number of them.
    on_bounds : tuple of str
        Elements on a bound.
    unfixed : tuple of UnfixedDirection
    reason : str or None
        Why there is no standard error at all.
    priors : tuple of str
        Parameters with a prior. The covariance is then that of the posterior, with a normal
        approximation at its mode.
    """

    shapes: Mapping[str, tuple[int, ...]]
    names: tuple[str, ...]
    estimate: np.ndarray
    limits: tuple[np.ndarray, np.ndarray]
    covariance: np.ndarray
    dof: int
    groups: str
    n_groups: int
    on_bounds: tuple[str, ...] = ()
    unfixed: tuple[UnfixedDirection, ...] = ()
    reason: str | None = None
    priors: tuple[str, ...] = ()

    @property
    def std(self) -> dict[str, float | np.ndarray]:
        """Standard errors by parameter, in the user's units."""
        return self.by_parameter(self.element_std)

    @property
    def element_std(self) -> np.ndarray:
        """Standard errors of the elements, of shape (n_elements,)."""
        return np.sqrt(np.diagonal(self.covariance))

    @property
    def correlation(self) -> np.ndarray:
        """Correlations of the elements, of shape (n_elements, n_elements)."""
        std = self.element_std
        with np.errstate(divide="ignore", invalid="ignore"):
            correlation = self.covariance / np.outer(std, std)
        correlation = np.clip(correlation, -1.0, 1.0)
        np.fill_diagonal(correlation, np.where(std > 0.0, 1.0, np.nan))
        return correlation

    @property
    def correlation_frame(self):
        """The correlations as a DataFrame with the names of the elements."""
        columns = dict(zip(self.names, self.correlation.T, strict=True))
        return data_frame(columns, self.names)

    def interval(self, level: float = 0.95) -> dict[str, tuple]:
        """Return confidence intervals from quantiles of Student's t distribution.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level, between 0 and 1.

        Returns
        -------
        dict of str to tuple (low, high)
            By parameter; floats, or arrays of the shape of the parameter. They end at the bounds,
            and are NaN where there is no standard error.

        Raises
        ------
        ValueError
            If the level is not between 0 and 1.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must be between 0 and 1, such as 0.95; got {level}.")
        half = self.element_std * student_t.ppf(0.5 + level / 2.0, max(self.dof, 1))
        low = self.by_parameter(np.maximum(self.estimate - half, self.limits[0]))
        high = self.by_parameter(np.minimum(self.estimate + half, self.limits[1]))
        return {name: (low[name], high[name]) for name in self.shapes}

    def by_parameter(self, elements: np.ndarray) -> dict[str, float | np.ndarray]:
        """Return numbers of all elements as floats and arrays by parameter."""
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        pieces = np.split(elements, np.cumsum(sizes)[:-1]) if sizes else []
        return {
            name: piece.reshape(shape).copy() if shape else float(piece[0])
            for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)
        }

    @property
    def sentences(self) -> list[str]:
        """What a reader of the standard errors must know."""
        if self.reason is not None:
            return [self.reason]
        independent = {
            "values": f"{self.n_groups} values to be independent",
            "rollouts": f"{self.n_groups} values to be independent, and first states to be exact",
            "trajectories": f"{self.n_groups} whole trajectories to be independent",
            "blocks": f"{self.n_groups} blocks of windows to be independent",
        }
        told = [
            f"± is the standard error, {self.dof} "
            f"degree{'s' if self.dof != 1 else ''} of freedom. It takes the errors of "
            f"{independent[self.groups]}."
        ]
        if self.priors:
            told[0] = told[0].replace(
                "the standard error", "the standard deviation of the posterior"
            )
        if self.on_bounds:
            told.append(f"Held on a bound, and so without ±: {', '.join(self.on_bounds)}.")
        return told + [each.sentence for each in self.unfixed]
