"""Parameters that are "auto": chosen from the data before the fit."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.model_selection import KFold
from sklearn.utils import _safe_indexing, check_consistent_length, check_random_state
from sklearn.utils.validation import _num_samples

from skhybrid.batching.comparison import Comparison, candidate_path, joined
from skhybrid.data.columns import network_columns
from skhybrid.data.missing_targets import read_table_targets
from skhybrid.exceptions import FitInterruptedWarning
from skhybrid.fitting.inputs import read_inputs
from skhybrid.fitting.settings import FitSettings, has_functions
from skhybrid.fitting.varying_parameters import columns_of_parameters
from skhybrid.model.ode import ODE
from skhybrid.model_selection.fold_statistics import (
    held_out_losses,
    lowest,
    simplest,
    theta_columns,
    within_one_standard_error,
)
from skhybrid.model_selection.rules import one_standard_error, stable
from skhybrid.runtime.progress import open_display
from skhybrid.runtime.user_warnings import warn, warnings_caught

AUTO = "auto"

N_FOLDS = 5

# Restarts show whether θ depends on where training starts.
N_RESTARTS = 3

RADII = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)

REFINE_RADII = (0.0, None, 0.02, 0.05)

PENALTIES = {
    "l2": (0.0, 1e-6, 1e-5, 1e-4, 1e-3),
    "functional_norm": (0.0, 1e-4, 1e-3, 1e-2, 1e-1),
    "orthogonality": (0.0, 1e-3, 1e-2, 1e-1, 1.0),
}

# If the largest value is chosen, this many larger ones are compared too.
N_BEYOND = 2

# Values used while another parameter is chosen.
DEFAULTS = {
    "nn_features": None,
    "rho": 0.05,
    "l2": 0.0,
    "functional_norm": 0.0,
    "orthogonality": 0.0,
    "refine_rho": 0.0,
}

# Up to this number, all sets of inputs are compared; beyond it, inputs are left out one by one.
MAX_SETS = 64


def auto_parameters(estimator: Any) -> list[str]:
    """Return the parameters that are "auto", in the order in which they are chosen."""
    if estimator.nn is None:
        return []
    return [name for name in DEFAULTS if _is_auto(getattr(estimator, name))]


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == AUTO


@dataclass(frozen=True)
class Choices:
    """The chosen values of the parameters that are "auto".

    Attributes
    ----------
    values : dict of str to object
        Value of each parameter.
    attributes : dict of str to object
        Fitted attributes: the values, and the comparisons behind them.
    said_serial : bool
        Whether a warning has said that members are trained one after the other.
    """

    values: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    said_serial: bool = False


def choose_auto_parameters(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    random_state: Any = None,
    keep_interrupted: bool = False,
) -> Choices:
    """Choose all parameters that are "auto".

    Parameters
    ----------
    estimator : HybridRegressor
    X, y, sample_weight
        As given to ``fit``.
    random_state : int, RandomState instance or None, default=None
        Used in place of the estimator's, if this is None.
    keep_interrupted : bool, default=False
        Whether an interrupt from the keyboard leaves the parameters that are not chosen yet at
        their defaults, with a warning, and is not raised.
    """
    names = auto_parameters(estimator)
    if not names:
        return Choices()
    n_given = _num_samples(X)
    X, y, sample_weight = _rows_with_a_target(estimator, X, y, sample_weight)
    n_samples = _num_samples(X)
    if n_samples < 2 * N_FOLDS:
        known = " with a known target" if n_samples < n_given else ""
        raise ValueError(
            f"{names[0]}='auto' compares candidates on {N_FOLDS} folds of two samples or more "
            f"each; X has {n_samples}{known}. Give {names[0]} a value, or cut each long trajectory "
            "into several."
        )
    given = estimator.random_state
    random_state = check_random_state(random_state if given is None else given)
    fold_seed, seed = random_state.randint(np.iinfo(np.int32).max, size=2).tolist()
    splitter = KFold(N_FOLDS, shuffle=True, random_state=fold_seed)
    splits = [*splitter.split(np.empty(n_samples))]
    comparison = Comparison(estimator, X, y, sample_weight, splits, seed=seed)
    chosen = {name: DEFAULTS[name] for name in names}
    attributes = {}
    for number, name in enumerate(names):
        display = open_display()
        display.say(f"Choosing {name} ({number + 1} of {len(names)} parameters that are 'auto')")
        try:
            value, path = _choose(comparison, chosen, name)
        except KeyboardInterrupt:
            if not keep_interrupted:
                raise
            attributes |= _defaults(names[number:])
            break
        chosen[name] = value
        attributes |= {f"{name}_": value, f"{name}_path_": path}
        display.say(f"{name}={value!r} was chosen among {len(path['score'])} candidates")
    return Choices(chosen, attributes, comparison.said_serial)


def _defaults(names: Sequence[str]) -> dict[str, Any]:
    """Return the attributes of parameters that an interrupt leaves at their defaults, and warn."""
    attributes = {}
    for name in names:
        path = candidate_path({"params": []}, name, None)
        attributes |= {f"{name}_": DEFAULTS[name], f"{name}_path_": path}
    values = ", ".join(f"{name}={DEFAULTS[name]!r}" for name in names)
    warn(
        f"The choice of {names[0]}='auto' was interrupted from the keyboard. The fit goes on with "
        f"{'the default' if len(names) == 1 else 'defaults'} {values}. Another interrupt ends it.",
        FitInterruptedWarning,
    )
    return attributes


def _choose(
    comparison: Comparison, chosen: Mapping[str, Any], name: str
) -> tuple[Any, dict[str, Any]]:
    """Choose one parameter; return its value and the candidates."""
    if name == "nn_features":
        return _choose_features(comparison, chosen)
    if name == "rho":
        return _choose_rho(comparison, chosen)
    if name == "refine_rho":
        return _choose_refine_rho(comparison, chosen)
    return _choose_penalty(comparison, chosen, name)


def _rows_with_a_target(estimator: Any, X: Any, y: Any, sample_weight: Any) -> tuple:
    """Return the rows of a table with a known target, so that every fold has as many of them."""
    if estimator.missing_targets != "mask" or isinstance(estimator.structure, ODE):
        return X, y, sample_weight
    targets = read_table_targets(y)
    check_consistent_length(X, targets, sample_weight)
    missing = np.isnan(targets.reshape(len(targets), -1)).all(axis=1)
    if not missing.any():
        return X, y, sample_weight
    known = np.flatnonzero(~missing)
    return tuple(
        None if each is None else _safe_indexing(each, known) for each in (X, y, sample_weight)
    )


def _choose_rho(comparison: Comparison, chosen: Mapping[str, Any]) -> tuple[float, dict]:
    """Choose the radius of the first phase: the smallest with a reproducible θ that predicts well.

    Without free physics parameters it is the largest that predicts as well as the best.
    """
    if comparison.estimator.optimizer == "adam":
        return DEFAULTS["rho"], candidate_path({"params": []}, "rho", None)
    fixed = {**chosen, "refine_rho": None}
    fixed["n_restarts"] = max(N_RESTARTS, comparison.estimator.n_restarts)

    def choose(results: Mapping[str, Any]) -> int:
        rule = stable("rho") if theta_columns(results) else one_standard_error("rho")
        return rule(results)

    return _compare(comparison, fixed, "rho", RADII, choose)


def _choose_refine_rho(
    comparison: Comparison, chosen: Mapping[str, Any]
) -> tuple[float | None, dict]:
    """Choose the radius of the second phase by the held-out score; θ does not depend on it.

    The default stays unless another radius is better by more than one standard error.
    """

    def choose(results: Mapping[str, Any]) -> int:
        losses = held_out_losses(results)
        as_good = within_one_standard_error(losses)
        default = REFINE_RADII.index(DEFAULTS["refine_rho"])
        return default if as_good[default] else lowest(losses)

    return _compare(comparison, chosen, "refine_rho", REFINE_RADII, choose)


def _choose_penalty(
    comparison: Comparison, chosen: Mapping[str, Any], name: str
) -> tuple[float, dict]:
    """Choose the largest weight of a penalty that predicts as well as the best one."""
    fixed = {**chosen, "refine_rho": None}
    return _compare(comparison, fixed, name, PENALTIES[name], one_standard_error(name))


def _compare(
    comparison: Comparison,
    fixed: Mapping[str, Any],
    name: str,
    values: Sequence[float | None],
    choose: Callable[[dict], int],
) -> tuple[Any, dict[str, Any]]:
    """Choose one of the values, or a larger one if the largest is the best.

    If the largest value is chosen, :data:`N_BEYOND` larger ones are compared too, at the ratio of
    the two largest.
    """
    values = list(values)
    results = comparison.results([{**fixed, name: value} for value in values])
    with warnings_caught() as caught:
        best = choose(results)
    numbers = sorted(value for value in values if value is not None)
    if values[best] == numbers[-1] and numbers[-1] > 0.0:
        ratio = numbers[-1] / numbers[-2] if len(numbers) > 1 and numbers[-2] > 0.0 else 10.0
        beyond = [float(f"{numbers[-1] * ratio**power:.6g}") for power in range(1, N_BEYOND + 1)]
        more = comparison.results([{**fixed, name: value} for value in beyond])
        values, results = values + beyond, joined(results, more)
        best = choose(results)
    else:
        for each in caught:
            warn(each.message)
    return values[best], candidate_path(results, name, best)


def _choose_features(comparison: Comparison, chosen: Mapping[str, Any]) -> tuple[list, dict]:
    """Choose the smallest set of inputs that predicts as well as the best one.

    Only the prediction counts, so the sets are compared without perturbation.
    """
    names = _network_inputs(comparison, chosen)
    fixed = {**chosen, "rho": 0.0, "refine_rho": None}
    if 2 ** len(names) - 1 > MAX_SETS:
        results, sets = _eliminate(comparison, fixed, names)
    else:
        sizes = range(1, len(names) + 1)
        sets = [[*subset] for size in sizes for subset in itertools.combinations(names, size)]
        results = comparison.results([{**fixed, "nn_features": subset} for subset in sets])
    losses = held_out_losses(results)
    as_good = within_one_standard_error(losses)
    best = simplest(as_good, [len(subset) for subset in sets], losses.mean(axis=1))
    return sets[best], candidate_path(results, "nn_features", best)


def _eliminate(
    comparison: Comparison, fixed: Mapping[str, Any], names: Sequence
) -> tuple[dict, list[list]]:
    """Leave inputs out one by one, the least useful first; return results and sets of inputs.

    Stop when every input that is left is needed: when the best of the smaller sets is worse than
    the best set so far by more than one standard error.
    """
    sets = [list(names)]
    results = comparison.results([{**fixed, "nn_features": sets[0]}])
    current = sets[0]
    while len(current) > 1:
        smaller = [[each for each in current if each != left_out] for left_out in current]
        more = comparison.results([{**fixed, "nn_features": subset} for subset in smaller])
        n_before = len(sets)
        results = joined(results, more)
        sets += smaller
        losses = held_out_losses(results)
        best = n_before + int(losses[n_before:].mean(axis=1).argmin())
        if not within_one_standard_error(losses)[best]:
            break
        current = sets[best]
    return results, sets


def _network_inputs(comparison: Comparison, chosen: Mapping[str, Any]) -> list:
    """Return the names or numbers of the columns that the network may read."""
    estimator = copy.copy(comparison.estimator)
    settings = FitSettings.of(estimator, **{**chosen, "nn_features": None})
    weight = comparison.sample_weight
    inputs = read_inputs(settings, estimator, comparison.X, comparison.y, weight)
    names, info = inputs.feature_names, inputs.trajectory_info
    if info is not None:
        names = info.component_names
    names = list(range(inputs.rows.x.shape[1])) if names is None else list(names)
    texts = names if isinstance(names[0], str) else None
    always = () if info is None else info.layout.free_columns  # free states are always read
    # Without a correction, the network reads what the parameters depend on.
    if has_functions(settings.physics) and not settings.corrects:
        read = columns_of_parameters(settings.physics, texts, len(names)).values()
        columns = {column for own in read for column in own}
    else:
        grouped = () if settings.physics is None else settings.physics.grouped
        per = [settings.physics.params[name].per for name in grouped]
        groups = network_columns(per, texts, len(names)) if per else []
        columns = {column for column in range(len(names)) if column not in groups}
    return [names[column] for column in sorted(columns.difference(always))]
