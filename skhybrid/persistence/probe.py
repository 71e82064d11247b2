"""Test inputs and the answers of a model: whether the code given to ``load`` is that of the fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skhybrid.exceptions import SavedModelError
from skhybrid.fitting.fitted import Fitted
from skhybrid.model.batch import Windows
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.layout import FIRST_STATES

N_ROWS = 5
# Steps of the test rollouts: short, so that rounding does not grow.
N_STEPS = 2
# Answers may differ by this part of the target's standard deviation, and of themselves: another
# machine rounds in another way.
TOLERANCE = 1e-3


def make_probe(fitted: Fitted, n_features: int) -> dict[str, Any] | None:
    """Return test inputs and the answers of a model; None if it fails on them or draws at random.

    Parameters
    ----------
    fitted : Fitted
    n_features : int
        Number of columns of a table.
    """
    x = test_inputs(fitted, n_features)
    try:
        found, again = answers(fitted, x), answers(fitted, x)
    except Exception:  # the user's code may refuse inputs that are not data
        return None
    if not all(
        torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(found, again, strict=True)
    ):
        return None
    parts = dict(x._asdict()) if isinstance(x, Windows) else {"x": x}
    return {"inputs": parts, "answers": [*found]}


def check_probe(probe: dict[str, Any] | None, fitted: Fitted, *, exact: bool = False) -> None:
    """Raise an error if a model answers otherwise than the one that was saved.

    Parameters
    ----------
    probe : dict or None
        What :func:`make_probe` has returned.
    fitted : Fitted
    exact : bool, default=False
        Whether the answers must be the same bit for bit, as on the same machine.

    Raises
    ------
    SavedModelError
    """
    if probe is None:
        return
    parts = probe["inputs"]
    x = parts["x"] if "x" in parts else Windows(**parts)
    scale = fitted.hybrid.scales.target_scale
    names = ("physics' part of the prediction", "prediction")
    both = zip(names, probe["answers"], answers(fitted, x), strict=True)
    for name, expected, found in both:
        tolerance = 0.0 if exact else TOLERANCE * (scale.abs() + expected.abs())
        same = (found - expected).abs() <= tolerance
        same |= found.isnan() & expected.isnan()
        same |= found == expected  # infinite ones
        if not bool(same.all()):
            apart = ((found - expected).abs() / scale)[~same].nan_to_num(torch.inf).max()
            raise SavedModelError(
                f"with the code that was given, the {name} of test inputs differs from that of the "
                f"saved model, by up to {float(apart):.2g} standard deviations of the target. Give "
                "the same physics, nn and structure as in fit"
            )


@torch.no_grad()
def answers(fitted: Fitted, x: Tensor | Windows) -> tuple[Tensor, Tensor]:
    """Return the physics' part of a prediction, and the whole."""
    hybrid = fitted.hybrid
    coordinates = {k: v for k, v in fitted.coordinates.items() if k != FIRST_STATES}
    return hybrid.physics_part(x, coordinates), hybrid(x, coordinates, hold=True)


def test_inputs(fitted: Fitted, n_features: int, n_rows: int = N_ROWS) -> Tensor | Windows:
    """Return random inputs, as far as is known in the range of the training rows.

    Parameters
    ----------
    fitted : Fitted
    n_features : int
        Number of columns of a table.
    n_rows : int, default=5
    """
    random_state = np.random.RandomState(0)
    draw = (_random_windows if fitted.trajectory_info else _random_rows)(
        fitted, random_state, n_rows, n_features
    )
    scale = fitted.hybrid.scales.target_scale

    def placed(array: Any) -> Tensor | None:
        return None if array is None else torch.tensor(array).to(scale.device, scale.dtype)

    return Windows(*map(placed, draw)) if isinstance(draw, Windows) else placed(draw)


def _random_rows(
    fitted: Fitted, random_state: np.random.RandomState, n_rows: int, n_features: int
) -> np.ndarray:
    """Return rows of a table: uniform in the range of columns that the network reads; groups."""
    low, high = np.full(n_features, 0.5), np.full(n_features, 1.5)
    columns, seen_low, seen_high = _network_range(fitted.hybrid, n_features)
    low[columns], high[columns] = seen_low, seen_high
    rows = random_state.uniform(low, high, (n_rows, n_features))
    for column, labels in fitted.group_labels.items():
        rows[:, column] = np.arange(n_rows) % len(labels)
    return rows


def _network_range(hybrid: Hybrid, n_columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the columns whose range the network's scales tell, and the range in raw units."""
    scales = hybrid.scales
    numbers = (
        scales.feature_offset,
        scales.feature_factor,
        scales.feature_low,
        scales.feature_high,
    )
    offset, factor, low, high = (each.double().cpu().numpy().reshape(-1) for each in numbers)
    columns = np.arange(n_columns)
    if hybrid.network_columns is not None:
        columns = hybrid.network_columns.cpu().numpy()
    n = len(columns)
    if hybrid.network is None or len(offset) < n:
        return columns[:0], low[:0], high[:0]
    low, high = (low[:n] - offset[:n]) / factor[:n], (high[:n] - offset[:n]) / factor[:n]
    known = np.isfinite(low) & np.isfinite(high) & (columns < n_columns)
    return columns[known], low[known], high[known]


def _random_windows(
    fitted: Fitted, random_state: np.random.RandomState, n_rows: int, n_features: int
) -> Windows:
    """Return windows with random first states, or images, around the mean of training."""
    info, scales, layout = fitted.trajectory_info, fitted.hybrid.scales, fitted.hybrid.layout
    images = fitted.hybrid.structure.reads_images
    named = ("target_mean", "target_scale") if images else ("state_mean", "state_scale")
    mean, std = (getattr(scales, name).double().cpu().numpy() for name in named)
    shape = info.x_shape if images else layout.state_shape
    first = mean + std * random_state.standard_normal((n_rows, *shape))
    steps = np.diff(info.times)[:N_STEPS]
    if layout.uniform_step is not None:
        steps = np.full(len(steps), layout.uniform_step)
    inputs = None
    if layout.n_inputs:
        inputs = random_state.uniform(0.5, 1.5, (n_rows, len(steps) + 1, layout.n_inputs))
    return Windows(
        first, np.full(n_rows, info.times[0]), np.broadcast_to(steps, (n_rows, len(steps))), inputs
    )
