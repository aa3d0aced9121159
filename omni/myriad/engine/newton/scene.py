# SPDX-License-Identifier: Apache-2.0
"""The task's USD stage as Newton's model, and where in its arrays each prim of environment 0 is found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import newton
import numpy as np
import warp
from newton import JointType
from newton.usd import SchemaResolverNewton, SchemaResolverPhysx
from pxr import Usd, UsdPhysics

from omni.myriad.engine.base import ENV_0_PATH, ENVS_PATH
from omni.myriad.errors import MyriadError

wp: Any = warp  # its functions take more than their types say

_JOINTS = (JointType.FREE, JointType.FIXED, JointType.REVOLUTE, JointType.PRISMATIC, JointType.D6)
_LOOPS = (JointType.FIXED, JointType.REVOLUTE, JointType.BALL)
"""Joints that may close a loop, outside of an articulation: MuJoCo has them as constraints."""

_RAW = 1
"""Newton's mark for joint limits that are given as MuJoCo has them."""

_LIMIT = (0.02, 1.0)
"""MuJoCo's default `solreflimit`: time constant in s, and damping ratio."""

_ROUNDING = 1e-6
"""Part of the sum of its moments by which a body's inertia may be rounded, and the room of a joint that is locked."""

UNLIMITED = float(np.finfo(np.float32).max)
"""PhysX's number for what has no limit."""


@dataclass(frozen=True)
class Robot:
    """An articulation of environment 0: its joints and links by Newton's numbers in one world, breadth first.

    Attributes:
        is_fixed_base: Whether its root stays where it is.
        joint: Number of the joint that holds the root, or lets it go.
        bodies: Numbers of the links; the root is the first one.
        coords: Numbers in `joint_q` and `joint_target_q` of the degrees of freedom, the root's aside.
        dofs: Numbers in `joint_qd` of the same.
        body_names: Names of the links.
        joint_names: Names of the joints, the root's aside.
        dof_names: Names of the degrees of freedom.
        axes: Axis of each degree of freedom in its joint's frame, (3,).
        turns: Whether each of them turns; else it slides.
        links: Number of the link that each of them moves, counted as in `bodies`.
        num_shapes: Number of collision shapes.
        fixed_tendon_count: Newton's model has none.
    """

    is_fixed_base: bool
    joint: int
    bodies: list[int]
    coords: list[int]
    dofs: list[int]
    body_names: list[str]
    joint_names: list[str]
    dof_names: list[str]
    axes: list[list[float]]
    turns: list[bool]
    links: list[int]
    num_shapes: int
    fixed_tendon_count: int = 0


@dataclass(frozen=True)
class HeightField:
    """Uneven ground: see `Engine.add_height_field`.

    Attributes:
        path: Its name.
        heights: In m, (rows along x, columns along y).
        cell: Distance of neighbouring heights in m.
        corner: Where the first height is, x and y in m.
        friction: In motion.
    """

    path: str
    heights: np.ndarray
    cell: float
    corner: tuple[float, float]
    friction: float

    def add_to(self, builder: newton.ModelBuilder) -> None:
        """Add it to a model as a body that never moves.

        MuJoCo cuts cells along the other diagonal than `height_field_mesh`, so it gets the ground turned by a quarter:
        there x is our y, and y is our -x.
        """
        rows, columns = self.heights.shape
        half = 0.5 * self.cell * (rows - 1), 0.5 * self.cell * (columns - 1)
        turned = np.ascontiguousarray(self.heights[::-1])  # its rows are along y, from the least one on
        field = newton.Heightfield(turned, rows, columns, half[1], half[0])
        place = wp.vec3(self.corner[0] + half[0], self.corner[1] + half[1], 0.0)
        quarter = wp.quat_from_axis_angle(wp.vec3(0.0, 0.0, 1.0), 0.5 * math.pi)
        config = newton.ModelBuilder.ShapeConfig(mu=self.friction)
        builder.add_shape_heightfield(
            xform=wp.transform(place, quarter), heightfield=field, cfg=config, label=self.path
        )


class Layout:
    """Where environment 0's prims are found in the arrays of one world.

    Args:
        builder: Newton's model of environment 0.
        drives: Whether each degree of freedom has a drive.

    Attributes:
        bodies: Number of each body by path.
        shapes: Number of collision shapes of each body.
        robots: The articulations by the path of their root prim.
        free_joints: For each body that nothing holds, the number of its first entry in `joint_q` and in `joint_qd`.
        drives: For each degree of freedom 1 if it has a drive, else 0.
        sizes: Entries of one world by the name of what they count.
    """

    def __init__(self, builder: newton.ModelBuilder, drives: list[bool]) -> None:
        self.bodies = {path: number for number, path in enumerate(builder.body_label)}
        self.shapes = [builder.shape_body.count(body) for body in range(builder.body_count)]
        self.drives = [int(has_drive) for has_drive in drives]
        self.sizes = {
            "body": builder.body_count,
            "joint": builder.joint_count,
            "coord": builder.joint_coord_count,
            "dof": builder.joint_dof_count,
            "articulation": builder.articulation_count,
        }
        self.free_joints: dict[int, tuple[int, int]] = {}
        self.robots: dict[str, Robot] = {}
        for joint, kind in enumerate(builder.joint_type):
            if kind not in (_LOOPS if builder.joint_articulation[joint] < 0 else _JOINTS):
                label, name = builder.joint_label[joint], JointType(kind).name.lower()
                raise MyriadError(f"engine=newton has no joints such as {label} ({name}): use another engine.")
            if kind == JointType.FREE:
                starts = builder.joint_q_start[joint], builder.joint_qd_start[joint]
                self.free_joints[builder.joint_child[joint]] = starts
        for number, path in enumerate(builder.articulation_label):
            joints = [joint for joint, of in enumerate(builder.joint_articulation) if of == number]
            self.robots[path] = _read_robot(builder, joints)


def _read_robot(builder: newton.ModelBuilder, joints: list[int]) -> Robot:
    root, *others = joints
    links = [builder.joint_child[joint] for joint in joints]
    coords, dofs, names, turns, at = [], [], [], [], []
    for link, joint in enumerate(others, 1):
        num_linear, num_angular = builder.joint_dof_dim[joint]
        count = num_linear + num_angular
        name = builder.joint_label[joint].rsplit("/", 1)[-1]
        coords += range(builder.joint_q_start[joint], builder.joint_q_start[joint] + count)
        dofs += range(builder.joint_qd_start[joint], builder.joint_qd_start[joint] + count)
        axes = [builder.joint_axis[builder.joint_qd_start[joint] + axis] for axis in range(count)]
        names += [name] if count == 1 else [f"{name}:{_number_of(axis)}" for axis in axes]  # as PhysX calls them
        turns += [False] * num_linear + [True] * num_angular
        at += [link] * count
    return Robot(
        is_fixed_base=builder.joint_type[root] != JointType.FREE,
        joint=root,
        bodies=links,
        coords=coords,
        dofs=dofs,
        body_names=[builder.body_label[body].rsplit("/", 1)[-1] for body in links],
        joint_names=[builder.joint_label[joint].rsplit("/", 1)[-1] for joint in others],
        dof_names=names,
        axes=[list(builder.joint_axis[dof]) for dof in dofs],
        turns=turns,
        links=at,
        num_shapes=sum(builder.shape_body.count(link) for link in links),
    )


def _number_of(axis: Any) -> int:
    """Return 0, 1 or 2 for an axis along x, y or z."""
    return int(np.argmax(np.abs(np.array(axis))))


def load(
    stage: Usd.Stage,
    positions: list[tuple[float, float, float]],
    gravity: list[float],
    device: str,
    height_fields: Sequence[HeightField] = (),
) -> tuple[newton.Model, Layout]:
    """Build Newton's model: environment 0 once in a world of its own for each position, and what all worlds share.

    Args:
        stage: What the task authored.
        positions: Where the environments stand in m.
        gravity: Acceleration in m/s^2, (3,).
        device: Warp's name of the device.
        height_fields: Uneven ground that all worlds share.
    """
    environment = _read(stage, root_path=ENV_0_PATH)
    drives = _read_joint_settings(stage, environment)
    _thicken(environment)
    weightless: Any = environment.custom_attributes["mujoco:gravcomp"].values
    for body, path in enumerate(environment.body_label):
        if _read_number(stage.GetPrimAtPath(path), "physxRigidBody:disableGravity", 0.0):
            weightless[body] = 1.0
    environment.gravity = wp.vec3(*gravity)
    builder = _read(stage, ignore_paths=[f"{ENVS_PATH}(/.*)?$"])
    builder.gravity = wp.vec3(*gravity)
    for field in height_fields:
        field.add_to(builder)
    builder.replicate(environment, len(positions), xforms=[wp.transform(at, wp.quat_identity()) for at in positions])
    model: Any = builder.finalize(device=device)
    # Newton's own limits of joints bounce, with a fourteenth of the critical damping, where PhysX's do not.
    model.mujoco.solreflimit_mode.fill_(_RAW)
    model.mujoco.solreflimit.fill_(wp.vec2(*_LIMIT))
    return model, Layout(environment, drives)


def _read(stage: Usd.Stage, **which: Any) -> newton.ModelBuilder:
    builder = newton.ModelBuilder()
    builder.rigid_gap = 0.0  # else MuJoCo looks after pairs of shapes that are 0.1 m apart
    newton.solvers.SolverMuJoCo.register_custom_attributes(builder)
    builder.add_usd(
        stage,
        joint_ordering="bfs",  # PhysX's order
        schema_resolvers=[SchemaResolverNewton(), SchemaResolverPhysx()],  # else start poses are lost
        load_visual_shapes=False,
        **which,
    )
    return builder


def _read_joint_settings(stage: Usd.Stage, builder: newton.ModelBuilder) -> list[bool]:
    """Read as PhysX does what Newton leaves out or changes: armatures, limits of velocity and effort, and targets.

    Returns:
        Whether each degree of freedom has a drive.

    Raises:
        MyriadError: If a drive counts in accelerations, which Newton would take for forces.
    """
    drives = [False] * builder.joint_dof_count
    for joint, path in enumerate(builder.joint_label):
        prim = stage.GetPrimAtPath(path) if path.startswith("/") else Usd.Prim()
        num_linear, num_angular = builder.joint_dof_dim[joint]
        for axis in range(num_linear + num_angular if prim else 0):
            dof = builder.joint_qd_start[joint] + axis
            kind, unit = ("linear", 1.0) if axis < num_linear else ("angular", math.radians(1.0))
            if not (prim.IsA(UsdPhysics.RevoluteJoint) or prim.IsA(UsdPhysics.PrismaticJoint)):
                kind = ("trans" if axis < num_linear else "rot") + "XYZ"[_number_of(builder.joint_axis[dof])]
            builder.joint_armature[dof] = _read_number(prim, f"physxJointAxis:{kind}:armature", 0.0)
            velocity = _read_number(prim, f"physxJointAxis:{kind}:maxJointVelocity", UNLIMITED / unit)
            builder.joint_velocity_limit[dof] = min(velocity * unit, UNLIMITED)
            builder.joint_effort_limit[dof] = min(builder.joint_effort_limit[dof], UNLIMITED)
            low, high = builder.joint_limit_lower[dof], builder.joint_limit_upper[dof]
            if low == high:  # MuJoCo wants some room between them
                builder.joint_limit_upper[dof] = low + _ROUNDING * max(abs(low), 1.0)
            target = _read_number(prim, f"drive:{kind}:physics:targetPosition", 0.0) * unit
            builder.joint_target_q[builder.joint_q_start[joint] + axis] = target
            drives[dof] = prim.HasAPI(UsdPhysics.DriveAPI, kind)
            if drives[dof] and UsdPhysics.DriveAPI(prim, kind).GetTypeAttr().Get() == UsdPhysics.Tokens.acceleration:
                raise MyriadError(
                    f"engine=newton has no drives of acceleration, such as that of {path}: make it force."
                )
    return drives


def _thicken(builder: newton.ModelBuilder) -> None:
    """Give flat bodies a little depth: MuJoCo refuses moments A, B, C where rounding makes A + B less than C."""
    for body, inertia in enumerate(builder.body_inertia):
        matrix = np.array(inertia).reshape(3, 3)
        total, largest = np.trace(matrix), np.linalg.eigvalsh(matrix)[-1]
        if 0.0 <= total - 2.0 * largest + _ROUNDING * total < 2.0 * _ROUNDING * total:
            builder.body_inertia[body] = wp.mat33(matrix + 2.0 * _ROUNDING * total * np.eye(3))


def _read_number(prim: Usd.Prim, name: str, default: float) -> float:
    value = prim.GetAttribute(name).Get() if prim.HasAttribute(name) else None
    return default if value is None else float(value)
