"""A fitted model, its attributes, and copies to predict with while training continues."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_fits import make_data, make_hybrid
from small_models import make_model, make_table

from skhybrid import ODE, Param, Physics
from skhybrid.datasets import make_pendulum, pendulum
from skhybrid.fitting.fitted import Fitted, snapshot, user_values, with_range_of, with_weights

DATA = make_data()


def make_fitted(hybrid, **options) -> Fitted:
    coordinates = hybrid.initial_coordinates()
    return Fitted(hybrid, coordinates, 0.5, [1.0, 0.5], 2, [{"loss": 0.5}], **options)


def test_physics_parameters_are_in_the_users_units():
    hybrid = make_hybrid(DATA)
    values = user_values(hybrid, hybrid.initial_coordinates())
    assert list(values) == ["rate", "level"]
    assert isinstance(values["rate"], float)
    assert values["rate"] == pytest.approx(0.8)
    assert values["level"].dtype == np.float64
    np.testing.assert_allclose(values["level"], [1.5, 0.5])


def test_names_of_the_free_parameters():
    def line(time, heat, *, slope=1.0, offset=0.0):
        return slope * time + offset

    physics = Physics(line, slope=Param(2.0, fixed=True))
    fitted = make_fitted(make_hybrid(DATA, physics))
    assert fitted.free_names == ["offset"]
    assert fitted.physics_params == {"slope": 2.0, "offset": 0.0}
    without = make_fitted(make_hybrid(DATA, None))
    assert without.free_names == []
    assert without.physics_params == {}


def test_attributes_of_the_estimator():
    fitted = make_fitted(make_hybrid(DATA))
    attributes = fitted.attributes()
    assert attributes["_fitted"] is fitted
    assert attributes["module_"] is fitted.hybrid.network
    assert attributes["loss_"] == 0.5
    assert attributes["loss_curve_"] == [1.0, 0.5]
    assert attributes["n_iter_"] == 2
    assert attributes["restarts_"] == [{"loss": 0.5}]
    assert np.isnan(attributes["physics_share_"])
    assert "initial_states_" not in attributes
    states = np.zeros((3, 2))
    attributes = make_fitted(make_hybrid(DATA), learned_states=states).attributes()
    assert attributes["initial_states_"] is states


def test_initial_states_are_learned_or_given():
    swings = make_pendulum(4, n_times=6, random_state=0)
    for initial_state in ("given", "learned"):
        structure = ODE(dt=swings.dt, initial_state=initial_state)
        model = make_model(physics=pendulum, structure=structure, nn=None, n_restarts=1)
        fitted = model.fit(swings.data, swings.target)._fitted
        given = fitted.trajectory_info.initial_states
        if initial_state == "given":
            assert fitted.learned_states is None
            assert fitted.initial_states is given
        else:
            assert fitted.initial_states is fitted.learned_states
            np.testing.assert_allclose(fitted.initial_states, swings.data, atol=0.5)
    X, Y = make_table()
    assert make_model(nn=None).fit(X, Y)._fitted.initial_states is None


def test_trained_weights_are_copied_into_the_network():
    hybrid = make_hybrid(DATA)
    weights = {name: p.detach() + 1.0 for name, p in hybrid.network.named_parameters()}
    hybrid.network(DATA.x).sum().backward()
    trained = with_weights(hybrid, weights)
    assert not trained.network.training
    for name, parameter in trained.network.named_parameters():
        assert torch.equal(parameter, weights[name])
        assert parameter.grad is None
    kept = {name: value.clone() for name, value in weights.items()}
    for value in weights.values():
        value.zero_()
    for name, parameter in trained.network.named_parameters():
        assert torch.equal(parameter, kept[name])


def test_range_is_the_one_of_the_rows():
    hybrid = make_hybrid(DATA)
    few = DATA.x[:5]
    ranged = with_range_of(hybrid, few, hybrid.initial_coordinates())
    scaled = hybrid.scales.feature_offset + hybrid.scales.feature_factor * few
    torch.testing.assert_close(ranged.scales.feature_low, scaled.amin(0))
    torch.testing.assert_close(ranged.scales.feature_high, scaled.amax(0))
    assert torch.equal(hybrid.scales.feature_low, make_hybrid(DATA).scales.feature_low)


def test_a_snapshot_does_not_change_with_the_training():
    hybrid = make_hybrid(DATA)
    coordinates = hybrid.initial_coordinates()
    weights = {name: p.detach() + 1.0 for name, p in hybrid.network.named_parameters()}
    before = {name: p.detach().clone() for name, p in hybrid.network.named_parameters()}
    fitted = snapshot(hybrid, DATA.x, coordinates, weights, [2.0, 1.0], None)
    assert (fitted.loss, fitted.n_iter, fitted.restarts) == (1.0, 2, [])
    assert fitted.hybrid is not hybrid
    assert fitted.hybrid.network is not hybrid.network
    for name, parameter in hybrid.network.named_parameters():
        assert torch.equal(parameter, before[name])
    for name, parameter in fitted.hybrid.network.named_parameters():
        assert torch.equal(parameter, weights[name])
