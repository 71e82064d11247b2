"""What is known about one physics parameter after a fit: the grounds of its verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Evidence:
    """Evidence about one element of a physics parameter.

    Attributes
    ----------
    name : str
        The element, such as "gain[0]".
    value : float
    unit : str or None
    standard_error : float
        From the data alone, with a network that knew the missing term: infinite if the data do not
        fix the element.
    error_beside_network : float
        Standard error if the network took over all that it can of the effect; NaN if it is not
        known.
    predictable : float
        R² of the effect from what the network sees, on rows held out; NaN if it is not known.
        Beside parameters that are functions or have values for groups, the part of the effect that
        they can make up for.
    unknown : str
        Why ``predictable`` is not known.
    beside : str
        Functions of features, values of groups and a correction that are learned beside the
        element, in words; empty for a correction alone.
    partners : tuple of str
        Other elements that make up for a change of this one.
    on_bound : bool
    misfit : str
        What the residuals still contain that may move θ; empty if they contain nothing.
    has_network : bool
    low, high : float
        Confidence interval; NaN without the part "intervals".
    sampling, over_radii : float
        Standard deviation over bootstrap replicates, and range over radii.
    over_starts : float
        Range over restarts that fit equally well; NaN without the part "starts".
    opinions : dict of str to float
        Value under other assumptions; empty without the part "assumptions".
    opinion_errors : dict of str to float
        Standard errors of these values; 0 where none is known.
    overlap : str
        Sentence on how far an overlap would move the element.
    """

    name: str
    value: float
    unit: str | None = None
    standard_error: float = math.nan
    error_beside_network: float = math.nan
    predictable: float = math.nan
    unknown: str = ""
    beside: str = ""
    partners: tuple[str, ...] = ()
    on_bound: bool = False
    misfit: str = ""
    has_network: bool = True
    low: float = math.nan
    high: float = math.nan
    sampling: float = math.nan
    over_radii: float = math.nan
    over_starts: float = math.nan
    opinions: dict[str, float] = field(default_factory=dict)
    opinion_errors: dict[str, float] = field(default_factory=dict)
    overlap: str = ""

    @property
    def size(self) -> float:
        """The unit of relative changes: the value's magnitude."""
        return abs(self.value)

    @property
    def half_width(self) -> float:
        """Half of the confidence interval's width; without one, two standard errors."""
        if math.isnan(self.low):
            return 2.0 * self.standard_error
        return max(self.high - self.value, self.value - self.low)
