"""Numbers as text, with as many digits as say something."""

from __future__ import annotations

import math

# Digits of a value whose standard error is not known, and of a standard error.
DIGITS = 5
ERROR_DIGITS = 2
# Numbers outside of this range are written with an exponent.
SMALLEST, LARGEST = 1e-4, 1e6
# So are a value and its standard error with more digits behind the point.
MOST_DECIMALS = 6
# An error that is a smaller part of its value is rounding; the value then has so many digits.
LEAST_PART = 1e-10
MOST_DIGITS = 10


def number_text(value: float, digits: int = DIGITS) -> str:
    """Return a number with so many significant digits, without zeros at its end.

    Examples
    --------
    >>> number_text(238.94212918), number_text(5.5015643181e-7), number_text(2.0)
    ('238.94', '5.5016e-07', '2')
    """
    if not math.isfinite(value):
        return "–" if math.isnan(value) else f"{value}".replace("inf", "∞")
    if value == 0.0:
        return "0"
    if SMALLEST <= abs(value) < LARGEST:
        decimals = max(0, digits - 1 - _exponent(value, digits))
        text = f"{value:.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{exponent}"


def value_and_error(value: float, error: float) -> tuple[str, str]:
    """Return a value and its standard error: two digits of the error, and the value as far.

    Without a finite error above zero, the value has five digits, and the error is a dash (or "0").

    Examples
    --------
    >>> value_and_error(238.94212918, 2.7070075241)
    ('238.9', '2.7')
    >>> value_and_error(5.5015643181e-04, 7.2668688436e-06)
    ('5.502e-04', '0.073e-04')
    >>> value_and_error(2.0, float("nan"))
    ('2', '–')
    >>> value_and_error(79.999999999999986, 3e-15), value_and_error(-1e-16, 0.014)
    (('80', '3e-15'), ('0.000', '0.014'))
    """
    if not (math.isfinite(value) and math.isfinite(error) and error > 0.0):
        return number_text(value), number_text(error)
    if error < LEAST_PART * abs(value):
        return number_text(value, MOST_DIGITS), number_text(error, ERROR_DIGITS)
    last = _exponent(error, ERROR_DIGITS) - ERROR_DIGITS + 1  # power of ten of the last digit
    if abs(value) < 0.5 * 10.0**last:
        value = 0.0  # without the sign of a number that is rounded to zero
    largest = max(abs(value), error)
    if SMALLEST <= largest < LARGEST and -last <= MOST_DECIMALS:
        decimals = max(0, -last)
        # Digits before the point that the error does not fix are zeros.
        rounded = [round(each, -last) for each in (value, error)]
        return tuple(f"{each:.{decimals}f}" for each in rounded)
    power = _exponent(largest, ERROR_DIGITS)
    decimals = min(max(0, power - last), 15)
    return tuple(f"{each / 10.0**power:.{decimals}f}e{power:+03d}" for each in (value, error))


def _exponent(value: float, digits: int) -> int:
    """Return the power of ten of the first digit after rounding to so many digits."""
    return int(f"{abs(value):.{digits - 1}e}".partition("e")[2])
