"""Look at fits: how θ depends on a parameter of the estimator, and how far it can be believed."""

from __future__ import annotations

from skhybrid.inspection.assumptions import OtherAssumptions, other_assumptions
from skhybrid.inspection.bootstrapping import BootstrapResult, bootstrap
from skhybrid.inspection.displays import (
    BootstrapDisplay,
    CorrelationDisplay,
    FitDisplay,
    LossCurveDisplay,
    PartsDisplay,
    PhysicsPathDisplay,
    ProfileDisplay,
    ReportDisplay,
    TrajectoryDisplay,
)
from skhybrid.inspection.intervals import ConfidenceIntervals, confidence_intervals
from skhybrid.inspection.overlap import OverlapSensitivity, overlap_sensitivity
from skhybrid.inspection.physics_check import PhysicsCheck
from skhybrid.inspection.physics_path import physics_path
from skhybrid.inspection.profile import Profile, profile
from skhybrid.inspection.report import IdentifiabilityReport, identifiability_report
from skhybrid.inspection.sharpness import Sharpness, sharpness
from skhybrid.inspection.usage import PhysicsUsage, physics_usage

__all__ = [
    "BootstrapDisplay",
    "BootstrapResult",
    "ConfidenceIntervals",
    "CorrelationDisplay",
    "FitDisplay",
    "IdentifiabilityReport",
    "LossCurveDisplay",
    "OtherAssumptions",
    "OverlapSensitivity",
    "PartsDisplay",
    "PhysicsCheck",
    "PhysicsPathDisplay",
    "PhysicsUsage",
    "Profile",
    "ProfileDisplay",
    "ReportDisplay",
    "Sharpness",
    "TrajectoryDisplay",
    "bootstrap",
    "confidence_intervals",
    "identifiability_report",
    "other_assumptions",
    "overlap_sensitivity",
    "physics_path",
    "physics_usage",
    "profile",
    "sharpness",
]
