"""θ under other assumptions about the missing term than that it is flat."""

from skhybrid.inspection.assumptions.other_assumptions import other_assumptions
from skhybrid.inspection.assumptions.result import OtherAssumptions

__all__ = ["OtherAssumptions", "other_assumptions"]
