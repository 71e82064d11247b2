"""Options at their limits and beyond, for the estimator and for the structures of trajectories."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from skhybrid import ODE, LatentODE

NAN, INF = math.nan, math.inf
WRONG = (None, "text", b"b", [], {}, NAN, INF, -1, -0.5, 10**400, 1j, True, object, np.array(1.0))
RADII = (0, 1e-300, 1e-12, 0.5, 3.0, 100.0, 1e10, 3e38, 1e39, np.float32(0.1), np.int64(1), "0.1")
PENALTIES = (0, 1e-300, 1.0, 1e10, 1e30, 3e38, 1e300, Fraction(1, 3))

# Values of the estimator's parameters. What is wrong for one of them is tried for all.
SETTINGS: dict[str, tuple] = {
    "loss": ("huber", "absolute_error", "squared"),
    "huber_delta": (0.01, 1, 10.0, 1e300, 0, 1e-300, INF),
    "optimizer": ("adam", "sgd"),
    "rho": RADII,
    "rho_schedule": ("noise", "constant"),
    "refine_rho": (*RADII, None),
    "perturbation": ("global", "elementwise", "none"),
    "perturb": ("all", "physics"),
    "l2": PENALTIES,
    "functional_norm": PENALTIES,
    "orthogonality": PENALTIES,
    "learning_rate": (1e-300, 1e-45, 1e-10, 1.0, 1e3, 1e10, 3e38, 1e39, torch.tensor(0.1)),
    "physics_learning_rate": (0, 1e-300, 1e-10, 1.0, 1e3, 1e10, 3e38, 1e39),
    "max_epochs": (1, 3, 0, 2.0, np.int64(2)),
    "batch_size": (1, 2, 3, 7, 10**6, 10**30, None, 0, 2.5),
    "n_restarts": (2, 3, 0, 2.0, np.int8(2), 10**14),
    "early_stopping": (True, 1, "yes"),
    "validation_fraction": (1e-9, 0.5, 0.999999, 0, 1),
    "n_iter_no_change": (1, 10**30, 0),
    "tol": (0, 1e-300, 1e300, INF),
    "nn_features": (
        *([0], [0, 0], [-1], [99], ["force"], ["nothing"], ["force", 1], ("time",), [None]),
        *([0.0], [True], np.array([0]), np.array(["force"]), [[0]], "force", ["state_0"], [1, 0]),
    ),
    "nn_extrapolation": ("free", "clamp"),
    "physics_init": ("given", "random", 0.0),
    "missing_targets": ("mask", "drop"),
    "warm_start": (True, "yes"),
    "dtype": ("float64", "float16", torch.float32, np.float64),
    "device": ("cpu", "cuda", "cuda:99", "tpu", torch.device("cpu"), "meta", "auto"),
    "n_threads": (1, 2, 10**6, 0),
    "random_state": (None, 2**32, -1, np.random.RandomState(0), np.random.default_rng(0), 0.5),
    "verbose": (1, 2, -1, "loud"),
    "structure": (
        *("multiplicative", "serial", "parallel", ODE, LatentODE, ODE(dt=0.1)),
        LatentODE(n_states=2, dt=0.1, encoder=4, decoder=4),
    ),
}


def _bad(change: Callable) -> Callable:
    """Return a structure for tables whose output is changed."""

    def structure(x, physics, nn):
        return change(physics(x) + nn(x))

    return structure


def _in_place(x, physics, nn):
    x.mul_(2.0)
    return physics(x) + nn(x)


def _join(change: Callable) -> Callable:
    """Return a join of an ODE whose output is changed, with or without inputs."""

    def join(*arguments):
        *given, physics, nn = arguments
        return change(physics(*given) + nn(*given))

    return join


STRUCTURES: dict[str, Callable] = {
    "as it is": _bad(lambda out: out),
    "None": _bad(lambda out: None),
    "one row": _bad(lambda out: out[:1]),
    "one axis more": _bad(lambda out: out[..., None]),
    "sum": _bad(lambda out: out.sum()),
    "nan": _bad(lambda out: out * NAN),
    "numpy": _bad(lambda out: out.detach().numpy()),
    "tuple": _bad(lambda out: (out, out)),
    "detached": _bad(lambda out: out.detach()),
    "huge": _bad(lambda out: torch.exp(80.0 * out)),
    "rows": _bad(lambda out: out - out.mean(0)),
    "physics alone": lambda x, physics, nn: physics(x),
    "network alone": lambda x, physics, nn: nn(x),
    "two networks": lambda x, physics, nn: physics(x) + nn(x) * nn(x),
    "more inputs": lambda x, physics, nn: physics(x) + nn(x, physics(x), physics(x)),
    "odd inputs": lambda x, physics, nn: physics(x) + nn(x, physics(x)[:1]),
    "a scale": lambda x, physics, nn: physics(x) + nn(x, scale=0.0),
    "a scale of rows": lambda x, physics, nn: physics(x) + nn(x, scale=torch.ones(24)),
    "other arguments": lambda x, physics: physics(x),
    "no arguments": lambda: 1.0,
    "no physics arguments": lambda x, physics, nn: physics() + nn(x),
    "the wrong table": lambda x, physics, nn: physics(x[:, :1]) + nn(x[:, :1]),
    "in place": _in_place,
    "an error": lambda x, physics, nn: {}["k"],
    "if": lambda x, physics, nn: physics(x) if x[:, 0] > 0 else nn(x),
}

JOINS: dict[str, Callable] = {
    "as it is": _join(lambda out: out),
    "None": _join(lambda out: None),
    "one state": _join(lambda out: out[:, :1]),
    "one row": _join(lambda out: out[:1]),
    "sum": _join(lambda out: out.sum()),
    "nan": _join(lambda out: out * NAN),
    "growing": _join(lambda out: 1e10 * out),
    "tuple": _join(lambda out: (out, out)),
    "numpy": _join(lambda out: out.detach().numpy()),
    "in place": _join(lambda out: out.mul_(2.0)),
    "rows": _join(lambda out: out - out.mean(0)),
    "an error": _join(lambda out: {}["k"]),
    "other arguments": lambda t, state: state,
    "the wrong arguments": lambda *given: given[-2](given[1]),
}

OBSERVATIONS: dict[str, Callable] = {
    "one state": lambda state: state[:, :1],
    "both states": lambda state: state,
    "three outputs": lambda state: torch.cat([state, state[:, :1]], dim=1),
    "None": lambda state: None,
    "flat": lambda state: state[:, 0],
    "one row": lambda state: state[:1],
    "sum": lambda state: state.sum(),
    "nan": lambda state: state * NAN,
    "zero": lambda state: 0.0 * state[:, :1],
    "constant": lambda state: torch.ones(len(state), 1),
    "log": lambda state: torch.log(state[:, :1]),
    "root": lambda state: torch.sqrt(torch.relu(state[:, :1])),
    "huge": lambda state: torch.exp(100.0 * state[:, :1]),
    "numpy": lambda state: state.detach().numpy()[:, :1],
    "float64": lambda state: state[:, :1].double(),
    "int": lambda state: state[:, :1].int(),
    "in place": lambda state: state.mul_(2.0)[:, :1],
    "if": lambda state: state[:, :1] if state[:, 0] > 0 else -state[:, :1],
    "rows": lambda state: state[:, :1] - state[:, :1].mean(0),
    "with inputs": lambda state, inputs: state[:, :1] + inputs[:, :1],
    "with a parameter": lambda state, *, gain: gain * state[:, :1],
    "with an unknown": lambda state, *, missing: missing * state[:, :1],
    "an error": lambda state: {}["k"],
    "no arguments": lambda: 1.0,
    "a builtin": torch.sin,
    "a word": "first",
}

_TIMES = np.arange(1.0, 9.0) / 10.0

# Values of the parameters of ODE and LatentODE; y has 8 times.
ODE_OPTIONS: dict[str, tuple] = {
    "dt": (None, 1e-300, 1e-10, 10.0, 1e6, 1e30, 1e300, 0, -0.1, "0.1", np.float32(0.1)),
    "times": (
        *(list(_TIMES), _TIMES, tuple(_TIMES), np.r_[0.0, _TIMES], _TIMES + 5.0, _TIMES[::-1]),
        *(_TIMES[:-1], _TIMES * 0.0, np.r_[_TIMES, 9.0, 10.0], -_TIMES, _TIMES * NAN, _TIMES[:1]),
        *([_TIMES] * 5, [list(_TIMES)] * 5, [_TIMES] * 4, [_TIMES, _TIMES[:3]], np.ones((5, 8, 2))),
        *([], [[]] * 5, 0, -1, 7, "time", "force", ["0.1"] * 8, [None] * 8, [_TIMES, 1.0], 1j),
        *(np.array(["2020-01-01"] * 8, dtype="datetime64[D]") + np.arange(8), 1e300 * _TIMES),
        *(torch.tensor(_TIMES), (_TIMES * 1e12).astype("timedelta64[ns]"), _TIMES > 0.3, {0: 1}),
        *(_TIMES**4, np.exp(20.0 * _TIMES), [object()] * 8, np.ma.masked_greater(_TIMES, 0.5)),
    ),
    "method": ("euler", "midpoint", "dopri5", "bosh3", "bdf", "radau", "implicit_adams", "heun"),
    "substeps": (1, 2, 64, 10**9, 0, 1.5, "many"),
    "window": (1, 2, 3, 8, 9, 100, [2, 4], (1,), [], [0], ["auto"], [2.5], "all", 10**30, [100, 2]),
    "n_states": (1, 2, 3, 100, 10**12, 0, 2.0, None),
    "initial_state": ("given", "learned", "observed"),
    "continuity": (0, 1e-30, 1e10, 1e38, 1e300, -1),
    "state_guess": (0.0, [0.0], [1.0, 1.0], [1e30, 1.0], [NAN, 1.0], [[1.0, 1.0]], ["a", "b"], []),
    "n_initial": (0, 1, 3, 100, -1, 2.5),
    "inputs": ("hold", "linear", "cubic"),
    "join": ("multiply", "subtract"),
    "correct": ("output", "state"),
    "corrected": ([0], [1], [5], [], [0, 0], [0.5], [-1], "0", [None], [True], 0, np.array([0])),
    "corrects": ([0], ["v"], ["velocity", 1], [5], [], [0, 0], [0.5], [-1], "v", [None], [True], 0),
    "n_free_states": (1, 2, 0, -1, 1.5, "one", 10**12, True, None),
    "state_names": (["u", "v"], ["u"], ["u", "u"], [1, 2], "uv", [None, None], [], np.array(["a"])),
    "input_names": (["force"], ["a", "b"], [], [0], "f"),
    "rtol": (1e-12, 1.0, 1e30, 0, -1),
    "atol": (0, 1e-30, 1.0, 1e30, -1),
    "adjoint": (True, "yes"),
    "encoder": (1, (), (4, 4), [0], "wide", torch.nn.Flatten(), torch.nn.Linear(3, 2)),
    "decoder": (1, (), (4, 4), [0], "wide", torch.nn.Identity(), torch.nn.Linear(2, 3)),
}

# Folders for checkpoints: functions of an empty folder.
CHECKPOINTS: dict[str, Callable[[Path], object]] = {
    "folder": lambda folder: folder,
    "text": lambda folder: str(folder),
    "new folders": lambda folder: folder / "a" / "b",
    "a file": lambda folder: _file(folder / "file"),
    "below a file": lambda folder: _file(folder / "file") / "a",
    "odd name": lambda folder: folder / "θ {0} %s",
    "long name": lambda folder: folder / ("a" * 300),
    "with foreign files": lambda folder: _file(folder / "fit.safetensors").parent,
    "zero byte": lambda folder: "\0",
    "bytes": lambda folder: b"folder",
    "number": lambda folder: 3,
}


def _file(path: Path) -> Path:
    path.write_text("something else")
    return path


def pick_option(rng: np.random.Generator, options: dict[str, tuple]) -> tuple[str, object]:
    """Draw a parameter and a value; one in twelve is of a type that is wrong for most."""
    name = list(options)[int(rng.integers(len(options)))]
    values = WRONG if rng.uniform() < 0.08 else options[name]
    return name, values[int(rng.integers(len(values)))]
