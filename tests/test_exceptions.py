"""Errors and warnings with names to catch."""

from __future__ import annotations

import pytest

from skhybrid import exceptions

CLASSES = {name: value for name, value in vars(exceptions).items() if isinstance(value, type)}


def test_all_classes_are_public():
    assert sorted(CLASSES) == sorted(exceptions.__all__) == exceptions.__all__


@pytest.mark.parametrize("name", exceptions.__all__)
def test_errors_and_warnings_can_be_told_by_their_name(name):
    assert CLASSES[name].__doc__
    assert issubclass(CLASSES[name], Warning) == name.endswith("Warning")
    assert issubclass(CLASSES[name], Warning) or name.endswith("Error")


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("PhysicsError", ValueError),
        ("NetworkError", ValueError),
        ("TrainingError", RuntimeError),
        ("DataNotAvailableError", OSError),
        ("NonFiniteLossWarning", RuntimeWarning),
        ("DivergenceWarning", RuntimeWarning),
        ("CollapseWarning", UserWarning),
    ],
)
def test_they_can_be_caught_as_builtin_errors(name, builtin):
    assert issubclass(CLASSES[name], builtin)
