"""A predator-prey model of rotifers and algae in a chemostat."""

from __future__ import annotations

import torch


def rotifer_algae(
    t: torch.Tensor,
    state: torch.Tensor,
    inputs: torch.Tensor,
    *,
    growth: float | torch.Tensor = 3.3,
    half_nitrogen: float | torch.Tensor = 4.3,
    nitrogen_content: float | torch.Tensor = 28.0,
    grazing: float | torch.Tensor = 0.18,
    half_algae: float | torch.Tensor = 0.54,
    conversion: float | torch.Tensor = 12.0,
    mortality: float | torch.Tensor = 0.055,
    dilution: float | torch.Tensor = 0.55,
) -> torch.Tensor:
    """Return rates of algae and rotifers: saturating grazing, nitrogen-limited growth.

    Parameters
    ----------
    t : Tensor of shape ()
        Time in d. The law does not depend on it.
    state : Tensor of shape (..., 2)
        Algae in 10^6 cells/ml and rotifers in animals/ml.
    inputs : Tensor of shape (..., 1)
        Nitrogen in the medium that flows in, in umol/l.
    growth : float or Tensor of shape (), default=3.3
        Growth rate of the algae with plenty of nitrogen, in 1/d.
    half_nitrogen : float or Tensor of shape (), default=4.3
        Free nitrogen at which the algae grow half as fast, in umol/l.
    nitrogen_content : float or Tensor of shape (), default=28.0
        Nitrogen in the algae, in umol/l per 10^6 cells/ml.
    grazing : float or Tensor of shape (), default=0.18
        Algae that a rotifer eats when there is plenty, in 10^6 cells per animal and day.
    half_algae : float or Tensor of shape (), default=0.54
        Algae at which a rotifer eats half as much, in 10^6 cells/ml.
    conversion : float or Tensor of shape (), default=12.0
        Rotifers that grow from 10^6 cells.
    mortality : float or Tensor of shape (), default=0.055
        Death rate of the rotifers, in 1/d.
    dilution : float or Tensor of shape (), default=0.55
        Rate at which the inflow replaces the contents of the vessel, in 1/d.

    Returns
    -------
    Tensor of shape (..., 2)
        Rates of algae and rotifers, per day.

    Notes
    -----
    With algae a, rotifers r, nitrogen N of the inflow and free nitrogen n:

    ::

        n  = max(N - nitrogen_content a, 0)
        g  = grazing a / (half_algae + a)
        a' = growth n / (half_nitrogen + n) a - g r - dilution a
        r' = conversion g r - (mortality + dilution) r

    It is the predator-prey model of Rosenzweig and MacArthur with the nutrient-limited growth of
    Fussmann et al., with two changes. The free nitrogen is not a state but follows from the
    nitrogen balance, so that both states are measured. All rotifers reproduce. An inexact step can
    give amounts below 0: they neither grow nor eat nor are eaten, so that values and gradients
    stay finite.

    Training starts from the defaults: the constants of Fussmann et al. (growth 3.3 per day,
    half-saturation 4.3 umol N/l; rotifers 2.25 per day, 15 umol N/l, assimilation of a quarter of
    the eaten algae; mortality 0.055 per day), converted from nitrogen to counts with 28 umol N/l
    for 10^6 algae per ml and 0.57 umol N/l for one rotifer per ml. These two numbers and the
    dilution rate come from users of the data.

    References
    ----------
    G. F. Fussmann, S. P. Ellner, K. W. Shertzer, N. G. Hairston Jr.: "Crossing the Hopf bifurcation
    in a live predator-prey system", Science 290, 1358-1360 (2000),
    doi:10.1126/science.290.5495.1358.

    M. L. Rosenzweig, R. H. MacArthur: "Graphical representation and stability conditions of
    predator-prey interactions", American Naturalist 97, 209-223 (1963), doi:10.1086/282272.

    Examples
    --------
    >>> import torch
    >>> from skhybrid.datasets import rotifer_algae
    >>> counts, medium = torch.tensor([0.5, 0.0]), torch.tensor([80.0])
    >>> rotifer_algae(torch.tensor(0.0), counts, medium, dilution=0.0)  # growth of algae alone
    tensor([1.5491, 0.0000])
    """
    algae, rotifers = state.unbind(-1)
    living_algae, living_rotifers = torch.relu(algae), torch.relu(rotifers)
    nitrogen = torch.relu(inputs[..., 0] - nitrogen_content * living_algae)
    born = growth * nitrogen / (half_nitrogen + nitrogen) * living_algae
    eaten = grazing * living_algae / (half_algae + living_algae) * living_rotifers
    return torch.stack(
        [
            born - eaten - dilution * algae,
            conversion * eaten - (mortality + dilution) * rotifers,
        ],
        dim=-1,
    )
