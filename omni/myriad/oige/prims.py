# SPDX-License-Identifier: Apache-2.0
"""What tasks author scenes with: the stage, references to robots, and single prims, with Isaac Sim's names.

A task authors environment 0 at the world's origin, so that positions in the world and in the parent are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from omni.myriad.engine import Engine
from omni.myriad.errors import MyriadError
from omni.myriad.oige import assets

_engine: Engine | None = None
"""The engine on whose stage prims are authored: Isaac Sim has one stage, which its functions find by themselves."""


def use(engine: Engine) -> None:
    """Author on an engine's stage from now on."""
    global _engine
    _engine = engine


def get_current_stage() -> Usd.Stage:
    """Return the stage."""
    if _engine is None:
        raise MyriadError("There is no stage yet: a task of OmniIsaacGymEnvs runs with ./myriad train oige=FOLDER.")
    return _engine.stage


def get_prim_at_path(prim_path: str) -> Usd.Prim:
    """Return a prim."""
    return get_current_stage().GetPrimAtPath(str(prim_path))


def is_prim_path_valid(prim_path: str) -> bool:
    """Tell whether there is a prim."""
    return bool(get_prim_at_path(prim_path))


def define_prim(prim_path: str, prim_type: str = "Xform") -> Usd.Prim:
    """Define a prim."""
    return get_current_stage().DefinePrim(str(prim_path), prim_type)


def create_prim(prim_path: str, prim_type: str = "Xform", usd_path: str | None = None, **pose: Any) -> Usd.Prim:
    """Define a prim, with a USD file in it, at a pose."""
    prim = add_reference_to_stage(usd_path, prim_path, prim_type) if usd_path else define_prim(prim_path, prim_type)
    XFormPrim(prim_path, **pose)
    return prim


def add_reference_to_stage(usd_path: str, prim_path: str, prim_type: str = "Xform") -> Usd.Prim:
    """Reference a USD file; a path on Nucleus is answered by a robot of the catalogue or of our own."""
    prim = define_prim(prim_path, prim_type)
    prim.GetReferences().AddReference(assets.find(str(usd_path)))
    return prim


class XFormPrim:
    """One prim with a pose, made if it is not there.

    Args:
        prim_path: Where it is.
        name: Its name for people.
        position: In m in the world.
        translation: In m in the parent, instead.
        orientation: As wxyz; None leaves it as it is, and so do the others.
        scale: Along its axes.
        ignored: What Isaac Sim draws or controls with.
    """

    def __init__(
        self,
        prim_path: str,
        name: str = "xform_prim",
        position: Any = None,
        translation: Any = None,
        orientation: Any = None,
        scale: Any = None,
        **ignored: Any,
    ) -> None:
        self.prim_path, self.name = prim_path, name
        self.prim = get_prim_at_path(prim_path) or self._define()
        self._place(translation if position is None else position, orientation, scale)

    def _define(self) -> Usd.Prim:
        return define_prim(self.prim_path)

    def _place(self, translation: Any, orientation: Any, scale: Any) -> None:
        xform = UsdGeom.Xformable(self.prim)
        pose = Gf.Transform(xform.GetLocalTransformation())
        if translation is not None:
            pose.SetTranslation(Gf.Vec3d(*_numbers(translation)))
        if orientation is not None:
            pose.SetRotation(Gf.Rotation(Gf.Quatd(*_numbers(orientation)).GetNormalized()))
        if scale is not None:
            pose.SetScale(Gf.Vec3d(*_numbers(scale)))
        xform.ClearXformOpOrder()
        xform.MakeMatrixXform().Set(pose.GetMatrix())


class Robot(XFormPrim):
    """A robot that was referenced before."""


class RigidPrim(XFormPrim):
    """One rigid body; mass in kg, density in kg/m^3."""

    def __init__(self, prim_path: str, *arguments: Any, mass: Any = None, density: Any = None, **pose: Any) -> None:
        super().__init__(prim_path, *arguments, **pose)
        UsdPhysics.RigidBodyAPI.Apply(self.prim)
        api = UsdPhysics.MassAPI.Apply(self.prim)
        if density is not None:
            api.CreateDensityAttr(float(density))
        if mass is not None:
            api.CreateMassAttr(float(mass))


class _Geometry(XFormPrim):
    """A shape with a collider; of a `size` or a `radius` in m."""

    shape: Any
    defaults: dict[str, float]

    def __init__(self, prim_path: str, name: str = "shape", *arguments: Any, **options: Any) -> None:
        self._sizes = {key: options.pop(key, None) or value for key, value in self.defaults.items()}
        super().__init__(prim_path, name, *arguments, **options)

    def _define(self) -> Usd.Prim:
        geometry = self.shape.Define(get_current_stage(), self.prim_path)
        for key, value in self._sizes.items():
            getattr(geometry, f"Create{key.capitalize()}Attr")(float(value))
        UsdPhysics.CollisionAPI.Apply(geometry.GetPrim())
        return geometry.GetPrim()

    def set_collision_enabled(self, enabled: bool) -> None:
        """Let it touch others or not."""
        UsdPhysics.CollisionAPI(self.prim).CreateCollisionEnabledAttr(enabled)


class FixedSphere(_Geometry):
    """A sphere that stays."""

    shape, defaults = UsdGeom.Sphere, {"radius": 1.0}


class FixedCuboid(_Geometry):
    """A cuboid that stays, a cube of edge `size` before scaling."""

    shape, defaults = UsdGeom.Cube, {"size": 1.0}


_DEFAULT_MASS = 0.02
"""Of Isaac Sim's dynamic shapes, in kg."""


class _Dynamic(_Geometry, RigidPrim):
    """A shape that moves."""

    def __init__(self, prim_path: str, *arguments: Any, mass: Any = None, **options: Any) -> None:
        super().__init__(prim_path, *arguments, mass=_DEFAULT_MASS if mass is None else mass, **options)


class DynamicSphere(_Dynamic, FixedSphere):
    """A sphere that moves."""


class DynamicCuboid(_Dynamic, FixedCuboid):
    """A cuboid that moves."""


class Cloner:
    """Copies of a prim within environment 0."""

    def clone(self, source_prim_path: str, prim_paths: Sequence[str], positions: Any = None, **ignored: Any) -> None:
        """Copy a prim to paths, at positions in m in their parents, (N, 3)."""
        layer = get_current_stage().GetRootLayer()
        for index, path in enumerate(prim_paths):
            if path != source_prim_path:
                Sdf.CopySpec(layer, source_prim_path, layer, path)
            XFormPrim(path, translation=None if positions is None else positions[index])


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in values]
