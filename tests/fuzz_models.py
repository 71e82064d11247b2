"""Physics and networks with odd habits: their signatures, outputs, parameters and faults."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from skhybrid import Param, Physics


def pull(force, *, gain=1.0, offset=0.1):
    """Return the known part of a table."""
    return gain * force + offset


def spring(t, state, *, gain=1.0, offset=0.1):
    """Return the rates of an oscillator."""
    return torch.stack([state[:, 1], -gain * state[:, 0] - offset * state[:, 1]], dim=-1)


def driven(t, state, inputs, *, gain=1.0, offset=0.1):
    """Return the rates of an oscillator with a force."""
    force = inputs[:, 0] - gain * state[:, 0] - offset * state[:, 1]
    return torch.stack([state[:, 1], force], dim=-1)


BASES = {"table": pull, "ode": spring, "records": driven, "images": spring}


def _output(change: Callable) -> Callable:
    """Return a factory: from the physics to one whose output is changed."""

    def wrap(base):
        @functools.wraps(base)
        def odd(*inputs, **values):
            return change(base(*inputs, **values), inputs, values)

        return odd

    return wrap


def _raise(error: Exception) -> Callable:
    def fail(out, inputs, values):
        raise error

    return fail


def _after(n_calls: int, change: Callable) -> Callable:
    """Return a factory of physics that change after some calls."""

    def wrap(base):
        calls = []

        @functools.wraps(base)
        def late(*inputs, **values):
            calls.append(0)
            out = base(*inputs, **values)
            return change(out, inputs, values) if len(calls) > n_calls else out

        return late

    return wrap


def _in_place(out, inputs, values):
    inputs[-1].mul_(2.0)
    return out


def _in_place_on_parameter(out, inputs, values):
    values["gain"].add_(1.0)
    return out


def _in_place_on_output(out, inputs, values):
    out += 1.0
    out[0] *= values["gain"]
    return out


def _if(out, inputs, values):
    return out if inputs[-1] > 0 else -out


def _if_parameter(out, inputs, values):
    return out if values["gain"] > 0 else -out


def _named_column(out, inputs, values):
    return inputs[-1]["force"] * values["gain"]


def _recursion(out, inputs, values):
    return _recursion(out, inputs, values)


def _coupled(out, inputs, values):
    return out - out.mean(0)


def _no_grad(out, inputs, values):
    with torch.no_grad():
        return values["gain"] * out


# Changes of what the physics returns or does.
OUTPUTS: dict[str, Callable] = {
    "None": lambda out, i, v: None,
    "a number": lambda out, i, v: 1.0,
    "a number that depends": lambda out, i, v: float(v["gain"]),
    "the parameter": lambda out, i, v: v["gain"],
    "its input": lambda out, i, v: i[-1],
    "numpy": lambda out, i, v: out.detach().numpy(),
    "numpy functions": lambda out, i, v: np.exp(out),
    "math functions": lambda out, i, v: math.exp(v["gain"]) * out,
    "math functions of rows": lambda out, i, v: math.exp(i[-1]) * out,
    "detached": lambda out, i, v: out.detach(),
    "no grad": _no_grad,
    "item": lambda out, i, v: v["gain"].item() * out,
    "int": lambda out, i, v: out.int(),
    "bool": lambda out, i, v: out > 0,
    "float64": lambda out, i, v: out.double(),
    "float16": lambda out, i, v: out.half(),
    "complex": lambda out, i, v: out + 1j,
    "nan": lambda out, i, v: out * math.nan,
    "inf": lambda out, i, v: out / 0.0,
    "nan in one row": lambda out, i, v: torch.where(out == out.max(), math.nan, out),
    "huge": lambda out, i, v: out * 1e30,
    "beyond float32": lambda out, i, v: out * 1e38 * 1e10,
    "tiny": lambda out, i, v: out * 1e-40,
    "zero": lambda out, i, v: out * 0.0,
    "constant": lambda out, i, v: out * 0.0 + v["gain"],
    "no parameters used": lambda out, i, v: i[-1] * 1.0,
    "steep": lambda out, i, v: torch.exp(20.0 * out),
    "root": lambda out, i, v: torch.sqrt(out),
    "root at zero": lambda out, i, v: torch.sqrt(torch.relu(out - 5.0)),
    "log": lambda out, i, v: torch.log(out),
    "one row": lambda out, i, v: out[:1],
    "no rows": lambda out, i, v: out[:0],
    "one row less": lambda out, i, v: out[1:],
    "one axis more": lambda out, i, v: out[..., None],
    "one axis less": lambda out, i, v: out[..., 0],
    "transposed": lambda out, i, v: out.T,
    "two columns": lambda out, i, v: torch.stack([out, out], dim=-1),
    "sum": lambda out, i, v: out.sum(),
    "expanded": lambda out, i, v: out[None].expand(3, *out.shape),
    "tuple": lambda out, i, v: (out, out),
    "list of floats": lambda out, i, v: out.tolist(),
    "dict": lambda out, i, v: {"rate": out},
    "sparse": lambda out, i, v: out.to_sparse(),
    "another device": lambda out, i, v: out.to("meta"),
    "rows that need others": _coupled,
    "running sum": lambda out, i, v: torch.cumsum(out, 0),
    "noise": lambda out, i, v: out + torch.randn_like(out),
    "in place on an input": _in_place,
    "in place on a parameter": _in_place_on_parameter,
    "in place on the output": _in_place_on_output,
    "if": _if,
    "if on a parameter": _if_parameter,
    "a column by name": _named_column,
    "a method of frames": lambda out, i, v: i[-1].to_numpy(),
    "a shape that is fixed": lambda out, i, v: out + torch.ones(24),
    "indices beyond": lambda out, i, v: out[:, 7],
    "recursion": _recursion,
    "a KeyError": _raise(KeyError("k")),
    "an empty error": _raise(RuntimeError()),
    "an error with braces": _raise(ValueError("{x} %s")),
    "an assertion": _raise(AssertionError()),
    "a StopIteration": _raise(StopIteration()),
    "no memory": _raise(MemoryError()),
    "a warning": _raise(UserWarning("as an error")),
    "an OSError": _raise(OSError(2, "no file")),
}


class Module(nn.Module):
    """Physics as a module."""

    def __init__(self, base: Callable, gain: object = 1.0, way: str = "") -> None:
        super().__init__()
        self.base, self.way = base, way
        self.gain = nn.Parameter(torch.as_tensor(gain))
        self.register_buffer("offset", torch.tensor(0.1))
        self.register_buffer("counts", torch.zeros((), dtype=torch.int64))

    def forward(self, *inputs):
        if self.way == "counts":
            self.counts += 1
        return self.base(*inputs, gain=self.gain, offset=self.offset)


class TableModule(Module):
    def forward(self, force):
        return super().forward(force)


class OdeModule(Module):
    def forward(self, t, state):
        return super().forward(t, state)


class RecordsModule(Module):
    def forward(self, t, state, inputs):
        return super().forward(t, state, inputs)


_MODULES = {pull: TableModule, spring: OdeModule, driven: RecordsModule}


class Rig:
    """Physics as methods and as a callable object."""

    def __init__(self, base: Callable) -> None:
        self.base = base

    def __call__(self, force, *, gain=1.0):
        return self.base(force, gain=gain)

    def law(self, t, state, *, gain=1.0):
        return self.base(t, state, gain=gain)

    def without_self(t, state, *, gain=1.0):
        return gain * state


# Signatures and types of physics.
SIGNATURES: dict[str, Callable[[Callable], object]] = {
    "none": lambda base: None,
    "a word": lambda base: "pull",
    "a class": lambda base: Rig,
    "a callable object": lambda base: Rig(base),
    "a method": lambda base: Rig(base).law,
    "a method without self": lambda base: Rig(base).without_self,
    "a method of a class": lambda base: Rig.law,
    "a partial": lambda base: functools.partial(base, offset=0.3),
    "a partial that binds all": lambda base: functools.partial(base, gain=1.0, offset=0.3),
    "a partial that binds an input": lambda base: functools.partial(base, 1.0),
    "a builtin": lambda base: torch.sin,
    "a numpy function": lambda base: np.sin,
    "a lambda": lambda base: lambda X, *, gain=1.0: gain * X[:, 0],
    "whole table": lambda base: lambda X, *, gain=1.0: gain * X.sum(-1),
    "a name in X": lambda base: lambda X, *, gain=1.0: gain * X["force"],
    "no arguments": lambda base: lambda: torch.ones(24),
    "no inputs": lambda base: lambda *, gain=1.0: gain,
    "many inputs": lambda base: lambda a, b, c, d, e, f, *, gain=1.0: gain * a,
    "stars": lambda base: lambda *inputs, **values: inputs[0],
    "the state first": lambda base: lambda state, t, *, gain=1.0: gain * state,
    "the parameters first": lambda base: lambda gain, t, state: gain * state,
    "a default": lambda base: lambda t, state, gain=1.0: gain * state,
    "no default": lambda base: lambda t, state, *, gain: gain * state,
    "default None": lambda base: lambda t, state, *, gain=None: state,
    "default text": lambda base: lambda t, state, *, gain="high": state,
    "default bool": lambda base: lambda t, state, *, gain=True: state,
    "default int": lambda base: lambda t, state, *, gain=1: gain * state,
    "default nan": lambda base: lambda t, state, *, gain=math.nan: gain * state,
    "a coroutine": lambda base: _coroutine,
    "a generator": lambda base: _generator,
    "no parameters": lambda base: lambda t, state: -state,
    "a module": lambda base: _MODULES[base](base),
    "a module that counts": lambda base: _MODULES[base](base, way="counts"),
    "a module with an array": lambda base: _MODULES[base](base, [1.0, 2.0]),
    "a module of one element": lambda base: _MODULES[base](base, [[1.0]]),
    "a module with integers": lambda base: _frozen(_MODULES[base](base)),
    "a module with float64": lambda base: _MODULES[base](base).double(),
    "a module with nan": lambda base: _MODULES[base](base, math.nan),
    "a module with an empty parameter": lambda base: _MODULES[base](base, torch.zeros(0)),
    "a module with stars": lambda base: Module(base),
    "a linear layer": lambda base: nn.Linear(1, 1),
    "a sequence of layers": lambda base: nn.Sequential(nn.Linear(2, 2), nn.Tanh()),
    "a scripted function": lambda base: torch.jit.script(_scripted),
}


async def _coroutine(t, state, *, gain=1.0):
    return gain * state


def _generator(t, state, *, gain=1.0):
    yield gain * state


def _scripted(state: torch.Tensor) -> torch.Tensor:
    return state * 2.0


def _frozen(module: nn.Module) -> nn.Module:
    return module.requires_grad_(False)


# Values, bounds and shapes of the parameter "gain".
PARAMS: dict[str, Callable[[], object]] = {
    "zero": lambda: 0.0,
    "int": lambda: 1,
    "negative": lambda: -3.0,
    "huge": lambda: 1e30,
    "beyond float32": lambda: 1e40,
    "tiny": lambda: 1e-30,
    "denormal": lambda: 1e-310,
    "nan": lambda: math.nan,
    "inf": lambda: math.inf,
    "text": lambda: "1.0",
    "None": lambda: None,
    "complex": lambda: 1j,
    "empty": lambda: [],
    "array": lambda: [1.0, 2.0],
    "array of one": lambda: [1.0],
    "rows": lambda: np.ones(24),
    "matrix": lambda: np.ones((2, 3)),
    "ragged": lambda: [[1.0], [1.0, 2.0]],
    "tensor": lambda: torch.tensor(1.0, requires_grad=True),
    "tuple with None": lambda: (1.0, 0.0, None),
    "dict": lambda: {"init": 1.0},
    "fixed": lambda: Param(1.0, fixed=True),
    "fixed nan": lambda: Param(math.nan, fixed=True),
    "positive": lambda: Param(1.0, bounds=(0.0, None)),
    "on its bound": lambda: Param(0.0, bounds=(0.0, None)),
    "on both bounds": lambda: Param(1.0, bounds=(1.0, 1.0)),
    "outside": lambda: Param(-1.0, bounds=(0.0, 2.0)),
    "bounds swapped": lambda: Param(1.0, bounds=(2.0, 0.0)),
    "narrow": lambda: Param(1.0, bounds=(1.0 - 1e-14, 1.0 + 1e-14)),
    "wide": lambda: Param(1.0, bounds=(-1e38, 1e38)),
    "too wide": lambda: Param(1.0, bounds=(-1e300, 1e300)),
    "infinite bounds": lambda: Param(1.0, bounds=(-math.inf, math.inf)),
    "nan bounds": lambda: Param(1.0, bounds=(math.nan, 2.0)),
    "bounds of text": lambda: Param(1.0, bounds=("0", "2")),
    "one bound": lambda: Param(1.0, bounds=(0.0,)),
    "no bounds": lambda: Param(1.0, bounds=None),
    "array with bounds": lambda: Param([1.0, 2.0], bounds=(0.0, 3.0)),
    "bounds as arrays": lambda: Param([1.0, 2.0], bounds=([0.0, 0.0], [3.0, 3.0])),
    "unit of another type": lambda: Param(1.0, unit=3),
    "fixed as text": lambda: Param(1.0, fixed="no"),
}


class Layer(nn.Module):
    """A linear layer with an odd habit."""

    def __init__(self, n_inputs: int, n_outputs: int, way: str = "") -> None:
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_outputs)
        self.way = way
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        ways = {
            "None": lambda out: None,
            "tuple": lambda out: (out, out),
            "numpy": lambda out: out.detach().numpy(),
            "number": lambda out: out.sum(),
            "flat": lambda out: out[:, 0],
            "one row": lambda out: out[:1],
            "nan": lambda out: out * math.nan,
            "huge": lambda out: out * 1e38,
            "noise": lambda out: out + 0.1 * torch.randn_like(out),
            "in place": lambda out: torch.exp(out).add_(1.0).mul_(out),
            "raises": lambda out: {}["layer"],
            "detached": lambda out: out.detach(),
            "float64": lambda out: out.double(),
            "if": lambda out: out if bool(out.sum() > 0) else -out,
            "rows": lambda out: out - out.mean(0),
            "counts": lambda out: out * self.calls.add_(1.0),
            "int": lambda out: out.int(),
        }
        return ways.get(self.way, lambda out: out)(self.linear(x))


class Uncopied(Layer):
    def __deepcopy__(self, memo):
        raise RuntimeError("only one of me")


class Unmade(Layer):
    def reset_parameters(self):
        raise RuntimeError("not again")


def _nan_weights(layer: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(math.nan)
    layer.requires_grad_(False)
    return layer


def _tied(n_inputs: int, n_outputs: int) -> nn.Module:
    layer = nn.Linear(n_inputs, n_inputs)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(n_inputs, n_outputs))


def _layers(*between: Callable[[], nn.Module]) -> Callable[[int, int], nn.Module]:
    """Return a factory of two linear layers with others between them."""

    def build(n_inputs, n_outputs):
        middle = [each() for each in between]
        return nn.Sequential(nn.Linear(n_inputs, 4), *middle, nn.Linear(4, n_outputs))

    return build


# Networks as functions of their numbers of inputs and outputs.
NETWORKS: dict[str, Callable[[int, int], object]] = {
    "none": lambda i, o: None,
    "zero units": lambda i, o: 0,
    "negative units": lambda i, o: (-3,),
    "no hidden layer": lambda i, o: (),
    "one unit": lambda i, o: 1,
    "units as array": lambda i, o: np.array([4, 4]),
    "units as float": lambda i, o: (4.0,),
    "units as text": lambda i, o: "64",
    "units as bool": lambda i, o: True,
    "units of many layers": lambda i, o: [2] * 20,
    "too many units": lambda i, o: (10**12,),
    "a class": lambda i, o: nn.Linear,
    "a function": lambda i, o: torch.tanh,
    "linear": lambda i, o: nn.Linear(i, o),
    "too narrow": lambda i, o: nn.Linear(max(i - 1, 1), o + (i == 1)),
    "too wide": lambda i, o: nn.Linear(i, o + 1),
    "lazy": lambda i, o: nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.LazyLinear(o)),
    "lazy norm": lambda i, o: nn.Sequential(nn.LazyBatchNorm1d(), nn.LazyLinear(o)),
    "batch norm": _layers(lambda: nn.BatchNorm1d(4)),
    "batch norm without statistics": _layers(lambda: nn.BatchNorm1d(4, track_running_stats=False)),
    "layer norm": _layers(lambda: nn.LayerNorm(4)),
    "dropout": _layers(lambda: nn.Dropout(0.5)),
    "dropout of all": _layers(lambda: nn.Dropout(1.0)),
    "random activation": _layers(lambda: nn.RReLU()),
    "shared": _tied,
    "weight norm": lambda i, o: nn.utils.parametrizations.weight_norm(nn.Linear(i, o)),
    "spectral norm": lambda i, o: nn.utils.parametrizations.spectral_norm(nn.Linear(i, o)),
    "identity": lambda i, o: nn.Identity(),
    "empty": lambda i, o: nn.Sequential(),
    "a list of modules": lambda i, o: nn.ModuleList([nn.Linear(i, o)]),
    "no forward": lambda i, o: nn.Module(),
    "frozen": lambda i, o: _frozen(nn.Linear(i, o)),
    "half frozen": lambda i, o: nn.Sequential(_frozen(nn.Linear(i, 4)), nn.Linear(4, o)),
    "nan": lambda i, o: _nan_weights(nn.Linear(i, o)),
    "float64": lambda i, o: nn.Linear(i, o).double(),
    "half": lambda i, o: nn.Linear(i, o).half(),
    "complex": lambda i, o: nn.Linear(i, o, dtype=torch.complex64),
    "meta": lambda i, o: nn.Linear(i, o, device="meta"),
    "evaluation mode": lambda i, o: _layers(lambda: nn.Dropout(0.5))(i, o).eval(),
    "recurrent": lambda i, o: nn.LSTM(i, o),
    "attention": lambda i, o: nn.MultiheadAttention(i, 1),
    "convolution": lambda i, o: nn.Conv1d(i, o, 3),
    "embedding": lambda i, o: nn.Embedding(3, o),
    "no outputs": lambda i, o: nn.Linear(i, 0),
    "scripted": lambda i, o: torch.jit.script(nn.Linear(i, o)),
    "not to be copied": lambda i, o: Uncopied(i, o),
    "not to be initialised": lambda i, o: Unmade(i, o),
    **{
        f"returns {way}": functools.partial(lambda i, o, way: Layer(i, o, way), way=way)
        for way in (
            *("None", "tuple", "numpy", "number", "flat", "one row", "nan", "huge", "noise"),
            *("in place", "raises", "detached", "float64", "if", "rows", "counts", "int"),
        )
    },
}


def odd_physics(rng: np.random.Generator, kind: str) -> tuple[str, Callable[[], object]]:
    """Draw a physics: what is odd about it, and a function that builds it."""
    base = BASES[kind]
    way = rng.uniform()
    if way < 0.45:
        name = list(OUTPUTS)[int(rng.integers(len(OUTPUTS)))]
        n_calls = 0 if rng.uniform() < 0.75 else int(rng.integers(1, 80))
        if n_calls == 0:
            return f"physics returns {name}", lambda: _output(OUTPUTS[name])(base)
        wrap = _after(n_calls, OUTPUTS[name])
        return f"physics returns {name} after {n_calls} calls", lambda: wrap(base)
    if way < 0.7:
        name = list(SIGNATURES)[int(rng.integers(len(SIGNATURES)))]
        return f"physics is {name}", lambda: SIGNATURES[name](base)
    name = list(PARAMS)[int(rng.integers(len(PARAMS)))]
    return f"parameter {name}", lambda: Physics(base, gain=PARAMS[name]())
