"""Rows whose output depends on other rows are found before training."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from skhybrid import ODE, HybridRegressor, LatentODE
from skhybrid.datasets import make_pendulum_images
from skhybrid.exceptions import NetworkError, PhysicsError, StructureError
from skhybrid.fitting import coupled_rows
from skhybrid.fitting.coupled_rows import check_coupled_rows

RNG = np.random.default_rng(5)
N_ROWS = 60
X = RNG.uniform(0.5, 3.0, (N_ROWS, 2))
Y = 1.4 * X[:, 0] + 0.2 * np.sin(3.0 * X[:, 1])
DT = 0.2
FIRST = RNG.uniform(0.5, 2.0, (5, 2))
COURSES = FIRST[:, None] * np.exp(-0.6 * DT * np.arange(1, 9))[None, :, None]


def fit(physics, *, x=X, y=Y, nn=(4,), **settings):
    settings = {"max_epochs": 2, "refine_rho": None, "random_state": 0, **settings}
    return HybridRegressor(physics, nn=nn, **settings).fit(x, y)


def fit_ode(physics, *, nn=(4,), x=FIRST, y=COURSES, **ode):
    return fit(physics, x=x, y=y, nn=nn, structure=ODE(dt=DT, **ode))


def gain(X, *, k=1.0):
    return k * X[:, 0]


COUPLED = {
    "cumulative sum": lambda X, *, k=1.0: k * X[:, 0].cumsum(0),
    "hidden by a start of zero": lambda X, *, k=0.0: k * X[:, 0].cumsum(0) + X[:, 1],
    "mean": lambda X, *, k=1.0: k * (X[:, 0] - X[:, 0].mean()),
    "weak mean": lambda X, *, k=1.0: k * X[:, 0] + 0.02 * X[:, 0].mean(),
    "standard deviation": lambda X, *, k=1.0: k * X[:, 0] / X[:, 0].std(),
    "largest": lambda X, *, k=1.0: k * X[:, 0] / X[:, 0].max(),
    "shift": lambda X, *, k=1.0: k * torch.cat([X[:1, 0], X[:-1, 0]]),
    "roll": lambda X, *, k=1.0: k * X[:, 0].roll(1) + X[:, 1],
    "difference": lambda X, *, k=1.0: k * X[:, 0] + torch.diff(X[:, 1], prepend=X[:1, 1]),
    "sort": lambda X, *, k=1.0: k * X[:, 0].sort().values,
    "rank": lambda X, *, k=1.0: k * X[:, 0].argsort().argsort().to(X),
    "row number": lambda X, *, k=1.0: k * X[:, 0] * torch.arange(len(X)).to(X),
    "the mean alone": lambda X, *, k=1.0: k * X[:, 0].mean().expand(len(X)),
    "one of two targets": lambda X, *, k=1.0: torch.stack([k * X[:, 0], X[:, 1].cumsum(0)], 1),
    "beside huge values": lambda X, *, k=1.0: 1e6 + k * X[:, 0].cumsum(0),
}


@pytest.mark.parametrize("physics", COUPLED.values(), ids=COUPLED)
@pytest.mark.parametrize("nn", [(4,), None], ids=["network", "no network"])
def test_physics_that_couples_rows_is_refused(physics, nn):
    y = np.column_stack([Y, Y]) if physics is COUPLED["one of two targets"] else Y
    with pytest.raises(PhysicsError, match="depends on other rows: for one row it is") as caught:
        fit(physics, y=y, nn=nn)
    for alternative in ("structure=ODE", "beforehand", "one trajectory per row"):
        assert alternative in str(caught.value)


ALONE = {
    "product with a vector": lambda X, *, k=(1.0, 0.5): X @ torch.as_tensor(k, dtype=X.dtype),
    "large numbers that cancel": lambda X, *, k=1.0: (
        k * (X @ X.new_tensor([100001.0, 1e5]) - X @ X.new_tensor([1e5, 1e5]))
    ),
    "mean over columns": lambda X, *, k=1.0: k * (X[:, 0] - X.mean(dim=1)),
    "sum over columns": lambda X, *, k=1.0: k * X.cumsum(1)[:, 1],
    "a branch on all rows": lambda X, *, k=1.0: k * X[:, 0] if float(X.sum()) > 0 else X[:, 1],
    "noise": lambda X, *, k=1.0: k * X[:, 0] + 0.1 * torch.randn(len(X)),
    "dropout": lambda X, *, k=1.0: nn.functional.dropout(k * X[:, 0], 0.3),
    "a constant": lambda X, *, k=1.0: k * torch.ones_like(X[:, 0]),
    "a root at its edge": lambda X, *, k=1.0: torch.sqrt(k * X[:, 0] - 0.49),
}


def iterated(X, *, k=1.0):
    """Solve u + k sin(u)/4 = x by an iteration that stops when all rows have converged."""
    u = X[:, 0]
    for _ in range(100):
        change = X[:, 0] - k * torch.sin(u) / 4 - u
        u = u + change
        if float(change.detach().abs().max()) < 1e-5:
            break
    return u


@pytest.mark.parametrize("physics", [*ALONE.values(), iterated], ids=[*ALONE, "iteration"])
def test_physics_of_each_row_alone_is_allowed(physics):
    fit(physics, physics_init="given")


def single(X, *, k=1.0):
    if X.dtype == torch.float64:
        raise ValueError("single precision only")
    return k * X[:, 0].cumsum(0)


def test_physics_that_needs_the_training_dtype_is_checked_in_it():
    with pytest.raises(PhysicsError, match="depends on other rows"):
        fit(single, physics_init="given")


def test_the_evaluations_leave_the_random_numbers_alone():
    before = torch.get_rng_state()
    fit(gain, nn=None)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("n_rows", [2, 3])
def test_few_rows(n_rows):
    with pytest.raises(PhysicsError, match="depends on other rows"):
        fit(COUPLED["cumulative sum"], x=X[:n_rows], y=Y[:n_rows])
    fit(gain, x=X[:n_rows], y=Y[:n_rows])


def test_one_row_couples_with_nothing():
    fit(COUPLED["cumulative sum"], x=X[:1], y=Y[:1])


@pytest.mark.parametrize("n_rows", [60, 2 * coupled_rows.MAX_ROWS])
def test_physics_that_needs_all_rows_is_refused(n_rows):
    x = RNG.uniform(size=(n_rows, 2))
    known = torch.tensor(x[:, 1], dtype=torch.float32)

    def closure(X, *, k=1.0):
        return k * X[:, 0] + known

    with pytest.raises(PhysicsError, match=r"'closure' works on all training rows and fails on"):
        fit(closure, x=x, y=x[:, 0], batch_size=None)
    fit(lambda X, *, k=1.0: k * X[:, 0] + X[:, 1], x=x, y=x[:, 0])


def test_the_alternatives_find_the_truth():
    rain = RNG.gamma(0.5, 4.0, 200)
    level = np.empty(200)
    filled = 0.0
    for step, amount in enumerate(rain):
        filled = filled + 0.25 * amount
        level[step] = filled

    def proportional(total, *, k=1.0):
        return k * total

    table = pd.DataFrame({"total": rain.cumsum()})
    beforehand = fit(proportional, x=table, y=level, nn=None)
    assert beforehand.physics_params_["k"] == pytest.approx(0.25)

    def filling(t, state, inputs, *, k=1.0):
        return k * inputs

    record, levels = rain[None, :, None], np.r_[0.0, level[:-1]][None, :, None]
    structure = ODE(dt=1.0, inputs="hold", method="euler", window=10)
    store = fit(filling, x=record, y=levels, nn=None, structure=structure)
    assert store.physics_params_["k"] == pytest.approx(0.25)


class SoftmaxOverRows(nn.Module):
    def __init__(self, n_outputs=1, axis=0) -> None:
        super().__init__()
        self.read, self.answer = nn.Linear(2, 4), nn.Linear(4, n_outputs)
        self.dropout, self.axis = nn.Dropout(0.5), axis

    def forward(self, x):
        return self.answer(self.dropout(torch.softmax(self.read(x), self.axis)))


def normalised(layer, n_outputs=1):
    return nn.Sequential(nn.Linear(2, 4), layer, nn.Tanh(), nn.Linear(4, n_outputs))


STATISTICS = nn.BatchNorm1d(4, track_running_stats=False)


@pytest.mark.parametrize("network", [SoftmaxOverRows(), normalised(STATISTICS)])
def test_networks_that_couple_rows_are_refused(network):
    with pytest.raises(NetworkError, match=r"The output of nn for a row depends on other rows"):
        fit(gain, nn=network)


@pytest.mark.parametrize("network", [SoftmaxOverRows(axis=-1), normalised(nn.LayerNorm(4))])
def test_the_advice_for_networks_works(network):
    assert fit(gain, nn=network).module_.training is False


def test_structures_that_couple_rows_are_refused():
    def centred(x, physics, nn):
        return physics(x) - physics(x).mean() + nn(x)

    def scaled(x, physics, nn):
        return physics(x) * (1.0 + nn(x, scale=1.0))

    with pytest.raises(StructureError, match="The output of structure 'centred' for a row depends"):
        fit(gain, structure=centred)
    fit(gain, structure=scaled)


def decay(t, state, *, r=0.5):
    return -r * state


RATES = {
    "sum over windows": lambda t, state, *, r=0.5: -r * state + 0.1 * state.sum(),
    "largest time": lambda t, state, *, r=0.5: -r * state * (1.0 + t / (1.0 + t.max()))[:, None],
    "first window": lambda t, state, *, r=0.5: -r * state + 0.1 * state[0],
}


@pytest.mark.parametrize("rates", RATES.values(), ids=RATES)
def test_rates_that_couple_windows_are_refused(rates):
    with pytest.raises(PhysicsError, match=re.escape("state.sum(dim=-1)")):
        fit_ode(rates)


def test_rates_that_couple_components_are_allowed():
    fit_ode(lambda t, state, *, r=0.5: -r * state + 0.1 * state.sum(dim=-1, keepdim=True))


def test_fields_may_couple_points():
    first = RNG.normal(size=(4, 1, 6))
    course = first[:, None] * np.exp(-0.1 * np.arange(1, 6))[:, None, None]

    def conduction(t, state, *, r=0.3):
        return r * (state.roll(1, -1) + state.roll(-1, -1) - 2.0 * state)

    fit_ode(conduction, x=first, y=course)
    with pytest.raises(PhysicsError, match="depends on other rows"):
        fit_ode(lambda t, state, *, r=0.3: r * state.roll(1, 0), x=first, y=course)


def test_observations_that_couple_windows_are_refused():
    inputs = RNG.uniform(size=(4, 12, 1))

    def driven(t, state, inputs, *, r=0.5):
        return -r * state + inputs

    def fit_records(observe):
        structure = ODE(dt=DT, inputs="hold", n_states=2, observe=observe, window=4)
        return fit(driven, x=inputs, y=inputs.cumsum(1), structure=structure)

    with pytest.raises(PhysicsError, match="The output of observe for a row depends"):
        fit_records(lambda state: state[:, :1] - state[:, 1:].mean(0) + state[:, 1:].amax(0))
    fit_records(lambda state: state[:, :1] - 0.1 * state.mean(1, keepdim=True))


def test_joins_and_networks_of_equations():
    def joined(t, state, physics, nn):
        return physics(t, state) + nn(t, state) * state.amax()

    with pytest.raises(StructureError, match="The output of join for a row depends"):
        fit_ode(decay, join=joined)
    with pytest.raises(NetworkError, match="The output of nn for a row depends"):
        fit_ode(decay, nn=SoftmaxOverRows(2))
    fit_ode(decay, nn=SoftmaxOverRows(2, axis=-1), join=lambda t, s, f, nn: f(t, s) * nn(t, s))


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_encoders_and_decoders_that_couple_images_are_refused(part):
    film = make_pendulum_images(6, n_context=2, n_times=6, size=4, random_state=0)
    n_pixels = 16

    def network(over_images):
        n_inputs, n_outputs = (2 * n_pixels, 2) if part == "encoder" else (2, n_pixels)
        layer = nn.BatchNorm1d(n_outputs, track_running_stats=False)
        layers = [nn.Flatten(), nn.Linear(n_inputs, n_outputs)]
        layers += [layer] if over_images else []
        layers += [nn.Unflatten(1, film.target.shape[2:])] if part == "decoder" else []
        return nn.Sequential(*layers)

    def fit_images(over_images):
        parts = {"encoder": 3, "decoder": 3, part: network(over_images)}
        structure = LatentODE(**parts, n_states=2, dt=film.dt, window=2)
        return fit(film.physics, x=film.data, y=film.target, nn=(3,), structure=structure)

    with pytest.raises(NetworkError, match=f"The output of {part} for a row depends"):
        fit_images(True)
    fit_images(False)


def test_the_check_leaves_the_network_in_its_mode():
    network = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.4), nn.Linear(4, 1))
    seen = []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(module.training))
    fit(gain, nn=network)
    assert any(seen)


def test_few_numbers_are_evaluated(monkeypatch):
    sizes = []

    def counted(X, *, k=1.0):
        sizes.append(len(X))
        return k * X[:, 0]

    x = RNG.uniform(size=(5000, 2))
    monkeypatch.setattr(
        "skhybrid.fitting.assemble.check_coupled_rows",
        lambda *given: (sizes.clear(), check_coupled_rows(*given), sizes.append(-1)),
    )
    fit(counted, x=x, y=x[:, 0], max_epochs=1)
    checked = sizes[: sizes.index(-1)]
    assert max(checked) == coupled_rows.MAX_ROWS
    assert len(checked) < 10
