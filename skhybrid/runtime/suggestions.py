"""'Did you mean ...?' for names in error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return '. Did you mean ...?' where a known name is close, otherwise a full stop."""
    lowered = {str(other).lower(): str(other) for other in known}
    close = difflib.get_close_matches(str(name).lower(), lowered, n=1)
    return f". Did you mean {lowered[close[0]]!r}?" if close else "."
