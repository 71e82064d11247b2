"""Test inputs lie in the training range, and tell other code from that of the fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from small_saved import KINDS, kept

from skhybrid.exceptions import SavedModelError
from skhybrid.persistence import probe


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_answers(kind):
    model, _, _ = kept(kind)
    made = probe.make_probe(model._fitted, model.n_features_in_)
    assert all(bool(each.isfinite().all()) for each in made["answers"])
    probe.check_probe(made, model._fitted, exact=True)


def test_rows_are_in_the_training_range():
    model, X, _ = kept("additive")
    rows = probe.test_inputs(model._fitted, 2, 50).numpy()
    low, high = X.to_numpy().min(axis=0), X.to_numpy().max(axis=0)
    assert (rows >= low - 1e-5).all() and (rows <= high + 1e-5).all()
    assert (np.ptp(rows, axis=0) > 0.5 * (high - low)).all()


def test_another_physics_parameter_is_seen():
    model, _, _ = kept("additive")
    made = probe.make_probe(model._fitted, 2)
    moved = {name: value + 0.1 for name, value in model._fitted.coordinates.items()}
    other = dataclasses.replace(model._fitted, coordinates=moved)
    with pytest.raises(SavedModelError, match="physics' part of the prediction"):
        probe.check_probe(made, other)


def test_what_fails_or_draws_has_no_answers(monkeypatch):
    model, _, _ = kept("additive")
    monkeypatch.setattr(probe, "answers", lambda *_: [torch.rand(2)])
    assert probe.make_probe(model._fitted, 2) is None
    monkeypatch.setattr(probe, "answers", lambda *_: 1 / 0)
    assert probe.make_probe(model._fitted, 2) is None
    probe.check_probe(None, model._fitted)
