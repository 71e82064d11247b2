"""The bootstrap: fits to resampled data, side by side."""

from __future__ import annotations

from skhybrid.inspection.bootstrapping.result import BootstrapResult
from skhybrid.inspection.bootstrapping.run_bootstrap import bootstrap

__all__ = ["BootstrapResult", "bootstrap"]
