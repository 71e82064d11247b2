"""Results of training: which end statuses are usable, and the result of an error."""

from __future__ import annotations

import math

import pytest
import torch

from skhybrid.training.result import FitResult, MemberResults, Status


@pytest.mark.parametrize("status", Status)
def test_parameters_are_usable_unless_training_failed_from_its_first_epoch(status):
    assert status.usable == (status not in (Status.FAILED, Status.ERROR))


def test_the_result_of_an_error_holds_the_error_and_no_parameters():
    error = ValueError("no such decay")
    result = FitResult.of_error(error)
    assert result.status is Status.ERROR
    assert result.error is error
    assert result.weights == result.coordinates == {}
    assert math.isnan(result.loss)
    assert result.best is None


def test_the_loss_curve_tells_how_long_the_first_phase_was():
    second = MemberResults([Status.FINISHED], torch.zeros(1), None, torch.zeros(3, 1))
    curve = [0.5] * 7
    assert FitResult(Status.FINISHED, loss_curve=curve, refinement=second).n_first == 4
    assert FitResult(Status.FINISHED, loss_curve=curve).n_first == 7
