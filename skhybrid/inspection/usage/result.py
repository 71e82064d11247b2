"""What was found about the use of the physics, as tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from skhybrid.inspection.tables import html_table, text_table
from skhybrid.runtime.frames import data_frame

HYBRID, PHYSICS, NETWORK = "hybrid", "physics alone", "network alone"
MODELS = (HYBRID, PHYSICS, NETWORK)
REGIONS = ("all", "inside", "edge")
# Differences count if they are significant at 5 %, on both sides.
CONFIDENCE = 0.975
COMPARED = "Loss on rows held out (mean squared error in units of the target's variance)"
MOVED = "Training loss when a parameter is moved, the network held and trained again"


@dataclass(frozen=True)
class Move:
    """What happens to the training loss when an element of θ is moved.

    Attributes
    ----------
    value, moved : float
        Fitted value, and the value to which it is moved; a bound may have stopped it.
    held : float
        Training loss less that of the fit, with all else held.
    again : float
        The same with the network and the other parameters trained again; NaN if that failed.
    """

    value: float
    moved: float
    held: float
    again: float


@dataclass(frozen=True)
class PhysicsUsage:
    """How much the physics is used, and needed.

    Attributes
    ----------
    share : dict of str to array of shape (n_folds,)
        The physics' share of the explained variance on "training" rows and on rows "held out".
    losses : dict of str to dict of str to array of shape (n_folds,)
        By region ("all", "inside", "edge"), then by model ("hybrid", "physics alone", "network
        alone"): loss on the rows held out.
    loss : float
        Training loss of the fit to all rows, of the first phase.
    moves : dict of str to list of Move
        By element, such as "gain[0]": downwards, and upwards.
    reasons : dict of str to str
        Why something is missing.
    estimator : HybridRegressor or Pipeline
        The fit to all rows, of the first phase.
    constant : str
        Parameters that do not vary in the physics' part, such as "with base at its mean"; empty if
        none varies.
    """

    share: dict[str, np.ndarray]
    losses: dict[str, dict[str, np.ndarray]]
    loss: float
    moves: dict[str, list[Move]]
    reasons: dict[str, str] = field(default_factory=dict)
    estimator: Any = field(default=None, repr=False)
    constant: str = ""

    def difference(self, model: str, region: str = "all") -> tuple[float, float]:
        """Return how much larger the loss of a model is than the hybrid's, and its standard error.

        Parameters
        ----------
        model : {"physics alone", "network alone"}
        region : {"all", "inside", "edge"}, default="all"

        Returns
        -------
        mean, standard_error : float
            Over folds, which are paired. The error is too small where folds share training rows; it
            is NaN for one fold.
        """
        losses = self.losses[region]
        paired = losses[model] - losses[HYBRID]
        paired = paired[np.isfinite(paired)]
        if len(paired) < 2:
            return (float(paired[0]) if len(paired) else np.nan), np.nan
        return float(paired.mean()), float(paired.std(ddof=1) / np.sqrt(len(paired)))

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """One row for each model: its mean loss, and the paired difference to the hybrid."""
        found = {}
        for model in MODELS:
            row: dict[str, Any] = {}
            for region in (each for each in REGIONS if each in self.losses):
                row[region] = _mean(self.losses[region][model])
                if model != HYBRID:
                    mean, error = self.difference(model, region)
                    row[f"{region}, more than hybrid"] = mean
                    row[f"{region}, standard error"] = error
            found[model] = row
        columns = dict.fromkeys(name for row in reversed(found.values()) for name in row)
        return {model: {name: row.get(name) for name in columns} for model, row in found.items()}

    @property
    def frame(self) -> Any:
        """The rows as a DataFrame; needs pandas."""
        rows = self.rows
        return data_frame([*rows.values()], index=[*rows])

    @property
    def move_rows(self) -> dict[str, dict[str, Any]]:
        """One row for each element and direction: the value, and what the loss gains."""
        return {
            f"{name} = {move.moved:.4g}": {
                "fitted": move.value,
                "moved": move.moved,
                "loss + (held)": move.held,
                "loss + (trained again)": move.again,
            }
            for name, moves in self.moves.items()
            for move in moves
        }

    @property
    def moves_frame(self) -> Any:
        """The moves as a DataFrame; needs pandas."""
        rows = self.move_rows
        return data_frame([*rows.values()], index=[*rows])

    def sentences(self) -> list[str]:
        """Return what was found, in plain sentences."""
        training, held_out = (_mean(self.share[key]) for key in ("training", "held out"))
        who = f"The physics, {self.constant}," if self.constant else "The physics"
        found = [f"{who} explains {training:.0%} of what the hybrid explains."]
        if np.isfinite(held_out):
            found[0] = f"{found[0][:-1]}, and {held_out:.0%} on rows held out."
        found += [self._compared(model, "all", "on rows held out") for model in MODELS[1:]]
        if "edge" in self.losses:
            found.append(self._compared(NETWORK, "edge", "at the edge of the training range"))
        found = [each for each in found if each]
        return [*found, *self.reasons.values()]

    def short_sentence(self) -> str:
        """Return in one sentence what the physics explains, and whether it is needed."""
        first, *others = self.sentences()
        without = self._compared(NETWORK, "all", "on rows held out")
        return f"{first} {without}".strip() if others else first

    def _compared(self, model: str, region: str, where: str) -> str:
        """Return how a model compares with the hybrid; empty if it has no losses."""
        mean, error = self.difference(model, region)
        if not np.isfinite(mean):
            return ""
        n_folds = int(np.isfinite(self.losses[region][model] - self.losses[region][HYBRID]).sum())
        # An unknown error is no evidence.
        if not abs(mean) > stats.t.ppf(CONFIDENCE, n_folds - 1) * error:
            return f"The {model} is about as good as the hybrid {where}."
        worse, higher = ("worse", "higher") if mean > 0 else ("better", "lower")
        return (
            f"The {model} is {worse} than the hybrid {where}: its loss is {abs(mean):.2g} ± "
            f"{error:.1g} {higher}."
        )

    def __str__(self) -> str:
        parts = [*self.sentences(), "", text_table(COMPARED, self.rows)]
        if self.moves:
            parts += ["", text_table(f"{MOVED}: {self.loss:.4g} and more", self.move_rows)]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        parts = [f"<p>{' '.join(self.sentences())}</p>", html_table(COMPARED, self.rows)]
        if self.moves:
            parts.append(html_table(f"{MOVED}: {self.loss:.4g} and more", self.move_rows))
        return "".join(parts)


def _mean(values: np.ndarray | Mapping) -> float:
    """Return the mean of the finite values; NaN if there are none."""
    finite = np.asarray(values)[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else np.nan
