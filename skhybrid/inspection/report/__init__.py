"""The identifiability report: evidence about each physics parameter, and a verdict."""

from skhybrid.inspection.report.identifiability_report import identifiability_report
from skhybrid.inspection.report.result import IdentifiabilityReport

__all__ = ["IdentifiabilityReport", "identifiability_report"]
