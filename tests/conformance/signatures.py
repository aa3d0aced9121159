# SPDX-License-Identifier: Apache-2.0
"""Public methods of Isaac Sim's views, read from its source, and of ours: names, arguments and defaults."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

_PRIMS = "isaacsim.core.prims/python/impl"
_FILES = {
    "ArticulationView": [f"{_PRIMS}/{name}.py" for name in ("articulation", "xform_prim", "prim")],
    "RigidPrimView": [f"{_PRIMS}/{name}.py" for name in ("rigid_prim", "xform_prim", "prim")],
    # Its own methods alone: those of XFormPrim are of prims on the stage, where our clones are not.
    "CameraView": ["isaacsim.sensors.camera/isaacsim/sensors/camera/camera_view.py"],
}


def isaac_sim(source: Path, view: str) -> dict[str, str]:
    """Return the signature of each public method of Isaac Sim's class, inherited ones included, without `self`.

    Args:
        source: Checkout of Isaac Sim.
        view: Our name of the class.
    """
    found: dict[str, str] = {}
    for name in reversed(_FILES[view]):
        paths = list(source.glob(f"source/*/{name}"))
        if not paths:
            continue
        classes = [node for node in ast.parse(paths[0].read_text()).body if isinstance(node, ast.ClassDef)]
        for node in classes[0].body:
            if isinstance(node, ast.FunctionDef) and (node.name == "__init__" or not node.name.startswith("_")):
                is_property = any(ast.unparse(item) == "property" for item in node.decorator_list)
                found[node.name] = "property" if is_property else _arguments(node.args)
    return found


def _arguments(arguments: ast.arguments) -> str:
    names = [argument.arg for argument in arguments.args[1:]]
    defaults = [ast.unparse(default) for default in arguments.defaults]
    padding: list[str | None] = [None] * (len(names) - len(defaults))
    names += [argument.arg for argument in arguments.kwonlyargs]
    defaults += [default and ast.unparse(default) for default in arguments.kw_defaults]
    return ", ".join(
        name if default is None else f"{name}={default}"
        for name, default in zip(names, [*padding, *defaults], strict=True)
    )


def ours(view: str) -> dict[str, str]:
    """Return the signature of each public method of our class, in the same form."""
    from omni.myriad.engine import physx

    found: dict[str, str] = {}
    cls = getattr(physx, view)
    for name in dir(cls):
        if name.startswith("_") and name != "__init__":
            continue
        attribute = inspect.getattr_static(cls, name)
        if isinstance(attribute, property):
            found[name] = "property"
            continue
        parameters = list(inspect.signature(getattr(cls, name)).parameters.values())[1:]
        found[name] = ", ".join(
            p.name if p.default is inspect.Parameter.empty else f"{p.name}={p.default!r}" for p in parameters
        )
    if not hasattr(cls, "name"):
        found["name"] = "property"  # an attribute here
    return found
