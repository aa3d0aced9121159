# SPDX-License-Identifier: Apache-2.0
"""Markers: shapes that are seen and touch nothing, such as a target that a film shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from omni.myriad.engine import ENV_0_PATH
from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from pxr import Usd

_PHYSICS = "Phys", "Newton", "Mjc"
"""What names of schemas of physics begin with."""


class Marker(NamedTuple):
    """Where a marker is drawn in each environment; write into these, and films show it.

    Args:
        positions: In m from the environment's origin, (num_envs, 3).
        orientations: As wxyz, (num_envs, 4).
    """

    positions: torch.Tensor
    orientations: torch.Tensor


def make_marker(num_envs: int, device: torch.device) -> Marker:
    """Return a marker at the origin of each environment."""
    upright = torch.tensor([1.0, 0.0, 0.0, 0.0], device=device)
    return Marker(torch.zeros((num_envs, 3), device=device), upright.repeat(num_envs, 1))


def author_likeness(stage: Usd.Stage, name: str, file: str) -> None:
    """Author a marker into environment 0 that looks as a USD file of one body does, and has nothing of its physics.

    Args:
        stage: The stage.
        name: Of its prim.
        file: The USD file, with a default prim.

    Raises:
        MyriadError: If there is a prim of that name.
    """
    from pxr import Usd

    prim = stage.GetPrimAtPath(_place(stage, name))
    prim.GetReferences().AddReference(file)
    for part in Usd.PrimRange(prim):
        for schema in part.GetAppliedSchemas():
            if schema.startswith(_PHYSICS):
                part.RemoveAppliedSchema(schema)


def _place(stage: Usd.Stage, name: str) -> str:
    """Define the prim of a marker, and return its path."""
    from pxr import UsdGeom

    path = f"{ENV_0_PATH}/{name}"
    if stage.GetPrimAtPath(path):
        raise MyriadError(f"Marker {name} needs a name of its own: environment 0 has something called that.")
    UsdGeom.Xform.Define(stage, path)
    return path


def author_marker(
    stage: Usd.Stage,
    name: str,
    shape: str,
    size: float | tuple[float, float, float],
    colour: tuple[float, float, float],
) -> None:
    """Author a marker into environment 0.

    Args:
        stage: The stage.
        name: Of its prim.
        shape: "sphere" or "box".
        size: Diameter or edges in m.
        colour: Red, green and blue from 0 to 1.

    Raises:
        MyriadError: If there is no such shape, or a prim of that name.
    """
    from pxr import Gf, UsdGeom

    kinds = {"sphere": UsdGeom.Sphere, "box": UsdGeom.Cube}
    if shape not in kinds:
        raise MyriadError(f"Marker {name} cannot be a {shape}: choose one of {', '.join(kinds)}.")
    form = kinds[shape].Define(stage, f"{_place(stage, name)}/shape")
    form.CreateDisplayColorAttr([colour])
    form.GetPrim().GetAttribute("radius" if shape == "sphere" else "size").Set(0.5 if shape == "sphere" else 1.0)
    edges = (size, size, size) if isinstance(size, (int, float)) else size
    form.AddScaleOp().Set(Gf.Vec3f(*edges))
