"""Values come back with their types, and what is no value is an error."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_saved import same

from skhybrid.exceptions import SavedModelError
from skhybrid.model.layout import Layout
from skhybrid.model.scales import Scales
from skhybrid.model.solver_steps import SolverSteps
from skhybrid.persistence.values import decode, encode, own_class, record
from skhybrid.runtime.state_files import pack_state, unpack_state

VALUES = {
    "plain": [None, True, 3, 0.1 + 0.2, float("nan"), float("-inf"), "θ", 2**70],
    "tuple": ((1, (2.0,)), []),
    "keys": {1: "a", None: (), "tensor": 1, "device": 2},
    "array": np.arange(6.0).reshape(2, 3).T,
    "single": np.float32(0.1),
    "unsigned": np.array([2**64 - 1, 0], dtype=np.uint64),
    "big-endian": np.arange(3, dtype=">f8"),
    "texts": np.array(["force", "angle"], dtype=object),
    "short texts": np.array([["a", "bc"]]),
    "empty": np.zeros((0, 2)),
    "tensor": torch.arange(4.0, dtype=torch.float64).reshape(2, 2).T,
    "scalar": torch.tensor(2, dtype=torch.int64),
    "dtype": torch.float64,
    "device": torch.device("cpu"),
    "class": Scales,
}


def through_a_file(value):
    """Return a value after a file."""
    return decode(unpack_state(pack_state(encode(value, "value"), {}))[0])


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back(name):
    assert same(through_a_file(VALUES[name]), VALUES[name])


def test_records():
    layout = Layout((2,), (1,), uniform_step=0.1)
    assert through_a_file(layout) == layout
    assert through_a_file([SolverSteps((1, 2), 0.5)]) == [SolverSteps((1, 2), 0.5)]


def test_random_states():
    random_state = np.random.RandomState(3)
    random_state.standard_normal(3)
    found = through_a_file(random_state)
    assert found.standard_normal() == random_state.standard_normal()


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ({"f": [print]}, r"value\['f'\]\[0\] is of the type builtins\.builtin_function"),
        (object(), "which cannot be stored"),
        (torch.zeros(2, dtype=torch.complex64), "complex64"),
        (torch.eye(2).to_sparse(), "sparse"),
        (np.array([1j]), "complex128"),
        (int, "which cannot be stored"),
    ],
)
def test_what_cannot_be_stored(value, match):
    with pytest.raises(SavedModelError, match=match):
        encode(value, "value")


def test_only_records_of_this_package():
    with pytest.raises(SavedModelError, match="no record"):
        own_class("model.solvers.rk4")
    with pytest.raises(ModuleNotFoundError):
        own_class("os.path")
    with pytest.raises(SavedModelError, match="'colour' of Layout"):
        record(Layout, {"state_shape": (1,), "output_shape": (1,), "colour": 3})
