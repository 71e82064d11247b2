"""What the residuals of a fit still contain: an order, or a trend along a feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.model_selection import GroupKFold

from skhybrid.inspection.learners import FOLDS, best_prediction

# Of a thousand fits without a fault, one gets each warning.
LEVEL = 1e-3
# What the residuals contain matters for θ above this part of the target's standard deviation.
SMALL = 0.01
# Noise in observed states explains a smaller R².
LARGE = 0.2
MAX_LAGS = 10
BINS = 10
MIN_ROWS = 20
MAX_POINTS = 2000


@dataclass(frozen=True)
class ResidualChecks:
    """What the residuals contain.

    Attributes
    ----------
    autocorrelation : float
        Correlation of neighbours, in the order of rows or of time.
    ordered : bool
        Whether neighbours are correlated (Ljung and Box, 1978, up to ten lags).
    trends : list of str
        Features along which the mean of the residuals changes (analysis of variance over ten bins,
        with Bonferroni's correction).
    predictable : float
        R² of the residuals from all features on rows held out; 0 if it is not significant.
    relative : float
        Root mean square of the residuals, in standard deviations of the target.
    tested : bool
        Whether there are enough residuals.
    in_series : bool
        Whether they come from trajectories.
    n_outputs, n_tested : int
        Outputs, such as the points of a field, and how many of them were tested: 16 at most, drawn
        at random. The numbers are those of the output that the features predict best.
    """

    autocorrelation: float
    ordered: bool
    trends: list[str]
    predictable: float
    relative: float
    tested: bool = True
    in_series: bool = False
    n_outputs: int = 1
    n_tested: int = 1

    @property
    def misfit(self) -> bool:
        """Whether the features predict a part of the residuals that matters."""
        return self.relative * self.predictable**0.5 > SMALL


def check_residuals(
    residuals: np.ndarray,
    spread: float,
    features: np.ndarray,
    names: Sequence[str],
    series: np.ndarray | None = None,
    *,
    whole_series: bool = False,
) -> ResidualChecks:
    """Test residuals for an order and for trends.

    Parameters
    ----------
    residuals : array of shape (n,)
        In the order of rows, or of time within each series.
    spread : float
        Standard deviation of the target.
    features : array of shape (n, n_features)
    names : sequence of str
        Names of the features.
    series : array of int of shape (n,), default=None
        Which series, such as a trajectory, a residual belongs to. None is one series of rows. Noise
        in observed states makes neighbours of a trajectory differ, and residuals depend on these
        states a little, so for series only a positive correlation and a large R² count.
    whole_series : bool, default=False
        Whether whole series are held out. The error of a first state lasts a whole rollout, so
        other times of the same rollout would predict it.
    """
    in_series = series is not None
    residuals = np.asarray(residuals, dtype=float)
    relative = float(np.sqrt(np.mean(residuals**2)) / spread) if spread > 0 else 0.0
    if len(residuals) < MIN_ROWS or not features.shape[1] or np.ptp(residuals) == 0.0:
        tested = len(residuals) >= MIN_ROWS and features.shape[1] > 0
        return ResidualChecks(0.0, False, [], 0.0, relative, tested, in_series)
    series = np.zeros(len(residuals), dtype=int) if series is None else series
    correlation, p = _autocorrelation(residuals - residuals.mean(), series)
    trends = [
        name
        for column, name in enumerate(names)
        if _trend(features[:, column], residuals) < LEVEL / len(names)
    ]
    predictable = _predictable(features, residuals, series if whole_series else None)
    ordered = p < LEVEL
    if in_series:
        ordered, trends = ordered and correlation > 0.0, []
        predictable = predictable if predictable > LARGE else 0.0
    return ResidualChecks(correlation, ordered, trends, predictable, relative, in_series=in_series)


def _autocorrelation(residuals: np.ndarray, series: np.ndarray) -> tuple[float, float]:
    """Return the correlation of neighbours, and the p value of all lags (Ljung and Box, 1978)."""
    n, variance = len(residuals), float(np.mean(residuals**2))
    statistic, first, n_lags = 0.0, 0.0, 0
    for lag in range(1, MAX_LAGS + 1):
        same = series[lag:] == series[:-lag]
        pairs = int(same.sum())
        if pairs < MIN_ROWS:
            break
        correlation = float(np.sum((residuals[lag:] * residuals[:-lag])[same])) / (n * variance)
        first = correlation if lag == 1 else first
        statistic += n * (n + 2) * correlation**2 / pairs
        n_lags += 1
    return first, float(stats.chi2.sf(statistic, n_lags)) if n_lags else 1.0


def _trend(feature: np.ndarray, residuals: np.ndarray) -> float:
    """Return the p value of an analysis of variance over bins with as many rows each."""
    edges = np.unique(np.quantile(feature, np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, feature, side="right")
    groups = [residuals[bins == number] for number in np.unique(bins)]
    groups = [group for group in groups if len(group) > 1]
    if len(groups) < 2:
        return 1.0
    return float(np.nan_to_num(stats.f_oneway(*groups).pvalue, nan=1.0))


def _predictable(features: np.ndarray, residuals: np.ndarray, series: np.ndarray | None) -> float:
    """Return the R² of the residuals from all features on rows held out, if it is significant.

    With series, whole ones are held out; a single one predicts nothing.
    """
    chosen = np.linspace(0, len(residuals) - 1, min(len(residuals), MAX_POINTS)).round().astype(int)
    features, residuals = features[chosen], residuals[chosen]
    splits = None
    if series is not None:
        n_folds = min(FOLDS.get_n_splits(), len(np.unique(series[chosen])))
        if n_folds < 2:
            return 0.0
        splits = [*GroupKFold(n_folds).split(features, groups=series[chosen])]
    predicted = best_prediction(features, residuals, splits)
    if np.ptp(predicted) == 0.0:
        return 0.0
    left = np.sum((residuals - predicted) ** 2) / np.sum((residuals - residuals.mean()) ** 2)
    test = stats.pearsonr(predicted, residuals, alternative="greater")
    return float(max(0.0, 1.0 - left)) if test.pvalue < LEVEL else 0.0
