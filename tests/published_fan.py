"""The published models of the wind tunnel's fan, as published."""

from __future__ import annotations

import math

INERTIA = 0.5 * 0.059**2 * 0.02
OMEGA_MAX = 314.159
S_MAX = 74.82
Q_MAX = 186.7 / 3600


def torque(load):
    return 0.05 * max(load, 0.1) ** 3 * (0.27 - 0.166)


def published_acceleration(load, omega):
    return (torque(load) - torque(1.0) / OMEGA_MAX**2 * omega**2) / INERTIA


def published_static_pressure(omega, hatch):
    ratio = min(1.0, 0.75 + 0.15 * hatch / 45)
    z = S_MAX / Q_MAX**2 * (1 - ratio) / ratio**2
    b = omega / OMEGA_MAX * S_MAX / Q_MAX
    c = -((omega / OMEGA_MAX) ** 2) * S_MAX
    flow = (-b + math.sqrt(b**2 - 4 * z * c)) / (2 * z)
    return z * flow**2
