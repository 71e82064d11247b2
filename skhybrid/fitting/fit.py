"""A fit of physics and network: prepare, train, finish."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.utils import check_random_state

from skhybrid.data.rows import Rows
from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.exceptions import PhysicsInitWarning, TrainingError
from skhybrid.fitting.assemble import assemble_hybrid, assemble_physics
from skhybrid.fitting.callbacks import FitCallbacks
from skhybrid.fitting.checkpoints import Checkpoints
from skhybrid.fitting.diagnostics import warn_of_collapse, warn_of_interrupt, warn_of_non_finite
from skhybrid.fitting.few_rows import rows_to_check
from skhybrid.fitting.findings import Finding, tell_user
from skhybrid.fitting.fitted import (
    Fitted,
    drift_since,
    learned_states,
    user_values,
    window_length,
    with_range_of,
    with_weights,
)
from skhybrid.fitting.free_runs import (
    FreeRuns,
    findings_of_free_runs,
    free_run_losses,
    physics_free_runs,
)
from skhybrid.fitting.inputs import FitInputs
from skhybrid.fitting.observer import BatchObserver, n_epochs_of
from skhybrid.fitting.parameter_warnings import findings_of_training
from skhybrid.fitting.poor_fits import findings_of_data
from skhybrid.fitting.progress import training_text
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.shared_constants import findings_of_constants
from skhybrid.fitting.solver_steps import findings_of_steps
from skhybrid.fitting.start import (
    PhysicsStart,
    given_start,
    least_squares_start,
    restart_starts,
)
from skhybrid.fitting.training_config import make_training_configs
from skhybrid.fitting.warm_start import earlier_start, load_earlier_network
from skhybrid.model.batch import Batch
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.out_of_memory import memory_errors_named, require_memory
from skhybrid.model.scales import Scales
from skhybrid.runtime.draws import drawing
from skhybrid.runtime.fingerprint import Fingerprints
from skhybrid.runtime.progress import open_display
from skhybrid.runtime.seeds import seeded
from skhybrid.runtime.user_warnings import warn
from skhybrid.training.checkpoint import Checkpoint
from skhybrid.training.multistart import train_together
from skhybrid.training.problem import Fit, Problem, TrainingConfig
from skhybrid.training.random_numbers import random_numbers, warn_of_turns
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


@dataclass(frozen=True)
class Prepared:
    """A complete model at its start, with its rows, for any rates, radii and penalties.

    Attributes
    ----------
    rows : Rows
        Training rows.
    trajectory_info : TrajectoryInfo or None
    hybrid : Hybrid
    data : Batch
        The training rows as tensors.
    validation : Batch or None
        Rows held out for early stopping.
    earlier : list of Batch
        Shorter windows of the same trajectories, for the stages before.
    starts : list of Start
        One for every restart.
    seed : int
        Seed of the minibatches.
    free_runs : FreeRuns or None
        Whole rollouts of the physics alone, for a differential equation.
    """

    rows: Rows
    trajectory_info: TrajectoryInfo | None
    hybrid: Hybrid
    data: Batch
    validation: Batch | None
    earlier: list[Batch]
    starts: list[Start]
    seed: int
    free_runs: FreeRuns | None = None


@memory_errors_named("the preparation of a fit", "Choose fewer rows or a smaller nn.")
def prepare(
    settings: FitSettings, inputs: FitInputs, *, previous: Fitted | None = None
) -> Prepared:
    """Hold out rows, find the start of θ, and assemble the model.

    Parameters
    ----------
    settings : FitSettings
        Rates, radii, penalties and epochs are not used.
    inputs : FitInputs
    previous : Fitted, default=None
        A fit to continue from.
    """
    # A restart has at least its seed.
    require_memory(64.0 * settings.n_restarts, f"n_restarts={settings.n_restarts}")
    random_state = check_random_state(settings.random_state)
    batch_seed, split_seed = _draw_seeds(random_state, 2)
    rows, earlier, held_out = inputs.rows, list(inputs.earlier), None
    if settings.early_stopping:
        rows, held_out = rows.split(settings.validation_fraction, split_seed)
        earlier = [each.without(held_out.groups) for each in earlier]
    # The windows of the first stage give the start and the scales.
    first = earlier[0] if earlier else rows
    physical = assemble_physics(settings, inputs, rows)
    start, source = _physics_start(settings, physical, first, rows, previous)
    first, rows = start.rows, rows if earlier else start.rows
    network_seeds = _draw_seeds(random_state, settings.n_restarts)
    dtype, device = settings.dtype, settings.device
    earlier_data = [each.tensors(dtype, device) for each in earlier]
    data = rows.tensors(dtype, device)
    checked = rows_to_check(earlier_data[0] if earlier else data)
    # The checks evaluate the untrained model, which may draw random numbers.
    with seeded(batch_seed, on_wait=warn_of_turns), drawing(batch_seed):
        hybrid = assemble_hybrid(
            settings,
            first,
            checked,
            start,
            seed=network_seeds[0],
            scales=_earlier_scales(settings, previous),
        )
    if start.failure is not None:  # not a fault of the model: the check above found none
        warn(
            "The least-squares start of the physics parameters failed, so training starts from "
            f"the given values. The reason: {start.failure} To do so without this warning, set "
            "physics_init='given'.",
            PhysicsInitWarning,
        )
    if previous is not None:
        load_earlier_network(previous.hybrid, hybrid)
    validation = None
    if held_out is not None:
        data, validation = _same_weighting(data, held_out.tensors(dtype, device))
    return Prepared(
        rows=rows,
        trajectory_info=inputs.trajectory_info,
        hybrid=hybrid,
        data=data,
        validation=validation,
        earlier=earlier_data,
        starts=restart_starts(
            settings, hybrid, network_seeds, random_state, start, source, checked
        ),
        seed=batch_seed,
        free_runs=physics_free_runs(settings, inputs, rows, hybrid),
    )


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
        warn_of_interrupt(result, n_epochs_of(fit))
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
    return Fitted(
        hybrid=hybrid,
        coordinates=result.coordinates,
        loss=result.loss,
        loss_curve=result.loss_curve,
        n_iter=len(result.loss_curve),
        restarts=_restarts(hybrid, result, prepared.starts),
        trajectory_info=prepared.trajectory_info,
        physics_share=result.explained.physics_share,
        n_rows=len(rows),
        learned_states=learned,
        drift=drift_since(hybrid, result.midway, result.coordinates),
        free_run_losses=losses,
        window=window_length(rows),
    )


def _physics_start(
    settings: FitSettings, physical: Hybrid, rows: Rows, last: Rows, previous: Fitted | None
) -> tuple[PhysicsStart, str]:
    """Return the start of θ, and where it is from: an earlier fit, least squares, or given."""
    if previous is not None:
        values = earlier_start(previous.hybrid, previous.coordinates, physical)
        return given_start(settings, physical, rows, last, values), "last fit"
    if settings.physics_init == "given":
        return given_start(settings, physical, rows, last), "given"
    start = least_squares_start(settings, physical, rows, last)
    return start, "given" if start.failure else "least squares"


def _earlier_scales(settings: FitSettings, previous: Fitted | None) -> Scales | None:
    """Return the scales of an earlier fit with a network, or None."""
    if previous is None or previous.hybrid.network is None:
        return None
    return previous.hybrid.scales.to(settings.device, settings.dtype)


def _draw_seeds(random_state: np.random.RandomState, n_seeds: int) -> list[int]:
    """Draw seeds for torch's generators."""
    return random_state.randint(np.iinfo(np.int32).max, size=n_seeds).tolist()


def _same_weighting(data: Batch, validation: Batch) -> tuple[Batch, Batch]:
    """Give weights to both if one has weights: one loss function serves both."""
    if (data.weight is None) == (validation.weight is None):
        return data, validation
    return tuple(
        batch._replace(weight=torch.ones_like(batch.y)) if batch.weight is None else batch
        for batch in (data, validation)
    )


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
