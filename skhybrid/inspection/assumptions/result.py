"""θ under other assumptions, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skhybrid.inspection.tables import html_table, text_table
from skhybrid.runtime.frames import data_frame

OWN_NAME = "own"
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
        Whether it is shown for comparison alone: physics that takes up what it can of the rest.
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
    by_assumption : dict of str to Opinion
        The first one, "own", is that of the estimator's own settings.
    names : list of str
        Free elements of θ.
    """

    by_assumption: dict[str, Opinion]
    names: list[str]

    def __getitem__(self, assumption: str) -> Opinion:
        if assumption not in self.by_assumption:
            known = [*self.by_assumption]
            raise KeyError(f"There is no assumption {assumption!r}; there are {known}.")
        return self.by_assumption[assumption]

    def opinions(self, name: str) -> dict[str, float]:
        """Return the values of one element under the other assumptions.

        The estimator's own value, references and missing values are left out.

        Parameters
        ----------
        name : str
            Element, such as "gain[0]".

        Raises
        ------
        ValueError
            If there is no such free element.
        """
        if name not in self.names:
            raise ValueError(f"There is no free element {name!r}; there are {self.names}.")
        return {
            assumption: each.values[name]
            for assumption, each in self.by_assumption.items()
            if assumption != OWN_NAME
            and not each.reference
            and np.isfinite(each.values.get(name, np.nan))
        }

    def errors(self, name: str) -> dict[str, float]:
        """Return the standard errors of :meth:`opinions`, of those that have one."""
        return {
            assumption: self[assumption].errors[name]
            for assumption in self.opinions(name)
            if name in self[assumption].errors
        }

    def range(self, name: str) -> tuple[float, float]:
        """Return the lowest and the highest value of an element, the estimator's own included.

        References do not count.
        """
        values = [self[OWN_NAME].values[name], *self.opinions(name).values()]
        return min(values), max(values)

    def sentence(self, name: str) -> str:
        """Return how far assumptions agree on an element, in plain words."""
        low, high = self.range(name)
        own, others = self[OWN_NAME].values[name], self.opinions(name)
        if not others:
            return f"There is no other opinion on {name}."
        farthest = max(others, key=lambda each: abs(others[each] - own))
        away = others[farthest] - own
        relative = f" ({away / abs(own):+.1%})" if own else ""
        return (
            f"{name} is between {low:.4g} and {high:.4g} over {len(others) + 1} assumptions; the "
            f"farthest from {own:.4g} is {farthest!r} with {others[farthest]:.4g}"
            f"{relative}."
        )

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """One row for each assumption."""
        found = {}
        for each in self.by_assumption.values():
            row: dict[str, Any] = {"what is assumed": each.meaning}
            for name in self.names:
                row[name] = each.values.get(name, np.nan)
                if any(name in opinion.errors for opinion in self.by_assumption.values()):
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
