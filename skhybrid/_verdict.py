"""What a user must be told when a fit has ended."""

from __future__ import annotations

import warnings
from typing import Any

from skhybrid.exceptions import CollapseWarning, NonFiniteLossWarning
from skhybrid.structures import Hybrid
from skhybrid.training import Status
from skhybrid.training.estimation import Estimate
from skhybrid.training.sharing import Shares

# A part of the model whose variance is below this part of the target's explains nothing.
NOTHING = 1e-6
# A residual above this part of the target's variance leaves something to explain.
SOMETHING = 1e-4
# With fewer rows than this a variance over rows says nothing.
MIN_SHARE_ROWS = 10
# Below this share of the explained variance the physics is not what explains the data.
SMALL_SHARE = 0.01

RESTORED = "its last good parameters were restored"


def warn_of_non_finite(outcome: Estimate) -> None:
    """Warn of every restart whose loss became non-finite, and of a refinement whose did."""
    first, second = outcome.restarts, outcome.refinement
    for member, (status, epoch) in enumerate(zip(first.status, first.stopped_epoch, strict=True)):
        if status is Status.NON_FINITE:
            _warn_of_epoch(f"Restart {member}", epoch, f"it stopped there; {RESTORED}")
        elif status is Status.FAILED:
            _warn_of_epoch(f"Restart {member}", epoch, "it was dropped")
    if second is not None and second.status[0] in (Status.NON_FINITE, Status.FAILED):
        _warn_of_epoch("Refinement", second.stopped_epoch[0], f"it stopped there; {RESTORED}")


def _warn_of_epoch(what: str, epoch: int, consequence: str) -> None:
    warnings.warn(
        f"{what}: the loss became non-finite in epoch {epoch}, so {consequence}. Likely causes: "
        "physics parameters that left the region where the physics is finite (give bounds with "
        "Param), or a learning_rate or rho that is too large.",
        NonFiniteLossWarning,
        stacklevel=8,
    )


def warn_of_collapse(hybrid: Hybrid, shares: Shares, n_rows: int, settings: Any) -> None:
    """Warn if one part explained nothing when θ was settled, whatever the refinement made of it."""
    if hybrid.physics is None or n_rows < MIN_SHARE_ROWS:
        return
    if shares.network < NOTHING and shares.residual > SOMETHING and settings.optimizer == "sam":
        warnings.warn(
            f"The network's part vanished while theta was estimated: it explained "
            f"{shares.network:.1e} of the target's variance and left {shares.residual:.1e} "
            f"unexplained. rho={settings.rho} is too large for "
            f"perturbation={settings.perturbation!r}; try a tenth of it.",
            CollapseWarning,
            stacklevel=7,
        )
    elif shares.physics_share < SMALL_SHARE and hybrid.space.shapes:
        warnings.warn(
            f"The physics' part vanished: it explained {100 * shares.physics_share:.2f} % of what "
            "the model explains, so its parameters mean little. Try a larger rho "
            f"(rho={settings.rho}), a functional_norm, or other initial values.",
            CollapseWarning,
            stacklevel=7,
        )
