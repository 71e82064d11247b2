"""Feature names that scikit-learn's validation notes on an estimator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

NOTED_FEATURES = ("n_features_in_", "feature_names_in_")


def noted_features(estimator: Any) -> dict[str, Any]:
    """Return the attributes in which validation noted the features."""
    return {name: vars(estimator)[name] for name in NOTED_FEATURES if name in vars(estimator)}


@contextlib.contextmanager
def features_restored_on_failure(estimator: Any) -> Iterator[None]:
    """Restore the noted features if the block raises an error."""
    before = noted_features(estimator)
    try:
        yield
    except BaseException:
        for name in NOTED_FEATURES:
            vars(estimator).pop(name, None)
        vars(estimator).update(before)
        raise
