"""Rules that choose the best candidate of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skhybrid.model_selection.fold_statistics import (
    folds_with_results,
    held_out_losses,
    log_spread,
    parameter_values,
    simplest,
    spread,
    stacked,
    theta_columns,
    within_one_standard_error,
)
from skhybrid.model_selection.plateau import Plateau, warn_of_short_training


class one_standard_error:
    r"""Choose the simplest candidate whose loss is within one standard error of the best.

    With :math:`L_{ik}` the loss (minus the score) of candidate i on fold k, and b the candidate
    with the lowest mean loss, candidate i is as good as the best if

    .. math::

        \bar d_i \le s_i / \sqrt{K}, \quad d_{ik} = L_{ik} - L_{bk},

    with :math:`s_i` the standard deviation of the K differences. The differences are paired by
    fold: a fold that is hard for all candidates does not distinguish them. In the unpaired rule of
    Breiman et al. [1]_, differences between folds can hide differences between candidates; see
    [2]_.

    Parameters
    ----------
    name : str
        Parameter whose value should be as large as possible, such as "rho". In a pipeline the
        last part of its name is enough.
    smallest : bool, default=False
        Whether the smallest value is the simplest, and not the largest.
    score : str, default="score"
        Name of the score that decides, if there are several.

    Returns
    -------
    callable
        From ``cv_results_`` to the index of the candidate. If several candidates have the same
        value, the one with the best score is chosen.

    Notes
    -----
    A candidate that has no score on some fold is not chosen. A fold on which no candidate has a
    score, because all its held-out targets are missing or every fit failed, is left out with a
    warning. (``refit=True`` of a search cannot rank candidates if a fold has no score: their means
    are NaN.)

    References
    ----------
    .. [1] L. Breiman, J. H. Friedman, R. A. Olshen, C. J. Stone, "Classification and regression
       trees", Wadsworth, 1984, section 3.4.3.
    .. [2] L. A. Yates, Z. Aandahl, S. A. Richards, B. W. Brook, "Cross validation for model
       selection: a review with examples from ecology", Ecological Monographs 93, 2023.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skhybrid.model_selection import one_standard_error
    >>> X, y = make_regression(noise=10.0, random_state=0)
    >>> grid = {"alpha": [0.01, 0.1, 1.0, 10.0]}
    >>> search = GridSearchCV(Ridge(), grid, refit=one_standard_error("alpha")).fit(X, y)
    >>> best = search.cv_results_["mean_test_score"].argmax()
    >>> search.best_params_["alpha"] >= grid["alpha"][best]
    True
    """

    def __init__(self, name: str, *, smallest: bool = False, score: str = "score") -> None:
        self.name = name
        self.smallest = smallest
        self.score = score

    def __repr__(self) -> str:
        return f"one_standard_error({self.name!r}, smallest={self.smallest}, score={self.score!r})"

    def __call__(self, results: Mapping[str, Any]) -> int:
        """Return the index of the candidate."""
        losses = held_out_losses(results, self.score)
        as_good = within_one_standard_error(losses)
        sign = 1.0 if self.smallest else -1.0
        sizes = sign * parameter_values(results, self.name)
        return simplest(as_good, sizes, losses.mean(axis=1))


class stable:
    r"""Choose the smallest value at which θ is about as reproducible as at the best value.

    With a small radius, θ depends on where training starts and on the rows. With a large radius,
    the network can explain so little that θ compensates for it, differently on other rows. Let
    :math:`\theta_k` be a parameter fitted without fold k, and :math:`b_k^2` its variance over the
    restarts of that fit that fit the data equally well. Then its spread is

    .. math::

        u^2 = \frac{1}{K - 1} \sum_k (\theta_k - \bar\theta)^2 + \frac{1}{K} \sum_k b_k^2 .

    The rule chooses the smallest value whose :math:`\log u`, averaged over all parameters, exceeds
    the lowest one by no more than the standard error of their difference. The standard error is
    the jackknife's [3]_: both values are computed again without each fold in turn. So they are
    paired, as the losses are in :class:`one_standard_error`. The variation of estimates over folds
    as a criterion, and not the loss alone, is the idea of [1]_; the comparison of runs from
    different starts with the variation that they should have anyhow is the idea of [2]_.

    The physics alone is always reproducible. So only values count

    - whose prediction is admissible: the mean held-out loss is within two paired standard errors
      of the best one, or exceeds it by no more than what the network adds, which is its share of
      the explained variance. Otherwise the network leaves out most of what it could explain;
    - at which no part has vanished (:class:`~skhybrid.exceptions.CollapseWarning`) in any fold;
    - at which :math:`\theta` has settled: its mean change over folds in the second half of training
      is at most :math:`u`, or one per cent of its size. While :math:`\theta` is on its way from its
      start, it is at the same wrong place in every fold.

    Parameters
    ----------
    name : str
        Parameter whose value should be as small as possible, such as "rho". In a pipeline the
        last part of its name is enough.

    Returns
    -------
    callable
        From ``cv_results_`` of a search with ``scoring=score_and_physics_params`` to the index of
        the candidate.

    Notes
    -----
    If no value is admissible, or :math:`\theta` has settled at none of them, this condition does
    not count. Without the columns "physics_share" and "drift <name>" in ``cv_results_``, which
    ``score_and_physics_params`` gives, the conditions are taken to hold.

    Give the estimator ``n_restarts=3`` or so. With one restart, the dependence on the start shows
    only in the differences between folds. The rule leaves out a parameter that is at a bound in
    all folds and therefore has no spread. A fold counts for the spread even if all its held-out
    targets are missing. A fold on which every fit failed is left out with a warning.

    Warns
    -----
    ShortTrainingWarning
        If :math:`\theta` has not settled at the value that would be chosen otherwise.

    References
    ----------
    .. [1] C. Lim, B. Yu, "Estimation stability with cross-validation (ESCV)", Journal of
       Computational and Graphical Statistics 25, 2016.
    .. [2] A. Gelman, D. B. Rubin, "Inference from iterative simulation using multiple sequences",
       Statistical Science 7, 1992.
    .. [3] B. Efron, C. Stein, "The jackknife estimate of variance",
       Annals of Statistics 9, 1981.

    Examples
    --------
    >>> from skhybrid import HybridRegressor, HybridSearchCV
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.model_selection import score_and_physics_params, stable
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=20, n_restarts=2, random_state=0)
    >>> search = HybridSearchCV(
    ...     model,
    ...     {"rho": [0.01, 0.1]},
    ...     scoring=score_and_physics_params,
    ...     refit=stable("rho"),
    ... )
    >>> search.fit(data.data, data.target).best_params_["rho"] in (0.01, 0.1)
    True
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"stable({self.name!r})"

    def __call__(self, results: Mapping[str, Any]) -> int:
        """Return the index of the candidate."""
        columns = theta_columns(results)
        if not columns:
            raise ValueError(
                f"stable({self.name!r}) needs the physics parameters on every fold, and "
                "cv_results_ does not have them. Search with scoring=score_and_physics_params "
                "(from skhybrid.model_selection)."
            )
        folds_with_results(stacked(columns)[0], "fit")  # warns of folds that do not count
        sizes = parameter_values(results, self.name)
        plateau = Plateau.of(results)
        logs = log_spread(spread(*stacked(columns)))
        would_be = simplest(plateau.would_be_stable, sizes, logs)
        chosen = simplest(plateau.stable, sizes, logs) if plateau.stable.any() else would_be
        if not plateau.settled[would_be]:
            consequence = "A value at which they have settled is chosen."
            if chosen == would_be:
                consequence = "No other value is better in this respect, so it is chosen."
            warn_of_short_training(results, would_be, self.name, sizes[would_be], consequence)
        return chosen
