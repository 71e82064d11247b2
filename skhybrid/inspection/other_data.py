"""Tell whether data are those of a fit: a fitted model does not keep them, but keeps its loss."""

from __future__ import annotations

from typing import Any

import torch

from skhybrid.exceptions import OtherDataWarning
from skhybrid.inspection.training_rows import TrainingRows
from skhybrid.model.dropout import has_random_layers
from skhybrid.model.layout import FIRST_STATES
from skhybrid.runtime.user_warnings import warn

# Losses that differ by less, relative to the larger one or in units of the target's variance, may
# differ by rounding.
RELATIVE = 0.01
ABSOLUTE = 1e-6


def warn_of_other_data(model: Any, rows: TrainingRows) -> None:
    """Warn if the number of rows or the loss is not that of the fit.

    A fit with early stopping has held out some of its rows, and the loss of a fit with learned
    states, an encoder or dropout holds more than the errors. There, only a loss that is more than
    twice as large tells.

    Parameters
    ----------
    model : HybridRegressor
        Fitted.
    rows : TrainingRows
        Rows that should be those of its fit.
    """
    fitted, found = model._fitted, _loss(rows)
    n_rows, difference = len(rows.data.y), abs(found - fitted.loss)
    hybrid = fitted.hybrid
    holds_more = FIRST_STATES in fitted.coordinates or hybrid.has_hidden_encoder
    if hybrid.network is not None:
        holds_more = holds_more or has_random_layers(hybrid.network)
    holds_more = holds_more or not rows.cost.is_squared  # spreads differ between parts of the rows
    if model.early_stopping or holds_more:
        other = found > 2.0 * fitted.loss + ABSOLUTE
    else:
        largest = max(abs(found), abs(fitted.loss))
        other = n_rows != fitted.n_rows or not difference <= RELATIVE * largest + ABSOLUTE
    if other:
        what = "rows" if fitted.window is None else "windows"
        warn(
            f"X, y or sample_weight seem to be others than those of the fit: the fit had "
            f"{fitted.n_rows} {what} and a loss of {fitted.loss:.4g}, and these have {n_rows} and "
            f"{found:.4g}. The report is about the data of the fit: give the same ones, or an "
            "unfitted clone, which is then fitted to these.",
            OtherDataWarning,
        )


@torch.no_grad()
def _loss(rows: TrainingRows) -> float:
    """Return the mean weighted loss in units of the target's variance."""
    data = rows.data
    prediction, _ = rows.hybrid.evaluate(data.x, rows.coordinates)
    scale = rows.hybrid.scales.target_scale.double()
    errors = (data.y - prediction).double() / scale
    if data.weight is None:
        return float(rows.cost.mean(errors, None, scale.shape))
    errors = torch.where(data.weight > 0, errors, 0.0)
    return float(rows.cost.mean(errors, data.weight.double(), scale.shape))
