"""Draw the correlations of physics parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skhybrid.inspection.bootstrapping.result import BootstrapResult
from skhybrid.inspection.displays.drawing import one_panel
from skhybrid.inspection.flat_parameters import hybrid_of

# Numbers in more cells than this cannot be read.
MAX_NUMBERS = 20


class CorrelationDisplay:
    """Draw the correlations between errors of physics parameters as a matrix.

    Near 1 or -1, the data fix only a combination of two parameters. A dash marks elements without
    an error, such as one on its bound.

    Parameters
    ----------
    correlation : array of shape (n_elements, n_elements)
    names : sequence of str
        Elements, such as "gain[0]".
    title : str, default=""

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.inspection import CorrelationDisplay
    >>> def cooling(time, *, start=50.0, rate=1.0):
    ...     return start * torch.exp(-rate * time)
    >>> time = np.linspace(0.0, 3.0, 20)
    >>> noise = np.random.default_rng(0).normal(size=20)
    >>> model = HybridRegressor(cooling, nn=None)
    >>> model = model.fit(time[:, None], 80.0 * np.exp(-0.7 * time) + noise)
    >>> display = CorrelationDisplay.from_estimator(model)
    >>> [text.get_text() for text in display.ax_.get_xticklabels()]
    ['start', 'rate']
    """

    def __init__(self, correlation: np.ndarray, names: Sequence[str], *, title: str = "") -> None:
        self.correlation, self.names, self.title = correlation, [*names], title

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> CorrelationDisplay:
        """Plot the correlations of a fit of the physics alone.

        Parameters
        ----------
        estimator : HybridRegressor or Pipeline
            Fitted with ``nn=None``. For a hybrid model, see :meth:`from_result`.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        CorrelationDisplay

        Raises
        ------
        ValueError
            If the model has a network, or no free parameters.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        errors = hybrid_of(estimator)._fitted.standard_errors
        if errors is None:
            raise ValueError(
                "Correlations of a hybrid model come from replicates: use "
                "CorrelationDisplay.from_result(bootstrap(model, X, y))."
            )
        title = "Correlations of the errors (least squares)"
        return cls(errors.correlation, errors.names, title=title).plot(ax=ax)

    @classmethod
    def from_result(cls, result: BootstrapResult, *, ax: Any = None) -> CorrelationDisplay:
        """Plot the correlations over the replicates of a bootstrap.

        Parameters
        ----------
        result : BootstrapResult
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        CorrelationDisplay

        Raises
        ------
        ValueError
            If the model has no free parameters.
        """
        check_matplotlib_support(f"{cls.__name__}.from_result")
        frame = result.correlation
        title = f"Correlations over {result.n_replicates} replicates"
        return cls(frame.to_numpy(), [*frame.index], title=title).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> CorrelationDisplay:
        """Plot the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        CorrelationDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        n = len(self.names)
        if n == 0:
            raise ValueError("There are no free physics parameters, so there are no correlations.")
        side = min(2.6 + 0.55 * n, 10.0)
        self.ax_ = one_panel(ax, (side + 0.8, side))
        self.figure_ = self.ax_.figure
        # Blue to red by way of white: colour-blind people can tell the ends apart.
        image = self.ax_.imshow(self.correlation, cmap="RdBu_r", vmin=-1.0, vmax=1.0)
        self.figure_.colorbar(image, ax=self.ax_, label="correlation", shrink=0.8)
        self.ax_.set_xticks(range(n), self.names, rotation=45, ha="right")
        self.ax_.set_yticks(range(n), self.names)
        self.ax_.set_title(self.title, fontsize=10)
        if n <= MAX_NUMBERS:
            for (row, column), value in np.ndenumerate(self.correlation):
                known = np.isfinite(value)
                colour = "white" if known and abs(value) > 0.6 else "black"
                text = f"{value:.2f}".replace("-", "−") if known else "–"
                self.ax_.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
        return self
