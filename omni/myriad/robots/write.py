# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
"""Write a robot: `robot.usda` with what is seen in `visuals.usdc`, and `robot.xml` with its meshes."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade

from omni.myriad.engine.usd import author, write_settings

from .model import Hinge, Link, Model, Shape, clean, quaternion, translation

COLLIDERS = ("hull", "decomposition", "sdf")
_APPROXIMATIONS = {
    "hull": ("convexHull", "PhysxConvexHullCollisionAPI", "hullVertexLimit", 64),
    "decomposition": ("convexDecomposition", "PhysxConvexDecompositionCollisionAPI", "hullVertexLimit", 64),
    "sdf": ("sdf", "PhysxSDFMeshCollisionAPI", "sdfResolution", 64),
}
"""What a mesh collides as: approximation, schema, and its one attribute that matters (GPU hulls have 64 vertices)."""

_SOLVER = {
    "enable_self_collisions": False,
    "solver_position_iteration_count": 4,
    "solver_velocity_iteration_count": 0,
    "sleep_threshold": 0.005,
    "stabilization_threshold": 0.001,
}
_NOT_LOOKS = ("xformOp", "physics", "newton", "mjc", "urdf", "physxCollision", "purpose")
"""Attributes of a shape that say something else than how it looks."""
_FLOAT, _INT = Sdf.ValueTypeNames.Float, Sdf.ValueTypeNames.Int


# ------------------------------------------------------------------------------------------------------------ USD


def write_usd(model: Model, name: str, source: Usd.Stage, folder: Path, colliders: str) -> None:
    """Write `robot.usda` and `visuals.usdc`.

    Every link is a prim below the robot's, with its colliders; joints are in a scope of their own. The fixed root's
    articulation is the robot's prim, a free one's its root link, as Isaac Sim's robots have it.

    Args:
        model: The robot.
        name: Of its prim.
        source: The stage whose prims its shapes are.
        folder: For the files.
        colliders: What meshes collide as, one of `COLLIDERS`.
    """
    stage = _new_stage(folder / "robot.usda", name)
    visuals = _new_stage(folder / "visuals.usdc", name)
    stage.GetRootLayer().subLayerPaths.append("./visuals.usdc")
    flat = source.Flatten()
    _copy_materials(flat, visuals, name, folder)
    root = stage.GetDefaultPrim()
    poses = model.poses(model.home)
    order = [model.root, *(hinge.child for hinge in model.below(model.root))]
    for link in order:
        prim = UsdGeom.Xform.Define(stage, f"/{name}/{link}").GetPrim()
        _place(prim, poses[link])
        _write_body(prim, model.links[link])
        for shape in model.links[link].shapes:
            where = stage if shape.collides else visuals
            scope = f"/{name}/{link}/{'collisions' if shape.collides else 'visuals'}"
            UsdGeom.Xform.Define(where, scope)
            taken = [other.GetName() for other in where.GetPrimAtPath(scope).GetChildren()]
            path = f"{scope}/{clean(shape.path.rsplit('/', 1)[-1], taken)}"
            _copy_shape(flat, shape, where, path, name)
            if shape.collides:
                if any(not other.collides for other in model.links[link].shapes):
                    UsdGeom.Imageable(where.GetPrimAtPath(path)).CreatePurposeAttr(UsdGeom.Tokens.guide)
                _write_collider(where.GetPrimAtPath(path), shape, colliders)
    scope = f"/{name}/joints"
    UsdGeom.Scope.Define(stage, scope)
    if model.fixed_base:
        weld = UsdPhysics.FixedJoint.Define(stage, f"{scope}/root_joint")
        weld.CreateBody1Rel().SetTargets([f"/{name}/{model.root}"])
        turn = Gf.Quatf(*quaternion(model.turn))
        weld.CreateLocalRot0Attr(turn)
        weld.CreateLocalRot1Attr(Gf.Quatf(1.0))
    for hinge in model.below(model.root):
        _write_joint(stage, scope, name, hinge, model)
    articulation = root if model.fixed_base else stage.GetPrimAtPath(f"/{name}/{model.root}")
    UsdPhysics.ArticulationRootAPI.Apply(articulation)
    write_settings(articulation, "PhysxArticulationAPI", _SOLVER)
    for first, second in model.filtered:
        pairs = UsdPhysics.FilteredPairsAPI.Apply(stage.GetPrimAtPath(f"/{name}/{first}"))
        pairs.CreateFilteredPairsRel().AddTarget(f"/{name}/{second}")
    for each in (visuals, stage):
        each.GetRootLayer().Save()


def _new_stage(file: Path, name: str) -> Usd.Stage:
    stage = Usd.Stage.CreateNew(str(file))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, f"/{name}").GetPrim())
    return stage


def _place(prim: Usd.Prim, pose: np.ndarray) -> None:
    xform = UsdGeom.Xformable(prim)
    xform.ClearXformOpOrder()
    xform.AddTranslateOp().Set(Gf.Vec3d(*pose[:3, 3].tolist()))
    xform.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(*quaternion(pose)))


def _write_body(prim: Usd.Prim, link: Link) -> None:
    UsdPhysics.RigidBodyAPI.Apply(prim)
    author(prim, "PhysxRigidBodyAPI", "physxRigidBody:angularDamping", _FLOAT, 0.0)  # PhysX's own, 0.05, is nobody's
    author(prim, "PhysxRigidBodyAPI", "physxRigidBody:linearDamping", _FLOAT, 0.0)
    # Else what was put into something leaves it at any speed; as our own robots have it.
    author(prim, "PhysxRigidBodyAPI", "physxRigidBody:maxDepenetrationVelocity", _FLOAT, 10.0)
    mass = UsdPhysics.MassAPI.Apply(prim)
    # A root that the world holds may come without a mass, and PhysX would make one from its shapes.
    mass.CreateMassAttr(link.mass or 1.0)
    moments, turn = np.linalg.eigh(link.inertia if link.mass else np.eye(3) * 1e-2)
    turn[:, 2] *= np.sign(np.linalg.det(turn))
    mass.CreateCenterOfMassAttr(Gf.Vec3f(*link.com.tolist()))
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*moments.tolist()))
    mass.CreatePrincipalAxesAttr(Gf.Quatf(*quaternion(turn)))


def _copy_materials(flat: Sdf.Layer, visuals: Usd.Stage, name: str, folder: Path) -> None:
    """Copy all materials, and the textures that they read, into the robot's scope Looks."""
    found = Usd.Stage.Open(flat)
    UsdGeom.Scope.Define(visuals, f"/{name}/Looks")
    for prim in found.Traverse():
        if prim.IsA(UsdShade.Material) and not prim.HasAPI(UsdPhysics.MaterialAPI):
            target = f"/{name}/Looks/{_look(prim.GetPath())}"
            Sdf.CopySpec(flat, prim.GetPath(), visuals.GetRootLayer(), target)
            for inner in Usd.PrimRange(visuals.GetPrimAtPath(target)):
                for attribute in inner.GetAttributes():
                    value = attribute.Get()
                    if isinstance(value, Sdf.AssetPath) and Path(value.path).is_file():
                        (folder / "textures").mkdir(exist_ok=True)
                        shutil.copy(value.path, folder / "textures")
                        attribute.Set(Sdf.AssetPath(f"./textures/{Path(value.path).name}"))


def _look(path: Sdf.Path) -> str:
    return clean(str(path).strip("/"))


def _copy_shape(flat: Sdf.Layer, shape: Shape, stage: Usd.Stage, path: str, name: str) -> None:
    Sdf.CopySpec(flat, shape.path, stage.GetRootLayer(), path)
    prim = stage.GetPrimAtPath(path)
    for child in prim.GetChildren():
        if not child.IsA(UsdGeom.Subset):
            stage.RemovePrim(child.GetPath())
    colour = None
    for each in Usd.PrimRange(prim):
        bound = each.GetRelationship("material:binding").GetTargets()
        for relationship in each.GetRelationships():
            if relationship.GetName().startswith("material:binding"):
                each.RemoveProperty(relationship.GetName())
        if bound and flat.GetPrimAtPath(bound[0]):
            look = f"/{name}/Looks/{_look(bound[0])}"
            if not shape.collides:
                UsdShade.MaterialBindingAPI.Apply(each).Bind(UsdShade.Material(stage.GetPrimAtPath(look)))
                colour = colour or _colour(stage.GetPrimAtPath(look))
    if colour:  # a material's is linear, and ours is drawn as it is
        UsdGeom.Gprim(prim).CreateDisplayColorAttr([Gf.Vec3f(*(max(0.0, part) ** (1 / 2.2) for part in colour))])
    for schema in prim.GetAppliedSchemas():
        if schema != "MaterialBindingAPI":
            prim.RemoveAppliedSchema(schema)
    for attribute in prim.GetAuthoredAttributes():
        if attribute.GetName().split(":")[0] in _NOT_LOOKS:
            prim.RemoveProperty(attribute.GetName())
    xform = UsdGeom.Xformable(prim)
    xform.ClearXformOpOrder()
    scale = np.linalg.norm(shape.pose[:3, :3], axis=0)
    rigid = shape.pose.copy()
    rigid[:3, :3] /= scale
    if np.linalg.det(rigid[:3, :3]) > 0.999:  # neither sheared nor mirrored
        xform.AddTranslateOp().Set(Gf.Vec3d(*rigid[:3, 3].tolist()))
        xform.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(*quaternion(rigid)))
        xform.AddScaleOp().Set(Gf.Vec3f(*scale.tolist()))
    else:
        xform.AddTransformOp().Set(Gf.Matrix4d(*shape.pose.T.flatten().tolist()))


def _colour(look: Usd.Prim) -> Any:
    colours = (prim.GetAttribute("inputs:diffuseColor").Get() for prim in Usd.PrimRange(look))
    return next((colour for colour in colours if colour is not None), None)


def _write_collider(prim: Usd.Prim, shape: Shape, colliders: str) -> None:
    UsdPhysics.CollisionAPI.Apply(prim)
    if shape.friction is not None:
        name = clean(f"friction_{shape.friction:g}")
        material = UsdShade.Material.Define(
            prim.GetStage(), prim.GetPath().GetPrefixes()[0].AppendPath(f"Looks/{name}")
        )
        physics = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
        physics.CreateStaticFrictionAttr(shape.friction)
        physics.CreateDynamicFrictionAttr(shape.friction)
        UsdShade.MaterialBindingAPI.Apply(prim).Bind(material, materialPurpose="physics")
    if shape.kind == "mesh":
        approximation, schema, attribute, value = _APPROXIMATIONS[colliders]
        UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(approximation)
        author(prim, schema, f"p{schema[1:-3]}:{attribute}", _INT, value)


def _write_joint(stage: Usd.Stage, scope: str, name: str, hinge: Hinge, model: Model) -> None:
    joint: Any = getattr(UsdPhysics, f"{hinge.kind.title()}Joint").Define(stage, f"{scope}/{hinge.name}")
    prim = joint.GetPrim()
    joint.CreateBody0Rel().SetTargets([f"/{name}/{hinge.parent}"])
    joint.CreateBody1Rel().SetTargets([f"/{name}/{hinge.child}"])
    for side, frame in enumerate((hinge.frame0, hinge.frame1)):
        prim.GetAttribute(f"physics:localPos{side}").Set(Gf.Vec3f(*frame[:3, 3].tolist()))
        prim.GetAttribute(f"physics:localRot{side}").Set(Gf.Quatf(*quaternion(frame)))
    if hinge.kind == "fixed":
        return
    kind, degrees = ("angular", math.degrees(1.0)) if hinge.kind == "revolute" else ("linear", 1.0)
    joint.CreateAxisAttr("X")
    if math.isfinite(hinge.lower):
        joint.CreateLowerLimitAttr(hinge.lower * degrees)
        joint.CreateUpperLimitAttr(hinge.upper * degrees)
    home = model.home[hinge.name] * degrees
    drive = UsdPhysics.DriveAPI.Apply(prim, kind)
    drive.CreateTypeAttr("force")
    drive.CreateStiffnessAttr(hinge.stiffness / degrees)
    drive.CreateDampingAttr(hinge.damping / degrees)
    drive.CreateTargetPositionAttr(home)
    if math.isfinite(hinge.effort):
        drive.CreateMaxForceAttr(hinge.effort)
    state = f"PhysicsJointStateAPI:{kind}"
    author(prim, state, f"state:{kind}:physics:position", _FLOAT, home)
    author(prim, state, f"state:{kind}:physics:velocity", _FLOAT, 0.0)
    for value, physx, newton in (
        (hinge.armature, ("armature",), "armature"),
        (hinge.friction, ("staticFrictionEffort", "dynamicFrictionEffort"), "friction"),
        (hinge.velocity * degrees, ("maxJointVelocity",), "velocityLimit"),
    ):
        if value and math.isfinite(value):
            for attribute in physx:
                author(prim, f"PhysxJointAxisAPI:{kind}", f"physxJointAxis:{kind}:{attribute}", _FLOAT, value)
            author(prim, "NewtonJointAPI", f"newton:{newton}", _FLOAT, value)
    if hinge.mimic:
        _write_mimic(prim, scope, degrees, *hinge.mimic)


def _write_mimic(prim: Usd.Prim, scope: str, degrees: float, leader: str, multiplier: float, offset: float) -> None:
    """Have a joint follow another; PhysX has: position + gearing * position of the other + offset = 0."""
    schema, mimic = "PhysxMimicJointAPI:rotX", "physxMimicJoint:rotX"
    author(prim, schema, f"{mimic}:gearing", _FLOAT, -multiplier)
    author(prim, schema, f"{mimic}:offset", _FLOAT, -offset * degrees)
    author(prim, schema, f"{mimic}:referenceJointAxis", Sdf.ValueTypeNames.Token, "rotX")
    author(prim, "NewtonMimicAPI", "newton:mimicCoef0", _FLOAT, offset * degrees)
    author(prim, "NewtonMimicAPI", "newton:mimicCoef1", _FLOAT, multiplier)
    for relationship in (f"{mimic}:referenceJoint", "newton:mimicJoint"):
        prim.CreateRelationship(relationship).SetTargets([f"{scope}/{leader}"])


# ----------------------------------------------------------------------------------------------------------- MJCF


def to_spec(model: Model, name: str, mujoco: Any, height: float = 0.0) -> Any:
    """Return a robot for MuJoCo, with its colliders; without gravity's settings, which are the simulation's.

    Args:
        model: The robot.
        name: Its name.
        mujoco: The library.
        height: Of the root, m.
    """
    spec = mujoco.MjSpec()
    spec.modelname = name
    spec.compiler.autolimits = True
    spec.compiler.degree = False
    bodies = {}
    placed = translation([0, 0, height])
    placed[:3, :3] = model.turn
    for link in [model.root, *(hinge.child for hinge in model.below(model.root))]:
        hinge = next((hinge for hinge in model.hinges if hinge.child == link), None)
        above = bodies[hinge.parent] if hinge else spec.worldbody
        pose = hinge.rest if hinge else placed
        body = bodies[link] = above.add_body(name=link, pos=pose[:3, 3], quat=quaternion(pose))
        if hinge is None and not model.fixed_base:
            body.add_freejoint(name="root")
        if hinge and hinge.kind != "fixed":
            _add_hinge(spec, body, hinge, mujoco)
        own = model.links[link]
        if own.mass:
            ixx, iyy, izz = np.diagonal(own.inertia)
            body.explicitinertial = True
            body.mass, body.ipos = own.mass, own.com
            body.fullinertia = [ixx, iyy, izz, own.inertia[0, 1], own.inertia[0, 2], own.inertia[1, 2]]
        for number, shape in enumerate(shape for shape in own.shapes if shape.collides):
            _add_geom(spec, body, f"{link}_{number}", shape, 0.0 if own.mass is not None else shape.density, mujoco)
    for hinge in model.hinges:
        if hinge.mimic:
            leader, multiplier, offset = hinge.mimic
            equality = spec.add_equality(type=mujoco.mjtEq.mjEQ_JOINT, name1=hinge.name, name2=leader)
            equality.objtype = mujoco.mjtObj.mjOBJ_JOINT
            equality.data[:5] = [offset, multiplier, 0, 0, 0]
    for first, second in model.filtered:
        spec.add_exclude(bodyname1=first, bodyname2=second)
    joints = [model.home[hinge.name] for hinge in _depth_first(model, model.root)]
    root = [] if model.fixed_base else [0, 0, height, *quaternion(model.turn)]
    spec.add_key(name="home", qpos=[*root, *joints])
    return spec


def _depth_first(model: Model, link: str) -> list[Hinge]:
    """Return the joints that move in MJCF's order."""
    found = []
    for hinge in model.children(link):
        found += [hinge] * (hinge.kind != "fixed") + _depth_first(model, hinge.child)
    return found


def _add_hinge(spec: Any, body: Any, hinge: Hinge, mujoco: Any) -> None:
    kinds = {"revolute": mujoco.mjtJoint.mjJNT_HINGE, "prismatic": mujoco.mjtJoint.mjJNT_SLIDE}
    joint = body.add_joint(
        name=hinge.name, type=kinds[hinge.kind], pos=hinge.frame1[:3, 3], axis=hinge.frame1[:3, 0],
        armature=hinge.armature, frictionloss=hinge.friction,
    )  # fmt: skip
    joint.damping = _like(joint.damping, hinge.damping)
    if math.isfinite(hinge.lower):
        joint.range, joint.limited = [hinge.lower, hinge.upper], mujoco.mjtLimited.mjLIMITED_TRUE
    actuator = spec.add_actuator(name=hinge.name, target=hinge.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    if hinge.stiffness:
        actuator.set_to_position(kp=hinge.stiffness)
    else:
        actuator.set_to_motor()
    if math.isfinite(hinge.effort):
        actuator.forcerange, actuator.forcelimited = [-hinge.effort, hinge.effort], mujoco.mjtLimited.mjLIMITED_TRUE


def _like(old: Any, value: float) -> Any:
    """Return a value as MuJoCo wants it: a number, or the first coefficient of a polynomial."""
    if np.ndim(old) == 0:
        return value
    return [value, *np.zeros(len(old) - 1)]


def _add_geom(spec: Any, body: Any, name: str, shape: Shape, density: float, mujoco: Any) -> None:
    kinds = mujoco.mjtGeom
    common: dict[str, Any] = {"name": name, "density": density}
    if shape.friction is not None:
        common["friction"] = [shape.friction, 0.005, 0.0001]
    if shape.kind == "mesh":
        spec.add_mesh(name=name, uservert=np.asarray(shape.points, float).flatten(), maxhullvert=64)
        body.add_geom(type=kinds.mjGEOM_MESH, meshname=name, **common)
        return
    kind = {
        "sphere": kinds.mjGEOM_SPHERE,
        "capsule": kinds.mjGEOM_CAPSULE,
        "cylinder": kinds.mjGEOM_CYLINDER,
        "box": kinds.mjGEOM_BOX,
    }[shape.kind]
    pose = shape.pose.copy()
    pose[:3, :3] = pose[:3, :3] / np.linalg.norm(pose[:3, :3], axis=0) @ shape.turn
    size = [*shape.size, 0.0, 0.0, 0.0][:3]
    body.add_geom(type=kind, size=size, pos=pose[:3, 3], quat=quaternion(pose), **common)
