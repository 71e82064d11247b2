"""Deep hybrid models for scikit-learn: known physics and a network, learned together."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from skhybrid._regressor import HybridRegressor
    from skhybrid.data.long_tables import trajectories_from_frame
    from skhybrid.inspection.physics_check import check_physics
    from skhybrid.model.latent_ode import LatentODE
    from skhybrid.model.ode import ODE
    from skhybrid.model.param import Param
    from skhybrid.model.physics import Physics
    from skhybrid.persistence.exporting import export
    from skhybrid.persistence.saving import load, save
    from skhybrid.search.search_cv import HybridSearchCV

__all__ = [
    "ODE",
    "HybridRegressor",
    "HybridSearchCV",
    "LatentODE",
    "Param",
    "Physics",
    "check_physics",
    "datasets",
    "exceptions",
    "export",
    "inspection",
    "load",
    "model_selection",
    "save",
    "trajectories_from_frame",
]

# Importing torch takes seconds, so names are imported at their first use.
_HOMES = {
    "ODE": "skhybrid.model.ode",
    "HybridRegressor": "skhybrid._regressor",
    "HybridSearchCV": "skhybrid.search.search_cv",
    "LatentODE": "skhybrid.model.latent_ode",
    "Param": "skhybrid.model.param",
    "Physics": "skhybrid.model.physics",
    "check_physics": "skhybrid.inspection.physics_check",
    "export": "skhybrid.persistence.exporting",
    "load": "skhybrid.persistence.saving",
    "save": "skhybrid.persistence.saving",
    "trajectories_from_frame": "skhybrid.data.long_tables",
}
_MODULES = {"datasets", "exceptions", "inspection", "model_selection"}


def __getattr__(name: str):
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"skhybrid.{name}")
    else:
        raise AttributeError(f"module 'skhybrid' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
