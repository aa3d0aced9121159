# SPDX-License-Identifier: Apache-2.0
"""Small scenes whose physics can be worked out by hand, authored below /World/envs/env_0."""

import math
from collections.abc import Sequence

from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

ENV_0 = "/World/envs/env_0"
GRAVITY = 9.81
DT = 1 / 120
Vector = Sequence[float]

# The two-link arm: masses (kg), lengths, centres of mass (m) and inertias about y (kg m^2) of its links.
MASS_1, LENGTH_1, COM_1, INERTIA_1 = 2.0, 1.0, 0.5, 0.2
MASS_2, COM_2, INERTIA_2 = 1.5, 0.35, 0.06
BASE_HEIGHT = 2.0


def config(shards: int = 1, gravity: float = GRAVITY, sleeping: bool = False) -> dict:
    """Return what an engine needs to know."""
    physx = {"solver_type": 1, "enable_sleeping": sleeping, "enable_stabilization": True}
    sim = {"dt": DT, "gravity": [0, 0, -gravity], "enable_scene_query_support": False, "physx": physx}
    return {"sim_device": "cpu", "engine": {"name": "physx", "shards": shards}, "task": {"sim": sim}}


def body(
    stage: Usd.Stage,
    path: str,
    mass: float = 1.0,
    inertia: Vector = (1.0, 1.0, 1.0),
    com: Vector = (0.0, 0.0, 0.0),
    at: Vector = (0.0, 0.0, 0.0),
) -> Usd.Prim:
    """Author a rigid body without a shape."""
    xform = UsdGeom.Xform.Define(stage, path)
    xform.AddTranslateOp().Set(Gf.Vec3d(*at))
    xform.AddOrientOp().Set(Gf.Quatf(1.0))
    prim = xform.GetPrim()
    UsdPhysics.RigidBodyAPI.Apply(prim)
    masses = UsdPhysics.MassAPI.Apply(prim)
    masses.CreateMassAttr(mass)
    masses.CreateDiagonalInertiaAttr(Gf.Vec3f(*inertia))
    masses.CreateCenterOfMassAttr(Gf.Vec3f(*com))
    masses.CreatePrincipalAxesAttr(Gf.Quatf(1.0))
    return prim


def hinge(stage: Usd.Stage, path: str, parent: str, child: str, at: Vector = (0.0, 0.0, 0.0)) -> Usd.Prim:
    """Author a revolute joint about y, whose angle turns +x towards -z."""
    joint = UsdPhysics.RevoluteJoint.Define(stage, path)
    joint.CreateAxisAttr("Y")
    joint.CreateBody0Rel().SetTargets([parent])
    joint.CreateBody1Rel().SetTargets([child])
    joint.CreateLocalPos0Attr(Gf.Vec3f(*at))
    return joint.GetPrim()


def drive(joint: Usd.Prim, stiffness: float, damping: float, max_force: float = math.inf) -> UsdPhysics.DriveAPI:
    """Give a hinge a drive; USD counts N m per degree."""
    api = UsdPhysics.DriveAPI.Apply(joint, "angular")
    api.CreateTypeAttr("force")
    api.CreateStiffnessAttr(stiffness)
    api.CreateDampingAttr(damping)
    if math.isfinite(max_force):
        api.CreateMaxForceAttr(max_force)
    return api


def set_attribute(prim: Usd.Prim, schema: str, name: str, type_name: str, value: object) -> None:
    """Set an attribute of a schema that usd-core does not know."""
    prim.AddAppliedSchema(schema)
    prim.CreateAttribute(name, getattr(Sdf.ValueTypeNames, type_name)).Set(value)


def articulation(prim: Usd.Prim) -> None:
    """Make a prim the root of an articulation."""
    UsdPhysics.ArticulationRootAPI.Apply(prim)
    prim.AddAppliedSchema("PhysxArticulationAPI")


def arm(stage: Usd.Stage, path: str = f"{ENV_0}/Arm") -> None:
    """Author a planar arm of two links along +x on a fixed base, in the x-z plane, without drives."""
    articulation(UsdGeom.Xform.Define(stage, path).GetPrim())
    body(stage, f"{path}/base", at=(0.0, 0.0, BASE_HEIGHT))
    body(stage, f"{path}/upper", MASS_1, (0.1, INERTIA_1, 0.3), (COM_1, 0.0, 0.0), (0.0, 0.0, BASE_HEIGHT))
    body(stage, f"{path}/lower", MASS_2, (0.05, INERTIA_2, 0.07), (COM_2, 0.0, 0.0), (LENGTH_1, 0.0, BASE_HEIGHT))
    UsdPhysics.FixedJoint.Define(stage, f"{path}/fixed").CreateBody1Rel().SetTargets([f"{path}/base"])
    hinge(stage, f"{path}/shoulder", f"{path}/base", f"{path}/upper")
    hinge(stage, f"{path}/elbow", f"{path}/upper", f"{path}/lower", (LENGTH_1, 0.0, 0.0))


def driven_arm(stage: Usd.Stage, path: str = f"{ENV_0}/Arm") -> None:
    """Author the arm with drives, limits and maxima in USD's units."""
    arm(stage, path)
    for name, stiffness in (("shoulder", 10.0), ("elbow", 20.0)):
        joint = stage.GetPrimAtPath(f"{path}/{name}")
        drive(joint, stiffness, 1.0, max_force=50.0).CreateTargetPositionAttr(90.0 if name == "elbow" else 0.0)
        UsdPhysics.RevoluteJoint(joint).CreateLowerLimitAttr(-90.0)
        UsdPhysics.RevoluteJoint(joint).CreateUpperLimitAttr(180.0)
        set_attribute(joint, "PhysxJointAxisAPI:angular", "physxJointAxis:angular:armature", "Float", 0.25)
        set_attribute(joint, "PhysxJointAxisAPI:angular", "physxJointAxis:angular:maxJointVelocity", "Float", 100.0)


def floating_arm(stage: Usd.Stage, path: str = f"{ENV_0}/Float") -> None:
    """Author a free body of 1 kg with its centre of mass 0.2 m along y, and one link of 0.5 kg along x on a hinge."""
    UsdGeom.Xform.Define(stage, path)
    articulation(body(stage, f"{path}/root", 1.0, com=(0.0, 0.2, 0.0), at=(0.0, 0.0, 2.0)))
    body(stage, f"{path}/link", 0.5, (0.1, 0.1, 0.1), (0.5, 0.0, 0.0), (0.0, 0.0, 2.0))
    hinge(stage, f"{path}/hinge", f"{path}/root", f"{path}/link")


def box(stage: Usd.Stage, name: str, mass: float = 2.0, at: Vector = (0.0, 0.0, 0.1), size: float = 0.2) -> Usd.Prim:
    """Author a free cube, by default one that rests on the ground."""
    prim = body(stage, f"{ENV_0}/{name}", mass, (0.1, 0.2, 0.3), at=at)
    cube = UsdGeom.Cube.Define(stage, f"{ENV_0}/{name}/geometry")
    cube.CreateSizeAttr(size)
    UsdPhysics.CollisionAPI.Apply(cube.GetPrim())
    return prim
