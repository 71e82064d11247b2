"""Verdicts on physics parameters, with the reason and with advice."""

from __future__ import annotations

import math
from dataclasses import dataclass

from skhybrid.inspection.report.evidence import Evidence

IDENTIFIED = "identified"
SUPPORTED = "supported"
ASSUMPTION_DEPENDENT = "assumption-dependent"
NOT_IDENTIFIED = "not identified"
UNDECIDED = "undecided"
VERDICTS = (IDENTIFIED, SUPPORTED, ASSUMPTION_DEPENDENT, NOT_IDENTIFIED, UNDECIDED)

# Chosen on half of the random tasks of benchmarks/bench_trust.py, judged on the other half.
# An effect of which the network can predict less than this on rows held out, it cannot imitate.
MAX_PREDICTABLE = 0.8
# Functions of features and values of groups are shrunk, which moves numbers that they can nearly
# make up for. Chosen on half of the tasks of benchmarks/bench_trust_varying.py.
MAX_MADE_UP_FOR = 0.7
# A parameter is fixed by the data if its standard error is below this part of its size ...
MAX_RELATIVE_ERROR = 0.25
# ... and not fixed if intervals or starts reach further than this part.
MAX_RELATIVE_WIDTH = 1.0
# Values under other assumptions agree if they lie within this many half widths of the interval,
# or within this part of the value.
AGREEMENT_WIDTHS = 1.5
AGREEMENT_PART = 0.05
# A standard error is not given as a part of the value if it is more times as large.
LARGEST_PART = 100.0


@dataclass(frozen=True)
class Verdict:
    """A verdict on one element of a physics parameter.

    Attributes
    ----------
    name : str
        One of :data:`VERDICTS`.
    reason, advice : str
        A sentence each; the advice may be empty.
    """

    name: str
    reason: str
    advice: str = ""


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict on one element of a physics parameter."""
    found = _not_fixed(evidence)
    if found is not None:
        return found
    if evidence.on_bound:
        return Verdict(
            NOT_IDENTIFIED,
            f"{evidence.name} is on its bound, so the data do not choose its value.",
            f"Widen the bounds of {evidence.name}, or fix it where it is known.",
        )
    found = _identified(evidence)
    if found is not None:
        return found
    if math.isnan(evidence.sampling) or (evidence.has_network and not evidence.opinions):
        return _undecided(evidence)
    return _compared(evidence)


def _not_fixed(evidence: Evidence) -> Verdict | None:
    """Return a verdict if the data do not fix the element, whatever the network does."""
    name = evidence.name
    if evidence.partners and evidence.standard_error > MAX_RELATIVE_WIDTH * evidence.size:
        others = " and ".join(evidence.partners)
        return Verdict(
            NOT_IDENTIFIED,
            f"A change of {name} is made up for by {others}, even without a network: the data fix "
            "only a combination of them.",
            f"Fix {name} or {evidence.partners[0]} (Param(..., fixed=True)), or write the physics "
            "with their combination.",
        )
    if evidence.standard_error > MAX_RELATIVE_WIDTH * evidence.size:
        return Verdict(
            NOT_IDENTIFIED,
            _uncertain(evidence),
            f"Measure where {name} matters more, take more rows, or fix it.",
        )
    scatter = evidence.over_starts
    if scatter > MAX_RELATIVE_WIDTH * evidence.size:
        return Verdict(
            NOT_IDENTIFIED,
            f"Fits from other starts are as good, and {name} differs by {scatter:.2g} in them.",
            f"Fix {name}, give a better first value and bounds, or vary what it acts on.",
        )
    return None


def _uncertain(evidence: Evidence) -> str:
    """Return how large the standard error is, in words."""
    name, error = evidence.name, evidence.standard_error
    if math.isinf(error):
        return (
            f"These data alone do not fix {name}: no prediction changes with it, or there are not "
            "more values than free parameters."
        )
    unit = f" {evidence.unit}" if evidence.unit else ""
    part = _part(error, evidence)
    return (
        f"{name} cannot be told from zero: its standard error from these data alone is "
        f"{error:.2g}{unit}{f', {part} of its value' if part else ''}."
    )


def _part(error: float, evidence: Evidence) -> str:
    """Return a standard error relative to the value; nothing if the value is next to zero."""
    if not math.isfinite(error) or error >= LARGEST_PART * evidence.size:
        return ""
    return f"{error / evidence.size:.0%}"


def _identified(evidence: Evidence) -> Verdict | None:
    """Return a verdict if the network cannot do what the parameter does."""
    name, limit = evidence.name, MAX_RELATIVE_ERROR * evidence.size
    is_wide = evidence.low == evidence.low and _is_wide(evidence)
    if evidence.misfit or is_wide:
        return None
    if not evidence.has_network and evidence.standard_error <= limit:
        return Verdict(IDENTIFIED, f"There is no network, and the data fix {name}.")
    if (
        evidence.predictable <= _most_predictable(evidence)
        and evidence.error_beside_network <= limit
    ):
        found, beside = f"{evidence.predictable:.0%} of the effect of {name}", evidence.beside
        if beside:
            reason = f"On rows held out, {beside} can make up for {found}, and the data fix it."
        else:
            reason = (
                f"What the network sees predicts {found} on rows held out, so the network cannot "
                "take it over, and the data fix it."
            )
        return Verdict(IDENTIFIED, reason)
    return None


def _most_predictable(evidence: Evidence) -> float:
    """Return up to which part of an effect what is learned beside it does not take it over."""
    return MAX_MADE_UP_FOR if evidence.beside else MAX_PREDICTABLE


def _undecided(evidence: Evidence) -> Verdict:
    """Return what the quick parts can say where only refits can tell."""
    name = evidence.name
    advice = "Only refits can tell: identifiability_report(..., parts='all')."
    if evidence.misfit:
        reason = f"The residuals still contain something: {evidence.misfit}."
        advice = _better_fit(evidence)
    elif not evidence.has_network:
        part = _part(evidence.standard_error, evidence)
        reason = f"The standard error of {name} is {part} of its value: too large to say more."
        advice = f"identifiability_report(..., parts='all') gives the interval of {name}."
    elif evidence.unknown:
        who = evidence.beside or "the network"
        reason = f"Whether {who} could imitate {name} is not known: {evidence.unknown}"
    elif evidence.predictable > _most_predictable(evidence) and evidence.beside:
        reason = (
            f"On rows held out, {evidence.beside} can make up for {evidence.predictable:.0%} of "
            f"the effect of {name}, so its value rests on the assumption that what varies is "
            "simple."
        )
    elif evidence.predictable > MAX_PREDICTABLE:
        reason = (
            f"The network sees what {name} acts on ({evidence.predictable:.0%} of its effect can "
            "be predicted), so its value rests on the assumption that the missing part is simple."
        )
    else:
        part = _part(evidence.error_beside_network, evidence)
        size = f"{part} of its value" if part else "far larger than its value"
        who = evidence.beside or "the network"
        reason = (
            f"The standard error of {name} is {size} beside all that {who} could take over: too "
            "large to say more."
        )
    return Verdict(UNDECIDED, reason, advice)


def _compared(evidence: Evidence) -> Verdict:
    """Return a verdict from intervals, starts and other assumptions."""
    name, half = evidence.name, evidence.half_width
    if _is_wide(evidence):
        return Verdict(
            NOT_IDENTIFIED,
            f"The interval of {name} reaches from {evidence.low:.3g} to {evidence.high:.3g}: wider "
            "than its value.",
            f"Take more rows, or fix {name}.",
        )
    limit = max(AGREEMENT_WIDTHS * half, AGREEMENT_PART * evidence.size)
    apart = {
        assumption: value
        for assumption, value in evidence.opinions.items()
        if abs(value - evidence.value)
        > max(limit, 2.0 * evidence.opinion_errors.get(assumption, 0.0))
    }
    if apart or evidence.misfit:
        if apart:
            furthest = max(apart, key=lambda each: abs(apart[each] - evidence.value))
            reason = (
                f"{name} is {evidence.value:.4g} here and {apart[furthest]:.4g} under another "
                f"assumption ({furthest}): further apart than the interval explains."
            )
        else:
            reason = f"The residuals still contain something: {evidence.misfit}."
        advice = _independence(evidence) if apart else _better_fit(evidence)
        return Verdict(ASSUMPTION_DEPENDENT, reason, advice)
    if not evidence.has_network:
        return Verdict(
            SUPPORTED,
            f"There is no network, and {name} is between {evidence.low:.3g} and "
            f"{evidence.high:.3g}.",
            "Take more rows for a shorter interval.",
        )
    who = evidence.beside or "the network"
    return Verdict(
        SUPPORTED,
        f"{who[:1].upper()}{who[1:]} could imitate {name}, but rows, starts, ρ and other "
        f"assumptions agree within {limit:.2g}.",
        "A missing part that looks like the effect itself would go unnoticed: see the overlap.",
    )


def _is_wide(evidence: Evidence) -> bool:
    """Whether an interval is wider than the value is large."""
    return evidence.half_width > MAX_RELATIVE_WIDTH * evidence.size


def _better_fit(evidence: Evidence) -> str:
    """Return what takes a trend out of the residuals."""
    if not evidence.has_network:
        return "Add a network for what the physics lacks: nn=(64, 64)."
    return (
        "Fit better first: train longer (max_epochs), take a larger network (nn), or let the "
        "network see the features along which residuals change (nn_features)."
    )


def _independence(evidence: Evidence) -> str:
    """Return what makes a value depend less on assumptions."""
    if evidence.beside:
        return (
            "Take features that the parameter acts on away from what varies (depends_on, or "
            "nn_features of a correction), where they are not needed; or fix the parameter; or "
            "vary what it acts on."
        )
    return (
        "Take features that the parameter acts on away from the network (nn_features=...), if the "
        "missing part does not need them; or fix the parameter; or vary what it acts on."
    )
