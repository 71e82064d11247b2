"""Fingerprints: the same for equal values in any process, different where a fit would differ.

Arrays and tensors count by type, shape and bytes; functions by their code, constants, defaults,
closures and the values of the globals that they name; objects by their class and attributes. Code
of installed libraries counts by name alone. What a function reaches through an attribute of a
module of the user's, or in a file, is not seen.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import struct
import sys
import sysconfig
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator

# Parameters of an estimator that change nothing in its result.
WITHOUT_EFFECT = ("checkpoint", "verbose")

_LIBRARY_FOLDERS = tuple(
    {str(Path(sysconfig.get_path(name))) for name in ("stdlib", "purelib", "platlib")}
)
_PLAIN = (type(None), bool, int, str, complex, type(...), torch.dtype, torch.device, range, slice)


class Fingerprints:
    """Computes fingerprints, and remembers those of objects that come more than once."""

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}
        self._alive: list[Any] = []  # an id is free again when its object dies

    def of(self, *values: Any) -> str:
        """Return the fingerprint of some values: 64 hexadecimal digits."""
        return self._digest(values).hex()

    def _digest(self, value: Any) -> bytes:
        if isinstance(value, _PLAIN):
            return _hash(type(value).__name__, repr(value).encode())
        if isinstance(value, float):
            return _hash("float", struct.pack("<d", value))
        if isinstance(value, (bytes, bytearray)):
            return _hash("bytes", bytes(value))
        if id(value) in self._known:
            return self._known[id(value)]
        self._alive.append(value)
        self._known[id(value)] = _hash("an object that contains itself")
        digest = self._known[id(value)] = self._of_object(value)
        return digest

    def _of_object(self, value: Any) -> bytes:
        """Return the digest of anything but a plain value."""
        if isinstance(value, torch.Tensor):
            return self._of_tensor(value)
        if isinstance(value, np.ndarray):
            return self._of_array(value)
        if isinstance(value, np.generic):
            return _hash("number", str(value.dtype).encode(), value.tobytes())
        if isinstance(value, (list, tuple)):
            return self._of_parts(_type_name(value), value)
        if isinstance(value, (set, frozenset)):
            return _hash("set", *sorted(map(self._digest, value)))
        if isinstance(value, enum.Enum):
            return _hash("enum", _type_name(value).encode(), value.name.encode())
        if isinstance(value, Mapping):
            return self._of_parts(
                _type_name(value), (part for item in value.items() for part in item)
            )
        if hasattr(value, "columns") and hasattr(value, "__getitem__"):
            return self._of_frame(value)
        return self._of_code(value) or self._of_instance(value)

    def _of_parts(self, name: str, parts: Iterable[Any]) -> bytes:
        return _hash(name, *map(self._digest, parts))

    def _of_tensor(self, value: torch.Tensor) -> bytes:
        dense = value.detach().to_dense() if value.layout != torch.strided else value.detach()
        raw = dense.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        about = (value.dtype, tuple(value.shape), value.device.type, value.requires_grad)
        return _hash("tensor", repr(about).encode(), raw)

    def _of_array(self, value: np.ndarray) -> bytes:
        about = f"{value.dtype} {value.shape}".encode()
        if value.dtype.hasobject:
            return _hash("array", about, *map(self._digest, value.reshape(-1).tolist()))
        return _hash("array", about, np.ascontiguousarray(value).reshape(-1).view(np.uint8))

    def _of_frame(self, value: Any) -> bytes:
        """Return the digest of a data frame: names and values of its columns."""
        columns = [np.asarray(value[name]) for name in dict.fromkeys(value.columns)]
        return self._of_parts("frame", [list(value.columns), *columns])

    def _of_code(self, value: Any) -> bytes | None:
        """Return the digest of a function, a class, a module or a generator; None for others."""
        if isinstance(value, types.FunctionType):
            return self._of_function(value)
        if isinstance(value, types.CodeType):
            names = (*value.co_names, *value.co_varnames, *value.co_freevars, value.co_flags)
            return _hash("code", value.co_code, *map(self._digest, (names, value.co_consts)))
        if isinstance(value, types.MethodType):
            return self._of_parts("method", (value.__func__, value.__self__))
        if isinstance(value, functools.partial):
            return self._of_parts("partial", (value.func, value.args, value.keywords))
        if isinstance(value, types.ModuleType):
            return _hash("module", value.__name__.encode())
        if isinstance(value, type):
            return self._of_class(value)
        if isinstance(value, torch.Generator):
            return self._of_parts("torch.Generator", [value.get_state()])
        if isinstance(value, np.random.RandomState):
            return self._of_parts("RandomState", value.get_state(legacy=True))
        if isinstance(value, np.random.Generator):
            return self._of_parts("Generator", [value.bit_generator.state])
        wrapped = getattr(value, "__wrapped__", None)
        if wrapped is not None and callable(value):
            return self._of_parts("wrapper", [wrapped])
        if isinstance(value, (types.BuiltinFunctionType, np.ufunc)):
            module = getattr(value, "__module__", None) or ""
            return _hash("builtin", module.encode(), value.__name__.encode())
        return None

    def _of_function(self, value: types.FunctionType) -> bytes:
        if _is_library(value):
            return _hash("function", f"{value.__module__}.{value.__qualname__}".encode())
        cells = [_content(cell) for cell in value.__closure__ or ()]
        named = {
            name: value.__globals__[name]
            for name in sorted(_names(value.__code__))
            if name in value.__globals__
        }
        return self._of_parts(
            "function", (value.__code__, value.__defaults__, value.__kwdefaults__, cells, named)
        )

    def _of_class(self, value: type) -> bytes:
        name = f"{value.__module__}.{value.__qualname__}".encode()
        if _is_library(value):
            return _hash("class", name)
        own = {
            key: getattr(each, "__func__", getattr(each, "fget", each))
            for key, each in vars(value).items()
            if key not in ("__dict__", "__weakref__", "__doc__", "__firstlineno__")
        }
        return _hash("class", name, *map(self._digest, (value.__bases__, own)))

    def _of_instance(self, value: Any) -> bytes:
        """Return the digest of an object: its class, and its parameters or attributes."""
        if isinstance(value, BaseEstimator):
            params = value.get_params(deep=False)
            state = {name: params[name] for name in params if name not in WITHOUT_EFFECT}
            return self._of_parts("estimator", (type(value), state))
        if hasattr(value, "__dict__"):
            state = dict(vars(value))
        else:
            slots = [
                slot for base in type(value).__mro__ for slot in getattr(base, "__slots__", ())
            ]
            state = {slot: getattr(value, slot) for slot in slots if hasattr(value, slot)}
            if not state:
                state = _reduced(value)
        return self._of_parts("object", (type(value), state))


def source_version() -> str:
    """Return a hash of the package's own files."""
    return _source_version(Path(__file__).parents[1])


@functools.cache
def _source_version(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _hash(name: str, *parts: Any) -> bytes:
    digest = hashlib.sha256(name.encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def _type_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _names(code: types.CodeType) -> set[str]:
    """Return the names that a code object, and those inside it, look up."""
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _is_library(value: Any) -> bool:
    """Whether a function or a class belongs to Python, to this package or to an installed one."""
    module = sys.modules.get(value.__module__ or "")
    top = (value.__module__ or "").partition(".")[0]
    if top in ("builtins", "skhybrid"):
        return True
    file = getattr(module, "__file__", None)
    if file is None:
        return top in sys.stdlib_module_names and top != "__main__"
    return file.startswith(_LIBRARY_FOLDERS)


def _reduced(value: Any) -> Any:
    """Return what pickle would keep of an object of a compiled class; nothing if it cannot."""
    try:
        return value.__reduce_ex__(4)[1:3]
    except Exception:
        return None
