"""Figures of fitted models and of what the inspection finds."""

from __future__ import annotations

from skhybrid.inspection.displays.bootstrap_display import BootstrapDisplay
from skhybrid.inspection.displays.correlation_display import CorrelationDisplay
from skhybrid.inspection.displays.fit_display import FitDisplay
from skhybrid.inspection.displays.loss_curve_display import LossCurveDisplay
from skhybrid.inspection.displays.parts_display import PartsDisplay
from skhybrid.inspection.displays.physics_path_display import PhysicsPathDisplay
from skhybrid.inspection.displays.profile_display import ProfileDisplay
from skhybrid.inspection.displays.report_display import ReportDisplay
from skhybrid.inspection.displays.trajectory_display import TrajectoryDisplay

__all__ = [
    "BootstrapDisplay",
    "CorrelationDisplay",
    "FitDisplay",
    "LossCurveDisplay",
    "PartsDisplay",
    "PhysicsPathDisplay",
    "ProfileDisplay",
    "ReportDisplay",
    "TrajectoryDisplay",
]
