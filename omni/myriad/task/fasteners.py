# SPDX-License-Identifier: Apache-2.0
"""Nuts and bolts with ISO metric threads, as closed meshes that collide by signed distance fields.

Profile, diameters and tolerances follow the formulas of ISO 68-1, ISO 724 and ISO 965-1: 60 degrees between the flanks,
a pitch diameter of d - 0.6495 P and a minor one of d - 1.0825 P. Threads are of class 6g and 6H, both in the middle of
their tolerances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from omni.myriad.engine import ENV_0_PATH

if TYPE_CHECKING:
    from pxr import Usd

COLUMNS = 60
"""Around the axis; a multiple of 12, so that a hexagon's corners and the middles of its sides are among them."""

_TAN_FLANK = math.sqrt(3.0)
"""Of the slope of a flank: radius by length along the axis."""


@dataclass(frozen=True)
class Fastener:
    """A nut and a bolt that belong together, in m: the bolt stands on its head at the origin and points along z.

    The nut's frame is the bolt's when it lies on the head: it begins at a height of `head_height`, and its thread fits
    the bolt's. From there it rises by a pitch with each turn about z.

    Attributes:
        diameter: Nominal, of the thread.
        pitch: From one thread to the next.
        across_flats: Width of nut and head.
        nut_height: Of the nut.
        head_height: Of the bolt's head.
        shank_length: Of what is beyond the head, all of it threaded.
    """

    diameter: float
    pitch: float
    across_flats: float
    nut_height: float
    head_height: float
    shank_length: float

    def bolt_diameters(self) -> tuple[float, float, float]:
        """Return the diameters of crests, flanks and roots of the bolt's thread, of class 6g, in m."""
        gap = 1e-6 * (15.0 + 11.0 * 1e3 * self.pitch)  # of position g
        major = 1e-6 * (180.0 * self._p ** (2 / 3) - 3.15 * self._p**-0.5)
        return (
            self.diameter - gap - 0.5 * major,
            self.diameter - 0.75 * self._h - gap - 0.5 * self._pitch_tolerance,
            self.diameter - 17 / 12 * self._h - gap - 0.5 * self._pitch_tolerance,  # rounded roots: H / 6
        )

    def nut_diameters(self) -> tuple[float, float, float]:
        """Return the diameters of roots, flanks and crests of the nut's thread, of class 6H, in m."""
        minor = 1e-6 * 230.0 * self._p**0.7
        middle = self.diameter - 0.75 * self._h + 0.5 * 1.32 * self._pitch_tolerance
        return self.diameter + self._h / 12.0, middle, self.diameter - 1.25 * self._h + 0.5 * minor

    @property
    def _p(self) -> float:
        return 1e3 * self.pitch  # the tolerances' formulas are in mm, and give micrometres

    @property
    def _h(self) -> float:
        """Height of the thread's triangle."""
        return 0.5 * math.sqrt(3.0) * self.pitch

    @property
    def _pitch_tolerance(self) -> float:
        """Of the pitch diameter, of degree 6, with the middle of the range of diameters that M16 is in."""
        return 1e-6 * 90.0 * self._p**0.4 * math.sqrt(11.2 * 22.4) ** 0.1

    def bolt(self) -> Mesh:
        """Return the bolt, with a hexagonal head below and a chamfered tip above."""
        root = self.bolt_diameters()[2]
        low, high = self.head_height, self.head_height + self.shank_length
        u, z = self._helix(low, high, self.bolt_diameters())
        radii = np.minimum(self._radii(u, z, self.bolt_diameters()), 0.5 * root + (high - z))  # 45 degrees
        angle = 2.0 * math.pi * u
        rings = [
            _hexagon(0.0, 0.0),
            _hexagon(self.across_flats, 0.0),
            _hexagon(self.across_flats, low),
            *np.stack((radii * np.cos(angle), radii * np.sin(angle), z), axis=-1),
            _hexagon(0.0, high),
        ]
        return Mesh.of_rings(np.stack(rings))

    def nut(self) -> Mesh:
        """Return the nut, its hole widened at both ends by cones of 120 degrees, as usual."""
        low, high = self.head_height, self.head_height + self.nut_height
        u, z = self._helix(low, high, self.nut_diameters())
        depth = np.minimum(z - low, high - z)
        radii = np.maximum(self._radii(u, z, self.nut_diameters()), 0.525 * self.diameter - _TAN_FLANK * depth)
        angle = 2.0 * math.pi * u
        rings = [
            _hexagon(self.across_flats, low),
            _hexagon(self.across_flats, high),
            *np.stack((radii * np.cos(angle), radii * np.sin(angle), z), axis=-1)[::-1],
            _hexagon(self.across_flats, low),
        ]
        return Mesh.of_rings(np.stack(rings))

    def _helix(self, low: float, high: float, diameters: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
        """Return turns about the axis and heights of a grid whose rows follow the thread's edges.

        Rows that begin below or end above what there is of the thread run along its ends.
        """
        large, middle, small = diameters
        edges = [0.25 - 0.5 * (d - middle) / _TAN_FLANK / self.pitch for d in (large, small)]
        halfway = 0.5 * sum(edges)
        profile = [0.0, edges[0], halfway, edges[1], 0.5, 1.0 - edges[1], 1.0 - halfway, 1.0 - edges[0]]
        turns = range(math.floor(low / self.pitch) - 2, math.ceil(high / self.pitch) + 2)
        starts = np.array([turn + part for turn in turns for part in profile])
        u = np.arange(COLUMNS + 1) / COLUMNS
        z = np.clip(self.pitch * (starts[:, None] + u), low, high)
        return np.broadcast_to(u, z.shape), z

    def _radii(self, u: np.ndarray, z: np.ndarray, diameters: tuple[float, float, float]) -> np.ndarray:
        """Return the radius of a thread at turns about the axis and heights."""
        large, middle, small = diameters
        off = self.pitch * np.abs((z / self.pitch - u + 0.5) % 1.0 - 0.5)  # along the axis, from the middle of a crest
        return np.clip(0.5 * middle + _TAN_FLANK * (0.25 * self.pitch - off), 0.5 * small, 0.5 * large)


M16 = Fastener(0.016, 0.002, 0.024, 0.013, 0.016, 0.025)
"""The pair of OmniIsaacGymEnvs' Factory tasks: head and shank are theirs, and not those of a standard's bolt."""


@dataclass(frozen=True)
class Mesh:
    """A closed surface: `points` (P, 3) in m and `triangles` (T, 3), which turn to the left when seen from outside."""

    points: np.ndarray
    triangles: np.ndarray

    @staticmethod
    def of_rings(rings: np.ndarray) -> Mesh:
        """Join rings of points, (R, C + 1, 3), whose last point is the first again, or lies on another ring."""
        index = np.arange(rings[..., 0].size).reshape(rings.shape[:2])
        a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
        triangles = np.concatenate([np.stack(part, axis=-1).reshape(-1, 3) for part in ((a, b, c), (a, c, d))])
        flat = np.round(rings.reshape(-1, 3), 9) + 0.0  # to a nanometre, and 0 has no sign
        points, where = np.unique(flat, axis=0, return_inverse=True)
        triangles = where.reshape(-1)[triangles]
        kept = [triangles[:, i] != triangles[:, j] for i, j in ((0, 1), (1, 2), (2, 0))]
        return Mesh(points, triangles[kept[0] & kept[1] & kept[2]])

    def volume(self) -> float:
        """Return how much is inside, in m^3 (Gauss's theorem)."""
        a, b, c = self.points[self.triangles].transpose(1, 0, 2)
        return float((a * np.cross(b, c)).sum() / 6.0)


def _hexagon(across_flats: float, height: float) -> np.ndarray:
    """Return the outline of a hexagon about z with corners over the y axis, (COLUMNS + 1, 3) in m."""
    angle = 2.0 * math.pi * (np.arange(COLUMNS + 1) % COLUMNS) / COLUMNS
    off = (angle + math.pi / 6.0) % (math.pi / 3.0) - math.pi / 6.0  # from the middle of the nearest side
    radius = 0.5 * across_flats / np.cos(off)
    return np.stack((radius * np.cos(angle), radius * np.sin(angle), np.full_like(angle, height)), axis=-1)


def author_mesh(
    stage: Usd.Stage,
    name: str,
    mesh: Mesh,
    position: tuple[float, float, float],
    kinematic: bool = False,
    resolution: int = 256,
    friction: float = 0.3,
    colour: tuple[float, float, float] = (0.55, 0.57, 0.6),
) -> Usd.Prim:
    """Author a rigid body in environment 0 that collides by the signed distance field of a mesh.

    Args:
        stage: Where environment 0 is authored.
        name: Of its prim, which holds the body as a prim of the same name in lower case.
        mesh: In the frame of the body.
        position: Where it begins in m, in the environment.
        kinematic: True for what nothing moves but the task.
        resolution: Samples of the field along the mesh's longest side; what is smaller than one is not felt.
        friction: Static and dynamic.
        colour: Red, green and blue from 0 to 1.

    Returns:
        The prim, to which settings of `sim.<name>` can be applied.
    """
    from pxr import Gf, Sdf, UsdGeom, UsdPhysics, Vt

    from omni.myriad.engine.usd import author, bind_material

    prim = UsdGeom.Xform.Define(stage, f"{ENV_0_PATH}/{name}")
    prim.AddTranslateOp().Set(Gf.Vec3d(*position))
    body = UsdGeom.Xform.Define(stage, f"{prim.GetPath()}/{name.lower()}").GetPrim()
    UsdPhysics.RigidBodyAPI.Apply(body).CreateKinematicEnabledAttr(kinematic)
    UsdPhysics.MassAPI.Apply(body)
    surface = UsdGeom.Mesh.Define(stage, f"{body.GetPath()}/mesh")
    surface.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(mesh.points.astype(np.float32)))
    surface.CreateFaceVertexCountsAttr(Vt.IntArray(len(mesh.triangles), 3))
    surface.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(mesh.triangles.astype(np.int32).ravel()))
    surface.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    surface.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(np.stack((mesh.points.min(0), mesh.points.max(0))).astype("f4")))
    surface.CreateDisplayColorAttr([colour])
    shape = surface.GetPrim()
    UsdPhysics.CollisionAPI.Apply(shape)
    UsdPhysics.MeshCollisionAPI.Apply(shape).CreateApproximationAttr("sdf")
    author(shape, "PhysxSDFMeshCollisionAPI", "physxSDFMeshCollision:sdfResolution", Sdf.ValueTypeNames.Int, resolution)
    bind_material(shape, f"{prim.GetPath()}/material", friction, friction, 0.0)
    return prim.GetPrim()
