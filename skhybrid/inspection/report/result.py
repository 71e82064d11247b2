"""The identifiability report as an object: text, HTML, a DataFrame and a dictionary."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from skhybrid.inspection.report.evidence import Evidence
from skhybrid.inspection.report.verdicts import Verdict
from skhybrid.inspection.residual_checks import ResidualChecks
from skhybrid.inspection.tables import html_table, text_table
from skhybrid.runtime.frames import data_frame

WIDTH = 88


@dataclass(frozen=True)
class IdentifiabilityReport:
    """A verdict on each physics parameter, with the evidence.

    Attributes
    ----------
    evidence : dict of str to Evidence
        By element of a parameter, such as "gain[0]".
    verdicts : dict of str to Verdict
    residuals : ResidualChecks
        What the residuals still contain.
    parts : tuple of str
        Parts of the report that were made.
    seconds : dict of str to float
        How long each part took.
    details : dict of str to object
        Results of the parts: "intervals", "starts", "assumptions", "usage", "overlap".
    missing : dict of str to str
        Why a part could not be made.
    """

    evidence: Mapping[str, Evidence]
    verdicts: Mapping[str, Verdict]
    residuals: ResidualChecks
    parts: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def frame(self) -> Any:
        """The report as a DataFrame, a row for each element; this needs pandas."""
        rows = []
        for name, evidence in self.evidence.items():
            verdict = self.verdicts[name]
            row = {"parameter": name, "verdict": verdict.name}
            row |= {key: value for key, value in asdict(evidence).items() if key != "name"}
            opinions, _ = row.pop("opinions"), row.pop("opinion_errors")
            row |= {f"under {assumption}": value for assumption, value in opinions.items()}
            rows.append(row | {"reason": verdict.reason, "advice": verdict.advice})
        return data_frame(rows).set_index("parameter")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as dictionaries, lists, texts and numbers."""
        return {
            "parameters": {
                name: {**asdict(evidence), **asdict(self.verdicts[name], dict_factory=_verdict)}
                for name, evidence in self.evidence.items()
            },
            "residuals": asdict(self.residuals),
            "parts": [*self.parts],
            "missing": dict(self.missing),
            "seconds": dict(self.seconds),
        }

    def __str__(self) -> str:
        """The report as text."""
        lines = [text_table(self._title, self._table()), ""]
        for name, verdict in self.verdicts.items():
            lines += _wrapped(f"{name}: {verdict.name}. {self._sentences(name)}")
        lines.append("")
        for each in self._said:
            lines += _wrapped(each)
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        items = "".join(
            f"<li><b>{html.escape(name)}: {html.escape(verdict.name)}.</b> "
            f"{html.escape(self._sentences(name))}</li>"
            for name, verdict in self.verdicts.items()
        )
        table = html_table(self._title, self._table())
        paragraphs = "".join(f"<p>{html.escape(each)}</p>" for each in self._said)
        return f"{table}<ul>{items}</ul>{paragraphs}"

    @property
    def _title(self) -> str:
        return f"Identifiability report ({', '.join(self.parts)})"

    def _table(self) -> dict[str, dict[str, Any]]:
        """Return the columns of the table by element."""
        rows, has_units = {}, any(each.unit for each in self.evidence.values())
        for name, each in self.evidence.items():
            rows[name] = {"value": each.value}
            if has_units:
                rows[name]["unit"] = each.unit or ""
            if each.low == each.low:
                rows[name] |= {"low": each.low, "high": each.high}
            rows[name]["verdict"] = self.verdicts[name].name
        return rows

    def _sentences(self, name: str) -> str:
        verdict, evidence = self.verdicts[name], self.evidence[name]
        return " ".join(each for each in (verdict.reason, evidence.overlap) if each)

    @property
    def _said(self) -> list[str]:
        """Sentences about the whole fit, advice, and parts that are missing."""
        said = [self._residual_sentence]
        if "usage" in self.details:
            said.append(f"Usage: {self.details['usage'].short_sentence()}")
        if "assumptions" in self.details:
            sentences = map(self.details["assumptions"].sentence, self.evidence)
            said.append(f"Other assumptions: {' '.join(sentences)}")
        said += [f"{', '.join(names)}: {advice}" for advice, names in self._advice.items()]
        return said + [f"Without {part}: {why}" for part, why in self.missing.items()]

    @property
    def _advice(self) -> dict[str, list[str]]:
        """What to do, with the elements that it is for."""
        found: dict[str, list[str]] = {}
        for name, verdict in self.verdicts.items():
            if verdict.advice:
                found.setdefault(verdict.advice, []).append(name)
        return found

    @property
    def _residual_sentence(self) -> str:
        found = self.residuals
        said, who = [], "Residuals"
        if found.n_tested < found.n_outputs:
            who = f"Residuals of {found.n_tested} of {found.n_outputs} outputs, drawn at random"
        if not found.tested:
            return f"{who}: they could not be tested, because there are too few."
        if found.ordered:
            text = f"neighbours are correlated ({found.autocorrelation:.2f})"
            if not found.in_series:
                text += (
                    ", so standard errors are too small: draw blocks (bootstrap(..., kind='block'))"
                )
            said.append(text)
        if found.trends:
            said.append(f"they change along {', '.join(found.trends)}")
        if found.predictable > 0:
            said.append(f"the features predict {found.predictable:.0%} of them on rows held out")
        if not said:
            return f"{who}: no order and no trend was found."
        return f"{who}: {'; '.join(said)}."


def _verdict(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {"verdict" if key == "name" else key: value for key, value in items}


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ") or [""]
