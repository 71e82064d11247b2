"""Rules that choose among the candidates of a search.

A rule is a callable from ``cv_results_`` to the index of the best candidate, for ``refit=`` of
:class:`~skhybrid.HybridSearchCV` and of scikit-learn's searches.
"""

from __future__ import annotations

from skhybrid.model_selection.rules import one_standard_error, stable
from skhybrid.model_selection.scoring import score_and_physics_params

__all__ = ["one_standard_error", "score_and_physics_params", "stable"]
