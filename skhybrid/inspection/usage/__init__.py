"""Is the physics used, and is it needed?"""

from __future__ import annotations

from skhybrid.inspection.usage.result import PhysicsUsage
from skhybrid.inspection.usage.usage import physics_usage

__all__ = ["PhysicsUsage", "physics_usage"]
