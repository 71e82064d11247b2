"""Is the model usable at all? Asked before training, so that nothing is left half-fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from skhybrid.exceptions import NetworkError, PhysicsError
from skhybrid.physics import Physics, suggestion
from skhybrid.structures import Hybrid


def bind_columns(
    names: Sequence[str], feature_names: Sequence[str] | None, n_features: int, model: str
) -> list[int] | None:
    """Return the columns that a physics function reads, or None if it reads the whole table.

    Parameters
    ----------
    names : sequence of str
        The function's positional arguments.
    feature_names : sequence of str or None
        Column names of X, None for an array.
    n_features : int
    model : str
        Name of the physics, for the message.
    """
    if tuple(names) == ("X",):
        return None
    if feature_names is not None:
        return [find_feature(name, feature_names, f"physics {model!r}") for name in names]
    if len(names) > n_features:
        raise PhysicsError(
            f"physics {model!r} reads {len(names)} features ({', '.join(names)}), in this order; "
            f"X has {n_features}."
        )
    return list(range(len(names)))


def network_columns(
    nn_features: Sequence[str | int] | None, feature_names: Sequence[str] | None, n_features: int
) -> list[int] | None:
    """Return the columns that the network may see, or None for all."""
    if nn_features is None:
        return None
    if len(nn_features) == 0:
        raise ValueError("nn_features is empty. For a model without a network, set nn=None.")
    columns = []
    for feature in nn_features:
        if isinstance(feature, str):
            if feature_names is None:
                raise ValueError(
                    f"nn_features names {feature!r}, but X has no column names. Give X as a "
                    "DataFrame or nn_features as column numbers."
                )
            columns.append(find_feature(feature, feature_names, "nn_features"))
        elif -n_features <= feature < n_features:
            columns.append(int(feature) % n_features)
        else:
            raise ValueError(f"nn_features has column {feature}; X has {n_features} columns.")
    return columns


def find_feature(name: str, feature_names: Sequence[str], who: str) -> int:
    """Return the position of a column, or raise an error that names those there are."""
    feature_names = list(feature_names)
    if name in feature_names:
        return feature_names.index(name)
    raise PhysicsError(
        f"{who} needs a column {name!r}, which X does not have{suggestion(name, feature_names)} "
        f"Columns of X: {', '.join(feature_names)}."
    )


def check_physics(hybrid: Hybrid, x: Tensor) -> None:
    """Evaluate the physics once, with gradients, and say what is wrong with it.

    Raises
    ------
    PhysicsError
        If it fails, returns the wrong type or shape or non-finite values, or if a free parameter
        has no finite gradient.
    """
    physics = hybrid.physics
    if physics is None:
        return
    coordinates = {
        name: x.new_zeros(shape).requires_grad_() for name, shape in hybrid.space.shapes.items()
    }
    at = f"at {_described(hybrid.space.start)}"
    with torch.enable_grad():
        try:
            prediction = hybrid.physics_part(x, coordinates)
        except PhysicsError:
            raise
        except Exception as error:
            raise PhysicsError(_failure(physics, error, at)) from error
        broken = ~torch.isfinite(prediction.detach()).reshape(len(x), -1).all(dim=1)
        if bool(broken.any()):
            first = int(broken.nonzero()[0])
            raise PhysicsError(
                f"physics {physics.name!r} is not finite for {int(broken.sum())} of {len(x)} rows "
                f"{at}; the first is row {first}: {x[first].tolist()}. Choose another initial "
                "value or guard the function (torch.clamp, torch.where)."
            )
        _check_gradients(physics, prediction, coordinates, at)


def _check_gradients(
    physics: Physics, prediction: Tensor, coordinates: Mapping[str, Tensor], at: str
) -> None:
    if not coordinates:
        return
    if prediction.requires_grad:
        gradients = torch.autograd.grad(
            prediction.sum(), list(coordinates.values()), allow_unused=True
        )
    else:
        gradients = [None] * len(coordinates)
    for name, gradient in zip(coordinates, gradients, strict=True):
        if gradient is None:
            raise PhysicsError(
                f"The output of physics {physics.name!r} has no gradient with respect to "
                f"parameter {name!r}: it does not use it, or cuts it off (numpy, float(), .item(), "
                f".detach(), torch.tensor()). If {name!r} is known, set fixed=True."
            )
        if not bool(torch.isfinite(gradient).all()):
            raise PhysicsError(
                f"The gradient of physics {physics.name!r} with respect to parameter {name!r} is "
                f"not finite {at}. Functions such as sqrt, log and powers have infinite slopes at "
                "zero: guard them with torch.clamp or torch.where."
            )


def check_network(hybrid: Hybrid, x: Tensor) -> None:
    """Evaluate the whole model once and say what is wrong with its network or its structure.

    Raises
    ------
    NetworkError
        If the network fails or its output does not fit the target.
    ValueError
        If the structure does.
    """
    if hybrid.network is None:
        return
    network = hybrid.bind_network()

    def guarded(*inputs, **options):
        try:
            return network(*inputs, **options)
        except NetworkError:
            raise
        except Exception as error:
            given = tuple(hybrid.network_inputs(*inputs).shape)
            raise NetworkError(
                f"nn failed on inputs of shape {given} (rows, standardised features): {error}"
            ) from error

    start = {name: x.new_zeros(shape) for name, shape in hybrid.space.shapes.items()}
    with torch.no_grad():
        physics = hybrid.bind_physics(hybrid.space.values(start))
        prediction = hybrid.join(x, physics, guarded)
    if not bool(torch.isfinite(prediction).all()):
        raise NetworkError("The untrained model's prediction is not finite for some training rows.")


def _failure(physics: Physics, error: Exception, at: str) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    hint = ""
    if "numpy()" in text or "__array__" in text or isinstance(error, TypeError):
        hint = " Use torch's functions in place of numpy's and math's."
    return f"physics {physics.name!r} failed {at}: {text}{hint}"


def _described(values: Mapping[str, np.ndarray]) -> str:
    if not values:
        return "on the training rows"
    shown = [f"{name}={np.array2string(value, precision=4)}" for name, value in values.items()]
    return ", ".join(shown)
