"""A fit of physics and network: prepare, train, finish."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
import torch

from skhybrid.exceptions import TrainingError
from skhybrid.fitting.callbacks import FitCallbacks
from skhybrid.fitting.checkpoints import Checkpoints
from skhybrid.fitting.diagnostics import warn_of_collapse, warn_of_interrupt, warn_of_non_finite
from skhybrid.fitting.few_rows import rows_to_check
from skhybrid.fitting.findings import Finding, tell_user
from skhybrid.fitting.fitted import (
    Fitted,
    drift_since,
    feature_range,
    group_values,
    held_out_states,
    learned_states,
    means_of_functions,
    user_values,
    varying_ranges,
    window_length,
    window_states,
    with_range_of,
    with_weights,
)
from skhybrid.fitting.free_runs import (
    findings_of_free_runs,
    free_run_losses,
)
from skhybrid.fitting.inputs import FitInputs
from skhybrid.fitting.observer import BatchObserver, n_epochs_of
from skhybrid.fitting.parameter_warnings import findings_of_training
from skhybrid.fitting.poor_fits import findings_of_data
from skhybrid.fitting.prepare import Prepared, prepare
from skhybrid.fitting.progress import training_text
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.shared_constants import findings_of_constants
from skhybrid.fitting.solver_steps import findings_of_steps
from skhybrid.fitting.training_config import make_training_configs
from skhybrid.model.batch import Batch
from skhybrid.model.hybrid import Hybrid
from skhybrid.runtime.fingerprint import Fingerprints
from skhybrid.runtime.progress import open_display
from skhybrid.training.checkpoint import Checkpoint
from skhybrid.training.explained_variance import measure_explained_variance
from skhybrid.training.multistart import train_together
from skhybrid.training.problem import Fit, Problem, TrainingConfig
from skhybrid.training.random_numbers import random_numbers
from skhybrid.training.result import FitResult, Start, Status


def fit_hybrid(
    settings: FitSettings,
    inputs: FitInputs,
    *,
    previous: Fitted | None = None,
    callbacks: FitCallbacks | None = None,
    keep_interrupted: bool = False,
    checkpoints: Checkpoints | None = None,
) -> Fitted:
    """Fit physics and network together.

    Parameters
    ----------
    settings, inputs, previous
        As for :func:`prepare`.
    callbacks : FitCallbacks, default=None
        Told about the fit.
    keep_interrupted : bool, default=False
        As for :func:`~skhybrid.training.multistart.train_together`.
    checkpoints : Checkpoints, default=None
        Where the training keeps its state on disk.
    """
    display = open_display()
    prepared = prepare(settings, inputs, previous=previous)
    fit = make_fit(prepared, settings)
    n_epochs = n_epochs_of(fit)
    told = None
    if callbacks is not None:
        callbacks.begin(sum(n_epochs.values()))
        told = (callbacks, inputs.trajectory_info) if callbacks.exist else None
    display.announce(training_text(fit, n_epochs))
    checkpoint = None
    if checkpoints is not None:
        file = checkpoints.file([fit], settings.n_threads, known=Fingerprints())
        checkpoint = Checkpoint(file)
        if checkpoint.resumes:
            display.say(f"The fit goes on from {file.path}")
    with display.work("training", sum(n_epochs.values())) as work, random_numbers([fit]):
        report = work.reach if display.speaks else None
        observer = BatchObserver([fit], [told], report)
        (result,) = train_together(
            [fit],
            observer=observer if observer.needed else None,
            keep_interrupted=keep_interrupted,
            checkpoint=checkpoint,
        )
    if checkpoints is not None:
        _keep(checkpoints, checkpoint, result)
    return finish_fit(prepared, fit, result, settings)


def _keep(checkpoints: Checkpoints, checkpoint: Checkpoint, result: FitResult) -> None:
    """Keep the result of a fit for the search around it, or the state of an interrupted fit."""
    if result.status is Status.INTERRUPTED:
        checkpoints.keep = True
    elif checkpoint.finished is None and checkpoints.many_fits:
        checkpoint.finish([result], {})


def make_fit(prepared: Prepared, settings: FitSettings) -> Fit:
    """Return a prepared model with the configuration of its training.

    Parameters
    ----------
    prepared : Prepared
    settings : FitSettings
        Only rates, radii, penalties and epochs are used.
    """
    # Training with a single member writes into its network.
    hybrid = prepared.hybrid.with_network(copy.deepcopy(prepared.hybrid.network))

    def configs(data: Batch, validates: bool) -> tuple[TrainingConfig, TrainingConfig | None]:
        return make_training_configs(
            settings,
            hybrid,
            len(data.y),
            prepared.seed,
            n_members=len(prepared.starts),
            validates=validates,
            n_stages=len(prepared.earlier) + 1,
            n_observed=prepared.n_observed,
            most_noise=prepared.most_noise,
        )

    config, refinement = configs(prepared.data, prepared.validation is not None)
    groups = prepared.rows.groups
    groups = None if groups is None else torch.tensor(groups)
    return Fit(
        problem=Problem(hybrid, prepared.data, prepared.validation, groups),
        starts=prepared.starts,
        config=config,
        refinement=refinement,
        earlier=[(Problem(hybrid, data), configs(data, False)[0]) for data in prepared.earlier],
    )


def finish_fit(
    prepared: Prepared,
    fit: Fit,
    result: FitResult,
    settings: FitSettings,
    *,
    tell: Callable[[Finding], None] = tell_user,
) -> Fitted:
    """Return the fitted model, or raise an error that says why training failed.

    Findings about its parameters go to ``tell``, by default as warnings to the user.
    """
    if result.status is Status.ERROR:
        raise result.error
    if result.status is Status.FAILED:
        raise TrainingError(
            "The loss was non-finite in the first epoch of every restart. Likely causes: a "
            f"learning_rate ({settings.learning_rate}) or rho ({settings.rho}) that is too large, "
            "or physics that is not finite for parameters near the start; give bounds with Param."
        )
    warn_of_non_finite(result)
    if result.status is Status.INTERRUPTED:
        warn_of_interrupt(result, n_epochs_of(fit), checkpoint=settings.checkpoint is not None)
    rows = prepared.rows
    hybrid = with_weights(fit.problem.hybrid, result.weights)
    hybrid = with_range_of(hybrid, rows_to_check(prepared.data), result.coordinates)
    warn_of_collapse(hybrid, result.explained, len(rows), settings)
    learned = learned_states(result.coordinates, rows, prepared.trajectory_info)
    losses = free_run_losses(prepared.free_runs, settings, hybrid, result.coordinates, learned)
    if result.status is not Status.INTERRUPTED:
        start = prepared.starts[result.best].coordinates
        for finding in (
            *findings_of_data(hybrid, rows, result.loss, settings),
            *findings_of_training(hybrid, result.coordinates, start, prepared.data, settings),
            *findings_of_constants(hybrid, result.coordinates, prepared.data, settings),
            *findings_of_steps(hybrid, rows, result.coordinates, result.loss),
            *findings_of_free_runs(
                losses, prepared.free_runs, window_length(rows), prepared.starts[0].source
            ),
        ):
            tell(finding)
    ranges = varying_ranges(hybrid, rows_to_check(prepared.data), result.coordinates)
    return Fitted(
        hybrid=hybrid,
        coordinates=result.coordinates,
        loss=result.loss,
        loss_curve=result.loss_curve,
        compiled=result.compiled,
        n_iter=len(result.loss_curve),
        restarts=_restarts(hybrid, result, prepared.starts),
        trajectory_info=prepared.trajectory_info,
        physics_share=_physics_share(hybrid, result, prepared, ranges),
        n_rows=len(rows),
        learned_states=learned,
        window_states=window_states(result.coordinates, rows),
        held_out_states=held_out_states(prepared.validation),
        drift=drift_since(hybrid, result.midway, result.coordinates),
        free_run_losses=losses,
        window=window_length(rows),
        n_iter_first=result.n_first,
        varying_ranges=ranges,
        feature_range=feature_range(rows),
        groups=group_values(hybrid, result.coordinates, prepared.group_labels),
        group_labels=prepared.group_labels,
    )


def _physics_share(
    hybrid: Hybrid, result: FitResult, prepared: Prepared, ranges: Mapping[str, np.ndarray]
) -> float:
    """Return the physics' share of the explained variance, with functions at their means."""
    if not hybrid.functions:
        return result.explained.physics_share
    x, y, weight = prepared.data
    means = means_of_functions(hybrid, ranges)
    return measure_explained_variance(
        hybrid, x, y, result.coordinates, target_weight=weight, constants=means
    ).physics_share


def _restarts(hybrid: Hybrid, result: FitResult, starts: list[Start]) -> list[dict]:
    """Return the attribute ``restarts_``."""
    first, status = result.restarts, list(result.restarts.status)
    if result.status is Status.INTERRUPTED and status[result.best] is not Status.NON_FINITE:
        status[result.best] = Status.INTERRUPTED  # perhaps in the second phase
    return [
        {
            "start": starts[m].source,
            "loss": float(first.losses[m]),
            "validation_loss": (
                None if first.validation_losses is None else float(first.validation_losses[m])
            ),
            "physics_params": user_values(hybrid, result.restart_coordinates[m]),
            "status": each.value,
            "n_iter": first.stopped_epoch[m],
        }
        for m, each in enumerate(status)
    ]
