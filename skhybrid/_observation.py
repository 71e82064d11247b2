"""What a fit tells while it runs: to the terminal, and to scikit-learn's callbacks."""

from __future__ import annotations

from collections.abc import Mapping
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

    Parameters
    ----------
    estimator : HybridRegressor
    X, y, sample_weight
        What the user gave to ``fit``, handed on to the callbacks.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any) -> None:
        self.estimator = estimator
        self.X, self.y, self.sample_weight = X, y, sample_weight
        self.has_callbacks = bool(getattr(estimator, "_skl_callbacks", []))

    def __call__(
        self, hybrid: Hybrid, data: Batch, n_epochs: Mapping[str, int]
    ) -> Observer | None:
        """Return the observer of one training, or None if nobody looks."""
        context = None
        if self.has_callbacks:
            context = self.estimator._init_callback_context(max_subtasks=sum(n_epochs.values()))
            context.call_on_fit_task_begin(estimator=self.estimator, **self._data())
        elif not self.estimator.verbose:
            return None

        def observe(phase: str, epoch: int, members: Members, losses: Tensor) -> bool:
            # The fit itself is member 0 while it is refined; before, the best so far stands for it.
            member = 0 if phase == "refine" else int(torch.nan_to_num(losses, nan=torch.inf).argmin())
            current = _Current(hybrid, members, member, float(losses[member]))
            if self.estimator.verbose and is_due(epoch, n_epochs[phase]):
                print(current.line(phase, epoch, n_epochs[phase], data))
            return context is not None and self._call_back(context, current)

        return observe

    def _call_back(self, context: Any, current: _Current) -> bool:
        task = context.subcontext(task_name="epoch")
        data = self._data()
        task.call_on_fit_task_begin(estimator=self.estimator, **data)
        return task.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=lambda: current.attributes(),
            **data,
        )

    def _data(self) -> dict[str, Any]:
        metadata = None
        if self.sample_weight is not None:
            metadata = {"sample_weight": self.sample_weight}
        return {"X": self.X, "y": self.y, "metadata": metadata}


class _Current:
    """One member as it is now."""

    def __init__(self, hybrid: Hybrid, members: Members, member: int, loss: float) -> None:
        self.hybrid = hybrid
        self.members = members
        self.member = member
        self.loss = loss

    def line(self, phase: str, epoch: int, n_epochs: int, data: Batch) -> str:
        coordinates = self.members.member_coordinates(self.member)
        weights = self.members.member_weights(self.member)
        shares = measure_shares(self.hybrid, data.x, data.y, coordinates, weights)
        values = user_values(self.hybrid, coordinates)
        return progress_line(phase, epoch, n_epochs, self.loss, shares, values)

    def attributes(self) -> dict[str, Any]:
        """Return what makes a copy of the estimator ready to predict."""
        coordinates = self.members.member_coordinates(self.member)
        weights = self.members.member_weights(self.member)
        hybrid = snapshot(self.hybrid, coordinates, weights)
        fitted = Fitted(hybrid, coordinates, self.loss, [], 0, [])
        return {
            "_fitted": fitted,
            "module_": hybrid.network,
            "physics_params_": fitted.physics_params,
            "loss_": self.loss,
        }
