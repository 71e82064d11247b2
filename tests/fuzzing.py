"""Fuzzed fits: case N is always the same mixture of odd data, options, physics and networks.

Every case must end within :data:`LIMIT` seconds of processor time, either in a fitted model whose
predictions are finite, or in an error of this package, a ValueError or a TypeError, with a message
of more than one word. Settings and data stay as they were. After an error the estimator has no new
attributes, and an earlier fit still predicts the same.
"""

from __future__ import annotations

import contextlib
import copy
import io
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse
import torch
from fuzz_arrays import WEIGHTS, changed, pick
from fuzz_models import BASES, NETWORKS, odd_physics
from fuzz_options import (
    CHECKPOINTS,
    JOINS,
    OBSERVATIONS,
    ODE_OPTIONS,
    SETTINGS,
    STRUCTURES,
    pick_option,
)
from sklearn.base import BaseEstimator

from skhybrid import ODE, HybridRegressor, HybridSearchCV, LatentODE, Physics
from skhybrid.exceptions import DivergenceWarning

KINDS = ("table", "ode", "records", "images")
SEED = 20
LIMIT = 20.0


class OutOfTime(BaseException):
    """The case takes longer than :data:`LIMIT`."""


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes
    ----------
    end : str
        "fitted", the class of an error, or "bad".
    text : str
        The message of the error, or what is wrong.
    """

    end: str
    text: str = ""

    @property
    def bad(self) -> bool:
        return self.end == "bad"


@dataclass
class Case:
    """One mixture. ``changes`` says what is odd; ``make`` builds the estimator."""

    number: int
    kind: str
    search: bool = False
    changes: list[str] = field(default_factory=list)
    X: object = None
    y: object = None
    weight: object = None
    physics: Callable[[], object] | None = None
    settings: dict = field(default_factory=dict)
    structure: dict = field(default_factory=dict)
    grid: dict = field(default_factory=dict)
    checkpoint: Callable[[Path], object] | None = None
    good: tuple = ()
    then: dict = field(default_factory=dict)
    refit: bool = False

    def make(self, folder: Path) -> BaseEstimator:
        """Return the estimator, or raise what its parts raise when they are built."""
        settings = dict(self.settings)
        if self.kind != "table" and "structure" not in settings:
            settings["structure"] = (LatentODE if self.kind == "images" else ODE)(**self.structure)
        if self.checkpoint is not None:
            settings["checkpoint"] = self.checkpoint(folder)
        physics = BASES[self.kind] if self.physics is None else self.physics()
        model = HybridRegressor(physics, **settings)
        return HybridSearchCV(model, self.grid, cv=2) if self.search else model


def make_data(kind: str, rng: np.random.Generator) -> tuple[object, np.ndarray]:
    """Return X and y that nothing is wrong with."""
    if kind == "table":
        X = pd.DataFrame(rng.uniform(0.5, 2.0, (24, 3)), columns=["force", "angle", "wind"])
        return X, (1.7 * X["force"] + 0.2 * np.sin(3.0 * X["angle"])).to_numpy()
    n, t = 5, 0.1 * np.arange(1.0, 9.0)
    phase, size = rng.uniform(0.0, 6.0, (n, 1)), rng.uniform(0.5, 1.5, (n, 1))
    position, speed = size * np.cos(1.2 * t + phase), -1.2 * size * np.sin(1.2 * t + phase)
    states = np.stack([position, speed], axis=2) + 0.01 * rng.normal(size=(n, 8, 2))
    if kind == "ode":
        return np.concatenate([size * np.cos(phase), -1.2 * size * np.sin(phase)], 1), states
    if kind == "records":
        return rng.uniform(0.0, 1.0, (n, 8, 1)), states
    place = np.arange(3.0)
    x, v = states[..., :1, None], states[..., 1:, None]
    films = np.exp(-((place[:, None] - 1.0 - x) ** 2)) * np.exp(-((place - 1.0 - v) ** 2))
    return films[:, :2], films[:, 2:]


STRUCTURE_OF = {
    "table": {},
    "ode": {"dt": 0.1},
    "records": {"dt": 0.1, "inputs": "hold"},
    "images": {"dt": 0.1, "n_states": 2, "encoder": (4,), "decoder": (4,), "window": 3},
}
N_INPUTS = {"table": 3, "ode": 2, "records": 3, "images": 2}


def make_case(number: int) -> Case:
    """Return case ``number``."""
    rng = np.random.default_rng([SEED, number])
    kind = KINDS[number % len(KINDS)]
    X, y = make_data(kind, rng)
    if kind == "table" and rng.uniform() < 0.4:
        X = X.to_numpy()
    case = Case(number, kind, X=X, y=y, good=(copy.copy(X), y.copy()))
    case.settings = {
        "nn": (4,),
        "max_epochs": int(rng.integers(1, 4)),
        "random_state": int(rng.integers(100)),
        "refine_rho": None if rng.uniform() < 0.5 else 0.0,
        "physics_init": "least_squares" if rng.uniform() < 0.6 else "given",
    }
    case.structure = dict(STRUCTURE_OF[kind])
    if kind in ("ode", "records") and rng.uniform() < 0.7:
        case.structure["substeps"] = 1
    if kind == "records" and rng.uniform() < 0.4:
        case.structure |= {"observe": OBSERVATIONS["one state"], "n_states": 2}
        case.y = y[..., :1]
        case.good = (X, case.y.copy())
    if rng.uniform() < 0.15:
        case.settings["nn"] = None
    names = ["data", "setting", "structure", "physics", "network", "later"]
    chances = np.array([0.3, 0.2, 0.16, 0.16, 0.1, 0.08])
    for _ in range(int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))):
        _CHANGES[names[int(rng.choice(len(names), p=chances))]](case, rng)
    if rng.uniform() < 0.06:
        _change_search(case, rng)
    elif rng.uniform() < 0.25:
        case.refit = True
    return case


def _change_data(case: Case, rng: np.random.Generator) -> None:
    which = rng.uniform()
    if which < 0.45 and _is_plain(case.X):
        name, case.X = changed(rng, np.asarray(case.X))
        case.changes.append(f"X: {name}")
    elif which < 0.85 and _is_plain(case.y):
        name, case.y = changed(rng, np.asarray(case.y))
        case.changes.append(f"y: {name}")
        if rng.uniform() < 0.5 and "nan" in name:
            case.settings["missing_targets"] = "mask"
    else:
        name, make = pick(rng, WEIGHTS)
        case.weight = make(rng, len(case.good[0]))
        case.changes.append(f"weight: {name}")


def _change_setting(case: Case, rng: np.random.Generator) -> None:
    if rng.uniform() < 0.06:
        name, case.checkpoint = pick(rng, CHECKPOINTS)
        case.changes.append(f"checkpoint: {name}")
        return
    name, value = pick_option(rng, SETTINGS)
    case.settings[name] = value
    case.changes.append(f"{name}={_short(value)}")


def _change_structure(case: Case, rng: np.random.Generator) -> None:
    if case.kind == "table":
        name, case.settings["structure"] = pick(rng, STRUCTURES)
        case.changes.append(f"structure: {name}")
    elif rng.uniform() < 0.2:
        name, case.structure["join"] = pick(rng, JOINS)
        case.changes.append(f"join: {name}")
    elif rng.uniform() < 0.25 and case.kind != "images":
        name, case.structure["observe"] = pick(rng, OBSERVATIONS)
        case.structure["n_states"] = 2
        case.changes.append(f"observe: {name}")
    else:
        known = LatentODE if case.kind == "images" else ODE
        options = {k: v for k, v in ODE_OPTIONS.items() if k in known._get_param_names()}
        name, value = pick_option(rng, options)
        case.structure[name] = value
        if name == "times" and rng.uniform() < 0.9:
            case.structure["dt"] = None
        case.changes.append(f"{name}={_short(value)}")


def _change_physics(case: Case, rng: np.random.Generator) -> None:
    name, case.physics = odd_physics(rng, case.kind)
    case.changes.append(name)


def _change_network(case: Case, rng: np.random.Generator) -> None:
    name, build = pick(rng, NETWORKS)
    n_outputs = 1 if case.kind == "table" else 2
    with torch.random.fork_rng():
        torch.manual_seed(case.number)
        case.settings["nn"] = build(N_INPUTS[case.kind], n_outputs)
    case.changes.append(f"nn: {name}")


def _change_later(case: Case, rng: np.random.Generator) -> None:
    """Choose what is done with the fitted model."""
    X, y = (np.asarray(each) for each in case.good)
    what = rng.uniform()
    if what < 0.4:
        name, values = changed(rng, X)
        case.then["predict"] = (values,)
        case.changes.append(f"new X: {name}")
    elif what < 0.7 or case.kind == "table":
        name, values = changed(rng, y)
        case.then["score"] = (case.good[0], values)
        case.changes.append(f"new y: {name}")
    elif what < 0.85 and case.kind != "records":
        times = ODE_OPTIONS["times"][int(rng.integers(len(ODE_OPTIONS["times"])))]
        case.then["predict"] = (case.good[0], {"times": times})
        case.changes.append(f"new times: {_short(times)}")
    else:
        key = ("initial_states", "first_outputs")[int(rng.integers(2))]
        name, values = changed(rng, y[:, :3] if key == "first_outputs" else y[:, 0])
        case.then["predict"] = (case.good[0], {key: values})
        case.changes.append(f"{key}: {name}")


_CHANGES = {
    "data": _change_data,
    "setting": _change_setting,
    "structure": _change_structure,
    "physics": _change_physics,
    "network": _change_network,
    "later": _change_later,
}


def _change_search(case: Case, rng: np.random.Generator) -> None:
    """Turn a case into a search over one parameter."""
    case.search, case.refit, case.then = True, False, {}
    name, value = pick_option(rng, SETTINGS)
    default = HybridRegressor().get_params()[name]
    case.grid = {name: [case.settings.get(name, default), value]}
    case.changes.append(f"search over {name}: {_short(value)}")


def _short(value: object) -> str:
    """Return a value as one short line."""
    return " ".join(repr(value).split())[:60]


def _is_plain(values: object) -> bool:
    """Whether values are an array or a table of numbers."""
    plain = isinstance(values, (np.ndarray, pd.DataFrame)) and np.ndim(values) > 0
    return plain and np.asarray(values).dtype == float


def run_case(number: int) -> Outcome:
    """Run a case and judge its end."""
    case = make_case(number)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        try:
            with _time_limit(LIMIT):
                return _run(case, Path(folder))
        except OutOfTime:
            return Outcome("bad", f"it took more than {LIMIT:g} s")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide warnings and what is printed."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise OutOfTime after some seconds of processor time."""

    def stop(number, frame):
        raise OutOfTime

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _run(case: Case, folder: Path) -> Outcome:
    try:
        model = case.make(folder)
    except Exception as error:
        return _judged(error)
    given = (case.X, case.y, case.weight, case.then)
    before = _state(model), _picture(given), _surroundings()
    earlier = None
    if case.refit:
        try:
            earlier = _picture(model.fit(*case.good).predict(case.good[0]))
        except Exception as error:
            if (outcome := _judged(error)).bad:
                return outcome
    fitted = {name: id(value) for name, value in _attributes(model).items()}
    outcome = _outcome(case, model)
    if outcome.bad:
        return outcome
    after = _state(model), _picture(given), _surroundings()
    names = ("the parameters", "the arrays", "the surroundings")
    touched = [name for name, old, new in zip(names, before, after, strict=True) if old != new]
    if touched:
        return Outcome("bad", f"changed {' and '.join(touched)}; {outcome.end} {outcome.text}")
    if outcome.end.startswith("refused"):
        now = {name: id(value) for name, value in _attributes(model).items()}
        if case.search and "best_estimator_" not in now:
            now = fitted  # the scores are kept if the last fit fails, as in scikit-learn
        if now != fitted:
            new = sorted(set(now.items()) ^ set(fitted.items()))
            return Outcome("bad", f"an error left attributes: {new}; {outcome.text}")
        try:
            changed = earlier is not None and _picture(model.predict(case.good[0])) != earlier
        except Exception as error:  # physics that fails after some calls
            return _judged(error)
        if changed:
            return Outcome("bad", f"a failed refit changed the prediction; {outcome.text}")
    return outcome


def _outcome(case: Case, model: BaseEstimator) -> Outcome:
    """Fit, predict, and do what else the case wants."""
    weights = () if case.weight is None else (case.weight,)
    fit_params = {"sample_weight": weights[0]} if weights else {}
    try:
        model.fit(case.X, case.y, **fit_params)
    except Exception as error:
        outcome = _judged(error)
        return outcome if outcome.bad else Outcome(f"refused: {outcome.end}", outcome.text)
    regressor = getattr(model, "best_estimator_", model)
    theta = regressor.physics_params_
    if not all(np.isfinite(value).all() for value in theta.values()):
        return Outcome("bad", f"θ is not finite: {theta}")
    steps = [("predict", (case.X,)), *case.then.items()]
    if case.number % 5 == 0:  # with hidden states, a score takes ten times as long as a prediction
        steps.append(("score", (case.X, case.y)))
    end = "fitted"
    for name, arguments in steps:
        options = arguments[-1] if isinstance(arguments[-1], dict) and name == "predict" else {}
        arguments = arguments[:-1] if options else arguments
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result = getattr(regressor, name)(*arguments, **options)
            except Exception as error:
                outcome = _judged(error)
                if outcome.bad:
                    return Outcome("bad", f"{name}: {outcome.text}")
                if end == "fitted":
                    end = f"fitted, {name} refused: {outcome.end}"
                continue
        finite = all(np.isfinite(each).all() for each in _arrays(result))
        if finite or (name == "score" and caught):
            continue
        if not any(issubclass(each.category, DivergenceWarning) for each in caught):
            return Outcome("bad", f"{name} is not finite: {np.array2string(np.asarray(result))}")
        end = "fitted, a rollout diverges with a warning"
    repr(model)
    return Outcome(end)


def _arrays(result: object) -> list:
    return result if isinstance(result, list) else [result]


def _judged(error: Exception) -> Outcome:
    """Return whether an error is one that users can read."""
    name, text = type(error).__name__, str(error)
    ours = type(error).__module__.split(".")[0] == "skhybrid"
    if not (ours or isinstance(error, (ValueError, TypeError))) or len(text.split()) < 2:
        return Outcome("bad", f"{name}: {text!r} {_place(error)}")
    if not ours and _inside(error):
        return Outcome("bad", f"from inside: {name}: {text.splitlines()[0]!r} {_place(error)}")
    return Outcome(name, text)


def _inside(error: Exception) -> bool:
    """Whether an error was not raised on purpose: it comes from an operation."""
    frames = traceback.extract_tb(error.__traceback__)
    deepest = frames[-1]
    raised = deepest.line or ""
    checks = ("sklearn/", "skhybrid/", "pandas/", "scipy/")
    return not raised.startswith("raise") and not any(each in deepest.filename for each in checks)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return "at " + " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames[:-4:-1])


def _attributes(model: BaseEstimator) -> dict:
    """Return what a fit writes: all attributes that are no parameters."""
    return {k: v for k, v in vars(model).items() if k not in model.get_params(deep=False)}


def _surroundings() -> tuple:
    """Return what belongs to the whole process."""
    return (
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        str(np.geterr()),
    )


def _state(model: BaseEstimator) -> object:
    """Return a picture of the parameters."""
    params = model.get_params(deep=False)
    if isinstance(params.get("random_state"), (np.random.RandomState, np.random.Generator)):
        del params["random_state"]
    return _picture(params)


def _picture(value: object) -> object:
    """Return something that compares equal as long as a value does not change."""
    if isinstance(value, torch.nn.Module):
        tensors = {**dict(value.named_parameters()), **dict(value.named_buffers())}
        flags = [(module.training, type(module).__name__) for module in value.modules()]
        return flags, {name: _picture(tensor) for name, tensor in tensors.items()}
    if isinstance(value, torch.nn.parameter.UninitializedTensorMixin):
        return "not initialised"
    if isinstance(value, torch.Tensor):
        if value.device.type == "meta":
            return "meta"
        value = value.detach()
        dense = value.to_dense() if value.is_sparse else value
        return str(dense.dtype), tuple(dense.shape), repr(dense.tolist())
    if isinstance(value, BaseEstimator):
        return _picture(value.get_params(deep=False))
    if isinstance(value, Physics):
        return _picture(value.function), {k: repr(p) for k, p in value.params.items()}
    if isinstance(value, (pd.DataFrame, pd.Series)):
        frame = pd.DataFrame(value)
        return repr(frame.index), repr(frame.columns), _picture(frame.to_numpy(dtype=object))
    if scipy.sparse.issparse(value):
        return _picture(value.toarray())
    if isinstance(value, np.ndarray):
        content = (
            [_picture(v) for v in np.asarray(value).ravel()]
            if value.dtype == object
            else value.tobytes()
        )
        return str(value.dtype), value.shape, value.flags.writeable, content
    if isinstance(value, dict):
        return {name: _picture(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [_picture(each) for each in value]
    return repr(value)
