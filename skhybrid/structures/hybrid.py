"""The forward map of a hybrid model: physics, network and scales put together."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from skhybrid._parameter_space import ParameterSpace
from skhybrid.exceptions import NetworkError, PhysicsError
from skhybrid.networks import as_function
from skhybrid.physics import Physics

Weights = Mapping[str, Tensor]


@dataclass
class Scales:
    """What standardises the network's inputs and gives its answers the units of the target.

    Attributes
    ----------
    feature_offset, feature_factor : Tensor of shape (n_nn_inputs,)
        Standardised input = offset + factor · input; factor is one over the weighted standard
        deviation. The inputs a structure adds to the features come last.
    feature_low, feature_high : Tensor of shape (n_nn_inputs,)
        Range of the standardised inputs in the training rows, to which they are held at
        prediction.
    target_mean, target_scale : Tensor of shape () or (n_targets,)
        Weighted mean and standard deviation of the target.
    """

    feature_offset: Tensor
    feature_factor: Tensor
    feature_low: Tensor
    feature_high: Tensor
    target_mean: Tensor
    target_scale: Tensor

    def to(self, *args, **kwargs) -> Scales:
        """Return the scales on another device or in another dtype."""
        moved = {name: value.to(*args, **kwargs) for name, value in vars(self).items()}
        return replace(self, **moved)


class Hybrid:
    """Raw features in, predictions in the target's units out.

    Parameters
    ----------
    physics : Physics or None
        None is a constant, the mean of the target.
    space : ParameterSpace
        Turns coordinates into parameter values.
    network : torch.nn.Module or None
        Standardised inputs in, answers in units of the target's spread out. None answers zero.
    structure : callable
        ``(x, physics, nn) -> y``.
    scales : Scales
    physics_columns : sequence of int or None
        Columns the physics reads, in the order of its arguments; None hands it the whole table.
    network_columns : Tensor of int or None
        Columns the network reads; None means all.
    target_shape : tuple
        Shape of one target: () or (n_targets,).
    """

    # What a differential equation knows of its trajectories.
    course = None
    differentiable = True

    def __init__(
        self,
        physics: Physics | None,
        space: ParameterSpace,
        network: nn.Module | None,
        structure: Callable,
        scales: Scales,
        *,
        physics_columns: Sequence[int] | None = None,
        network_columns: Tensor | None = None,
        target_shape: tuple[int, ...] = (),
    ) -> None:
        self.physics = physics
        self.space = space
        self.network = network
        self.structure = structure
        self.scales = scales
        self.physics_columns = physics_columns
        self.network_columns = network_columns
        self.target_shape = target_shape

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
            The network's parameters; None uses those the module holds.
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
        """Return the prediction, and what the model adds to the loss of its own accord.

        Parameters
        ----------
        x, coordinates, weights, hold
            As for calling the model.
        bounded : bool, default=False
            Whether what could grow without bound is stopped, as it is in training.
        """
        values = self.space.values(coordinates)
        return self.join(x, values, self.bind_network(weights, hold=hold)), 0.0

    def at(self, space: ParameterSpace, scales: Scales) -> Hybrid:
        """Return the same model for other parameters and scales, with a silent network."""
        copied = copy.copy(self)
        copied.space, copied.scales, copied.network = space, scales, None
        return copied

    def frame(self) -> dict[str, dict]:
        """Return the tensors that tell this model from one of the same kind for other rows."""
        return {"scales": vars(self.scales), "space": self.space.frame()}

    def framed(self, frame: Mapping[str, dict]) -> Hybrid:
        """Return the same model with the frame of another one."""
        copied = copy.copy(self)
        copied.scales = replace(self.scales, **frame["scales"])
        copied.space = self.space.framed(frame["space"])
        return copied

    def layout_key(self) -> Hashable:
        """Return what models of the same kind must have in common beside the shapes of tensors."""
        return None

    def readable(self, x: Tensor) -> list[int]:
        """Return the columns that a network reads which is not restricted."""
        return list(range(x.shape[-1]))

    def seeing(self, columns: Sequence[int]) -> Hybrid:
        """Return the same model with a network that reads these columns."""
        copied = copy.copy(self)
        copied.network_columns = torch.tensor(columns, device=self.scales.target_scale.device)
        return copied

    @property
    def n_network_outputs(self) -> int:
        """Number of columns that the network answers with."""
        return math.prod(self.target_shape)

    def origin(self) -> dict[str, Tensor]:
        """Return the coordinates at which training starts, which are zero."""
        return self.space.origin()

    @property
    def vectorisable(self) -> bool:
        """Whether there is a point in trying to evaluate several members together."""
        return True

    @property
    def foldable(self) -> bool:
        """Whether several members may be evaluated with the rows of all of them as one batch."""
        return self.vectorisable and self.network is not None

    @property
    def n_space_axes(self) -> int:
        """Number of axes of a row's components: none but for fields."""
        return 0

    def compiled(self) -> Hybrid | None:
        """Return the same model with a part compiled; None if it is best compiled as a whole."""
        return None

    def with_range(self, inputs: Tensor) -> Scales:
        """Return the scales with the range of these standardised inputs of the network."""
        return replace(self.scales, feature_low=inputs.amin(dim=0), feature_high=inputs.amax(dim=0))

    def pooled(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return one batch of inputs of the network of those of all its calls."""
        return inputs[0]

    def baseline(self, x: Tensor, coordinates: Weights) -> Tensor | float:
        """Return what is predicted without either part."""
        return 0.0

    def join(self, x: Tensor, values: Mapping[str, Tensor], network: Callable) -> Tensor:
        """Return the prediction for values of the physics parameters and a bound network."""
        joined = self.structure(x, self.bind_physics(values), network)
        return self._shaped(joined, x, ValueError, "structure")

    def physics_part(self, x: Tensor, coordinates: Weights) -> Tensor:
        """Return what the physics alone predicts, of the shape of the prediction."""
        return self.bind_physics(self.space.values(coordinates))(x)

    def bind_physics(self, values: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
        """Return the physics as a function of the features alone."""
        if self.physics is None:
            mean = self.scales.target_mean
            return lambda x: mean.expand(*x.shape[:-1], *self.target_shape)

        def physics(x: Tensor) -> Tensor:
            if self.physics_columns is None:
                output = self.physics(x, **values)
            else:
                features = x.unbind(-1)
                output = self.physics(*[features[i] for i in self.physics_columns], **values)
            return self._shaped(output, x, PhysicsError, f"physics {self.physics.name!r}")

        return physics

    def bind_network(self, weights: Weights | None = None, *, hold: bool = False) -> Callable:
        """Return the network as a function of the raw features and of what a structure adds."""
        if self.network is None:
            return self.silent
        function = as_function(self.network, weights)

        def network(x: Tensor, *extra: Tensor, scale: float | Tensor | None = None) -> Tensor:
            inputs = self.network_inputs(x, *extra)
            if hold:
                inputs = inputs.clamp(self.scales.feature_low, self.scales.feature_high)
            output = self._shaped(function(inputs), x, NetworkError, "nn")
            return output * (self.scales.target_scale if scale is None else scale)

        return network

    @property
    def silent(self) -> Callable:
        """What stands for the network where there is none."""
        return self.silent_network

    def silent_network(self, x: Tensor, *extra: Tensor, scale: float | None = None) -> Tensor:
        """Answer zero, as a network does that has nothing to say."""
        return x.new_zeros((*x.shape[:-1], *self.target_shape))

    def network_inputs(self, x: Tensor, *extra: Tensor) -> Tensor:
        """Return the standardised inputs of the network, of shape (n, n_nn_inputs)."""
        if self.network_columns is not None:
            x = x[..., self.network_columns]
        if extra:
            columns = [part.reshape(*x.shape[:-1], -1) for part in extra]
            x = torch.cat([x, *columns], dim=-1)
        return torch.addcmul(self.scales.feature_offset, x, self.scales.feature_factor)

    def _shaped(self, output: Tensor, x: Tensor, error: type[Exception], who: str) -> Tensor:
        """Return the output in the shape of the target, or raise an error that says why not."""
        if not isinstance(output, Tensor):
            raise error(f"{who} must return a torch.Tensor; it returned {described_type(output)}")
        if output.is_complex():
            raise error(f"{who} must return real numbers; it returned complex ones.")
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


def described_type(output: object, many: str = "Several targets") -> str:
    """Return what it is in place of a tensor, and what to do about it."""
    if output is None:
        return "None. Is a return statement missing?"
    if isinstance(output, (tuple, list)):
        return f"a {type(output).__name__}. {many} go into one torch.stack(..., dim=-1)."
    return f"{type(output).__name__}. Use torch's functions in place of numpy's and math's."
