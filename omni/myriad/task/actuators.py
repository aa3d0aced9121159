# SPDX-License-Identifier: Apache-2.0
"""The motors of a robot, as a task's YAML names them in `sim.<robot>.actuators` by patterns of joints' names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

import torch

from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from pxr import Usd
    from torch import Tensor

    from omni.myriad.task.robot import Robots

ActuatorKind = Literal["effort", "position", "velocity", "pd"]


@dataclass(frozen=True)
class Actuator:
    """The motors of some joints; None leaves what the robot's file says. Units are N m and rad, or N and m.

    Args:
        joints: Names of the joints.
        kind: "effort" (the task sets efforts), "position" or "velocity" (PhysX's drive follows targets), or "pd":
            efforts from position and velocity targets, computed here in every physics step.
        stiffness: Effort per position error.
        damping: Effort per velocity error.
        effort_limit: The largest effort.
        velocity_limit: The largest velocity of the joint.
        armature: Inertia of the rotor along the joint, kg m^2 or kg.
        friction: Effort of friction in the joint.
        delay: Physics steps until a target arrives, for kind "pd".
        mimic: Whether joints that follow another one, as their robot's file says, go on doing so.
    """

    joints: tuple[str, ...]
    kind: ActuatorKind = "position"
    stiffness: float | None = None
    damping: float | None = None
    effort_limit: float | None = None
    velocity_limit: float | None = None
    armature: float | None = None
    friction: float | None = None
    delay: int = 0
    mimic: bool = True


def read_actuators(robot: str, settings: Mapping[str, Any], joints: Sequence[str]) -> list[Actuator]:
    """Return the motors that a section of the task's YAML names.

    Args:
        robot: The robot's name below `sim`, for messages.
        settings: Of each motor by pattern, such as "panda_joint[1-4]"; "*" is any text, "?" any letter.
        joints: Names of all joints that move.

    Raises:
        MyriadError: If a pattern matches no joint, or a joint is matched twice.
    """
    actuators: list[Actuator] = []
    taken: dict[str, str] = {}
    for pattern, values in settings.items():
        key = f"sim.{robot}.actuators.{pattern}"
        if not isinstance(values, Mapping):
            raise MyriadError(f"{key}={values} is invalid: it must be a section, such as {{kind: effort}}.")
        matched = tuple(name for name in joints if fnmatchcase(name, pattern))
        if not matched:
            raise MyriadError(f"{key} matches no joint of the robot; its joints are: {', '.join(joints) or 'none'}.")
        for name in matched:
            if name in taken:
                raise MyriadError(f"{key} matches joint {name}, as {taken[name]} does: name each joint once.")
            taken[name] = pattern
        actuators.append(Actuator(matched, **values))
    return actuators


def moving_joints(root: Usd.Prim) -> dict[str, Usd.Prim]:
    """Return the joints with one degree of freedom at and below a prim, by name."""
    from pxr import Usd, UsdPhysics

    kinds = (UsdPhysics.RevoluteJoint, UsdPhysics.PrismaticJoint)
    return {prim.GetName(): prim for prim in Usd.PrimRange(root) if any(prim.IsA(kind) for kind in kinds)}


def author_actuators(joints: Mapping[str, Usd.Prim], actuators: Sequence[Actuator]) -> None:
    """Write motors onto joints, where PhysX, Isaac Sim and Newton read them; USD counts angles in degrees."""
    from pxr import Sdf, UsdPhysics

    from omni.myriad.engine import usd

    for actuator in actuators:
        for joint in (joints[name] for name in actuator.joints):
            if not actuator.mimic:
                release(joint)
            turns = joint.IsA(UsdPhysics.RevoluteJoint)
            axis, unit = ("angular", math.radians(1.0)) if turns else ("linear", 1.0)
            drive = UsdPhysics.DriveAPI.Apply(joint, axis)
            drive.CreateTypeAttr().Set("force")
            ours = actuator.kind == "pd"
            stiffness = 0.0 if ours or actuator.kind in ("effort", "velocity") else actuator.stiffness
            damping = 0.0 if ours or (actuator.kind == "effort" and actuator.damping is None) else actuator.damping
            for create, value in (
                (drive.CreateStiffnessAttr, stiffness and stiffness * unit),
                (drive.CreateDampingAttr, damping and damping * unit),
                (drive.CreateMaxForceAttr, actuator.effort_limit),
            ):
                if value is not None:
                    create().Set(value)
            velocity = actuator.velocity_limit
            for value, names, newton in (
                (velocity and velocity / unit, ("maxJointVelocity",), "velocityLimit"),
                (actuator.armature, ("armature",), "armature"),
                (actuator.friction, ("staticFrictionEffort", "dynamicFrictionEffort"), "friction"),
            ):
                if value is None:
                    continue
                for name in names:
                    attribute = f"physxJointAxis:{axis}:{name}"
                    usd.author(joint, f"PhysxJointAxisAPI:{axis}", attribute, Sdf.ValueTypeNames.Float, value)
                if joint.HasAttribute(f"newton:{newton}"):  # else two of one joint's attributes would contradict
                    joint.GetAttribute(f"newton:{newton}").Set(value)


def release(joint: Usd.Prim) -> None:
    """Let a joint that follows another one move by itself, in PhysX and in Newton."""
    for schema in [name for name in joint.GetPrimTypeInfo().GetAppliedAPISchemas() if "Mimic" in name]:
        joint.RemoveAppliedSchema(schema)
    for name in [name for name in joint.GetPropertyNames() if "mimic" in name.lower()]:
        joint.RemoveProperty(name)


def effort_limits(actuators: Sequence[Actuator], dof_names: Sequence[str], device: torch.device) -> Tensor | None:
    """Return the limits of efforts that tasks set, (num_dof,), None for none: PhysX cuts those of drives alone."""
    limits = {
        name: actuator.effort_limit
        for actuator in actuators
        if actuator.kind in ("effort", "pd") and actuator.effort_limit is not None
        for name in actuator.joints
    }
    if not limits:
        return None
    return torch.tensor([limits.get(name, math.inf) for name in dof_names], device=device)


class ProportionalDerivative:
    """Motors of kind "pd": stiffness * position error + damping * velocity error, cut to the limits, in every step.

    Args:
        actuators: Those of this kind, at least one.
        robot: Their robots.

    Attributes:
        dofs: Their degrees of freedom, (motors,).
        gains: "stiffness" and "damping" of each, (robots, motors).
    """

    def __init__(self, actuators: Sequence[Actuator], robot: Robots) -> None:
        names = [name for actuator in actuators for name in actuator.joints]
        device = robot.get_joint_positions(clone=False).device

        def per_joint(attribute: str) -> Tensor:
            values = [getattr(actuator, attribute) or 0.0 for actuator in actuators for _ in actuator.joints]
            return torch.tensor(values, dtype=torch.float32, device=device)

        self._robot = robot
        self.dofs = torch.tensor([robot.get_dof_index(name) for name in names], device=device)
        self.gains = {name: per_joint(name).repeat(robot.count, 1) for name in ("stiffness", "damping")}
        delays = per_joint("delay").long()
        self._columns = torch.arange(len(names), device=device)
        self._rows = int(delays.max()) - delays
        # Position and velocity targets of the last steps, the oldest first.
        self.history = torch.zeros((robot.count, int(delays.max()) + 1, len(names), 2), device=device)

    @classmethod
    def of(cls, actuators: Sequence[Actuator], robot: Robots) -> ProportionalDerivative | None:
        """Return what drives those motors that are of this kind, None where there are none."""
        ours = [actuator for actuator in actuators if actuator.kind == "pd"]
        return cls(ours, robot) if ours else None

    def drive(self, began: Tensor | None = None) -> None:
        """Set the efforts for the next physics step.

        Args:
            began: True where an episode has just begun, (num_envs,): targets of before are forgotten there, and joints
                held where they are until the first new one arrives. None for nowhere.
        """
        robot, dofs = self._robot, self.dofs
        positions = robot.get_joint_positions(clone=False)[:, dofs]
        velocities = robot.get_joint_velocities(clone=False)[:, dofs]
        applied: Any = robot.get_applied_actions(clone=False)
        history = self.history
        if began is not None:
            here = torch.stack((positions, torch.zeros_like(positions)), dim=-1).unsqueeze(1)
            torch.where(began.view(-1, 1, 1, 1), here, history, out=history)
        if history.shape[1] > 1:
            history[:, :-1] = history[:, 1:].clone()
        history[:, -1, :, 0] = applied.joint_positions[:, dofs]
        history[:, -1, :, 1] = applied.joint_velocities[:, dofs]
        targets = history[:, self._rows, self._columns]
        efforts = applied.joint_efforts.clone()
        stiffness, damping = self.gains["stiffness"], self.gains["damping"]
        efforts[:, dofs] = stiffness * (targets[..., 0] - positions) + damping * (targets[..., 1] - velocities)
        robot.set_joint_efforts(efforts)
