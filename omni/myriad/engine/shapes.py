# SPDX-License-Identifier: Apache-2.0
"""What a scene looks like: the shapes in its USD, in the frames of the links that carry them, and what stands still."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdPhysics, UsdShade

from omni.myriad.engine.base import ENV_0_PATH, ENVS_PATH

_GREY = (0.6, 0.6, 0.6)


@dataclass(frozen=True)
class Shape:
    """A shape on a link.

    Args:
        link: Name of the link; empty for scenery, which stands in the environment, or in the world.
        kind: "sphere", "capsule", "cylinder", "box", "mesh" or "plane".
        size: Radius; radius and half height (along z); half extents; nothing for a mesh or a plane (z = 0). In m.
        position: In the link's frame, m.
        rotation: In the link's frame, xyzw.
        colour: Display colour, 0 to 1; where a texture is drawn, it takes its place.
        points: A mesh's vertices in m, (P, 3).
        triangles: A mesh's corners, three per triangle.
        uvs: Where a mesh's vertices are in its texture, (P, 2), from its lower left corner.
        texture: File of a picture that a mesh wears, or empty.
    """

    link: str
    kind: str
    size: tuple[float, ...]
    position: tuple[float, float, float]
    rotation: tuple[float, float, float, float]
    colour: tuple[float, float, float]
    points: np.ndarray | None = None
    triangles: np.ndarray | None = None
    uvs: np.ndarray | None = None
    texture: str = ""


def robot_shapes(stage: Usd.Stage, link_names: Sequence[str], colliders: bool = False) -> list[Shape]:
    """Return the visible shapes of environment 0 that links carry.

    Args:
        stage: The stage that a task authored.
        link_names: Names of the links' prims, alone or behind that of their robot: "torso" or "Ant/torso".
        colliders: Return what collides instead, visible or not.
    """
    cache = UsdGeom.XformCache()
    shapes = []
    for prim in Usd.PrimRange(stage.GetPrimAtPath(ENV_0_PATH), Usd.TraverseInstanceProxies()):
        link, name = _carrier(prim, link_names)
        if name and (prim.HasAPI(UsdPhysics.CollisionAPI) if colliders else _is_seen(prim)) and prim.IsA(UsdGeom.Gprim):
            in_link = cache.GetLocalToWorldTransform(prim) * cache.GetLocalToWorldTransform(link).GetInverse()
            shapes += _shapes_of(prim, name, Gf.Transform(in_link))
    return shapes


def scenery(stage: Usd.Stage, link_names: Sequence[str]) -> tuple[list[Shape], list[Shape]]:
    """Return the visible shapes that no link carries: those of environment 0, in its frame, and those all share.

    Args:
        stage: The stage that a task authored.
        link_names: As for `robot_shapes`.
    """
    cache = UsdGeom.XformCache()
    env_0 = stage.GetPrimAtPath(ENV_0_PATH)
    origin = cache.GetLocalToWorldTransform(env_0).GetInverse()
    own, shared = [], []
    for prim in Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies()):
        in_env_0 = prim.GetPath().HasPrefix(ENV_0_PATH)
        if not prim.IsA(UsdGeom.Gprim) or not _is_seen(prim) or (in_env_0 and _carrier(prim, link_names)[1]):
            continue
        place = cache.GetLocalToWorldTransform(prim)
        if in_env_0:
            own += _shapes_of(prim, "", Gf.Transform(place * origin))
        elif not prim.GetPath().HasPrefix(ENVS_PATH):
            shared += _shapes_of(prim, "", Gf.Transform(place))
    return own, shared


def _carrier(prim: Usd.Prim, link_names: Sequence[str]) -> tuple[Usd.Prim, str]:
    """Return the link that carries a prim and its name, or the prim itself and an empty text."""
    # A shape may be called as its link is, so that what it lies in comes first; unless it is a body itself.
    above = list(_upwards(prim.GetParent()))
    candidates = [prim, *above] if prim.HasAPI(UsdPhysics.RigidBodyAPI) else [*above, prim]
    return next(((p, name) for p in candidates if (name := _called(p, link_names))), (prim, ""))


def _is_seen(prim: Usd.Prim) -> bool:
    looks = UsdGeom.Imageable(prim)
    return looks.ComputeVisibility() != UsdGeom.Tokens.invisible and looks.ComputePurpose() != UsdGeom.Tokens.guide


def is_held(stage: Usd.Stage, path: str) -> bool:
    """Tell whether a robot is fastened to the world: by a fixed joint that names one body alone."""
    for prim in Usd.PrimRange(stage.GetPrimAtPath(path), Usd.TraverseInstanceProxies()):
        joint = UsdPhysics.FixedJoint(prim)
        if joint and not (joint.GetBody0Rel().GetTargets() and joint.GetBody1Rel().GetTargets()):
            return True
    return False


def ground_shapes(stage: Usd.Stage, low: np.ndarray, high: np.ndarray) -> list[Shape]:
    """Return the triangles of uneven ground between two places, (2,) in m each, in the world's frame; none for a plane.

    Args:
        stage: The stage that a task authored.
        low: Least x and y.
        high: Greatest x and y.
    """
    shapes = []
    for prim in stage.Traverse():
        if not prim.IsA(UsdGeom.Mesh) or prim.GetPath().HasPrefix(ENVS_PATH):
            continue
        mesh = UsdGeom.Mesh(prim)
        points = np.array(mesh.GetPointsAttr().Get(), np.float32)
        if len(points) <= 4:  # the square by which Isaac Sim shows a plane
            continue
        triangles = np.array(mesh.GetFaceVertexIndicesAttr().Get(), np.int32).reshape(-1, 3)
        corners = points[triangles, :2]
        seen = (corners.max(axis=1) > low) & (corners.min(axis=1) < high)
        triangles = triangles[seen.all(axis=-1)]
        used, corners = np.unique(triangles, return_inverse=True)
        if len(used):
            colour = tuple(float(c) for c in mesh.GetDisplayColorAttr().Get()[0])
            corners = corners.ravel().astype(np.int32)
            shapes.append(Shape("", "mesh", (), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), colour, points[used], corners))  # type: ignore[arg-type]
    return shapes


def _upwards(prim: Usd.Prim) -> Iterator[Usd.Prim]:
    while prim and str(prim.GetPath()) != ENV_0_PATH:
        yield prim
        prim = prim.GetParent()


def _called(prim: Usd.Prim, names: Sequence[str]) -> str:
    """Return the one of some names that a prim has, or an empty text."""
    robot = str(prim.GetPath())[len(ENV_0_PATH) + 1 :].split("/")[0]
    return next((name for name in (prim.GetName(), f"{robot}/{prim.GetName()}") if name in names), "")


def _shapes_of(prim: Usd.Prim, link: str, place: Gf.Transform) -> Iterator[Shape]:
    scale = np.abs(np.array(place.GetScale()))
    turn = place.GetRotation().GetQuat()
    rotation = (*turn.GetImaginary(), turn.GetReal())
    colours = UsdGeom.Gprim(prim).GetDisplayColorAttr().Get()
    colour = tuple(float(c) for c in colours[0]) if colours else _GREY

    def shape(kind: str, size: Sequence[float] = (), rotation: Sequence[float] = rotation, **mesh: Any) -> Shape:
        return Shape(link, kind, tuple(size), tuple(place.GetTranslation()), tuple(rotation), colour, **mesh)  # type: ignore[arg-type]

    # A schema of another type than the prim's is false.
    if sphere := UsdGeom.Sphere(prim):
        yield shape("sphere", [sphere.GetRadiusAttr().Get() * scale.max()])
    elif cube := UsdGeom.Cube(prim):
        yield shape("box", cube.GetSizeAttr().Get() / 2 * scale)
    elif tube := UsdGeom.Capsule(prim) or UsdGeom.Cylinder(prim):
        along = "XYZ".index(tube.GetAxisAttr().Get())
        radius = tube.GetRadiusAttr().Get() * np.delete(scale, along).max()
        size = [radius, tube.GetHeightAttr().Get() / 2 * scale[along]]
        turned = turn * Gf.Rotation(Gf.Vec3d.ZAxis(), Gf.Vec3d.Axis(along)).GetQuat()
        kind = "capsule" if prim.IsA(UsdGeom.Capsule) else "cylinder"
        yield shape(kind, size, (*turned.GetImaginary(), turned.GetReal()))
    elif mesh := UsdGeom.Mesh(prim):
        yield shape("mesh", **_mesh(mesh, scale.astype(np.float32)))
    elif UsdGeom.Plane(prim):
        yield shape("plane")


def _mesh(mesh: UsdGeom.Mesh, scale: np.ndarray) -> dict[str, Any]:
    """Return what a shape says of a mesh, scaled along its axes."""
    points = np.array(mesh.GetPointsAttr().Get(), np.float32) * scale
    indices = np.array(mesh.GetFaceVertexIndicesAttr().Get(), np.int32)
    counts = np.array(mesh.GetFaceVertexCountsAttr().Get())
    places = UsdGeom.PrimvarsAPI(mesh).FindPrimvarWithInheritance("st")
    texture = _texture(mesh.GetPrim()) if places.HasValue() else ""
    if not texture:
        return {"points": points, "triangles": _fans(counts, indices)}
    uvs = np.array(places.ComputeFlattened(), np.float32)
    if len(uvs) == len(indices):  # a place for each corner of each face: so corners become vertices
        points, indices = points[indices], np.arange(len(indices), dtype=np.int32)
    if len(uvs) != len(points):
        return {"points": points, "triangles": _fans(counts, indices)}
    return {"points": points, "triangles": _fans(counts, indices), "uvs": uvs, "texture": texture}


def _texture(prim: Usd.Prim) -> str:
    """Return the file that gives the colour of the UsdPreviewSurface that a prim is bound to; empty for none."""
    material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
    surface = material.ComputeSurfaceSource()[0] if material else None
    colour = surface.GetInput("diffuseColor") if surface else None
    for source in UsdShade.Utils.GetValueProducingAttributes(colour) if colour else ():
        file = UsdShade.Shader(source.GetPrim()).GetInput("file")
        path: Any = file.Get() if file else None
        if isinstance(path, Sdf.AssetPath):
            return path.resolvedPath
    return ""


def _fans(counts: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Cut polygons with so many corners each into triangles that share their first corner."""
    if (counts == 3).all():
        return indices
    faces = np.split(indices, np.cumsum(counts)[:-1])
    return np.array([(face[0], *edge) for face in faces for edge in pairwise(face[1:])], np.int32).ravel()


def sun(stage: Usd.Stage, ours: str) -> tuple[np.ndarray, tuple[float, float, float]] | None:
    """Return where the first DistantLight shines to, (3,), and its colour; None if there is none but ours.

    Args:
        stage: The stage that a task authored.
        ours: Path of the one that every stage has.
    """
    for prim in stage.Traverse():
        if prim.IsA(UsdLux.DistantLight) and str(prim.GetPath()) != ours:
            along = UsdGeom.XformCache().GetLocalToWorldTransform(prim).TransformDir(Gf.Vec3d(0.0, 0.0, -1.0))
            colour = UsdLux.DistantLight(prim).GetColorAttr().Get()
            return np.array(along.GetNormalized()), (float(colour[0]), float(colour[1]), float(colour[2]))
    return None
