"""The order of the examples in the gallery: simplest first, tables before trajectories."""

from __future__ import annotations

ORDER = [
    "plot_own_physics.py",
    "plot_light_tunnel.py",
    "plot_what_theta_means.py",
    "plot_displays.py",
    "plot_grid_search.py",
    "plot_varying_parameter.py",
    "plot_priors.py",
    "plot_robust_loss.py",
    "plot_prediction_intervals.py",
    "plot_save_and_export.py",
    "plot_radius.py",
    "plot_pendulum.py",
    "plot_duffing.py",
    "plot_lynx_hare.py",
    "plot_cascaded_tanks.py",
    "plot_wind_tunnel.py",
    "plot_long_table.py",
    "plot_reaction_diffusion.py",
    "plot_pendulum_images.py",
]


class SimplestFirst:
    """Key by which sphinx-gallery sorts the examples; those that are not listed come last."""

    def __init__(self, src_dir: str) -> None:
        self.src_dir = src_dir

    def __call__(self, filename: str) -> tuple[int, str]:
        """Return the place of an example."""
        place = ORDER.index(filename) if filename in ORDER else len(ORDER)
        return place, filename
