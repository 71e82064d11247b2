"""θ under other assumptions, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skhybrid.inspection.tables import html_table, text_table
from skhybrid.runtime.frames import data_frame

TITLE = "θ under other assumptions about what the physics lacks"


@dataclass(frozen=True)
class Opinion:
    """θ under one assumption.

    Attributes
    ----------
    assumption : str
        Such as "small".
    meaning : str
        What is assumed, with the value of its setting.
    values : dict of str to float
        By element, such as "gain[0]"; NaN where it cannot be had.
    errors : dict of str to float
        Standard errors, where they are known.
    loss : float
        Training loss, without penalties, in units of the target's variance; NaN if unknown.
    reason : str
        Why values are missing.
    reference : bool
        Whether it is shown for comparison alone: without an assumption, or without a network.
    estimator : HybridRegressor, Pipeline or None
        The fitted clone.
    """

    assumption: str
    meaning: str
    values: dict[str, float]
    errors: dict[str, float] = field(default_factory=dict)
    loss: float = np.nan
    reason: str = ""
    reference: bool = False
    estimator: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class OtherAssumptions:
    """θ under other assumptions, as independent opinions, which are not averaged.

    Attributes
    ----------
    opinions : list of Opinion
        The first one is that of the estimator's own settings.
    names : list of str
        Free elements of θ.
    """

    opinions: list[Opinion]
    names: list[str]

    def __getitem__(self, assumption: str) -> Opinion:
        for opinion in self.opinions:
            if opinion.assumption == assumption:
                return opinion
        known = [each.assumption for each in self.opinions]
        raise KeyError(f"There is no assumption {assumption!r}; there are {known}.")

    def range(self, name: str) -> tuple[float, float]:
        """Return the lowest and the highest value of an element over assumptions.

        References, which assume nothing, do not count.
        """
        values = [
            each.values[name]
            for each in self.opinions
            if not each.reference and np.isfinite(each.values.get(name, np.nan))
        ]
        return (min(values), max(values)) if values else (np.nan, np.nan)

    def sentence(self, name: str) -> str:
        """Return how far assumptions agree on an element, in plain words."""
        low, high = self.range(name)
        own = self.opinions[0].values.get(name, np.nan)
        counted = [
            each
            for each in self.opinions
            if not each.reference and np.isfinite(each.values.get(name, np.nan))
        ]
        if len(counted) < 2:
            return f"There is no other opinion on {name}."
        farthest = max(counted, key=lambda each: abs(each.values[name] - own))
        away = farthest.values[name] - own
        relative = f" ({away / abs(own):+.1%})" if own else ""
        return (
            f"{name} is between {low:.4g} and {high:.4g} over {len(counted)} assumptions; the "
            f"farthest from {own:.4g} is {farthest.assumption!r} with {farthest.values[name]:.4g}"
            f"{relative}."
        )

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """One row for each assumption."""
        found = {}
        for each in self.opinions:
            row: dict[str, Any] = {"what is assumed": each.meaning}
            for name in self.names:
                row[name] = each.values.get(name, np.nan)
                if any(name in opinion.errors for opinion in self.opinions):
                    row[f"{name} ±"] = each.errors.get(name, np.nan)
            found[each.assumption] = {**row, "loss": each.loss, "reason": each.reason}
        return found

    @property
    def frame(self) -> Any:
        """The rows as a DataFrame; needs pandas."""
        rows = self.rows
        return data_frame([*rows.values()], index=[*rows])

    def __str__(self) -> str:
        return "\n".join([text_table(TITLE, self.rows), *map(self.sentence, self.names)])

    def _repr_html_(self) -> str:
        sentences = " ".join(map(self.sentence, self.names))
        return f"{html_table(TITLE, self.rows)}<p>{sentences}</p>"
