# SPDX-License-Identifier: Apache-2.0
"""Markers: shapes that are seen and touch nothing, such as a target that a film shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import torch

from omni.myriad.engine import ENV_0_PATH
from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from pxr import Usd

MarkerShape = Literal["sphere", "box"]


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


def author_marker(
    stage: Usd.Stage,
    name: str,
    shape: MarkerShape,
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

    path = f"{ENV_0_PATH}/{name}"
    kinds = {"sphere": UsdGeom.Sphere, "box": UsdGeom.Cube}
    if shape not in kinds:
        raise MyriadError(f"Marker {name} cannot be a {shape}: choose one of {', '.join(kinds)}.")
    if stage.GetPrimAtPath(path):
        raise MyriadError(f"Marker {name} needs a name of its own: environment 0 has something called that.")
    UsdGeom.Xform.Define(stage, path)
    form = kinds[shape].Define(stage, f"{path}/shape")
    form.CreateDisplayColorAttr([colour])
    form.GetPrim().GetAttribute("radius" if shape == "sphere" else "size").Set(0.5 if shape == "sphere" else 1.0)
    edges = (size, size, size) if isinstance(size, (int, float)) else size
    form.AddScaleOp().Set(Gf.Vec3f(*edges))
