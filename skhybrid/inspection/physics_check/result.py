"""The result of a check of physics on data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from skhybrid.runtime.frames import data_frame
from skhybrid.runtime.number_text import number_text
from skhybrid.runtime.tables import html_paragraphs, html_table, text_table

HEADER = ("parameter", "start", "unit", "bounds", "change", "effect", "note")
NUMBERS = ("start", "change", "effect")
# Elements that the text shows; the frame has all.
MAX_SHOWN = 24


@dataclass(frozen=True)
class Problem:
    """Something that a fit would stop at, or warn of.

    Attributes
    ----------
    stage : str
        What was checked.
    severity : {"error", "warning"}
        Whether a fit would stop.
    category : str
        Name of the error or the warning of a fit, such as "PhysicsError".
    message : str
        The message names the fault, its value and a remedy.
    """

    stage: str
    severity: str
    category: str
    message: str


@dataclass(frozen=True)
class ParameterAtStart:
    """One element of a physics parameter at its starting value.

    Attributes
    ----------
    name : str
        Such as "gain[0]".
    start, lower_bound, upper_bound : float
        In the user's units; bounds are infinite where open.
    unit : str
        Empty if there is none.
    fixed : bool
    effect_per_unit : float
        Root mean square, over the rows, of the change of the prediction by a change of one unit, to
        first order, in standard deviations of y. NaN if fixed or unknown.
    change : float
        A change of the parameter: a tenth of its start; where that is zero, a tenth of the distance
        between its bounds, or one unit.
    unfixed : bool
        Whether the data do not fix it at the starting values.
    """

    name: str
    start: float
    unit: str
    lower_bound: float
    upper_bound: float
    fixed: bool
    effect_per_unit: float
    change: float
    unfixed: bool = False

    @property
    def effect(self) -> float:
        """Effect of ``change`` on the prediction, in standard deviations of y."""
        return self.effect_per_unit * self.change

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of the text."""
        bounds = ""
        if math.isfinite(self.lower_bound) or math.isfinite(self.upper_bound):
            left = "[" if math.isfinite(self.lower_bound) else "("
            right = "]" if math.isfinite(self.upper_bound) else ")"
            ends = (number_text(each, 4) for each in (self.lower_bound, self.upper_bound))
            bounds = f"{left}{', '.join(ends)}{right}"
        known = not self.fixed and math.isfinite(self.effect)
        change, effect = (number_text(each, 3) for each in (self.change, self.effect))
        note = "fixed" if self.fixed else "not fixed by the data" if self.unfixed else ""
        shown = (change, effect) if known else ("", "")
        return self.name, number_text(self.start), self.unit, bounds, *shown, note


@dataclass(frozen=True)
class PhysicsCheck:
    """What :func:`~skhybrid.check_physics` returns: shown as text, and as a table in notebooks.

    Attributes
    ----------
    title : str
        The physics and the structure.
    stages : dict of str to str
        What was checked: "passed", "failed", "not reached" or "does not apply".
    problems : tuple of Problem
        Errors that a fit would stop at, and what it, or this check, warns of.
    parameters : tuple of ParameterAtStart
        Every element; none if the signature or the data cannot be read.
    loss : float
        Mean squared error of the physics alone at the starting values, in units of the variance of
        y. The mean of y has a loss of 1. NaN if it was not reached.
    unfixed : tuple of str
        Sentences about directions that the data do not fix at the starting values.
    """

    title: str
    stages: dict[str, str]
    problems: tuple[Problem, ...] = ()
    parameters: tuple[ParameterAtStart, ...] = ()
    loss: float = math.nan
    unfixed: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether a fit can start: no problem is an error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that a fit would stop at."""
        return tuple(each for each in self.problems if each.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The other problems."""
        return tuple(each for each in self.problems if each.severity != "error")

    @property
    def frame(self) -> Any:
        """The parameters as a DataFrame, with a row for each element; needs pandas."""
        rows = [self._row(each) for each in self.parameters]
        return data_frame(rows, [each.name for each in self.parameters])

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as dicts, lists, texts and numbers, for a file or a log."""
        return {
            "ok": self.ok,
            "title": self.title,
            "stages": dict(self.stages),
            "problems": [asdict(each) for each in self.problems],
            "parameters": {each.name: self._row(each) for each in self.parameters},
            "loss": self.loss,
            "unfixed": list(self.unfixed),
        }

    @staticmethod
    def _row(parameter: ParameterAtStart) -> dict[str, Any]:
        row = asdict(parameter)
        del row["name"]
        return {**row, "effect": parameter.effect}

    def __str__(self) -> str:
        table = [text_table(*self._table()), ""] if self.parameters else []
        return "\n".join([self._verdict, "", *table, *self._lines])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = html_table(*self._table()) if self.parameters else ""
        head, rest = html_paragraphs([self._verdict]), html_paragraphs(self._lines)
        return f"<div>{head}{table}{rest}</div>"

    @property
    def _verdict(self) -> str:
        if not self.ok:
            return f"{self.title}: a fit to these data would stop."
        found = f", with {len(self.problems)} warning{'s' * (len(self.problems) > 1)}"
        return f"{self.title}: usable on these data{found if self.problems else ''}."

    @property
    def _lines(self) -> list[str]:
        lines = []
        if any(math.isfinite(each.effect) for each in self.parameters):
            lines.append(
                "effect: how far the prediction moves if the parameter moves by change, to first "
                "order, in standard deviations of y (root mean square)."
            )
        if not math.isnan(self.loss):
            lines.append(
                f"Loss of the physics at the start: {number_text(self.loss, 3)}. The mean of y has "
                "1 (mean squared error in units of the variance of y)."
            )
        for outcome in dict.fromkeys(self.stages.values()):
            names = [name for name, each in self.stages.items() if each == outcome]
            lines.append(f"{outcome.capitalize()}: {', '.join(names)}.")
        for number, each in enumerate(self.problems, start=1):
            lines.append(f"{number}. {each.severity.capitalize()} ({each.stage}): {each.message}")
        return lines

    def _table(self) -> tuple[list[str], list[tuple[str, ...]], list[int]]:
        """Return the header, the rows and the columns of numbers, without empty columns."""
        rows = [each.texts for each in self.parameters[:MAX_SHOWN]]
        left = len(self.parameters) - len(rows)
        if left:
            rows.append((f"{left} more in .frame", *[""] * (len(HEADER) - 1)))
        filled = [i for i, _ in enumerate(HEADER) if any(row[i] for row in rows)]
        header = [HEADER[i] for i in filled]
        numbers = [i for i, name in enumerate(header) if name in NUMBERS]
        return header, [tuple(row[i] for i in filled) for row in rows], numbers
