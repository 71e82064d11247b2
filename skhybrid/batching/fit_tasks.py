"""Prepared fits that wait until a batch trains them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, fields
from numbers import Number
from types import FunctionType
from typing import Any

import joblib
import numpy as np
import torch
from sklearn import get_config

from skhybrid.fitting.callbacks import FitCallbacks
from skhybrid.fitting.feature_names import noted_features
from skhybrid.fitting.fit import make_fit
from skhybrid.fitting.fitted import Fitted
from skhybrid.fitting.inputs import read_inputs
from skhybrid.fitting.observer import n_epochs_of
from skhybrid.fitting.prepare import Prepared, prepare
from skhybrid.fitting.settings import FitSettings
from skhybrid.model.physics import Physics
from skhybrid.runtime.threads import threads
from skhybrid.training.penalties import Penalties
from skhybrid.training.problem import Fit

# Parameters of HybridRegressor that change neither the model nor its start, at most the training:
# fits that differ only in these share their preparation.
TRAINING_PARAMETERS = frozenset(
    {
        "batch_size",
        "checkpoint",
        "learning_rate",
        "max_epochs",
        "n_iter_no_change",
        "nn_extrapolation",
        "optimizer",
        "perturb",
        "perturbation",
        "physics_learning_rate",
        "refine_rho",
        "rho",
        "rho_schedule",
        "tol",
        "verbose",
    }
    | {penalty.name for penalty in fields(Penalties)}
)
# Parameters that change the start or the rows, but not the architecture.
START_PARAMETERS = frozenset(
    {"early_stopping", "n_restarts", "nn_features", "physics_init", "random_state"}
    | {"validation_fraction"}
)


@dataclass
class FitTask:
    """A prepared fit that waits for its training.

    Attributes
    ----------
    estimator : HybridRegressor
    settings : FitSettings
    prepared : Prepared
    fit : Fit
    key : Hashable
        Only fits with the same key can be in one batch.
    owner : int
        Number of the trial that the fit belongs to.
    callbacks : FitCallbacks or None
        None if the estimator has no callbacks.
    seconds : float or None
        Share of the batch's training time.
    error : Exception or None
        Error of the training.
    """

    estimator: Any
    settings: FitSettings
    prepared: Prepared
    fit: Fit
    key: Hashable
    owner: int
    callbacks: FitCallbacks | None = None
    seconds: float | None = None
    error: Exception | None = None

    def begin(self) -> None:
        """Tell the callbacks of the estimator, if it has any, that the fit begins."""
        if self.callbacks is not None:
            self.callbacks.begin(sum(n_epochs_of(self.fit).values()))

    def end(self, fitted: Fitted) -> None:
        """Give the estimator its fitted attributes, and tell its callbacks."""
        vars(self.estimator).update(fitted.attributes())
        if self.callbacks is not None:
            self.callbacks.end(fitted)

    def tear_down(self) -> None:
        """Tear the callbacks of the estimator down, whether the fit succeeded or not."""
        if self.callbacks is not None:
            self.callbacks.tear_down()


@dataclass(frozen=True)
class TrialKeys:
    """Keys that tell which trials can share a batch or a preparation.

    Attributes
    ----------
    owner : int
        Number of the trial.
    batching : Hashable
        Candidates with the same batching key can be in one batch.
    preparation : Hashable
        Candidates with the same preparation key share a preparation on the same rows.
    """

    owner: int
    batching: Hashable = None
    preparation: Hashable = None


@dataclass
class FitTasks:
    """All fits that wait, and a cache of their preparations, also of those that failed."""

    tasks: list[FitTask] = field(default_factory=list)
    _prepared: dict[Hashable, tuple[Prepared, dict] | Exception] = field(default_factory=dict)
    _physics_alone: dict[Hashable, dict[str, Any]] = field(default_factory=dict)

    def add(
        self,
        estimator: Any,
        keys: TrialKeys,
        position: int,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
    ) -> None:
        """Prepare a fit, or use the preparation of an equal one, and let its training wait.

        Rows and parameters are compared, because transformers before an estimator may be random,
        and meta-estimators may set its parameters.

        Parameters
        ----------
        estimator : HybridRegressor
        keys : TrialKeys
        position : int
            Number of the fit within its trial.
        X, y, sample_weight
            As for ``fit``.
        """
        if not get_config()["skip_parameter_validation"]:
            estimator._validate_params()
        with threads(estimator.n_threads):
            settings = FitSettings.of(estimator)
            parameters = _start_parameters(estimator)
            rows_key = joblib.hash((X, y, sample_weight))
            cache_key = (keys.batching, keys.preparation, position, rows_key, *parameters.items())
            if cache_key not in self._prepared:
                try:
                    inputs = read_inputs(settings, estimator, X, y, sample_weight)
                    found = prepare(settings, inputs), noted_features(estimator)
                except Exception as error:
                    found = error
                self._prepared[cache_key] = found
            if isinstance(self._prepared[cache_key], Exception):
                raise self._prepared[cache_key]
            prepared, features = self._prepared[cache_key]
            vars(estimator).update(features)
            fit = make_fit(prepared, settings)
        model = {name: key for name, key in parameters.items() if name not in START_PARAMETERS}
        if isinstance(estimator.physics, Physics):
            model["physics"] = _physics_key(estimator.physics, any_start=True)
        key = (keys.batching, position, *model.items())
        callbacks = FitCallbacks(estimator, X, y, sample_weight)
        callbacks = callbacks if callbacks.exist else None
        self.tasks.append(FitTask(estimator, settings, prepared, fit, key, keys.owner, callbacks))

    def fit_physics_alone(
        self, estimator: Any, keys: TrialKeys, X: Any, y: Any, sample_weight: Any = None
    ) -> None:
        """Fit the physics alone, or use an equal fit: parameters of the training change nothing."""
        rows_key = joblib.hash((X, y, sample_weight))
        key = (keys.preparation, rows_key, *_start_parameters(estimator).items())
        if key not in self._physics_alone:
            estimator.fit(X, y, sample_weight)
            fitted = {name: value for name, value in vars(estimator).items() if _is_fitted(name)}
            self._physics_alone[key] = fitted
        vars(estimator).update(self._physics_alone[key])

    def count(self, owner: int) -> int:
        """Return the number of fits of a trial that wait."""
        return sum(task.owner == owner for task in self.tasks)

    def discard(self, owner: int) -> None:
        """Forget the fits of a trial."""
        self.tasks = [task for task in self.tasks if task.owner != owner]


def _start_parameters(estimator: Any) -> dict[str, Hashable]:
    """Return a key of each parameter that changes the model or its start."""
    return {
        name: _fingerprint(value)
        for name, value in sorted(estimator.get_params(deep=True).items())
        if name not in TRAINING_PARAMETERS
    }


def _is_fitted(name: str) -> bool:
    """Whether an attribute of an estimator comes from its fit."""
    return name == "_fitted" or (name.endswith("_") and not name.startswith("_"))


def _fingerprint(value: Any) -> Hashable:
    """Return a key that distinguishes values of a parameter and is the same for clones.

    Other objects are distinguished by their type alone; the batching key of a search distinguishes
    those in its grid.
    """
    if isinstance(value, (tuple, list, np.ndarray)):
        return tuple(_fingerprint(each) for each in value)
    if isinstance(value, np.random.RandomState):
        return joblib.hash(value)
    if value is None or isinstance(value, (str, Number, np.generic, FunctionType)):
        return value
    if isinstance(value, Physics):
        return _physics_key(value)
    if isinstance(value, torch.nn.Module):
        return type(value), repr(value)
    return type(value)


def _physics_key(physics: Physics, *, any_start: bool = False) -> tuple:
    """Return a key of a Physics; with ``any_start``, initial values of free parameters may differ.

    Fixed values and bounds are parts of the model that the members of a batch share.
    """
    function = physics.function if isinstance(physics.function, FunctionType) else physics.name
    key: list = [type(physics), function]
    for name, param in physics.params.items():
        key += [name, param.shape, param.fixed, *(side.tobytes() for side in param.limits())]
        key.append(repr((param.depends_on, param.per, param.per_std)))
        if param.fixed or not any_start:
            key.append(param.value().tobytes())
        if not any_start:
            key += [repr(param.unit), repr(param.prior)]
    return tuple(key)
