"""One fit of an estimator: what is "auto" is chosen first."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.utils.validation import _num_samples

from skhybrid.batching.auto_parameters import DEFAULTS, Choices, choose_auto_parameters
from skhybrid.exceptions import SerialMembersWarning
from skhybrid.fitting.callbacks import FitCallbacks
from skhybrid.fitting.checkpoints import Checkpoints, open_checkpoints
from skhybrid.fitting.fit import fit_hybrid
from skhybrid.fitting.fit_physics import fit_physics
from skhybrid.fitting.fitted import Fitted
from skhybrid.fitting.inputs import read_inputs
from skhybrid.fitting.progress import beginning_text, fitted_text
from skhybrid.fitting.settings import FitSettings
from skhybrid.runtime.progress import open_display


def fit_once(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    keep_interrupted: bool,
    own: Checkpoints | None,
) -> tuple[Choices, Fitted, FitCallbacks]:
    """Choose what is "auto", and fit.

    Parameters
    ----------
    estimator : HybridRegressor
    X, y, sample_weight
        As given to ``fit``.
    keep_interrupted : bool
        Whether an interrupt from the keyboard ends the fit with what it has.
    own : Checkpoints or None
        This fit's own checkpoints, not those of a search around it.

    Returns
    -------
    choices : Choices
        What was chosen for parameters that are "auto".
    fitted : Fitted
    callbacks : FitCallbacks
        Not told of the end yet.
    """
    random_state = estimator.random_state
    if own is not None and random_state is None:
        random_state = own.random_state()
    choices = choose_auto_parameters(
        estimator, X, y, sample_weight, random_state=random_state, keep_interrupted=keep_interrupted
    )
    settings = FitSettings.of(estimator, **choices.values, random_state=random_state)
    inputs = read_inputs(settings, estimator, X, y, sample_weight)
    callbacks = FitCallbacks(estimator, X, y, sample_weight)
    display = open_display()
    display.announce(beginning_text(settings, _num_samples(X)))
    with warnings.catch_warnings():
        if choices.said_serial:
            warnings.simplefilter("ignore", SerialMembersWarning)
        if settings.nn is None:
            callbacks.begin(0)
            fitted = fit_physics(settings, inputs, previous=estimator._previous())
        else:
            fitted = fit_hybrid(
                settings,
                inputs,
                previous=estimator._previous(),
                callbacks=callbacks,
                keep_interrupted=keep_interrupted,
                checkpoints=open_checkpoints(),
            )
    display.announce(fitted_text(fitted), with_time=True)
    return choices, fitted, callbacks


def forget_fit(estimator: Any) -> None:
    """Remove the attributes of an earlier fit that the next one may not have."""
    for attribute in ("free_run_losses_", "initial_states_", "substeps_", "window_"):
        vars(estimator).pop(attribute, None)
    for name in DEFAULTS:
        for attribute in (f"{name}_", f"{name}_path_"):
            vars(estimator).pop(attribute, None)
