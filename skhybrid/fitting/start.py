"""Where training starts: θ from a quick least-squares fit of the physics alone, or as given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from skhybrid.data.rows import Rows
from skhybrid.data.trajectories import windows_at_learned_states
from skhybrid.fitting.assemble import few_windows
from skhybrid.fitting.least_squares import LOOSE_TOLERANCE, LeastSquaresFit, fit_least_squares
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.solver_steps import fit_with_steps, with_chosen_steps
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.out_of_memory import require_memory
from skhybrid.training.result import Start

# A start needs no more rows and evaluations than these.
INIT_ROWS = 2000
INIT_EVALUATIONS = 100


@dataclass(frozen=True)
class PhysicsStart:
    """The start of θ, with the rows and the model that belong to it.

    Attributes
    ----------
    values : mapping of str to array
        Physics parameters in the user's units.
    rows : Rows
        The rows. If states are not observed, their windows begin at the fitted states.
    physical : Hybrid
        The physics alone. If states are not observed, it has the scales of the fitted states.
    failure : str or None
        Why least squares failed; then the given values are used.
    """

    values: Mapping[str, np.ndarray]
    rows: Rows
    physical: Hybrid
    failure: str | None = None


def least_squares_start(
    settings: FitSettings, physical: Hybrid, rows: Rows, last: Rows | None = None
) -> PhysicsStart:
    """Fit the physics parameters without a network; return the given ones if this fails.

    The windows ``last`` of the last stage of training determine the steps of the solver; None is
    ``rows``.
    """
    last = rows if last is None else last
    physical = with_chosen_steps(physical, last)
    given = PhysicsStart(physical.space.start, rows, physical)
    if physical.has_hidden_encoder:
        return given
    is_dynamic = isinstance(physical, Dynamics)
    states_unknown = is_dynamic and not physical.layout.states_observed
    if not (physical.space.shapes or states_unknown):
        return given
    chosen = rows if states_unknown else few_windows(rows.every(INIT_ROWS))
    model = physical.at_observed_states() if is_dynamic and not states_unknown else physical
    try:
        data = chosen.tensors(torch.float64, settings.device)
        model, fit = fit_with_steps(
            model,
            last,
            lambda each: fit_least_squares(
                each, data, tolerance=LOOSE_TOLERANCE, max_evaluations=INIT_EVALUATIONS
            ),
        )
    except (ValueError, RuntimeError, TypeError, np.linalg.LinAlgError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return PhysicsStart(given.values, rows, physical, reason)
    # At the fitted θ, fewer steps may do.
    physical = with_chosen_steps(physical, last, fit.values, fit.states)
    if states_unknown:
        rows, physical = at_fitted_states(physical, fit, rows)
    return PhysicsStart(fit.values, rows, physical)


def at_fitted_states(physical: Dynamics, fit: LeastSquaresFit, rows: Rows) -> tuple[Rows, Dynamics]:
    """Return windows at the states of a least-squares fit, and the model with their scales.

    If states are not observed, the fit gives means and standard deviations of states and rates.
    """
    device = physical.scales.state_scale.device
    x = rows.tensors(torch.float64, device).x
    values = {name: torch.tensor(value, device=device) for name, value in fit.values.items()}
    std = None
    if not physical.layout.states_observed:
        physical = physical.with_simulated_scales(x, values, fit.states)
        std = physical.scales.state_scale.cpu().numpy()
    return windows_at_learned_states(rows, fit.states.cpu().numpy(), std), physical


def restart_starts(
    settings: FitSettings, hybrid: Hybrid, seeds: list[int], random_state: np.random.RandomState
) -> list[Start]:
    """Return the start of every restart; all but the first draw another network and other θ."""
    n_numbers = sum(parameter.numel() for parameter in hybrid.network.parameters())
    n_restarts = len(seeds)
    require_memory(4.0 * n_numbers * n_restarts, f"n_restarts={n_restarts}, each with a network,")
    starts = []
    for restart, seed in enumerate(seeds):
        network, coordinates = hybrid.network, hybrid.initial_coordinates()
        if restart > 0:
            network = hybrid.new_network(settings.nn, seed=seed)
            coordinates |= hybrid.space.draw(random_state)
        weights = {name: p.detach().clone() for name, p in network.named_parameters()}
        starts.append(Start(weights, coordinates))
    return starts
