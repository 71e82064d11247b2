"""What the displays share: colours, axes, labels with units, means over bins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

# Colours that colour-blind people can tell apart (Okabe and Ito, 2008).
BLACK, GREY = "#000000", "#777777"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

# More points than this hide each other: they are drawn as means over bins.
MAX_POINTS = 300
N_BINS = 25
# More panels than this cannot be read.
MAX_PANELS = 12
# Size of a panel, in inches.
PANEL_SIZE = (3.8, 3.2)


def panels(
    ax: Any,
    n: int,
    *,
    n_columns: int = 3,
    size: tuple[float, float] = PANEL_SIZE,
    heights: Any = None,
    share: bool = False,
) -> np.ndarray:
    """Return axes for several panels.

    Parameters
    ----------
    ax : matplotlib Axes, sequence of Axes or None
        None makes a new figure. A single one is divided. A sequence has one for each panel.
    n : int
        Number of panels.
    n_columns : int, default=3
        Most panels beside each other.
    size : tuple (width, height)
        Of a panel in a new figure, in inches.
    heights : sequence of float, default=None
        Relative heights of the rows.
    share : bool, default=False
        Whether panels in one column have the same horizontal axis.

    Raises
    ------
    ValueError
        If there is another number of axes.
    """
    import matplotlib.pyplot as plt

    given = None if ax is None else np.asarray(ax, dtype=object).ravel()
    if given is not None and len(given) == n:
        return given
    if given is not None and len(given) != 1:
        raise ValueError(f"ax must be one axes or {n} axes; got {len(given)}.")
    n_columns = min(n_columns, n)
    n_rows = -(-n // n_columns)
    if given is None:
        figure = plt.figure(figsize=(size[0] * n_columns, size[1] * n_rows), layout="constrained")
        grid = figure.add_gridspec(n_rows, n_columns, height_ratios=heights)
    else:
        figure = given[0].figure
        given[0].set_axis_off()
        grid = given[0].get_subplotspec()
        if grid is None:
            raise ValueError(
                "ax is not part of a grid, so it cannot be divided. Make it with plt.subplots, or "
                f"give {n} axes."
            )
        grid = grid.subgridspec(n_rows, n_columns, height_ratios=heights)
    found: list[Any] = []
    for number in range(n):
        row, column = divmod(number, n_columns)
        above = found[column] if share and row else None
        found.append(figure.add_subplot(grid[row, column], sharex=above))
    return np.array(found, dtype=object)


def one_panel(ax: Any, size: tuple[float, float]) -> Any:
    """Return one axes: the given one, or that of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def with_unit(name: str, unit: str | None) -> str:
    """Return the label of an axis."""
    return f"{name} ({unit})" if unit else name


def unit_of(units: Mapping[str, str | None], element: str) -> str | None:
    """Return the unit of an element such as "gain[0]"."""
    return units.get(element, units.get(element.partition("[")[0]))


def tidy(ax: Any) -> None:
    """Take the frame away where it says nothing."""
    ax.spines[["top", "right"]].set_visible(False)


class Bins(NamedTuple):
    """Means over bins with equally many points.

    Attributes
    ----------
    x, mean, low, high : array of shape (n_bins,)
        Mean of x, mean of the values, and their 10 % and 90 % quantiles.
    """

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def binned(x: np.ndarray, values: np.ndarray, n_bins: int = N_BINS) -> Bins:
    """Return means over bins; each value of a feature with few values is a bin."""
    distinct = np.unique(x)
    if len(distinct) <= n_bins:
        member = np.searchsorted(distinct, x)
    else:
        edges = np.unique(np.quantile(x, np.linspace(0.0, 1.0, n_bins + 1)))
        member = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
    rows = []
    for number in np.unique(member):
        inside = member == number
        low, high = np.quantile(values[inside], [0.1, 0.9])
        rows.append((x[inside].mean(), values[inside].mean(), low, high))
    return Bins(*np.array(rows).T)


def draw_values(
    ax: Any, x: np.ndarray, values: np.ndarray, *, colour: str, marker: str, label: str
) -> None:
    """Draw points; of many, means over bins and a band from the 10 % to the 90 % quantile."""
    if len(x) <= MAX_POINTS:
        ax.plot(x, values, marker, color=colour, label=label, markersize=3.5, alpha=0.7, mew=0)
        return
    bins = binned(x, values)
    ax.fill_between(bins.x, bins.low, bins.high, color=colour, alpha=0.2, lw=0)
    label = f"{label}: mean, 10–90 %"
    ax.plot(bins.x, bins.mean, f"{marker}-", color=colour, label=label, markersize=4, lw=1.2)
