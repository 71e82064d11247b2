"""Data that are not those of a fit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from small_models import make_model, make_table

from skhybrid.exceptions import OtherDataWarning
from skhybrid.inspection.other_data import warn_of_other_data
from skhybrid.inspection.training_rows import training_rows

X, Y = make_table()
Y = np.asarray(Y)
WEIGHT = np.linspace(0.0, 2.0, len(Y))
DROPOUT = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Dropout(0.2), torch.nn.Linear(4, 1))
pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"nn": None},
        {"batch_size": 16},
        {"early_stopping": True},
        {"nn": DROPOUT, "dtype": "float32"},
    ],
    ids=["plain", "alone", "batches", "early stopping", "dropout"],
)
def test_the_data_of_the_fit_are_known_and_others_are_not(settings):
    model = make_model(**{"max_epochs": 20, **settings}).fit(X, Y, sample_weight=WEIGHT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_other_data(model, training_rows(model, X, Y, WEIGHT))
    with pytest.warns(OtherDataWarning, match="those of the fit"):
        warn_of_other_data(model, training_rows(model, X, 10.0 * Y, WEIGHT))


def test_fewer_rows_and_other_weights_are_noticed():
    model = make_model(max_epochs=20).fit(X, Y, sample_weight=WEIGHT)
    for other in ((X[:-5], Y[:-5], WEIGHT[:-5]), (X, Y, None)):
        with pytest.warns(OtherDataWarning, match="seem to be others"):
            warn_of_other_data(model, training_rows(model, *other))
