"""Numbers as text."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid.runtime.number_text import number_text, value_and_error


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (238.94212918, "238.94"),
        (-0.061440, "-0.06144"),
        (99999.6, "100000"),
        (123456.7, "123457"),
        (1e6, "1e+06"),
        (1.0966e-12, "1.0966e-12"),
        (100.0, "100"),
        (0.0, "0"),
        (np.nan, "–"),
        (-np.inf, "-∞"),
    ],
)
def test_a_value_has_five_digits_and_no_zeros_at_its_end(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("value", "error", "texts"),
    [
        (238.94212918, 2.7070075241, ("238.9", "2.7")),
        (9.4999, 0.0996, ("9.50", "0.10")),
        (12345.6, 432.1, ("12350", "430")),
        (0.0312, 0.51, ("0.03", "0.51")),
        (-1.4262e-6, 2.7578e-7, ("-1.43e-06", "0.28e-06")),
        (1.5e8, 2.25e6, ("1.500e+08", "0.022e+08")),
        (2.0, np.nan, ("2", "–")),
        (2.0, 0.0, ("2", "0")),
        (np.nan, 1.0, ("–", "1")),
    ],
)
def test_an_error_has_two_digits_and_its_value_as_many_decimals(value, error, texts):
    assert value_and_error(value, error) == texts


def test_texts_are_the_numbers_up_to_rounding():
    rng = np.random.default_rng(0)
    for _ in range(300):
        value = rng.normal() * 10.0 ** rng.integers(-12, 12)
        error = abs(value) * 10.0 ** rng.uniform(-7, 3)
        shown, shown_error = map(float, value_and_error(value, error))
        assert shown_error == pytest.approx(error, rel=0.051)
        assert shown == pytest.approx(value, abs=0.051 * error)
        assert float(number_text(value)) == pytest.approx(value, rel=5.1e-5)
