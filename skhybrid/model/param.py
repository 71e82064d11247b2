"""One unknown of the physics: its initial value, bounds and unit."""

from __future__ import annotations

import copy
import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from skhybrid.exceptions import PhysicsError
from skhybrid.model.param_prior import moments_of, require_prior

Bounds = tuple[Any, Any]


class Param:
    """One unknown of the physics: its initial value, bounds and unit.

    Parameters
    ----------
    init : float or array-like
        Initial value, in a unit of your choice. Its shape is the shape of the parameter.
    bounds : tuple (low, high), default=(None, None)
        Closed bounds; ``None`` leaves a side open. Each may be a number or an array that
        broadcasts to the shape of ``init``.
    unit : str or None, default=None
        Unit of the value. It is a label, shown with the value; nothing is converted.
    fixed : bool, default=False
        Whether the value is known and is not learned.
    prior : tuple (mean, std), tuple ("lognormal", median, factor) or None, default=None
        What is known of the value beforehand, in its unit: a normal distribution, or, for a
        positive parameter, one whose logarithm is normal, with the standard deviation log(factor):
        the value is between median / factor and median · factor with a probability of 68 %. Each
        may be a number or an array that broadcasts to the shape of ``init``. None is no prior. A
        fixed parameter does not use it.
    depends_on : sequence of str or int, default=None
        Makes the parameter a function of these features, which the network learns together with
        the constant around which it varies: names or numbers of columns of X or, for an
        :class:`~skhybrid.ODE`, of states, inputs and the time. Values stay inside the bounds. With
        ``nn=None`` the parameter is a constant. The physics gets a value for every row, like one
        feature; an array has its own axes first, so that its elements are ``k[0]`` and ``k[1]``.
        ``HybridRegressor.predict_params`` returns the values (differentiable parameter learning;
        Tsai et al. 2021, eq. 2).
    per : str or int, default=None
        Gives the parameter one value for each group of rows (subjects, sites, batches), around a
        common value: name or number of the column of X that holds the groups or, for an
        :class:`~skhybrid.ODE`, of an input with their codes. Their values have a Gaussian prior, so
        a group with few rows stays close to the common value, and a group that was not in training
        has it. It needs the training of ``nn``. ``HybridRegressor.group_params_`` has the values
        of the groups, ``physics_params_`` the common one (a random effect; Laird and Ware 1982).
    per_std : float or array-like, default=None
        Standard deviation of the groups' values around the common one, in the unit of the value;
        see :doc:`/user_guide/groups`. None estimates it from the training rows.

    Examples
    --------
    >>> from skhybrid import Param
    >>> Param(1.0, bounds=(0.0, None), unit="s^-2")
    Param(1.0, bounds=(0.0, None), unit='s^-2')
    >>> Param(1.0, bounds=(0.0, None), prior=("lognormal", 1.1, 1.5))
    Param(1.0, bounds=(0.0, None), prior=('lognormal', 1.1, 1.5))
    >>> Param(2.0, bounds=(0.0, None), depends_on=["moisture", "radiation"])
    Param(2.0, bounds=(0.0, None), depends_on=['moisture', 'radiation'])
    >>> Param(0.3, bounds=(0.0, None), unit="1/h", per="subject")
    Param(0.3, bounds=(0.0, None), unit='1/h', per='subject')
    """

    def __init__(
        self,
        init: Any,
        bounds: Bounds = (None, None),
        unit: str | None = None,
        fixed: bool = False,
        *,
        prior: tuple | None = None,
        depends_on: Sequence[str | int] | None = None,
        per: str | int | None = None,
        per_std: Any = None,
    ) -> None:
        self.init = init
        self.bounds = bounds
        self.unit = unit
        self.fixed = fixed
        self.prior = prior
        self.depends_on = depends_on
        self.per = per
        self.per_std = per_std

    @property
    def varies(self) -> bool:
        """Whether the parameter has no single value for all rows."""
        return self.depends_on is not None or self.per is not None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameter."""
        return tuple(np.shape(self.init))

    def value(self) -> np.ndarray:
        """Return the initial value as a float64 array."""
        return _numbers(plain(self.init))

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds as float64 arrays of the parameter's shape, infinite where open."""
        low, high = self.bounds
        low = -math.inf if low is None else low
        high = math.inf if high is None else high
        return tuple(np.broadcast_to(_numbers(side), self.shape) for side in (low, high))

    def prior_moments(self) -> tuple[str, np.ndarray, np.ndarray]:
        """Return the kind of the prior, and the mean and the standard deviation.

        They are float64 arrays of the parameter's shape. For the kind "lognormal" they belong to
        the logarithm; the other kind is "normal".
        """
        return moments_of(self.prior, self.shape)

    def validate(self, name: str) -> None:
        """Raise a PhysicsError that names the parameter if its value or bounds are wrong."""
        try:
            value = self.value()
        except OverflowError as error:
            raise PhysicsError(
                f"The initial value of physics parameter {name!r} is too large for a "
                f"floating-point number; got {_shown(self.init)}."
            ) from error
        except (TypeError, ValueError) as error:
            raise PhysicsError(
                f"The initial value of physics parameter {name!r} must be a number or an array of "
                f"numbers; got {self.init!r}.{_bounds_hint(name, self.init)}"
            ) from error
        if value.size == 0 or not np.all(np.isfinite(value)):
            raise PhysicsError(
                f"The initial value of physics parameter {name!r} must be finite and not empty; "
                f"got {self.init!r}.{_bounds_hint(name, self.init)}"
            )
        try:
            low, high = self.limits()
        except OverflowError as error:
            raise PhysicsError(
                f"The bounds of physics parameter {name!r} are too large for floating-point "
                f"numbers; got {_shown(self.bounds)}. None leaves a side open."
            ) from error
        except (TypeError, ValueError) as error:
            raise PhysicsError(
                f"The bounds of physics parameter {name!r} must be a pair (low, high) of numbers, "
                f"of arrays that broadcast to its shape {self.shape}, or None; got {self.bounds!r}."
            ) from error
        if not np.all(low < high):
            raise PhysicsError(
                f"The bounds of physics parameter {name!r} must have low < high; "
                f"got {self.bounds!r}. To keep a value as it is, set fixed=True."
            )
        if np.any(value < low) or np.any(value > high):
            raise PhysicsError(
                f"The initial value {self.init!r} of physics parameter {name!r} is outside its "
                f"bounds {self.bounds!r}. Give another initial value or other bounds."
            )
        if self.prior is not None:
            require_prior(self.prior, name, value, (low, high))
        self._validate_dependence(name)
        self._validate_groups(name)

    def spread(self) -> np.ndarray:
        """Return the standard deviation between groups as an array of the parameter's shape."""
        return np.broadcast_to(_numbers(plain(self.per_std)), self.shape)

    def _validate_groups(self, name: str) -> None:
        """Raise a PhysicsError if ``per`` or ``per_std`` cannot be used."""
        who = f"physics parameter {name!r}"
        if self.per is None:
            if self.per_std is not None:
                raise PhysicsError(
                    f"per_std of {who} is {self.per_std!r}, but per names no column of groups. "
                    "Name it, as in per='subject', or leave per_std out."
                )
            return
        if isinstance(self.per, bool) or not isinstance(self.per, (str, numbers.Integral)):
            raise PhysicsError(
                f"per of {who} must be the name or the number of one column; got {self.per!r}. "
                "For groups by several columns, join these into one."
            )
        other = "depends_on" if self.depends_on is not None else "fixed=True" if self.fixed else ""
        if other:
            raise PhysicsError(
                f"{who.capitalize()} has per={self.per!r} and {other}: leave one of them out."
            )
        self._require_one_kind_of_bounds(name, "per")
        if self.per_std is None:
            return
        try:
            spread = self.spread()
        except (TypeError, ValueError, OverflowError) as error:
            raise PhysicsError(
                f"per_std of {who} must be a number, or an array that broadcasts to its shape "
                f"{self.shape}; got {self.per_std!r}."
            ) from error
        if not (np.all(np.isfinite(spread)) and np.all(spread > 0)):
            raise PhysicsError(
                f"per_std of {who} must be positive and finite; got {self.per_std!r}. For one "
                "value of all groups, leave per and per_std out."
            )

    def _validate_dependence(self, name: str) -> None:
        """Raise a PhysicsError if ``depends_on`` lists no features, or something excludes it."""
        features = self.depends_on
        if features is None:
            return
        if isinstance(features, (str, numbers.Integral)) or not _is_sequence(features):
            raise PhysicsError(
                f"depends_on of physics parameter {name!r} must be a list of features; got "
                f"{features!r}. For one feature write depends_on=[{features!r}]."
            )
        if len(features) == 0:
            raise PhysicsError(
                f"depends_on of physics parameter {name!r} is empty. Leave it out for a constant."
            )
        if self.fixed:
            raise PhysicsError(
                f"Physics parameter {name!r} has depends_on and fixed=True. A fixed parameter has "
                "one known value: leave one of them out."
            )
        if self.prior is not None:
            raise PhysicsError(
                f"Physics parameter {name!r} has depends_on and a prior. A prior is for one "
                "number, and this parameter is a function: leave one of them out."
            )
        self._require_one_kind_of_bounds(name, "depends_on")

    def _require_one_kind_of_bounds(self, name: str, reason: str) -> None:
        """Raise a PhysicsError if some elements have other kinds of bounds than others."""
        low, high = self.limits()
        kinds = zip(np.isfinite(low).ravel(), np.isfinite(high).ravel(), strict=True)
        if len(set(kinds)) > 1:
            raise PhysicsError(
                f"Physics parameter {name!r} has {reason}, and bounds for some of its elements "
                f"only: {self.bounds!r}. Give all elements the same kind of bounds, or make them "
                "two parameters."
            )

    def __repr__(self) -> str:
        parts = [f"{self.init!r}"]
        bounds = self.bounds  # not yet validated: may be anything
        if not isinstance(bounds, tuple | list) or any(side is not None for side in bounds):
            parts.append(f"bounds={self.bounds!r}")
        if self.unit is not None:
            parts.append(f"unit={self.unit!r}")
        if self.fixed:
            parts.append("fixed=True")
        if self.prior is not None:
            parts.append(f"prior={self.prior!r}")
        if self.depends_on is not None:
            parts.append(f"depends_on={self.depends_on!r}")
        if self.per is not None:
            parts.append(f"per={self.per!r}")
        if self.per_std is not None:
            parts.append(f"per_std={self.per_std!r}")
        return f"Param({', '.join(parts)})"


def replaced(param: Param, value: Any, name: str) -> Param:
    """Return a parameter with another initial value, or the Param that replaces it.

    Parameters
    ----------
    param : Param
        It is not changed.
    value : Param, float or array-like
        A number or an array replaces the initial value only. It has the shape of the parameter.
    name : str
        Name of the parameter in error messages.

    Raises
    ------
    PhysicsError
        If the value has another shape, or is not a valid initial value.
    """
    if isinstance(value, Param):
        value.validate(name)
        return value
    other = copy.copy(param)
    other.init = plain(value)
    Param(other.init).validate(name)
    if other.shape != param.shape:
        raise PhysicsError(
            f"The new initial value {value!r} of physics parameter {name!r} has shape "
            f"{other.shape}, but the parameter has shape {param.shape}. Give a value of this "
            f"shape, or a Param to replace the whole parameter: {name}=Param({value!r})."
        )
    other.validate(name)
    return other


def plain(value: Any) -> Any:
    """Return a number as a float, a tensor as an array of its own, and anything else as it is."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().double().numpy().copy()  # a double tensor shares its memory
    if not isinstance(value, numbers.Real):
        return value
    try:
        return float(value)
    except OverflowError:  # Param.validate names the parameter
        return value


def _is_sequence(value: Any) -> bool:
    """Whether a value has a length and an order."""
    return hasattr(value, "__len__") and hasattr(value, "__getitem__")


def _numbers(value: Any) -> np.ndarray:
    """Return an array of float64; texts are no numbers, although NumPy would convert them."""
    if np.asarray(value).dtype.kind in "SU":
        raise TypeError("a text is not a number")
    return np.array(value, dtype=np.float64)


def _shown(value: Any, most: int = 60) -> str:
    """Return a value as a text that is not long."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}..."


def _bounds_hint(name: str, init: Any) -> str:
    """Return a hint if an initial value looks like a number with its bounds."""
    if not isinstance(init, (tuple, list)) or len(init) not in (2, 3):
        return ""
    value, *bounds = init
    if len(bounds) == 1 and isinstance(bounds[0], (tuple, list)):
        bounds = bounds[0]
    open_or_number = (numbers.Real, type(None))
    if not (
        isinstance(value, numbers.Real)
        and len(bounds) == 2
        and all(isinstance(each, open_or_number) for each in bounds)
    ):
        return ""
    return (
        " A tuple is an array of initial values. For one number with bounds write "
        f"{name}=Param({value!r}, bounds=({bounds[0]!r}, {bounds[1]!r}))."
    )
