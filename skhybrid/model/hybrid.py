"""The forward map of tables: physics, network and scales together."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from skhybrid.exceptions import NetworkError, PhysicsError, StructureError
from skhybrid.model.network_parts import NetworkParts
from skhybrid.model.network_side import NetworkSide, Weights
from skhybrid.model.parameter_values import parameters_at, replaced_values
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.scales import Scales
from skhybrid.model.stacked_networks import StackedNetworks
from skhybrid.model.user_code import function_name, named, require_dense


@dataclass(frozen=True, eq=False)
class Hybrid(NetworkSide):
    """Maps raw features to predictions in the target's units.

    A model never changes: :func:`dataclasses.replace` returns another one. The only exception are
    the parameters of the network module, which are trained in place.

    Attributes
    ----------
    physics : Physics or None
        None is a constant: the mean of the target.
    space : ParameterSpace
        Turns coordinates into physics parameters.
    network : torch.nn.Module or None
        Maps standardised inputs to outputs in units of the target's standard deviation. None is a
        network that answers zero.
    structure : callable
        ``(x, physics, nn) -> y``.
    scales : Scales
    physics_columns : sequence of int or None
        Columns that the physics reads, in the order of its arguments. None passes the whole table
        as one argument.
    network_columns : Tensor of int or None
        Columns that the network reads; None is all.
    target_shape : tuple
        Shape of one target: () or (n_targets,).
    parts : NetworkParts or None
        For a network that gives values of physics parameters for rows; None is one that corrects
        the physics only.
    table_columns : Tensor of int or None
        Columns of the table that physics with one argument ``X`` gets; None is all.
    group_penalty : float
        Strength of the prior of the groups' values, for the training.
    """

    physics: Physics | None
    space: ParameterSpace
    network: nn.Module | None
    structure: Callable
    scales: Scales
    _: KW_ONLY
    physics_columns: Sequence[int] | None = None
    network_columns: Tensor | None = None
    target_shape: tuple[int, ...] = ()
    parts: NetworkParts | None = None
    table_columns: Tensor | None = None
    group_penalty: float = 0.0

    # Whether the loss has a further term.
    has_extra_loss = False

    # Whether derivatives pass through the model; otherwise an adjoint equation gives them.
    differentiable = True
    # Whether the states are known only through a trained encoder, as for images.
    has_hidden_encoder = False

    def __call__(
        self, x: Tensor, coordinates: Weights, weights: Weights | None = None, *, hold: bool = False
    ) -> Tensor:
        """Predict.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
        coordinates : mapping of str to Tensor
            Scaled physics parameters.
        weights : mapping of str to Tensor, default=None
            The network's parameters by name; None uses the module's own.
        hold : bool, default=False
            Whether to clamp the network's inputs to the training range.

        Returns
        -------
        Tensor of shape (n,) or (n, n_targets)
        """
        return self.evaluate(x, coordinates, weights, hold=hold)[0]

    def evaluate(
        self,
        x: Tensor,
        coordinates: Weights,
        weights: Weights | None = None,
        *,
        hold: bool = False,
        bounded: bool = False,
    ) -> tuple[Tensor, Tensor | float]:
        """Return the prediction and the model's extra term of the loss.

        Parameters
        ----------
        x, coordinates, weights, hold
            As for calling the model.
        bounded : bool, default=False
            Whether to limit states that grow without bound, as training does.
        """
        values = self.space.values(coordinates)
        return self.join(x, values, self.bind_network(weights, hold=hold)), 0.0

    def at(self, space: ParameterSpace, scales: Scales) -> Hybrid:
        """Return the same model with another parameter space and other scales."""
        return replace(self, space=space, scales=scales)

    def member_constants(self) -> dict[str, dict]:
        """Return the tensors that differ between models in one batch: scales and initial θ."""
        return {"scales": vars(self.scales), "space": self.space.member_constants()}

    def with_member_constants(self, constants: Mapping[str, dict]) -> Hybrid:
        """Return the same model with the member constants of another one."""
        scales = replace(self.scales, **constants["scales"])
        space = self.space.with_member_constants(constants["space"])
        return replace(self, scales=scales, space=space)

    def batching_key(self) -> Hashable:
        """Return the properties, besides tensor shapes, that must be equal within a batch."""
        return self.parts

    def unrestricted_columns(self, x: Tensor) -> list[int]:
        """Return the columns that a network reads by default."""
        return list(range(x.shape[-1]))

    def input_units(self) -> list[float] | None:
        """Return units of the network's inputs, for inputs that do not vary; None is 1."""
        return None

    def least_input_stds(self) -> list[float] | None:
        """Return standard deviations below which the network's inputs do not vary; None is 0."""
        return None

    @property
    def n_network_outputs(self) -> int:
        """Number of the network's outputs."""
        return math.prod(self.target_shape)

    def initial_coordinates(self) -> dict[str, Tensor]:
        """Return the coordinates at which training starts: zeros."""
        return self.space.initial_coordinates()

    @property
    def varying(self) -> tuple[str, ...]:
        """Names of the parameters that vary from row to row."""
        return () if self.parts is None else self.parts.names

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the parameters that are functions of features, and have no common value."""
        return tuple(name for name in self.varying if name not in self.parts.grouped)

    @property
    def free_names(self) -> tuple[str, ...]:
        """Names of the parameters that are learned and are numbers, not functions of features."""
        free = () if self.physics is None else self.physics.free
        return tuple(name for name in free if name not in self.functions)

    def parameters_of(self, x: Tensor, coordinates: Weights, *, hold: bool = False) -> Weights:
        """Return a value of every parameter for every row, of shape (n, *shape)."""
        return parameters_at(self, (x,), coordinates, hold=hold)

    @property
    def allows_vmap(self) -> bool:
        """Whether ``torch.vmap`` may evaluate several members together."""
        return True

    @property
    def allows_members_as_rows(self) -> bool:
        """Whether the rows of all members may be evaluated as one batch."""
        return self.allows_vmap and self.network is not None

    def gains_by_rollout_gradient(self, x: Tensor, n_members: int) -> bool:
        """Whether the gradients of rollouts pay: tables have none."""
        return False

    @property
    def channel_axis(self) -> int:
        """Axis of the components of network inputs, counted from the right."""
        return -1

    @property
    def n_field_axes(self) -> int:
        """Number of spatial axes: none for tables."""
        return 0

    def of_members(self, n_members: int) -> Hybrid:
        """Return the model of several members, whose rows follow each other."""
        return self.with_network(StackedNetworks(self.network, n_members))

    def with_input_range(self, inputs: Tensor) -> Hybrid:
        """Return the same model with the range of these standardised network inputs."""
        low, high = inputs.amin(dim=0), inputs.amax(dim=0)
        scales = replace(self.scales, feature_low=low, feature_high=high)
        return replace(self, scales=self.with_group_codes(scales))

    def with_group_codes(self, scales: Scales) -> Scales:
        """Return scales that leave codes of groups as they are, inside and outside the range."""
        if self.parts is None or not self.parts.group_inputs:
            return scales
        return scales.unscaled_at(self.parts.group_inputs)

    def pool_network_inputs(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the network inputs of all calls as one batch."""
        return inputs[0]

    def baseline(self, x: Tensor, coordinates: Weights) -> Tensor | float:
        """Return the prediction without physics and without network."""
        return 0.0

    def join(
        self,
        x: Tensor,
        values: Mapping[str, Tensor],
        network: Callable,
        *,
        bounded: bool = False,
    ) -> Tensor:
        """Return the prediction for physics parameters and a bound network."""
        structure = named(
            f"structure {function_name(self.structure)!r}", self.structure, StructureError
        )
        return self._shaped(
            structure(x, self.bind_physics(values, network), network),
            x,
            StructureError,
            "structure",
        )

    def physics_part(
        self, x: Tensor, coordinates: Weights, constants: Mapping[str, np.ndarray] | None = None
    ) -> Tensor:
        """Return the prediction of the physics alone, whose parameters do not vary.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
        coordinates : mapping of str to Tensor
            Scaled physics parameters.
        constants : mapping of str to array, default=None
            Values of parameters that are functions; None is what a silent network gives.
        """
        return self.bind_physics(self.constant_values(coordinates, constants))(x)

    def constant_values(
        self, coordinates: Weights, constants: Mapping[str, np.ndarray] | None
    ) -> dict[str, Tensor]:
        """Return the physics parameters, with some of them replaced."""
        values = self.space.values(coordinates)
        given = {name: torch.as_tensor(each) for name, each in (constants or {}).items()}
        return {**values, **{name: each.to(values[name]) for name, each in given.items()}}

    def bind_physics(
        self, values: Mapping[str, Tensor], network: Callable | None = None
    ) -> Callable[..., Tensor]:
        """Return the physics as a function of the features and of parameters to replace.

        Parameters
        ----------
        values : mapping of str to Tensor
            Physics parameters.
        network : callable, default=None
            A bound network, whose answers vary the parameters; None is constant parameters.
        """
        if self.physics is None:
            mean = self.scales.target_mean
            return lambda x: mean.expand(*x.shape[:-1], *self.target_shape)

        who = f"physics {self.physics.name!r}"
        physics = named(who, self.physics)
        answers = self.answers_of(network)

        def predicted(x: Tensor, **replaced: Tensor) -> Tensor:
            own = values if answers is None else self.space.varied(values, answers(x))
            if replaced:
                own = replaced_values(own, replaced, self.physics.name)
            if self.physics_columns is None:
                table = x if self.table_columns is None else x[..., self.table_columns]
                output = physics(table, **own)
            else:
                features = x.unbind(-1)
                output = physics(*[features[i] for i in self.physics_columns], **own)
            return self._shaped(output, x, PhysicsError, who)

        return predicted

    def _checked_output(self, output: Tensor, x: Tensor, *extra: Tensor) -> Tensor:
        """Return the network's output in the shape of the target, or raise a NetworkError."""
        return self._shaped(output, x, NetworkError, "nn")

    def silent_network(self, x: Tensor, *extra: Tensor, scale: float | None = None) -> Tensor:
        """Answer zero."""
        return x.new_zeros((*x.shape[:-1], *self.target_shape))

    def network_inputs(self, x: Tensor, *extra: Tensor) -> Tensor:
        """Return the standardised inputs of the network, of shape (n, n_nn_inputs)."""
        if self.network_columns is not None:
            x = x[..., self.network_columns]
        if extra:
            columns = [part.reshape(*x.shape[:-1], -1) for part in extra]
            x = torch.cat([x, *columns], dim=-1)
        return self.standardised(x)

    def _shaped(self, output: Tensor, x: Tensor, error: type[Exception], who: str) -> Tensor:
        """Return the output in shape and dtype of the target; raise an error if it does not fit."""
        require_dense(output, error, who)
        if output.dtype != x.dtype and not output.is_complex():  # a constant of another dtype
            output = output.to(x.dtype)
        expected = (*x.shape[:-1], *self.target_shape)
        if output.shape == expected:
            return output
        if self.target_shape in ((), (1,)) and output.shape in (x.shape[:-1], (*x.shape[:-1], 1)):
            return output.reshape(expected)
        targets = "one target" if not self.target_shape else f"{self.target_shape[0]} targets"
        hint = "" if output.ndim else " Multiply a single number by torch.ones_like of a feature."
        raise error(
            f"{who} must return shape {tuple(expected)} for {len(x)} rows and {targets}; it "
            f"returned {tuple(output.shape)}.{hint}"
        )
