"""Tell, before a fit, whether a physics can be fitted to data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from skhybrid._regressor import HybridRegressor
from skhybrid.batching.auto_parameters import DEFAULTS, auto_parameters
from skhybrid.data.rows import Rows
from skhybrid.exceptions import PhysicsError
from skhybrid.fitting import checks
from skhybrid.fitting.assemble import assemble_hybrid, assemble_physics
from skhybrid.fitting.coupled_rows import check_coupled_rows
from skhybrid.fitting.few_rows import rows_to_check
from skhybrid.fitting.inputs import FitInputs, read_inputs
from skhybrid.fitting.poor_fits import findings_of_data
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.solver_steps import with_chosen_steps
from skhybrid.fitting.start import PhysicsStart, residuals_at_start
from skhybrid.inspection.physics_check.result import ParameterAtStart, PhysicsCheck
from skhybrid.inspection.physics_check.stages import NOT_NEEDED, STAGES, Stages, Stopped
from skhybrid.inspection.physics_check.starting_values import (
    AtStart,
    parameters_at_start,
    small_effects,
)
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.physics import as_physics
from skhybrid.model.user_code import function_name
from skhybrid.runtime.draws import drawing
from skhybrid.runtime.seeds import seeded
from skhybrid.runtime.suggestions import suggestion
from skhybrid.runtime.threads import threads

SIGNATURE, DATA, COLUMNS, OUTPUT, ROWS, NETWORK, START = STAGES


def check_physics(
    physics: Any,
    X: Any,
    y: Any,
    *,
    structure: Any = "auto",
    sample_weight: Any = None,
    **regressor: Any,
) -> PhysicsCheck:
    """Tell whether a physics can be fitted to data, without a fit.

    It goes the way of ``fit``, with the same checks, up to the effects of the parameters at their
    starting values: signature, data, columns, shapes, finite values, gradients, rows that depend on
    each other, the model with an untrained network, the loss at the start, and directions that the
    data do not fix there. It takes about a second.

    Parameters
    ----------
    physics : callable, torch.nn.Module or Physics
        The scientific model, as for :class:`HybridRegressor`.
    X, y : array-like
        As for :meth:`HybridRegressor.fit`.
    structure : str, callable, ODE or LatentODE, default="auto"
        As for :class:`HybridRegressor`. The states of a :class:`LatentODE` are known only after
        training, so that its parameters have no effect here.
    sample_weight : array-like of shape (n_samples,), default=None
    **regressor
        Other arguments of :class:`HybridRegressor`, such as ``nn=None``, ``nn_features`` or
        ``missing_targets="mask"``; ``**data.regressor`` of :func:`trajectories_from_frame`. What is
        "auto" has its default. Arguments of the training have no effect.

    Returns
    -------
    PhysicsCheck
        ``ok``; ``problems``, each with what is wrong and what to do; ``parameters`` with their
        effects; ``loss`` at the start; ``frame`` and ``to_dict()``. Shown as text and in notebooks.

    Raises
    ------
    TypeError
        If an argument is none of HybridRegressor.

    Notes
    -----
    Nothing else is raised for a problem that can be described. Effects are derivatives at the
    start, by forward-mode differentiation of the physics alone on 2,000 rows at most; for an
    :class:`ODE`, on windows of training. A value without effect there, such as a factor that starts
    at zero, may have one elsewhere.

    See Also
    --------
    skhybrid.inspection.identifiability_report : What the data say after a fit.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skhybrid import Param, Physics, check_physics
    >>> def cooling(time, *, start=50.0, rate=1.0):
    ...     return start * torch.exp(-rate * time)
    >>> time = np.linspace(0.0, 3.0, 20)[:, None]
    >>> physics = Physics(cooling, start=Param(50.0, unit="K"), rate=Param(1.0, unit="1/h"))
    >>> print(check_physics(physics, time, 80.0 * np.exp(-0.7 * time[:, 0])))
    Physics 'cooling', structure additive: usable on these data.
    <BLANKLINE>
    parameter  start  unit  change  effect
    ---------  -----  ----  ------  ------
    start         50  K          5   0.103
    rate           1  1/h      0.1  0.0655
    <BLANKLINE>
    effect: how far the prediction moves if the parameter moves by change, to first order, ...
    Loss of the physics at the start: 0.835. The mean of y has 1 (mean squared error in ...
    Passed: signature and settings, reading of the data, columns of the physics, output and ...
    >>> def wrong(time, *, rate=1.0):
    ...     return np.exp(-rate * time)
    >>> check_physics(wrong, time, time[:, 0]).ok
    False
    """
    _require_known(regressor)
    stages, found = Stages(), _Found()
    given = {"physics": physics, "structure": structure, "random_state": 0, **regressor}
    try:
        with threads(None), seeded(0), drawing(0):
            _run(stages, found, HybridRegressor(**given), X, y, sample_weight)
    except Stopped:
        pass
    return PhysicsCheck(
        title=f"{_shown(physics)}, structure {_shown_structure(found.structure or structure)}",
        stages=stages.outcomes,
        problems=tuple(sorted(stages.problems, key=lambda each: each.severity != "error")),
        parameters=tuple(found.parameters),
        loss=found.loss,
        unfixed=tuple(found.unfixed),
    )


class _Found:
    """Results of the stages that have run."""

    def __init__(self) -> None:
        self.structure: str | None = None  # what "auto" is for this physics
        self.parameters: list[ParameterAtStart] = []
        self.loss = float("nan")
        self.unfixed: list[str] = []


def _run(
    stages: Stages, found: _Found, estimator: HybridRegressor, X: Any, y: Any, weight: Any
) -> None:
    """Run all stages; stop at the first that fails."""
    with stages.stage(SIGNATURE):
        _require_physics(estimator.physics)
        estimator._validate_params()
        settings = _settings(estimator)
        if isinstance(estimator.structure, str):
            found.structure = function_name(settings.structure)
        found.parameters = parameters_at_start(settings.physics, None)
    settings, inputs = _read(stages, estimator, settings, X, y, weight)
    rows = inputs.rows
    first = inputs.earlier[0] if inputs.earlier else rows
    with stages.stage(COLUMNS):
        physical = assemble_physics(settings, inputs, rows)
    hidden = physical.has_hidden_encoder  # its states exist only with the network
    if not hidden:
        _check_alone(stages, physical, rows, settings)
        physical = with_chosen_steps(physical, rows)
    if settings.nn is None:
        stages.outcomes[NETWORK] = NOT_NEEDED
    else:
        with stages.stage(NETWORK):
            checked = rows_to_check(first.tensors(settings.dtype, settings.device))
            start = PhysicsStart(physical.space.start, first, physical)
            assemble_hybrid(settings, first, checked, start, seed=0)
    with stages.stage(START):
        _at_start(stages, found, settings, physical, first)
    if hidden:
        stages.outcomes.update({OUTPUT: NOT_NEEDED, ROWS: NOT_NEEDED, START: NOT_NEEDED})


def _settings(estimator: HybridRegressor) -> FitSettings:
    """Return the settings, with the defaults of parameters that are "auto"."""
    return FitSettings.of(
        estimator, **{name: DEFAULTS[name] for name in auto_parameters(estimator)}
    )


def _read(
    stages: Stages, estimator: HybridRegressor, settings: FitSettings, X: Any, y: Any, weight: Any
) -> tuple[FitSettings, FitInputs]:
    """Read the data; missing targets are a warning, and are masked."""
    with stages.stage(DATA):
        try:
            return settings, read_inputs(settings, estimator, X, y, weight)
        except ValueError as error:
            if "missing_targets" not in str(error):
                raise
            said = "This check leaves them out; HybridRegressor needs the setting."
            stages.add(DATA, "warning", type(error).__name__, f"{error} {said}")
            estimator.set_params(missing_targets="mask")
            settings = _settings(estimator)
            return settings, read_inputs(settings, estimator, X, y, weight)


def _check_alone(stages: Stages, physical: Hybrid, rows: Rows, settings: FitSettings) -> None:
    """Check the physics alone in float64, as a fit without a network does."""
    with stages.stage(OUTPUT):
        checked = rows_to_check(rows.tensors(torch.float64, settings.device))
        model = with_chosen_steps(physical, rows)
        checks.check_physics(model, checked)
        checks.check_structure(model, checked)
    with stages.stage(ROWS):
        check_coupled_rows(model, checked)


def _at_start(
    stages: Stages, found: _Found, settings: FitSettings, physical: Hybrid, rows: Rows
) -> None:
    """Evaluate the physics alone at its starting values, and note what to think about."""
    warnings = findings_of_data(physical, rows, 0.0, settings)
    for each in warnings:
        stages.add(START, "warning", each.category.__name__, each.message)
    if physical.has_hidden_encoder:
        return
    start = AtStart.of(residuals_at_start(settings, physical, rows))
    found.loss = start.loss
    found.unfixed = [each.sentence for each in start.unfixed]
    found.parameters = parameters_at_start(settings.physics, start)
    for message in (*start.warnings(), *small_effects(found.parameters)):
        stages.add(START, "warning", "ParameterWarning", message)


def _require_known(regressor: Mapping[str, Any]) -> None:
    """Raise a TypeError for what is no argument of HybridRegressor."""
    known = HybridRegressor._get_param_names()
    for name in regressor:
        if name not in known:
            raise TypeError(
                f"check_physics has no argument {name!r}, and HybridRegressor has none"
                f"{suggestion(name, (*known, 'sample_weight'))}"
            )


def _require_physics(physics: Any) -> None:
    """Raise a PhysicsError for what is no physics."""
    if physics is None:
        raise PhysicsError(
            "physics is None, so there is nothing to check. Give the scientific model, a function "
            "or a module."
        )
    if isinstance(physics, HybridRegressor):
        raise PhysicsError(
            "physics is a HybridRegressor. Give its parts: check_physics(model.physics, X, y, "
            "structure=model.structure)."
        )
    if not callable(physics) and hasattr(physics, "__len__"):
        raise PhysicsError(
            f"physics is a {type(physics).__name__}. Give the function or the module first: "
            "check_physics(physics, X, y)."
        )
    as_physics(physics)


def _shown(physics: Any) -> str:
    """Return the name of what was given as physics."""
    try:
        return f"Physics {as_physics(physics).name!r}"
    except (ValueError, AttributeError):
        return f"Physics {getattr(physics, '__name__', type(physics).__name__)!r}"


def _shown_structure(structure: Any) -> str:
    """Return the name of a structure."""
    if isinstance(structure, str):
        return structure
    if isinstance(structure, type):
        return structure.__name__
    return function_name(structure) if callable(structure) else type(structure).__name__
