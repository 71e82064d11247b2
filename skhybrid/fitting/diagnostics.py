"""Warn about a finished fit."""

from __future__ import annotations

from collections.abc import Mapping

from skhybrid.exceptions import CollapseWarning, FitInterruptedWarning, NonFiniteLossWarning
from skhybrid.fitting.settings import FitSettings
from skhybrid.model.hybrid import Hybrid
from skhybrid.runtime.user_warnings import warn
from skhybrid.training.explained_variance import ExplainedVariance
from skhybrid.training.result import FitResult, Status

# A part of the model explains nothing below this fraction of the target's variance.
NOTHING = 1e-6
# A residual above this fraction of the target's variance leaves something to explain.
SOMETHING = 1e-4
# With fewer rows, a variance over rows says nothing.
MIN_SHARE_ROWS = 10
# With a smaller share of the explained variance, the physics does not explain the data.
SMALL_SHARE = 0.01

RESTORED = "its last good parameters were restored"


def warn_of_non_finite(result: FitResult) -> None:
    """Warn about restarts, and about a refinement, whose loss became non-finite."""
    first, second = result.restarts, result.refinement
    for member, (status, epoch) in enumerate(zip(first.status, first.stopped_epoch, strict=True)):
        if status is Status.NON_FINITE:
            _warn_of_epoch(f"Restart {member}", epoch, f"it stopped there; {RESTORED}")
        elif status is Status.FAILED:
            _warn_of_epoch(f"Restart {member}", epoch, "it was dropped")
    if second is not None and second.status[0] in (Status.NON_FINITE, Status.FAILED):
        _warn_of_epoch("Refinement", second.stopped_epoch[0], f"it stopped there; {RESTORED}")


def _warn_of_epoch(run: str, epoch: int, consequence: str) -> None:
    """Warn about a loss that became non-finite in this epoch."""
    warn(
        f"{run}: the loss became non-finite in epoch {epoch}, so {consequence}. Likely causes: "
        "physics parameters that left the region where the physics is finite (give bounds with "
        "Param), or a learning_rate or rho that is too large.",
        NonFiniteLossWarning,
    )


def warn_of_interrupt(result: FitResult, n_epochs: Mapping[str, int]) -> None:
    """Warn that the user interrupted a fit, and say what it keeps.

    Parameters
    ----------
    result : FitResult
    n_epochs : mapping of str to int
        Number of epochs of a complete first phase, "estimate", and second phase, "refine".
    """
    second = result.refinement
    n_second = 0 if second is None else len(second.curve)
    n_first = len(result.loss_curve) - n_second
    if result.restarts.status[result.best] is Status.INTERRUPTED:
        kept = (
            f"after {n_first} of {n_epochs['estimate']} epochs of the first phase. The model of "
            f"epoch {n_first} is kept, without a second phase. Its physics parameters may still "
            "have been changing: do not report them before the fit is complete"
        )
    else:
        kept_epoch = 0 if second is None else second.kept_epoch[0]
        kept = (
            f"after {n_second} of {n_epochs['refine']} epochs of the second phase. The physics "
            "parameters are from the complete first phase; the network is from epoch "
            f"{kept_epoch} of the second"
        )
    warn(
        f"The fit was interrupted from the keyboard {kept}. To continue from here, set "
        "warm_start=True and fit again.",
        FitInterruptedWarning,
    )


def warn_of_collapse(
    hybrid: Hybrid, explained: ExplainedVariance, n_rows: int, settings: FitSettings
) -> None:
    """Warn if one part explained nothing at the end of the first phase.

    The refinement does not count: it can revive a network that vanished while θ was estimated.
    """
    if hybrid.physics is None or n_rows < MIN_SHARE_ROWS:
        return
    if (
        explained.network < NOTHING
        and explained.residual > SOMETHING
        and settings.optimizer == "sam"
    ):
        warn(
            f"The network's part vanished while theta was estimated: it explained "
            f"{explained.network:.1e} of the target's variance and left {explained.residual:.1e} "
            f"unexplained. rho={settings.rho} is too large for "
            f"perturbation={settings.perturbation!r}; try a tenth of it.",
            CollapseWarning,
        )
    elif explained.physics_share < SMALL_SHARE and hybrid.space.shapes:
        warn(
            f"The physics' part vanished: it explained {100 * explained.physics_share:.2f} % of "
            "what the model explains, so its parameters mean little. Try a larger rho "
            f"(rho={settings.rho}), a functional_norm, or other initial values.",
            CollapseWarning,
        )
