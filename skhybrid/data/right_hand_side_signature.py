"""Check that the arguments of a physics are those of a right-hand side."""

from __future__ import annotations

from skhybrid.exceptions import PhysicsError
from skhybrid.model.ode import ODE
from skhybrid.model.physics import Physics
from skhybrid.runtime.suggestions import suggestion

# Names of an argument that can only be the time. An unused first argument begins with "_".
TIME_NAMES = ("t", "time")


def check_signature(physics: Physics | None, ode: ODE) -> None:
    """Raise a PhysicsError if the physics is no right-hand side or reads inputs that X lacks."""
    if physics is None:
        return
    first, others = physics.inputs[:1], physics.inputs[1:]
    later = [name for name in others if name in TIME_NAMES]
    if later and first[0] not in TIME_NAMES and not first[0].startswith("_"):
        right = ", ".join((later[0], *(name for name in physics.inputs if name != later[0])))
        raise PhysicsError(
            f"physics {physics.name!r} takes ({', '.join(physics.inputs)}), but a right-hand side "
            f"takes the time first: def f({right}, *, a=1.0)."
        )
    wanted = "(t, state)" if ode.inputs is None else "(t, state) or (t, state, inputs)"
    if len(physics.inputs) not in (2, 3):
        raise PhysicsError(
            f"physics {physics.name!r} takes ({', '.join(physics.inputs)}); a right-hand side "
            f"takes {wanted}, and its unknowns after a star: def f(t, state, *, a=1.0)."
        )
    if len(physics.inputs) == 3 and ode.inputs is None:
        raise PhysicsError(
            f"physics {physics.name!r} reads inputs ({physics.inputs[2]!r}), but X holds initial "
            "states: with ODE(inputs='hold') or 'linear', X holds the inputs over time. If "
            f"{physics.inputs[2]!r} is an unknown, put it after a star."
        )
    unknown = [name for name in ode.observe_parameters() if name not in physics.params]
    if unknown:
        raise PhysicsError(
            f"observe reads the parameter {unknown[0]!r}, which physics {physics.name!r} does not "
            f"have{suggestion(unknown[0], physics.params)}"
        )
