"""The forward map of images: encoder, hybrid differential equation, decoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from skhybrid.exceptions import NetworkError
from skhybrid.model.batch import Windows
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.network_side import Weights
from skhybrid.model.networks import as_function, build_network
from skhybrid.model.user_code import named_network, require_dense

# Added to the standard deviation of the states, which is the unit of gaps.
MIN_STD = 1e-3
# The units of the states learn faster than the networks, as θ does. Otherwise the states keep about
# the size of the first guess, and θ makes up for it (benchmarks/bench_images.py).
UNIT_RATE_FACTOR = 10.0


class LatentNetwork(nn.Module):
    """The three networks, which are trained together, and the units of the states.

    Encoder and decoder see a state in its own unit. So training changes the size of the states that
    the physics sees without a change of the encoder or the decoder.

    Parameters
    ----------
    rate : torch.nn.Module
        Network of the right-hand side.
    encoder, decoder : torch.nn.Module
    n_states : int
    """

    def __init__(
        self, rate: nn.Module, encoder: nn.Module, decoder: nn.Module, n_states: int
    ) -> None:
        super().__init__()
        self.rate = rate
        self.encoder = encoder
        self.decoder = decoder
        self.log_unit = nn.Parameter(torch.zeros(n_states))

    def units(self, weights: Weights | None) -> Tensor:
        """Return the units of the states, of shape (n_states,); one before training."""
        log_unit = self.log_unit if weights is None else weights["log_unit"]
        return (UNIT_RATE_FACTOR * log_unit).exp()

    def part(self, name: str, weights: Weights | None) -> Callable[[Tensor], Tensor]:
        """Return the network of this name as a function of its inputs alone.

        Its errors name the part; the network of the right-hand side is "nn".
        """
        if weights is not None:
            prefix = f"{name}."
            weights = {
                key.removeprefix(prefix): value
                for key, value in weights.items()
                if key.startswith(prefix)
            }
        function = as_function(getattr(self, name), weights)
        return function if name == "rate" else named_network(function, name)

    @staticmethod
    def is_coder(name: str) -> bool:
        """Whether a parameter of this name belongs to the encoder, the decoder or between them."""
        return not name.startswith("rate.")


@dataclass(frozen=True, eq=False)
class LatentDynamics(Dynamics):
    """Maps windows of images to images.

    The attributes are those of :class:`~skhybrid.model.dynamics.Dynamics`.
    """

    has_hidden_encoder = True

    def new_network(self, nn: Sequence[int] | int | nn.Module, *, seed: int) -> LatentNetwork:
        """Return newly initialised networks: right-hand side, encoder and decoder.

        Parameters
        ----------
        nn : int, sequence of int or torch.nn.Module
            Network of the right-hand side.
        seed : int
        """
        n_states = self.layout.state_shape[0]
        n_inputs = n_states if self.network_columns is None else len(self.network_columns)
        encoder, decoder = self.structure.encoder, self.structure.decoder
        return self._placed(
            LatentNetwork(
                rate=build_network(nn, n_inputs, self.n_network_outputs, seed=seed),
                encoder=build_network(encoder, self.n_encoder_inputs, n_states, seed=seed + 1),
                decoder=build_network(decoder, n_states, prod(self.target_shape), seed=seed + 2),
                n_states=n_states,
            )
        )

    @property
    def n_encoder_inputs(self) -> int:
        """Number of slow features from which the encoder finds a state."""
        return len(self.scales.first_guess)

    @property
    def allows_members_as_rows(self) -> bool:
        """Whether members may be evaluated as one batch: never.

        The unit of gaps is computed from all windows of a batch.
        """
        return False

    def gains_by_rollout_gradient(self, x: Windows, n_members: int) -> bool:
        """Whether a rollout gradient is faster: never, because the coders take most of the time."""
        return False

    def at_observed_states(self) -> Dynamics:
        """Return the same model: the encoder always finds the first states."""
        return self

    def network_function(self, weights: Weights | None) -> Callable[[Tensor], Tensor]:
        """Return the network of the right-hand side as a function of its standardised inputs."""
        return self.network.part("rate", weights)

    def first_states(
        self, x: Windows, learned: Tensor | None, weights: Weights | None = None
    ) -> Tensor:
        """Return the states that the encoder finds in the first images of every window."""
        return self._encoded(x.first_state, weights)

    def continuity_penalty(
        self, x: Windows, last: Tensor, learned: Tensor | None, weights: Weights | None
    ) -> Tensor | float:
        """Return the penalty on gaps between a window's end and the encoder's state there."""
        if x.next_state is None:
            return 0.0
        found = self._encoded(x.next_state, weights)
        std = found.std(dim=0, correction=0) + MIN_STD
        gaps = (last - found) / std * (x.next_index >= 0)[:, None]
        return self.structure.continuity * gaps.square().mean()

    def observed(
        self,
        x: Windows,
        states: Tensor,
        values: Mapping[str, Tensor],
        network: Callable,
        weights: Weights | None = None,
    ) -> Tensor:
        """Return the images of the states."""
        return self._decoded(states, weights)

    def join(
        self,
        x: Windows,
        values: Mapping[str, Tensor],
        network: Callable,
        *,
        bounded: bool = False,
    ) -> Tensor:
        """Return the images for values of the physics parameters and a bound network."""
        first = self._encoded(x.first_state, None)
        physics = self.bind_physics(values, network)
        states = self.rollout(x, first, physics, network, values.values(), bounded=bounded)
        return self._decoded(states, None)

    def _encoded(self, images: Tensor, weights: Weights | None) -> Tensor:
        """Return the encoder's states; without networks, zeros."""
        if self.network is None:
            return images.new_zeros((images.shape[0], *self.layout.state_shape))
        standard = (images - self.scales.target_mean) / self.scales.target_scale
        encode = self.network.part("encoder", weights)
        if not self._is_own("encoder"):
            states = encode(standard)
        else:
            scales = self.scales
            slow = scales.slow_offset + standard.flatten(2) @ scales.slow_factor
            slow = slow.flatten(1)
            states = encode(slow) + slow @ scales.first_guess
        expected = (images.shape[0], *self.layout.state_shape)
        require_dense(states, NetworkError, "encoder", many="States")
        if states.shape != expected:
            raise NetworkError(
                f"encoder must return states of shape {expected} for images of shape "
                f"{tuple(images.shape)}; it returned {tuple(states.shape)}."
            )
        return states * self.network.units(weights)

    def _decoded(self, states: Tensor, weights: Weights | None) -> Tensor:
        """Return the decoder's images; without networks, zeros."""
        n_windows, n_times = states.shape[:2]
        if self.network is None:
            return states.new_zeros((n_windows, n_times, *self.target_shape))
        states = states / self.network.units(weights)
        images = self.network.part("decoder", weights)(states.flatten(0, 1))
        require_dense(images, NetworkError, "decoder", many="Images")
        if self._is_own("decoder"):
            images = images.reshape(-1, *self.target_shape)
        expected = (n_windows * n_times, *self.target_shape)
        if images.shape != expected:
            raise NetworkError(
                f"decoder must return images of shape {expected} for states of shape "
                f"{(n_windows * n_times, *self.layout.state_shape)}; it returned "
                f"{tuple(images.shape)}."
            )
        images = self.scales.target_mean + self.scales.target_scale * images
        return images.reshape(n_windows, n_times, *self.target_shape)

    def _is_own(self, name: str) -> bool:
        """Whether the encoder or decoder is built here, from hidden sizes; it reads columns."""
        return not isinstance(getattr(self.structure, name), nn.Module)
