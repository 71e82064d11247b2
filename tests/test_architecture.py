"""The house: rooms, and imports that go one way. Read from the source, nothing is imported."""

from __future__ import annotations

import ast
import graphlib
from functools import cache
from pathlib import Path

import pytest

import skhybrid

ROOT = Path(skhybrid.__file__).parent
# A room may import from the rooms below it, never from those above or beside it.
FLOORS = [
    ("__init__",),
    ("search", "inspection", "persistence"),
    ("_regressor",),
    ("batching",),
    ("model_selection",),
    ("prediction",),
    ("fitting",),
    ("training", "data", "datasets"),
    ("model",),
    ("runtime", "exceptions"),
]
LEVEL = {room: level for level, rooms in enumerate(reversed(FLOORS)) for room in rooms}


def room_of(module: str) -> str:
    """Return the room, or the module of the root, that a module lies in."""
    return module.split(".")[1] if "." in module else "__init__"


@cache
def imports() -> dict[str, set[str]]:
    """Return the modules of skhybrid that each module imports, type-checking imports included."""
    files = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = ["skhybrid", *path.relative_to(ROOT).with_suffix("").parts]
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found = {}
    for module, path in files.items():
        found[module] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                found[module] |= {name if name in files else node.module for name in names}
            elif isinstance(node, ast.Import):
                found[module] |= {alias.name for alias in node.names}
        found[module] = {name for name in found[module] if name in files and name != module}
    return found


def test_every_room_has_a_floor():
    assert {room_of(module) for module in imports()} == set(LEVEL)


@pytest.mark.parametrize("room", LEVEL)
def test_imports_go_down(room):
    wrong = [
        f"{module} imports {imported}"
        for module, targets in imports().items()
        for imported in sorted(targets)
        if room_of(module) == room
        and room_of(imported) != room
        and LEVEL[room_of(imported)] >= LEVEL[room]
    ]
    assert not wrong


def test_no_circle_of_files():
    without_packages = {
        module: {target for target in targets if target != module.rpartition(".")[0]}
        for module, targets in imports().items()
    }
    order = [*graphlib.TopologicalSorter(without_packages).static_order()]  # raises on a circle
    assert len(order) == len(imports())


def test_at_most_nine_levels_of_rooms():
    rooms: dict[str, set[str]] = {room: set() for room in LEVEL}
    for module, targets in imports().items():
        rooms[room_of(module)] |= {room_of(target) for target in targets} - {room_of(module)}
    height: dict[str, int] = {}
    for room in graphlib.TopologicalSorter(rooms).static_order():
        height[room] = 1 + max((height[below] for below in rooms[room]), default=0)
    assert max(height.values()) <= 9


def test_the_root_is_the_public_face():
    assert len([*ROOT.glob("*.py")]) <= 6
