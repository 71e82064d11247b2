"""Write what the first example of the README prints: the summary and the report.

    python benchmarks/readme_output.py --output benchmarks/results/readme_output.txt

The environment variable SKHYBRID_DATA gives the folder of the measured data.
"""

import argparse
from pathlib import Path

import torch

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.datasets import fetch_light_tunnel
from skhybrid.inspection import identifiability_report

POSITIVE = (0.0, None)


def malus(red, green, blue, pol_1, pol_2, *, gain=(1.0, 1.0, 1.0), leak=0.1):
    """Light through two polarizers."""
    light = gain[0] * red + gain[1] * green + gain[2] * blue
    aligned = torch.cos(torch.deg2rad(pol_1 - pol_2)) ** 2
    return light * (aligned + leak * (1 - aligned))


def main():
    """Fit the example and write its output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    tunnel = fetch_light_tunnel()
    physics = Physics(malus, gain=Param((1.0, 1.0, 1.0), bounds=POSITIVE, unit="counts"))
    model = HybridRegressor(physics, random_state=0).fit(tunnel.data, tunnel.target)
    text = f"{model.summary()}\n\n{identifiability_report(model, tunnel.data, tunnel.target)}\n"
    print(text)
    if arguments.output is not None:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
