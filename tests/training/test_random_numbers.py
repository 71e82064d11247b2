"""Fits in threads draw the same random numbers as fits one after the other."""

from __future__ import annotations

import threading
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from torch import nn

from skhybrid import HybridRegressor
from skhybrid.exceptions import RandomNetworkWarning

RNG = np.random.RandomState(0)
X = RNG.uniform(-1.0, 1.0, (60, 2))
Y = 1.5 * X[:, 0] + np.sin(2.0 * X[:, 1])


def line(x0, x1, *, slope=1.0):
    return slope * x0


class FunctionalDropout(nn.Module):
    """Draws from torch's global generator in ``forward``."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.answer = nn.Linear(2, 8), nn.Linear(8, 1)

    def forward(self, x):
        return self.answer(nn.functional.dropout(self.read(x).tanh(), 0.3, self.training))


def layers(*dropout):
    return nn.Sequential(nn.Linear(2, 8), nn.SELU(), *dropout, nn.Linear(8, 1))


NETWORKS = {
    "dropout": (layers(nn.Dropout(0.3)), 1),
    "dropout in restarts": (layers(nn.Dropout(0.3)), 2),
    "alpha dropout": (layers(nn.AlphaDropout(0.2)), 1),
    "channels": (layers(nn.FeatureAlphaDropout(0.2), nn.Dropout1d(0.1)), 1),
    "functional": (FunctionalDropout(), 1),
}


def fit(network, n_restarts, seed):
    model = HybridRegressor(
        line, nn=network, n_restarts=n_restarts, max_epochs=4, batch_size=16, random_state=seed
    ).fit(X, Y)
    weights = [each.detach().numpy().ravel() for each in model.module_.parameters()]
    return np.concatenate([np.ravel(model.physics_params_["slope"]), model.loss_curve_, *weights])


def in_threads(calls):
    """Call functions at the same time; return what they return."""
    found = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def work(number):
        barrier.wait()
        found[number] = calls[number]()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(len(calls))]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETWORKS)
def test_fits_at_the_same_time_are_the_same_as_one_after_the_other(name):
    network, n_restarts = NETWORKS[name]
    calls = [lambda seed=seed: fit(network, n_restarts, seed) for seed in range(4)]
    alone = [call() for call in calls]
    state = torch.get_rng_state()
    for one, other in zip(in_threads(calls), alone, strict=True):
        np.testing.assert_array_equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.filterwarnings("ignore")
def test_a_grid_search_in_threads_has_the_scores_of_one_thread():
    model = HybridRegressor(line, nn=layers(nn.Dropout(0.3)), max_epochs=6, random_state=0)

    def scores(n_jobs):
        with joblib.parallel_backend("threading"):
            search = GridSearchCV(model, {"rho": [0.02, 0.1]}, cv=2, n_jobs=n_jobs, refit=False)
            return search.fit(X, Y).cv_results_["mean_test_score"]

    np.testing.assert_array_equal(scores(4), scores(1))


@pytest.mark.parametrize(("name", "waits"), [("functional", True), ("dropout", False)])
def test_only_models_that_draw_globally_wait_and_say_so(name, waits):
    # The first fit trains until the second one has begun.
    training, second = threading.Event(), threading.Event()
    network, observed = NETWORKS[name][0], []

    def slow_line(x0, x1, *, slope=1.0):
        if len(observed) > 200:
            training.set()
            second.wait(0.05)
        observed.append(1)
        return slope * x0

    def first():
        HybridRegressor(slow_line, nn=network, max_epochs=60, random_state=0).fit(X, Y)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        worker = threading.Thread(target=first)
        worker.start()
        training.wait()
        fit(network, 1, 1)
        second.set()
        worker.join()
    said = [each for each in caught if each.category is RandomNetworkWarning]
    assert len(said) == waits


@pytest.mark.filterwarnings("ignore")
def test_torchs_seed_does_not_change_a_fit_with_dropout():
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        found.append(fit(layers(nn.Dropout(0.3)), 1, 0))
    np.testing.assert_array_equal(*found)
