# SPDX-License-Identifier: Apache-2.0
"""The standalone PhysX engine: shards stepped in parallel behind one interface."""

from __future__ import annotations

import itertools
import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from pxr import Sdf, Usd

from omni.myriad.engine import usd
from omni.myriad.engine.base import ENV_0_PATH, ENVS_PATH, Engine
from omni.myriad.engine.physx import runtime, scene
from omni.myriad.engine.physx.contacts import ContactSensors
from omni.myriad.engine.physx.ledger import Kind, Ledger
from omni.myriad.engine.physx.quantity import Quantity
from omni.myriad.engine.physx.shard import Shard
from omni.myriad.engine.physx.views.articulation import ArticulationView
from omni.myriad.engine.physx.views.rigid_prim import RigidPrimView
from omni.myriad.engine.sim_config import SimConfig

logger = logging.getLogger(__name__)

_ENVS_PER_GPU_SHARD = 4096
"""Where a single scene's steps per second peak on one H200: up to four such scenes are faster than a bigger one."""

_ENVS_PER_GPU_SHARD_BEYOND_FOUR = 8192
"""More than four scenes get into each other's way on the GPU, so beyond them scenes grow before their number does."""

_MIN_ENVS_PER_CPU_SHARD = 16

_FOLLOWED_WITH = {
    "ARTICULATION_DOF_POSITION_TARGET": "ARTICULATION_DOF_STIFFNESS",
    "ARTICULATION_DOF_VELOCITY_TARGET": "ARTICULATION_DOF_DAMPING",
}
"""The gains with which drives follow targets: where all are zero, targets need not be sent."""

PHASES = ("write", "step", "read")
"""What each shard's thread does in a step, in this order."""


class PhysXEngine(Engine):
    """Steps `num_envs` clones of one environment with PhysX, split over shards.

    Args:
        sim_config: The run's configuration.

    Attributes:
        replicate: Whether PhysX copies environment 0; False where the stage holds all, each as it shall be.
        shards: The PhysX scenes, each with a contiguous run of environments; empty until `reset`.
        ledger: What the views' quantities have written and read.
    """

    name = "physx"

    def __init__(self, sim_config: SimConfig) -> None:
        runtime.start(torch.device(sim_config.config["sim_device"]))
        self.version = f"ovphysx {runtime.version()}"
        self._open_stage(sim_config, ArticulationView, RigidPrimView)
        self.replicate = True
        self.shards: list[Shard] = []
        self._sizes: dict[str, list[float]] = {}
        self._models: list[int] = []  # what each environment copies; empty where all copy the first
        self.ledger = self.capture = Ledger(self.device, self.on_all_shards)
        self._threads: ThreadPoolExecutor | None = None
        self._seconds: list[list[float]] = []

    @property
    def phase_seconds(self) -> dict[str, float]:
        """Seconds spent in `step` so far in "write", "step" and "read", by the host's clock: means over the shards."""
        spent = [sum(seconds) / len(seconds) for seconds in zip(*self._seconds, strict=True)]
        return dict(zip(PHASES, spent or [0.0] * len(PHASES), strict=True))

    def step(self, num_steps: int = 1) -> None:
        """Advance all environments by `num_steps` physics steps, every shard on a thread of its own.

        Each thread sends its shard's part of the pending writes, steps, and reads again what was read since the last
        step, so that nothing but the steps themselves is done one shard after another.

        Raises:
            RuntimeError: The error of the first shard that failed, once all have stopped.
        """
        writes, reads = self.ledger.take_pending(), self.ledger.take_reads()

        def advance(index: int) -> None:
            start = time.perf_counter()
            for quantity in writes:
                quantity.write_shard(index)
            written = time.perf_counter()
            self.shards[index].step(num_steps, self.physics_dt)
            stepped = time.perf_counter()
            for quantity in reads:
                quantity.read_shard(index)
            seconds = self._seconds[index]
            seconds[0] += written - start
            seconds[1] += stepped - written
            seconds[2] += time.perf_counter() - stepped

        self.on_all_shards(advance)
        self.ledger.stepped(writes, reads)
        self.num_steps += 1

    def scale_environments(self, view: Any, factors: torch.Tensor) -> None:
        """Give what a view looks at another size in each environment, as `Engine` says; PhysX then copies none."""
        is_robot = isinstance(view, ArticulationView)
        for prim in view._env_0_prims():
            path = prim.GetPath().MakeRelativePath(ENV_0_PATH)
            self._sizes[str(path.GetPrefixes()[0] if is_robot else path)] = factors.tolist()

    def vary_environments(self, path: str, files: Sequence[str]) -> None:
        """Give each environment a file of its own in place of a prim's, as `Engine` says; PhysX copies one of each."""
        self._models = [files.index(file) for file in files]
        prim = self.stage.GetPrimAtPath(f"{ENV_0_PATH}/{path}")
        prim.GetReferences().ClearReferences()
        variants = prim.GetVariantSets().AddVariantSet("kind")
        layer = self.stage.GetRootLayer()
        for env_id in sorted(set(self._models), reverse=True):  # the first's is selected in the end
            kind = f"kind_{env_id}"
            variants.AddVariant(kind)
            variants.SetVariantSelection(kind)
            with variants.GetVariantEditContext():
                prim.GetReferences().AddReference(files[env_id])
            if env_id:
                environment = Sdf.CreatePrimInLayer(layer, f"{ENVS_PATH}/env_{env_id}")
                environment.specifier, environment.typeName = Sdf.SpecifierDef, "Xform"
                environment.referenceList.Prepend(Sdf.Reference("", ENV_0_PATH))
                Sdf.CreatePrimInLayer(layer, environment.path.AppendPath(path)).variantSelections["kind"] = kind

    def set_gravity(self, gravity: torch.Tensor) -> None:
        """Change gravity of all scenes."""
        super().set_gravity(gravity)
        for shard in self.shards:
            shard.set_gravity(gravity.tolist())

    def _scale_robots(self, mass: float, friction: float) -> None:
        robots: dict[str, Any] = self.robots()  # of this engine's class
        for robot in robots.values():
            robot.set_body_masses(mass * robot.get_body_masses())
            robot.set_body_inertias(mass * robot.get_body_inertias())
            materials = robot._read("ARTICULATION_SHAPE_FRICTION_AND_RESTITUTION", None, None, True)
            materials[..., :2] *= friction
            robot._write("ARTICULATION_SHAPE_FRICTION_AND_RESTITUTION", "friction", materials, None)

    def update_kinematics(self) -> None:
        """Propagate written joint and root states to link poses without stepping."""
        self.ledger.send()
        for shard in self.shards:
            shard.update_kinematics()
        self.ledger.state_version += 1
        self.num_steps += 1

    def quantity(self, tensor_type: str, prim_paths: list[list[str]]) -> Quantity:
        """Return what views read and write by the name of an `ovphysx.TensorType`.

        Args:
            tensor_type: The name.
            prim_paths: Paths of the rows, a list per shard.
        """
        from ovphysx.types import TensorType

        quantity = Quantity(self, prim_paths, TensorType[tensor_type], Kind.of(tensor_type))
        if tensor_type in _FOLLOWED_WITH:
            quantity.read()
            # Gains of its own to look at: those that a view writes may be on their way just then.
            quantity.idle = self.quantity(_FOLLOWED_WITH[tensor_type], prim_paths).is_zero
        return quantity

    def contact_sensors(self, sensors: list[list[str]], filters: list[list[str]], max_contacts: int) -> ContactSensors:
        """Return what reads the contacts of some bodies; see `ContactSensors`."""
        return ContactSensors(self, sensors, filters, max_contacts)

    def on_all_shards(self, function: Callable[[int], Any]) -> None:
        """Call a function with every shard's index, each on its own thread.

        Raises:
            Exception: The error of the first shard that failed, once all have stopped.
        """
        if self._threads is None:
            function(0)
            return
        futures = [self._threads.submit(function, index) for index in range(1, len(self.shards))]
        try:
            function(0)
        finally:
            # Also after a failure or Ctrl-C no thread may still be at work when shards are released.
            errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None:
                raise error

    def is_playing(self) -> bool:
        """Tell whether physics has been started and not closed."""
        return bool(self.shards)

    def close(self) -> None:
        """Release physics; the engine cannot be used afterwards."""
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None
        for shard in self.shards:
            shard.close()
        self.shards = []
        self._ray_tracer = None
        self.ledger.clear()

    def _start(self) -> None:
        layer = scene.flatten(self.stage, self.replicate and not self._models)
        # On a GPU environment ids keep clones apart, and what is no clone the stage says.
        grouped = self.device.type == "cpu" and self.replicate and self.num_envs > 1
        if grouped and scene.has_groups(self.stage):
            grouped = False
            logger.warning(
                "The stage has collision groups of its own, so on a CPU distance alone keeps environments apart: "
                "remove them, or let task.env.envSpacing exceed what the bodies reach."
            )
        num_shards, models = self._num_shards(), self._models or [0] * self.num_envs
        params = self._sim_config.sim_params
        smooth, unreported = params.get("smooth_cylinders", False), params.get("disable_contact_processing", False)
        if self.device.type == "cuda":
            flat = Usd.Stage.Open(layer)
            if not smooth:
                usd.simplify_round_shapes(flat.GetPseudoRoot())
            # Contact views read the device's buffers; what is reported to the host as well nobody reads.
            unreported = unreported or usd.reports_contacts(flat)
        copies: list[dict[int, list[int]]] = []
        bounds = [i * self.num_envs // num_shards for i in range(num_shards + 1)]
        logger.info("%d environments in %d PhysX scene(s) on %s", self.num_envs, num_shards, self.device)
        try:
            with tempfile.TemporaryDirectory(prefix="myriad-") as folder:
                scene.set_large_meshes_aside(layer, Path(folder))
                for first, last in itertools.pairwise(bounds):
                    positions = self._positions[first:last]
                    copies.append(self._sources(range(first, last), models))
                    if self.replicate or self._sizes:
                        authored = {env_id: self._positions[env_id] for env_id in copies[-1]}
                        apart = copies[-1] if grouped else {}
                        usda = scene.shard_usda(layer, authored, models, self._sizes, apart)
                    else:
                        usda = scene.part_usda(layer, range(first, last))
                    self.shards.append(Shard(usda, first, positions, self.device, unreported, smooth))
            if num_shards > 1:
                self._threads = ThreadPoolExecutor(num_shards - 1, thread_name_prefix="shard")
                list(self._threads.map(Shard.clone, self.shards, copies))
            else:
                self.shards[0].clone(copies[0])
        except BaseException:
            self.close()
            raise
        self._seconds = [[0.0] * len(PHASES) for _ in self.shards]
        self.ledger.state_version += 1

    def _sources(self, env_ids: range, models: Sequence[int]) -> dict[int, list[int]]:
        """Return which of a shard's environments are authored, and of each the others that PhysX copies it to."""
        if self._sizes or not self.replicate:
            return {env_id: [] for env_id in env_ids}
        alike: dict[int, list[int]] = {}
        for env_id in env_ids:
            alike.setdefault(models[env_id], []).append(env_id)
        return {source: targets for source, *targets in alike.values()}

    def _num_shards(self) -> int:
        wanted = self._sim_config.config["engine"]["shards"]
        if wanted != "auto":
            # Each scene has all kinds of environments, so that the body with the most shapes is in each.
            return max(1, min(int(wanted), self.num_envs // max(1, len(set(self._models)))))
        cores = len(os.sched_getaffinity(0))
        if self.device.type == "cuda":
            return gpu_shards(self.num_envs, cores)
        return max(1, min(self.num_envs // _MIN_ENVS_PER_CPU_SHARD, cores))


def gpu_shards(num_envs: int, cores: int) -> int:
    """Return how many scenes to split environments over that a GPU steps, with a thread each on the host's cores."""
    wanted = max(min(num_envs // _ENVS_PER_GPU_SHARD, 4), num_envs // _ENVS_PER_GPU_SHARD_BEYOND_FOUR)
    # With a thread on every core, they would wait for the threads that PhysX and CUDA keep besides.
    return max(1, min(wanted, cores // 2))
