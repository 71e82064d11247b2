"""Reasons to warn about a finished fit."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from skhybrid.runtime.user_warnings import warn


@dataclass(frozen=True)
class Finding:
    """A reason to warn.

    Attributes
    ----------
    category : type
    key : hashable
        Fits with the same fault have the same key.
    message : str
    """

    category: type[Warning]
    key: Hashable
    message: str


def tell_user(finding: Finding) -> None:
    """Warn the user, once in a call for each fault."""
    warn(finding.message, finding.category, once=(finding.category, finding.key))
