# SPDX-License-Identifier: Apache-2.0
"""What PhysX would read of a task's robot from the USD stage, for an engine that reads it from MJCF."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pxr import Usd, UsdGeom, UsdPhysics

from omni.myriad.engine import usd
from omni.myriad.engine.base import ENV_0_PATH
from omni.myriad.errors import MyriadError

_AXES = ("transX", "transY", "transZ", "rotX", "rotY", "rotZ")

UNLIMITED = float(np.finfo(np.float32).max)
"""PhysX's number for what has no limit."""


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
        prim_path: Path of the articulation's root prim.
        root_pose: Position (3,) in m and orientation (4,) as wxyz of the root link in the world.
        links: For each link its name, and its incoming joint's position (3,) and rotation (4,) as wxyz in its frame.
        joint_names: Names of these joints; that of the root link, which has none, is left out.
        dofs: The degrees of freedom: limits, their drives' gains and armature, where they are and are pulled to, and
            the drives' limits of force.
    """

    prim_path: str
    root_pose: tuple[np.ndarray, np.ndarray]
    links: list[tuple[str, np.ndarray, np.ndarray]]
    joint_names: list[str]
    dofs: list[Dof]


def read_robot(stage: Usd.Stage) -> Robot:
    """Read the one robot of environment 0.

    Raises:
        MyriadError: If there is none, there is something besides it, or it has joints of other kinds.
    """
    env_0 = stage.GetPrimAtPath(ENV_0_PATH)
    usd.break_instances(env_0)
    roots = usd.articulation_roots(stage)
    if len(roots) != 1:
        raise MyriadError(f"engine=mujoco steps one robot, and {ENV_0_PATH} holds {len(roots)}.")
    prims = list(Usd.PrimRange(env_0))
    bodies = [prim for prim in prims if prim.HasAPI(UsdPhysics.RigidBodyAPI)]
    # A joint of a body to the world, which has no first body, fixes the root.
    joints = [joint for prim in prims if prim.IsA(UsdPhysics.Joint) and (joint := UsdPhysics.Joint(prim))]
    joints = sorted((joint for joint in joints if joint.GetBody0Rel().GetTargets()), key=lambda j: str(j.GetPath()))
    children = {joint.GetBody1Rel().GetTargets()[0] for joint in joints}
    heads = [prim for prim in bodies if prim.GetPath() not in children]
    if len(heads) != 1:
        names = ", ".join(prim.GetName() for prim in heads)
        raise MyriadError(f"engine=mujoco has the robot alone, and these bodies are not linked to each other: {names}.")
    pose = UsdGeom.XformCache().GetLocalToWorldTransform(heads[0]).RemoveScaleShear()
    root_pose = np.array(pose.ExtractTranslation()), _wxyz(pose.ExtractRotationQuat())
    links, names, dofs = [(heads[0].GetName(), np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))], [], []
    waiting = [heads[0].GetPath()]
    while waiting:
        parent = waiting.pop(0)
        for joint in joints:
            if joint.GetBody0Rel().GetTargets()[0] == parent:
                (child,) = joint.GetBody1Rel().GetTargets()
                waiting.append(child)
                frame = np.array(joint.GetLocalPos1Attr().Get()), _wxyz(joint.GetLocalRot1Attr().Get())
                links.append((child.name, *frame))
                names.append(joint.GetPrim().GetName())
                dofs += _read_dofs(joint.GetPrim())
    return Robot(str(roots[0].GetPath()), root_pose, links, names, dofs)


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
