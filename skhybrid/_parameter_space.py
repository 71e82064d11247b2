"""From the user's parameter values to the scaled, unbounded coordinates that training moves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from skhybrid.physics import Param, Physics

# A start that lies on a bound is moved inside by this part of the parameter's scale, because the
# smooth transforms only reach a bound in the limit.
BOUND_MARGIN = 1e-2


class ParameterSpace:
    """The free physics parameters θ as functions of coordinates z, with z = 0 at the start.

    Open parameters are θ = θ₀ + scale · z. One bound makes it θ = low + scale · softplus(z + z₀),
    two bounds θ = low + (high − low) · sigmoid(κ z + z₀). ``scale`` is the larger of the
    magnitudes of the given and the starting value, so that a step of one size means the same
    relative change whatever the unit.

    Parameters
    ----------
    physics : Physics or None
        The model whose free parameters are meant; None has no parameters.
    start : mapping of str to array, default=None
        Values at z = 0, in the user's units; the initial values where missing.
    dtype, device : torch.dtype, torch.device
        Of the values that come out.
    held : bool, default=False
        Whether every parameter stays at its start, as the fixed ones do.
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

        def as_tensor(value):
            return torch.tensor(value, dtype=dtype, device=device)

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

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every free parameter."""
        return {name: transform.shape for name, transform in self.transforms.items()}

    def values(self, coordinates: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return all parameters, the fixed ones included, in the user's units."""
        free = {name: transform(coordinates[name]) for name, transform in self.transforms.items()}
        return {**self.fixed, **free}

    def coordinates(self, values: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """Return the coordinates of free parameters given in the user's units."""
        return {
            name: transform.inverse(np.asarray(values[name], dtype=np.float64))
            for name, transform in self.transforms.items()
        }

    def draw(self, random_state: np.random.RandomState) -> dict[str, Tensor]:
        """Draw a start: uniform between two bounds, otherwise around the start by half its scale.

        Returned are coordinates.
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
        # An upper bound alone is a lower bound seen in the mirror.
        self._both, self._bounded = as_tensor(low & high).bool(), as_tensor(low | high).bool()
        sign = np.where(high & ~low, -1.0, 1.0)
        width = np.where(low & high, self.high - np.where(low, self.low, 0.0), self.scale)
        edge = np.where(low, self.low, np.where(high, self.high, start))
        self._edge, self._sign = as_tensor(edge), as_tensor(sign)
        self._width, self._scale = as_tensor(width), as_tensor(self.scale)
        self._steepness = as_tensor(np.minimum(1.0, 4.0 * self.scale / width))
        self._inner_start = self._inner(start)

    def _inner(self, value: np.ndarray) -> Tensor:
        """Return the argument of softplus or sigmoid (or the plain offset) at a value."""
        edge, width = self._edge.double().cpu().numpy(), self._width.double().cpu().numpy()
        both, sign = self._both.cpu().numpy(), self._sign.double().cpu().numpy()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            part = np.clip((value - edge) / width, BOUND_MARGIN, 1.0 - BOUND_MARGIN)
            logit = np.log(part) - np.log1p(-part)
            gap = np.maximum(sign * (value - edge) / self.scale, BOUND_MARGIN)
            inverse_softplus = gap + np.log(-np.expm1(-gap))
        plain = (value - edge) / self.scale
        bounded = self._bounded.cpu().numpy()
        return self._as_tensor(
            np.where(both, logit, np.where(bounded, inverse_softplus, plain))
        )

    def __call__(self, z: Tensor) -> Tensor:
        if self._open:
            return torch.addcmul(self._offset, self._factor, z)
        inner = self._inner_start + torch.where(self._both, self._steepness, self._sign) * z
        two_sided = self._width * torch.sigmoid(inner)
        one_sided = self._sign * self._scale * softplus(inner)
        step = torch.where(self._both, two_sided, one_sided)
        return self._edge + torch.where(self._bounded, step, self._scale * inner)

    def inverse(self, value: np.ndarray) -> Tensor:
        if self._open:
            return (self._as_tensor(value) - self._offset) / self._factor
        slope = torch.where(self._both, self._steepness, self._sign)
        return (self._inner(value) - self._inner_start) / slope


def _scale(given: np.ndarray, start: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Magnitude of each element; of an element that is zero, that of the whole parameter."""
    scale = np.maximum(np.abs(given), np.abs(start))
    whole = float(np.sqrt(np.mean(scale**2))) or 1.0
    scale = np.where(scale > 0.01 * whole, scale, whole)
    return np.minimum(scale, np.where(np.isfinite(high - low), high - low, np.inf))
