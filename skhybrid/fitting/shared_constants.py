"""Find a constant of the physics that the network also gives, after a fit that could not settle it.

See :mod:`skhybrid.training.shared_constant`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from skhybrid.exceptions import ParameterWarning
from skhybrid.fitting.findings import Finding
from skhybrid.fitting.parameter_warnings import element_name, listed
from skhybrid.fitting.settings import FitSettings
from skhybrid.model.batch import Batch
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.structures import multiplicative
from skhybrid.training.shared_constant import find_shift, shifted

# A smaller mean of the network, in standard deviations of the target or as a part of the physics,
# hardly changes θ.
SMALL = 0.01


def findings_of_constants(
    hybrid: Hybrid, coordinates: Mapping[str, Tensor], data: Batch, settings: FitSettings
) -> Iterator[Finding]:
    """Yield the physics parameters whose value depends on the mean of the network.

    Parameters
    ----------
    hybrid : Hybrid
        Fitted model.
    coordinates : mapping of str to Tensor
        Scaled physics parameters.
    data : Batch
        Training rows.
    settings : FitSettings
    """
    if settings.physics_learning_rate == 0.0 or hybrid.network is None:
        return
    weights = {name: own for name, own in hybrid.network.named_parameters() if own.requires_grad}
    shift = find_shift(hybrid, data, weights, coordinates)
    if shift is None or float(shift.wanted.abs().max()) < SMALL:
        return
    left = shift.wanted - shift.amount
    if float(left.abs().max()) >= SMALL:
        why = (
            "its bounds are in the way. Widen the bounds if they are no physical limit, or set "
            "fixed=True if the value is known."
        )
    elif shifted(hybrid, data, weights, coordinates, shift)[1] is coordinates:
        left = shift.wanted
        why = (
            "the network cannot give its mean away. End nn in a torch.nn.Linear with a bias that "
            "is trained, or set fixed=True for the parameter if its value is known."
        )
    else:
        return
    names = listed([element_name(*element) for element in shift.elements])
    effect = "a factor" if hybrid.structure is multiplicative else "an offset"
    unit = "" if hybrid.structure is multiplicative else " standard deviations of the target"
    means = ", ".join(f"{mean:.3g}" for mean in left.tolist())
    yield Finding(
        ParameterWarning,
        ("constant", names),
        f"The data cannot tell {names} and the mean of the network apart: both give the prediction "
        f"{effect}. By convention, the network has a mean of zero over the training rows, but here "
        f"it keeps {means}{unit}, because {why}",
    )
