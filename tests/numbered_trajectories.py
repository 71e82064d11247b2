"""Trajectories whose values identify trajectory and time, for tests of windows and scales."""

from __future__ import annotations

import numpy as np

from skhybrid.data.trajectories import Trajectories
from skhybrid.model.layout import Layout


def make_trajectories(n=3, n_times=8, *, lengths=None, weight=None, states=None, **options):
    """Return trajectories of two states whose values identify trajectory and time."""
    if states is not None:
        n, n_times = states.shape[:2]
    lengths = np.full(n, n_times) if lengths is None else np.array(lengths)
    n, n_times = len(lengths), int(lengths.max())
    if states is None:
        number = np.arange(n)[:, None, None]
        states = 100.0 * number + np.arange(n_times)[:, None] + [0.0, 0.5]
    for i, length in enumerate(lengths):
        states[i, length:] = np.nan
    times = np.broadcast_to(0.1 * np.arange(n_times), (n, n_times)).copy()
    for i, length in enumerate(lengths):
        times[i, length:] = times[i, length - 1]
    inputs = options.pop("inputs", None)
    outputs = options.pop("outputs", states)
    learned = options.get("learned", False)
    layout = {"state_shape": (2,), "output_shape": outputs.shape[2:], "with_first": learned}
    return Trajectories(
        states=np.nan_to_num(states) if learned else states,
        times=times,
        outputs=outputs,
        inputs=inputs,
        lengths=lengths,
        weight=np.ones(n) if weight is None else np.array(weight, dtype=float),
        layout=Layout(**{**layout, **options}),
    )
