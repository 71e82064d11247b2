"""Physics parameters as functions of scaled, unbounded coordinates."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from skhybrid.exceptions import PhysicsError
from skhybrid.model.param import Param
from skhybrid.model.physics import Physics

# A start must be at least this fraction of the parameter's scale away from a bound, otherwise it is
# moved inside: the smooth transforms reach a bound only in the limit.
BOUND_MARGIN = 1e-2


class ParameterSpace:
    """The free physics parameters θ as functions of coordinates z, with z = 0 at the start.

    Without bounds θ = θ₀ + scale · z. With one bound θ = low + scale · softplus(z + z₀). With two
    bounds θ = low + (high − low) · sigmoid(κ z + z₀), where κ ≤ 1 limits dθ/dz at the start to the
    scale. ``scale`` is the magnitude of the start, and at least a tenth of the magnitude of the
    initial value, so that a step in z means the same relative change of θ in all units.

    Parameters
    ----------
    physics : Physics or None
        The model with the free parameters; None has no parameters.
    start : mapping of str to array, default=None
        Values at z = 0, in the user's units; missing ones are the initial values.
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
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        held: bool = False,
    ) -> None:
        params = {} if physics is None else physics.params
        start = start or {}
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
            name: _Transform(param, self.start[name], as_tensor)
            for name, param in params.items()
            if not (param.fixed or held)
        }
        self.names = tuple(params)
        self._require_finite(params, dtype)
        self._zeros = functools.partial(torch.zeros, dtype=dtype, device=device)

    def _require_finite(self, params: Mapping[str, Param], dtype: torch.dtype) -> None:
        """Raise a PhysicsError for a value or bounds that are too large for the dtype."""
        for name, param in params.items():
            numbers = [self.fixed[name]] if name in self.fixed else []
            if name in self.transforms:
                numbers += self.transforms[name].member_constants().values()
            if not all(bool(torch.isfinite(each).all()) for each in numbers):
                raise PhysicsError(
                    f"The value or the bounds of physics parameter {name!r} are beyond "
                    f"{torch.finfo(dtype).max:.1e}, the largest number of {dtype}: {param!r}. "
                    "Choose another unit, leave a side open with None, or set dtype='float64'."
                )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every free parameter."""
        return {name: transform.shape for name, transform in self.transforms.items()}

    def initial_coordinates(self) -> dict[str, Tensor]:
        """Return the coordinates of the start: zeros."""
        return {name: self._zeros(shape) for name, shape in self.shapes.items()}

    def member_constants(self) -> dict[str, dict[str, Tensor]]:
        """Return the tensors that differ between spaces with different starts."""
        return {name: transform.member_constants() for name, transform in self.transforms.items()}

    def with_member_constants(
        self, member_constants: Mapping[str, Mapping[str, Tensor]]
    ) -> ParameterSpace:
        """Return the same space with the member constants of another one."""
        copied = copy.copy(self)
        copied.transforms = {
            name: transform.with_member_constants(member_constants[name])
            for name, transform in self.transforms.items()
        }
        return copied

    def values(self, coordinates: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return all parameters, the fixed ones included, in the user's units."""
        free = {name: transform(coordinates[name]) for name, transform in self.transforms.items()}
        return {**self.fixed, **free}

    def coordinates(self, values: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """Return the coordinates of free parameters whose values are in the user's units."""
        return {
            name: transform.inverse(np.asarray(values[name], dtype=np.float64))
            for name, transform in self.transforms.items()
        }

    def draw(self, random_state: np.random.RandomState) -> dict[str, Tensor]:
        """Draw coordinates of a random start.

        θ is uniform between two bounds. Otherwise it is normal around the start, with a standard
        deviation of half its scale, clipped to its bound.
        """
        drawn = {}
        for name, transform in self.transforms.items():
            around = self.start[name] + 0.5 * transform.scale * random_state.standard_normal(
                transform.shape
            )
            between = random_state.uniform(size=transform.shape)
            with np.errstate(invalid="ignore"):
                inside = transform.low + between * (transform.high - transform.low)
            around = np.where(np.isfinite(inside), inside, around)
            drawn[name] = np.clip(around, transform.low, transform.high)
        return self.coordinates(drawn)


class _Transform:
    """θ as a function of z, elementwise for one parameter."""

    def __init__(self, param: Param, start: np.ndarray, as_tensor) -> None:
        self.shape = param.shape
        self.low, self.high = param.limits()
        self.scale = _scale(param.value(), start, self.low, self.high)
        self._as_tensor = as_tensor
        low, high = np.isfinite(self.low), np.isfinite(self.high)
        self._open = not (low | high).any()
        if self._open:
            self._offset, self._factor = as_tensor(start), as_tensor(self.scale)
            return
        # Values are measured from one bound; an upper bound is a mirrored lower bound. If there are
        # two, it is the one closer to zero, where floating-point numbers are denser.
        mirrored = high & (~low | (np.abs(self.high) < np.abs(self.low)))
        self.both, self.bounded = low & high, low | high
        self.sign = np.where(mirrored, -1.0, 1.0)
        self.edge = np.where(mirrored, self.high, np.where(low, self.low, start))
        self.width = np.where(self.both, self.high - self.low, self.scale)
        # A step of one in z must move θ by about its scale, also where the bounds are far apart.
        fraction = self._fraction(start)
        steepness = np.minimum(1.0, self.scale / (self.width * fraction * (1.0 - fraction)))
        self.slope = self.sign * np.where(self.both, steepness, 1.0)
        self._both, self._bounded = as_tensor(self.both).bool(), as_tensor(self.bounded).bool()
        self._edge, self._slope = as_tensor(self.edge), as_tensor(self.slope)
        self._signed_width = as_tensor(self.sign * self.width)
        self._inner_start = self._inner(start)

    def _fraction(self, value: np.ndarray) -> np.ndarray:
        """Return the position between two bounds as a number above 0 and below 1."""
        margin = BOUND_MARGIN * self.scale / self.width
        return np.clip(self.sign * (value - self.edge) / self.width, margin, 1.0 - margin)

    def _inner(self, value: np.ndarray) -> Tensor:
        """Return the argument of sigmoid or softplus at a value; without bounds, the offset."""
        offset = self.sign * (value - self.edge) / self.scale
        gap = np.maximum(offset, BOUND_MARGIN)
        inverse_softplus = gap + np.log(-np.expm1(-gap))
        fraction = self._fraction(value)
        logit = np.log(fraction) - np.log1p(-fraction)
        one_or_none = np.where(self.bounded, inverse_softplus, offset)
        return self._as_tensor(np.where(self.both, logit, one_or_none))

    def member_constants(self) -> dict[str, Tensor]:
        names = ("_edge", "_slope", "_signed_width", "_inner_start")
        names = ("_offset", "_factor") if self._open else names
        return {name: getattr(self, name) for name in names}

    def with_member_constants(self, member_constants: Mapping[str, Tensor]) -> _Transform:
        copied = copy.copy(self)
        vars(copied).update(member_constants)
        return copied

    def __call__(self, z: Tensor) -> Tensor:
        if self._open:
            return torch.addcmul(self._offset, self._factor, z)
        inner = self._inner_start + self._slope * z
        one_or_none = torch.where(self._bounded, softplus(inner), inner)
        step = torch.where(self._both, torch.sigmoid(inner), one_or_none)
        return torch.addcmul(self._edge, self._signed_width, step)

    def inverse(self, value: np.ndarray) -> Tensor:
        if self._open:
            return (self._as_tensor(value) - self._offset) / self._factor
        return (self._inner(value) - self._inner_start) / self._slope


def _scale(given: np.ndarray, start: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the magnitude of each element; a (nearly) zero element has the root mean square."""
    scale = np.maximum(np.abs(start), 0.1 * np.abs(given))
    whole = float(np.sqrt(np.mean(scale**2))) or 1.0
    scale = np.where(scale > 0.01 * whole, scale, whole)
    return np.minimum(scale, np.where(np.isfinite(high - low), high - low, np.inf))
