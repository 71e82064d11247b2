"""Connect running fits to scikit-learn's callbacks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sklearn.callback import with_callbacks
from torch import Tensor

from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.fitting.few_rows import rows_to_check
from skhybrid.fitting.fitted import Fitted, snapshot
from skhybrid.model.batch import Batch
from skhybrid.model.hybrid import Hybrid
from skhybrid.training.input_padding import InputPadding
from skhybrid.training.members import Members
from skhybrid.training.problem import Fit

# Where scikit-learn keeps what a callback, or a search around the estimator, has registered.
_REGISTERED = ("_skl_callbacks", "_parent_callback_ctx")

# The decorator tears callbacks down when the function returns.
_tear_down = with_callbacks(lambda estimator: None)


class FitCallbacks:
    """Tell the callbacks of an estimator about one fit.

    For callbacks, a fit is one task; every epoch of every phase is a task within it. The fit may be
    trained later than the estimator's ``fit`` is called, in a batch: what is registered for it is
    kept here.

    Parameters
    ----------
    estimator : HybridRegressor
    X, y, sample_weight
        Arguments of ``fit``, for the callbacks.

    Attributes
    ----------
    error : Exception or None
        Error that a callback raised while a batch trained the fit.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any) -> None:
        self.estimator = estimator
        self.error: Exception | None = None
        self.context = None
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._given = {"X": X, "y": y, "metadata": metadata}
        self._registered = {n: v for n, v in vars(estimator).items() if n in _REGISTERED}
        # If a batch fails, its fits are trained again, and no epoch is told twice.
        self._n_told = 0
        self._stopped = False

    @property
    def exist(self) -> bool:
        """Whether the estimator has callbacks, of its own or of a search around it."""
        return bool(self._registered.get("_skl_callbacks"))

    def begin(self, n_epochs: int) -> None:
        """Tell the callbacks that a fit begins, of at most ``n_epochs`` epochs."""
        # A search around the estimator needs the context even without callbacks.
        with self._as_registered():
            self.context = self.estimator._init_callback_context(max_subtasks=n_epochs)
        self.context.call_on_fit_task_begin(estimator=self.estimator, **self._given)

    def end(self, fitted: Fitted) -> None:
        """Tell the callbacks that the fit has ended."""
        self.context.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=fitted.attributes, **self._given
        )

    def tear_down(self) -> None:
        """Tear the callbacks down, after a fit in a batch."""
        if self.context is not None:
            _tear_down(self.estimator)

    def epoch(self, number: int, phase: str, current: _Current) -> bool:
        """Run the callbacks of an epoch, unless they were; return whether one asks to stop."""
        if number > self._n_told:
            self._n_told = number
            task = self.context.subcontext(task_name=f"{phase}-epoch")
            task.call_on_fit_task_begin(estimator=self.estimator, **self._given)
            self._stopped = task.call_on_fit_task_end(
                estimator=self.estimator,
                reconstruction_attributes=current.attributes,
                **self._given,
            )
        return self._stopped and number == self._n_told

    @contextlib.contextmanager
    def _as_registered(self) -> Iterator[None]:
        """Register again what was registered when ``fit`` was called."""
        attributes = vars(self.estimator)
        now = {name: attributes.pop(name) for name in _REGISTERED if name in attributes}
        attributes.update(self._registered)
        try:
            yield
        finally:
            for name in _REGISTERED:
                attributes.pop(name, None)
            attributes.update(now)


class CalledBack:
    """Runs the callbacks of one fit after its epochs, in a batch or alone.

    Parameters
    ----------
    callbacks : FitCallbacks
    fit : Fit
    trajectory_info : TrajectoryInfo or None
    padding : InputPadding, default=None
        How the batch pads the network's inputs.
    """

    def __init__(
        self,
        callbacks: FitCallbacks,
        fit: Fit,
        trajectory_info: TrajectoryInfo | None,
        padding: InputPadding | None = None,
    ) -> None:
        self.callbacks = callbacks
        self.hybrid, self.data = fit.problem.hybrid, fit.problem.data
        self.trajectory_info = trajectory_info
        self.padding = padding
        self.loss_curve: list[float] = []
        self._n_epochs = 0

    def __call__(self, phase: str, members: Members, losses: Tensor, part: slice) -> bool:
        """Run the callbacks of an epoch; return whether one of them asks to stop."""
        member = part.start + self._add(phase, losses[part])
        self._n_epochs += 1
        current = _Current(
            self.hybrid,
            self.data,
            members,
            member,
            self.loss_curve,
            self.trajectory_info,
            self.padding,
        )
        return self.callbacks.epoch(self._n_epochs, phase, current)

    def note(self, phase: str, curve: Iterable[Tensor], part: slice) -> None:
        """Note the losses of epochs that were run before the fit went on from a checkpoint."""
        for losses in curve:
            self._add(phase, losses[part])

    def _add(self, phase: str, losses: Tensor) -> int:
        """Add an epoch to the loss curve; return the member of the fit that it shows."""
        # In the second phase member 0 is the fit itself; before, the best restart so far is.
        member = 0 if phase == "refine" else int(losses.nan_to_num(nan=float("inf")).argmin())
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
    padding: InputPadding | None

    def attributes(self) -> dict[str, Any]:
        """Return the attributes with which a copy of the estimator can predict."""
        weights = self.members.member_weights(self.member)
        return snapshot(
            self.hybrid,
            rows_to_check(self.data),
            self.members.member_coordinates(self.member),
            weights if self.padding is None else self.padding.unpad(weights),
            list(self.loss_curve),
            self.trajectory_info,
        ).attributes()
