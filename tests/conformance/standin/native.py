# SPDX-License-Identifier: Apache-2.0
"""PhysX as Kit's extensions offer it (`omni.physx`, `omni.physics.core`), and Isaac Sim's small compiled modules."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable
from typing import Any

import newton_usd_schemas  # noqa: F401  registers NewtonSceneAPI, which Isaac Sim 6 applies
import physx_usd_schemas
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdPhysics, UsdUtils

from . import kit
from .importer import provide


class Physics:
    """The PhysX scene of the open stage: loaded on play, gone on stop, as in Kit."""

    def __init__(self) -> None:
        self.physx: Any = None
        self.device = "cpu"
        self.replicates = False
        self.force_updates = 0
        self.last_dt = 0.0
        self.num_steps = 0
        self.time = 0.0
        self.before_step: list[Any] = []
        self.after_step: list[Any] = []
        self.replicators: dict[int, tuple[Callable, Callable, Callable]] = {}
        self._replicated: set[str] = set()
        self._copies: list[tuple[str, list[str], bool]] = []
        self._stage: Any = None
        self._schemas_registered = False

    def load(self) -> None:
        """Hand the stage to PhysX."""
        import ovphysx
        import ovstage

        if self.physx is not None:
            return
        if not self._schemas_registered:
            ovphysx.set_global_config(ovphysx.types.GlobalConfigKey.NUM_THREADS, 0)
            if self.device == "cpu":
                ovphysx.set_global_config(ovphysx.types.GlobalConfigKey.CPU_ONLY, True)
            schemas = [str(path) for path in physx_usd_schemas.schema_paths()]
            ovstage.population.register_usd_schemas([*schemas, str(ovphysx.newton_schema_root())])
            self._schemas_registered = True
        on_gpu = self.device != "cpu"
        if on_gpu is not kit.SETTINGS.get_as_bool("/physics/suppressReadback"):
            raise RuntimeError(f"this Kit simulates on {self.device}, and Isaac Sim's Python asks for the other kind")
        keys, setting = ovphysx.types.GlobalConfigKey, kit.SETTINGS.get_as_bool
        ovphysx.set_global_config(keys.DISABLE_CONTACT_PROCESSING, setting("/physics/disableContactProcessing"))
        for key, kind in (
            (keys.COLLISION_CYLINDER_CUSTOM_GEOMETRY, "Cylinders"),
            (keys.COLLISION_CONE_CUSTOM_GEOMETRY, "Cones"),
        ):
            ovphysx.set_global_config(key, not setting(f"/physics/collisionApproximate{kind}"))
        stage = self._run_replicator()
        overrides: dict[str, bool | int | float | str] = {
            "/physics/updateToUsd": False,
            "/physics/updateVelocitiesToUsd": False,
            "/physics/suppressReadback": on_gpu,
            "/ovphysx/clone/useEnvIds": any(use_env_ids for *_, use_env_ids in self._copies),
        }
        self.physx = ovphysx.PhysX(
            config=ovphysx.PhysXConfig(carbonite_overrides=overrides),
            active_cuda_gpus=self.device.partition(":")[2] if on_gpu else None,
        )
        self._stage = ovstage.Stage("kit")
        ovstage.population.open_usd_from_string(
            self._stage, stage.ExportToString(), ordinal=1, domains=ovstage.PopulationDomain.ALL
        )
        self._stage.advance_write_floor(ordinal=1).wait()
        self.physx.wait_task(self.physx.attach_ovstage(self._stage, read_ordinal=1))
        for source, targets, _ in self._copies:
            poses = [_pose(target) for target in targets]
            task = self.physx.clone(source, targets, anchor_transforms=poses, env_ids=list(range(len(targets))))
            self.physx.wait_task(task)

    def _run_replicator(self) -> Sdf.Layer:
        """Run the replicator's callbacks as omni.physx does while it loads a stage, and return what it then loads.

        Kit skips what is excluded and copies the source in its place (`replicates`). Otherwise every clone is loaded
        from the stage, where the cloner has put it too.
        """
        stage_id, stage = kit.CONTEXT.get_stage_id(), kit.CONTEXT.stage
        self._copies.clear()
        if stage_id in self.replicators:
            attach, attach_end, _ = self.replicators[stage_id]
            excluded = attach(stage_id)
            self._replicated.clear()
            attach_end(stage_id)
            for root in excluded:
                children = {str(prim.GetPath()) for prim in stage.GetPrimAtPath(root).GetChildren()}
                if children != self._replicated:
                    raise RuntimeError(f"replicated {sorted(self._replicated)}, where {root} has {sorted(children)}")
        if not self.replicates:
            if any(use_env_ids for *_, use_env_ids in self._copies):
                raise NotImplementedError("the stand-in for Kit has environment ids of replicated clones alone")
            self._copies.clear()
        layer = stage.Flatten()
        for _, targets, _ in self._copies:
            for target in targets:
                del layer.GetPrimAtPath(target).nameParent.nameChildren[target.rpartition("/")[2]]
        for source, targets, _ in self._copies:
            _join_groups(layer, source, targets)
        return layer

    def unload(self) -> None:
        """Release PhysX: every view of it is invalid from now on."""
        from .tensors import release_views

        if self.physx is None:
            return
        release_views()
        self.physx.wait_task(self.physx.detach_ovstage())
        self._stage.destroy()
        self.physx.destroy()
        self.physx = self._stage = None
        self.num_steps, self.time = 0, 0.0

    def step(self, dt: float) -> None:
        """Advance by `dt` seconds."""
        if self.physx is None:
            raise RuntimeError("physics is stepped before it was loaded")
        self.physx.step_sync(dt)
        self.last_dt = dt
        self.num_steps += 1
        self.time += dt

    # -- omni.physx, replicator ---------------------------------------------------------------------------------------

    def register_replicator(self, stage_id: int, attach: Callable, attach_end: Callable, rename: Callable) -> None:
        self.replicators[stage_id] = (attach, attach_end, rename)

    def replicate(
        self, stage_id: int, source: str, num: int, use_env_ids: bool = False, use_fabric: bool = False
    ) -> bool:
        if use_fabric:
            raise NotImplementedError("the stand-in for Kit does not clone in Fabric")
        if use_env_ids and self.device == "cpu":
            raise RuntimeError("PhysX has environment ids on a GPU alone")
        rename = self.replicators[stage_id][2]
        targets = [rename(source, index) for index in range(num)]
        self._replicated |= {source, *targets}
        self._copies.append((source, targets, use_env_ids))
        return True

    # -- omni.physxfabric ---------------------------------------------------------------------------------------------

    def force_update(self, dt: float, time: float) -> None:
        """Count what brings PhysX's results onto the stage that is drawn; on a GPU nothing else does."""
        if self.physx is None:
            raise RuntimeError("Fabric is updated from physics that is not loaded")
        self.force_updates += 1


PHYSICS = Physics()


def _join_groups(layer: Sdf.Layer, source: str, targets: list[str]) -> None:
    """Let copies join the groups of their paths, as in Kit: standalone PhysX asks that each collider be named."""
    stage = Usd.Stage.Open(layer)
    colliders = [
        prim.GetPath().MakeRelativePath(source)
        for prim in Usd.PrimRange(stage.GetPrimAtPath(source))
        if prim.HasAPI(UsdPhysics.CollisionAPI)
    ]
    for prim in stage.Traverse():
        if prim.IsA(UsdPhysics.CollisionGroup):
            members = UsdPhysics.CollisionGroup(prim).GetCollidersCollectionAPI().GetIncludesRel()
            for root in set(members.GetTargets()) & set(map(Sdf.Path, targets)):
                for path in colliders:
                    members.AddTarget(root.AppendPath(path))


def _pose(path: str) -> tuple[float, ...]:
    """Return where a prim stands in the world: position and (x, y, z, w) quaternion."""
    matrix = UsdGeom.Xformable(kit.CONTEXT.stage.GetPrimAtPath(path)).ComputeLocalToWorldTransform(0.0)
    turn = matrix.ExtractRotationQuat()
    return (*matrix.ExtractTranslation(), *turn.GetImaginary(), turn.GetReal())


class PhysxInterface:
    """omni.physx of Isaac Sim 5: IPhysx and IPhysxSimulation."""

    def __init__(self) -> None:
        self._waits_for_fetch = False

    def force_load_physics_from_usd(self) -> None:
        PHYSICS.load()

    def start_simulation(self) -> None:
        pass

    def update_simulation(self, dt: float, time: float) -> None:
        self.simulate(dt, time)
        self._waits_for_fetch = False

    def simulate(self, dt: float, time: float) -> None:
        if self._waits_for_fetch:
            raise RuntimeError("simulate() before the last step was fetched")
        kit.call(PHYSICS.before_step, dt)
        PHYSICS.step(dt)
        kit.call(PHYSICS.after_step, dt)
        self._waits_for_fetch = True

    def fetch_results(self) -> None:
        self._waits_for_fetch = False

    def flush_changes(self) -> None:
        pass

    def subscribe_physics_step_events(self, fn: Callable[[float], None]) -> kit.Subscription:
        return kit.Subscription(PHYSICS.after_step, 0, fn)

    def subscribe_physics_on_step_events(
        self, fn: Callable[[float], None], pre_step: bool, order: int
    ) -> kit.Subscription:
        return kit.Subscription(PHYSICS.before_step if pre_step else PHYSICS.after_step, order, fn)


class PhysicsCore:
    """omni.physics.core of Isaac Sim 6, with PhysX as its only engine."""

    def force_load_physics_from_usd(self) -> None:
        PHYSICS.load()

    def start_simulation(self) -> None:
        pass

    def simulate(self, dt: float, time: float) -> None:
        kit.call(PHYSICS.before_step, dt, None)
        PHYSICS.step(dt)
        kit.call(PHYSICS.after_step, dt, None)

    def flush_changes(self) -> None:
        pass

    def subscribe_physics_on_step_events(
        self, on_update: Callable[[float, Any], None], pre_step: bool, order: int
    ) -> kit.Subscription:
        return kit.Subscription(PHYSICS.before_step if pre_step else PHYSICS.after_step, order, on_update)

    def get_simulation_ids(self) -> list[int]:
        return [1]

    def get_simulation_name(self, simulation_id: int) -> str:
        return "PhysX"

    def is_simulation_active(self, simulation_id: int) -> bool:
        return True

    def subscribe_simulation_registry_events(self, fn: Callable[..., None]) -> kit.Subscription:
        return kit.Subscription([], 0, fn)


class RuntimeStage:
    """usdrt.Usd.Stage: the open stage, as far as a cloner asks for its physics scenes."""

    @staticmethod
    def Attach(stage_id: int) -> RuntimeStage:  # noqa: N802
        return RuntimeStage()

    def GetPrimsWithTypeName(self, name: str) -> list[Sdf.Path]:  # noqa: N802
        if name != "UsdPhysicsScene":
            raise NotImplementedError(f"the stand-in for Kit does not look for prims of type {name}")
        return [prim.GetPath() for prim in kit.CONTEXT.stage.Traverse() if prim.IsA(UsdPhysics.Scene)]


class SimulationRegistryEventType(enum.Enum):
    """omni.physics.core's engine events; none is ever sent here."""

    SIMULATION_ACTIVATED = 0
    SIMULATION_DEACTIVATED = 1


class SimulationManagerInterface:
    """The compiled half of isaacsim.core.simulation_manager: listens to the stage and counts steps."""

    def __init__(self) -> None:
        self._iter = 0
        self._enabled = True
        self._scenes: set[str] = set()
        self._added: dict[int, Callable[[str], None]] = {}
        self._deleted: dict[int, Callable[[str], None]] = {}
        self._listener = Tf.Notice.RegisterGlobally(Usd.Notice.ObjectsChanged, self._on_objects_changed)

    def _on_objects_changed(self, notice: Any, stage: Usd.Stage) -> None:
        if not self._enabled or stage != kit.CONTEXT.stage:
            return
        for path in notice.GetResyncedPaths():
            if not path.IsAbsoluteRootOrPrimPath():
                continue
            prim = stage.GetPrimAtPath(path)
            if not prim or not prim.IsActive():
                self._scenes.discard(str(path))
                for callback in list(self._deleted.values()):
                    callback(str(path))
            elif prim.IsA(UsdPhysics.Scene) and str(path) not in self._scenes:
                self._scenes.add(str(path))
                for callback in list(self._added.values()):
                    callback(str(path))

    def reset(self) -> None:
        self._added.clear()
        self._deleted.clear()
        self._scenes.clear()
        self._iter = 0

    def _register(self, callbacks: dict[int, Callable[[str], None]], callback: Callable[[str], None]) -> int:
        callbacks[self._iter] = callback
        self._iter += 1
        return self._iter - 1

    def register_deletion_callback(self, callback: Callable[[str], None]) -> int:
        return self._register(self._deleted, callback)

    def register_physics_scene_addition_callback(self, callback: Callable[[str], None]) -> int:
        return self._register(self._added, callback)

    def deregister_callback(self, callback_id: int) -> bool:
        return self._added.pop(callback_id, None) is not None or self._deleted.pop(callback_id, None) is not None

    def get_callback_iter(self) -> int:
        return self._iter

    def set_callback_iter(self, value: int) -> None:
        self._iter = value

    def enable_usd_notice_handler(self, enabled: bool) -> None:
        self._enabled = enabled

    def is_fabric_usd_notice_handler_enabled(self, stage_id: int) -> bool:
        return False

    def cleanup_invalid_physics_scenes(self) -> list[str]:
        return []

    def get_simulation_time(self) -> float:
        return PHYSICS.time

    def get_num_physics_steps(self) -> int:
        return PHYSICS.num_steps


class PhysicsScene:
    """Isaac Sim 6's compiled PhysicsScene: a path, made if it is missing."""

    def __init__(self, path: str) -> None:
        self.path = str(path)
        if not kit.CONTEXT.stage.GetPrimAtPath(self.path):
            UsdPhysics.Scene.Define(kit.CONTEXT.stage, self.path)


def find_matching_prim_paths(pattern: str, stage_id: int, api: str) -> list[str]:
    """Return prims that a pattern names, level by level, `*` and `?` standing for anything within a level."""
    if api:
        raise NotImplementedError("the stand-in for Kit finds prims by path alone")
    stage = UsdUtils.StageCache.Get().Find(Usd.StageCache.Id.FromLongInt(stage_id))
    return [str(prim.GetPath()) for prim in match_prims(stage, pattern)]


def match_prims(stage: Usd.Stage, pattern: str) -> list[Usd.Prim]:
    """Return the prims that a pattern names, in the order of the stage."""
    import re

    prims = [stage.GetPseudoRoot()]
    for token in pattern.strip("/").split("/"):
        expression = re.compile(token.replace(".", r"\.").replace("*", ".*").replace("?", "."))
        prims = [child for prim in prims for child in prim.GetAllChildren() if expression.fullmatch(child.GetName())]
    return prims


def install() -> None:
    """Install the modules."""
    from physx_usd_schemas import PhysicsSchemaTools, PhysxSchema

    kit.TIMELINE.on_stop = PHYSICS.unload
    provide("pxr.PhysxSchema", **vars(PhysxSchema))
    provide("pxr.PhysicsSchemaTools", **vars(PhysicsSchemaTools))
    sys.modules["pxr"].PhysxSchema = PhysxSchema  # pyright: ignore[reportAttributeAccessIssue]
    sys.modules["pxr.PhysxSchema"] = PhysxSchema
    has_api = Usd.Prim.HasAPI
    # The schema's Python classes are wrappers by name here, where Kit's are compiled.
    Usd.Prim.HasAPI = lambda prim, api, *rest: has_api(prim, getattr(api, "_schemaName", api), *rest)

    physx, core = PhysxInterface(), PhysicsCore()
    provide(
        "omni.physx",
        get_physx_interface=lambda: physx,
        get_physx_simulation_interface=lambda: physx,
        get_physx_replicator_interface=lambda: PHYSICS,
    )
    provide("omni.physxfabric", get_physx_fabric_interface=lambda: PHYSICS)
    provide("omni.physics")
    provide(
        "omni.physics.core",
        get_physics_simulation_interface=lambda: core,
        get_physics_stage_update_interface=lambda: core,
        get_physics_interface=lambda: core,
        SimulationRegistryEventType=SimulationRegistryEventType,
    )
    provide("usdrt", Gf=Gf, Sdf=Sdf)
    provide("usdrt.Usd", Stage=RuntimeStage)

    manager = SimulationManagerInterface()
    native = {
        "acquire_simulation_manager_interface": lambda: manager,
        "PhysicsScene": PhysicsScene,
        "get_physics_scene_paths": lambda stage_id: [str(p.GetPath()) for p in match_prims(kit.CONTEXT.stage, "*")],
    }
    utilities = {"_find_matching_prim_paths": find_matching_prim_paths}
    cloner = {"_fabric_clone": lambda *_: False}
    for package, module, attributes in (
        ("isaacsim.core.simulation_manager", "_simulation_manager", native),
        ("isaacsim.core.utils", "_isaac_utils", utilities),
        ("isaacsim.core.cloner", "_isaac_cloner", cloner),
    ):
        # Isaac Sim 5 has them beside the Python, Isaac Sim 6 in a subpackage `bindings`.
        for name in (f"{package}.{module}", f"{package}.bindings.{module}"):
            preload(name, attributes)


def preload(name: str, attributes: dict[str, Any]) -> None:
    """Install a module without importing its parent, which imports it in turn."""
    from .importer import _StubModule

    module = _StubModule(name)
    vars(module).update(attributes)
    sys.modules[name] = module
    parent = name.rpartition(".")[0]
    if parent.endswith(".bindings"):
        package = sys.modules.setdefault(parent, _StubModule(parent))
        package.__path__ = []
        setattr(package, name.rpartition(".")[2], module)
