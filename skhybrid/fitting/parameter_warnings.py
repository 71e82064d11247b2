"""Find physics parameters that the data do not determine, after a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skhybrid.exceptions import ParameterWarning
from skhybrid.fitting.findings import Finding
from skhybrid.fitting.fitted import user_values
from skhybrid.fitting.least_squares import LeastSquaresFit
from skhybrid.fitting.sensitivities import sensitivities
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.units_of_y import other_units
from skhybrid.model.batch import Batch, Windows, select_rows
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.physics import Physics
from skhybrid.runtime.seeds import seeded
from skhybrid.runtime.user_warnings import warnings_caught

# Sensitivities with a larger correlation are those of a product or a sum.
SAME_EFFECT = 1.0 - 1e-6
# A larger tensor in a module is not an unknown but, for example, kept from the last call.
MAX_UNKNOWNS = 100
ADVICE_FOR_TOGETHER = (
    "Set fixed=True for all but one of them, or make one parameter of the combination."
)
# A message names this many elements.
MAX_NAMED = 4

Columns = Mapping[str, np.ndarray]


def findings_of_training(
    hybrid: Hybrid,
    coordinates: Mapping[str, Tensor],
    start: Mapping[str, Tensor],
    data: Batch,
    settings: FitSettings,
) -> Iterator[Finding]:
    """Yield the findings about the parameters of a fit of physics and network.

    Parameters
    ----------
    hybrid : Hybrid
        Fitted model.
    coordinates, start : mapping of str to Tensor
        Scaled physics parameters after and before training.
    data : Batch
        Training rows.
    settings : FitSettings
    """
    if hybrid.physics is None:
        return
    yield from _plain_tensors(hybrid, data.x)
    held = settings.physics_learning_rate == 0 and settings.physics_init == "given"
    if not hybrid.space.shapes or held:
        return
    values = user_values(hybrid, coordinates)
    units = partial(other_units, hybrid, hybrid.space.values(coordinates), data)
    yield from _on_bounds(hybrid.physics, values, hybrid.space.on_bounds(values), units)
    sizes = _sizes(hybrid)
    eps = torch.finfo(hybrid.scales.target_scale.dtype).eps
    try:
        with seeded(0), warnings_caught():  # solvers have said the same in training
            columns = _of_numbers(sensitivities(hybrid, data, coordinates), values)
            if _idle(columns, values, sizes, eps) or [*_together(columns, eps, values, sizes)]:
                # Some parameters may act on rare rows alone.
                columns = sensitivities(hybrid, data, coordinates, all_rows=True)
                columns = _of_numbers(columns, values)
    except (RuntimeError, ValueError):  # a finished fit must not fail here
        return
    columns = _without_priors(hybrid, columns)
    yield from _about_effects(columns, values, user_values(hybrid, start), sizes, eps)


def _of_numbers(columns: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of parameters that are numbers, not functions of features."""
    return {name: each for name, each in columns.items() if name in values}


def findings_of_least_squares(
    hybrid: Hybrid, fit: LeastSquaresFit, data: Batch
) -> Iterator[Finding]:
    """Yield the findings about the parameters of a fit of the physics alone.

    Parameters
    ----------
    hybrid : Hybrid
        Model at its start.
    fit : LeastSquaresFit
    data : Batch
        Training rows.
    """
    if hybrid.physics is None:
        return
    yield from _plain_tensors(hybrid, data.x)
    reached = {}
    for name in hybrid.space.shapes:
        low, high = hybrid.physics.params[name].limits()
        reached[name] = fit.values[name] == low, fit.values[name] == high
    units = partial(other_units, hybrid, fit.values, data)
    yield from _on_bounds(hybrid.physics, fit.values, reached, units)
    sizes = _sizes(hybrid)
    eps = torch.finfo(torch.float64).eps
    columns = _without_priors(hybrid, fit.sensitivities)
    yield from _about_effects(columns, fit.values, hybrid.space.start, sizes, eps)


def _without_priors(hybrid: Hybrid, columns: Columns) -> Columns:
    """Return the columns of parameters that only the data determine."""
    params = hybrid.physics.params
    return {name: column for name, column in columns.items() if params[name].prior is None}


def _plain_tensors(hybrid: Hybrid, x: Tensor | Windows) -> Iterator[Finding]:
    """Yield the tensors of a module that are neither parameters nor buffers.

    A tensor that a call replaces is a result that the module keeps, not an unknown.
    """
    module, name = hybrid.physics.function, hybrid.physics.name
    found = _tensors_of(module) if isinstance(module, torch.nn.Module) else {}
    if not found:
        return
    try:
        with torch.no_grad(), seeded(0), warnings_caught():
            hybrid.physics_part(select_rows(x, slice(0, 4)), hybrid.initial_coordinates())
    except (RuntimeError, ValueError):  # a finished fit must not fail here
        return
    after = _tensors_of(module)
    for path, value in found.items():
        if value is not after.get(path):
            continue
        attribute = path.rpartition(".")[2]
        yield Finding(
            ParameterWarning,
            ("plain tensor", path),
            f"Attribute {path!r} of physics {name!r} is a plain tensor ({_short(value)}) and was "
            f"not learned. To learn it, write self.{attribute} = torch.nn.Parameter(...). If it is "
            f"a known constant, write self.register_buffer({attribute!r}, ...).",
        )


def _tensors_of(module: torch.nn.Module) -> dict[str, Tensor]:
    """Return the plain tensors of a module and the modules in it, by their path."""
    return {
        f"{prefix}.{attribute}" if prefix else attribute: value
        for prefix, part in module.named_modules()
        for attribute, value in vars(part).items()
        if isinstance(value, Tensor)
        and value.is_floating_point()
        and value.grad_fn is None
        and value.numel() <= MAX_UNKNOWNS
    }


def _on_bounds(
    physics: Physics,
    values: Mapping[str, Any],
    reached: Mapping[str, tuple[np.ndarray, np.ndarray]],
    units: Callable[[], str],
) -> Iterator[Finding]:
    """Yield the free parameters that ended on a bound.

    ``reached`` tells which elements are on their lower and upper bounds, ``units`` what is to say
    of the units of y.
    """
    for name in physics.free:
        if name not in values:  # a function of features
            continue
        value = np.asarray(values[name], dtype=np.float64)
        limits = physics.params[name].limits()
        for side, bound, hit in zip(("lower", "upper"), limits, reached[name], strict=True):
            elements = [element_name(name, index) for index in np.argwhere(hit)]
            if not elements:
                continue
            where = tuple(np.argwhere(hit)[0])
            exact = value[where] == bound[where]
            inside = "" if exact else "; training stays a little inside"
            yield Finding(
                ParameterWarning,
                ("bound", name, side),
                f"Parameter {listed(elements)} ended on its {side} bound {bound[where]:.6g} "
                f"(value {value[where]:.6g}{inside}). If the data ask for "
                "a value beyond it, the other parts of the model make up for the difference. If "
                "the bound is no physical limit, widen it: Param(..., bounds=...). If it is one, "
                "the physics may lack an effect or have a wrong sign or unit. If the value is "
                f"known, set fixed=True.{units()}",
            )


def _sizes(hybrid: Hybrid) -> dict[str, np.ndarray]:
    """Return the change of each parameter whose effect counts."""
    return {
        name: np.maximum(scale, np.abs(hybrid.physics.params[name].value()))
        for name, scale in hybrid.space.scales.items()
    }


def _about_effects(
    columns: Columns,
    values: Mapping[str, Any],
    start: Mapping[str, Any],
    sizes: Columns,
    eps: float,
) -> Iterator[Finding]:
    """Yield parameters without effect, and parameters with the same effect."""
    for name, indices in _idle(columns, values, sizes, eps).items():
        value, before = (np.asarray(each[name], dtype=np.float64) for each in (values, start))
        moved = any(
            not np.isclose(value[i], before[i], rtol=4 * eps, atol=4 * eps * sizes[name][i])
            for i in indices
        )
        elements = listed([element_name(name, index) for index in indices])
        path = f"ended at {value[indices[0]]:.6g}" if moved else _stayed(value[indices[0]])
        yield Finding(
            ParameterWarning,
            ("idle", name),
            f"Parameter {elements} {path}, where it does not change the prediction on the training "
            "rows (its derivative is zero), so the data say nothing about it. "
            f"{advice_for_idle(name)}",
        )
    for names in _together(columns, eps, values, sizes):
        shown = [f"{name} = {value:.6g}" for name, value in names]
        yield Finding(
            ParameterWarning,
            ("together", *(name for name, _ in names)),
            f"Parameters {listed(shown, 'and')} act only together: on the training rows, the "
            "prediction changes with each of them in the same way, as with a product or a sum. The "
            "data determine the combination, not the single values, which depend on the start. "
            f"{ADVICE_FOR_TOGETHER}",
        )


def advice_for_idle(name: str) -> str:
    """Return what to do about a parameter without effect."""
    return (
        f"Give another initial value, or rows on which {name!r} acts. If the value is known, set "
        "fixed=True."
    )


def _stayed(value: float) -> str:
    return f"never moved from its start {value:.6g}"


def _idle(
    columns: Columns, values: Mapping[str, Any], sizes: Columns, eps: float
) -> dict[str, list[tuple[int, ...]]]:
    """Return the indices of the elements whose effect is below the rounding error of the target."""
    found = {}
    for name, column in columns.items():
        size = np.maximum(np.abs(np.asarray(values[name])), sizes[name])
        effect = np.sqrt(np.square(column).mean(axis=0)) * size
        indices = [tuple(index) for index in np.argwhere(effect <= eps)]
        if indices:
            found[name] = indices
    return found


def _together(
    columns: Columns, eps: float, values: Mapping[str, Any], sizes: Columns
) -> Iterator[list[tuple[str, float]]]:
    """Yield groups of parameters with the same effect up to a factor, with their values."""
    idle = _idle(columns, values, sizes, eps)
    elements, vectors = [], []
    for name, column in columns.items():
        for index in np.ndindex(column.shape[1:]):
            vector = column[(slice(None), *index)]
            length = np.linalg.norm(vector)
            if index in idle.get(name, ()) or not np.isfinite(length):
                continue
            elements.append((element_name(name, index), float(np.asarray(values[name])[index])))
            vectors.append(vector / length)
    if len(vectors) < 2 or len(vectors[0]) < 2:
        return
    same = np.abs(np.stack(vectors) @ np.stack(vectors).T) > SAME_EFFECT
    grouped: set[int] = set()
    for first in range(len(elements)):
        group = [i for i in np.flatnonzero(same[first]) if i >= first and i not in grouped]
        if len(group) > 1:
            grouped |= {int(i) for i in group}
            yield [elements[i] for i in group]


def element_name(name: str, index: Any) -> str:
    """Return the name of an element of a parameter."""
    return f"{name}[{', '.join(str(int(i)) for i in index)}]" if len(index) else name


def element_names(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return the names of all elements of parameters with these shapes."""
    return [element_name(name, i) for name, shape in shapes.items() for i in np.ndindex(*shape)]


def listed(names: list[str], word: str = "and") -> str:
    """Return names as text, the first of them if there are many."""
    if len(names) > MAX_NAMED:
        return f"{', '.join(names[:MAX_NAMED])} and {len(names) - MAX_NAMED} more"
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _short(value: Tensor) -> str:
    """Return numbers as a short text."""
    return np.array2string(value.detach().cpu().numpy(), precision=4, threshold=6)
