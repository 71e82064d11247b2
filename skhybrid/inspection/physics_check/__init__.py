"""Whether a physics can be fitted to data, told before a fit."""

from __future__ import annotations

from skhybrid.inspection.physics_check.check_physics import check_physics
from skhybrid.inspection.physics_check.result import ParameterAtStart, PhysicsCheck, Problem

__all__ = ["ParameterAtStart", "PhysicsCheck", "Problem", "check_physics"]
