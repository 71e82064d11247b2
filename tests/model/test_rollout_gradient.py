"""Rollouts whose stages are differentiated at once."""

import numpy as np
import pytest
import torch

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.datasets import make_pendulum
from skhybrid.model.rollout_gradient import RolloutGradient
from skhybrid.training.objective import Objective


@pytest.fixture(autouse=True)
def _small_rollouts_pay(monkeypatch):
    monkeypatch.setattr(RolloutGradient, "pays", lambda *given: True)


def driven(t, state, inputs, *, stiffness=1.0, gain=0.5):
    angle, velocity = state.unbind(-1)
    return torch.stack([velocity, gain * inputs[:, 0] - stiffness * torch.sin(angle)], dim=-1)


def in_columns(t, state, inputs, *, stiffness=1.0, gain=0.5):
    angle, velocity = state[:, :1], state[:, 1:]
    return torch.cat([velocity, gain * inputs - stiffness * torch.sin(angle)], dim=1)


def in_both_ways(t, state, inputs, *, stiffness=1.0, gain=0.5):
    """Physics for which a parameter must be a number."""
    angle = state[:, 0] * stiffness
    return torch.cat([state[:, 1:], gain * inputs - torch.sin(angle[:, None])], dim=1)


def softening(t, state, inputs, *, stiffness=1.0, gain=0.5):
    angle, velocity = state.unbind(-1)
    return torch.stack([velocity, gain * inputs[:, 0] - stiffness * angle + angle**3], dim=-1)


def in_time(t, state, inputs, *, stiffness=1.0, gain=0.5):
    angle, velocity = state.unbind(-1)
    push = gain * inputs[:, 0] * torch.cos(t)
    return torch.stack([velocity, push - stiffness * torch.sin(angle)], dim=-1)


def noisy(t, state, inputs, *, stiffness=1.0, gain=0.5):
    rates = driven(t, state, inputs, stiffness=stiffness, gain=gain)
    return rates * (1.0 + 0.01 * torch.rand_like(state))


def on_one_side(t, state, inputs, *, stiffness=1.0, gain=0.5):
    """Physics whose rates depend on the first row, as soon as the stiffness has moved."""
    rates = driven(t, state, inputs, stiffness=stiffness, gain=gain)
    moved_away = float(stiffness.detach()) > STIFFNESS_AT_START
    return rates * 2.0 if moved_away and bool(state[0, 0] > 0.0) else rates


# Above the disturbed start, below the values that training passes.
STIFFNESS_AT_START = 1.0005


def held_below(t, state, inputs, physics, nn):
    """A join whose network sees other states than the physics, where they are large."""
    return physics(t, state, inputs) + nn(t, state.clamp(max=0.5), inputs)


def make_ode(**settings):
    return ODE(**{"dt": 0.5, "inputs": "hold", **settings})


def make_records(n_outputs=2):
    """Return inputs and outputs of four records of twelve times."""
    y = make_pendulum(4, random_state=0).target[:, :12, :n_outputs]
    return np.random.default_rng(0).normal(size=(4, 12, 1)), y


def fit_both_ways(monkeypatch, physics, structure, records=None, **settings):
    """Fit with autograd, and with gradients at once; return both, and whether they were chosen."""
    X, y = records or make_records(2 if structure.observe is None else 1)
    chosen = watch(monkeypatch)
    settings = {"nn": (5, 4), "dtype": "float64", "max_epochs": 2, "random_state": 0} | settings
    models = []
    for together in (False, True):
        with monkeypatch.context() as patch:
            if not together:
                patch.setattr(RolloutGradient, "possible", lambda model: False)
            models.append(HybridRegressor(physics, structure=structure, **settings).fit(X, y))
    assert not any(chosen[: len(chosen) // 2])
    return models, chosen[len(chosen) // 2 :]


def watch(monkeypatch):
    """Return a list that gets, for every phase, whether all stages are differentiated at once."""
    chosen, choose = [], Objective.choose_evaluation

    def watched(self, batch):
        choose(self, batch)
        chosen.append(self.solves_together)

    monkeypatch.setattr(Objective, "choose_evaluation", watched)
    return chosen


STRUCTURES = [
    {},
    {"inputs": "linear", "method": "midpoint", "substeps": 2},
    {"method": "euler", "substeps": 3, "window": 3},
    {"join": "multiply"},
    {"corrects": [1], "initial_state": "learned", "window": 3, "continuity": 0.5},
    {"n_free_states": 1, "window": 3},
    {"observe": lambda state: state[:, :1], "n_states": 2},
]


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda each: ", ".join(each) or "default")
def test_fits_are_those_of_autograd(structure, monkeypatch):
    """The first phase has one member, the second six."""
    models, chosen = fit_both_ways(monkeypatch, driven, make_ode(**structure))
    assert chosen
    assert all(chosen)
    assert_same_fits(models)


def assert_same_fits(models):
    expected, found = models
    assert found.loss_curve_ == pytest.approx(expected.loss_curve_, rel=1e-7)
    for name, value in expected.physics_params_.items():
        assert found.physics_params_[name] == pytest.approx(value, rel=1e-7)


@pytest.mark.parametrize("physics", [in_columns, in_both_ways, in_time])
def test_physics_of_several_styles(physics, monkeypatch):
    models, chosen = fit_both_ways(monkeypatch, physics, make_ode())
    assert all(chosen)
    assert_same_fits(models)


@pytest.mark.parametrize("join", ["none", "add"])
def test_parameters_as_functions(join, monkeypatch):
    physics = Physics(
        driven,
        stiffness=Param(1.0, bounds=(0.0, None), depends_on=["state_1", "time"]),
        gain=Param(0.5, depends_on=["state_0"]),
    )
    models, chosen = fit_both_ways(monkeypatch, physics, make_ode(join=join))
    assert chosen
    assert all(chosen)
    assert_same_fits(models)


def test_networks_that_read_the_time_and_some_states(monkeypatch):
    models, chosen = fit_both_ways(monkeypatch, driven, make_ode(), nn_features=["time", "state_1"])
    assert all(chosen)
    assert_same_fits(models)


@pytest.mark.parametrize("n_restarts", [1, 2])
def test_irregular_times_and_records_of_different_lengths(n_restarts, monkeypatch):
    X, y = make_records()
    random, lengths = np.random.default_rng(0), [12, 5, 9, 7]
    times = np.cumsum(random.uniform(0.1, 0.6, (4, 12)), axis=1)
    X = np.concatenate([times[..., None], X], axis=2)
    records = [[each[:n] for each, n in zip(given, lengths, strict=True)] for given in (X, y)]
    ode = ODE(times=0, inputs="linear", window=4)
    models, chosen = fit_both_ways(
        monkeypatch, driven, ode, records, n_restarts=n_restarts, batch_size=8
    )
    assert all(chosen)
    assert_same_fits(models)


def test_physics_with_random_numbers_is_left_to_autograd(monkeypatch):
    """All stages together draw other numbers than one stage after the other."""
    _, chosen = fit_both_ways(monkeypatch, noisy, make_ode())
    assert not any(chosen)


def test_physics_that_mixes_rows_later_than_in_the_first_minibatch(monkeypatch):
    """The rates of all stages together show it in the minibatch where it happens."""
    settings = {"batch_size": 8, "max_epochs": 10, "physics_init": "given"}
    models, chosen = fit_both_ways(monkeypatch, on_one_side, make_ode(), **settings)
    assert chosen[0]
    assert_same_fits(models)


@pytest.mark.parametrize("n_restarts", [1, 2])
def test_networks_at_other_rows_are_left_to_autograd(n_restarts, monkeypatch):
    """The minibatch of the comparison need not have a row that the clamp changes."""
    structure = make_ode(join=held_below)
    models, chosen = fit_both_ways(monkeypatch, driven, structure, n_restarts=n_restarts)
    assert not any(chosen)
    assert_same_fits(models)


def test_rollouts_beyond_the_bounds(monkeypatch):
    """Where a state was moved to its bound, the gradient is zero."""
    monkeypatch.setattr("skhybrid.model.rollouts.MAX_DEVIATION", 1.0)
    models, chosen = fit_both_ways(monkeypatch, driven, make_ode(window=5))
    assert all(chosen)
    assert_same_fits(models)


def test_steps_that_overflow_leave_the_gradient_to_autograd(monkeypatch):
    """A step that diverges ends at a bound, without a gradient, and its matrix is infinite."""
    found, choose = [], Objective.choose_evaluation

    def watched(self, batch):
        choose(self, batch)
        before, random = self.members.flat.clone(), torch.Generator().manual_seed(0)
        for _ in range(10):
            with torch.no_grad():
                self.members.flat.add_(30.0 * torch.randn(before.shape, generator=random))
            gradients = []
            for together in (self._together, None):
                with monkeypatch.context() as patch:
                    patch.setattr(self, "_together", together)
                    self.gradient(batch)
                gradients.append(self.members.gradient.clone())
            found.append(gradients)
            self.members.set_flat(before)

    monkeypatch.setattr(Objective, "choose_evaluation", watched)
    settings = {"structure": make_ode(window=2), "nn": (5, 4), "max_epochs": 1}
    HybridRegressor(softening, **settings, random_state=0).fit(*make_records())
    assert len(found) == 20
    for gradient, expected in found:
        torch.testing.assert_close(gradient, expected, equal_nan=True)


@pytest.mark.parametrize(
    "other",
    [
        {"structure": make_ode(method="dopri5")},
        {"structure": make_ode(correct="output")},
        {"nn": torch.nn.Linear(3, 2)},
        {"functional_norm": 0.1},
    ],
    ids=["adaptive", "corrects outputs", "own module", "penalty"],
)
def test_other_models_are_left_to_autograd(other, monkeypatch):
    chosen = watch(monkeypatch)
    settings = {"physics": driven, "structure": make_ode(), "nn": (4,), "max_epochs": 1} | other
    HybridRegressor(**settings).fit(*make_records())
    assert chosen
    assert not any(chosen)


@pytest.mark.parametrize(
    ("n_times", "corrects", "n_members", "pays"),
    [
        (3, [1], 1, False),
        (6, None, 1, True),
        (6, None, 2, False),
        (6, [1], 2, True),
        (6, [1], 200, False),
    ],
)
def test_when_it_pays(n_times, corrects, n_members, pays, monkeypatch):
    """It depends on the number of stages, of members and of the network's outputs."""
    monkeypatch.undo()
    seen = []
    choose = Objective.choose_evaluation

    def watched(self, batch):
        seen.append(self.hybrid.gains_by_rollout_gradient(batch.x, n_members))
        choose(self, batch)

    monkeypatch.setattr(Objective, "choose_evaluation", watched)
    X, y = make_records()
    structure = make_ode(corrects=corrects, window=n_times - 1)
    HybridRegressor(driven, nn=(4,), structure=structure, max_epochs=1, refine_rho=None).fit(X, y)
    assert seen == [pays]
