"""Files that hold a state: tensors as safetensors, everything else as JSON, and a checksum.

Such a file is a safetensors file whose metadata has three entries: "header" (who wrote it, as
JSON), "state" (the state as JSON, in which a tensor is an object with the key "tensor") and
"sha256", the checksum of all bytes of the file, with zeros in its own place. Nothing in it can run
code when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import torch
from torch import Tensor

_TENSOR = "tensor"
# The place of the checksum in a file. In texts inside the file, quotes are escaped.
_PLACE = b'"sha256":"%s"'
_ZEROS = b"0" * 64


class DamagedStateError(ValueError):
    """The content of a state file is not what was written."""


def pack_state(state: Any, header: Mapping[str, Any]) -> bytes:
    """Return the content of a state file.

    Parameters
    ----------
    state : dict, list, Tensor, number, str or None, nested
        Keys are strings; tuples become lists.
    header : mapping
        Plain values.
    """
    arrays: dict[str, np.ndarray] = {}
    texts = {"header": json.dumps(header), "state": json.dumps(_without_tensors(state, arrays, ""))}
    content = safetensors.numpy.save(arrays, {**texts, "sha256": _ZEROS.decode()})
    checksum = hashlib.sha256(content).hexdigest().encode()
    return content.replace(_PLACE % _ZEROS, _PLACE % checksum, 1)


def unpack_state(content: bytes) -> tuple[Any, dict[str, Any]]:
    """Return the state and the header in the content of a state file.

    Raises
    ------
    DamagedStateError
        If the content is truncated or changed.
    """
    try:
        length = int.from_bytes(content[:8], "little")
        texts = json.loads(content[8 : 8 + length])["__metadata__"]
        arrays = safetensors.numpy.load(content)
        checksum = texts["sha256"].encode()
        zeroed = content.replace(_PLACE % checksum, _PLACE % _ZEROS, 1)
        if hashlib.sha256(zeroed).hexdigest().encode() != checksum:
            raise DamagedStateError("its checksum is wrong")
        state = _with_tensors(json.loads(texts["state"]), arrays)
        return state, json.loads(texts["header"])
    except DamagedStateError:
        raise
    except Exception as error:  # whatever a parser says of bytes that are no state file
        raise DamagedStateError(f"it cannot be read ({type(error).__name__}: {error})") from error


def _without_tensors(value: Any, arrays: dict[str, np.ndarray], path: str) -> Any:
    """Return a state in which the tensors are names; their values go to ``arrays``."""
    if isinstance(value, Tensor):
        name = f"{len(arrays)}{path}"
        arrays[name] = np.ascontiguousarray(value.detach().cpu().numpy()).reshape(value.shape)
        return {_TENSOR: name, "device": str(value.device)}
    if isinstance(value, Mapping):
        return {key: _without_tensors(each, arrays, f"{path}/{key}") for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [
            _without_tensors(each, arrays, f"{path}/{place}") for place, each in enumerate(value)
        ]
    return value


def _with_tensors(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return a state with its tensors, on their devices."""
    if isinstance(value, dict):
        if value.keys() == {_TENSOR, "device"}:
            return torch.tensor(arrays[value[_TENSOR]], device=value["device"])
        return {key: _with_tensors(each, arrays) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_tensors(each, arrays) for each in value]
    return value
