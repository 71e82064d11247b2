"""Columns that hold groups of rows, and the codes of the groups."""

import numpy as np
import pytest
from group_fits import decay, kinetics, make_decays, make_model, make_rates, positive

from skhybrid import ODE, Param, Physics
from skhybrid.exceptions import NetworkError, PhysicsError


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"nn": None}, PhysicsError, "'vmax' has a value for each group .* Give nn hidden sizes"),
        ({"structure": "additive", "nn_features": ["site"]}, NetworkError, "'site', which holds"),
        ({"physics": kinetics(per="sit")}, NetworkError, "Did you mean 'site'"),
    ],
)
def test_errors(options, error, message):
    with pytest.raises(error, match=message):
        make_model(**options).fit(*make_rates())


def test_physics_cannot_read_the_groups():
    def reads(substrate, site, *, vmax=1.0):
        return vmax * substrate

    with pytest.raises(PhysicsError, match="reads column 'site', which holds groups"):
        make_model(Physics(reads, vmax=Param(1.0, per="site"))).fit(*make_rates())


def test_subjects_of_trajectories():
    X, y, dt = make_decays()
    physics = Physics(decay, rate=positive(0.5, per="subject"))
    ode = ODE(dt=dt, inputs="hold", input_names=["subject"], join="none")
    model = make_model(physics, structure=ode, max_epochs=60).fit(X, y)
    expected = {1.0: 0.3, 2.0: 0.6, 7.0: 1.2}
    assert model.group_params_["rate"].to_dict() == pytest.approx(expected, rel=0.03)
    new = X.copy()
    new[0] = 3.0
    found = model.predict_params(new, first_outputs=y[:, :1])["rate"]
    assert found[0] == pytest.approx(model.physics_params_["rate"])
    assert found[1] == pytest.approx(0.6, rel=0.03)


@pytest.mark.parametrize(
    ("per", "message"),
    [("time", "'time', which is no input"), ("subjects", "Did you mean 'subject'")],
)
def test_subjects_are_inputs(per, message):
    X, y, dt = make_decays()
    ode = ODE(dt=dt, inputs="hold", input_names=["subject"])
    with pytest.raises((PhysicsError, NetworkError), match=message):
        make_model(Physics(decay, rate=Param(0.5, per=per)), structure=ode).fit(X, y)


def test_an_input_that_changes_all_the_time_is_no_group():
    X, y, dt = make_decays()
    X = X + np.random.default_rng(0).uniform(size=X.shape)
    ode = ODE(dt=dt, inputs="hold", input_names=["load"])
    with pytest.raises(PhysicsError, match="different values in"):
        make_model(Physics(decay, rate=Param(0.5, per="load")), structure=ode).fit(X, y)
