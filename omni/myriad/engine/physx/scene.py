# SPDX-License-Identifier: Apache-2.0
"""The part of a task's USD stage that each shard gets."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from omni.myriad.engine import usd
from omni.myriad.engine.base import ENV_0_PATH, ENVS_PATH
from omni.myriad.errors import MyriadError

logger = logging.getLogger(__name__)

_COLLISION_GROUP_PATH = "/World/collisionGroups/envs"

_LARGE = 100
"""Points of a mesh outside of the environments from which on it is read from a file."""


def flatten(stage: Usd.Stage, device: torch.device, replicate: bool = True, apart: bool = True) -> Sdf.Layer:
    """Compose the stage into one layer that shards can be cut from, with its first environment or, else, all of them.

    On the CPU, where PhysX has no environment ids, an environment that is a single robot without self-collisions gets a
    collision group that filters itself, so that robots of different environments pass through each other. Other
    environments are kept apart by distance alone.

    Args:
        stage: What the task authored.
        device: What simulates.
        replicate: Whether PhysX makes the other environments of the first one.
        apart: Whether there is a distance from one environment to the next.

    Raises:
        MyriadError: See `check`.
    """
    if replicate and len(stage.GetPrimAtPath(ENVS_PATH).GetChildren()) > 1:
        stage = _without_copies(stage)
    check(stage)
    env_0 = stage.GetPrimAtPath(ENV_0_PATH)
    filtered = replicate and device.type == "cpu" and _robots_never_touch(env_0)
    if device.type == "cpu" and not (apart or filtered):
        logger.warning(
            "Environments share a place, and their robots will push each other: on a CPU PhysX keeps them apart only "
            "where each is a single robot without self-collisions (task.sim.<robot>.enable_self_collisions=False)."
        )
    if filtered:
        group = UsdPhysics.CollisionGroup.Define(stage, _COLLISION_GROUP_PATH)
        group.GetCollidersCollectionAPI().CreateIncludesRel().SetTargets([ENVS_PATH])
        group.CreateFilteredGroupsRel().SetTargets([_COLLISION_GROUP_PATH])
    return stage.Flatten()


def set_large_meshes_aside(layer: Sdf.Layer, folder: Path) -> None:
    """Move what holds a large mesh outside of the environments into files, which each shard's text then refers to.

    A terrain of five million triangles would be 200 MB of text.

    Args:
        layer: What `flatten` returned.
        folder: Where the files are written; they are needed until the shards are there.
    """
    world = layer.GetPrimAtPath("/World")
    large = [spec.name for spec in world.nameChildren if spec.path != ENVS_PATH and _num_points(spec) >= _LARGE]
    for name in large:
        aside = Sdf.Layer.CreateAnonymous(".usdc")
        Sdf.CopySpec(layer, world.path.AppendChild(name), aside, Sdf.Path.absoluteRootPath.AppendChild(name))
        aside.defaultPrim = name
        file = folder / f"{name}.usdc"
        aside.Export(str(file))
        del world.nameChildren[name]
        prim = Sdf.PrimSpec(world, name, Sdf.SpecifierDef)
        prim.referenceList.Prepend(Sdf.Reference(str(file)))


def _num_points(spec: Sdf.PrimSpec) -> int:
    points = spec.attributes.get("points")
    return len(points.default or ()) if points else sum(_num_points(child) for child in spec.nameChildren)


def check(stage: Usd.Stage) -> None:
    """Make sure that environment 0 can be copied, and make ordinary prims of instances in it.

    Raises:
        MyriadError: If a rigid body lies outside environment 0, of which all environments would share one, or if there
            is none at all.
    """
    env_0 = stage.GetPrimAtPath(ENV_0_PATH)
    usd.break_instances(env_0)
    usd.anchor_joints(env_0)
    for prim in stage.Traverse():
        if prim.HasAPI(UsdPhysics.RigidBodyAPI) and not prim.GetPath().HasPrefix(ENVS_PATH):
            raise MyriadError(f"{prim.GetPath()} is a rigid body outside {ENV_0_PATH}: move it into the environment.")
    if not any(prim.HasAPI(UsdPhysics.RigidBodyAPI) for prim in Usd.PrimRange(env_0)):
        raise MyriadError(f"{ENV_0_PATH} holds no rigid body: author a robot there, such as with add_robot(...).")


def _without_copies(stage: Usd.Stage) -> Usd.Stage:
    """Return the stage as it is without the environments that copy environment 0."""
    mask = Usd.StagePopulationMask([ENV_0_PATH, _COLLISION_GROUP_PATH])
    for prim in (*stage.GetPseudoRoot().GetChildren(), *stage.GetPrimAtPath("/World").GetChildren()):
        if not Sdf.Path(ENV_0_PATH).HasPrefix(prim.GetPath()):
            mask.Add(prim.GetPath())
    return Usd.Stage.OpenMasked(stage.GetRootLayer(), mask)


def _robots_never_touch(env_0: Usd.Prim) -> bool:
    prims, roots = list(Usd.PrimRange(env_0)), usd.articulation_roots(env_0.GetStage())
    if len(roots) != 1:
        return False
    collides_itself = roots[0].GetAttribute("physxArticulation:enabledSelfCollisions")
    if not collides_itself or collides_itself.Get() is not False:
        return False
    # One robot: every body hangs together by joints, so bodies may outnumber joints by one at most.
    bodies = sum(prim.HasAPI(UsdPhysics.RigidBodyAPI) for prim in prims)
    return bodies <= 1 + sum(prim.IsA(UsdPhysics.Joint) for prim in prims)


def shard_usda(
    layer: Sdf.Layer,
    positions: Mapping[int, tuple[float, float, float]],
    models: Sequence[int],
    sizes: Mapping[str, Sequence[float]],
) -> str:
    """Return the stage as text with some environments, each a copy of another in which some prims are resized.

    A shard clones environments of its own, so that each has the same name and place in the world whatever the number of
    shards.

    Args:
        layer: What `flatten` returned.
        positions: Where these environments are in m, by their ids.
        models: Id of the environment in `layer` that each of all environments copies; a model copies itself.
        sizes: Factors of all environments, by paths of prims in one.
    """
    copy = Sdf.Layer.CreateAnonymous(".usda")
    copy.TransferContent(layer)
    with Sdf.ChangeBlock():
        for env_id in positions:
            if models[env_id] != env_id:
                # CopySpec also retargets the joints' and materials' relationships that stay inside the environment.
                Sdf.CopySpec(copy, f"{ENVS_PATH}/env_{models[env_id]}", copy, f"{ENVS_PATH}/env_{env_id}")
        for model in set(models) - set(positions):
            del copy.GetPrimAtPath(ENVS_PATH).nameChildren[f"env_{model}"]
    stage = Usd.Stage.Open(copy)
    for env_id, position in positions.items():
        xform = UsdGeom.Xformable(stage.GetPrimAtPath(f"{ENVS_PATH}/env_{env_id}"))
        xform.ClearXformOpOrder()
        xform.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*position))
        for path, factors in sizes.items():
            sized = UsdGeom.Xformable(stage.GetPrimAtPath(f"{ENVS_PATH}/env_{env_id}/{path}"))
            op = next((op for op in sized.GetOrderedXformOps() if op.GetOpType() == UsdGeom.XformOp.TypeScale), None)
            if op is None:
                sized.AddScaleOp().Set(Gf.Vec3f(factors[env_id]))
            else:
                op.Set(factors[env_id] * op.Get())
    return copy.ExportToString()


def part_usda(layer: Sdf.Layer, env_ids: range) -> str:
    """Return the stage as text with some of its environments."""
    copy = Sdf.Layer.CreateAnonymous(".usda")
    copy.TransferContent(layer)
    environments = copy.GetPrimAtPath(ENVS_PATH)
    kept = {f"env_{env_id}" for env_id in env_ids}
    for name in [child.name for child in environments.nameChildren if child.name not in kept]:
        del environments.nameChildren[name]
    return copy.ExportToString()
