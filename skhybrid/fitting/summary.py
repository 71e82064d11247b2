"""A fitted model in a table: its parameters, and how it was fitted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skhybrid.fitting.fitted import Fitted
from skhybrid.fitting.parameter_warnings import element_name
from skhybrid.fitting.standard_errors import StandardErrors
from skhybrid.fitting.summary_lines import error_lines, fit_lines, title
from skhybrid.model.param import Param
from skhybrid.runtime.frames import data_frame
from skhybrid.runtime.number_text import number_text, value_and_error
from skhybrid.runtime.tables import html_paragraphs, html_table, text_table

# Elements of one parameter that the text shows; the frame has all.
MAX_SHOWN = 12
# Columns of the text, and those that hold numbers.
HEADER = ("parameter", "value", "±", "unit", "start", "bounds", "note")
NUMBERS = ("value", "±", "start")
SET_NOTE = "set by with_params, not estimated"
# Columns of the frame.
COLUMNS = (
    "value",
    "std",
    "unit",
    "start",
    "lower_bound",
    "upper_bound",
    "on_bound",
    "fixed",
    "given",
)


@dataclass(frozen=True)
class Element:
    """One element of a physics parameter.

    Attributes
    ----------
    parameter, name : str
        Name of the parameter, and of the element, such as ``"gain[0]"``.
    value, start, lower_bound, upper_bound : float
        In the user's units; bounds are infinite where open.
    std : float
        Standard error; NaN where it is not known.
    unit : str
        Empty if there is none.
    on_bound : {"", "lower", "upper"}
    fixed : bool
    unfixed : bool
        Whether the data do not fix it.
    varies : str
        Range and features of a parameter that is a function of features; the value is then the mean
        over the training rows. For one with a value for each group, their range; the value is then
        the common one. Empty for a number.
    given : bool
        Whether ``with_params`` has set it, so that it is not estimated.
    """

    parameter: str
    name: str
    value: float
    std: float
    unit: str
    start: float
    lower_bound: float
    upper_bound: float
    on_bound: str
    fixed: bool
    unfixed: bool
    varies: str = ""
    given: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of the text."""
        value, std = value_and_error(self.value, self.std)
        bounds = ""
        if np.isfinite([self.lower_bound, self.upper_bound]).any():
            low, high = (number_text(each, 4) for each in (self.lower_bound, self.upper_bound))
            left = "[" if np.isfinite(self.lower_bound) else "("
            right = "]" if np.isfinite(self.upper_bound) else ")"
            bounds = f"{left}{low}, {high}{right}"
        note = "fixed" if self.fixed else f"on {self.on_bound} bound" if self.on_bound else ""
        note = "not fixed by the data" if self.unfixed else self.varies or note
        note = SET_NOTE if self.given else note
        std = "" if np.isnan(self.std) else std
        return self.name, value, std, self.unit, number_text(self.start), bounds, note


@dataclass(frozen=True)
class Summary:
    """What ``model.summary()`` returns: shown as text, and as a table in notebooks.

    Attributes
    ----------
    title : str
        The parts of the model.
    elements : tuple of Element
        All elements of the physics parameters, fixed ones included.
    lines : tuple of str
        How to read the table, and how the model was fitted.
    standard_errors : StandardErrors or None
        For the physics alone: covariance, degrees of freedom, and intervals.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skhybrid import HybridRegressor, Param, Physics
    >>> def cooling(time, *, start=50.0, rate=1.0):
    ...     return start * torch.exp(-rate * time)
    >>> physics = Physics(cooling, start=Param(50.0, unit="K"), rate=Param(1.0, unit="1/h"))
    >>> time = np.linspace(0.0, 3.0, 20)
    >>> noise = np.random.default_rng(0).normal(size=20)
    >>> model = HybridRegressor(physics, nn=None)
    >>> print(model.fit(time[:, None], 80.0 * np.exp(-0.7 * time) + noise).summary())
    HybridRegressor: physics 'cooling', structure additive
    <BLANKLINE>
    parameter   value       ±  unit  start
    ---------  ------  ------  ----  -----
    start       80.50    0.54  K        50
    rate       0.7121  0.0079  1/h       1
    <BLANKLINE>
    ± is the standard error, 18 degrees of freedom. It takes the errors of 20 values to be...
    Training data: 20 rows, R² 0.9985, loss 0.001495 ...
    Fitted by least squares: ... evaluations
    """

    title: str
    elements: tuple[Element, ...]
    lines: tuple[str, ...]
    standard_errors: StandardErrors | None = None

    @cached_property
    def frame(self):
        """The table as a DataFrame, a row for each element of a parameter."""
        columns = {name: [getattr(each, name) for each in self.elements] for name in COLUMNS}
        return data_frame(columns, [each.name for each in self.elements])

    def __str__(self) -> str:
        table = [text_table(*self._table()), ""] if self.elements else []
        return "\n".join([self.title, "", *table, *self.lines])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = html_table(*self._table()) if self.elements else ""
        return f"<div>{html_paragraphs([self.title])}{table}{html_paragraphs(self.lines)}</div>"

    def _table(self) -> tuple[list[str], list[list[str]], list[int]]:
        """Return the header, the rows and the columns of numbers, without empty columns."""
        rows = self._rows()
        filled = [i for i, _ in enumerate(HEADER) if any(row[i] for row in rows)]
        header = [HEADER[i] for i in filled]
        numbers = [i for i, name in enumerate(header) if name in NUMBERS]
        return header, [[row[i] for i in filled] for row in rows], numbers

    def _rows(self) -> list[tuple[str, ...]]:
        """Return the rows of the text, with the first elements of long parameters."""
        rows, n_shown = [], {}
        for each in self.elements:
            n_shown[each.parameter] = n_shown.get(each.parameter, 0) + 1
            if n_shown[each.parameter] <= MAX_SHOWN:
                rows.append(each.texts)
            elif n_shown[each.parameter] == MAX_SHOWN + 1:
                n = sum(other.parameter == each.parameter for other in self.elements) - MAX_SHOWN
                blank = [""] * (len(HEADER) - 2)
                rows.append((f"{each.parameter}: {n} more in .frame", "", *blank))
        return rows


def summarise(estimator: Any, fitted: Fitted) -> Summary:
    """Return the summary of a fitted estimator.

    Parameters
    ----------
    estimator : HybridRegressor
        Its parameters say how it was trained.
    fitted : Fitted
    """
    elements = _elements(fitted)
    lines = (*error_lines(fitted), *fit_lines(estimator, fitted))
    return Summary(title(estimator, fitted), elements, lines, fitted.standard_errors)


def _varies(span: np.ndarray, param: Param, n_groups: int) -> str:
    """Return the range of an element and what it depends on."""
    low, high = (number_text(each, 3) for each in span)
    if param.per is not None:
        return f"{low} to {high} over {n_groups} groups, per {param.per}"
    return f"{low} to {high}, by {', '.join(str(each) for each in param.depends_on)}"


def _elements(fitted: Fitted) -> tuple[Element, ...]:
    """Return the elements of all physics parameters."""
    hybrid, errors = fitted.hybrid, fitted.standard_errors
    if hybrid.physics is None:
        return ()
    values, found = fitted.physics_params, []
    std = {} if errors is None else dict(zip(errors.names, errors.element_std, strict=True))
    unfixed = {name for each in (errors.unfixed if errors else ()) for name in each.names}
    reached = hybrid.space.on_bounds(values)
    for name, param in hybrid.physics.params.items():
        span, n_groups = fitted.varying_ranges.get(name), 0
        value = np.asarray(values[name] if name in values else span[1], dtype=np.float64)
        if name in fitted.groups:
            by_group = fitted.groups[name][1]
            span, n_groups = (
                np.stack([by_group.min(axis=0), value, by_group.max(axis=0)]),
                len(by_group),
            )
        low, high = param.limits()
        on_low, on_high = reached.get(name, (value == low, value == high))
        start = param.value()
        for index in np.ndindex(value.shape):
            side = "lower" if on_low[index] else "upper" if on_high[index] else ""
            element = element_name(name, index)
            found.append(
                Element(
                    parameter=name,
                    name=element,
                    value=float(value[index]),
                    std=float(std.get(element, np.nan)),
                    unit=param.unit or "",
                    start=float(start[index]),
                    lower_bound=float(low[index]),
                    upper_bound=float(high[index]),
                    on_bound="" if param.fixed else side,
                    fixed=param.fixed,
                    unfixed=element in unfixed,
                    varies=""
                    if span is None
                    else _varies(span[:, *index][[0, 2]], param, n_groups),
                    given=name in fitted.set_params,
                )
            )
    return tuple(found)
