"""The plateau: θ is reproducible, the prediction is good, and training was long enough."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from skhybrid.exceptions import ShortTrainingWarning
from skhybrid.model_selection import stable
from skhybrid.model_selection.plateau import Plateau, admissible, settled

FOLDS = np.array([-1.0, 1.0, -1.0, 1.0, 0.0])


def make_results(losses, *, shares=None, theta=None, drift=None):
    """Return ``cv_results_`` of candidates with these means, the same up to noise in five folds."""
    losses = np.array(losses, dtype=float)
    n = len(losses)
    columns = {
        "score": 1.0 - losses[:, None] * (1.0 + 0.01 * FOLDS * np.arange(1, n + 1)[:, None]),
        "theta a": 2.0 + np.array(theta or [0.1] * n)[:, None] * FOLDS,
        "spread a": np.zeros((n, 5)),
    }
    if shares is not None:
        columns["physics_share"] = np.tile(np.array(shares)[:, None], 5)
    if drift is not None:
        columns["drift a"] = np.tile(np.array(drift)[:, None], 5)
    found = {"param_rho": np.arange(n) / 10}
    for name, table in columns.items():
        found |= {f"split{k}_test_{name}": table[:, k] for k in range(5)}
        found[f"mean_test_{name}"] = table.mean(axis=1)
    return found


def test_a_network_that_leaves_out_most_of_what_it_could_explain_is_not_admissible():
    losses, shares = [0.01, 0.05, 0.15], [0.8, 0.9, 0.99997]
    assert admissible(make_results(losses, shares=shares)).tolist() == [True, True, False]
    # Where the physics explains all that can be explained, a small network is right.
    assert admissible(make_results([0.1, 0.1, 0.1], shares=shares)).all()
    assert admissible(make_results(losses)).all(), "without shares, nothing is known"


@pytest.mark.parametrize("share", [1.0 - 1e-8, 0.005])
def test_where_a_part_has_vanished_the_value_is_not_admissible(share):
    results = make_results([0.1, 0.1], shares=[0.8, share])
    assert admissible(results).tolist() == [True, False]
    assert admissible(make_results([0.1, 0.1], shares=[share, share])).all()


def test_reproducible_theta_of_a_bad_prediction_does_not_count():
    options = {"shares": [0.7, 0.8, 0.99997], "theta": [0.3, 0.1, 0.001]}
    results = make_results([0.01, 0.01, 0.2], **options)
    assert Plateau.of(results).stable.tolist() == [False, True, False]
    assert stable("rho")(results) == 1
    assert stable("rho")(make_results([0.01, 0.01, 0.01], **options)) == 2


def test_theta_that_still_moves_is_not_settled():
    # Its spread is 0.1 and 0.001; one per cent of its size is 0.02.
    options = {"theta": [0.1, 0.1, 0.001, 0.001]}
    drift = [0.05, -0.2, 0.01, -0.05]
    assert settled(make_results([0.1] * 4, drift=drift, **options)).tolist() == [
        True,
        False,
        True,
        False,
    ]
    assert settled(make_results([0.1] * 4, **options)).all()


def test_a_value_at_which_theta_still_moves_is_not_chosen_and_said():
    results = make_results([0.1] * 3, theta=[0.2, 0.01, 0.2], drift=[0.0, 0.5, 0.0])
    with pytest.warns(ShortTrainingWarning, match=r"rho=0\.1 .*'a' ended at 2, .* of 0\.5 .*max_e"):
        assert stable("rho")(results) == 0
    with pytest.warns(ShortTrainingWarning, match="so it is chosen"):
        assert stable("rho")(make_results([0.1] * 2, theta=[0.2, 0.01], drift=[0.5, 0.5])) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stable("rho")(make_results([0.1] * 2, theta=[0.01, 0.2], drift=[0.0, 0.5]))
