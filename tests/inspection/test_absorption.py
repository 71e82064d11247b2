"""What the network's inputs can predict of the effects of physics parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import make_model

from skhybrid import ODE, HybridRegressor, LatentODE, Param, Physics
from skhybrid.datasets import make_pendulum_images
from skhybrid.inspection.absorption import absorption
from skhybrid.inspection.local_effects import local_effects
from skhybrid.inspection.training_rows import training_rows

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning",
    "ignore::skhybrid.exceptions.PoorFitWarning",
    "ignore::skhybrid.exceptions.FreeRunWarning",
)

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (200, 3))
Y = 2.0 * np.sin(2.0 * X[:, 0]) + X[:, 2] + 0.5 + X[:, 1] ** 2


def wave(a, b, c, *, k=1.5, m=(0.5, 0.2)):
    return k * torch.sin(2.0 * a) + m[0] * c + m[1]


def effects_of(nn_features=None, physics=wave, **settings):
    model = make_model(physics=physics, nn_features=nn_features, max_epochs=2, **settings)
    model.fit(X, Y)
    return local_effects(training_rows(model, X, Y))


def test_effects_on_a_table_are_derivatives():
    found = effects_of([1])
    assert found.names == ["k", "m[0]", "m[1]"]
    expected = np.stack([np.sin(2.0 * X[:, 0]), X[:, 2], np.ones(200)], axis=1)
    np.testing.assert_allclose(found.effects[:, 0], expected / Y.std(), atol=1e-9)
    np.testing.assert_allclose(
        found.imitators[0].seen[:, 0], (X[:, 1] - X[:, 1].mean()) / X[:, 1].std()
    )
    assert found.reached.tolist() == [True]


def test_what_the_network_sees_it_can_imitate():
    every = absorption(effects_of())
    assert all(each.predictable > 0.99 for each in every.values())
    assert all(each.left < 0.01 for each in every.values())
    some = absorption(effects_of([1]))
    assert some["k"].predictable < 0.1
    assert some["k"].left > 0.8
    assert some["m[0]"].predictable < 0.1
    assert some["m[1]"].predictable == 1.0  # a constant
    both = absorption(effects_of([1, 2]))
    assert both["k"].predictable < 0.1
    assert both["m[0]"].predictable > 0.99


def test_a_factor_imitates_what_it_multiplies():
    def one(a, b, c, *, k=1.5):
        return k * torch.sin(2.0 * a)

    # The network sees b alone: added, it cannot imitate k; times the physics, it can.
    added = absorption(effects_of([1], one))["k"]
    assert added.predictable < 0.1
    assert added.left > 0.8
    factor = absorption(effects_of([1], one, structure="multiplicative"))["k"]
    assert factor.predictable > 0.99
    assert factor.left < 0.01


@pytest.mark.parametrize(
    ("inputs", "least", "most"), [([1], 0.0, 0.2), ([1, 2], 0.0, 0.2), ([0, 1], 0.99, 1.0)]
)
def test_what_a_function_of_features_can_make_up_for(inputs, least, most):
    def growth(a, b, c, *, base=1.0, rate=0.7, slope=0.5):
        return base * torch.exp(rate * a) + slope * c

    base = Param(1.0, bounds=(0.0, None), depends_on=inputs)
    found = absorption(effects_of(physics=Physics(growth, base=base)))
    assert [*found] == ["rate", "slope"]
    assert least <= found["rate"].predictable <= most
    # A line in c times exp(-rate a) is no function of b and c.
    assert found["slope"].left > 0.05


def test_what_groups_can_make_up_for():
    group = np.arange(200) % 5
    dose = RNG.normal(size=5)[group] + 0.0 * X[:, 0]
    y = np.exp(0.3 * dose) + X[:, 0]

    def response(dose, a, *, offset=0.0, rate=0.2, slope=1.0):
        return offset + torch.exp(rate * dose) + slope * a

    physics = Physics(response, offset=Param(0.0, per=2, per_std=5.0))
    model = make_model(physics=physics, structure="none", max_epochs=2)
    table = np.stack([dose, X[:, 0], group], axis=1)
    found = absorption(local_effects(training_rows(model.fit(table, y), table, y)))
    assert found["rate"].predictable > 0.9  # it acts between groups alone
    assert found["slope"].predictable < 0.1
    assert found["offset"].left > 0.0  # values of groups sum to zero


def spring(t, state, *, stiffness=1.0, ratio=1.0):
    x, v = state.unbind(-1)
    return torch.stack([ratio * v, -stiffness * x], -1)


def onto_velocity(t, state, physics, nn):
    return physics(t, state) + nn(t, state) * torch.tensor([0.0, 1.0], dtype=state.dtype)


@pytest.mark.parametrize(
    ("options", "seen"),
    [({"join": "add"}, True), ({"join": onto_velocity}, False), ({"corrects": [1]}, False)],
)
def test_a_rate_that_the_network_cannot_change_is_not_imitated(options, seen):
    times = 0.2 * np.arange(1, 16)
    first = RNG.uniform(-1, 1, (12, 2))
    y = np.stack(
        [
            np.stack([x * np.cos(times) + v * np.sin(times), v * np.cos(times) - x * np.sin(times)])
            for x, v in first
        ]
    ).transpose(0, 2, 1)
    model = HybridRegressor(
        Physics(spring, stiffness=Param(1.0), ratio=Param(1.0)),
        nn=(4,),
        structure=ODE(dt=0.2, **options),
        max_epochs=2,
        refine_rho=None,
        random_state=0,
    ).fit(first, y)
    effects = local_effects(training_rows(model, first, y))
    assert effects.reached.tolist() == [seen, True]
    found = absorption(effects)
    assert found["stiffness"].predictable > 0.99
    assert (found["ratio"].predictable > 0.99) == seen


def growth(t, state, inputs, *, r=0.5, m=0.3, c=1.0):
    return (r * state[:, 0] - m * state[:, 0] ** 2)[:, None]


def scaled(states, inputs, *, c):
    return c * states


def growing(observed=(), **varies):
    """Return a fit to populations under a load that changes at random."""
    load = RNG.uniform(0.0, 1.0, (10, 16, 1))
    y = np.empty((10, 16, 1))
    y[:, 0] = RNG.uniform(0.2, 2.0, (10, 1))
    for i in range(15):
        y[:, i + 1] = y[:, i] + 0.2 * ((0.3 + load[:, i]) * y[:, i] - 0.3 * y[:, i] ** 2)
    ode = ODE(dt=0.2, inputs="hold", input_names=["load"], state_names=["x"], **dict(observed))
    physics = Physics(
        growth, r=Param(0.5, **varies), m=Param(0.3), c=Param(1.0, fixed=not observed)
    )
    model = HybridRegressor(physics, nn=(4,), structure=ode, max_epochs=2, refine_rho=None)
    return local_effects(training_rows(model.set_params(random_state=0).fit(load, y), load, y))


@pytest.mark.parametrize(("depends_on", "imitates"), [("load", False), ("x", True)])
def test_a_rate_that_is_a_function_of_inputs_or_states(depends_on, imitates):
    found = absorption(growing(depends_on=[depends_on]))["m"]
    assert (found.predictable > 0.99) == imitates
    assert (found.left < 0.01) == imitates


def test_hidden_states_may_make_up_for_a_number():
    found = growing({"observe": scaled, "n_states": 1}, depends_on=["load"])
    assert "Not all states are observed, and r may" in found


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"nn": None}, "no network"), ({"physics": None}, "no free physics")],
)
def test_a_reason_takes_the_place_of_effects(settings, words):
    assert words in effects_of(**settings)


def test_states_behind_an_encoder_are_unknown():
    film = make_pendulum_images(2, n_times=8, random_state=0)
    model = HybridRegressor(
        film.physics,
        nn=(4,),
        structure=LatentODE(n_states=2, dt=film.dt),
        max_epochs=1,
        refine_rho=None,
        physics_init="given",
        random_state=0,
    ).fit(film.data, film.target)
    assert "encoder" in local_effects(training_rows(model, film.data, film.target))
