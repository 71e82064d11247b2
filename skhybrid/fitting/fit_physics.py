"""A fit of the physics alone, by least squares."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning

from skhybrid.exceptions import PhysicsError
from skhybrid.fitting.assemble import assemble_physics
from skhybrid.fitting.checks import check_physics, check_structure
from skhybrid.fitting.coupled_rows import check_coupled_rows
from skhybrid.fitting.covariance import standard_errors
from skhybrid.fitting.error_groups import error_groups
from skhybrid.fitting.few_rows import rows_to_check
from skhybrid.fitting.findings import tell_user
from skhybrid.fitting.fitted import (
    Fitted,
    feature_range,
    learned_states,
    user_values,
    window_length,
    window_states,
)
from skhybrid.fitting.growing_windows import WindowFit, fit_growing_windows
from skhybrid.fitting.inputs import FitInputs
from skhybrid.fitting.least_squares import LeastSquaresFit, fit_least_squares
from skhybrid.fitting.parameter_warnings import findings_of_least_squares
from skhybrid.fitting.poor_fits import findings_of_data
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.solver_steps import (
    findings_of_steps,
    fit_with_steps,
    with_chosen_steps,
)
from skhybrid.fitting.warm_start import earlier_start, require_no_network
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.layout import FIRST_STATES
from skhybrid.model.out_of_memory import memory_errors_named
from skhybrid.model.parameters import ParameterSpace
from skhybrid.runtime.user_warnings import warn

# Solvers are not exact enough for more digits; rollouts are too slow for more evaluations.
TRAJECTORY_LIMITS = {"tolerance": 1e-8, "max_evaluations": 200}


@memory_errors_named("least squares", "Choose fewer rows, or shorter windows.")
def fit_physics(
    settings: FitSettings, inputs: FitInputs, *, previous: Fitted | None = None
) -> Fitted:
    """Fit the physics alone by least squares.

    Parameters
    ----------
    settings : FitSettings
    inputs : FitInputs
    previous : Fitted, default=None
        A fit to continue from.
    """
    if settings.physics is not None and settings.physics.grouped:
        raise PhysicsError(
            f"{settings.physics.grouped[0]!r} has a value for each group (per), which nn=None "
            "does not offer: least squares fits one value for all rows. Give nn hidden sizes, "
            "with structure='none' (join='none' of an ODE) for a model without a correction, or "
            "leave per out."
        )
    physics, device, rows = settings.physics, settings.device, inputs.rows
    model = assemble_physics(settings, inputs, rows)
    if previous is not None:
        require_no_network(previous.hybrid)
        start = earlier_start(previous.hybrid, previous.coordinates, model)
        model = model.at(ParameterSpace(physics, start, device=device), model.scales)
    data = rows.tensors(torch.float64, device)
    model = with_chosen_steps(model, rows)
    checked = rows_to_check(data)
    check_physics(model, checked)
    check_structure(model, checked)
    check_coupled_rows(model, checked)
    limits = {} if inputs.trajectory_info is None else TRAJECTORY_LIMITS
    limits = limits | {"loss": settings.cost, "n_observed": inputs.n_observed(rows)}
    model, fit, _ = fit_with_steps(
        model, rows, lambda each: fit_least_squares(each, data, **limits)
    )
    last = fit_growing_windows(settings, WindowFit(inputs, model, data, fit))
    inputs, model, data, fit = last.inputs, last.model, last.data, last.found
    rows, info = inputs.rows, inputs.trajectory_info
    n_iter = len(fit.loss_curve)
    if not fit.converged:
        warn(
            f"The least-squares fit of the physics did not converge after {n_iter} evaluations: "
            f"{fit.message} Other initial values or bounds may help.",
            ConvergenceWarning,
        )
    for finding in (
        *findings_of_data(model, rows, fit.loss, settings),
        *findings_of_least_squares(model, fit, data),
    ):
        tell_user(finding)
    errors = standard_errors(model, fit, data, error_groups(inputs.trajectories, rows))
    # Least squares may end on a bound, which the smooth transforms reach only in the limit.
    space = ParameterSpace(physics, fit.values, device=device, held=True)
    model = model.at(space, model.scales)
    coordinates = {}
    if fit.states is not None:
        coordinates[FIRST_STATES] = fit.states
        if not model.layout.states_observed:
            model = model.with_simulated_scales(data.x, space.values({}), fit.states)
    for finding in findings_of_steps(model, rows, coordinates, fit.loss):
        tell_user(finding)
    return Fitted(
        hybrid=model,
        coordinates=coordinates,
        loss=fit.loss,
        loss_curve=fit.loss_curve,
        n_iter=n_iter,
        restarts=[_as_restart(model, fit)],
        trajectory_info=info,
        physics_share=1.0,
        n_rows=len(rows),
        learned_states=learned_states(coordinates, rows, info),
        window_states=window_states(coordinates, rows),
        window=window_length(rows),
        standard_errors=errors,
        feature_range=feature_range(rows),
    )


def _as_restart(model: Hybrid, fit: LeastSquaresFit) -> dict[str, Any]:
    """Return the entry of ``restarts_``."""
    return {
        "loss": fit.loss,
        "validation_loss": None,
        "physics_params": user_values(model, {}),
        "status": fit.message,
        "n_iter": len(fit.loss_curve),
    }
