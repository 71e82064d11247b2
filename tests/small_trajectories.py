"""A small hybrid differential equation and its windows, for the tests of the training engine."""

from __future__ import annotations

import numpy as np
import torch

from skhybrid import ODE, HybridRegressor, Physics
from skhybrid.data.read_trajectories import read_trajectories
from skhybrid.data.rows import Rows
from skhybrid.data.scaling import input_scales, record_network_inputs
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
    """Return initial states, and those that follow in an undamped oscillation."""
    rng = np.random.default_rng(seed)
    first = rng.uniform(-1.0, 1.0, (n, 2))
    t = DT * np.arange(1, n_times + 1)
    cosine, sine = np.cos(1.3 * t), np.sin(1.3 * t)
    where = first[:, :1] * cosine + first[:, 1:] * sine / 1.3
    speed = first[:, 1:] * cosine - 1.3 * first[:, :1] * sine
    noise = 0.01 * rng.normal(size=(n, n_times, 2))
    return first, np.stack([where, speed], axis=2) + noise


class SmallTrajectories:
    """A model of oscillations with a network, and its windows in float64."""

    def __init__(self, X=None, y=None, *, physics=spring, weight=None, **structure) -> None:
        from skhybrid.fitting.assemble import Parts, assemble_physics

        if X is None:
            X, y = make_oscillations()
        ode = ODE(**{"dt": DT, "window": 4, **structure})
        physics = Physics(physics)
        estimator = HybridRegressor(physics, structure=ode, missing_targets="mask")
        trajectories, trajectory_info = read_trajectories(
            estimator, physics, X, y, weight, reset=True
        )
        rows = trajectories.windows(ode.window, trajectory_info.scales)
        if trajectory_info.layout.learned:
            object.__setattr__(trajectory_info, "n_entries", int(rows.x.entry.max()) + 1)
        self.parts = Parts(
            physics=physics,
            nn=(5,),
            structure=ode,
            nn_features=None,
            feature_names=None,
            dtype=torch.float64,
            device=torch.device("cpu"),
            trajectory_info=trajectory_info,
        )
        self.rows: Rows = rows
        self.data = rows.tensors(torch.float64, "cpu")
        self.physical: Dynamics = assemble_physics(self.parts, rows)

    def hybrid(self) -> Dynamics:
        """Return the model with a network, at its start."""
        hybrid = self.physical.at(self.physical.space, self.physical.scales)
        inputs = record_network_inputs(hybrid, self.data.x, hybrid.initial_coordinates())
        hybrid.scales = input_scales(inputs, hybrid.scales, self.rows, -1)
        hybrid.network = self.parts.network(hybrid, seed=0)
        return hybrid

    def starts(self, hybrid: Dynamics, n_members: int) -> list[Start]:
        """Return different starts of the same model."""
        generator = torch.Generator().manual_seed(1)
        starts = []
        for member in range(n_members):
            network = self.parts.network(hybrid, seed=member)
            weights = {name: p.detach().clone() for name, p in network.named_parameters()}
            coordinates = {
                name: 0.1 * torch.randn(z.shape, generator=generator, dtype=torch.float64)
                for name, z in hybrid.initial_coordinates().items()
            }
            starts.append(Start(weights, coordinates))
        return starts
