# SPDX-License-Identifier: Apache-2.0
"""Author the USD stage that PhysX reads, and the part of it that each shard gets."""

from __future__ import annotations

from typing import Any

import torch
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade

from omni.myriad.engine.base import ENV_0_PATH, ENVS_PATH
from omni.myriad.engine.sim_config import SimConfig
from omni.myriad.errors import MyriadError

PHYSICS_SCENE_PATH = "/physicsScene"
_COLLISION_GROUP_PATH = "/World/collisionGroups/envs"

# YAML key below sim.physx -> (attribute of PhysxSceneAPI, its type)
_SCENE_ATTRIBUTES = {
    "bounce_threshold_velocity": ("bounceThreshold", "Float"),
    "friction_offset_threshold": ("frictionOffsetThreshold", "Float"),
    "friction_correlation_distance": ("frictionCorrelationDistance", "Float"),
    "enable_stabilization": ("enableStabilization", "Bool"),
    "gpu_max_rigid_contact_count": ("gpuMaxRigidContactCount", "UInt"),
    "gpu_max_rigid_patch_count": ("gpuMaxRigidPatchCount", "UInt"),
    "gpu_found_lost_pairs_capacity": ("gpuFoundLostPairsCapacity", "UInt"),
    "gpu_found_lost_aggregate_pairs_capacity": ("gpuFoundLostAggregatePairsCapacity", "UInt"),
    "gpu_total_aggregate_pairs_capacity": ("gpuTotalAggregatePairsCapacity", "UInt"),
    "gpu_heap_capacity": ("gpuHeapCapacity", "UInt"),
    "gpu_temp_buffer_capacity": ("gpuTempBufferCapacity", "UInt64"),
    "gpu_max_num_partitions": ("gpuMaxNumPartitions", "UInt"),
    "gpu_collision_stack_size": ("gpuCollisionStackSize", "UInt"),
}


class SceneRegistry:
    """The views of an engine by name, as `isaacsim.core.api.scenes.Scene` keeps them."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._objects: dict[str, Any] = {}

    def add(self, obj: Any) -> Any:
        """Register a view, to be initialised when physics starts; return it."""
        if obj.name in self._objects:
            raise MyriadError(f"The scene already has a view named {obj.name!r}: give each view its own name.")
        obj.bind(self._engine)
        self._objects[obj.name] = obj
        if self._engine.is_playing():
            obj.initialize()
        return obj

    def get_object(self, name: str) -> Any | None:
        """Return the view of that name, or None."""
        return self._objects.get(name)

    def object_exists(self, name: str) -> bool:
        """Tell whether a view of that name is registered."""
        return name in self._objects

    def remove_object(self, name: str, registry_only: bool = False) -> None:
        """Forget the view of that name; prims stay, because clones are not on the stage."""
        if name not in self._objects:
            raise MyriadError(f"The scene has no view named {name!r}; it has: {', '.join(self._objects) or 'none'}.")
        del self._objects[name]

    def views(self) -> list[Any]:
        """Return the registered views in the order they were added."""
        return list(self._objects.values())


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

    prim = scene.GetPrim()
    prim.AddAppliedSchema("PhysxSceneAPI")

    def author(name: str, type_name: str, value: Any) -> None:
        prim.CreateAttribute(f"physxScene:{name}", getattr(Sdf.ValueTypeNames, type_name)).Set(value)

    on_gpu = device.type == "cuda"
    author("timeStepsPerSecond", "UInt", sim_config.steps_per_second)
    author("enableGPUDynamics", "Bool", on_gpu)
    author("broadphaseType", "Token", "GPU" if on_gpu else "MBP")
    author("solverType", "Token", "TGS" if physx["solver_type"] == 1 else "PGS")
    # Costs a third of the step at thousands of environments, and views have no scene queries.
    author("enableSceneQuerySupport", "Bool", bool(sim["enable_scene_query_support"]))
    author("disableSleeping", "Bool", not physx["enable_sleeping"])
    # The default differs between PhysX versions; this one is Isaac Sim's.
    author("enableExternalForcesEveryIteration", "Bool", False)
    for key, (attribute, type_name) in _SCENE_ATTRIBUTES.items():
        if key in physx:
            author(attribute, type_name, physx[key])


def add_ground_plane(
    stage: Usd.Stage, prim_path: str, static_friction: float, dynamic_friction: float, restitution: float
) -> None:
    """Author an infinite ground plane at z = 0 with its own physics material."""
    UsdGeom.Xform.Define(stage, prim_path)
    plane = UsdGeom.Plane.Define(stage, f"{prim_path}/collider")
    plane.CreateAxisAttr(UsdGeom.Tokens.z)
    UsdPhysics.CollisionAPI.Apply(plane.GetPrim())
    material = UsdShade.Material.Define(stage, f"{prim_path}/material")
    physics = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    physics.CreateStaticFrictionAttr(static_friction)
    physics.CreateDynamicFrictionAttr(dynamic_friction)
    physics.CreateRestitutionAttr(restitution)
    UsdShade.MaterialBindingAPI.Apply(plane.GetPrim()).Bind(material, materialPurpose="physics")


def flatten(stage: Usd.Stage, device: torch.device) -> Sdf.Layer:
    """Compose the stage into one layer that shards can be cut from.

    On the CPU, where PhysX has no environment ids, an environment that is a single robot without self-collisions gets a
    collision group that filters itself, so that robots of different environments pass through each other. Other
    environments are kept apart by distance alone.

    Raises:
        MyriadError: If a rigid body lies outside environment 0, since each shard would get its own copy, or if there is
            none at all.
    """
    env_0 = stage.GetPrimAtPath(ENV_0_PATH)
    break_instances(env_0)
    for prim in stage.Traverse():
        if prim.HasAPI(UsdPhysics.RigidBodyAPI) and not prim.GetPath().HasPrefix(env_0.GetPath()):
            raise MyriadError(f"{prim.GetPath()} is a rigid body outside {ENV_0_PATH}: move it into the environment.")
    if not any(prim.HasAPI(UsdPhysics.RigidBodyAPI) for prim in Usd.PrimRange(env_0)):
        raise MyriadError(f"{ENV_0_PATH} holds no rigid body: author a robot there, such as with add_robot(...).")
    if device.type == "cpu" and _robots_never_touch(env_0):
        group = UsdPhysics.CollisionGroup.Define(stage, _COLLISION_GROUP_PATH)
        group.GetCollidersCollectionAPI().CreateIncludesRel().SetTargets([ENVS_PATH])
        group.CreateFilteredGroupsRel().SetTargets([_COLLISION_GROUP_PATH])
    return stage.Flatten()


def break_instances(root: Usd.Prim) -> None:
    """Make ordinary prims of instances below `root`: PhysX does not find the bodies in them by their paths."""
    while instances := [prim for prim in Usd.PrimRange(root) if prim.IsInstance()]:
        for prim in instances:
            prim.SetInstanceable(False)


def _robots_never_touch(env_0: Usd.Prim) -> bool:
    prims = list(Usd.PrimRange(env_0))
    roots = [prim for prim in prims if prim.HasAPI(UsdPhysics.ArticulationRootAPI)]
    if len(roots) != 1:
        return False
    collides_itself = roots[0].GetAttribute("physxArticulation:enabledSelfCollisions")
    if not collides_itself or collides_itself.Get() is not False:
        return False
    # One robot: every body hangs together by joints, so bodies may outnumber joints by one at most.
    bodies = sum(prim.HasAPI(UsdPhysics.RigidBodyAPI) for prim in prims)
    return bodies <= 1 + sum(prim.IsA(UsdPhysics.Joint) for prim in prims)


def shard_usda(layer: Sdf.Layer, env_id: int, position: tuple[float, float, float]) -> str:
    """Return the stage as text with environment 0 renamed and moved to become a shard's first environment.

    A shard clones its own first environment, so that each environment has the same name and place in the world whatever
    the number of shards.
    """
    target = f"{ENVS_PATH}/env_{env_id}"
    copy = Sdf.Layer.CreateAnonymous(".usda")
    copy.TransferContent(layer)
    stage = Usd.Stage.Open(copy)
    if env_id != 0:
        # CopySpec also retargets the joints' and materials' relationships that stay inside the environment.
        Sdf.CopySpec(copy, ENV_0_PATH, copy, target)
        stage.RemovePrim(ENV_0_PATH)
    xform = UsdGeom.Xformable(stage.GetPrimAtPath(target))
    xform.ClearXformOpOrder()
    xform.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*position))
    return copy.ExportToString()
