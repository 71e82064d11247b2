"""Suggestions for misspelled names in error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ". Did you mean …?" if a known name is similar, otherwise a full stop.

    Parameters
    ----------
    name : str
        The name that is not known. Upper and lower case count as equal.
    known : iterable of str
    """
    lowered = {str(other).lower(): str(other) for other in known}
    close = difflib.get_close_matches(str(name).lower(), lowered, n=1)
    return f". Did you mean {lowered[close[0]]!r}?" if close else "."
