# SPDX-License-Identifier: Apache-2.0
"""The standalone PhysX engine: shards stepped in parallel behind one interface."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from omni.myriad.engine import usd
from omni.myriad.engine.base import NO_ENVIRONMENTS, Engine, Scene, grid_positions
from omni.myriad.engine.physx import runtime, scene
from omni.myriad.engine.physx.capture import PhysXCapture
from omni.myriad.engine.physx.ledger import Ledger
from omni.myriad.engine.physx.shard import Shard
from omni.myriad.engine.physx.views.articulation import ArticulationView
from omni.myriad.engine.physx.views.rigid_prim import RigidPrimView
from omni.myriad.engine.sim_config import SimConfig
from omni.myriad.errors import MyriadError

logger = logging.getLogger(__name__)

_ENVS_PER_GPU_SHARD = 4096
"""Where a single scene's steps per second peak on one H200: up to four such scenes are faster than a bigger one."""

_ENVS_PER_GPU_SHARD_BEYOND_FOUR = 8192
"""More than four scenes get into each other's way on the GPU, so beyond them scenes grow before their number does."""

_MIN_ENVS_PER_CPU_SHARD = 16

PHASES = ("write", "step", "read")
"""What each shard's thread does in a step, in this order."""


class PhysXEngine(Engine):
    """Steps `num_envs` clones of one environment with PhysX, split over shards.

    Args:
        sim_config: The run's configuration.

    Attributes:
        shards: The PhysX scenes, each with a contiguous run of environments; empty until `reset`.
        ledger: What the views' quantities have written and read.
    """

    name = "physx"

    def __init__(self, sim_config: SimConfig) -> None:
        self.device = torch.device(sim_config.config["sim_device"])
        runtime.start(self.device)
        self.version = f"ovphysx {runtime.version()}"
        self.physics_dt = sim_config.physics_dt
        self.stage = usd.new_stage()
        self.scene = Scene(ArticulationView, RigidPrimView, self._take_view)
        self.shards: list[Shard] = []
        self.env_positions = torch.zeros(0, 3, device=self.device)
        self.ledger = Ledger(self.device, self._on_all_shards)
        self.capture = PhysXCapture(self.ledger)
        self._sim_config = sim_config
        self._positions: list[tuple[float, float, float]] = []
        self._replicate = True
        self._threads: ThreadPoolExecutor | None = None
        self._seconds: list[list[float]] = []
        usd.define_physics_scene(self.stage, sim_config, self.device)

    @property
    def phase_seconds(self) -> dict[str, float]:
        """Seconds spent in `step` so far in "write", "step" and "read", by the host's clock: means over the shards."""
        spent = [sum(seconds) / len(seconds) for seconds in zip(*self._seconds, strict=True)]
        return dict(zip(PHASES, spent or [0.0] * len(PHASES), strict=True))

    def clone_environments(self, num_envs: int, spacing: float, replicate: bool = True) -> torch.Tensor:
        """Place `num_envs` copies of environment 0 on a grid.

        PhysX makes the copies when physics starts, so environment 0 may still be edited until then.

        Args:
            num_envs: Number of environments, at least 1.
            spacing: Distance between neighbours in metres.
            replicate: False where the stage holds all environments, each as it shall be.

        Returns:
            World positions of the environments in metres, (num_envs, 3).
        """
        if num_envs < 1:
            raise MyriadError(f"num_envs must be at least 1, not {num_envs}.")
        self.num_envs, self._replicate = num_envs, replicate
        self._positions = grid_positions(num_envs, spacing)
        self.env_positions = torch.tensor(self._positions, dtype=torch.float32, device=self.device)
        return self.env_positions.clone()

    def reset(self) -> None:
        """Start physics if needed and initialise every registered view."""
        if not self.shards:
            self._start()
        for view in self.scene.views():
            view.initialize(None)  # with its argument, which subclasses may ask for

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

        self._on_all_shards(advance)
        self.ledger.stepped(writes, reads)

    def update_kinematics(self) -> None:
        """Propagate written joint and root states to link poses without stepping."""
        self.ledger.flush()
        for shard in self.shards:
            shard.update_kinematics()
        self.ledger.state_version += 1

    def _take_view(self, view: ArticulationView | RigidPrimView) -> None:
        view.bind(self)
        if self.is_playing():
            view.initialize(None)

    def _on_all_shards(self, function: Callable[[int], Any]) -> None:
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
        self.ledger.clear()

    def _start(self) -> None:
        if not self._positions:
            raise MyriadError(NO_ENVIRONMENTS)
        layer = scene.flatten(self.stage, self.device, self._replicate)
        num_shards = self._num_shards()
        without_contacts = self._sim_config.sim_params.get("disable_contact_processing", False)
        bounds = [i * self.num_envs // num_shards for i in range(num_shards + 1)]
        logger.info("%d environments in %d PhysX scene(s) on %s", self.num_envs, num_shards, self.device)
        try:
            for first, last in itertools.pairwise(bounds):
                positions = self._positions[first:last]
                if self._replicate:
                    usda = scene.shard_usda(layer, first, positions[0])
                else:
                    usda = scene.part_usda(layer, range(first, last))
                self.shards.append(Shard(usda, first, positions, self.device, without_contacts))
            start = Shard.clone if self._replicate else Shard.warm_up
            if num_shards > 1:
                self._threads = ThreadPoolExecutor(num_shards - 1, thread_name_prefix="shard")
                list(self._threads.map(start, self.shards))
            else:
                start(self.shards[0])
        except BaseException:
            self.close()
            raise
        self._seconds = [[0.0] * len(PHASES) for _ in self.shards]
        self.ledger.state_version += 1

    def _num_shards(self) -> int:
        wanted = self._sim_config.config["engine"]["shards"]
        if wanted != "auto":
            return max(1, min(int(wanted), self.num_envs))
        cores = len(os.sched_getaffinity(0))
        if self.device.type == "cuda":
            return gpu_shards(self.num_envs, cores)
        return max(1, min(self.num_envs // _MIN_ENVS_PER_CPU_SHARD, cores))


def gpu_shards(num_envs: int, cores: int) -> int:
    """Return how many scenes to split environments over that a GPU steps, with a thread each on the host's cores."""
    wanted = max(min(num_envs // _ENVS_PER_GPU_SHARD, 4), num_envs // _ENVS_PER_GPU_SHARD_BEYOND_FOUR)
    # With a thread on every core, they would wait for the threads that PhysX and CUDA keep besides.
    return max(1, min(wanted, cores // 2))
