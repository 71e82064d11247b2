"""Random numbers during training: a fit draws the same ones whatever other threads do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch

from skhybrid.exceptions import RandomNetworkWarning
from skhybrid.model.batch import select_rows
from skhybrid.runtime.draws import drawing
from skhybrid.runtime.seeds import draws_globally, seeded_for_long
from skhybrid.runtime.user_warnings import warn, warnings_caught
from skhybrid.training.problem import Fit

# Rows of the evaluation that shows whether a model draws random numbers.
N_ROWS = 8


@contextlib.contextmanager
def random_numbers(fits: Sequence[Fit]) -> Iterator[None]:
    """Seed the random numbers of fits that are trained in one batch.

    Dropout layers draw from generators of these fits. Other random operations draw from torch's
    global generators: fits with such a model take turns with each other.

    Warns
    -----
    RandomNetworkWarning
        If a fit waits for its turn.
    """
    seed = fits[0].config.seed
    with drawing(seed):
        if not any(_draws_globally(fit) for fit in fits):
            yield
            return
        with seeded_for_long(seed, on_wait=warn_of_turns):
            yield


def warn_of_turns() -> None:
    """Warn that this fit waits for another one, because of torch's global generator."""
    warn(
        "This fit waits for a fit in another thread, whose model draws random numbers from torch's "
        "global generator, which all threads share: such fits take turns, so that results do not "
        "depend on what other threads do. Dropout as a layer (torch.nn.Dropout) has generators of "
        "its own and need not wait. Or use processes (n_jobs with joblib's default backend).",
        RandomNetworkWarning,
        once="turns",
    )


def _draws_globally(fit: Fit) -> bool:
    """Whether the training of a fit draws from torch's global generators."""
    problem, start = fit.problem, fit.starts[0]
    x = select_rows(problem.data.x, slice(0, N_ROWS))

    def evaluate() -> None:
        with torch.no_grad(), warnings_caught():
            problem.hybrid.evaluate(x, start.coordinates, start.weights, bounded=True)

    try:
        with drawing(0):
            return draws_globally(evaluate)
    except (RuntimeError, ValueError, IndexError):  # training raises it too, and reports it
        return False
