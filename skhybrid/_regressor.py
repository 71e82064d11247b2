"""The estimator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from skhybrid._assembly import Parts
from skhybrid._callbacks import CallbackSupportMixin, with_callbacks
from skhybrid._data import Rows
from skhybrid._fitting import Fitted, fit_hybrid, fit_physics
from skhybrid._observation import FitObservation
from skhybrid.networks import hidden_sizes
from skhybrid.physics import Physics, as_physics
from skhybrid.structures import STRUCTURES

# Rows predicted at once.
PREDICTION_ROWS = 8192


class HybridRegressor(CallbackSupportMixin, RegressorMixin, BaseEstimator):
    """DOCSTRING"""

    _parameter_constraints: dict = {
        "physics": [callable, Physics, None],
        "nn": [Interval(Integral, 1, None, closed="left"), list, tuple, torch.nn.Module, None],
        "structure": [StrOptions(set(STRUCTURES)), callable],
        "optimizer": [StrOptions({"sam", "adam"})],
        "rho": [Interval(Real, 0, None, closed="left")],
        "perturbation": [StrOptions({"layer", "global", "elementwise"})],
        "perturb": [StrOptions({"nn", "all"})],
        "refine_rho": [Interval(Real, 0, None, closed="left"), None],
        "l2": [Interval(Real, 0, None, closed="left")],
        "functional_norm": [Interval(Real, 0, None, closed="left")],
        "orthogonality": [Interval(Real, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "physics_learning_rate": [Interval(Real, 0, None, closed="left"), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "n_restarts": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "nn_features": [list, tuple, np.ndarray, None],
        "nn_extrapolation": [StrOptions({"hold", "free"})],
        "physics_init": [StrOptions({"least_squares", "given"})],
        "missing_targets": [StrOptions({"error", "mask"})],
        "warm_start": ["boolean"],
        "dtype": [StrOptions({"float32", "float64"})],
        "device": [str, torch.device],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "compile": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        physics=None,
        nn=(64, 64),
        structure="additive",
        *,
        optimizer="sam",
        rho=0.05,
        perturbation="layer",
        perturb="nn",
        refine_rho=0.0,
        l2=0.0,
        functional_norm=0.0,
        orthogonality=0.0,
        learning_rate=3e-3,
        physics_learning_rate=None,
        max_epochs="auto",
        batch_size="auto",
        n_restarts=1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=30,
        tol=1e-4,
        nn_features=None,
        nn_extrapolation="hold",
        physics_init="least_squares",
        missing_targets="error",
        warm_start=False,
        dtype="float32",
        device="cpu",
        n_threads=None,
        compile=False,
        random_state=None,
        verbose=0,
    ):
        self.physics = physics
        self.nn = nn
        self.structure = structure
        self.optimizer = optimizer
        self.rho = rho
        self.perturbation = perturbation
        self.perturb = perturb
        self.refine_rho = refine_rho
        self.l2 = l2
        self.functional_norm = functional_norm
        self.orthogonality = orthogonality
        self.learning_rate = learning_rate
        self.physics_learning_rate = physics_learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.n_restarts = n_restarts
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.nn_features = nn_features
        self.nn_extrapolation = nn_extrapolation
        self.physics_init = physics_init
        self.missing_targets = missing_targets
        self.warm_start = warm_start
        self.dtype = dtype
        self.device = device
        self.n_threads = n_threads
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the physics parameters and the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features in raw units. Column names of a DataFrame bind to the physics' arguments.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets, of which some may be NaN if ``missing_targets="mask"``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, not negative; rows of weight zero are left out altogether.

        Returns
        -------
        self : HybridRegressor
            The fitted estimator.

        Raises
        ------
        PhysicsError, NetworkError
            If the physics or the network cannot be used on these data.
        TrainingError
            If the loss of every restart was non-finite in its first epoch.
        """
        rows = self._validate(X, y, sample_weight)
        parts = self._parts()
        with _threads(self.n_threads):
            if self.nn is None:
                fitted = fit_physics(parts, rows)
            else:
                previous = getattr(self, "_fitted", None) if self.warm_start else None
                observation = FitObservation(self, X, y, sample_weight)
                fitted = fit_hybrid(parts, rows, self, previous=previous, observe=observation)
        self._keep(fitted)
        return self

    def predict(self, X):
        """Predict the target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            In the target's units and of the dtype of the fit.
        """
        return self._predict(X)[0]

    def predict_parts(self, X):
        """Predict what each part of the model contributes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        physics : ndarray of shape (n_samples,) or (n_samples, n_targets)
            What the physics predicts alone. With ``physics=None``, the mean of the training target.
        nn : ndarray of the same shape
            What the network adds to it: the prediction less the physics' part, whatever the
            structure.
        """
        prediction, physics = self._predict(X)
        return physics, prediction - physics

    def _predict(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        hybrid, coordinates = self._fitted.hybrid, self._fitted.coordinates
        hold = self.nn_extrapolation == "hold" and hybrid.network is not None
        dtype, device = hybrid.scales.target_scale.dtype, hybrid.scales.target_scale.device
        parts = []
        with torch.no_grad(), _threads(self.n_threads):
            for start in range(0, len(X), PREDICTION_ROWS):
                x = torch.tensor(X[start : start + PREDICTION_ROWS], dtype=dtype, device=device)
                prediction = hybrid(x, coordinates, hold=hold)
                parts.append((prediction.cpu(), hybrid.physics_part(x, coordinates).cpu()))
        return tuple(torch.cat(tensors).numpy() for tensors in zip(*parts, strict=True))

    def _validate(self, X, y, sample_weight) -> Rows:
        """Check the data and return them as float64 rows."""
        reset = not (self.warm_start and hasattr(self, "_fitted"))
        if self.missing_targets == "mask":
            X = validate_data(self, X, dtype=np.float64, reset=reset)
            y = check_array(
                y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y"
            )
            check_consistent_length(X, y)
        else:
            X, y = validate_data(
                self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, reset=reset
            )
        y = np.asarray(y, dtype=np.float64)
        if y.ndim > 2:
            raise ValueError(f"y must have one or two dimensions; it has shape {y.shape}.")
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        return Rows.of(X, y, sample_weight)

    def _parts(self) -> Parts:
        """Return what the model is made of, checked one by one."""
        if self.physics is None and self.nn is None:
            raise ValueError("physics and nn are both None: there is nothing to fit.")
        if self.nn is not None and not isinstance(self.nn, torch.nn.Module):
            hidden_sizes(self.nn)
        return Parts(
            physics=as_physics(self.physics),
            nn=self.nn,
            structure=self.structure,
            nn_features=self.nn_features,
            feature_names=getattr(self, "feature_names_in_", None),
            dtype=getattr(torch, self.dtype),
            device=torch.device(self.device),
        )

    def _keep(self, fitted: Fitted) -> None:
        """Set the fitted attributes."""
        self._fitted = fitted
        self.module_ = fitted.hybrid.network
        self.physics_params_ = fitted.physics_params
        self.loss_ = fitted.loss
        self.loss_curve_ = fitted.loss_curve
        self.n_iter_ = fitted.n_iter
        self.restarts_ = fitted.restarts

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


@contextlib.contextmanager
def _threads(n_threads: int | None) -> Iterator[None]:
    """Use so many torch threads here (None: one), and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
