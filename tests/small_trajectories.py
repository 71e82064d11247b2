"""A small hybrid differential equation and its windows, for tests."""

from __future__ import annotations

import numpy as np
import torch

from skhybrid import ODE, HybridRegressor
from skhybrid.data.rows import Rows
from skhybrid.data.scaling import input_scales, record_network_inputs
from skhybrid.fitting.assemble import assemble_physics
from skhybrid.fitting.inputs import read_inputs
from skhybrid.fitting.settings import FitSettings
from skhybrid.model.batch import Batch
from skhybrid.model.dynamics import Dynamics
from skhybrid.training.result import Start

DT = 0.2


def spring(t, state, *, stiffness=1.5, damping=(0.1, 0.2)):
    """An oscillator whose damping has two parts."""
    position, velocity = state.unbind(-1)
    force = -stiffness * position - damping[0] * velocity - damping[1] * velocity**3
    return torch.stack([velocity, force], dim=-1)


def position(state):
    return state[:, :1]


def make_oscillations(n: int = 6, n_times: int = 12, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return initial states of undamped oscillations and the states at the later times."""
    rng = np.random.default_rng(seed)
    first = rng.uniform(-1.0, 1.0, (n, 2))
    t = DT * np.arange(1, n_times + 1)
    cosine, sine = np.cos(1.3 * t), np.sin(1.3 * t)
    distance = first[:, :1] * cosine + first[:, 1:] * sine / 1.3
    speed = first[:, 1:] * cosine - 1.3 * first[:, :1] * sine
    noise = 0.01 * rng.normal(size=(n, n_times, 2))
    return first, np.stack([distance, speed], axis=2) + noise


class SmallTrajectories:
    """A model of oscillations with a network, and its windows in float64.

    Attributes
    ----------
    settings : FitSettings
    inputs : FitInputs
    rows : Rows
        The windows.
    data : Batch
        The windows as tensors.
    physical : Dynamics
        The model without its network.
    """

    def __init__(self, X=None, y=None, *, physics=spring, weight=None, **structure) -> None:
        if X is None:
            X, y = make_oscillations()
        ode = ODE(**{"dt": DT, "window": 4, **structure})
        estimator = HybridRegressor(
            physics,
            nn=(5,),
            structure=ode,
            missing_targets="mask",
            dtype="float64",
            device="cpu",
        )
        self.settings = FitSettings.of(estimator)
        self.inputs = read_inputs(self.settings, estimator, X, y, weight)
        self.rows: Rows = self.inputs.rows
        self.data: Batch = self.rows.tensors(torch.float64, "cpu")
        self.physical: Dynamics = assemble_physics(self.settings, self.inputs, self.rows)

    def hybrid(self) -> Dynamics:
        """Return the model with a network, at its start."""
        model = self.physical
        inputs = record_network_inputs(model, self.data.x, model.initial_coordinates())
        model = model.at(model.space, input_scales(inputs, model.scales, self.rows, -1))
        return model.with_network(model.new_network(self.settings.nn, seed=0))

    def starts(self, hybrid: Dynamics, n_members: int) -> list[Start]:
        """Return different starts of the same model."""
        generator = torch.Generator().manual_seed(1)
        starts = []
        for member in range(n_members):
            network = hybrid.new_network(self.settings.nn, seed=member)
            weights = {name: p.detach().clone() for name, p in network.named_parameters()}
            coordinates = {
                name: 0.1 * torch.randn(z.shape, generator=generator, dtype=torch.float64)
                for name, z in hybrid.initial_coordinates().items()
            }
            starts.append(Start(weights, coordinates))
        return starts
