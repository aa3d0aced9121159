# SPDX-License-Identifier: Apache-2.0
"""Author scenes with pxr, for every engine alike: the stage, the settings of physics, the ground; and look at robots.

Isaac Sim brings a pxr of its own, so this may be imported once Kit runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdPhysics, UsdShade, Vt

from omni.myriad.engine.base import ENV_0_PATH, ENVS_PATH
from omni.myriad.engine.height_field import height_field_mesh
from omni.myriad.engine.sim_config import SimConfig

PHYSICS_SCENE_PATH = "/physicsScene"

_UNSET = -1
"""OmniIsaacGymEnvs' mark for "leave what the USD file says"."""

_BOOL, _INT, _UINT, _UINT64 = (getattr(Sdf.ValueTypeNames, name) for name in ("Bool", "Int", "UInt", "UInt64"))
_FLOAT, _TOKEN = Sdf.ValueTypeNames.Float, Sdf.ValueTypeNames.Token

ATTRIBUTES: dict[str, dict[str, tuple[str, Any]]] = {
    "PhysxSceneAPI": {
        "steps_per_second": ("physxScene:timeStepsPerSecond", _UINT),
        "gpu_dynamics": ("physxScene:enableGPUDynamics", _BOOL),
        "broadphase": ("physxScene:broadphaseType", _TOKEN),
        "solver": ("physxScene:solverType", _TOKEN),
        "scene_queries": ("physxScene:enableSceneQuerySupport", _BOOL),
        "disable_sleeping": ("physxScene:disableSleeping", _BOOL),
        "external_forces_every_iteration": ("physxScene:enableExternalForcesEveryIteration", _BOOL),
        "bounce_threshold_velocity": ("physxScene:bounceThreshold", _FLOAT),
        "friction_offset_threshold": ("physxScene:frictionOffsetThreshold", _FLOAT),
        "friction_correlation_distance": ("physxScene:frictionCorrelationDistance", _FLOAT),
        "enable_stabilization": ("physxScene:enableStabilization", _BOOL),
        "enable_ccd": ("physxScene:enableCCD", _BOOL),
        "enable_enhanced_determinism": ("physxScene:enableEnhancedDeterminism", _BOOL),
        "gpu_max_rigid_contact_count": ("physxScene:gpuMaxRigidContactCount", _UINT),
        "gpu_max_rigid_patch_count": ("physxScene:gpuMaxRigidPatchCount", _UINT),
        "gpu_found_lost_pairs_capacity": ("physxScene:gpuFoundLostPairsCapacity", _UINT),
        "gpu_found_lost_aggregate_pairs_capacity": ("physxScene:gpuFoundLostAggregatePairsCapacity", _UINT),
        "gpu_total_aggregate_pairs_capacity": ("physxScene:gpuTotalAggregatePairsCapacity", _UINT),
        "gpu_heap_capacity": ("physxScene:gpuHeapCapacity", _UINT),
        "gpu_temp_buffer_capacity": ("physxScene:gpuTempBufferCapacity", _UINT64),
        "gpu_max_num_partitions": ("physxScene:gpuMaxNumPartitions", _UINT),
        "gpu_collision_stack_size": ("physxScene:gpuCollisionStackSize", _UINT),
    },
    "PhysxArticulationAPI": {
        "enable_self_collisions": ("physxArticulation:enabledSelfCollisions", _BOOL),
        "solver_position_iteration_count": ("physxArticulation:solverPositionIterationCount", _INT),
        "solver_velocity_iteration_count": ("physxArticulation:solverVelocityIterationCount", _INT),
        "sleep_threshold": ("physxArticulation:sleepThreshold", _FLOAT),
        "stabilization_threshold": ("physxArticulation:stabilizationThreshold", _FLOAT),
    },
    "PhysxRigidBodyAPI": {
        "enable_gyroscopic_forces": ("physxRigidBody:enableGyroscopicForces", _BOOL),
        "angular_damping": ("physxRigidBody:angularDamping", _FLOAT),
        "linear_damping": ("physxRigidBody:linearDamping", _FLOAT),
        "max_linear_velocity": ("physxRigidBody:maxLinearVelocity", _FLOAT),
        "max_angular_velocity": ("physxRigidBody:maxAngularVelocity", _FLOAT),  # degrees/s
        "enable_ccd": ("physxRigidBody:enableCCD", _BOOL),
        "disable_gravity": ("physxRigidBody:disableGravity", _BOOL),
        "max_depenetration_velocity": ("physxRigidBody:maxDepenetrationVelocity", _FLOAT),
        "solver_position_iteration_count": ("physxRigidBody:solverPositionIterationCount", _INT),
        "solver_velocity_iteration_count": ("physxRigidBody:solverVelocityIterationCount", _INT),
        "sleep_threshold": ("physxRigidBody:sleepThreshold", _FLOAT),
        "stabilization_threshold": ("physxRigidBody:stabilizationThreshold", _FLOAT),
    },
    "PhysicsMassAPI": {"density": ("physics:density", _FLOAT), "mass": ("physics:mass", _FLOAT)},
    "PhysxCollisionAPI": {
        "contact_offset": ("physxCollision:contactOffset", _FLOAT),
        "rest_offset": ("physxCollision:restOffset", _FLOAT),
    },
}
"""For each schema of PhysX: a setting, of the scene or of an actor in the task's YAML, and its attribute and type."""

_ACTOR_SCHEMAS = {
    UsdPhysics.ArticulationRootAPI: ("PhysxArticulationAPI",),
    UsdPhysics.RigidBodyAPI: ("PhysxRigidBodyAPI", "PhysicsMassAPI"),
    UsdPhysics.CollisionAPI: ("PhysxCollisionAPI",),
}
"""What is set on prims that have a schema of UsdPhysics."""

_SIDES = 30
"""Of the prisms and pyramids that PhysX itself makes of cylinders and cones (omni.physx, `Setup.cpp`)."""

_FRICTION = "friction"
"""An actor's setting, static and dynamic, for shapes without a material of their own: PhysX gives those 0.5."""


def write_settings(prim: Usd.Prim, schema: str, settings: Mapping[str, Any]) -> None:
    """Write those of some settings that a schema of `ATTRIBUTES` has; None and -1 leave what is there."""
    for key, (attribute, type_name) in ATTRIBUTES[schema].items():
        value = settings.get(key)
        if value is not None and (value != _UNSET or isinstance(value, bool)):
            author(prim, schema, attribute, type_name, value)


def author(prim: Usd.Prim, schema: str, attribute: str, type_name: Any, value: Any) -> None:
    """Set an attribute of an applied schema that usd-core need not know, applying it first."""
    prim.AddAppliedSchema(schema)
    prim.CreateAttribute(attribute, type_name).Set(value)


def write_actor_settings(root: Usd.Prim, settings: Mapping[str, Any]) -> None:
    """Write an actor's settings onto articulation roots, rigid bodies and colliders at and below a prim."""
    if (friction := settings.get(_FRICTION)) is not None:
        bind_material(root, f"{root.GetPath()}/material", friction, friction, 0.0)
    for prim in Usd.PrimRange(root):
        for api, schemas in _ACTOR_SCHEMAS.items():
            for schema in schemas if prim.HasAPI(api) else ():
                write_settings(prim, schema, settings)


def actor_settings() -> set[str]:
    """Return the names of all settings that an actor can have."""
    schemas = [schema for applied in _ACTOR_SCHEMAS.values() for schema in applied]
    return {_FRICTION, *(key for schema in schemas for key in ATTRIBUTES[schema])}


def new_stage() -> Usd.Stage:
    """Create a stage in memory as Isaac Sim's are: Z up, metres, kilograms, environments below /World/envs."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    for path in ("/World", ENVS_PATH, ENV_0_PATH):
        UsdGeom.Xform.Define(stage, path)
    stage.SetDefaultPrim(stage.GetPrimAtPath("/World"))
    return stage


def define_physics_scene(stage: Usd.Stage, sim_config: SimConfig, device: torch.device) -> None:
    """Write gravity, solver settings and buffer sizes from the task's YAML onto the physics scene prim."""
    sim, physx = sim_config.sim_params, sim_config.physx_params
    scene = UsdPhysics.Scene.Define(stage, PHYSICS_SCENE_PATH)
    gravity = Gf.Vec3f(*(float(g) for g in sim["gravity"]))
    magnitude = gravity.GetLength()
    scene.CreateGravityDirectionAttr(gravity.GetNormalized() if magnitude else Gf.Vec3f(0.0, 0.0, -1.0))
    scene.CreateGravityMagnitudeAttr(magnitude)
    on_gpu = device.type == "cuda"
    decided = {
        "steps_per_second": sim_config.steps_per_second,
        "gpu_dynamics": on_gpu,
        "broadphase": "GPU" if on_gpu else "MBP",
        "solver": "TGS" if physx["solver_type"] == 1 else "PGS",
        # Costs a third of the step at thousands of environments, and views have no scene queries.
        "scene_queries": bool(sim["enable_scene_query_support"]),
        "disable_sleeping": not physx["enable_sleeping"],
        # Written where it is off, too: Isaac Sim's window switches it on. On a GPU PhysX has none.
        "enable_ccd": bool(physx.get("enable_ccd")) and not on_gpu,
        # The default differs between PhysX versions; this one is Isaac Sim's.
        "external_forces_every_iteration": False,
    }
    write_settings(scene.GetPrim(), "PhysxSceneAPI", {**physx, **decided})


SUN = "/World/sun"
"""The light that every stage has."""


def add_lights(stage: Usd.Stage) -> None:
    """Author a sun and a sky, for renderers: a new stage is dark."""
    sky = UsdLux.DomeLight.Define(stage, "/World/sky")
    sky.CreateIntensityAttr(400.0)
    sun = UsdLux.DistantLight.Define(stage, SUN)
    sun.CreateIntensityAttr(1500.0)
    UsdGeom.Xformable(sun).AddRotateXYZOp().Set(Gf.Vec3f(40.0, 15.0, 0.0))  # degrees, from straight above


def add_ground_plane(
    stage: Usd.Stage, prim_path: str, static_friction: float, dynamic_friction: float, restitution: float
) -> None:
    """Author an infinite ground plane at z = 0 with its own physics material."""
    UsdGeom.Xform.Define(stage, prim_path)
    plane = UsdGeom.Plane.Define(stage, f"{prim_path}/collider")
    plane.CreateAxisAttr(UsdGeom.Tokens.z)
    UsdPhysics.CollisionAPI.Apply(plane.GetPrim())
    bind_material(plane.GetPrim(), f"{prim_path}/material", static_friction, dynamic_friction, restitution)


def add_height_field(
    stage: Usd.Stage,
    prim_path: str,
    heights: np.ndarray,
    cell: float,
    corner: tuple[float, float],
    wall_slope: float,
    static_friction: float,
    dynamic_friction: float,
    restitution: float,
) -> UsdGeom.Mesh:
    """Author a static triangle mesh of a grid of heights with its own physics material; see `Engine.add_height_field`.

    Where neighbours differ by more than `wall_slope`, the lower one is moved below the upper one, which makes a wall.
    """
    UsdGeom.Xform.Define(stage, prim_path)
    mesh = UsdGeom.Mesh.Define(stage, f"{prim_path}/mesh")
    points, triangles = height_field_mesh(heights, cell, corner, wall_slope)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray(len(triangles), 3))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(triangles.ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDisplayColorAttr([(0.55, 0.57, 0.6)])
    UsdPhysics.CollisionAPI.Apply(mesh.GetPrim())
    UsdPhysics.MeshCollisionAPI.Apply(mesh.GetPrim()).CreateApproximationAttr(UsdPhysics.Tokens.none)
    bind_material(mesh.GetPrim(), f"{prim_path}/material", static_friction, dynamic_friction, restitution)
    return mesh


def bind_material(
    prim: Usd.Prim, path: str, static_friction: float, dynamic_friction: float, restitution: float
) -> None:
    """Give a collider a physics material of its own."""
    material = UsdShade.Material.Define(prim.GetStage(), path)
    physics = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    physics.CreateStaticFrictionAttr(static_friction)
    physics.CreateDynamicFrictionAttr(dynamic_friction)
    physics.CreateRestitutionAttr(restitution)
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material, materialPurpose="physics")


def write_contact_offsets(colliders: Iterable[Usd.Prim], sim_config: SimConfig) -> None:
    """Write on small colliders without a contact offset the one that PhysX gives them at the task's steps per second.

    PhysX takes max(2 dt^2 max(g, 1), 0.02 * least extent) when it loads a shape (omni.physx, `UsdInterface.cpp`). Where
    it is loaded at another rate, as Isaac Sim is here, shapes that are smaller than 100 dt^2 g would come out wrong.
    """
    gravity = Gf.Vec3f(*(float(g) for g in sim_config.sim_params["gravity"])).GetLength()
    dt = np.float32(1) / np.float32(sim_config.steps_per_second)
    offset = np.float32(2) * dt * dt * np.float32(max(gravity, 1.0))  # in PhysX's own precision
    for prim in colliders:
        attribute = prim.GetAttribute("physxCollision:contactOffset")
        if (attribute and attribute.HasAuthoredValue()) or 0.02 * _least_extent(prim) >= offset:
            continue
        author(prim, "PhysxCollisionAPI", "physxCollision:contactOffset", _FLOAT, float(offset))


def remove_limits(joint: Usd.Prim) -> None:
    """Let a revolute or prismatic joint move without an end."""
    kind = UsdPhysics.RevoluteJoint if joint.IsA(UsdPhysics.RevoluteJoint) else UsdPhysics.PrismaticJoint
    kind(joint).CreateLowerLimitAttr(-math.inf)
    kind(joint).CreateUpperLimitAttr(math.inf)


def replace_colliders(link: Usd.Prim, boxes: Iterable[tuple[Sequence[float], Sequence[float]]]) -> None:
    """Take a link's colliders away, and author boxes in their place: opposite corners in m, in the link's frame."""
    for prim in list(Usd.PrimRange(link)):
        if prim.HasAPI(UsdPhysics.CollisionAPI):
            prim.SetActive(False)
    for number, (low, high) in enumerate(boxes):
        box = UsdGeom.Cube.Define(link.GetStage(), f"{link.GetPath()}/box_{number}")
        box.CreateSizeAttr(1.0)
        box.CreatePurposeAttr(UsdGeom.Tokens.guide)
        box.AddTranslateOp().Set(Gf.Vec3d(*(0.5 * (a + b) for a, b in zip(low, high, strict=True))))
        box.AddScaleOp().Set(Gf.Vec3f(*(b - a for a, b in zip(low, high, strict=True))))
        UsdPhysics.CollisionAPI.Apply(box.GetPrim())


def simplify_round_shapes(root: Usd.Prim) -> None:
    """Make convex meshes of colliders that are cylinders and cones: the ones that PhysX makes, but for a GPU as well.

    What PhysX makes itself is cooked without what GPUs need (`getCookingParams` there), so that the CPU looks at every
    pair with such a shape in every step. Left alone are bodies whose mass or inertia follows from their shapes.
    """
    for prim in list(Usd.PrimRange(root)):
        is_cone = prim.IsA(UsdGeom.Cone)
        if not (is_cone or prim.IsA(UsdGeom.Cylinder)) or not prim.HasAPI(UsdPhysics.CollisionAPI) or _weighs(prim):
            continue
        shape = UsdGeom.Cone(prim) if is_cone else UsdGeom.Cylinder(prim)
        radius, half, axis = shape.GetRadiusAttr().Get(), 0.5 * shape.GetHeightAttr().Get(), shape.GetAxisAttr().Get()
        for name in ("radius", "height", "axis", "extent"):
            prim.RemoveProperty(name)
        angles = [2.0 * math.pi * side / _SIDES for side in range(_SIDES)]
        circle = [(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles]
        top = [(0.0, 0.0, half)] if is_cone else [(x, y, half) for x, y in circle]
        order = {"X": (2, 0, 1), "Y": (0, 2, 1), "Z": (0, 1, 2)}[axis]
        points = [[point[i] for i in order] for point in [(x, y, -half) for x, y in circle] + top]
        faces = [list(reversed(range(_SIDES)))]
        for side in range(_SIDES):
            beside = (side + 1) % _SIDES
            faces.append([side, beside, _SIDES] if is_cone else [side, beside, _SIDES + beside, _SIDES + side])
        if not is_cone:
            faces.append([_SIDES + side for side in range(_SIDES)])
        mesh = UsdGeom.Mesh.Define(prim.GetStage(), prim.GetPath())
        mesh.CreatePointsAttr(Vt.Vec3fArray([Gf.Vec3f(*point) for point in points]))
        mesh.CreateFaceVertexCountsAttr([len(face) for face in faces])
        mesh.CreateFaceVertexIndicesAttr([point for face in faces for point in face])
        mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
        UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(UsdPhysics.Tokens.convexHull)


def _weighs(collider: Usd.Prim) -> bool:
    """Tell whether the mass or inertia of a collider's body follows from its shapes."""
    body = collider
    while body and not body.HasAPI(UsdPhysics.RigidBodyAPI):
        body = body.GetParent()
    if not body:
        return False
    mass = UsdPhysics.MassAPI(body)
    inertia = mass.GetDiagonalInertiaAttr().Get()
    return not (mass.GetMassAttr().Get() and inertia and any(inertia))


def write_contact_reports(root: Usd.Prim) -> None:
    """Ask for the contact forces on all bodies below `root`: PhysX looks at that when it starts."""
    for prim in Usd.PrimRange(root):
        if prim.HasAPI(UsdPhysics.RigidBodyAPI):
            author(prim, "PhysxContactReportAPI", "physxContactReport:threshold", _FLOAT, 0.0)


def reports_contacts(stage: Usd.Stage) -> bool:
    """Tell whether the contact forces on any body of a stage are asked for."""
    return any(prim.HasAttribute("physxContactReport:threshold") for prim in stage.Traverse())


def _least_extent(prim: Usd.Prim) -> float:
    """Return how thin a shape is in metres, without what is below it; a plane has no end to PhysX."""
    extent = UsdGeom.Boundable.ComputeExtentFromPlugins(UsdGeom.Boundable(prim), Usd.TimeCode.Default())
    if not extent or prim.IsA(UsdGeom.Plane):
        return math.inf
    scale = Gf.Transform(UsdGeom.Xformable(prim).ComputeLocalToWorldTransform(0.0)).GetScale()
    return min(abs(scale[axis]) * (extent[1][axis] - extent[0][axis]) for axis in range(3))


def break_instances(root: Usd.Prim) -> None:
    """Make ordinary prims of instances below `root`: PhysX does not find the bodies in them by their paths."""
    while instances := [prim for prim in Usd.PrimRange(root) if prim.IsInstance()]:
        for prim in instances:
            prim.SetInstanceable(False)


def anchor_joints(env_0: Usd.Prim) -> None:
    """Fasten joints to a body that never moves, at the origin of the environment, where they lack one of their bodies.

    Without, they hold on to a place in the world, and PhysX would hold all clones there where environment 0 is held. As
    long as that stands at the origin, the places are the same numbers. Joints that hold the root of an articulation are
    left as they are: PhysX holds roots wherever they stand.
    """
    path = env_0.GetPath().AppendChild("anchor")
    for prim in list(Usd.PrimRange(env_0)):
        if not prim.IsA(UsdPhysics.Joint):
            continue
        joint = UsdPhysics.Joint(prim)
        sides = joint.GetBody0Rel(), joint.GetBody1Rel()
        free = [side for side in sides if not side.GetTargets()]
        bodies = [prim.GetStage().GetPrimAtPath(path) for side in sides for path in side.GetTargets()]
        holds_root = not joint.GetExcludeFromArticulationAttr().Get() and any(
            _is_in_articulation(part) for part in (prim, *bodies)
        )
        if len(free) == 1 and not holds_root:
            anchor = UsdGeom.Xform.Define(prim.GetStage(), path).GetPrim()
            UsdPhysics.RigidBodyAPI.Apply(anchor).CreateKinematicEnabledAttr(True)
            UsdPhysics.MassAPI.Apply(anchor).CreateMassAttr(1.0)
            UsdPhysics.MassAPI(anchor).CreateDiagonalInertiaAttr(Gf.Vec3f(1.0))
            free[0].SetTargets([path])


def _is_in_articulation(prim: Usd.Prim) -> bool:
    while prim:
        if prim.HasAPI(UsdPhysics.ArticulationRootAPI):
            return True
        prim = prim.GetParent()
    return False


def root_pose(robot: Usd.Prim) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return where the root of a robot in environment 0 is authored: in m from the environment's origin, and as wxyz.

    The root is the body that is the articulation's root, or that a joint holds to the world; None where neither is.
    """
    for prim in Usd.PrimRange(robot):
        joint = UsdPhysics.FixedJoint(prim)
        held = joint.GetBody1Rel().GetTargets() if joint and not joint.GetBody0Rel().GetTargets() else []
        root = robot.GetStage().GetPrimAtPath(held[0]) if held else prim
        if held or (prim.HasAPI(UsdPhysics.ArticulationRootAPI) and prim.HasAPI(UsdPhysics.RigidBodyAPI)):
            env_0 = robot.GetStage().GetPrimAtPath(ENV_0_PATH)
            matrix, _ = UsdGeom.XformCache().ComputeRelativeTransform(root, env_0)
            turn = matrix.ExtractRotationQuat()
            return tuple(matrix.ExtractTranslation()), (turn.GetReal(), *turn.GetImaginary())
    return None


def articulation_roots(stage: Usd.Stage) -> list[Usd.Prim]:
    """Return the prims of environment 0 that are roots of articulations."""
    prims = Usd.PrimRange(stage.GetPrimAtPath(ENV_0_PATH))
    return [prim for prim in prims if prim.HasAPI(UsdPhysics.ArticulationRootAPI)]
