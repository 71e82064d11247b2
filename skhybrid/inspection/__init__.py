"""Look at fits: how θ depends on a parameter of the estimator."""

from __future__ import annotations

from skhybrid.inspection.overlap import OverlapSensitivity, overlap_sensitivity
from skhybrid.inspection.physics_path import physics_path
from skhybrid.inspection.physics_path_display import PhysicsPathDisplay
from skhybrid.inspection.usage import PhysicsUsage, physics_usage

__all__ = [
    "OverlapSensitivity",
    "PhysicsPathDisplay",
    "PhysicsUsage",
    "overlap_sensitivity",
    "physics_path",
    "physics_usage",
]
