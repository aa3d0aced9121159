# SPDX-License-Identifier: Apache-2.0
"""What Isaac Sim's views can do and PhysX alone cannot: methods that are there, and raise with the reason."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NoReturn

_NO_RENDERER = "nothing is rendered here; use Isaac Sim (engine=isaacsim)"
_NO_SCALING = "PhysX reads sizes from environment 0 when it starts; scale the prim there"
_NO_RESIDUALS = "standalone PhysX reports no solver residuals"

UNSUPPORTED = {
    "set_visibilities": _NO_RENDERER,
    "get_visibilities": _NO_RENDERER,
    "apply_visual_materials": _NO_RENDERER,
    "get_applied_visual_materials": _NO_RENDERER,
    "is_visual_material_applied": _NO_RENDERER,
    "get_world_scales": _NO_SCALING,
    "get_local_scales": _NO_SCALING,
    "set_local_scales": _NO_SCALING,
    "get_position_residuals": _NO_RESIDUALS,
    "get_velocity_residuals": _NO_RESIDUALS,
}
"""The methods that always raise NotImplementedError, and why; residuals are gone from Isaac Sim 6.0, too."""


def unsupported(name: str, *required: str, **optional: Any) -> Callable[..., NoReturn]:
    """Return a method of that name that raises the reason in the table.

    Args:
        name: Name of the method.
        required: Names of Isaac Sim's arguments without a default.
        optional: Isaac Sim's other arguments, and their defaults.
    """

    def refuse(self: object, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"{name}: {UNSUPPORTED[name]}.")

    plain = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(argument, plain) for argument in ("self", *required)]
    parameters += [inspect.Parameter(argument, plain, default=default) for argument, default in optional.items()]
    refuse.__name__, refuse.__doc__ = name, f"Raise: {UNSUPPORTED[name]}."
    vars(refuse)["__signature__"] = inspect.Signature(parameters)
    return refuse
