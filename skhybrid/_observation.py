"""What a fit tells while it runs: to the terminal, and to scikit-learn's callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skhybrid._fitting import Fitted, snapshot, user_values
from skhybrid._progress import is_due, progress_line
from skhybrid.structures import Hybrid
from skhybrid.training import Batch, Members
from skhybrid.training.estimation import Observer
from skhybrid.training.sharing import measure_shares


class FitObservation:
    """Connects a fit to ``verbose`` and to the callbacks of an estimator.

    For the callbacks a fit is one task, and every epoch of every phase is a task within it.

    Parameters
    ----------
    estimator : HybridRegressor
    X, y, sample_weight
        What the user gave to ``fit``, handed on to the callbacks.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any) -> None:
        self.estimator = estimator
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.given = {"X": X, "y": y, "metadata": metadata}
        self.context = None

    def begin(self, n_epochs: int) -> None:
        """Tell the callbacks that a fit of so many epochs, if nothing stops it, begins."""
        # A search that the estimator is part of wants to know of it even without callbacks.
        self.context = self.estimator._init_callback_context(max_subtasks=n_epochs)
        self.context.call_on_fit_task_begin(estimator=self.estimator, **self.given)

    def end(self, fitted: Fitted) -> None:
        """Tell the callbacks that the fit has ended."""
        self.context.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=fitted.attributes, **self.given
        )

    def __call__(self, hybrid: Hybrid, data: Batch, n_epochs: Mapping[str, int]) -> Observer | None:
        """Begin; return the observer of the training, or None if nobody looks."""
        self.begin(sum(n_epochs.values()))
        has_callbacks = bool(getattr(self.estimator, "_skl_callbacks", []))
        if not (has_callbacks or self.estimator.verbose):
            return None
        loss_curve: list[float] = []

        def observe(phase: str, epoch: int, members: Members, losses: Tensor) -> bool:
            # The fit itself is member 0 while it is refined; before, the best so far stands for it.
            member = 0 if phase == "refine" else int(losses.nan_to_num(nan=torch.inf).argmin())
            loss_curve.append(float(losses[member]))
            current = _Current(hybrid, data, members, member, loss_curve)
            if self.estimator.verbose and is_due(epoch, n_epochs[phase]):
                print(current.line(phase, epoch, n_epochs[phase]), flush=True)
            return has_callbacks and self._call_back(phase, current)

        return observe

    def _call_back(self, phase: str, current: _Current) -> bool:
        task = self.context.subcontext(task_name=f"{phase}-epoch")
        task.call_on_fit_task_begin(estimator=self.estimator, **self.given)
        return task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=current.attributes, **self.given
        )


@dataclass(frozen=True)
class _Current:
    """One member as it is now; its curve has the mean minibatch loss of every epoch so far."""

    hybrid: Hybrid
    data: Batch
    members: Members
    member: int
    loss_curve: list[float]

    def line(self, phase: str, epoch: int, n_epochs: int) -> str:
        coordinates = self.members.member_coordinates(self.member)
        share = None
        if self.hybrid.physics is not None:
            weights = self.members.member_weights(self.member)
            shares = measure_shares(self.hybrid, self.data.x, self.data.y, coordinates, weights)
            share = shares.physics_share
        values = user_values(self.hybrid, coordinates)
        return progress_line(phase, epoch, n_epochs, self.loss_curve[-1], share, values)

    def attributes(self) -> dict[str, Any]:
        """Return what makes a copy of the estimator ready to predict."""
        coordinates = self.members.member_coordinates(self.member)
        weights = self.members.member_weights(self.member)
        return snapshot(
            self.hybrid, self.data.x, coordinates, weights, list(self.loss_curve)
        ).attributes()
