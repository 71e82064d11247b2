"""Where training starts: θ from a quick least-squares fit of the physics alone, or as given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.learned_states import windows_at_learned_states
from skhybrid.data.rows import Rows
from skhybrid.fitting.few_rows import few_windows
from skhybrid.fitting.least_squares import LOOSE_TOLERANCE, LeastSquaresFit, fit_least_squares
from skhybrid.fitting.residuals import Residuals
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.solver_steps import fit_with_steps, with_chosen_steps
from skhybrid.fitting.untrained import calm_network
from skhybrid.model.batch import Batch, Windows
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.out_of_memory import require_memory
from skhybrid.model.param import Param
from skhybrid.model.param_prior import LOGNORMAL
from skhybrid.model.parameters import ParameterSpace
from skhybrid.training.losses import loss_of_centre
from skhybrid.training.result import Start

# A start needs no more rows and evaluations than these.
INIT_ROWS = 2000
INIT_EVALUATIONS = 100
# With more steps of the solver between observations, there are fewer evaluations.
CHEAP_STEPS, LEAST_EVALUATIONS = 16, 25
# With unknown states an evaluation is slow, and more digits take many evaluations.
STATES_TOLERANCE = 1e-4
# An initial value is credible if it is no more standard deviations from the centre of its prior.
CREDIBLE = 3.0
# Physics that explains less leaves least squares without a direction.
MIN_R2 = 0.3

LEAST_SQUARES_ERRORS = (ValueError, RuntimeError, TypeError, np.linalg.LinAlgError)


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
    effects : mapping of str to array
        Root mean square of ∂ŷ/∂θ over the rows at the start, in standard deviations of the target
        or, if it is larger, in units of the root mean squared error of the physics there.
    doubt : str or None
        Why training should also try the given values: what least squares found is hardly a start.
    failure : str or None
        Why least squares failed; then the given values are used.
    spreads : mapping of str to array
        Standard deviations between groups, by parameter.
    group_answers : mapping of str to array of shape (n_groups, n_elements)
        Values of groups at the start, in units of these standard deviations.
    """

    values: Mapping[str, np.ndarray]
    rows: Rows
    physical: Hybrid
    effects: Mapping[str, np.ndarray] = field(default_factory=dict)
    doubt: str | None = None
    failure: str | None = None
    spreads: Mapping[str, np.ndarray] = field(default_factory=dict)
    group_answers: Mapping[str, np.ndarray] = field(default_factory=dict)


def least_squares_start(
    settings: FitSettings,
    physical: Hybrid,
    rows: Rows,
    last: Rows | None = None,
    n_observed: int | None = None,
) -> PhysicsStart:
    """Fit the physics parameters without a network; return the given ones if this fails.

    The windows ``last`` of the last stage of training determine the steps of the solver; None is
    ``rows``. Priors have their weight beside ``n_observed`` values; None is all of ``rows``.
    """
    last = rows if last is None else last
    physical = with_chosen_steps(physical, last)
    if physical.has_hidden_encoder or physical.physics is None:
        # Without physics states stay where they are: a fit would move first states to means.
        return PhysicsStart(physical.space.start, rows, physical)
    unknown = _states_unknown(physical)
    if not (physical.space.shapes or unknown):
        return PhysicsStart(physical.space.start, rows, physical)
    model, chosen = rows_for_start(settings, physical, rows)
    tolerance = STATES_TOLERANCE if unknown else LOOSE_TOLERANCE
    try:
        model, fit, later = fit_with_steps(
            model,
            last,
            lambda each: fit_least_squares(
                each,
                chosen,
                tolerance=tolerance,
                max_evaluations=_most_evaluations(each),
                loss=settings.cost,
                n_observed=n_observed,
            ),
        )
    except LEAST_SQUARES_ERRORS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return replace(given_start(settings, physical, rows, last), failure=reason)
    too_large = _too_large(settings, fit)
    if too_large is not None:
        return replace(given_start(settings, physical, rows, last), failure=too_large)
    if isinstance(later, Dynamics) and later.chosen_steps is not None:
        physical = physical.with_steps(later.chosen_steps)
    if unknown:
        rows, physical = at_fitted_states(physical, fit, rows)
    return PhysicsStart(
        fit.values,
        rows,
        physical,
        effects=_effects(fit.sensitivities, fit.loss),
        doubt=None if unknown else _doubt(model, fit, loss_of_centre(model, chosen, settings.cost)),
    )


def _too_large(settings: FitSettings, fit: LeastSquaresFit) -> str | None:
    """Return which value, or change with an effect, the dtype of the training cannot hold."""
    largest = torch.finfo(settings.dtype).max
    effects = _effects(fit.sensitivities, fit.loss)
    space = ParameterSpace(settings.physics, fit.values, effects=effects)
    for name, transform in space.transforms.items():
        value = np.asarray(fit.values[name])
        if not all(np.all(np.abs(each) <= largest) for each in (value, transform.scale)):
            furthest = value.flat[np.argmax(np.abs(value))]
            return (
                f"Least squares moved {name!r} to {furthest:.1e}, where it has hardly an effect: "
                "the physics alone does not fit these data, or they do not limit it. Give it "
                "bounds."
            )
    return None


def given_start(
    settings: FitSettings,
    physical: Hybrid,
    rows: Rows,
    last: Rows | None = None,
    values: Mapping[str, np.ndarray] | None = None,
) -> PhysicsStart:
    """Return the start at given values, by default the initial ones, with their effects.

    Effects are unknown if the physics cannot be evaluated at these values without the network. The
    windows ``last`` are those of :func:`least_squares_start`. Initial values far from their priors
    are moved, unless θ is held.
    """
    if values is None and settings.physics_learning_rate != 0:
        values = _credible(physical)
    physical = with_chosen_steps(physical, rows if last is None else last, values)
    if values is not None:
        space = ParameterSpace(settings.physics, values, device=settings.device)
        physical = physical.at(space, physical.scales)
    start = PhysicsStart(physical.space.start, rows, physical)
    unknown = physical.has_hidden_encoder or not physical.differentiable
    if unknown or not physical.space.shapes:
        return start
    try:
        residuals = residuals_at_start(settings, physical, rows)
        found = residuals.sensitivities(residuals.value_columns(residuals.start))
        loss = residuals.loss(residuals(residuals.start))
    except LEAST_SQUARES_ERRORS:
        return start
    return replace(start, effects=_effects(found, loss))


def residuals_at_start(settings: FitSettings, physical: Hybrid, rows: Rows) -> Residuals:
    """Return the residuals of the physics alone, on the rows that are enough for a start."""
    return Residuals(*rows_for_start(settings, physical, rows), settings.cost)


def _most_evaluations(model: Hybrid) -> int:
    """Return the most evaluations for a start."""
    steps = model.solver_steps.most if isinstance(model, Dynamics) else 1
    return max(LEAST_EVALUATIONS, INIT_EVALUATIONS * CHEAP_STEPS // max(steps, CHEAP_STEPS))


def _states_unknown(physical: Hybrid) -> bool:
    """Whether the model has states that are not observed."""
    return isinstance(physical, Dynamics) and not physical.layout.states_observed


def rows_for_start(settings: FitSettings, physical: Hybrid, rows: Rows) -> tuple[Hybrid, Batch]:
    """Return the model and the rows for a start: few rows, unless all have unknown states."""
    if not _states_unknown(physical):
        rows = few_windows(rows.every(INIT_ROWS))
        if isinstance(physical, Dynamics):
            physical = physical.at_observed_states()
    return physical, rows.tensors(torch.float64, settings.device)


def _effects(sensitivities: Mapping[str, np.ndarray], loss: float) -> dict[str, np.ndarray]:
    """Return the effects of θ for the start, from sensitivities whose squares add up to the mean.

    Far from the data, where the loss is above one, a step of θ may change the prediction more.
    """
    unit = np.sqrt(loss) if np.isfinite(loss) and loss > 1.0 else 1.0
    return {
        name: np.sqrt(np.square(each).sum(axis=0)) / unit for name, each in sensitivities.items()
    }


def _doubt(model: Hybrid, fit: LeastSquaresFit, loss_of_mean: float) -> str | None:
    """Return why what least squares found is hardly a start, or None."""
    for name in model.space.shapes:
        low, high = model.physics.params[name].limits()
        if np.any((fit.values[name] == low) | (fit.values[name] == high)):
            return f"least squares ended with {name!r} on a bound"
    if fit.loss > (1.0 - MIN_R2) * loss_of_mean:
        return f"the physics alone has R2 = {1.0 - fit.loss / loss_of_mean:.2g}"
    return None


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
    settings: FitSettings,
    hybrid: Hybrid,
    seeds: list[int],
    random_state: np.random.RandomState,
    start: PhysicsStart,
    source: str,
    x: Tensor | Windows,
) -> list[Start]:
    """Return the start of every restart.

    All but the first draw another network and other θ. If there is doubt about the start, there is
    one more, with the first network and the given θ, where that is credible.

    Parameters
    ----------
    settings : FitSettings
    hybrid : Hybrid
        Model at the start.
    seeds : list of int
        Seeds of the networks, one for every restart.
    random_state : RandomState
    start : PhysicsStart
    source : str
        Where the start's θ is from.
    x : Tensor or Windows
        Rows on which untrained networks are looked at.
    """
    n_numbers = sum(parameter.numel() for parameter in hybrid.network.parameters())
    n_restarts = len(seeds)
    require_memory(4.0 * n_numbers * n_restarts, f"n_restarts={n_restarts}, each with a network,")
    starts = []
    for restart, seed in enumerate(seeds):
        network, coordinates = hybrid.network, hybrid.initial_coordinates()
        if restart > 0:
            network = hybrid.new_network(settings.nn, seed=seed)
            calm_network(hybrid.with_network(network), x)
            coordinates |= hybrid.space.draw(random_state)
        starts.append(Start(_weights(network), coordinates, source if restart == 0 else "drawn"))
    if start.doubt is not None:
        given = {name: _given(hybrid.physics.params[name]) for name in hybrid.space.shapes}
        coordinates = hybrid.initial_coordinates() | hybrid.space.coordinates(given)
        starts.append(Start(_weights(hybrid.network), coordinates, "given"))
    return starts


def _given(param: Param) -> np.ndarray:
    """Return the initial value; with a prior, not further from its centre than is credible.

    Steps of training are as short as the prior's standard deviation, so that it could not go far.
    """
    value = param.value()
    if param.prior is None:
        return value
    kind, centre, std = param.prior_moments()
    low, high = centre - CREDIBLE * std, centre + CREDIBLE * std
    if kind == LOGNORMAL:
        low, high = np.exp(low), np.exp(high)
    return np.clip(value, *(np.clip(each, *param.limits()) for each in (low, high)))


def _credible(physical: Hybrid) -> Mapping[str, np.ndarray] | None:
    """Return the values to start at if an initial one is not credible, or None."""
    start = physical.space.start
    moved = {name: _given(physical.physics.params[name]) for name in physical.space.shapes}
    same = all(np.array_equal(start[name], value) for name, value in moved.items())
    return None if same else {**start, **moved}


def _weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return copies of the network's parameters."""
    return {name: p.detach().clone() for name, p in network.named_parameters()}
