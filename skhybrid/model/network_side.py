"""The network of a forward map: built, bound to its weights, and fed with standardised inputs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from skhybrid.model.bound_network import BoundNetwork
from skhybrid.model.network_parts import build_parts
from skhybrid.model.networks import as_function, build_network

Weights = Mapping[str, Tensor]


class NetworkSide:
    """What a forward map does with its network; the base of tables, ODEs and images.

    A forward map has the attributes ``network``, ``parts``, ``scales`` and ``network_columns``. It
    says what its network reads (``network_inputs``), gives (``n_network_outputs`` and
    ``_checked_output``) and answers without weights (``silent_network``).
    """

    def new_network(self, nn: Sequence[int] | int | nn.Module, *, seed: int) -> nn.Module:
        """Return a newly initialised network for these scales.

        Parameters
        ----------
        nn : int, sequence of int or torch.nn.Module
            Hidden sizes, or a module, which is copied.
        seed : int
            Seed of the initialisation.
        """
        n_inputs = self.scales.feature_offset.shape[0]
        return self._placed(self._built(nn, n_inputs, seed))

    def _built(self, nn: Sequence[int] | int | nn.Module, n_inputs: int, seed: int) -> nn.Module:
        """Return a network with all of its parts."""
        if self.parts is None:
            return self._one_network(nn, n_inputs, self.n_network_outputs, seed)
        one, n_outputs = functools.partial(self._one_network, nn), self.n_network_outputs
        return build_parts(self.parts, one, n_inputs, n_outputs, self.channel_axis, seed)

    def _one_network(
        self, nn: Sequence[int] | int | nn.Module, n_inputs: int, n_outputs: int, seed: int
    ) -> nn.Module:
        """Return one part of the network."""
        return build_network(nn, n_inputs, n_outputs, seed=seed)

    def _placed(self, network: nn.Module) -> nn.Module:
        """Return the network on the model's device, in its dtype."""
        scale = self.scales.target_scale
        return network.to(scale.device, scale.dtype)

    def with_network(self, network: nn.Module) -> Any:
        """Return the same model with another network."""
        return replace(self, network=network)

    def with_network_columns(self, columns: Sequence[int]) -> Any:
        """Return the same model with a network that reads these columns."""
        device = self.scales.target_scale.device
        return replace(self, network_columns=torch.tensor(columns, device=device))

    @property
    def has_correction(self) -> bool:
        """Whether the network corrects the physics; otherwise it only gives parameters."""
        return self.parts is None or self.parts.correction is not None

    def answers_of(self, network: Callable | None) -> Callable | None:
        """Return what a bound network answers for varying parameters; None if there are none."""
        return None if self.parts is None else getattr(network, "answers", None)

    def bind_network(
        self,
        weights: Weights | None = None,
        *,
        hold: bool = False,
        record: list[Tensor] | None = None,
    ) -> Callable:
        """Return the network as a function of what the model gives it, and of extra inputs.

        Parameters
        ----------
        weights : mapping of str to Tensor, default=None
        hold : bool, default=False
            Whether to clamp the network's inputs to the training range.
        record : list, default=None
            Gets the standardised inputs of every call.
        """
        if self.network is None and record is None:
            return self.silent
        return BoundNetwork(
            None if self.network is None else self.network_function(weights),
            self.network_inputs,
            self._checked_output,
            self.network_unit,
            self.silent,
            held=self.held_inputs if hold else None,
            record=record,
        )

    def network_function(self, weights: Weights | None) -> Callable[[Tensor], Tensor]:
        """Return the network as a function of its standardised inputs."""
        return as_function(self.network, weights)

    @property
    def network_unit(self) -> Tensor:
        """Unit of the network's outputs."""
        return self.scales.target_scale

    @property
    def silent(self) -> Callable:
        """A network that answers zero."""
        return self.silent_network

    def standardised(self, inputs: Tensor) -> Tensor:
        """Return standardised inputs of the network."""
        offset, factor = self._scales_of(
            inputs, self.scales.feature_offset, self.scales.feature_factor
        )
        return torch.addcmul(offset, inputs, factor)

    def held_inputs(self, inputs: Tensor) -> Tensor:
        """Return standardised inputs, clamped to the training range."""
        low, high = self._scales_of(inputs, self.scales.feature_low, self.scales.feature_high)
        return inputs.clamp(low, high)

    def _scales_of(self, inputs: Tensor, *scales: Tensor) -> tuple[Tensor, ...]:
        """Return scales of these inputs.

        Networks of parameters do not get the inputs that a structure adds, which come last.
        """
        axis = self.channel_axis
        n_inputs = inputs.shape[axis]
        if self.parts is None or n_inputs != self.parts.n_inputs or not scales[0].ndim:
            return scales
        return tuple(each.narrow(axis, 0, n_inputs) for each in scales)
