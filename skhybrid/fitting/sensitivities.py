"""How the prediction on the training rows changes with each physics parameter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.rows import evenly_spaced
from skhybrid.model.batch import Batch, select_rows
from skhybrid.model.hybrid import Hybrid
from skhybrid.runtime.chunks import chunks

# Numbers of the prediction that are differentiated, and the fewest rows or windows.
MAX_NUMBERS = 500
MIN_ROWS = 4
# Random combinations of the rows. Columns that are parallel stay parallel, and others hardly ever
# become parallel in as many dimensions.
N_COMBINATIONS = 8
# Each costs a solution of the adjoint equation if derivatives do not pass through the solver.
N_WITH_ADJOINT = 3


def sensitivities(
    hybrid: Hybrid, data: Batch, coordinates: Mapping[str, Tensor], *, all_rows: bool = False
) -> dict[str, np.ndarray]:
    """Return random combinations of ∂ŷ/∂θ over rows, in standard deviations of the target.

    The combinations have standard normal coefficients, divided by the square root of the number of
    rows. Their root mean square is therefore about the root mean square of ∂ŷ/∂θ over rows.

    Parameters
    ----------
    hybrid : Hybrid
        Fitted model.
    data : Batch
        Training rows. A missing target has no weight.
    coordinates : mapping of str to Tensor
        Fitted coordinates.
    all_rows : bool, default=False
        Whether to use all rows; otherwise, at most about 500 numbers of the prediction.

    Returns
    -------
    dict of str to array of shape (n, *parameter_shape)
        By free parameter; n is :data:`N_COMBINATIONS`, :data:`N_WITH_ADJOINT` for implicit solvers,
        or fewer for fewer numbers.
    """
    names = [*hybrid.space.shapes]
    slopes = _slopes(hybrid, coordinates, names)
    n_rows = max(MIN_ROWS, MAX_NUMBERS // math.prod(data.y.shape[1:]))
    chosen = evenly_spaced(len(data.y), n_rows)
    parts: Iterable[np.ndarray] = [np.arange(len(data.y)) if chosen is None else chosen]
    if all_rows:
        parts = chunks(np.arange(len(data.y)), n_rows)
    generator = torch.Generator().manual_seed(0)
    n_combinations = N_COMBINATIONS if hybrid.differentiable else N_WITH_ADJOINT
    n_combinations = min(n_combinations, data.y.numel())
    found = {name: np.zeros((n_combinations, *hybrid.space.shapes[name])) for name in names}
    n_used = 0
    for part in parts:
        n_used += len(part)
        for name, gradients in _combined(
            hybrid, data, coordinates, part, n_combinations, generator
        ).items():
            found[name] += gradients
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return {name: found[name] / slopes[name] / math.sqrt(n_used) for name in names}


def _slopes(
    hybrid: Hybrid, coordinates: Mapping[str, Tensor], names: list[str]
) -> dict[str, np.ndarray]:
    """Return dθ/dz, elementwise."""
    z = {name: value.detach().requires_grad_() for name, value in coordinates.items()}
    with torch.enable_grad():
        total = sum(hybrid.space.values(z)[name].sum() for name in names)
        gradients = torch.autograd.grad(total, [z[name] for name in names])
    return {name: _array(each) for name, each in zip(names, gradients, strict=True)}


def _combined(
    hybrid: Hybrid,
    data: Batch,
    coordinates: Mapping[str, Tensor],
    rows: np.ndarray,
    n_combinations: int,
    generator: torch.Generator,
) -> dict[str, np.ndarray]:
    """Return the gradients of random combinations of the prediction for some rows."""
    names = [*hybrid.space.shapes]
    z = {name: value.detach().requires_grad_(name in names) for name, value in coordinates.items()}
    chosen = torch.from_numpy(rows).to(data.y.device)
    with torch.enable_grad():
        prediction, _ = hybrid.evaluate(select_rows(data.x, chosen), z, bounded=True)
        unit = 1.0 / hybrid.scales.target_scale
        if data.weight is not None:
            unit = unit * data.weight[chosen].sqrt()
        combined = {name: [] for name in names}
        for number in range(n_combinations):
            coefficients = torch.randn(prediction.shape, generator=generator)
            coefficients = coefficients.to(prediction) / math.sqrt(prediction[0].numel())
            gradients = torch.autograd.grad(
                prediction * unit,
                [z[name] for name in names],
                grad_outputs=coefficients,
                retain_graph=number + 1 < n_combinations,
                allow_unused=True,
            )
            for name, gradient in zip(names, gradients, strict=True):
                combined[name].append(
                    np.zeros(hybrid.space.shapes[name]) if gradient is None else _array(gradient)
                )
    return {name: np.stack(each) for name, each in combined.items()}


def _array(values: Tensor) -> np.ndarray:
    """Return numbers as a float64 array."""
    return values.detach().double().cpu().numpy()
