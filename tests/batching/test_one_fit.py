"""One fit of an estimator."""

from __future__ import annotations

from small_models import make_model, make_table

from skhybrid.batching.one_fit import fit_once, forget_fit


def test_a_fit_returns_what_it_found_and_leaves_the_estimator_alone():
    X, y = make_table()
    model = make_model(nn=None)
    choices, fitted, _ = fit_once(model, X, y, None, keep_interrupted=False, own=None)
    assert not choices.attributes
    assert fitted.physics_params == model.fit(X, y).physics_params_


def test_attributes_that_the_next_fit_may_not_have_are_forgotten():
    model = make_model()
    model.window_, model.rho_, model.loss_ = 2, 0.1, 0.5
    forget_fit(model)
    assert not hasattr(model, "window_") and not hasattr(model, "rho_")
    assert model.loss_ == 0.5
