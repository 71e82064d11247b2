"""Nonlinear regression problems of the NIST Statistical Reference Datasets.

Source: NIST StRD, nonlinear least squares (public domain),
https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml. The tables in ``tests/nist`` hold the
published digits of the data, the two starting points (start 1 is far, start 2 is nearer) and the
certified results.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).resolve().parent / "nist"

_UNKNOWN = re.compile(r"# b(\d+) start1=(\S+) start2=(\S+) certified=(\S+) sd=(\S+)")
_RESIDUAL = re.compile(r"# residual_sum_of_squares=(\S+)")


@dataclass(frozen=True)
class NistProblem:
    """One problem: data, starting points and certified results, all in float64.

    The unknowns are ``b1`` to ``bp``, in this order in every array. ``standard_deviation`` is the
    square root of the diagonal of ``rss / (n - p) * inverse(J'J)`` at the certified values.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    starts: np.ndarray
    certified: np.ndarray
    standard_deviation: np.ndarray
    residual_sum_of_squares: float
    model: Callable[..., torch.Tensor]


def misra1a(x, *, b1, b2):
    """NIST StRD Misra1a (lower difficulty)."""
    return b1 * (1 - torch.exp(-b2 * x))


def misra1b(x, *, b1, b2):
    """NIST StRD Misra1b (lower difficulty)."""
    return b1 * (1 - (1 + b2 * x / 2) ** (-2))


def chwirut2(x, *, b1, b2, b3):
    """NIST StRD Chwirut2 (lower difficulty)."""
    return torch.exp(-b1 * x) / (b2 + b3 * x)


def hahn1(x, *, b1, b2, b3, b4, b5, b6, b7):
    """NIST StRD Hahn1 (average difficulty)."""
    return (b1 + b2 * x + b3 * x**2 + b4 * x**3) / (1 + b5 * x + b6 * x**2 + b7 * x**3)


def thurber(x, *, b1, b2, b3, b4, b5, b6, b7):
    """NIST StRD Thurber (higher difficulty)."""
    return (b1 + b2 * x + b3 * x**2 + b4 * x**3) / (1 + b5 * x + b6 * x**2 + b7 * x**3)


def mgh09(x, *, b1, b2, b3, b4):
    """NIST StRD MGH09 (higher difficulty), Kowalik and Osborne's function."""
    return b1 * (x**2 + x * b2) / (x**2 + x * b3 + b4)


def mgh10(x, *, b1, b2, b3):
    """NIST StRD MGH10 (higher difficulty), Meyer's function."""
    return b1 * torch.exp(b2 / (x + b3))


def eckerle4(x, *, b1, b2, b3):
    """NIST StRD Eckerle4 (higher difficulty)."""
    return (b1 / b2) * torch.exp(-0.5 * ((x - b3) / b2) ** 2)


def rat43(x, *, b1, b2, b3, b4):
    """NIST StRD Rat43, also named Ratkowsky3 (higher difficulty)."""
    return b1 / (1 + torch.exp(b2 - b3 * x)) ** (1 / b4)


def boxbod(x, *, b1, b2):
    """NIST StRD BoxBOD (higher difficulty)."""
    return b1 * (1 - torch.exp(-b2 * x))


PROBLEMS = {
    "Misra1a": misra1a,
    "Misra1b": misra1b,
    "Chwirut2": chwirut2,
    "Hahn1": hahn1,
    "Thurber": thurber,
    "MGH09": mgh09,
    "MGH10": mgh10,
    "Eckerle4": eckerle4,
    "Rat43": rat43,
    "BoxBOD": boxbod,
}


def load(name: str) -> NistProblem:
    """Read ``tests/nist/<name>.csv``; the names are the keys of ``PROBLEMS``."""
    model = PROBLEMS[name]
    text = (FOLDER / f"{name}.csv").read_text(encoding="utf-8")
    header = [line for line in text.splitlines() if line.startswith("#")]
    unknowns = [found.groups() for line in header if (found := _UNKNOWN.fullmatch(line))]
    (residual,) = [found[1] for line in header if (found := _RESIDUAL.fullmatch(line))]
    if [int(row[0]) for row in unknowns] != list(range(1, len(unknowns) + 1)):
        raise ValueError(f"{name}.csv does not list its unknowns b1, b2, ... in order")
    table = np.array([row[1:] for row in unknowns], dtype=np.float64)
    data = np.loadtxt(text.splitlines()[len(header) + 1 :], delimiter=",", ndmin=2)
    return NistProblem(
        name=name,
        x=data[:, 1].copy(),
        y=data[:, 0].copy(),
        starts=table[:, :2].T.copy(),
        certified=table[:, 2].copy(),
        standard_deviation=table[:, 3].copy(),
        residual_sum_of_squares=float(residual),
        model=model,
    )
