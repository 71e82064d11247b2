"""Scale an untrained network down if the rollouts of its model grow."""

from __future__ import annotations

import torch
from torch import Tensor

from skhybrid.model.batch import Windows
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.networks import scale_output

# An untrained network may change the prediction by so many standard deviations of the target.
MAX_CHANGE = 2.0
# Otherwise its output is multiplied by this factor, at most so many times.
FACTOR = 0.1
MAX_TIMES = 4


def calm_network(hybrid: Hybrid, x: Tensor | Windows) -> None:
    """Scale the untrained network of a differential equation down, in place, if rollouts grow.

    Random rates add up over long windows, and physics that grows by itself enlarges them. The
    change is the root mean square of what the network adds to the prediction. Only networks from
    hidden sizes are scaled: nothing is known of a module's output.

    Parameters
    ----------
    hybrid : Hybrid
        Model with an untrained network.
    x : Tensor or Windows
        Rows.
    """
    if not isinstance(hybrid, Dynamics) or hybrid.has_hidden_encoder:
        return
    values = hybrid.space.values(hybrid.space.initial_coordinates())
    with torch.no_grad():
        alone = hybrid.without_network(x, values, None)[0]
        for _ in range(MAX_TIMES):
            change = (hybrid.join(x, values, hybrid.bind_network()) - alone) / (
                hybrid.scales.target_scale
            )
            if float(change.square().mean().sqrt()) <= MAX_CHANGE:
                return
            if not scale_output(hybrid.network, FACTOR):
                return
