"""Results of training: which end statuses are usable, and the result of an error."""

from __future__ import annotations

import math

import pytest

from skhybrid.training.result import FitResult, Status


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
