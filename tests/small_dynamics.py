"""Small hybrid differential equations and windows, built by hand for the tests of the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from sklearn.base import clone
from torch import Tensor, nn

from skhybrid.model.batch import Windows
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.layout import FIRST_STATES, Layout
from skhybrid.model.networks import MultilayerPerceptron
from skhybrid.model.ode import ODE
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.scales import RateScales

DOUBLE = torch.float64
FIRST = torch.tensor([[1.0, 2.0], [-0.5, 0.3], [0.2, -1.0]], dtype=DOUBLE)
# Two fields of two channels on a grid of 4 by 5.
FIELD = torch.randn((2, 2, 4, 5), generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
EULER = {"dt": 0.1, "method": "euler"}


def spring(t, state, *, stiffness=2.0):
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, -stiffness * position], dim=-1)


def pushed_spring(t, state, inputs, *, stiffness=2.0):
    """A spring with one input, a force."""
    return spring(t, state, stiffness=stiffness) + inputs * torch.tensor([0.0, 1.0], dtype=DOUBLE)


def diffusion(t, state, *, rate=0.1):
    """Diffusion of fields along their last axis."""
    return rate * (state.roll(1, -1) + state.roll(-1, -1) - 2.0 * state)


def double(*values) -> Tensor:
    return torch.tensor(values, dtype=DOUBLE)


def make_scales(n_seen=2, n_outputs=2, *, per_channel=(2,), seed=3) -> RateScales:
    """Return scales that differ from zero and one, with a wide range of the network inputs."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return 0.5 + torch.rand(shape, generator=generator, dtype=DOUBLE)

    seen = (n_seen, *per_channel[1:])
    outputs = (n_outputs, *per_channel[1:])
    far = torch.full(seen, 1e6, dtype=DOUBLE)
    return RateScales(
        feature_offset=draw(*seen),
        feature_factor=draw(*seen),
        feature_low=-far,
        feature_high=far,
        target_mean=draw(*outputs),
        target_scale=draw(*outputs),
        state_mean=draw(*per_channel),
        state_scale=draw(*per_channel),
        rate_scale=draw(*per_channel),
    )


def make_dynamics(
    ode: ODE | None = None,
    physics: Callable | None = spring,
    network: nn.Module | None = None,
    *,
    n_seen: int = 2,
    n_outputs: int = 2,
    network_columns: Tensor | None = None,
    n_first_states: int = 0,
    **layout,
) -> Dynamics:
    """Return a model in float64; ``layout`` are fields of :class:`Layout`."""
    physics = None if physics is None else Physics(physics)
    ode = clone(ode or ODE(dt=0.1))
    ode.join = ode.chosen_join(varies=False)  # as a fit does
    layout = {"state_shape": (2,), "output_shape": (n_outputs,), **layout}
    shape = layout["state_shape"]
    per_channel = (shape[0], *[1] * (len(shape) - 1))
    return Dynamics(
        physics,
        ParameterSpace(physics, dtype=DOUBLE),
        network,
        ode,
        make_scales(n_seen, n_outputs, per_channel=per_channel),
        layout=Layout(**layout),
        network_columns=network_columns,
        n_first_states=n_first_states,
        target_shape=layout["output_shape"],
    )


def make_network(n_inputs=2, n_outputs=2, seed=0) -> nn.Module:
    torch.manual_seed(seed)
    return MultilayerPerceptron((5,), n_inputs, n_outputs).double()


def make_windows(n_steps=3, step=0.1, first=FIRST, **others) -> Windows:
    """Return windows that begin at times 0, 1, 2, …"""
    n = len(first)
    first_time = torch.arange(n, dtype=DOUBLE)
    return Windows(first, first_time, torch.full((n, n_steps), step, dtype=DOUBLE), **others)


def make_inputs(n_steps=3, n_inputs=1, n=3) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn((n, n_steps + 1, n_inputs), generator=generator, dtype=DOUBLE)


def windows_with_learned_states(n_steps=3) -> tuple[Windows, dict[str, Tensor]]:
    """Return two windows of one trajectory and one of another, with learned first states."""
    unit = double([0.5, 2.0], [0.7, 1.5], [0.0, 0.0])
    next_index = torch.tensor([1, -1, -1])
    next_window = next_index.clamp(min=0)
    x = make_windows(
        n_steps,
        index=torch.arange(3),
        unit=unit,
        next_index=next_index,
        next_state=FIRST[next_window],
        next_unit=unit[next_window],
    )
    generator = torch.Generator().manual_seed(2)
    return x, {FIRST_STATES: torch.randn((3, 2), generator=generator, dtype=DOUBLE)}


def predict(model: Dynamics, x: Windows) -> Tensor:
    """Return the prediction at the initial coordinates."""
    return model(x, model.initial_coordinates())


def answer(model: Dynamics, inputs: Tensor) -> Tensor:
    """Return the network's answer to raw inputs, before it is multiplied by its unit."""
    scales = model.scales
    return model.network(scales.feature_offset + scales.feature_factor * inputs)


def with_scales(model: Dynamics, **scales: Tensor) -> Dynamics:
    """Return the same model with some other scales."""
    return replace(model, scales=replace(model.scales, **scales))
