"""Warnings about parameters that the data do not determine.

Each advice is followed, and must then give the truth without a warning.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import BaggingRegressor
from small_findings import BOTH, RNG, X, Y, caught, fit, two
from torch import nn

from skhybrid import ODE, HybridRegressor, HybridSearchCV, Param, Physics
from skhybrid.fitting.parameter_warnings import MAX_UNKNOWNS


@BOTH
def test_a_sound_fit_says_nothing(network):
    model, said = fit(two, nn=network)
    assert not said
    assert model.physics_params_["gain"] == pytest.approx(2.5, abs=0.3)


# On a bound


@BOTH
@pytest.mark.parametrize(
    ("bounds", "side"),
    [((0.0, 1.5), "upper bound 1.5"), ((3.0, None), "lower bound 3"), ((-9, 2.0), "upper bound 2")],
)
def test_a_parameter_on_its_bound(network, bounds, side):
    start = 4.0 if bounds[1] is None else 1.0
    _, said = fit(Physics(two, gain=Param(start, bounds=bounds)), nn=network)
    assert [message for message in said if f"Parameter gain ended on its {side}" in message]
    model, said = fit(Physics(two, gain=Param(start, bounds=(0.0, 9.0))), nn=network)
    assert not said
    assert model.physics_params_["gain"] == pytest.approx(2.5, abs=0.3)


def test_elements_on_a_bound_have_their_index():
    def several(flow, heat, *, gains=(1.0, 1.0)):
        return gains[0] * flow + gains[1] * heat

    physics = Physics(several, gains=Param([1.0, 1.0], bounds=([0.0, 1.0], [9.0, 9.0])))
    _, (said,) = fit(physics)
    assert "Parameter gains[1] ended on its lower bound 1 (value 1" in said


@pytest.mark.parametrize(
    "gain",
    [
        Param(0.2, bounds=(0.2, 1.0), fixed=True),
        Param(2e-9, bounds=(0.0, 1e9)),
        Param(1.0, bounds=(0.0, None)),
        Param(2.49, bounds=(2.4, 2.6)),
    ],
    ids=["fixed", "wide bounds", "one bound", "narrow bounds"],
)
def test_parameters_inside_their_bounds(gain):
    def offset(flow, heat, *, gain=1.0, more=1.0, loss=1.0):
        return gain * flow + loss * heat + (more * flow if gain.item() < 0.3 else 0.0 * more)

    physics = Physics(two, gain=gain)
    if gain.fixed:
        physics = Physics(offset, gain=gain)
    assert not fit(physics)[1]


@pytest.mark.parametrize("bounds", [(0.0, None), (0.0, 1.0)])
def test_a_small_parameter_near_its_bound_is_inside(bounds):
    physics = Physics(lambda flow, *, k: k * flow, k=Param(1e-9, bounds=bounds))
    model, said = fit(physics, y=3e-10 * X["flow"])
    assert not said
    assert model.physics_params_["k"] == pytest.approx(3e-10)


# Without effect


def limited(flow, heat, *, gain=1.0, limit=1.0):
    """Grow with the flow up to a limit."""
    return torch.minimum(gain * flow, limit * torch.ones_like(flow)) + 0.8 * heat


@BOTH
def test_a_parameter_that_never_moved(network):
    y = np.minimum(2.5 * X["flow"], 5.0) + 0.8 * X["heat"]
    _, (said,) = fit(Physics(limited, limit=70.0), y=y, nn=network)
    assert "Parameter limit never moved from its start 70, where it does not change" in said
    model, said = fit(Physics(limited, limit=4.0, gain=2.0), y=y, nn=network)
    assert not said
    if network is None:
        assert model.physics_params_["limit"] == pytest.approx(5.0)


def test_a_parameter_that_lost_its_effect():
    def pulse(flow, heat, *, width=1.0, gain=1.0):
        return gain * flow + 0.8 * heat + torch.relu(width - 0.9) * 0.01 * heat

    _, said = fit(Physics(pulse, width=Param(0.95, bounds=(0.0, 3.0))), y=Y - 0.2 * X["heat"])
    assert [message for message in said if "Parameter width ended at" in message]


def test_fixed_parameters_may_be_idle():
    physics = Physics(limited, limit=Param(70.0, fixed=True))
    assert not fit(physics)[1]


@BOTH
def test_rare_rows_count(network):
    x = pd.DataFrame({"flow": RNG.uniform(size=3000), "event": np.arange(3000) == 1501})
    y = 2.0 * x["flow"] + 30.0 * x["event"]

    def with_event(flow, event, *, gain=1.0, jump=1.0, again=1.0):
        return gain * flow + jump * event + again * event * flow

    def with_one(flow, event, *, gain=1.0, jump=1.0):
        return gain * flow + jump * event

    settings = {"x": x.astype(float), "y": y, "nn": network, "max_epochs": 1}
    assert not fit(with_one, **settings)[1]
    said = " ".join(fit(with_event, **settings)[1])
    assert "jump" in said and "again" in said and "act only together" in said


# Only together


TOGETHER = {
    "product": lambda flow, heat, *, a=2.0, b=1.0: a * b * flow + 0.8 * heat,
    "sum": lambda flow, heat, *, a=2.0, b=1.0: (a + b) * flow + 0.8 * heat,
    "difference": lambda flow, heat, *, a=2.0, b=1.0: (a - b) * flow + 0.8 * heat,
    "ratio": lambda flow, heat, *, a=2.0, b=1.0: a / b * flow + 0.8 * heat,
    "power": lambda flow, heat, *, a=2.0, b=1.0: a**2 * torch.exp(b) * flow + 0.8 * heat,
}


@BOTH
@pytest.mark.parametrize("physics", TOGETHER.values(), ids=TOGETHER)
def test_two_parameters_that_act_together(network, physics):
    model, (said,) = fit(physics, nn=network)
    a, b = (f"{name} = {model.physics_params_[name]:.6g}" for name in "ab")
    assert f"Parameters {a} and {b} act only together" in said


def test_one_of_them_fixed_gives_the_other():
    physics = Physics(TOGETHER["product"], b=Param(2.0, fixed=True))
    model, said = fit(physics)
    assert not said
    assert model.physics_params_["a"] == pytest.approx(1.25, abs=0.01)


def test_elements_and_groups():
    def several(flow, heat, *, gains=(1.0, 1.0, 1.0), factor=2.0):
        return (gains[0] * gains[2] * factor) * flow + gains[1] * heat

    _, (said,) = fit(several)
    assert "Parameters gains[0] = " in said and ", gains[2] = " in said and "and factor = " in said
    assert "gains[1]" not in said


def test_columns_with_the_same_values_are_named_with_their_parameters():
    x = X.assign(heat=2.0 * X["flow"])
    _, (said,) = fit(two, x=x)
    assert "act only together: on the training rows" in said


@pytest.mark.parametrize("nn", [(4,), None])
def test_nearly_equal_effects_are_not_the_same(nn):
    def close(flow, heat, *, a=2.0, b=1.0, p=1.02):
        return a * flow + b * flow**1.02 + 0.8 * heat

    assert not fit(Physics(close, p=Param(1.0, fixed=True)), nn=nn)[1]


@BOTH
def test_rates_of_a_differential_equation(network):
    first = RNG.uniform(0.5, 2.0, (6, 2))
    course = first[:, None] * np.exp(-0.6 * 0.2 * np.arange(1, 13))[None, :, None]

    def decay(t, state, *, a=0.3, b=0.2):
        return -(a + b) * state

    def coupled(t, state, *, a=0.3, b=0.2):
        return -a * state - b * state.flip(-1)

    settings = {"x": first, "y": course, "nn": network, "structure": ODE(dt=0.2), "max_epochs": 4}
    said = fit(decay, **settings)[1]
    assert len(said) == 1 and "act only together" in said[0]
    assert not fit(coupled, **settings)[1]


def test_parameters_of_observations():
    inputs = RNG.uniform(size=(3, 20, 1))

    def driven(t, state, inputs, *, gain=1.0, unit=2.0, factor=1.5):
        return gain * inputs - 0.3 * state

    def seen(state, *, unit=2.0, factor=1.5):
        return unit * factor * state

    structure = ODE(dt=0.1, inputs="hold", n_states=1, observe=seen, window=None)
    y = 0.1 * inputs.cumsum(1)
    said = fit(driven, x=inputs, y=y, structure=structure, nn=(3,), max_epochs=3)[1]
    assert [message for message in said if "unit" in message and "factor" in message]


# Modules


class Module(nn.Module):
    def __init__(self, **tensors) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.0))
        self.loss = torch.tensor(0.0)
        for name, tensor in tensors.items():
            if isinstance(tensor, nn.Parameter):
                delattr(self, name)
            setattr(self, name, tensor)

    def forward(self, flow, heat):
        return self.gain * flow + self.loss * heat


@BOTH
def test_plain_tensors_of_a_module_are_not_learned(network):
    _, (said,) = fit(Module(), nn=network)
    assert "Attribute 'loss' of physics 'Module' is a plain tensor (0.) and was not learned" in said
    model, said = fit(Module(loss=nn.Parameter(torch.tensor(0.5))), nn=network)
    assert not said
    assert model.physics_params_["loss"] == pytest.approx(0.8, abs=0.3)


def test_constants_of_a_module():
    class Constants(Module):
        def __init__(self):
            super().__init__()
            del self.loss
            self.register_buffer("loss", torch.tensor(0.8))
            self.index = torch.tensor([0, 1])
            self.table = torch.zeros(MAX_UNKNOWNS + 1)
            self.number = 0.8

        def forward(self, flow, heat):
            self.kept = self.gain * flow
            return self.kept + self.loss * heat

    assert not fit(Constants())[1]


def test_a_module_within_a_module():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Module()

        def forward(self, flow, heat):
            return self.inner(flow, heat)

    class Renamed(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(1.0))
            self.inner = nn.Identity()
            self.inner.factor = torch.tensor([1.0, 2.0])

        def forward(self, flow, heat):
            return self.gain * flow * self.inner.factor[0] + 0.8 * heat

    _, (said,) = fit(Renamed())
    assert "'inner.factor'" in said and "self.factor = torch.nn.Parameter" in said
    assert Outer()(torch.ones(2), torch.ones(2)).shape == (2,)


def test_parameters_that_are_held_are_no_findings():
    start = Physics(TOGETHER["product"], a=2.5, b=1.0)
    settings = {"nn": (4,), "physics_init": "given", "physics_learning_rate": 0.0}
    assert not fit(start, **settings)[1]


def test_a_network_alone_has_no_parameters():
    assert not fit(None, nn=(8,), max_epochs=60)[1]


# Many fits


def test_meta_estimators_say_each_fault_once():
    model = HybridRegressor(TOGETHER["product"], nn=None)
    found = caught(lambda: BaggingRegressor(model, n_estimators=4, random_state=0).fit(ARRAY, Y))
    assert len(found) == 1


ARRAY = X.to_numpy()


def test_a_search_counts_the_fits_and_says_the_fault_of_the_best():
    model = HybridRegressor(TOGETHER["sum"], nn=(4,), max_epochs=3, random_state=0)
    found = caught(lambda: HybridSearchCV(model, {"rho": [0.0, 0.1]}, cv=3).fit(X, Y))
    candidates, best = (str(each.message) for each in found)
    assert candidates.startswith("In 6 of 6 fits of a search; the first says: Parameters a = ")
    assert best.startswith("Parameters a = ")


def test_a_choice_of_a_radius_says_the_fault_of_the_fit_alone():
    model = HybridRegressor(TOGETHER["sum"], nn=(3,), max_epochs=2, rho="auto", random_state=0)
    (found,) = caught(lambda: model.fit(X, Y))
    assert str(found.message).startswith("Parameters a = ")


@BOTH
def test_an_offset_of_zero_acts(network):
    def above(flow, heat, *, gain=2.0, loss=1.0, offset=0.0):
        return gain * flow + loss * heat + offset

    assert not fit(above, y=2.5 * X["flow"] + 0.8 * X["heat"], nn=network)[1]
