# SPDX-License-Identifier: Apache-2.0
"""What PhysX would read of a task's robots and bodies from the USD stage, for an engine that has robots from MJCF."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pxr import Usd, UsdGeom, UsdPhysics, UsdShade

from omni.myriad.engine import usd
from omni.myriad.engine.base import ENV_0_PATH
from omni.myriad.engine.shapes import Shape, robot_shapes
from omni.myriad.errors import MyriadError
from omni.myriad.maths import quat_mul

_AXES = ("transX", "transY", "transZ", "rotX", "rotY", "rotZ")

UNLIMITED = float(np.finfo(np.float32).max)
"""PhysX's number for what has no limit."""

_DENSITY, _FRICTION = 1000.0, 0.5
"""PhysX's, of shapes for which USD says nothing; in kg/m^3."""


class Dof(NamedTuple):
    """A degree of freedom of a robot; angles in rad, lengths in m."""

    name: str
    lower: float
    upper: float
    stiffness: float
    damping: float
    armature: float
    position: float
    target: float
    max_force: float


@dataclass
class Robot:
    """A robot on the stage; links and degrees of freedom are in PhysX's order: breadth first, then by joints' names.

    Attributes:
        name: Of the prim below environment 0 in which it lies.
        prim_path: Path of the articulation's root prim.
        root_pose: Position (3,) in m and orientation (4,) as wxyz of the root link in the world.
        links: For each link its name, and its incoming joint's position (3,) and rotation (4,) as wxyz in its frame.
        joint_names: Names of these joints; that of the root link, which has none, is left out.
        dofs: The degrees of freedom: limits, their drives' gains and armature, where they are and are pulled to, and
            the drives' limits of force.
        orientations: Of the links in the world as wxyz, (links, 4), with all degrees of freedom at 0: as in PhysX, of
            the two quaternions of an orientation the product of those along the joints.
        weightless: Names of the links that gravity does not pull at.
        followers: Names of the degrees of freedom that follow others.
        prefix: What its joints and bodies are called in MuJoCo before their names.
    """

    name: str
    prim_path: str
    root_pose: tuple[np.ndarray, np.ndarray]
    links: list[tuple[str, np.ndarray, np.ndarray]]
    joint_names: list[str]
    dofs: list[Dof]
    orientations: np.ndarray
    weightless: set[str]
    followers: set[str]
    prefix: str = ""


@dataclass
class Body:
    """A body on the stage that no joint holds.

    Attributes:
        name: Its path below environment 0.
        pose: Position (3,) in m and orientation (4,) as wxyz in the world.
        is_free: Whether forces move it.
        shapes: What collides, in its frame.
        mass: In kg; 0 for that of its shapes.
        density: Of these, in kg/m^3.
        friction: Of these.
        inertia: Centre of mass (3,) in m, principal axes (4,) as wxyz and moments about them (3,) in kg m^2, in its
            frame; None for those of its shapes.
    """

    name: str
    pose: tuple[np.ndarray, np.ndarray]
    is_free: bool
    shapes: list[Shape]
    mass: float
    density: float
    friction: float
    inertia: tuple[np.ndarray, np.ndarray, np.ndarray] | None


def read_world(stage: Usd.Stage) -> tuple[list[Robot], list[Body]]:
    """Read the robots of environment 0 and the bodies beside them, each below a prim of its own.

    Raises:
        MyriadError: If there is no robot, bodies below one prim are not linked, or a robot has joints of other kinds.
    """
    env_0 = stage.GetPrimAtPath(ENV_0_PATH)
    usd.break_instances(env_0)
    robots, bodies = [], []
    for part in env_0.GetChildren():
        prims = list(Usd.PrimRange(part))
        links = [prim for prim in prims if prim.HasAPI(UsdPhysics.RigidBodyAPI)]
        if [prim for prim in prims if prim.HasAPI(UsdPhysics.ArticulationRootAPI)]:
            robots.append(_read_robot(part, prims, links))
        elif len(links) > 1:
            raise MyriadError(_not_linked(links))
        elif links:
            bodies.append(_read_body(stage, links[0]))
    if not robots:
        raise MyriadError(f"engine=mujoco steps a robot, and {ENV_0_PATH} holds none.")
    return robots, bodies


def _not_linked(bodies: list[Usd.Prim]) -> str:
    names = ", ".join(prim.GetName() for prim in bodies)
    return f"engine=mujoco: these bodies lie in one prim and are not linked to each other: {names}."


def _read_robot(part: Usd.Prim, prims: list[Usd.Prim], bodies: list[Usd.Prim]) -> Robot:
    roots = [prim for prim in prims if prim.HasAPI(UsdPhysics.ArticulationRootAPI)]
    if len(roots) > 1:
        raise MyriadError(f"engine=mujoco steps one robot in each prim, and {part.GetPath()} holds {len(roots)}.")
    # A joint of a body to the world, which has no first body, fixes the root.
    joints = [joint for prim in prims if prim.IsA(UsdPhysics.Joint) and (joint := UsdPhysics.Joint(prim))]
    joints = sorted((joint for joint in joints if joint.GetBody0Rel().GetTargets()), key=lambda j: str(j.GetPath()))
    children = {joint.GetBody1Rel().GetTargets()[0] for joint in joints}
    heads = [prim for prim in bodies if prim.GetPath() not in children]
    if len(heads) != 1:
        raise MyriadError(_not_linked(heads))
    links, names, dofs = [(heads[0].GetName(), np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))], [], []
    waiting, followers, orientations = [heads[0].GetPath()], set(), [_pose(heads[0])[1]]
    numbers = {waiting[0]: 0}
    while waiting:
        parent = waiting.pop(0)
        for joint in joints:
            if joint.GetBody0Rel().GetTargets()[0] == parent:
                (child,) = joint.GetBody1Rel().GetTargets()
                waiting.append(child)
                numbers[child] = len(links)
                frame = np.array(joint.GetLocalPos1Attr().Get()), _wxyz(joint.GetLocalRot1Attr().Get())
                links.append((child.name, *frame))
                above = _product(orientations[numbers[parent]], _wxyz(joint.GetLocalRot0Attr().Get()))
                orientations.append(_product(above, frame[1] * (1.0, -1.0, -1.0, -1.0)))
                names.append(joint.GetPrim().GetName())
                dofs += _read_dofs(joint.GetPrim())
                if any("Mimic" in schema for schema in joint.GetPrim().GetPrimTypeInfo().GetAppliedAPISchemas()):
                    followers.add(names[-1])
    weightless = {prim.GetName() for prim in bodies if _read(prim, "physxRigidBody:disableGravity", False)}
    path = str(roots[0].GetPath())
    return Robot(
        part.GetName(), path, _pose(heads[0]), links, names, dofs, np.array(orientations), weightless, followers
    )


def _read_body(stage: Usd.Stage, prim: Usd.Prim) -> Body:
    path = str(prim.GetPath())[len(ENV_0_PATH) + 1 :]
    shapes = robot_shapes(stage, [f"{path.split('/')[0]}/{prim.GetName()}"], colliders=True)
    frictions = [
        UsdPhysics.MaterialAPI(material).GetDynamicFrictionAttr().Get()
        for part in Usd.PrimRange(prim)
        if part.HasAPI(UsdPhysics.CollisionAPI)
        and (material := UsdShade.MaterialBindingAPI(part).ComputeBoundMaterial("physics")[0])
    ]
    moments = np.array(_read(prim, "physics:diagonalInertia", (0.0, 0.0, 0.0)), float)
    centre, axes = prim.GetAttribute("physics:centerOfMass").Get(), prim.GetAttribute("physics:principalAxes").Get()
    turn = np.array([1.0, 0.0, 0.0, 0.0]) if axes is None or not axes.GetLength() else _wxyz(axes)
    inertia = np.zeros(3) if centre is None or not np.isfinite(centre).all() else np.array(centre, float), turn, moments
    return Body(
        name=path,
        pose=_pose(prim),
        is_free=not _read(prim, "physics:kinematicEnabled", False),
        shapes=shapes,
        mass=float(_read(prim, "physics:mass", 0.0)),
        density=float(_read(prim, "physics:density", 0.0)) or _DENSITY,
        friction=float(frictions[0]) if frictions else _FRICTION,
        inertia=inertia if moments.all() else None,
    )


def _read(prim: Usd.Prim, attribute: str, default: Any) -> Any:
    value = prim.GetAttribute(attribute).Get() if prim.HasAttribute(attribute) else None
    return default if value is None else value


def _pose(prim: Usd.Prim) -> tuple[np.ndarray, np.ndarray]:
    pose = UsdGeom.XformCache().GetLocalToWorldTransform(prim).RemoveScaleShear()
    return np.array(pose.ExtractTranslation()), _wxyz(pose.ExtractRotationQuat())


def _read_dofs(joint: Usd.Prim) -> list[Dof]:
    """Return a joint's degrees of freedom; PhysX calls those of a joint of many by its name and the axis's number."""
    name = joint.GetName()
    if joint.IsA(UsdPhysics.FixedJoint):
        return []
    if joint.IsA(UsdPhysics.RevoluteJoint):
        return [_read_dof(joint, name, "angular", "physics:lowerLimit", "physics:upperLimit")]
    if joint.IsA(UsdPhysics.PrismaticJoint):
        return [_read_dof(joint, name, "linear", "physics:lowerLimit", "physics:upperLimit")]
    free = [axis for axis in _AXES if not _is_locked(joint, axis)]
    if joint.GetTypeName() != "PhysicsJoint" or any(axis.startswith("trans") for axis in free):
        raise MyriadError(f"engine=mujoco plays joints that turn, slide or do neither; {joint.GetPath()} is another.")
    limits = {axis: (f"limit:{axis}:physics:low", f"limit:{axis}:physics:high") for axis in free}
    return [_read_dof(joint, f"{name}:{_AXES.index(axis) - 3}", axis, *limits[axis]) for axis in free]


def _is_locked(joint: Usd.Prim, axis: str) -> bool:
    low, high = (joint.GetAttribute(f"limit:{axis}:physics:{side}").Get() for side in ("low", "high"))
    return low is not None and high is not None and low > high


def _read_dof(joint: Usd.Prim, name: str, kind: str, lower: str, upper: str) -> Dof:
    """Read one degree of freedom: `kind` is the instance of its drive, `lower` and `upper` hold its limits."""
    unit = 1.0 if kind == "linear" else math.radians(1.0)

    def read(*names: str) -> float:
        """Return the first of some attributes that has a value; USD counts angles in degrees."""
        values = [joint.GetAttribute(name).Get() for name in names if joint.HasAttribute(name)]
        return next((float(value) for value in values if value is not None), 0.0)

    return Dof(
        name,
        max(-UNLIMITED, read(lower) * unit),
        min(UNLIMITED, read(upper) * unit),
        read(f"drive:{kind}:physics:stiffness") / unit,
        read(f"drive:{kind}:physics:damping") / unit,
        read(f"physxJointAxis:{kind}:armature", "physxJoint:armature"),
        read(f"state:{kind}:physics:position") * unit,
        read(f"drive:{kind}:physics:targetPosition") * unit,
        min(UNLIMITED, read(f"drive:{kind}:physics:maxForce") or UNLIMITED),
    )


def find_mjcf(stage: Usd.Stage, prim_path: str, task: str) -> Path:
    """Return the MJCF file that lies beside the USD file of a robot, under the same name.

    Args:
        stage: The USD stage that the task authored.
        prim_path: Path of a prim of the robot in environment 0.
        task: Name of the task, for the message.

    Raises:
        MyriadError: If there is none.
    """
    robot = stage.GetPrimAtPath("/".join(prim_path.split("/")[: ENV_0_PATH.count("/") + 2]))
    layers = [spec.layer.realPath for spec in robot.GetPrimStack() if spec.layer.realPath]
    for layer in layers:
        if Path(layer).with_suffix(".xml").is_file():
            return Path(layer).with_suffix(".xml")
    where = f"{Path(layers[0]).with_suffix('.xml')}" if layers else "none, because the robot is in no file of its own"
    raise MyriadError(f"The robot of task {task} has no MJCF for MuJoCo: expected {where}.")


def _wxyz(quaternion: Any) -> np.ndarray:
    return np.array([quaternion.GetReal(), *quaternion.GetImaginary()])


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return quat_mul(torch.from_numpy(a), torch.from_numpy(b)).numpy()
