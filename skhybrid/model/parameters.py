"""Physics parameters as functions of scaled coordinates."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from skhybrid.exceptions import PhysicsError
from skhybrid.model.param import Param
from skhybrid.model.physics import Physics
from skhybrid.model.variation import Variation, varied

# Training keeps this fraction of a parameter's scale away from its bounds: physics need not have a
# finite value or derivative on a bound, for example the square root at zero.
BOUND_MARGIN = 1e-3

# A step of one in a coordinate changes the prediction by at most about this part of the target's
# standard deviation (root mean square over the training rows).
EFFECT = 2.0

# A magnitude that changes the prediction by less than this part of it is as good as zero.
NO_EFFECT = 1e-6

# An element below this fraction of the root mean square of its array gets that as its magnitude.
SMALL_ELEMENT = 0.01


class ParameterSpace:
    """The free physics parameters θ as functions of coordinates z, with z = 0 at the start.

    θ = θ₀ + scale · z, elementwise. Bounds limit z, and training projects z onto its limits after
    every step, so bounds that are not reached change nothing. ``scale`` is the smallest of

    - the change of θ that changes the prediction by :data:`EFFECT` units of ``effects``, if they
      are known,
    - the magnitude of the start, and at least a tenth of the magnitude of the initial value, unless
      both are zero or have no effect,
    - the distance between two bounds,
    - the standard deviation of its prior.

    A step in z therefore means the same in all units of θ and of the target.

    Parameters
    ----------
    physics : Physics or None
        The model with the free parameters; None has no parameters.
    start : mapping of str to array, default=None
        Values at z = 0, in the user's units; missing ones are the initial values.
    effects : mapping of str to array, default=None
        Root mean square of ∂ŷ/∂θ over the training rows at the start, elementwise, in standard
        deviations of the target or, if it is larger, in units of the root mean squared error there.
        Missing, zero and non-finite effects do not count.
    dtype, device : torch.dtype, torch.device
        Dtype and device of the parameter values.
    held : bool, default=False
        Whether every parameter stays at its start, as fixed ones do.
    """

    def __init__(
        self,
        physics: Physics | None,
        start: Mapping[str, np.ndarray] | None = None,
        *,
        effects: Mapping[str, np.ndarray] | None = None,
        spreads: Mapping[str, np.ndarray] | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        held: bool = False,
    ) -> None:
        params = {} if physics is None else physics.params
        start, effects = start or {}, effects or {}
        self.start = {
            name: np.array(start.get(name, param.value()), dtype=np.float64)
            for name, param in params.items()
        }
        as_tensor = functools.partial(torch.tensor, dtype=dtype, device=device)
        self.fixed = {
            name: as_tensor(self.start[name])
            for name, param in params.items()
            if param.fixed or held
        }
        self.transforms = {
            name: _Transform(param, self.start[name], effects.get(name), as_tensor)
            for name, param in params.items()
            if not (param.fixed or held)
        }
        self.variations = {
            name: Variation(
                (spreads or {}).get(
                    name, _Transform(param, self.start[name], effects.get(name), as_tensor).scale
                ),
                param,
                as_tensor,
            )
            for name, param in params.items()
            if param.varies
        }
        self.names = tuple(params)
        self.dtype = dtype
        self._require_finite(params, dtype)
        self._zeros = functools.partial(torch.zeros, dtype=dtype, device=device)

    def _require_finite(self, params: Mapping[str, Param], dtype: torch.dtype) -> None:
        """Raise a PhysicsError for a value or bounds that are too large for the dtype."""
        largest = torch.finfo(dtype).max
        for name, param in params.items():
            numbers = [np.abs(self.start[name])]
            if name in self.transforms:
                numbers += [self.transforms[name].scale]
                numbers += [np.where(np.isfinite(side), side, 0.0) for side in param.limits()]
            if not all(np.all(np.abs(each) <= largest) for each in numbers):
                raise PhysicsError(
                    f"The value or the bounds of physics parameter {name!r} are beyond "
                    f"{largest:.1e}, the largest number of {dtype}: {param!r}. "
                    "Choose another unit, leave a side open with None, or set dtype='float64'."
                )

    def state(self) -> dict[str, dict]:
        """Return the numbers from which :meth:`from_state` makes the same space."""
        transforms = {name: transform.state() for name, transform in self.transforms.items()}
        variations = {name: each.constants for name, each in self.variations.items()}
        return {
            "start": self.start,
            "fixed": self.fixed,
            "transforms": transforms,
            "variations": variations,
        }

    @classmethod
    def from_state(
        cls,
        physics: Physics | None,
        state: Mapping[str, dict],
        *,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
    ) -> ParameterSpace:
        """Return the space with a given state.

        Parameters
        ----------
        physics : Physics or None
            With the same parameters.
        state : mapping
            What :meth:`state` has returned.
        dtype, device : torch.dtype, torch.device
        """
        held = not state["transforms"]
        space = cls(physics, state["start"], dtype=dtype, device=device, held=held)
        space.fixed = dict(state["fixed"])
        for name, transform in space.transforms.items():
            vars(transform).update(state["transforms"][name])
        for name, constants in state.get("variations", {}).items():  # old files have none
            space.variations[name] = space.variations[name].at(constants)
        return space

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every free parameter."""
        return {name: transform.shape for name, transform in self.transforms.items()}

    @property
    def scales(self) -> dict[str, np.ndarray]:
        """Change of every free parameter for a step of one in its coordinate."""
        return {name: transform.scale for name, transform in self.transforms.items()}

    @property
    def limits(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Lowest and highest coordinates of every free parameter, infinite where it is open."""
        return {name: transform.limits for name, transform in self.transforms.items()}

    def initial_coordinates(self) -> dict[str, Tensor]:
        """Return the coordinates of the start: zeros."""
        return {name: self._zeros(shape) for name, shape in self.shapes.items()}

    def member_constants(self) -> dict[str, dict[str, Tensor]]:
        """Return the tensors that differ between spaces with different starts."""
        transforms = {name: each.member_constants() for name, each in self.transforms.items()}
        variations = {_of(name): each.constants for name, each in self.variations.items()}
        return {**transforms, **variations}

    def with_member_constants(
        self, member_constants: Mapping[str, Mapping[str, Tensor]]
    ) -> ParameterSpace:
        """Return the same space with the member constants of another one."""
        copied = copy.copy(self)
        copied.transforms = {
            name: transform.with_member_constants(member_constants[name])
            for name, transform in self.transforms.items()
        }
        copied.variations = {
            name: variation.at(member_constants[_of(name)])
            for name, variation in self.variations.items()
        }
        return copied

    def values(self, coordinates: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return all parameters, the fixed ones included, in the user's units."""
        free = {name: transform(coordinates[name]) for name, transform in self.transforms.items()}
        return {**self.fixed, **free}

    def varied(
        self, values: Mapping[str, Tensor], answers: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the parameters with the network's answers; one value for every row."""
        return varied(self.variations, values, answers)

    def coordinates(self, values: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """Return the coordinates of free parameters whose values are in the user's units.

        A value on or beyond a bound becomes the closest value inside.
        """
        return {
            name: transform.inverse(np.asarray(values[name], dtype=np.float64))
            for name, transform in self.transforms.items()
        }

    def on_bounds(
        self, values: Mapping[str, np.ndarray]
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return which elements are as close to the lower and to the upper bound as they can be.

        Only parameters that have a value count.
        """
        return {
            name: transform.on_bounds(np.asarray(values[name], dtype=np.float64))
            for name, transform in self.transforms.items()
            if name in values
        }

    def draw(self, random_state: np.random.RandomState) -> dict[str, Tensor]:
        """Draw coordinates of a random start.

        θ is uniform between two bounds. Otherwise it is normal around the start, with a standard
        deviation of half its magnitude, clipped to its bound.
        """
        drawn = {}
        for name, transform in self.transforms.items():
            around = self.start[name] + 0.5 * transform.magnitude * random_state.standard_normal(
                transform.shape
            )
            between = random_state.uniform(size=transform.shape)
            with np.errstate(invalid="ignore"):
                inside = transform.low + between * (transform.high - transform.low)
            drawn[name] = np.where(np.isfinite(inside), inside, around)
        return self.coordinates(drawn)


def _of(name: str) -> str:
    """Return the key of a parameter's variation; no parameter has a name with a space."""
    return f"variation of {name}"


class _Transform:
    """θ as a function of z, elementwise for one parameter."""

    def __init__(
        self, param: Param, start: np.ndarray, effect: np.ndarray | None, as_tensor
    ) -> None:
        self.shape = param.shape
        low, high = param.limits()
        self.magnitude, self.scale = _scales(param.value(), start, low, high, effect)
        if param.prior is not None:  # training moves θ by no more than is credible
            self.scale = np.minimum(self.scale, _prior_width(param, start))
        eps = torch.finfo(as_tensor(0.0).dtype).eps
        self._margins = [_margin(self.scale, start, side, high - low, eps) for side in (low, high)]
        self.low, self.high = low + self._margins[0], high - self._margins[1]
        self._as_tensor = as_tensor
        inside = np.clip(start, self.low, self.high)
        self._start, self._factor = as_tensor(inside), as_tensor(self.scale)
        self.limits = tuple(
            as_tensor((side - inside) / self.scale) for side in (self.low, self.high)
        )

    def state(self) -> dict:
        """Return everything but the function that makes tensors."""
        return {name: value for name, value in vars(self).items() if not callable(value)}

    def on_bounds(self, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whether a value is about as close to its bounds as training can come."""
        low, high = (0.5 * margin for margin in self._margins)
        return value <= self.low + low, value >= self.high - high

    def member_constants(self) -> dict[str, Tensor]:
        return {"_start": self._start, "_factor": self._factor}

    def with_member_constants(self, member_constants: Mapping[str, Tensor]) -> _Transform:
        copied = copy.copy(self)
        vars(copied).update(member_constants)
        return copied

    def __call__(self, z: Tensor) -> Tensor:
        return torch.addcmul(self._start, self._factor, z)

    def inverse(self, value: np.ndarray) -> Tensor:
        inside = self._as_tensor(np.clip(value, self.low, self.high))
        return ((inside - self._start) / self._factor).clamp(*self.limits)


def _scales(
    given: np.ndarray,
    start: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    effect: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the magnitude and the scale of each element."""
    magnitude = np.maximum(np.abs(start), 0.1 * np.abs(given))
    whole = np.sqrt(np.mean(magnitude**2))
    magnitude = np.where(magnitude > SMALL_ELEMENT * whole, magnitude, whole or np.inf)
    effect = np.zeros(np.shape(start)) if effect is None else np.asarray(effect)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        by_effect = np.where(np.isfinite(effect) & (effect > 0.0), EFFECT / effect, np.inf)
        nothing = np.isfinite(by_effect) & (magnitude * effect < NO_EFFECT)
    magnitude = np.minimum(np.where(nothing, np.inf, magnitude), high - low)
    scale = np.minimum(magnitude, by_effect)
    # Without bounds and without an effect, data say nothing about a parameter that starts at zero.
    scale = np.where(np.isfinite(scale), scale, 1.0)
    return np.where(np.isfinite(magnitude), magnitude, scale), scale


def _prior_width(param: Param, start: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the prior of each element, near the start."""
    kind, _, std = param.prior_moments()
    if kind == "normal":
        return std
    return np.where(start > 0.0, std * np.abs(start), np.inf)


def _margin(
    scale: np.ndarray, start: np.ndarray, side: np.ndarray, width: np.ndarray, eps: float
) -> np.ndarray:
    """Return the distance that training keeps from a bound: rounding must not carry θ beyond it."""
    rounding = 8.0 * eps * np.maximum(np.abs(start), np.where(np.isfinite(side), np.abs(side), 0.0))
    return np.minimum(np.maximum(BOUND_MARGIN * scale, rounding), 0.25 * width)
