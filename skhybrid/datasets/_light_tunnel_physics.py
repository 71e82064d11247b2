"""Malus' law for the light tunnel, and the columns of its measured and simulated rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch

FEATURE_NAMES = ("red", "green", "blue", "pol_1", "pol_2", "l_31", "l_32")

COLUMNS_DESCR = """\
================  =========  ====================================================
red, green, blue  LED drive  0 to 85; red 171 to 255 in "red_shift"
pol_1, pol_2      degrees    -15 to 24; pol_1 66 to 104 in "polarizer_shift"
l_31, l_32        LED drive  0 to 170; two small LEDs beside the third sensor
ir_3              counts     infrared sensor behind both polarizers (the target)
================  =========  ====================================================

Rows are independent settings of the tunnel, not a time series. The physics of ir_3 is Malus' law
for a pair of imperfect polarizers:

    ir_3 = (gain . RGB) (cos^2(pol_1 - pol_2) + leak sin^2(pol_1 - pol_2))
"""


def malus(
    red: torch.Tensor,
    green: torch.Tensor,
    blue: torch.Tensor,
    pol_1: torch.Tensor,
    pol_2: torch.Tensor,
    *,
    gain: Sequence[float] | torch.Tensor = (1.0, 1.0, 1.0),
    leak: float | torch.Tensor = 0.1,
) -> torch.Tensor:
    """Return the light of three LEDs behind two imperfect polarizers, by Malus' law.

    Parameters
    ----------
    red, green, blue : Tensor of shape (n_samples,)
        Drive of the LEDs, in steps from 0 to 255.
    pol_1, pol_2 : Tensor of shape (n_samples,)
        Angles of the polarizers, in degrees.
    gain : sequence of 3 floats or Tensor of shape (3,), default=(1.0, 1.0, 1.0)
        Sensor reading per step of red, green and blue with aligned polarizers, in counts per step.
        The default is equal for all colours.
    leak : float or Tensor of shape (), default=0.1
        Fraction of the light that passes crossed polarizers. Training starts from the default:
        real polarizers are imperfect.

    Returns
    -------
    Tensor of shape (n_samples,)
        Sensor reading, in counts.

    Examples
    --------
    >>> import torch
    >>> from skhybrid.datasets import malus
    >>> colour = torch.tensor([10.0, 10.0])
    >>> malus(colour, colour, colour, torch.tensor([0.0, 90.0]), torch.zeros(2), leak=0.5)
    tensor([30., 15.])
    """
    light = gain[0] * red + gain[1] * green + gain[2] * blue
    aligned = torch.cos(torch.deg2rad(pol_1 - pol_2)) ** 2
    return light * (aligned + leak * (1 - aligned))
