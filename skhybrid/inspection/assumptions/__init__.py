"""θ under other assumptions about what the physics lacks."""

from __future__ import annotations

from skhybrid.inspection.assumptions.other_assumptions import other_assumptions
from skhybrid.inspection.assumptions.result import Opinion, OtherAssumptions

__all__ = ["Opinion", "OtherAssumptions", "other_assumptions"]
