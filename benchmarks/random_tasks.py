"""Random static tasks with known truth: one known effect and one missing term.

The physics is k · g(a), with g drawn from four shapes. The missing term is in another feature, in
an interaction, or overlaps the physics: it depends on the same feature. The network sees all three
features.
"""

from dataclasses import dataclass

import numpy as np
import torch

EFFECTS = {
    "sine": torch.sin,
    "line": lambda a: a,
    "square": lambda a: a.square(),
    "exponential": lambda a: torch.exp(0.5 * a),
}
SHAPES = {
    "sine": lambda u: np.sin(2 * u),
    "cube": lambda u: u**3 / 4,
    "step": lambda u: np.tanh(3 * u),
    "bell": lambda u: np.exp(-(u**2)),
}
KINDS = ("another feature", "interaction", "overlap")
N_FEATURES = 3
N_TEST_ROWS = 1000


@dataclass
class RandomTask:
    """Rows to train on, clean rows to test on, and the true k."""

    name: str
    kind: str
    effect: str
    noise: float
    k: float
    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    def physics(self):
        """Return the known effect, a function with the unknown k."""
        effect = EFFECTS[self.effect]

        def known(a, b, c, *, k=1.0):
            return k * effect(a)

        return known


def draw_task(number, seed, n_rows=None):
    """Return the random task of a number; the seed draws its rows and its noise.

    The number draws the number of rows, too, unless it is given.
    """
    settings = np.random.default_rng([number, 0])
    kind = KINDS[number % len(KINDS)]
    effect, shape = settings.choice(list(EFFECTS)), settings.choice(list(SHAPES))
    drawn = round(np.exp(settings.uniform(np.log(100), np.log(1000))))
    n_rows = drawn if n_rows is None else n_rows
    noise = 0.0 if settings.uniform() < 1 / 3 else settings.uniform(0.0, 0.2)
    k = settings.uniform(0.5, 3.0)
    share = settings.uniform(0.3, 1.0)
    rows = np.random.default_rng([number, 1, seed])
    X = rows.uniform(-2, 2, (n_rows + N_TEST_ROWS, N_FEATURES))
    a, b, c = X.T
    argument = {"another feature": b, "interaction": b * a / 2, "overlap": a}[kind]
    if kind == "interaction" and settings.uniform() < 0.5:
        argument = b * c / 2
    known = k * EFFECTS[effect](torch.from_numpy(a)).numpy()
    missing = SHAPES[shape](argument)
    y = known + share * known.std() / missing.std() * missing
    noisy = y + noise * y.std() * rows.standard_normal(len(y))
    train, test = slice(0, n_rows), slice(n_rows, None)
    name = f"{number:02d} {effect} + {shape}, {kind}, {n_rows} rows, noise {noise:.2f}"
    return RandomTask(name, kind, effect, noise, k, X[train], noisy[train], X[test], y[test])
