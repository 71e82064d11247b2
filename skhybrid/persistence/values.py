"""Values of a fitted model as JSON and tensors, and back.

Numbers, texts, None and lists stay as they are. Everything else is an object with the key "kind".
The records of this package, which are dataclasses, are stored as their fields.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skhybrid.exceptions import SavedModelError

_PACKAGE = __package__.partition(".")[0]


def encode(value: Any, name: str) -> Any:
    """Return a value as plain JSON and tensors on the CPU.

    Parameters
    ----------
    value : object
        Numbers, texts, arrays, tensors, paths, and records of this package, nested in lists,
        tuples and dicts.
    name : str
        What the value is, for the error.

    Raises
    ------
    SavedModelError
        If it is or contains anything else, such as a function.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [encode(each, f"{name}[{i}]") for i, each in enumerate(value)]
    if isinstance(value, Tensor):
        return _encoded_tensor(value, name)
    if isinstance(value, (np.ndarray, np.generic)):
        return _encoded_array(np.asarray(value), name) | {"scalar": isinstance(value, np.generic)}
    if isinstance(value, tuple):
        return {"kind": "tuple", "items": encode([*value], name)}
    if isinstance(value, Mapping):
        items = [[encode(k, name), encode(v, f"{name}[{k!r}]")] for k, v in value.items()]
        return {"kind": "dict", "items": items}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, torch.dtype):
        return {"kind": "dtype", "name": str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"kind": "device", "name": str(value)}
    if isinstance(value, np.random.RandomState):
        return {"kind": "random state", "state": encode(value.get_state(legacy=True), name)}
    if isinstance(value, type) and _is_own(value):
        return {"kind": "class", "name": _name_of(value)}
    if _is_own(type(value)) and dataclasses.is_dataclass(value):
        fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return {"kind": "record", "class": _name_of(type(value)), "fields": encode(fields, name)}
    if hasattr(value, "__array__"):  # a column of a data frame
        return _encoded_array(np.asarray(value), name)
    raise SavedModelError(
        f"{name} is of the type {type(value).__module__}.{type(value).__qualname__}, which cannot "
        "be stored: a saved model holds numbers, texts and arrays, no code. Set it to a plain "
        "value, or use pickle."
    )


def decode(node: Any, device: torch.device | str = "cpu") -> Any:
    """Return the value that :func:`encode` has stored, with its tensors on a device."""
    if isinstance(node, list):
        return [decode(each, device) for each in node]
    if not isinstance(node, dict):
        return node
    return _DECODERS[node["kind"]](node, partial(decode, device=device), device)


def record(own_class: type, fields: Mapping[str, Any]) -> Any:
    """Return a record of this package with these fields; those it has none of must be given.

    Raises
    ------
    SavedModelError
        If the class has other fields than the file.
    """
    known = {each.name for each in dataclasses.fields(own_class)}
    unknown = [name for name in fields if name not in known]
    if unknown:
        raise SavedModelError(
            f"the file has {unknown[0]!r} of {own_class.__name__}, which this version of "
            f"{_PACKAGE} does not know"
        )
    return own_class(**fields)


def own_class(name: str) -> type:
    """Return a dataclass of this package by its module and name."""
    module, _, called = name.rpartition(".")
    found = getattr(importlib.import_module(f"{_PACKAGE}.{module}"), called, None)
    if not (isinstance(found, type) and _is_own(found)):
        raise SavedModelError(f"this version of {_PACKAGE} has no record {name!r}")
    return found


def _is_own(cls: type) -> bool:
    """Whether a class is a dataclass of this package."""
    return cls.__module__.startswith(f"{_PACKAGE}.") and dataclasses.is_dataclass(cls)


def _name_of(cls: type) -> str:
    return f"{cls.__module__.removeprefix(f'{_PACKAGE}.')}.{cls.__qualname__}"


def _encoded_tensor(value: Tensor, name: str) -> dict[str, Any]:
    if value.layout != torch.strided or value.is_quantized or value.dtype not in _TENSOR_DTYPES:
        raise SavedModelError(
            f"{name} is a tensor of {value.dtype} and {value.layout}, which cannot be stored. Use "
            "dense tensors of float32, float64, integers or bool."
        )
    return {"kind": "tensor", "values": value.detach().cpu().contiguous()}


def _encoded_array(value: np.ndarray, name: str) -> dict[str, Any]:
    node: dict[str, Any] = {"kind": "array", "dtype": value.dtype.str}
    if value.dtype.kind in "fiub" and value.dtype.itemsize <= 8:
        plain = value.astype(np.int64 if value.dtype.kind == "u" else value.dtype.newbyteorder("="))
        return node | {"values": torch.tensor(np.ascontiguousarray(plain)).reshape(value.shape)}
    if value.dtype.kind not in "OUS" or value.dtype.kind == "S":
        raise SavedModelError(
            f"{name} is an array of {value.dtype}, which cannot be stored. Use floating-point "
            "numbers, integers, bool or texts."
        )
    items = [encode(each, name) for each in value.reshape(-1).tolist()]
    return node | {"shape": [*value.shape], "items": items}


def _array(node: dict, inner: Callable, device: Any) -> Any:
    dtype = np.dtype(node["dtype"])
    if "values" in node:
        array = node["values"].numpy().astype(dtype)
    else:
        array = np.empty(len(node["items"]), dtype=dtype)
        array[:] = [inner(each) for each in node["items"]]
        array = array.reshape(node["shape"])
    return array[()] if node.get("scalar") else array


def _random_state(node: dict, inner: Callable, device: Any) -> np.random.RandomState:
    random_state = np.random.RandomState()
    random_state.set_state(inner(node["state"]))
    return random_state


_TENSOR_DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)
_DECODERS: dict[str, Callable[[dict, Callable, Any], Any]] = {
    "tensor": lambda node, inner, device: node["values"].to(device),
    "array": _array,
    "tuple": lambda node, inner, device: tuple(inner(node["items"])),
    "dict": lambda node, inner, device: {inner(k): inner(v) for k, v in node["items"]},
    "dtype": lambda node, inner, device: getattr(torch, node["name"]),
    "device": lambda node, inner, device: torch.device(node["name"]),
    "random state": _random_state,
    "class": lambda node, inner, device: own_class(node["name"]),
    "record": lambda node, inner, device: record(own_class(node["class"]), inner(node["fields"])),
}
