"""From validated rows and settings to a fitted model."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from torch import Tensor

from skhybrid._assembly import (
    MOST_NUMBERS,
    Parts,
    assemble_hybrid,
    assemble_physics,
    least_squares_start,
    rows_to_look_at,
)
from skhybrid._checks import check_physics, check_structure
from skhybrid._course import Course
from skhybrid._data import Rows, record_network_inputs
from skhybrid._parameter_space import ParameterSpace
from skhybrid._random import seeded
from skhybrid._recipes import make_recipes
from skhybrid._trajectories import initial_states
from skhybrid._verdict import warn_of_collapse, warn_of_non_finite
from skhybrid._warm_start import earlier_start, load_earlier_network, require_no_network
from skhybrid.exceptions import PhysicsInitWarning, TrainingError
from skhybrid.structures import STATES, Hybrid, Scales, Windows
from skhybrid.training import Batch, Problem, Recipe
from skhybrid.training.batch import take
from skhybrid.training.estimation import Estimate, Fit, Observer, Start, estimate_together
from skhybrid.training.least_squares import fit_least_squares
from skhybrid.training.refinement import can_refine
from skhybrid.training.result import Result

# Solvers are not exact enough for more digits, and rollouts too slow for more evaluations.
TRAJECTORY_LIMITS = {"tolerance": 1e-8, "max_evaluations": 200}


@dataclass
class Fitted:
    """A fitted model and how it came about.

    Attributes
    ----------
    hybrid : Hybrid
        Its network holds the trained parameters.
    coordinates : dict of str to Tensor
        Scaled physics parameters.
    loss : float
        Mean weighted squared error over the training rows, in units of the target's variance.
    loss_curve : list of float
    n_iter : int
        Epochs of both phases, or evaluations of a least-squares fit.
    restarts : list of dict
    physics_share : float
        Part of the explained variance that is the physics', when θ was settled.
    n_rows : int
        Number of training rows.
    learned_states : array of shape (n, *state_shape) or None
        First states of the training trajectories, where they are learned.
    """

    hybrid: Hybrid
    coordinates: dict[str, Tensor]
    loss: float
    loss_curve: list[float]
    n_iter: int
    restarts: list[dict[str, Any]]
    physics_share: float = math.nan
    n_rows: int = 0
    learned_states: np.ndarray | None = None

    @property
    def course(self) -> Course | None:
        """What is known of the trajectories, where the model is a differential equation."""
        return self.hybrid.course

    @property
    def initial_states(self) -> np.ndarray | None:
        """First states of the training trajectories, learned or given."""
        if self.learned_states is not None or self.course is None:
            return self.learned_states
        return self.course.initial_states

    @property
    def free_names(self) -> list[str]:
        """Names of the physics parameters that are not fixed."""
        physics = self.hybrid.physics
        params = {} if physics is None else physics.params
        return [name for name, param in params.items() if not param.fixed]

    @property
    def physics_params(self) -> dict[str, float | np.ndarray]:
        """All physics parameters in the user's units, in the order of the signature."""
        return user_values(self.hybrid, self.coordinates)

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of a fitted estimator."""
        attributes = {
            "_fitted": self,
            "module_": self.hybrid.network,
            "physics_params_": self.physics_params,
            "loss_": self.loss,
            "loss_curve_": self.loss_curve,
            "n_iter_": self.n_iter,
            "restarts_": self.restarts,
            "physics_share_": self.physics_share,
        }
        if self.learned_states is not None:
            attributes["initial_states_"] = self.learned_states
        return attributes


def user_values(hybrid: Hybrid, coordinates: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return physics parameters as floats and float64 arrays, in the order of the signature."""
    values = hybrid.space.values(coordinates)
    arrays = {name: values[name].detach().double().cpu().numpy() for name in hybrid.space.names}
    return {name: float(array) if array.ndim == 0 else array for name, array in arrays.items()}


def fit_physics(parts: Parts, rows: Rows, *, previous: Fitted | None = None) -> Fitted:
    """Fit the physics alone by least squares."""
    hybrid = assemble_physics(parts, rows)
    if previous is not None:
        require_no_network(previous.hybrid)
        start = earlier_start(previous.hybrid, previous.coordinates, hybrid)
        hybrid.space = ParameterSpace(parts.physics, start, device=parts.device)
    data = rows.tensors(torch.float64, parts.device)
    seen = rows_to_look_at(rows).tensors(torch.float64, parts.device).x
    check_physics(hybrid, seen)
    check_structure(hybrid, seen)
    limits = {} if parts.course is None else TRAJECTORY_LIMITS
    fit = fit_least_squares(hybrid, data, **limits)
    if not fit.converged:
        warnings.warn(
            f"The least-squares fit of the physics did not converge after {len(fit.loss_curve)} "
            f"evaluations: {fit.message} Other initial values or bounds may help.",
            ConvergenceWarning,
            stacklevel=5,
        )
    # The smooth transforms reach a bound in the limit only; least squares may end on one.
    hybrid.space = ParameterSpace(parts.physics, fit.values, device=parts.device, held=True)
    coordinates = {} if fit.states is None else {STATES: fit.states}
    if fit.states is not None and not hybrid.layout.states_observed:
        values = hybrid.space.values({})
        hybrid.scales = hybrid.simulated_scales(data.x, values, fit.states)
    n_iter = len(fit.loss_curve)
    restart = {
        "loss": fit.loss,
        "validation_loss": None,
        "physics_params": user_values(hybrid, {}),
        "status": fit.message,
        "n_iter": n_iter,
    }
    fitted = Fitted(
        hybrid, coordinates, fit.loss, fit.loss_curve, n_iter, [restart], 1.0, len(rows)
    )
    return _with_states(fitted, rows)


def fit_hybrid(
    parts: Parts,
    rows: Rows,
    earlier: Sequence[Rows],
    settings: Any,
    *,
    previous: Fitted | None = None,
    observe: Callable[[Hybrid, Batch, Mapping[str, int]], Observer | None] | None = None,
) -> Fitted:
    """Fit physics and network together.

    Parameters
    ----------
    parts, rows, earlier, settings, previous
        As for :func:`prepare`.
    observe : callable, default=None
        From the assembled model, its training rows and the number of epochs of every phase to
        the observer of its training.
    """
    prepared = prepare(parts, rows, earlier, settings, previous=previous)
    fit = plan(prepared, settings)
    observer = None
    if observe is not None:
        observer = observe(fit.problem.hybrid, fit.problem.data, _n_epochs(fit))
    with seeded(fit.recipe.seed):  # for dropout, where a network has it
        (outcome,) = estimate_together([fit], observer=observer)
    return conclude(prepared, fit, outcome, settings)


@dataclass(frozen=True)
class Prepared:
    """A model at its start and the rows to train it on, whatever the rates, radii and penalties.

    Attributes
    ----------
    rows : Rows
        Training rows.
    hybrid : Hybrid
    data : Batch
        The training rows as tensors.
    validation : Batch or None
        Rows held out for early stopping.
    earlier : list of Batch
        Shorter windows of the same trajectories.
    starts : list of Start
        One for every restart.
    seed : int
        Of the minibatches.
    """

    rows: Rows
    hybrid: Hybrid
    data: Batch
    validation: Batch | None
    earlier: list[Batch]
    starts: list[Start]
    seed: int


def prepare(
    parts: Parts,
    rows: Rows,
    earlier: Sequence[Rows],
    settings: Any,
    *,
    previous: Fitted | None = None,
) -> Prepared:
    """Put the model together, find where θ starts, and hold out what is to be held out.

    Parameters
    ----------
    parts : Parts
    rows : Rows
    earlier : sequence of Rows
        Shorter windows of the same trajectories, to train on before.
    settings : HybridRegressor
        Read for its parameters only: seeds, early stopping, restarts and the start of θ.
    previous : Fitted, default=None
        A fit to go on from.
    """
    random_state = check_random_state(settings.random_state)
    seeds = dict(zip(("batches", "split"), _draw_seeds(random_state, 2), strict=True))
    validation_rows = None
    if settings.early_stopping:
        rows, validation_rows = rows.split(settings.validation_fraction, seeds["split"])
        earlier = [each.without(validation_rows.groups) for each in earlier]
    shortest = earlier[0] if earlier else rows
    physical = assemble_physics(parts, rows)
    failure = None
    if previous is not None:
        start = earlier_start(previous.hybrid, previous.coordinates, physical)
    elif settings.physics_init == "least_squares":
        start, shortest, failure = least_squares_start(physical, parts, shortest)
        rows = rows if earlier else shortest
    else:
        start = physical.space.start
    network_seeds = _draw_seeds(random_state, settings.n_restarts)
    scales = None
    if previous is not None and previous.hybrid.network is not None:
        scales = previous.hybrid.scales.to(parts.device, parts.dtype)
    hybrid = assemble_hybrid(parts, physical, shortest, start, seed=network_seeds[0], scales=scales)
    if failure is not None:  # and not the model itself, which has just been checked
        warnings.warn(
            "The least-squares start of the physics parameters failed, so training starts from "
            f"the given values. The reason: {failure} To do so without this warning, set "
            "physics_init='given'.",
            PhysicsInitWarning,
            stacklevel=6,
        )
    if previous is not None:
        load_earlier_network(previous.hybrid, hybrid)
    data = rows.tensors(parts.dtype, parts.device)
    validation = None
    if validation_rows is not None:
        validation = validation_rows.tensors(parts.dtype, parts.device)
        data, validation = _same_weighting(data, validation)
    return Prepared(
        rows=rows,
        hybrid=hybrid,
        data=data,
        validation=validation,
        earlier=[each.tensors(parts.dtype, parts.device) for each in earlier],
        starts=_starts(hybrid, parts, network_seeds, random_state),
        seed=seeds["batches"],
    )


def plan(prepared: Prepared, settings: Any) -> Fit:
    """Return how a prepared model is trained.

    Parameters
    ----------
    prepared : Prepared
    settings : HybridRegressor
        Read for its parameters only: rates, radii, penalties and epochs.
    """
    hybrid = copy.copy(prepared.hybrid)
    hybrid.network = copy.deepcopy(hybrid.network)
    n_stages = len(prepared.earlier) + 1

    def recipes(data: Batch, validation: Batch | None) -> tuple[Recipe, Recipe | None]:
        return make_recipes(
            settings, hybrid, len(data.y), prepared.seed, validation, n_stages=n_stages
        )

    recipe, refinement = recipes(prepared.data, prepared.validation)
    groups = prepared.rows.groups
    groups = None if groups is None else torch.tensor(groups)
    return Fit(
        problem=Problem(hybrid, prepared.data, prepared.validation, groups),
        starts=prepared.starts,
        recipe=recipe,
        refinement=refinement,
        earlier=[(Problem(hybrid, data), recipes(data, None)[0]) for data in prepared.earlier],
    )


def conclude(prepared: Prepared, fit: Fit, outcome: Estimate | Result, settings: Any) -> Fitted:
    """Return the fitted model, or say why there is none."""
    if isinstance(outcome, Result):
        raise TrainingError(
            "The loss was non-finite in the first epoch of every restart. Likely causes: a "
            f"learning_rate ({settings.learning_rate}) or rho ({settings.rho}) that is too large, "
            "or physics that is not finite for parameters near the start; give bounds with Param."
        )
    warn_of_non_finite(outcome)
    rows, hybrid = prepared.rows, fit.problem.hybrid
    load_weights(hybrid, outcome.weights)
    fitted = _fitted(hybrid, outcome)
    dtype, device = hybrid.scales.target_scale.dtype, hybrid.scales.target_scale.device
    seen = rows_to_look_at(rows).tensors(dtype, device).x
    hybrid.scales = _with_range(hybrid, seen, outcome.coordinates)
    warn_of_collapse(hybrid, outcome.shares, len(rows), settings)
    return _with_states(replace(fitted, n_rows=len(rows)), rows)


def _n_epochs(fit: Fit) -> dict[str, int]:
    """Return the number of epochs of every phase."""
    recipes = [*(recipe for _, recipe in fit.earlier), fit.recipe]
    n_epochs = {"estimate": sum(recipe.schedule.n_epochs for recipe in recipes)}
    problem = fit.problem
    if fit.refinement is not None and can_refine(
        len(problem.data.y), problem.validation is not None
    ):
        n_epochs["refine"] = fit.refinement.schedule.n_epochs
    return n_epochs


def load_weights(hybrid: Hybrid, weights: Mapping[str, Tensor]) -> None:
    """Give the model's network parameters of its own with these values."""
    for name, parameter in hybrid.network.named_parameters():
        if name in weights:
            parameter.data = weights[name].detach().clone()
            parameter.grad = None
    hybrid.network.eval()


def snapshot(
    hybrid: Hybrid,
    x: Tensor,
    coordinates: dict[str, Tensor],
    weights: Mapping[str, Tensor],
    loss_curve: list[float],
) -> Fitted:
    """Return a fit with copies of these parameters, to predict with while training goes on."""
    copied = copy.copy(hybrid)
    copied.network = copy.deepcopy(hybrid.network)
    load_weights(copied, weights)
    copied.scales = _with_range(copied, _some(x), coordinates)
    return Fitted(copied, coordinates, loss_curve[-1], loss_curve, len(loss_curve), [])


def _draw_seeds(random_state: np.random.RandomState, n_seeds: int) -> list[int]:
    return random_state.randint(np.iinfo(np.int32).max, size=n_seeds).tolist()


def _starts(
    hybrid: Hybrid, parts: Parts, seeds: list[int], random_state: np.random.RandomState
) -> list[Start]:
    """The first restart begins at the start; the others have other networks and other θ."""
    starts = []
    for restart, seed in enumerate(seeds):
        if restart == 0:
            network = hybrid.network
            coordinates = hybrid.origin()
        else:
            network = parts.network(hybrid, seed=seed)
            coordinates = hybrid.origin() | hybrid.space.draw(random_state)
        weights = {name: p.detach().clone() for name, p in network.named_parameters()}
        starts.append(Start(weights, coordinates))
    return starts


def _same_weighting(data: Batch, validation: Batch) -> tuple[Batch, Batch]:
    """Give both weights if one has them: the loss is set up once for both."""
    if (data.weight is None) == (validation.weight is None):
        return data, validation
    return tuple(
        batch._replace(weight=torch.ones_like(batch.y)) if batch.weight is None else batch
        for batch in (data, validation)
    )


def _fitted(hybrid: Hybrid, outcome: Estimate) -> Fitted:
    first = outcome.restarts
    restarts = [
        {
            "loss": float(first.losses[m]),
            "validation_loss": (
                None if first.validation_losses is None else float(first.validation_losses[m])
            ),
            "physics_params": user_values(hybrid, outcome.restart_coordinates[m]),
            "status": status.value,
            "n_iter": first.stopped_epoch[m],
        }
        for m, status in enumerate(first.status)
    ]
    return Fitted(
        hybrid=hybrid,
        coordinates=outcome.coordinates,
        loss=outcome.loss,
        loss_curve=outcome.loss_curve,
        n_iter=len(outcome.loss_curve),
        restarts=restarts,
        physics_share=outcome.shares.physics_share,
    )


def _some(x: Tensor | Windows) -> Tensor | Windows:
    """Return windows enough to see where the network's inputs range; of a table all rows."""
    if isinstance(x, Tensor):
        return x
    numbers = x.start.numel() * (1 + x.steps.shape[1])
    return take(x, slice(None, None, math.ceil(numbers / MOST_NUMBERS)))


def _with_states(fitted: Fitted, rows: Rows) -> Fitted:
    """Return a fit that says where the training trajectories begin, if it learned that."""
    if STATES not in fitted.coordinates:
        return fitted
    table = fitted.coordinates[STATES].double().cpu().numpy()
    entries = fitted.course.first_entries
    return replace(fitted, learned_states=initial_states(rows, table, entries))


def _with_range(hybrid: Hybrid, x: Tensor, coordinates: dict[str, Tensor]) -> Scales:
    """Return the scales with the range of the network's inputs at these parameters."""
    return hybrid.with_range(record_network_inputs(hybrid, x, coordinates))
