"""Clones that hold elements of the physics parameters."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import ForceModule, drive_two, make_model

from skhybrid import Param, Physics
from skhybrid.inspection.fixed_parameters import holding, split_element, start_at
from skhybrid.inspection.refits import Refit, refit


@pytest.mark.parametrize("nn", [(6,), None])
def test_one_parameter_is_held_and_the_other_one_is_fitted(table, nn, batches):
    X, y = table
    held = holding(make_model(nn=nn), ["gain"])
    first, second = refit(held, [Refit(X, y, params=start_at(held, {"gain": g})) for g in (1, 3)])
    assert first.physics_params_["gain"] == pytest.approx(1.0, abs=1e-12)
    assert second.physics_params_["gain"] == pytest.approx(3.0, abs=1e-12)
    assert first.physics_params_["offset"] > second.physics_params_["offset"] + 1.0
    assert batches == ([] if nn is None else [2]), "different values share a batch"


def test_the_other_elements_agree_with_a_fixed_parameter(table):
    X, y = table
    held = holding(make_model(nn=None), ["gain"])
    (found,) = refit(held, [Refit(X, y, params=start_at(held, {"gain": 1.5}))])
    fixed = make_model(nn=None, physics=Physics(held.physics.function, gain=Param(1.5, fixed=True)))
    offset = fixed.fit(X, y).physics_params_["offset"]
    assert found.physics_params_["offset"] == pytest.approx(offset)


def test_one_element_of_an_array_is_held(table):
    X, y = table
    targets = np.stack([y, 2.0 * y], axis=1)
    held = holding(make_model(physics=drive_two), ["gain[1]"])
    params = start_at(held, {"gain[1]": 0.7}, others={"gain": [1.0, 1.0]})
    (model,) = refit(held, [Refit(X, targets, params=params)])
    first, second = model.physics_params_["gain"]
    assert second == pytest.approx(0.7, abs=1e-12)
    assert first > 1.5


def test_a_module_and_bounds(table):
    X, y = table
    module = Physics(ForceModule(), gain=Param(1.0, bounds=(0.0, 1.2)))
    held = holding(make_model(physics=module), ["gain"])
    (model,) = refit(held, [Refit(X, y, params=start_at(held, {"gain": 3.0}))])
    assert model.physics_params_["gain"] == pytest.approx(1.2)


def test_wrong_names_are_refused():
    assert split_element("rate[0, 2]") == ("rate", (0, 2))
    with pytest.raises(ValueError, match="no free physics parameter 'gian'"):
        holding(make_model(), ["gian"])
    with pytest.raises(ValueError, match="is no element of 'gain'"):
        holding(make_model(), ["gain[0]"])
