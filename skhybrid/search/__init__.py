"""HybridSearchCV."""

from __future__ import annotations

from skhybrid.search.search_cv import HybridSearchCV

__all__ = ["HybridSearchCV"]
