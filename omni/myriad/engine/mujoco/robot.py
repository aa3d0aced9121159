# SPDX-License-Identifier: Apache-2.0
"""What PhysX would read of a task's robot from the USD stage, for an engine that reads it from MJCF."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Usd, UsdGeom, UsdPhysics

from omni.myriad.engine import usd
from omni.myriad.engine.base import ENV_0_PATH
from omni.myriad.errors import MyriadError

UNLIMITED = float(np.finfo(np.float32).max)
"""PhysX's number for what has no limit."""


@dataclass
class Robot:
    """A robot on the stage; links and degrees of freedom are in PhysX's order: breadth first, then that of the stage.

    Attributes:
        prim_path: Path of the articulation's root prim.
        root_pose: Position (3,) in m and orientation (4,) as wxyz of the root link in the world.
        body_names: The links, the root first.
        joint_frames: Position (3,) and rotation (4,) as wxyz of each link's incoming joint, in the link's frame.
        dof_names: The degrees of freedom.
        limits: Lower and upper limit of each, in rad or m.
        stiffness: Of its drive, in N m/rad or N/m.
        damping: Of its drive, in N m s/rad or N s/m.
        armature: Its added inertia, in kg m^2 or kg.
        positions: Where it is authored, in rad or m.
        targets: Where its drive pulls to, in rad or m.
    """

    prim_path: str
    root_pose: tuple[np.ndarray, np.ndarray]
    body_names: list[str] = field(default_factory=list)
    joint_frames: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    dof_names: list[str] = field(default_factory=list)
    limits: list[tuple[float, float]] = field(default_factory=list)
    stiffness: list[float] = field(default_factory=list)
    damping: list[float] = field(default_factory=list)
    armature: list[float] = field(default_factory=list)
    positions: list[float] = field(default_factory=list)
    targets: list[float] = field(default_factory=list)


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
    joints = [joint for joint in joints if joint.GetBody0Rel().GetTargets()]
    children = {joint.GetBody1Rel().GetTargets()[0] for joint in joints}
    heads = [prim for prim in bodies if prim.GetPath() not in children]
    if len(heads) != 1:
        names = ", ".join(prim.GetName() for prim in heads)
        raise MyriadError(f"engine=mujoco has the robot alone, and these bodies are not linked to each other: {names}.")
    pose = UsdGeom.XformCache().GetLocalToWorldTransform(heads[0]).RemoveScaleShear()
    robot = Robot(str(roots[0].GetPath()), (np.array(pose.ExtractTranslation()), _wxyz(pose.ExtractRotationQuat())))
    robot.body_names.append(heads[0].GetName())
    robot.joint_frames.append((np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])))
    waiting = [heads[0].GetPath()]
    while waiting:
        parent = waiting.pop(0)
        for joint in joints:
            if joint.GetBody0Rel().GetTargets()[0] == parent:
                child = joint.GetBody1Rel().GetTargets()[0]
                waiting.append(child)
                robot.body_names.append(child.name)
                frame = np.array(joint.GetLocalPos1Attr().Get()), _wxyz(joint.GetLocalRot1Attr().Get())
                robot.joint_frames.append(frame)
                _add_dof(robot, joint.GetPrim())
    return robot


def _add_dof(robot: Robot, joint: Usd.Prim) -> None:
    if joint.IsA(UsdPhysics.FixedJoint):
        return
    if not joint.IsA(UsdPhysics.RevoluteJoint) and not joint.IsA(UsdPhysics.PrismaticJoint):
        raise MyriadError(f"engine=mujoco plays revolute, prismatic and fixed joints; {joint.GetPath()} is another.")
    kind, unit = ("angular", math.radians(1.0)) if joint.IsA(UsdPhysics.RevoluteJoint) else ("linear", 1.0)

    def read(*names: str) -> float:
        """Return the first of some attributes that is authored; USD counts angles in degrees."""
        values = [joint.GetAttribute(name).Get() for name in names if joint.HasAttribute(name)]
        return next((float(value) for value in values if value is not None), 0.0)

    robot.dof_names.append(joint.GetName())
    lower, upper = (max(-UNLIMITED, min(read(f"physics:{end}Limit") * unit, UNLIMITED)) for end in ("lower", "upper"))
    robot.limits.append((lower, upper))
    robot.stiffness.append(read(f"drive:{kind}:physics:stiffness") / unit)
    robot.damping.append(read(f"drive:{kind}:physics:damping") / unit)
    robot.armature.append(read(f"physxJointAxis:{kind}:armature", "physxJoint:armature"))
    robot.positions.append(read(f"state:{kind}:physics:position") * unit)
    robot.targets.append(read(f"drive:{kind}:physics:targetPosition") * unit)


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
