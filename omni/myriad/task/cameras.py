# SPDX-License-Identifier: Apache-2.0
"""Camera prims, as a task authors them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from omni.myriad.engine import ENV_0_PATH
from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from pxr import Usd


class Lens(NamedTuple):
    """What Isaac Sim says of a lens.

    Attributes:
        focal_length: In mm.
        horizontal_aperture: In mm.
        clipping_range: Nearest and farthest distance in m.
    """

    focal_length: float
    horizontal_aperture: float
    clipping_range: tuple[float, float]


def author_camera(
    stage: Usd.Stage,
    path: str,
    position: tuple[float, float, float],
    target: tuple[float, float, float],
    lens: Lens,
) -> Usd.Prim:
    """Author a camera into environment 0.

    Args:
        stage: The stage.
        path: Of the prim, below environment 0.
        position: In m, in the frame of what it lies in.
        target: What it looks at, in the same frame.
        lens: Its lens.

    Raises:
        MyriadError: If there is nothing to lie in, or something in its place, or a number cannot be.
    """
    from pxr import Gf, UsdGeom

    whole = f"{ENV_0_PATH}/{path}"
    above = whole.rsplit("/", 1)[0]
    if not stage.GetPrimAtPath(above):
        raise MyriadError(f"Camera {path} needs {above}, which is not there: add its robot first, or mend the link.")
    if stage.GetPrimAtPath(whole):
        raise MyriadError(f"Camera {path} needs a name of its own: there is something called that.")
    near, far = lens.clipping_range
    if min(lens.focal_length, lens.horizontal_aperture, near) <= 0.0 or far <= near:
        raise MyriadError(f"Camera {path} cannot have {lens}: all is positive, and the far end beyond the near one.")
    eye, centre = Gf.Vec3d(*position), Gf.Vec3d(*target)
    if (centre - eye).GetLength() < 1e-9:
        raise MyriadError(f"Camera {path} cannot look at the place where it is, {position}.")
    ahead = (centre - eye).GetNormalized()
    up = Gf.Vec3d(1.0, 0.0, 0.0) if abs(ahead[2]) > 1.0 - 1e-9 else Gf.Vec3d(0.0, 0.0, 1.0)
    camera = UsdGeom.Camera.Define(stage, whole)
    look = Gf.Matrix4d().SetLookAt(eye, centre, up).GetInverse()
    camera.AddTranslateOp().Set(eye)
    turn = look.ExtractRotationQuat()
    camera.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(turn.GetReal(), turn.GetImaginary()))
    camera.CreateFocalLengthAttr(lens.focal_length)
    camera.CreateHorizontalApertureAttr(lens.horizontal_aperture)
    camera.CreateVerticalApertureAttr(lens.horizontal_aperture)
    camera.CreateClippingRangeAttr(Gf.Vec2f(near, far))
    return camera.GetPrim()
