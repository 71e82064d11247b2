"""States come back from their files bit by bit, and no damage goes unseen."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.numpy
import torch

from skhybrid.runtime.state_files import DamagedStateError, pack_state, unpack_state

STATE = {
    "weights": {"layer.0": torch.randn(3, 2, dtype=torch.float64), "scalar": torch.tensor(2.5)},
    "empty": torch.zeros(0, 3),
    "generator": torch.Generator().manual_seed(3).get_state(),
    "stopped": torch.tensor([True, False]),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
    "curve": [0.1 + 0.2, float("inf"), -0.0, 1e-310],
    "counts": [1, 2**62, None, True, "text"],
    "missing": torch.tensor([float("nan"), 1.0]),
}
HEADER = {"version": "1"}


def test_a_state_comes_back():
    found, header = unpack_state(pack_state(STATE, HEADER))
    assert header == HEADER
    assert list(found) == list(STATE)
    for name in ("curve", "counts"):
        assert repr(found.pop(name)) == repr(STATE[name])
    expected = {name: STATE[name] for name in found}
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    assert found["weights"]["scalar"].shape == ()
    assert unpack_state(pack_state({"nan": float("nan")}, {}))[0]["nan"] != 0.0


def test_it_is_a_safetensors_file():
    arrays = safetensors.numpy.load(pack_state(STATE, HEADER))
    (weights,) = [array for name, array in arrays.items() if name.endswith("layer.0")]
    np.testing.assert_array_equal(weights, STATE["weights"]["layer.0"].numpy())


def test_every_flipped_bit_is_seen():
    content = pack_state({"w": torch.arange(4.0), "n": 3}, HEADER)
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(DamagedStateError):
            unpack_state(bytes(changed))


def test_every_cut_is_seen():
    content = pack_state({"w": torch.arange(4.0), "n": 3}, HEADER)
    for length in range(len(content)):
        with pytest.raises(DamagedStateError):
            unpack_state(content[:length])
    with pytest.raises(DamagedStateError):
        unpack_state(content + b"more")


def test_texts_with_the_place_of_a_checksum():
    state = {"text": '"sha256":"' + "0" * 64 + '"', '"sha256":"': torch.zeros(1)}
    found, _ = unpack_state(pack_state(state, HEADER))
    assert found["text"] == state["text"]
