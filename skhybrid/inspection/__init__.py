"""Look at fits: how θ depends on a parameter of the estimator, and how sure it is."""

from __future__ import annotations

from skhybrid.inspection.assumptions import OtherAssumptions, other_assumptions
from skhybrid.inspection.bootstrapping import BootstrapResult, bootstrap
from skhybrid.inspection.intervals import ConfidenceIntervals, confidence_intervals
from skhybrid.inspection.overlap import OverlapSensitivity, overlap_sensitivity
from skhybrid.inspection.physics_path import physics_path
from skhybrid.inspection.physics_path_display import PhysicsPathDisplay
from skhybrid.inspection.report import IdentifiabilityReport, identifiability_report

__all__ = [
    "BootstrapResult",
    "ConfidenceIntervals",
    "IdentifiabilityReport",
    "OtherAssumptions",
    "OverlapSensitivity",
    "PhysicsPathDisplay",
    "bootstrap",
    "confidence_intervals",
    "identifiability_report",
    "other_assumptions",
    "overlap_sensitivity",
    "physics_path",
]
