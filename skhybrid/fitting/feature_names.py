"""Feature names that validation notes on an estimator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

NOTED_FEATURES = ("n_features_in_", "feature_names_in_")


def noted_features(estimator: Any) -> dict[str, Any]:
    """Return what validation noted about the features."""
    return {name: vars(estimator)[name] for name in NOTED_FEATURES if name in vars(estimator)}


@contextlib.contextmanager
def features_restored_on_failure(estimator: Any) -> Iterator[None]:
    """Undo what validation notes about the features if what follows fails."""
    before = noted_features(estimator)
    try:
        yield
    except BaseException:
        for name in NOTED_FEATURES:
            vars(estimator).pop(name, None)
        vars(estimator).update(before)
        raise
