"""Results of training as tensors and plain values, and back."""

from __future__ import annotations

from typing import Any

from skhybrid.training.explained_variance import ExplainedVariance
from skhybrid.training.result import FitResult, MemberResults, Status


def member_results_state(results: MemberResults) -> dict[str, Any]:
    """Return results of the training loop as a state."""
    return {**vars(results), "status": [each.name for each in results.status]}


def member_results_from(state: dict[str, Any]) -> MemberResults:
    """Return results of the training loop from their state."""
    return MemberResults(**{**state, "status": [Status[name] for name in state["status"]]})


def fit_result_state(result: FitResult) -> dict[str, Any]:
    """Return the result of a fit as a state; its training must not have raised an error."""
    state = {**vars(result), "status": result.status.name}
    del state["error"]
    for name in ("restarts", "refinement"):
        if state[name] is not None:
            state[name] = member_results_state(state[name])
    if result.explained is not None:
        state["explained"] = vars(result.explained)
    return state


def fit_result_from(state: dict[str, Any]) -> FitResult:
    """Return the result of a fit from its state."""
    given = {**state, "status": Status[state["status"]]}
    for name in ("restarts", "refinement"):
        if given[name] is not None:
            given[name] = member_results_from(given[name])
    if given["explained"] is not None:
        given["explained"] = ExplainedVariance(**given["explained"])
    return FitResult(**given)
