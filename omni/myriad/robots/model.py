# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""A robot between reading and writing: links in a tree of joints, with poses as 4x4 matrices that act on columns."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
from pxr import Gf

from omni.myriad.errors import MyriadError

IDENTITY = np.eye(4)


@dataclass
class Shape:
    """What a link looks like or collides with.

    Attributes:
        path: Of its prim in the USD that was read.
        pose: In the link's frame, its scale included.
        collides: Whether it is a collider.
        kind: "sphere", "capsule", "cylinder", "box" or "mesh".
        size: Radius; radius and half height along z; half extents; nothing. In m, scaled.
        points: A mesh's vertices in the link's frame, (P, 3).
        density: kg/m^3, for links without a mass.
        friction: Coefficient of a collider, None where the file has none.
    """

    path: str
    pose: np.ndarray
    collides: bool
    kind: str
    size: tuple[float, ...] = ()
    turn: np.ndarray = field(default_factory=lambda: np.eye(3))
    points: np.ndarray | None = None
    density: float = 1000.0
    friction: float | None = None


@dataclass
class Link:
    """A rigid body; mass None where its shapes decide.

    Attributes:
        mass: kg.
        com: Centre of mass in the link's frame, m.
        inertia: About the centre of mass, along the link's axes, kg m^2.
        total: What the mass shall be where shapes decide how it is spread, or None where their densities decide, kg.
        shapes: What it looks like and collides with.
    """

    mass: float | None = None
    com: np.ndarray = field(default_factory=lambda: np.zeros(3))
    inertia: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    total: float | None = None
    shapes: list[Shape] = field(default_factory=list)


@dataclass
class Hinge:
    """A joint: it turns about, or slides along, the x axis of its frame.

    Attributes:
        kind: "revolute", "prismatic" or "fixed".
        frame0: Of the joint in the parent.
        frame1: Of the joint in the child.
        mimic: Name of the joint that it follows, multiplier, offset.
        start: Position that its file starts it in, if it says one.
    """

    name: str
    kind: str
    parent: str
    child: str
    frame0: np.ndarray
    frame1: np.ndarray
    lower: float = -math.inf
    upper: float = math.inf
    effort: float = math.inf
    velocity: float = math.inf
    stiffness: float = 0.0
    damping: float = 0.0
    armature: float = 0.0
    friction: float = 0.0
    mimic: tuple[str, float, float] | None = None
    start: float | None = None

    @property
    def rest(self) -> np.ndarray:
        """The child's pose in the parent where the joint's position is 0."""
        return self.frame0 @ inverse(self.frame1)

    def at(self, position: float) -> np.ndarray:
        """Return the child's pose in the parent at a position, rad or m."""
        moved = translation([position, 0, 0]) if self.kind == "prismatic" else rotation_about_x(position)
        return self.frame0 @ moved @ inverse(self.frame1)


@dataclass
class Model:
    """A robot.

    Attributes:
        links: By name.
        hinges: Its joints.
        root: Name of the root link.
        fixed_base: Whether the world holds the root; None: unsaid.
        turn: Orientation of the root, 3x3.
        frames: Named poses: link and pose in it.
        home: Positions of joints, by name.
        filtered: Pairs of links that do not collide.
        changes: What was changed, a line each.
    """

    links: dict[str, Link] = field(default_factory=dict)
    hinges: list[Hinge] = field(default_factory=list)
    root: str = ""
    fixed_base: bool | None = None
    turn: np.ndarray = field(default_factory=lambda: np.eye(3))
    frames: dict[str, tuple[str, np.ndarray]] = field(default_factory=dict)
    home: dict[str, float] = field(default_factory=dict)
    filtered: list[tuple[str, str]] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)

    def children(self, name: str) -> list[Hinge]:
        """Return the joints below a link."""
        return [hinge for hinge in self.hinges if hinge.parent == name]

    def below(self, root: str) -> Iterator[Hinge]:
        """Yield the joints below a link, breadth first, which is PhysX's order.

        Raises:
            MyriadError: If a link hangs on two joints.
        """
        parents, waiting = {root: ""}, [root]
        while waiting:
            for hinge in self.children(waiting.pop(0)):
                if parents.setdefault(hinge.child, hinge.parent) != hinge.parent:
                    raise MyriadError(f"Link {hinge.child} hangs on two others, by {hinge.name} too: robots are trees.")
                if hinge.child not in waiting:
                    waiting.append(hinge.child)
                yield hinge

    def dofs(self) -> list[Hinge]:
        """Return the joints that move, breadth first."""
        return [hinge for hinge in self.below(self.root) if hinge.kind != "fixed"]

    def poses(self, positions: dict[str, float]) -> dict[str, np.ndarray]:
        """Return the poses of all links, the root's at the origin in its orientation, with joints at positions."""
        poses = {self.root: IDENTITY.copy()}
        poses[self.root][:3, :3] = self.turn
        for hinge in self.below(self.root):
            poses[hinge.child] = poses[hinge.parent] @ hinge.at(positions.get(hinge.name, 0.0))
        return poses


def clean(name: str, taken: Collection[str] = ()) -> str:
    """Return a name that USD and MJCF both can have, and that is not taken."""
    name = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    name = f"_{name}" if name[0].isdigit() else name
    numbered = (f"{name}_{number}" for number in range(1, len(taken) + 2))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def inverse(pose: np.ndarray) -> np.ndarray:
    """Invert a rigid pose."""
    result = IDENTITY.copy()
    result[:3, :3] = pose[:3, :3].T
    result[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return result


def translation(by: np.ndarray | list[float]) -> np.ndarray:
    """Return the pose of something that is moved and not turned."""
    result = IDENTITY.copy()
    result[:3, 3] = by
    return result


def rotation_about_x(angle: float) -> np.ndarray:
    """Return the pose of something that is turned about x by an angle in rad."""
    c, s = math.cos(angle), math.sin(angle)
    result = IDENTITY.copy()
    result[1:3, 1:3] = [[c, -s], [s, c]]
    return result


def x_to(axis: np.ndarray) -> np.ndarray:
    """Return a pose whose x axis is a given direction, such as a joint's axis."""
    x = np.asarray(axis, float) / np.linalg.norm(axis)
    y = np.cross(np.eye(3)[np.argmin(np.abs(x))], x)
    y /= np.linalg.norm(y)
    result = IDENTITY.copy()
    result[:3, :3] = np.stack((x, y, np.cross(x, y)), axis=1)
    return result


def quaternion(pose: np.ndarray) -> tuple[float, float, float, float]:
    """Return a pose's rotation, or a rotation matrix, as wxyz."""
    rotation = Gf.Matrix3d(*pose[:3, :3].T.flatten().tolist()).ExtractRotation().GetQuat()
    return (rotation.GetReal(), *rotation.GetImaginary())


def matrix(wxyz: np.ndarray | list[float]) -> np.ndarray:
    """Return a quaternion, wxyz, as a rotation matrix."""
    return np.array(Gf.Matrix3d(Gf.Quatd(*map(float, wxyz)).GetNormalized())).T


def pose_of(position: np.ndarray | list[float], wxyz: np.ndarray | list[float] = (1.0, 0.0, 0.0, 0.0)) -> np.ndarray:  # type: ignore[assignment]
    """Return a pose from a position and an orientation as wxyz."""
    result = translation(position)
    result[:3, :3] = matrix(wxyz)
    return result
