"""What a fit, or many of them, can tell."""

from __future__ import annotations

from skhybrid.inspection._path import PhysicsPathDisplay, physics_path

__all__ = ["PhysicsPathDisplay", "physics_path"]
