# SPDX-License-Identifier: Apache-2.0
"""What MuJoCo and PhysX mean by a drive's limit of force, and where they cannot mean the same."""

from typing import Any

_MOST = 3.0
"""How many times what it transmits a drive may want for MuJoCo to cut it; beyond, cut it would chatter."""


def is_stiff(stiffness: Any, damping: Any, inverse_inertia: Any, dt: float) -> Any:
    """Tell which drives MuJoCo must not cut at their limits.

    A drive wants when the step begins `1 + dt (damping + dt stiffness) / inertia` times what it transmits in it,
    because it lets go as its joint follows. MuJoCo cuts the former, and then takes nothing of it implicitly; PhysX cuts
    the latter, and so hardly ever a stiff one.

    Args:
        stiffness: N m/rad or N/m, an array or tensor; so are the others.
        damping: N m s/rad or N s/m.
        inverse_inertia: Acceleration of the joint by an effort of 1, 1/(kg m^2) or 1/kg.
        dt: The physics step in s.
    """
    return 1.0 + dt * (damping + dt * stiffness) * inverse_inertia >= _MOST
