"""Which fits an interrupted search lacks."""

from __future__ import annotations

from skhybrid.batching.cross_validation import CrossValidation
from skhybrid.exceptions import SearchInterruptedWarning
from skhybrid.runtime.user_warnings import warn


def warn_of_missing_fits(validation: CrossValidation) -> None:
    """Say which candidates lack fits after an interrupt."""
    trials = validation.trials
    missing = [trial for trial in trials if not trial.finished]
    candidates = sorted({trial.number // validation.n_folds for trial in missing})
    shown = ", ".join(map(str, candidates[:20])) + (", ..." if len(candidates) > 20 else "")
    warn(
        f"The search was interrupted: {len(trials) - len(missing)} of {len(trials)} fits are "
        "finished, and their scores are in cv_results_. There are NaNs in the scores of "
        f"candidates {shown}, which lack {len(missing)} fits. Nothing was refitted.",
        SearchInterruptedWarning,
    )
