"""Record the results of many small fits and compare them bit by bit, to test a refactoring.

    python benchmarks/same_fits.py --output before.npz
    python benchmarks/same_fits.py --against before.npz

The first command records the results of all configurations: predictions, parameters, losses,
weights, results of searches, and warnings. The second command runs the configurations again and
compares them with the recording; it exits with 1 if a single bit differs. Both commands must run on
the same computer, with the same versions of torch, scipy and scikit-learn. ``PYTHONPATH=...``
selects the version of skhybrid.

    python benchmarks/same_fits.py --list
    python benchmarks/same_fits.py --against before.npz --only "ode.*" static.adam --jobs 2

The environment variable SKHYBRID_DATA gives the folder of the measured data.
"""

import argparse
import contextlib
import fnmatch
import functools
import io
import pickle
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.callback import ScoringMonitor
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, VotingRegressor
from sklearn.linear_model import RANSACRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import skhybrid
from skhybrid import ODE, HybridRegressor, HybridSearchCV, LatentODE, Param, Physics
from skhybrid.datasets import (
    fetch_cascaded_tanks,
    fetch_chemostat,
    fetch_light_tunnel,
    forced_pendulum,
    load_lynx_hare,
    make_damped_wave,
    make_pendulum,
    make_pendulum_images,
    make_reaction_diffusion,
    make_wind_tunnel,
    pendulum,
)
from skhybrid.inspection import physics_path
from skhybrid.model_selection import one_standard_error, score_and_physics_params, stable

# Modules below get the same initial weights in all processes.
torch.manual_seed(0)

# Functions without arguments by name; each returns the results of a configuration.
CONFIGURATIONS: dict[str, Callable[[], Mapping]] = {}


def configuration(function):
    """Add a function to the configurations as "<first word>.<other words>"."""
    CONFIGURATIONS[function.__name__.replace("_", ".", 1)] = function
    return function


def family(prefix, cases):
    """Add one configuration per case: the decorated function of the case."""

    def add(function):
        for name, case in cases.items():
            arguments = case if isinstance(case, tuple) else (case,)
            CONFIGURATIONS[f"{prefix}.{name}"] = functools.partial(function, *arguments)
        return function

    return add


# Results of a fit


def facts_of(model, X, y=None, **given):
    """Return a fitted model, its predictions of new samples, and its score if y is given."""
    facts = {"fit": model, "prediction": model.predict(X, **given)}
    if hasattr(model, "predict_parts"):
        facts["parts"] = model.predict_parts(X, **given)
    if y is not None:
        facts["score"] = model.score(X, y)
    return facts


def flat(name: str, value) -> Iterator[tuple[str, np.ndarray]]:
    """Yield all numbers and strings in a value as named arrays, without times.

    For an estimator, the values are its fitted attributes; for a module, its parameters and
    buffers. For other objects, the only value is the name of the type.
    """
    if isinstance(value, torch.nn.Module):
        value = {key: each.detach().cpu().numpy() for key, each in value.state_dict().items()}
    elif isinstance(value, Pipeline):
        value = dict(value.steps)
    elif isinstance(value, BaseEstimator):
        value = {
            key: each
            for key, each in vars(value).items()
            if key.endswith("_") and not key.startswith("_")
        }
    elif isinstance(value, np.ma.MaskedArray) or getattr(value, "dtype", "") == "O":
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(each, (bool, int, float, str)) for each in value):
            value = np.asarray(value)
        else:
            value = dict(enumerate(value))
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not str(key).endswith(("_time", "_time_")):
                yield from flat(f"{name}/{key}", each)
    elif isinstance(value, (np.ndarray, np.generic, bool, int, float, str)):
        yield name, np.asarray(value)
    else:
        yield name, np.asarray(type(value).__name__)


# Tables; the physics explains most of the target


def table(n_rows=90, seed=0):
    """Return features and a target."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.uniform(0.5, 2.5, (n_rows, 2)), columns=["force", "angle"])
    y = 2.0 * X["force"] + 0.5 + 0.4 * np.sin(2.0 * X["angle"]) + 0.02 * rng.normal(size=n_rows)
    return X, y.to_numpy()


X, Y = table()
NEW_X, NEW_Y = table(20, seed=1)
TWO, NEW_TWO = (np.column_stack([y, 1.0 - 0.5 * y**2]) for y in (Y, NEW_Y))
WEIGHT = np.linspace(0.2, 3.0, len(Y)) ** 2
SOME_WEIGHT = WEIGHT * (np.arange(len(Y)) % 9 != 4)


def drive(force, *, gain=1.0, offset=0.1):
    """Return a response proportional to the force."""
    return gain * force + offset


def drive_with(force, angle, *, gain=(1.0, 0.1), offset=0.1):
    """Return a response to both features; one parameter is an array."""
    return gain[0] * force + gain[1] * angle + offset


def drive_table(X, *, gain=(1.0, 0.1), offset=0.1):
    """Multiply by a parameter vector, which must not be repeated for every row."""
    return X @ torch.as_tensor(gain, dtype=X.dtype) + offset


def drive_columns(X, *, gain=1.0, offset=0.1):
    """Return a response that mixes the columns of each row."""
    return gain * (X[:, 0] - X.mean(dim=1)) + offset + X[:, 0]


def drive_branching(force, *, gain=1.0, offset=0.1):
    """Branch on the data, so fits cannot be vectorised."""
    return gain * force + offset if float(force.sum()) > 0 else offset - gain * force


def drive_squared(force, *, gain=1.0):
    """Return a response proportional to the square of the force."""
    return gain * force**2


def drive_two(force, *, gain=(1.0, -1.0), offset=0.1):
    """Return two targets."""
    return torch.stack([gain[0] * force + offset, gain[1] * force**2], dim=-1)


def drive_single(force, *, gain=1.0, offset=0.1):
    """Raise an error in double precision, which least squares needs."""
    if force.dtype == torch.float64:
        raise ValueError("double precision")
    return gain * force + offset


class Doubled(torch.autograd.Function):
    """A function without forward derivatives."""

    @staticmethod
    def forward(context, x):
        return 2.0 * x

    @staticmethod
    def backward(context, gradient):
        return 2.0 * gradient


def drive_doubled(force, *, gain=1.0, offset=0.1):
    """Return a response without forward derivatives."""
    return Doubled.apply(gain * force) + offset


class DriveModule(torch.nn.Module):
    """The physics of :func:`drive` as a module."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(1.0))
        self.offset = torch.nn.Parameter(torch.tensor(0.1))

    def forward(self, force):
        return self.gain * force + self.offset


class Waves(torch.nn.Module):
    """A network with random frequencies that are not trained."""

    def __init__(self):
        super().__init__()
        self.readout = torch.nn.Linear(4, 1)
        self.register_buffer("frequencies", torch.zeros(2, 4))

    def reset_parameters(self):
        self.frequencies = torch.randn(2, 4)

    def forward(self, x):
        return self.readout(torch.sin(x @ self.frequencies))


def layers(*between, n_outputs=1):
    """Return a small network with the given modules between its layers."""
    first, last = torch.nn.Linear(2, 6), torch.nn.Linear(6, n_outputs)
    return torch.nn.Sequential(first, torch.nn.Tanh(), *between, last)


def corrected(x, physics, nn):
    """Give the output of the physics to the network."""
    return physics(x) + nn(x, physics(x))


def saturating(x, physics, nn):
    """Let the network set the saturation of the physics."""
    known = physics(x)
    return known / (1.0 + torch.nn.functional.softplus(nn(x, scale=1.0)) * known.abs())


def regressor(physics=drive, **settings):
    """Return a regressor that trains quickly."""
    settings = {"nn": (8,), "max_epochs": 12, "random_state": 0, "n_threads": 1, **settings}
    return HybridRegressor(physics, **settings)


BOUNDED = Physics(drive, gain=Param(1.0, bounds=(0.0, 5.0)), offset=Param(0.1, bounds=(None, 2.0)))
FIXED = Physics(drive, gain=Param(1.5, bounds=(0.0, None), unit="N"), offset=Param(0.4, fixed=True))
KNOWN = Physics(drive, gain=Param(2.0, fixed=True), offset=Param(0.5, fixed=True))
WEAK = Physics(drive, gain=Param(0.0, fixed=True), offset=Param(0.1, bounds=(0.0, 0.2)))
PENALTIES = {"l2": 1e-3, "functional_norm": 1e-2, "orthogonality": 1e-2}
STOPPING = {"early_stopping": True, "n_iter_no_change": 3, "tol": 1e-3, "max_epochs": 60}

STATIC = {
    "additive": {},
    "multiplicative": {"structure": "multiplicative"},
    "serial": {"structure": "serial", "refine_rho": 0.02},
    "corrected": {"structure": corrected, "n_restarts": 2},
    "saturating": {"structure": saturating},
    "adam": {"optimizer": "adam"},
    "global": {"perturbation": "global", "rho": 0.02},
    "elementwise": {"perturbation": "elementwise"},
    "perturb_all": {"perturb": "all", "n_restarts": 2},
    "float64": {"dtype": "float64", "batch_size": None},
    "small_minibatches": {"batch_size": 7, "max_epochs": 5},
    "auto_epochs": {"batch_size": None, "max_epochs": "auto", "refine_rho": None},
    "rates": {"learning_rate": 0.02, "physics_learning_rate": 0.01},
    "no_radius": {"rho": 0.0},
    "refined_with_radius": {"refine_rho": 0.02},
    "not_refined": {"refine_rho": None},
    "l2": {"l2": 1e-2},
    "functional_norm": {"functional_norm": 1e-2},
    "orthogonality": {"orthogonality": 1e-2},
    "penalties": {**PENALTIES, "structure": "serial", "n_restarts": 2, "dtype": "float64"},
    "penalties_all": {**PENALTIES, "perturb": "all", "perturbation": "elementwise"},
    "restarts": {"n_restarts": 3},
    "restarts_bounded": {"physics": BOUNDED, "n_restarts": 3, "physics_init": "given"},
    "early_stopping": {**STOPPING, "n_restarts": 2},
    "early_stopping_not_refined": {**STOPPING, "refine_rho": None, "validation_fraction": 0.3},
    "given_start": {"physics_init": "given"},
    "features": {"nn_features": ["angle"], "structure": "serial"},
    "features_twice": {"nn_features": ["angle", "angle", "force"]},
    "free": {"nn_extrapolation": "free"},
    "one_layer": {"nn": 5},
    "three_layers": {"nn": (6, 5, 4)},
    "bounded": {"physics": BOUNDED},
    "fixed": {"physics": FIXED},
    "all_fixed": {"physics": KNOWN},
    "module": {"physics": DriveModule(), "n_restarts": 2},
    "array_parameter": {"physics": drive_with, "n_restarts": 2},
    "whole_table": {"physics": drive_table, "n_restarts": 2},
    "columns_mixed": {"physics": drive_columns, "n_restarts": 3},
    "branching": {"physics": drive_branching, "n_restarts": 2},
    "no_forward_derivatives": {"physics": drive_doubled, "n_restarts": 2},
    "no_least_squares": {"physics": drive_single, "n_restarts": 2},
    "network_alone": {"physics": None},
    "network_alone_restarts": {"physics": None, "n_restarts": 2, **PENALTIES, "orthogonality": 0.0},
    "physics_alone": {"nn": None},
    "physics_alone_bounded": {"nn": None, "physics": BOUNDED},
    "physics_alone_module": {"nn": None, "physics": DriveModule(), "n_restarts": 3},
    "own_network": {"nn": layers(torch.nn.LayerNorm(6)), "n_restarts": 2},
    "linear_network": {"nn": torch.nn.Linear(2, 1)},
    "dropout": {"nn": layers(torch.nn.Dropout(0.3))},
    "dropout_restarts": {"nn": layers(torch.nn.Dropout(0.3)), "n_restarts": 2},
    "waves": {"nn": Waves(), "n_restarts": 2},
    "physics_collapses": {"physics": WEAK},
    "strong_l2": {"l2": 1e3, "learning_rate": 0.1},
    "non_finite": {"learning_rate": 1e200, "dtype": "float64", "batch_size": 10, "n_restarts": 2},
    "seed": {"random_state": 7, "n_restarts": 2, "batch_size": 16},
}


@family("static", STATIC)
def fit_table(settings):
    """Fit the table; predict inside and outside of its range."""
    model = regressor(**settings).fit(X, Y)
    return facts_of(model, NEW_X, NEW_Y) | {"outside": model.predict(3.0 * NEW_X)}


MASKED = np.where(np.arange(len(Y)) % 7 == 3, np.nan, Y)
TWO_MASKED = np.where(np.arange(TWO.size).reshape(TWO.shape) % 5 == 3, np.nan, TWO)
MASK = {"missing_targets": "mask"}
PAIRS = {"physics": drive_two}
# Name: (targets, sample weights, settings).
TARGETS = {
    "two": (TWO, None, {**PAIRS, "n_restarts": 2}),
    "two_serial": (TWO, None, {**PAIRS, "structure": "serial", **PENALTIES}),
    "two_alone": (TWO, None, {**PAIRS, "nn": None}),
    "masked": (MASKED, None, {**MASK, "n_restarts": 2}),
    "two_masked": (TWO_MASKED, None, {**PAIRS, **MASK}),
    "weighted": (Y, WEIGHT, {"n_restarts": 2}),
    "some_weighted": (Y, SOME_WEIGHT, {"batch_size": None, "dtype": "float64"}),
    "weighted_alone": (Y, SOME_WEIGHT, {"nn": None}),
    "weighted_stopping": (Y, SOME_WEIGHT, STOPPING),
    "all": (TWO_MASKED, SOME_WEIGHT, {**PAIRS, **MASK, **PENALTIES, "n_restarts": 2}),
}


@family("targets", TARGETS)
def fit_targets(y, weight, settings):
    """Fit other targets and sample weights; the features are an array."""
    model = regressor(**settings).fit(X.to_numpy(), y, sample_weight=weight)
    return facts_of(model, NEW_X.to_numpy(), NEW_TWO if y.ndim == 2 else NEW_Y)


# Warm starts, copies and callbacks


@configuration
def again_with_another_radius():
    model = regressor(warm_start=True).fit(X, Y)
    first = dict(flat("", facts_of(model, NEW_X)))
    return {"first": first} | facts_of(model.set_params(rho=0.1, max_epochs=5).fit(X, Y), NEW_X)


@configuration
def again_with_restarts():
    model = regressor(warm_start=True, n_restarts=2, structure="serial").fit(X, Y)
    return facts_of(model.set_params(max_epochs=4).fit(*table(70, seed=3)), NEW_X)


@configuration
def again_with_a_parameter_fixed():
    model = regressor(warm_start=True, dtype="float64").fit(X, Y)
    held = model.set_params(physics=FIXED).fit(X, Y).predict(NEW_X)
    return facts_of(model.set_params(physics=drive, dtype="float32").fit(X, Y), NEW_X) | {
        "held": held
    }


@configuration
def again_physics_alone():
    return facts_of(regressor(warm_start=True, nn=None).fit(X, Y).fit(*table(50, seed=2)), NEW_X)


@configuration
def again_ode():
    model = ode_regressor({"initial_state": "learned"}, warm_start=True).fit(INITIAL, STATES)
    return facts_of(model.set_params(max_epochs=3).fit(INITIAL, STATES), NEW_INITIAL)


@configuration
def copies_pickled():
    static = regressor(structure="serial", n_restarts=2).fit(X, Y)
    ode = ode_regressor().fit(INITIAL, STATES)
    static, ode = (pickle.loads(pickle.dumps(model)) for model in (static, ode))
    return {
        "table": facts_of(static, NEW_X, NEW_Y),
        "course": facts_of(ode, NEW_INITIAL, NEW_STATES),
    }


@configuration
def copies_cloned():
    model = clone(regressor().fit(X, Y)).set_params(rho=0.1, nn=(4,), random_state=3)
    return facts_of(model.fit(X, Y), NEW_X, NEW_Y)


class StopAfter:
    """A callback that notes the tasks, and stops training after some epochs."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs
        self.seen = []

    def setup(self, estimator, context):
        self.seen.append("setup")

    def teardown(self, estimator, context):
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.seen.append(f"begin {context.task_name} {context.task_id}")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.seen.append(f"end {context.task_name} {context.task_id}")
        if not context.task_name.endswith("epoch"):
            return False
        self.seen.append(repr(float(fitted_estimator.predict(NEW_X)[0])))
        return context.task_id + 1 >= self.n_epochs


@configuration
def callbacks_stop():
    callback = StopAfter(4)
    model = regressor(n_restarts=2).set_callbacks(callback).fit(X, Y)
    return facts_of(model, NEW_X) | {"seen": callback.seen}


@configuration
def callbacks_monitor():
    monitor = ScoringMonitor(scoring="r2")
    model = regressor(max_epochs=5).set_callbacks(monitor).fit(X, Y)
    return facts_of(model, NEW_X)


@configuration
def callbacks_verbose():
    with contextlib.redirect_stdout(io.StringIO()):  # what is printed has times in it
        model = regressor(verbose=1, n_restarts=2).fit(X, Y)
    return facts_of(model, NEW_X)


# Models within other estimators, and searches


def scaled(*, nn_features=None, **settings):
    """Return a pipeline that swaps the columns."""
    transformer = ColumnTransformer(
        [("scaled", StandardScaler(), ["angle"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    return make_pipeline(transformer, regressor(nn_features=nn_features, **settings))


class Chooser(RegressorMixin, BaseEstimator):
    """An estimator that sets a parameter of its inner model."""

    def __init__(self, inner):
        self.inner = inner

    def fit(self, X, y):
        structure = "serial" if self.inner.rho < 0.03 else "multiplicative"
        self.inner_ = clone(self.inner).set_params(structure=structure).fit(X, y)
        return self

    def predict(self, X):
        return self.inner_.predict(X)


class Reader(RegressorMixin, BaseEstimator):
    """An estimator that reads a fitted attribute of its inner model."""

    def __init__(self, inner):
        self.inner = inner

    def fit(self, X, y):
        self.inner_ = clone(self.inner).fit(X, y)
        self.gain_ = self.inner_.physics_params_["gain"]
        return self

    def predict(self, X):
        return self.inner_.predict(X) * self.gain_


def fit_within(name, model, y=Y, new_y=NEW_Y):
    """Add a fit of an estimator that contains the model."""
    CONFIGURATIONS[f"around.{name}"] = lambda: facts_of(clone(model).fit(X, y), NEW_X, new_y)


LOG = {"func": np.log, "inverse_func": np.exp}
NETWORKS = {"hybridregressor__rho": [0.0, 0.05], "hybridregressor__nn": [(4,), None]}
FASTER = regressor(max_epochs=5)
fit_within("pipeline", make_pipeline(StandardScaler(), regressor()))
fit_within("columns", scaled(nn_features=["angle"]))
fit_within("target", TransformedTargetRegressor(regressor(), **LOG))
fit_within("voting", VotingRegressor([("one", regressor()), ("other", regressor(nn=(3,)))]))
fit_within("bagging", BaggingRegressor(FASTER, n_estimators=3, random_state=0))
fit_within("grid_search", GridSearchCV(scaled(), NETWORKS, cv=2))
fit_within("multi_output", MultiOutputRegressor(FASTER), TWO, NEW_TWO)


def squared_error_and_share(model, X, y):
    """Return several scores; missing targets do not count."""
    error = np.nanmean((model.predict(X) - y) ** 2)
    return {"error": -error, "share": model.physics_share_}


BOTH = {"batch_size": 16, "max_epochs": 4}
EXACT = {"batch_size": None, "dtype": "float64", "max_epochs": 5}
RADII = {"rho": [0.02, 0.05]}
TWO_SCORES = {"scoring": ["r2", "neg_max_error"], "refit": "r2", "return_train_score": True}


def search(name, model, grid, y=Y, *, data=X, new=NEW_X, fit=None, **options):
    """Add a search; pass ``options`` to HybridSearchCV and ``fit`` to its ``fit``."""

    def found():
        fitted = HybridSearchCV(clone(model), grid, **{"cv": 3, **options})
        fitted.fit(data, y, **(fit or {}))
        if fitted.refit is False:
            return {"fit": fitted}
        # The score needs one target without missing values.
        scored = y is Y and not callable(fitted.refit)
        return facts_of(fitted, new, NEW_Y if scored else None)

    CONFIGURATIONS[f"search.{name}"] = found


def search_within(name, model, *parameters, cv=2):
    """Add a search over two values of parameters of a model within another estimator."""
    search(name, model, {key: [0.02, 0.05] for key in parameters}, cv=cv)


SMALL = regressor(**BOTH)
SECOND = {"rho": [0.05, 0.1], "refine_rho": [0.0, 0.02]}
search("radii", SMALL, [SECOND, {"rho": [0.0]}, {"refine_rho": [None]}])
search("radii_and_l2", SMALL, {"rho": [0.0, 0.02, 0.1], "l2": [0.0, 1e-2]})
search("exact", regressor(**EXACT), {"rho": [0.02, 0.1], "l2": [0.0, 1e-2]}, **TWO_SCORES)
search("penalties", SMALL, [{name: [0.0, value]} for name, value in PENALTIES.items()])
search("rates", SMALL, {"learning_rate": [0.02, 0.01], "physics_learning_rate": [None, 0.0]})
search("bounded", regressor(BOUNDED, physics_init="given", **BOTH), {"n_restarts": [1, 3]})
search("starts", SMALL, {"physics_init": ["given", "least_squares"], "random_state": [1, 2]})
search("features", regressor(**BOTH, l2=1e-3), {"nn_features": [None, ["angle"], ["force"] * 2]})
search("structures", SMALL, {"structure": ["multiplicative", "serial", corrected]}, cv=2)
search("networks", SMALL, {"nn": [(6,), (4, 3), 5, None, layers()]}, cv=2)
search("physics", SMALL, {"physics": [BOUNDED, FIXED, None, drive_squared, DriveModule()]}, cv=2)
search("adam", SMALL, {"optimizer": ["adam", "sam"], "batch_size": [None, 8]}, cv=2)
search("perturb", SMALL, {"perturbation": ["global", "elementwise"], "perturb": ["all", "nn"]})
search("uneven", regressor(batch_size=7, max_epochs=3), RADII, cv=7, max_members=5)
search("stopping", regressor(**STOPPING, batch_size=16), {"validation_fraction": [0.1, 0.3]})
search("some_stop", regressor(**{**STOPPING, **BOTH}), {"early_stopping": [True, False]})
search("weights", SMALL, RADII, fit={"sample_weight": SOME_WEIGHT})
search("groups", SMALL, RADII, cv=GroupKFold(4), fit={"groups": np.arange(len(Y)) % 5 % 4})
search("one_standard_error", SMALL, {"rho": [0.0, 0.05, 0.2]}, refit=one_standard_error("rho"))
STABLE = {"refit": stable("rho"), "scoring": score_and_physics_params}
search("stable", regressor(**BOTH, n_restarts=2), {"rho": [0.0, 0.05, 0.2]}, **STABLE)
search("nothing_refitted", SMALL, RADII, refit=False, scoring=["r2", "neg_max_error"])
search("seeded", regressor(random_state=None, **BOTH), RADII, random_state=3)
search("columns_mixed", regressor(drive_columns, **BOTH), {**RADII, "l2": [1e-3]})
search("whole_table", regressor(drive_table, **BOTH), RADII)
search("branching", regressor(drive_branching, **BOTH), RADII, max_members=2)
search("some_fail", SMALL, {"nn_features": [["angle"], ["nothing"]]}, error_score=-7.0)
search("some_diverge", regressor(**EXACT), {"learning_rate": [1e-2, 1e200]})
search("dropout", regressor(nn=layers(torch.nn.Dropout(0.2)), **BOTH), RADII)
search("waves", regressor(nn=Waves(), **BOTH), {"random_state": [0, 1]})

UNEVEN = {"batch_size": 7, "max_epochs": 3}
MISSING = {"scoring": squared_error_and_share, "refit": "error", "cv": 4}
search("two", regressor(drive_two, **UNEVEN), RADII, TWO, cv=4)
search("masked", regressor(**MASK, **UNEVEN), RADII, MASKED, **MISSING)
search("two_masked", regressor(drive_two, **MASK, **UNEVEN), RADII, TWO_MASKED, **MISSING)

STEPS = Pipeline([("scale", StandardScaler()), ("model", SMALL)])
OTHER = {"scale": ["passthrough"], "model": [regressor(nn=(3,), **BOTH)]}
VOTES = VotingRegressor([("one", SMALL), ("other", regressor(nn=(3,), **BOTH))])
BAG = BaggingRegressor(SMALL, n_estimators=2, random_state=0)
ROBUST = RANSACRegressor(SMALL, min_samples=30, max_trials=2, random_state=0)
WITHIN = HybridSearchCV(SMALL, {"rho": [0.5, 0.0]}, cv=2)
search("pipeline", STEPS, [{"scale__with_mean": [True, False], "model__rho": [0.02]}, OTHER])
search_within("columns", scaled(nn_features=["angle"], **BOTH), "hybridregressor__rho", cv=4)
search_within("target", TransformedTargetRegressor(SMALL, **LOG), "regressor__rho", "regressor__l2")
search_within("voting", VOTES, "one__rho")
search_within("bagging", BAG, "estimator__rho")
search_within("ransac", ROBUST, "estimator__rho")
search_within("chooser", Chooser(SMALL), "inner__rho", "inner__l2")
search_within("reader", Reader(SMALL), "inner__rho")
search_within("within_a_search", WITHIN, "estimator__learning_rate")
search("multi_output", MultiOutputRegressor(SMALL), {"estimator__rho": [0.02, 0.05]}, TWO)


@configuration
def search_with_callback():
    callback = StopAfter(2)
    model = regressor(**BOTH).set_callbacks(callback)
    return facts_of(HybridSearchCV(model, RADII, cv=2).fit(X, Y), NEW_X) | {"seen": callback.seen}


# Settings that are "auto"

FEW, FEW_Y = table(50)
AUTO = {
    "rho": {"rho": "auto"},
    "refine_rho": {"refine_rho": "auto", "batch_size": 10},
    "l2": {"l2": "auto"},
    "functional_norm": {"functional_norm": "auto"},
    "orthogonality": {"orthogonality": "auto"},
    "nn_features": {"nn_features": "auto", "max_epochs": 30},
    "network_alone": {"physics": None, "rho": "auto"},
    "branching": {"physics": drive_branching, "refine_rho": "auto", "batch_size": 20},
    "rho_and_more": {"rho": "auto", "nn_features": "auto", "l2": "auto", "refine_rho": "auto"},
}


@family("auto", AUTO)
def choose(settings):
    """Fit the table with settings that are "auto"."""
    with contextlib.redirect_stdout(io.StringIO()):  # what is printed has times in it
        model = regressor(**{"max_epochs": 3, "verbose": 1, **settings}).fit(FEW, FEW_Y)
    return facts_of(model, NEW_X, NEW_Y)


AUTO_ODES = {
    "rho": {"rho": "auto"},
    "nn_features": {"nn_features": "auto"},
    "l2": {"l2": "auto", "refine_rho": "auto", "n_restarts": 2},
}


@family("auto_course", AUTO_ODES)
def choose_for_ode(settings):
    """Fit trajectories with settings that are "auto"."""
    return facts_of(ode_regressor(max_epochs=1, **settings).fit(INITIAL, STATES), NEW_INITIAL)


PATHS = {
    "rho": {"param_range": [0.0, 0.05, 0.2], "cv": 3, "n_restarts": 2},
    "refine_rho": {"param_name": "refine_rho", "param_range": [0.0, 0.05], "cv": 2},
    "l2": {"param_name": "l2", "param_range": [0.0, 1e-2]},
    "shuffled": {"param_range": [0.05], "cv": KFold(3, shuffle=True, random_state=0)},
    "weighted": {"param_range": [0.0, 0.05], "sample_weight": SOME_WEIGHT, "n_restarts": 1},
}


@family("path", PATHS)
def follow(options):
    """Return the physics parameters along a path of another setting."""
    return physics_path(regressor(physics=drive_with, max_epochs=4, batch_size=30), X, Y, **options)


# Differential equations

PENDULUM = make_pendulum(10, n_times=10, random_state=0)
INITIAL, STATES, DT = PENDULUM.data, PENDULUM.target, PENDULUM.dt
NEW_INITIAL, NEW_STATES = make_pendulum(3, n_times=10, random_state=1, return_X_y=True)
NOISY = make_pendulum(10, n_times=10, noise=0.3, random_state=0).target
HOLES = np.where(np.random.default_rng(0).uniform(size=STATES.shape) < 0.1, np.nan, STATES)
BOUNDED_PENDULUM = Physics(pendulum, omega2=Param(0.5, bounds=(0.0, None), unit="s^-2"))


def ode_regressor(structure=None, **settings):
    """Return a regressor for trajectories of a pendulum that trains quickly."""
    ode = ODE(**{"dt": DT, "window": 3, **(structure or {})})
    settings = {"physics": pendulum, "max_epochs": 4, "batch_size": 32, **settings}
    return regressor(structure=ode, **settings)


def spring(t, state, *, stiffness=1.5, damping=(0.1, 0.2)):
    """Return the rates of an oscillator; its damping has two parts."""
    position, speed = state.unbind(-1)
    force = -stiffness * position - damping[0] * speed - damping[1] * speed**3
    return torch.stack([speed, force], dim=-1)


def rotating(t, state, *, matrix=((-0.1, 1.0), (-1.0, -0.1))):
    """Multiply by a matrix of parameters."""
    return state @ torch.as_tensor(matrix, dtype=state.dtype).T


def only_acceleration(t, state, physics, nn):
    """Add the network to the acceleration only."""
    return physics(t, state) + nn(t, state) * state.new_tensor([0.0, 1.0])


ADAPTIVE = {"max_epochs": 1, "batch_size": None, "refine_rho": None}
# Name: (settings of the structure, settings of the regressor).
ODES = {
    "windows": ({}, {}),
    "auto_window": ({"window": "auto"}, {}),
    "whole": ({"window": None}, {"batch_size": 4}),
    "growing_windows": ({"window": (2, 4)}, {}),
    "restarts": ({}, {"n_restarts": 3, "physics": BOUNDED_PENDULUM, "physics_init": "given"}),
    "float64": ({}, {"dtype": "float64", "batch_size": None, "n_restarts": 2}),
    "penalties": ({}, {**PENALTIES, "n_restarts": 2}),
    "stopping": ({}, {**STOPPING, "max_epochs": 10, "validation_fraction": 0.25}),
    "adam": ({}, {"optimizer": "adam"}),
    "perturb_all": ({}, {"perturb": "all", "perturbation": "elementwise"}),
    "euler": ({"method": "euler", "substeps": 3}, {}),
    "midpoint": ({"method": "midpoint", "substeps": 2}, {"n_restarts": 2}),
    "dopri5": ({"method": "dopri5"}, ADAPTIVE),
    "bosh3_restarts": ({"method": "bosh3"}, {**ADAPTIVE, "n_restarts": 2}),
    "adjoint": ({"method": "dopri5", "adjoint": True, "window": 2}, ADAPTIVE),
    "implicit_adams": ({"method": "implicit_adams"}, ADAPTIVE),
    "learned": ({"initial_state": "learned", "window": 4, "continuity": 0.5}, {}),
    "learned_restarts": ({"initial_state": "learned"}, {"n_restarts": 2, "batch_size": None}),
    "learned_stopping": ({"initial_state": "learned"}, {**STOPPING, "max_epochs": 10}),
    "multiply": ({"join": "multiply"}, {}),
    "own_join": ({"join": only_acceleration}, {"n_restarts": 2}),
    "features": ({"state_names": ["angle", "velocity"]}, {"nn_features": ["velocity", "time"]}),
    "free": ({}, {"nn_extrapolation": "free", "nn_features": [1]}),
    "own_network": ({}, {"nn": layers(n_outputs=2)}),
    "arrays": ({}, {"physics": spring, "n_restarts": 2}),
    "matrix": ({}, {"physics": rotating, "n_restarts": 2}),
    "time": ({}, {"physics": Physics(forced_pendulum, frequency=Param(1.0, fixed=True))}),
    "network_alone": ({}, {"physics": None}),
    "physics_alone": ({"window": None}, {"nn": None}),
    "physics_alone_bounded": ({}, {"nn": None, "physics": BOUNDED_PENDULUM, "dtype": "float64"}),
    "physics_alone_learned": ({"initial_state": "learned"}, {"nn": None}),
    "physics_alone_dopri5": ({"method": "dopri5", "window": None}, {"nn": None}),
}


@family("ode", ODES)
def fit_ode(structure, settings):
    """Fit trajectories; predict at the same and at other times."""
    model = ode_regressor(structure, **settings).fit(INITIAL, STATES)
    return facts_of(model, NEW_INITIAL, NEW_STATES) | {
        "other times": model.predict(NEW_INITIAL, times=[0.1, 0.7, 3.0]),
        "rates": model.predict_rates(NEW_INITIAL, times=0.5),
    }


WEIGHTS = np.array([1.0, 0.0, 2.0, 1.0, 0.5, 1.0, 0.0, 1.0, 3.0, 1.0])
LENGTHS = [states[: 4 + 2 * (number % 3)] for number, states in enumerate(STATES)]
IRREGULAR = np.cumsum(np.random.default_rng(1).uniform(0.2, 0.6, (10, 10)), axis=1)
# Name: (initial states, later states, weights, settings of the structure and of the regressor).
TRAJECTORIES = {
    "holes": (INITIAL, HOLES, None, {}, MASK),
    "holes_whole": (INITIAL, HOLES, None, {"window": None}, {**MASK, "n_restarts": 2}),
    "holes_learned": (INITIAL, HOLES, None, {"initial_state": "learned"}, MASK),
    "holes_alone": (INITIAL, HOLES, None, {"window": None}, {**MASK, "nn": None}),
    "noisy": (INITIAL, NOISY, None, {"window": "auto"}, {}),
    "weighted": (INITIAL, STATES, WEIGHTS, {}, {"n_restarts": 2}),
    "weighted_learned": (INITIAL, STATES, WEIGHTS, {"initial_state": "learned"}, {}),
    "lengths": (list(INITIAL), LENGTHS, None, {}, {"n_restarts": 2}),
    "lengths_whole": (list(INITIAL), LENGTHS, None, {"window": None}, {}),
    "lengths_learned": (list(INITIAL), LENGTHS, None, {"initial_state": "learned"}, {}),
    "named": (pd.DataFrame(INITIAL, columns=["a", "b"]), STATES, None, {}, {"nn_features": ["b"]}),
    "irregular": (INITIAL, STATES, None, {"dt": None, "times": IRREGULAR[0]}, {}),
    "irregular_each": (INITIAL, STATES, None, {"dt": None, "times": list(IRREGULAR)}, {}),
}


@family("course", TRAJECTORIES)
def fit_trajectories(initial, states, weight, structure, settings):
    """Fit trajectories with gaps, noise, weights, several lengths, names or irregular times."""
    model = ode_regressor(structure, **settings).fit(initial, states, sample_weight=weight)
    named = hasattr(initial, "columns")
    new = pd.DataFrame(NEW_INITIAL, columns=["a", "b"]) if named else NEW_INITIAL
    return facts_of(model, new, times=0.5 * np.arange(1, 6))


def search_ode(name, grid, structure=None, y=STATES, **settings):
    """Add a search over trajectories."""
    data = {"data": list(INITIAL), "new": NEW_INITIAL, "cv": KFold(2)}
    model = ode_regressor(structure, **{"max_epochs": 2, **settings})
    search(f"course_{name}", model, grid, y, **data)


SEVERAL = {"rho": [0.02, 0.05], "structure__continuity": [0.1, 1.0]}
search_ode("radii", {"rho": [0.0, 0.05], "l2": [0.0, 1e-2]})
search_ode("windows", {"structure__window": [1, 3, [2, 3], None]})
search_ode("learned", SEVERAL, {"initial_state": "learned"}, refine_rho=None)
search_ode("features", {"nn_features": [None, [0], [1, "time"]]})
search_ode("joins", {"structure__join": ["multiply", only_acceleration]})
search_ode("bosh3", RADII, {"method": "bosh3"}, **ADAPTIVE)
search_ode("stopping", {"learning_rate": [1e-3, 0.02]}, **{**STOPPING, "max_epochs": 6})
search_ode("restarts", {"physics": [pendulum, spring]}, n_restarts=2)
search_ode("lengths", RADII, y=LENGTHS, batch_size=5)


@configuration
def path_ode():
    model = ode_regressor(max_epochs=1)
    return physics_path(model, INITIAL, STATES, param_range=[0.0, 0.1], cv=2, n_restarts=2)


def relaxing(t, state, *, rate=20.0):
    """Return the rate of a state that follows a cosine; a larger rate is faster."""
    return -rate * (state - torch.cos(t)[:, None])


@family("stiff", {"bdf": ("bdf", (4,)), "radau": ("radau", None)})
def fit_stiff(method, nn):
    """Fit a stiff equation with an implicit method."""
    first, times = np.array([[0.0], [1.0], [2.0]]), 0.5 * np.arange(1, 5)
    slow = (2500 * np.cos(times) + 50 * np.sin(times)) / 2501
    states = np.repeat(slow[None, :, None], 3, axis=0)
    structure = ODE(dt=0.5, method=method, window=2)
    model = regressor(relaxing, structure=structure, nn=nn, **ADAPTIVE).fit(first, states)
    return facts_of(model, first[:2] + 0.5)


# Records of inputs and outputs


def oscillator(t, state, inputs, *, stiffness=1.0, damping=0.5):
    """Return the rates of an oscillator that one input drives."""
    position, speed = state.unbind(-1)
    return torch.stack([speed, inputs[:, 0] - stiffness * position - damping * speed], dim=-1)


def position(state):
    """Observe the position only."""
    return state[:, :1]


def position_in_units(state, *, unit=1.0):
    """Observe the position in an unknown unit."""
    return unit * state[:, :1]


def oscillator_in_units(t, state, inputs, *, stiffness=1.0, damping=0.5, unit=1.0):
    """Return the rates of an oscillator that is observed in its own unit."""
    return oscillator(t, state, inputs, stiffness=stiffness, damping=damping)


def records(n_records=3, n_times=40, seed=0):
    """Return inputs, and the positions of an oscillator that the inputs drive."""
    rng = np.random.default_rng(seed)
    drives, place, speed = rng.normal(size=(n_records, n_times)), np.zeros(n_records), 0.0
    positions = np.empty((n_records, n_times))
    for step in range(n_times):
        positions[:, step] = place
        speed = speed + 0.1 * (drives[:, step] - 3.0 * place - 0.2 * speed**3)
        place = place + 0.1 * speed
    return drives[..., None], (positions + 0.001 * rng.normal(size=positions.shape))[..., None]


SEEN = {"dt": 0.1, "inputs": "hold", "observe": position, "n_states": 2, "window": 8}
RECORDS = {
    "hold": (SEEN, {}),
    "linear": ({**SEEN, "inputs": "linear", "method": "midpoint"}, {"n_restarts": 2}),
    "output": ({**SEEN, "correct": "output"}, {"refine_rho": 0.02}),
    "unit": ({**SEEN, "observe": position_in_units}, {"physics": oscillator_in_units}),
    "guess": ({**SEEN, "state_guess": [0.1, 0.0], "n_initial": 4}, {"nn": None}),
    "features": (SEEN, {"nn_features": ["state_1", "input_0"], "dtype": "float64"}),
    "alone": ({**SEEN, "window": None}, {"nn": None}),
    "network_alone": ({**SEEN, "observe": None, "n_states": None}, {"physics": None}),
}


@family("records", RECORDS)
def fit_records(structure, settings):
    """Fit records; predict new ones from the mean, given and estimated initial states."""
    settings = {"physics": oscillator, "max_epochs": 6, "batch_size": None, **settings}
    model = regressor(structure=ODE(**structure), **settings).fit(*records())
    inputs, outputs = records(2, 20, seed=1)
    states = np.zeros((2, 2 if model.structure.observe else 1))
    return facts_of(model, inputs, outputs) | {
        "given": model.predict(inputs, initial_states=states),
        "estimated": model.predict(inputs, first_outputs=outputs[:, :5]),
        "rates": model.predict_rates(states, inputs=inputs[:, 0]),
    }


@configuration
def records_with_a_column_of_times():
    inputs, outputs = records()
    times = np.cumsum(np.random.default_rng(0).uniform(0.08, 0.12, inputs.shape[:2]), axis=1)
    columns = np.concatenate([times[..., None], inputs], axis=2)
    frames = [pd.DataFrame(each, columns=["time", "drive"]) for each in columns]
    structure = ODE(**{**SEEN, "dt": None, "times": "time"})
    model = regressor(oscillator, structure=structure, max_epochs=4).fit(frames, outputs)
    return facts_of(model, frames[:2], outputs[:2])


@configuration
def records_search():
    structure = ODE(**SEEN, n_initial=0)
    model = regressor(oscillator, structure=structure, max_epochs=3, physics_init="given")
    search = HybridSearchCV(model, {"rho": [0.02, 0.05], "structure__window": [5, 8]}, cv=3)
    return facts_of(search.fit(*records()), records(2, 20, seed=1)[0])


@configuration
def records_cascaded_tanks():
    data = fetch_cascaded_tanks()
    levels = {f"k{i}": Param(0.05, bounds=(0, None)) for i in (1, 2, 3)}
    seen = {"dt": data.dt, "inputs": "hold", "observe": data.observe, "n_states": 2}
    more = {"state_guess": (5.0, 5.0), "window": 16, "continuity": 10.0, "method": "euler"}
    physics = Physics(data.physics, **levels, k4=Param(0.05, fixed=True))
    model = regressor(physics, structure=ODE(**seen, **more), max_epochs=4)
    model.fit(data.data[:, :256], data.target[:, :256])
    return facts_of(model, data.data_test[:, :100], data.target_test[:, :100])


@configuration
def records_wind_tunnel():
    data = make_wind_tunnel(6, 20, random_state=0)
    seen = {"dt": data.dt, "inputs": "hold", "observe": data.observe, "n_states": 2}
    structure = ODE(**seen, correct="output", corrected=[2], window=5, method="midpoint")
    model = regressor(data.physics, structure=structure, max_epochs=5).fit(data.data, data.target)
    return facts_of(model, data.data[:2, :8], initial_states=data.target[:2, 0, :2])


@configuration
def records_chemostat():
    data = fetch_chemostat(as_frame=False)
    inputs = [np.column_stack([data.times[i], data.data[i]])[:40] for i in (2, 3)]
    known = {"half_nitrogen": Param(4.3, fixed=True), "dilution": Param(0.55, fixed=True)}
    physics = Physics(data.physics, grazing=Param(0.18, bounds=(0.01, 2.0)), **known)
    settings = {"initial_state": "learned", "window": 5, "method": "midpoint", "substeps": 4}
    structure = ODE(times=0, inputs="hold", **settings)
    model = regressor(physics, structure=structure, max_epochs=3, missing_targets="mask")
    model.fit(inputs, [data.target[i][:40] for i in (2, 3)])
    return facts_of(model, [each[:6] for each in inputs], initial_states=model.initial_states_)


@configuration
def records_lynx_hare():
    pelts = load_lynx_hare()
    structure = ODE(dt=1.0, substeps=2, window=5, initial_state="learned", continuity=10.0)
    model = regressor(pelts.physics, structure=structure, max_epochs=10)
    model.fit(pelts.data, pelts.target)
    return facts_of(model, model.initial_states_)


# Fields and images


def convolutions():
    """Return a network of one 3 × 3 and one 1 × 1 convolution."""
    first = torch.nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular")
    return torch.nn.Sequential(first, torch.nn.SiLU(), torch.nn.Conv2d(4, 2, 1))


def conduction(t, state, *, rate=0.5):
    """Return the rates of diffusion along a ring."""
    return rate * (state.roll(1, -1) + state.roll(-1, -1) - 2.0 * state)


FIELDS = {
    "points": (make_reaction_diffusion, 4, {"nn": (6,)}),
    "convolutions": (make_reaction_diffusion, 4, {"nn": convolutions()}),
    "restarts": (make_reaction_diffusion, 3, {"nn": (4,), "n_restarts": 2}),
    "wave": (make_damped_wave, 3, {"nn": (4,)}),
    "alone": (make_reaction_diffusion, 4, {"nn": None}),
}


@family("fields", FIELDS)
def fit_fields(make, n_times, settings):
    """Fit fields in windows of one step."""
    data = make(2, n_times=n_times, random_state=0)
    settings = {"max_epochs": 2, "rho": 0.01, "refine_rho": None, **settings}
    model = regressor(data.physics, structure=ODE(dt=data.dt, window=1), **settings)
    return facts_of(model.fit(data.data, data.target), data.data[:1])


@configuration
def fields_on_a_ring():
    first = np.random.default_rng(0).normal(size=(6, 2, 5))
    states = first[:, None] * np.exp(-0.2 * np.arange(1, 7))[:, None, None]
    network = torch.nn.Conv1d(2, 2, 3, padding=1)
    model = regressor(conduction, structure=ODE(dt=0.1), nn=network, n_restarts=2, max_epochs=4)
    search = HybridSearchCV(model, RADII, cv=2)
    return facts_of(search.fit(first, states), first[:2])


ENCODER = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2 * 36, 2))
IMAGES = {
    "windows": ({}, {}),
    "restarts": ({"window": 3}, {"n_restarts": 2, "l2": 1e-4, "functional_norm": 1e-3}),
    "own_join": ({"join": only_acceleration}, {"nn_features": [1], "refine_rho": 0.0}),
    "encoder": ({"encoder": ENCODER, "window": 2}, {"optimizer": "adam"}),
    "network_alone": ({"window": (2, 4)}, {"physics": None}),
    "stopping": ({"window": 2}, {**STOPPING, "max_epochs": 5, "validation_fraction": 0.3}),
}


def image_regressor(structure, **settings):
    """Return a regressor for images of a pendulum, and the images."""
    film = make_pendulum_images(8, n_context=2, n_times=8, size=6, random_state=0)
    latent = LatentODE(**{"encoder": 5, "decoder": 5, "n_states": 2, "dt": film.dt, **structure})
    settings = {"physics": film.physics, "nn": (3,), "max_epochs": 4, **settings}
    return regressor(structure=latent, **settings), film


@family("images", IMAGES)
def fit_images(structure, settings):
    """Fit images of a pendulum."""
    model, film = image_regressor(structure, **settings)
    return facts_of(model.fit(film.data, film.target), film.data[:2], film.target[:2])


@configuration
def images_search():
    model, film = image_regressor({"window": 3}, max_epochs=2)
    search = HybridSearchCV(model, {"rho": [0.02, 0.05]}, cv=2)
    return facts_of(search.fit(film.data, film.target), film.data[:2])


@configuration
def data_light_tunnel():
    tunnel = fetch_light_tunnel()
    model = regressor(tunnel.physics, n_restarts=2, nn=(16,), max_epochs=10)
    model.fit(tunnel.data[:300], tunnel.target[:300])
    return facts_of(model, tunnel.data[300:340], tunnel.target[300:340])


# Runs and comparisons


def run(name: str) -> tuple[dict[str, np.ndarray] | None, float, str]:
    """Return the facts of a configuration (None after an error), the seconds and the error."""
    began = time.perf_counter()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # torch shows each deprecation warning only once per process.
            warnings.simplefilter("ignore", DeprecationWarning)
            facts = dict(flat("", CONFIGURATIONS[name]()))
    except Exception as error:
        return None, time.perf_counter() - began, f"{type(error).__name__}: {error}"
    counts = Counter(each.category.__name__ for each in caught)
    facts |= flat("/warnings", counts)
    facts = {key.removeprefix("/"): value for key, value in facts.items()}
    return facts, time.perf_counter() - began, ""


def difference(before: np.ndarray, now: np.ndarray) -> str:
    """Return the difference of two arrays as text; it is empty if all bits are the same."""
    if before.dtype != now.dtype or before.shape != now.shape:
        if before.dtype.kind != "U" or now.dtype.kind != "U":
            return f"{before.dtype}{before.shape} before, {now.dtype}{now.shape} now"
    elif before.tobytes() == now.tobytes():
        return ""
    if before.dtype.kind not in "fiub":
        return f"{before.tolist()!r:.60} before, {now.tolist()!r:.60} now"
    before, now = before.astype(float), now.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.abs(now - before) / np.maximum(np.abs(before), np.abs(now))
    relative = np.where(np.isfinite(before) & np.isfinite(now), np.nan_to_num(relative), np.inf)
    relative[(before == now) | (np.isnan(before) & np.isnan(now))] = 0.0
    return f"up to {relative.max():.1e} relative"


def differences(before: Mapping[str, np.ndarray], now: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return all differences by name."""
    found = dict.fromkeys(before.keys() - now.keys(), "before only")
    found |= dict.fromkeys(now.keys() - before.keys(), "now only")
    for name in before.keys() & now.keys():
        if text := difference(before[name], now[name]):
            found[name] = text
    return dict(sorted(found.items()))


def selected(patterns: list[str] | None) -> list[str]:
    """Return the names that match a pattern; None returns all names."""
    if patterns is None:
        return list(CONFIGURATIONS)
    for pattern in patterns:
        if not fnmatch.filter(CONFIGURATIONS, pattern):
            raise SystemExit(f"No configuration matches {pattern!r}; --list prints all names.")
    return [name for name in CONFIGURATIONS if any(fnmatch.fnmatch(name, p) for p in patterns)]


def read(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return the facts of a recording by configuration and name."""
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(path) as file:
        for key in file.files:
            name, fact = key.split("/", 1)
            found.setdefault(name, {})[fact] = file[key]
    return found


def main() -> int:
    """Record or compare from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--output", type=Path, help="file to record to")
    what.add_argument("--against", type=Path, help="recording to compare with")
    what.add_argument("--list", action="store_true", help="print the names of the configurations")
    parser.add_argument("--only", nargs="+", metavar="NAME", help='names or patterns like "ode.*"')
    parser.add_argument("--jobs", type=int, default=1, help="number of processes")
    arguments = parser.parse_args()
    names = selected(arguments.only)
    if arguments.list:
        print(*names, sep="\n")
        return 0
    print(f"{Path(skhybrid.__file__).parent}, torch {torch.__version__}", flush=True)
    before = {} if arguments.against is None else read(arguments.against)
    recorded, n_different, began = {}, 0, time.perf_counter()
    parallel = joblib.Parallel(n_jobs=arguments.jobs, batch_size=1, return_as="generator")
    outcomes = parallel(joblib.delayed(run)(name) for name in names)
    for name, (facts, seconds, error) in zip(names, outcomes, strict=True):
        lines = {"fails": error} if error else {}
        if facts is not None and arguments.against is not None:
            lines = differences(before.get(name, {}), facts)
        n_different += bool(lines)
        verdict = "recorded" if arguments.output is not None else "same"
        print(f"{name:40} {seconds:5.1f} s  {f'{len(lines)} differ' if lines else verdict}")
        for fact, text in lines.items():
            print(f"    {fact}: {text}", flush=True)
        recorded |= {f"{name}/{fact}": value for fact, value in (facts or {}).items()}
    missing = [] if arguments.only else sorted(before.keys() - CONFIGURATIONS.keys())
    for name in missing:
        print(f"{name:40} is only in the recording")
    if arguments.output is not None:
        np.savez_compressed(arguments.output, **recorded)
    print(
        f"{len(names)} configurations in {time.perf_counter() - began:.0f} s; {n_different} differ"
    )
    return int(bool(n_different or missing))


if __name__ == "__main__":
    # Import by name: other processes and pickles need the name of the module.
    from same_fits import main

    raise SystemExit(main())
