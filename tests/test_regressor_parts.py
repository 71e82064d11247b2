"""The parts of a prediction: physics and network."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_models import drive, make_model, make_table, same_fit, twice_corrected

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

X, Y = make_table()
NEW_X, _ = make_table(15, seed=1)
STRUCTURES = ["additive", "multiplicative", "serial", twice_corrected]


@pytest.mark.parametrize("nn", [(6,), None])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_parts_add_up(structure, nn):
    model = make_model(structure=structure, nn=nn).fit(X, Y)
    physics, network = model.predict_parts(NEW_X)
    np.testing.assert_allclose(physics + network, model.predict(NEW_X), rtol=1e-12)
    by_hand = drive(NEW_X["force"].to_numpy(), **model.physics_params_)
    np.testing.assert_allclose(physics, by_hand, rtol=1e-12)
    assert (nn is None) == np.array_equal(network, np.zeros(len(NEW_X)))


def test_without_physics_the_physics_part_is_the_mean():
    weight = np.linspace(1.0, 3.0, len(Y))
    model = make_model(physics=None).fit(X, Y, weight)
    physics, network = model.predict_parts(NEW_X)
    np.testing.assert_allclose(physics, np.average(Y, weights=weight))
    assert np.ptp(network) > 0.1
    assert model.physics_params_ == {}


def test_module_is_the_trained_network():
    model = make_model(nn=(4, 3)).fit(X, Y)
    assert [tuple(p.shape) for p in model.module_.parameters()][::2] == [(4, 2), (3, 4), (1, 3)]
    assert not model.module_.training
    assert make_model(nn=None).fit(X, Y).module_ is None


@pytest.mark.parametrize("structure", ["additive", "serial"])
def test_network_sees_only_its_features(structure):
    by_name = make_model(nn_features=["angle"], structure=structure).fit(X, Y)
    by_number = make_model(nn_features=[1], structure=structure).fit(X, Y)
    from_the_end = make_model(nn_features=np.array([-1]), structure=structure).fit(X, Y)
    assert same_fit(by_name, by_number, NEW_X)
    assert same_fit(by_name, from_the_end, NEW_X)
    moved = X.assign(force=X["force"].to_numpy()[::-1])
    network, network_moved = (by_name.predict_parts(table)[1] for table in (X, moved))
    # A serial network reads the physics' output, which depends on the force.
    assert np.allclose(network, network_moved, atol=1e-12) == (structure == "additive")
    turned = X.assign(angle=X["angle"].to_numpy()[::-1])
    assert not np.allclose(network, by_name.predict_parts(turned)[1], atol=1e-3)


def test_network_holds_outside_the_training_range():
    model = make_model().fit(X, Y)
    assert model.nn_extrapolation == "hold"
    outside = pd.DataFrame({"force": [9.0, -9.0, 1.0], "angle": [1.0, 9.0, 1.0]})
    edge = outside.clip(X.min(), X.max(), axis=1)
    physics, held = model.predict_parts(outside)
    np.testing.assert_allclose(held, model.predict_parts(edge)[1], atol=1e-12)
    np.testing.assert_allclose(physics, drive(outside["force"], **model.physics_params_))
    inside = model.predict(NEW_X.clip(X.min(), X.max(), axis=1))
    model.set_params(nn_extrapolation="free")
    free = model.predict_parts(outside)[1]
    assert (np.abs(free - held)[:2] > 0.01).all()
    assert free[2] == held[2]
    np.testing.assert_array_equal(model.predict(NEW_X.clip(X.min(), X.max(), axis=1)), inside)
