"""Warn about a finished fit."""

from __future__ import annotations

from collections.abc import Mapping

from skhybrid.exceptions import CollapseWarning, FitInterruptedWarning, NonFiniteLossWarning
from skhybrid.fitting.settings import DEFAULT_LEARNING_RATE, FitSettings
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
# A learning rate that exceeds the default by this factor is the likeliest cause of a collapse.
MUCH = 3.0

AGAIN = "set warm_start=True and fit again"
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


def warn_of_interrupt(
    result: FitResult, n_epochs: Mapping[str, int], *, checkpoint: bool = False
) -> None:
    """Warn that the user interrupted a fit, and say what it keeps.

    Parameters
    ----------
    result : FitResult
    n_epochs : mapping of str to int
        Number of epochs of a complete first phase, "estimate", and second phase, "refine".
    checkpoint : bool, default=False
        Whether the fit keeps a checkpoint.
    """
    second = result.refinement
    n_first = result.n_first
    n_second = len(result.loss_curve) - n_first
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
        f"The fit was interrupted from the keyboard {kept}. To continue from here, "
        f"{'fit again with the same checkpoint' if checkpoint else AGAIN}.",
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
    only_tables = hybrid.parts is not None and not hybrid.parts.has_networks
    remedies = [] if only_tables else _remedies_for_network(settings)
    if explained.network < NOTHING and explained.residual > SOMETHING and remedies:
        warn(
            f"The network's part vanished while theta was estimated: it explained "
            f"{explained.network:.1e} of the target's variance and left {explained.residual:.1e} "
            f"unexplained. Unless the rest is noise, {', then '.join(remedies)}.",
            CollapseWarning,
        )
    elif explained.physics_share < SMALL_SHARE and hybrid.space.shapes:
        warn(
            f"The physics' part vanished: it explained {100 * explained.physics_share:.2f} % of "
            "what the model explains, so its parameters mean little. To mend it, "
            f"{', then '.join(_remedies_for_physics(settings))}.",
            CollapseWarning,
        )


def _remedies_for_network(settings: FitSettings) -> list[str]:
    """Return what to try if the network vanished, the likeliest cause first."""
    remedies = _remedies_for_rate(settings)
    for name in ("l2", "functional_norm"):
        if getattr(settings, name) > 0.0:
            remedies.append(f"try {name}=0 ({name}={getattr(settings, name):g} may be too large)")
    if settings.uses_sam:
        remedies.append(
            f"try a tenth of rho (rho={settings.rho} may be too large for "
            f"perturbation={settings.perturbation!r})"
        )
    return remedies


def _remedies_for_physics(settings: FitSettings) -> list[str]:
    """Return what to try if the physics vanished, the likeliest cause first.

    A larger radius or penalty does not bring back physics that begins where it explains nothing.
    """
    remedies = _remedies_for_rate(settings)
    if settings.physics_init == "given":
        remedies.append("set physics_init='least_squares', or give other initial values")
    remedies.append(
        "fit nn=None: if the physics alone explains as little, its columns, units or form do not "
        "suit these data; otherwise let the network read other columns than the physics "
        "(nn_features)"
    )
    return remedies


def _remedies_for_rate(settings: FitSettings) -> list[str]:
    """Return what to try if the learning rate is far above the default."""
    if settings.learning_rate <= MUCH * DEFAULT_LEARNING_RATE:
        return []
    return [
        f"leave learning_rate at its default {DEFAULT_LEARNING_RATE:g} "
        f"(learning_rate={settings.learning_rate:g} is much larger)"
    ]
