"""A fit that continues begins at first states that suit the earlier network."""

from __future__ import annotations

import numpy as np
import pytest
from small_oscillator import DRIVEN, INPUTS, position, pushed

from skhybrid import ODE, HybridRegressor
from skhybrid.fitting import prepare
from skhybrid.fitting.earlier_states import with_earlier_states
from skhybrid.fitting.inputs import read_inputs
from skhybrid.fitting.settings import FitSettings

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

STRUCTURES = {
    "free": ODE(dt=0.1, inputs="hold", n_free_states=1, substeps=1, window=4),
    "hidden": ODE(dt=0.1, inputs="hold", observe=position, n_states=2, substeps=1, window=4),
}
TARGETS = {"free": DRIVEN, "hidden": DRIVEN[..., :1]}


def fitted(kind, **options):
    given = {"nn": (8,), "max_epochs": 15, "refine_rho": None, "random_state": 0, **options}
    return HybridRegressor(pushed, structure=STRUCTURES[kind], **given).fit(INPUTS, TARGETS[kind])


def prepared(model, X, y):
    """Return what a second fit begins with."""
    model.warm_start = True
    settings = FitSettings.of(model)
    return prepare.prepare(
        settings, read_inputs(settings, model, X, y, None), previous=model._fitted
    )


def follows(x, states):
    """Whether the state of the next window, where there is one, is the first state of that one."""
    followed = x.next_index >= 0
    return np.array_equal(x.next_state[followed], states[x.next_index[followed]])


@pytest.mark.parametrize("kind", ["free", "hidden"])
def test_the_same_data_begin_at_the_learned_states(kind):
    model = fitted(kind)
    x = prepared(model, INPUTS, TARGETS[kind]).rows.x
    learned = model._fitted.window_states
    np.testing.assert_array_equal(x.first_state, learned[x.index])
    assert follows(x, learned)


def test_the_loss_goes_on_from_where_it_ended():
    model = fitted("hidden", max_epochs=40)
    loss = model.loss_
    model.set_params(warm_start=True, max_epochs=1, learning_rate=1e-6)
    assert model.fit(INPUTS, TARGETS["hidden"]).loss_ < 1.01 * loss


def test_held_out_windows_begin_where_they_were():
    model = fitted("free", early_stopping=True, validation_fraction=0.3)
    again = prepared(model, INPUTS, DRIVEN)
    own = again.validation.x
    learned, before = model._fitted.window_states, model._fitted.held_out_states
    assert np.isnan(learned[own.index]).all()
    np.testing.assert_allclose(own.first_state, before[own.index], rtol=1e-6)
    both = np.where(np.isnan(learned), np.resize(before, learned.shape), learned)
    assert follows(again.rows.x, both)


def test_other_data_begin_near_the_earlier_free_states():
    model = fitted("free")
    x = prepared(model, -INPUTS[:2], -DRIVEN[:2]).rows.x
    free, earlier = x.first_state[:, 2], model._fitted.window_states[:, 2]
    spread = np.array([earlier.mean() + sign * earlier.std() for sign in (-1, 0, 1)])
    near = np.isclose(free[:, None], [0.0, *spread]).any(axis=1)
    assert near.all() and len(set(free)) > 1
    np.testing.assert_array_equal(x.first_state[0, :2], -DRIVEN[0, 0])


def test_given_first_states_stay():
    structure = ODE(dt=0.1, inputs="hold", substeps=1, initial_state="given")
    options = {"max_epochs": 1, "refine_rho": None, "random_state": 0}
    model = HybridRegressor(pushed, nn=(2,), structure=structure, **options).fit(INPUTS, DRIVEN)
    start = prepared(model, INPUTS, DRIVEN)
    assert with_earlier_states(start, None, model._fitted)[0] is start
