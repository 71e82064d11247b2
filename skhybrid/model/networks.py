"""The neural part of a hybrid model: networks from hidden sizes or a module."""

from __future__ import annotations

import copy
import itertools
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear, silu

from skhybrid.exceptions import NetworkError
from skhybrid.model.dropout import use_own_dropout
from skhybrid.model.group_table import GroupTable
from skhybrid.model.network_parts import SplitNetwork
from skhybrid.model.out_of_memory import described_bytes, physical_memory
from skhybrid.model.user_code import reason
from skhybrid.runtime.seeds import seeded


def build_network(
    network: Sequence[int] | int | nn.Module, n_inputs: int, n_outputs: int, *, seed: int
) -> nn.Module:
    """Return a newly initialised network with its own parameters.

    Parameters
    ----------
    network : int, sequence of int or torch.nn.Module
        Hidden sizes of a multilayer perceptron with SiLU activations, or a module. A module is
        copied, and every layer with ``reset_parameters`` is initialised again. Other parameters and
        frozen layers (``requires_grad`` is False) keep their values. In a fit, dropout layers draw
        from its own generators.
    n_inputs, n_outputs : int
        Number of input and of output columns.
    seed : int
        Seed of the initialisation. The state of torch's global generator does not change.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    NetworkError
        If hidden sizes are not positive integers or need more memory than there is, if a module
        cannot be copied or initialised, or if a layer keeps running statistics: sharpness-aware
        minimisation would update them twice in each step, at weights that the model never has.

    Examples
    --------
    >>> from skhybrid.model.networks import build_network
    >>> sum(p.numel() for p in build_network((8,), 2, 1, seed=0).parameters())
    33
    """
    with seeded(seed):
        if isinstance(network, nn.Module):
            reject_running_statistics(network)
            module = _initialised_copy(network)
            use_own_dropout(module)
            _settle_lazy_layers(module, n_inputs)
        else:
            module = _perceptron(hidden_sizes(network), n_inputs, n_outputs)
    return module


def _initialised_copy(network: nn.Module) -> nn.Module:
    """Return a copy of a module whose layers are initialised again."""
    try:
        module = copy.deepcopy(network)
        for layer in module.modules():
            if hasattr(layer, "reset_parameters") and not _is_frozen(layer):
                layer.reset_parameters()
    except Exception as error:
        raise NetworkError(
            f"nn ({type(network).__name__}) cannot be copied and initialised: {reason(error)}"
        ) from error
    without = [name for name, parameter in module.named_parameters() if parameter.is_meta]
    if without:
        raise NetworkError(
            f"Parameter {without[0]!r} of nn ({type(network).__name__}) is on the device 'meta', "
            "where it has no values. Build the module on the CPU."
        )
    return module


def _perceptron(sizes: tuple[int, ...], n_inputs: int, n_outputs: int) -> MultilayerPerceptron:
    """Return a perceptron, or raise a NetworkError that says how much memory it needs."""
    widths = (n_inputs, *sizes, n_outputs)
    n_parameters = sum((before + 1) * after for before, after in itertools.pairwise(widths))
    needed = n_parameters * torch.get_default_dtype().itemsize
    there_is = physical_memory()
    error = None
    if there_is is None or needed <= there_is:
        try:
            return MultilayerPerceptron(sizes, n_inputs, n_outputs)
        except (RuntimeError, MemoryError, TypeError, OverflowError) as raised:
            error = raised
    raise NetworkError(
        f"A network with the hidden sizes {sizes} has {n_parameters:.3g} parameters. They need "
        f"{described_bytes(needed)}, which this computer does not have. Choose smaller hidden "
        "sizes."
    ) from error


class Pointwise(nn.Module):
    """A network that is applied at every point of a field separately.

    Parameters
    ----------
    network : torch.nn.Module
        Maps the components of one point, in the last dimension, to its outputs.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, field: torch.Tensor) -> torch.Tensor:
        """Map fields of shape (n, n_inputs, ...) to fields of shape (n, n_outputs, ...)."""
        return self.network(field.movedim(1, -1)).movedim(-1, 1)

    def function(
        self, weights: Mapping[str, torch.Tensor] | None, at_point: Callable[..., Callable]
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the network as a function of fields.

        Parameters
        ----------
        weights : mapping of str to Tensor or None
            Its parameters by name; None uses its own.
        at_point : callable
            Returns the network at one point as a function, for that network and its weights.
        """
        if weights is not None:
            weights = {name.removeprefix("network."): w for name, w in weights.items()}
        function = at_point(self.network, weights)
        return lambda field: function(field.movedim(1, -1)).movedim(-1, 1)


def hidden_sizes(network: Sequence[int] | int) -> tuple[int, ...]:
    """Return hidden sizes as a tuple of positive integers."""
    sizes = (network,) if isinstance(network, numbers.Integral) else tuple(network)
    if not all(isinstance(size, numbers.Integral) and size > 0 for size in sizes):
        raise NetworkError(
            f"nn must be hidden sizes (positive integers such as (64, 64)), a torch.nn.Module or "
            f"None; got {network!r}."
        )
    return tuple(int(size) for size in sizes)


def reject_running_statistics(module: nn.Module) -> None:
    """Raise a NetworkError that names the first layer that keeps running statistics."""
    for name, layer in module.named_modules():
        if getattr(layer, "running_mean", None) is not None:
            raise NetworkError(
                f"Layer {name or 'nn'!r} ({type(layer).__name__}) keeps running statistics, which "
                "sharpness-aware minimisation would update twice in each step. Use LayerNorm or "
                "GroupNorm, or track_running_stats=False."
            )


def _is_frozen(layer: nn.Module) -> bool:
    """Whether a layer has parameters and none of them is trained."""
    parameters = list(layer.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def _settle_lazy_layers(module: nn.Module, n_inputs: int) -> None:
    """Give lazy layers, which wait for their first input, the size of the inputs."""
    if not any(isinstance(p, nn.UninitializedParameter) for p in module.parameters()):
        return
    try:
        with torch.no_grad():
            module(torch.zeros(2, n_inputs))
    except Exception as error:
        raise NetworkError(f"nn failed on inputs of shape (2, {n_inputs}): {error}") from error


def first_layer_weight(network: nn.Module) -> str | None:
    """Return the name of the weights that multiply the inputs; None for modules of the user."""
    if type(network) is Pointwise and type(network.network) is MultilayerPerceptron:
        return "network.0.weight"
    return "0.weight" if type(network) is MultilayerPerceptron else None


def scale_output(network: nn.Module, factor: float) -> bool:
    """Multiply a network's output, in place; return False for modules of the user, unchanged."""
    if type(network) is SplitNetwork:
        parts = [each for each in (network.correction, *network.groups) if each is not None]
        scaled = [scale_output(each, factor) for each in parts]  # all, not up to the first
        return any(scaled)
    own = network.network if type(network) is Pointwise else network
    if type(own) is not MultilayerPerceptron:
        return False
    with torch.no_grad():
        for parameter in own[-1].parameters():
            parameter.mul_(factor)
    return True


def as_function(
    network: Any, weights: Mapping[str, torch.Tensor] | None
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a network as a function of its inputs alone.

    Parameters
    ----------
    network : torch.nn.Module or StackedNetworks
    weights : mapping of str to Tensor or None
        Its parameters by name; None uses its own. A :class:`MultilayerPerceptron` is evaluated
        without module calls, which cost as much as its arithmetic.
    """
    if type(network) in (Pointwise, SplitNetwork):
        return network.function(weights, as_function)
    if type(network) in (MultilayerPerceptron, GroupTable) or not isinstance(network, nn.Module):
        return network.function(weights)
    if weights is None:
        return network
    return lambda inputs: torch.func.functional_call(network, weights, (inputs,))


class MultilayerPerceptron(nn.Sequential):
    """Linear layers with SiLU activations between them.

    Parameters
    ----------
    hidden : sequence of int
        Sizes of the hidden layers.
    n_inputs, n_outputs : int
    """

    def __init__(self, hidden: Sequence[int], n_inputs: int, n_outputs: int) -> None:
        layers: list[nn.Module] = []
        for size in hidden:
            layers += [nn.Linear(n_inputs, size), nn.SiLU()]
            n_inputs = size
        super().__init__(*layers, nn.Linear(n_inputs, n_outputs))

    def layers(self, given: Mapping[str, torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return weight and bias of every layer: given ones by name, otherwise its own."""
        return [
            (given.get(f"{i}.weight", layer.weight), given.get(f"{i}.bias", layer.bias))
            for i, layer in enumerate(self)
            if i % 2 == 0
        ]

    def function(self, weights: Mapping[str, torch.Tensor] | None = None) -> Callable:
        """Return the network as a plain function of its inputs.

        Parameters
        ----------
        weights : mapping of str to Tensor or None
            Parameters by name; missing ones, such as frozen ones, are its own.
        """
        pairs = self.layers(weights or {})

        def function(inputs: torch.Tensor) -> torch.Tensor:
            for weight, bias in pairs[:-1]:
                inputs = silu(linear(inputs, weight, bias))
            return linear(inputs, *pairs[-1])

        return function
