# SPDX-License-Identifier: Apache-2.0
"""Robots and props of simple shapes, written by us, in the places of files that only Nucleus has."""

from __future__ import annotations

import math
from typing import Any

from pxr import Gf, Usd, UsdGeom, UsdPhysics

from omni.myriad.engine import usd

_TURN = {"X": Gf.Vec3d(1, 0, 0), "Y": Gf.Vec3d(0, 1, 0), "Z": Gf.Vec3d(0, 0, 1)}
_THIRDS = [0.0, 120.0, 240.0]
_DIAGONALS = [45.0, 135.0, 225.0, 315.0]


class Builder:
    """Writes bodies and joints below /robot; poses are in the robot's frame, lengths in m, angles in degrees.

    Args:
        stage: Where to.
    """

    def __init__(self, stage: Usd.Stage) -> None:
        self.stage = stage
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
        stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/robot").GetPrim())
        self._poses: dict[str, Gf.Matrix4d] = {}

    def body(self, name: str, pose: Gf.Matrix4d | None = None, mass: float | None = None, density: float = 0.0) -> None:
        """Add a rigid body, the first one as the root of an articulation."""
        self._poses[name] = pose or Gf.Matrix4d(1.0)
        xform = UsdGeom.Xform.Define(self.stage, f"/robot/{name}")
        xform.MakeMatrixXform().Set(self._poses[name])
        prim = xform.GetPrim()
        UsdPhysics.RigidBodyAPI.Apply(prim)
        usd.author(prim, "PhysxRigidBodyAPI", *usd.ATTRIBUTES["PhysxRigidBodyAPI"]["sleep_threshold"], 0.005)
        api = UsdPhysics.MassAPI.Apply(prim)
        api.CreateMassAttr(mass) if mass is not None else api.CreateDensityAttr(density)
        if len(self._poses) == 1:
            self._root(prim)

    def _root(self, prim: Usd.Prim) -> None:
        UsdPhysics.ArticulationRootAPI.Apply(prim)
        usd.author(
            prim, "PhysxArticulationAPI", *usd.ATTRIBUTES["PhysxArticulationAPI"]["enable_self_collisions"], False
        )

    def shape(self, body: str, kind: str, position: Any = (0, 0, 0), scale: Any = (1, 1, 1), **sizes: Any) -> None:
        """Add a collider to a body: a Cube of `size`, or a Sphere, Cylinder or Capsule."""
        name = f"shape_{len(self.stage.GetPrimAtPath(f'/robot/{body}').GetChildren())}"
        geometry = getattr(UsdGeom, kind).Define(self.stage, f"/robot/{body}/{name}")
        for key, value in sizes.items():
            getattr(geometry, f"Create{key.capitalize()}Attr")(value)
        geometry.AddTranslateOp().Set(Gf.Vec3d(*position))
        geometry.AddScaleOp().Set(Gf.Vec3f(*scale))
        UsdPhysics.CollisionAPI.Apply(geometry.GetPrim())

    def joint(
        self,
        name: str,
        parent: str,
        child: str,
        axis: str = "Z",
        anchor: Any = (0, 0, 0),
        limits: tuple[float, float] | None = None,
        drive: tuple[float, float] | None = None,
    ) -> None:
        """Join two bodies about an axis of the child at a point of it, as they lie.

        Args:
            name: Of the joint.
            parent: Body that it leads from; "" for the world.
            child: Body that it leads to.
            axis: Of the child's frame.
            anchor: In the child's frame.
            limits: In degrees; None for none.
            drive: Stiffness and damping per rad.
        """
        joint = UsdPhysics.RevoluteJoint.Define(self.stage, f"/robot/joints/{name}")
        joint.CreateBody0Rel().SetTargets([f"/robot/{parent}"])
        joint.CreateBody1Rel().SetTargets([f"/robot/{child}"])
        in_parent = self._poses[child] * self._poses[parent].GetInverse()
        joint.CreateLocalPos0Attr(Gf.Vec3f(in_parent.Transform(Gf.Vec3d(*anchor))))
        joint.CreateLocalRot0Attr(Gf.Quatf(in_parent.ExtractRotationQuat()))
        joint.CreateLocalPos1Attr(Gf.Vec3f(*anchor))
        joint.CreateLocalRot1Attr(Gf.Quatf(1.0))
        joint.CreateAxisAttr(axis)
        if limits is not None:
            joint.CreateLowerLimitAttr(limits[0])
            joint.CreateUpperLimitAttr(limits[1])
        unit = math.pi / 180.0  # USD's gains are per degree
        api = UsdPhysics.DriveAPI.Apply(joint.GetPrim(), "angular")
        stiffness, damping = drive or (0.0, 0.0)
        api.CreateStiffnessAttr(stiffness * unit)
        api.CreateDampingAttr(damping * unit)


def pose(position: Any, axis: str = "Z", angle: float = 0.0) -> Gf.Matrix4d:
    """Return a pose: turned by an angle in degrees about an axis, then moved."""
    return Gf.Matrix4d(Gf.Rotation(_TURN[axis], angle), Gf.Vec3d(*position))


def _around(angle: float) -> Gf.Matrix4d:
    return Gf.Matrix4d(Gf.Rotation(_TURN["Z"], angle), Gf.Vec3d(0.0))


def balance_bot(build: Builder) -> None:
    """A tray on three legs of two parts each; numbers of IsaacGymEnvs' BallBalance, from which this task comes."""
    tray, thickness, radius = 0.5, 0.02, 0.02
    outer = tray - 0.1
    length = outer - 2 * radius
    inner = outer - length * math.sqrt(0.5)
    build.body("tray", density=100.0)
    build.shape("tray", "Cylinder", radius=tray, height=thickness)
    top = -radius - 0.5 * thickness
    reach = length * math.sqrt(0.5)
    for leg, angle in enumerate(_THIRDS):
        # z of an upper leg points up and outwards, z of a lower leg down and outwards to its foot.
        upper = pose((0.5 * (outer + inner), 0, top - 0.5 * reach), "Y", 45.0) * _around(angle)
        lower = pose((0.5 * (outer + inner), 0, top - 1.5 * reach), "Y", 135.0) * _around(angle)
        for name, where in (("upper", upper), ("lower", lower)):
            build.body(f"{name}_leg{leg}", where, density=1000.0)
            build.shape(f"{name}_leg{leg}", "Capsule", radius=radius, height=length, axis="Z")
        build.joint(f"upper_leg{leg}", "tray", f"upper_leg{leg}", "Y", (0, 0, 0.5 * length), (-45, 45))
        build.joint(
            f"lower_leg{leg}", f"upper_leg{leg}", f"lower_leg{leg}", "Y", (0, 0, -0.5 * length), (-70, 90), (4000, 100)
        )


def quadcopter(build: Builder) -> None:
    """A disc with four rotors that tilt about two axes each; numbers of IsaacGymEnvs' Quadcopter."""
    radius, rotor, arm, drive = 0.1, 0.04, 0.01, (1000.0, 0.0)
    build.body("chassis", density=50.0)
    build.shape("chassis", "Cylinder", radius=radius, height=0.03)
    for index, angle in enumerate(_DIAGONALS):
        where = pose((radius + 0.25 * arm, 0, 0)) * _around(angle)
        build.body(f"rotor_arm{index}", where, density=200.0)
        build.shape(f"rotor_arm{index}", "Sphere", radius=arm)
        build.body(f"rotor{index}", pose((rotor + 0.25 * arm, 0, 0)) * where, density=1000.0)
        build.shape(f"rotor{index}", "Cylinder", radius=rotor, height=0.01)
        build.joint(f"rotor_pitch{index}", "chassis", f"rotor_arm{index}", "Y", limits=(-30, 30), drive=drive)
        build.joint(f"rotor_roll{index}", f"rotor_arm{index}", f"rotor{index}", "X", limits=(-30, 30), drive=drive)


def ingenuity(build: Builder) -> None:
    """The helicopter: 1.8 kg in all, rotors of 1.2 m, as NASA states; in cm, because the task scales it by 0.01.

    Two rotors take forces and stay; two others, which weigh little, are seen to turn.
    """
    build.body("chassis", mass=1.4)
    build.shape("chassis", "Cube", size=18.0)
    for index, height in enumerate((20.0, 30.0)):
        for kind, mass in (("physics", 0.19), ("visual", 0.01)):
            name, where = f"rotor_{kind}_{index}", pose((0, 0, height))
            build.body(name, where, mass=mass)
            build.shape(name, "Cylinder", radius=60.0, height=1.0)
            stays = (-0.1, 0.1) if kind == "physics" else None
            build.joint(f"rotor_{index}_{kind}", "chassis", name, limits=stays)


def crazyflie(build: Builder) -> None:
    """The quadcopter of 28 g with arms of 46 mm, as Bitcraze states; the task draws and scales it by 5."""
    build.body("body", mass=0.0248)
    build.shape("body", "Cube", size=1.0, scale=(0.06, 0.06, 0.02))
    for index, angle in enumerate(_DIAGONALS):
        name = f"m{index + 1}_prop"
        build.body(name, pose((0.046, 0, 0.012)) * _around(angle), mass=0.0008)
        build.shape(name, "Cylinder", radius=0.0225, height=0.004)
        build.joint(f"m{index + 1}_joint", "body", name)
