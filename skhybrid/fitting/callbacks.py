"""Connect a running fit to its verbose output and to scikit-learn's callbacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.fitting.few_rows import rows_to_check
from skhybrid.fitting.fitted import Fitted, snapshot, user_values
from skhybrid.fitting.progress import is_due, progress_line
from skhybrid.model.batch import Batch
from skhybrid.model.hybrid import Hybrid
from skhybrid.training.explained_variance import measure_explained_variance
from skhybrid.training.members import Members
from skhybrid.training.multistart import Observer


class FitObserver:
    """Connect a fit to ``verbose`` and to the callbacks of an estimator.

    For callbacks, a fit is one task; every epoch of every phase is a task within it.

    Parameters
    ----------
    estimator : HybridRegressor
    trajectory_info : TrajectoryInfo or None
    X, y, sample_weight
        Arguments of ``fit``, for the callbacks.
    """

    def __init__(
        self,
        estimator: Any,
        trajectory_info: TrajectoryInfo | None,
        X: Any,
        y: Any,
        sample_weight: Any,
    ) -> None:
        self.estimator = estimator
        self.trajectory_info = trajectory_info
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.given = {"X": X, "y": y, "metadata": metadata}
        self.context = None

    def begin(self, n_epochs: int) -> None:
        """Tell the callbacks that a fit begins, of at most ``n_epochs`` epochs."""
        # A search around the estimator needs the context even without callbacks.
        self.context = self.estimator._init_callback_context(max_subtasks=n_epochs)
        self.context.call_on_fit_task_begin(estimator=self.estimator, **self.given)

    def end(self, fitted: Fitted) -> None:
        """Tell the callbacks that the fit has ended."""
        self.context.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=fitted.attributes, **self.given
        )

    def __call__(self, hybrid: Hybrid, data: Batch, n_epochs: Mapping[str, int]) -> Observer | None:
        """Begin; return the observer of the training, or None if nothing observes it."""
        self.begin(sum(n_epochs.values()))
        has_callbacks = bool(getattr(self.estimator, "_skl_callbacks", []))
        if not (has_callbacks or self.estimator.verbose):
            return None
        return _Watched(self, hybrid, data, n_epochs, has_callbacks)

    def call_back(self, phase: str, current: _Current) -> bool:
        """Run the callbacks of one epoch; return whether one of them asks to stop."""
        task = self.context.subcontext(task_name=f"{phase}-epoch")
        task.call_on_fit_task_begin(estimator=self.estimator, **self.given)
        return task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=current.attributes, **self.given
        )


class _Watched:
    """The observer of one training.

    Parameters
    ----------
    fit : FitObserver
    hybrid : Hybrid
    data : Batch
    n_epochs : mapping of str to int
    has_callbacks : bool
    """

    def __init__(
        self,
        fit: FitObserver,
        hybrid: Hybrid,
        data: Batch,
        n_epochs: Mapping[str, int],
        has_callbacks: bool,
    ) -> None:
        self.fit, self.hybrid, self.data = fit, hybrid, data
        self.n_epochs, self.has_callbacks = n_epochs, has_callbacks
        self.loss_curve: list[float] = []

    def __call__(self, phase: str, epoch: int, members: Members, losses: Tensor) -> bool:
        """Print a line if it is due, and run the callbacks; return whether to stop."""
        member = self._add(phase, losses)
        info = self.fit.trajectory_info
        current = _Current(self.hybrid, self.data, members, member, self.loss_curve, info)
        if self.fit.estimator.verbose and is_due(epoch, self.n_epochs[phase]):
            print(current.line(phase, epoch, self.n_epochs[phase]), flush=True)
        return self.has_callbacks and self.fit.call_back(phase, current)

    def note(self, phase: str, curve: Iterable[Tensor]) -> None:
        """Note the losses of epochs that were run before the fit went on from a checkpoint."""
        for losses in curve:
            self._add(phase, losses)

    def _add(self, phase: str, losses: Tensor) -> int:
        """Add an epoch to the loss curve; return the member that it shows."""
        # In the second phase member 0 is the fit itself; before, the best restart so far is.
        member = 0 if phase == "refine" else int(losses.nan_to_num(nan=torch.inf).argmin())
        self.loss_curve.append(float(losses[member]))
        return member


@dataclass(frozen=True)
class _Current:
    """The current state of one member; its curve has the mean minibatch loss of every epoch."""

    hybrid: Hybrid
    data: Batch
    members: Members
    member: int
    loss_curve: list[float]
    trajectory_info: TrajectoryInfo | None

    def line(self, phase: str, epoch: int, n_epochs: int) -> str:
        """Return the line to print."""
        coordinates = self.members.member_coordinates(self.member)
        share = None
        if self.hybrid.physics is not None:
            weights = self.members.member_weights(self.member)
            explained = measure_explained_variance(
                self.hybrid, self.data.x, self.data.y, coordinates, weights
            )
            share = explained.physics_share
        values = user_values(self.hybrid, coordinates)
        return progress_line(phase, epoch, n_epochs, self.loss_curve[-1], share, values)

    def attributes(self) -> dict[str, Any]:
        """Return the attributes with which a copy of the estimator can predict."""
        coordinates = self.members.member_coordinates(self.member)
        weights = self.members.member_weights(self.member)
        return snapshot(
            self.hybrid,
            rows_to_check(self.data),
            coordinates,
            weights,
            list(self.loss_curve),
            self.trajectory_info,
        ).attributes()
