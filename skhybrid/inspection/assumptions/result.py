"""θ under other assumptions, as an object: text, HTML and a DataFrame."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

from skhybrid.inspection.assumptions.settings import PHYSICS_ALONE
from skhybrid.inspection.tables import html_table, text_table
from skhybrid.runtime.frames import data_frame

AS_FITTED = "as fitted"
# For comparison only: the fit itself, and physics that takes up the missing term.
REFERENCES = (AS_FITTED, PHYSICS_ALONE)


@dataclass(frozen=True, repr=False)
class OtherAssumptions:
    """What :func:`other_assumptions` returns.

    Attributes
    ----------
    values : dict of str to dict of str to float
        By assumption, then by element, such as "gain[0]". What could not be had is missing.
    standard_errors : dict of str to dict of str to float
        The same, for assumptions that have them.
    reasons : dict of str to str
        Why values are missing, by assumption.
    units : dict of str to str
        Units of the elements that have some.
    """

    values: dict[str, dict[str, float]]
    standard_errors: dict[str, dict[str, float]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)

    def opinions(self, name: str) -> dict[str, float]:
        """Return the values of one element by assumption.

        The fit itself is no opinion, and neither is the physics alone: it takes up what it can of
        the missing term.

        Parameters
        ----------
        name : str
            Element, such as "gain[0]".

        Raises
        ------
        ValueError
            If there is no such free element.
        """
        elements = self.values[AS_FITTED]
        if name not in elements:
            raise ValueError(f"There is no free element {name!r}; there are {[*elements]}.")
        return {
            assumption: found[name]
            for assumption, found in self.values.items()
            if assumption not in REFERENCES and name in found
        }

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """One row for each assumption: values, standard errors (±) and the reason for gaps."""
        rows = self._numbers
        for assumption, reason in self.reasons.items():
            rows[assumption]["reason"] = reason
        return rows

    @property
    def frame(self) -> Any:
        """The rows as a DataFrame, with units in ``attrs``; needs pandas."""
        rows = self.rows
        table = data_frame([*rows.values()], index=[*rows])
        table.attrs["units"] = dict(self.units)
        return table

    @property
    def _numbers(self) -> dict[str, dict[str, float]]:
        """The rows without reasons."""
        rows: dict[str, dict[str, float]] = {}
        for assumption, found in self.values.items():
            row, errors = {}, self.standard_errors.get(assumption, {})
            for name in self.values[AS_FITTED]:
                if name in found:
                    row[name] = found[name]
                if name in errors:
                    row[f"± {name}"] = errors[name]
            rows[assumption] = row
        return rows

    @property
    def _shown(self) -> dict[str, dict[str, float]]:
        """The rows with values, with units in the names of the columns."""
        elements = self.values[AS_FITTED]
        names = {each: f"{each} ({self.units[each]})" for each in elements if each in self.units}
        with_errors = {name for errors in self.standard_errors.values() for name in errors}
        order = {
            key: names.get(name, name) if key == name else key
            for name in elements
            for key in ([name, f"± {name}"] if name in with_errors else [name])
        }
        return {
            assumption: {order[key]: row[key] for key in order if key in row}
            for assumption, row in self._numbers.items()
            if row
        }

    @property
    def _notes(self) -> list[str]:
        return [f"{assumption}: {reason}." for assumption, reason in self.reasons.items()]

    def __repr__(self) -> str:
        return "\n".join([text_table(TITLE, self._shown), *self._notes])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{html.escape(each)}</p>" for each in self._notes)
        return html_table(TITLE, self._shown) + notes


TITLE = "θ under other assumptions (the first two rows are for comparison)"
