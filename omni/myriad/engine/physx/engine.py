# SPDX-License-Identifier: Apache-2.0
"""The standalone PhysX engine: shards stepped in parallel behind one interface."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from pxr import Usd

from omni.myriad.engine.base import grid_positions
from omni.myriad.engine.physx import runtime, scene
from omni.myriad.engine.physx.quantity import Quantity, RowSelection
from omni.myriad.engine.physx.shard import Shard
from omni.myriad.engine.sim_config import SimConfig
from omni.myriad.errors import MyriadError

logger = logging.getLogger(__name__)

Writes = list[tuple[Quantity, RowSelection | None]]

_ENVS_PER_GPU_SHARD = 4096
"""Where a single scene's steps per second peak on one H200: up to four such scenes are faster than a bigger one."""

_ENVS_PER_GPU_SHARD_BEYOND_FOUR = 8192
"""More than four scenes get into each other's way on the GPU, so beyond them scenes grow before their number does."""

_MIN_ENVS_PER_CPU_SHARD = 16


class PhysXEngine:
    """Steps `num_envs` clones of one environment with PhysX, split over shards.

    Args:
        sim_config: The run's configuration.

    Attributes:
        shards: The PhysX scenes, each with a contiguous run of environments; empty until `reset`.
        env_positions: World positions of the environments in metres, (num_envs, 3).
        pending: Quantities that were written and not sent yet.
        only_envs: While `only` lasts, the environments, (num_envs,) bool, to which partial writes are confined.
        state_version: Grows with every step and write; quantities that have an older one read again.
        property_version: Grows with every write of a property, such as a mass; stepping leaves properties alone.
    """

    name = "physx"

    def __init__(self, sim_config: SimConfig) -> None:
        self.device = torch.device(sim_config.config["sim_device"])
        runtime.start(self.device)
        self.version = f"ovphysx {runtime.version()}"
        self.physics_dt = sim_config.physics_dt
        self.num_envs = 0
        self.stage: Usd.Stage = scene.new_stage()
        self.scene = scene.SceneRegistry(self)
        self.shards: list[Shard] = []
        self.env_positions = torch.zeros(0, 3, device=self.device)
        self.state_version = 0
        self.property_version = 0
        self.pending: list[Quantity] = []
        self._states: list[Quantity] = []
        self._postponed: list[Quantity] = []
        self._kept: set[Quantity] = set()
        self.only_envs: torch.Tensor | None = None
        self._shared_selection: RowSelection | None = None
        self._sim_config = sim_config
        self._positions: list[tuple[float, float, float]] = []
        self._threads: ThreadPoolExecutor | None = None
        scene.define_physics_scene(self.stage, sim_config, self.device)

    def add_ground_plane(
        self,
        prim_path: str = "/World/defaultGroundPlane",
        static_friction: float = 1.0,
        dynamic_friction: float = 1.0,
        restitution: float = 0.0,
    ) -> None:
        """Author an infinite ground plane at z = 0, shared by all environments."""
        scene.add_ground_plane(self.stage, prim_path, static_friction, dynamic_friction, restitution)

    def clone_environments(self, num_envs: int, spacing: float) -> torch.Tensor:
        """Place `num_envs` copies of environment 0 on a grid.

        PhysX makes the copies when physics starts, so environment 0 may still be edited until then.

        Args:
            num_envs: Number of environments, at least 1.
            spacing: Distance between neighbours in metres.

        Returns:
            World positions of the environments in metres, (num_envs, 3).
        """
        if num_envs < 1:
            raise MyriadError(f"num_envs must be at least 1, not {num_envs}.")
        self.num_envs = num_envs
        self._positions = grid_positions(num_envs, spacing)
        self.env_positions = torch.tensor(self._positions, dtype=torch.float32, device=self.device)
        return self.env_positions.clone()

    def reset(self) -> None:
        """Start physics if needed and initialise every registered view."""
        if not self.shards:
            self._start()
        for view in self.scene.views():
            view.initialize()

    def step(self, num_steps: int = 1) -> None:
        """Advance all environments by `num_steps` physics steps, every shard on a thread of its own.

        Each thread sends its shard's part of the pending writes, steps, and reads again what was read since the last
        step, so that nothing but the steps themselves is done one shard after another.

        Raises:
            RuntimeError: The error of the first shard that failed, once all have stopped.
        """
        writes = self._take_pending()
        reads = [quantity for quantity in self._states if quantity.used or quantity in self._kept]

        def advance(index: int) -> None:
            for quantity in writes:
                quantity.write_shard(index)
            self.shards[index].step(num_steps, self.physics_dt)
            for quantity in reads:
                quantity.read_shard(index)

        self._on_all_shards(advance)
        self.state_version += 1
        for quantity in writes:
            quantity.written()
        for quantity in self._states:
            quantity.used = False
        for quantity in reads:
            quantity.fresh()

    def flush(self, everything: bool = False) -> None:
        """Send pending writes to PhysX now, for somebody who wants to read what follows from them.

        Args:
            everything: Whether to send also what nothing in PhysX looks at.
        """
        writes = self._take_pending(everything)
        if writes:
            self._on_all_shards(lambda index: [quantity.write_shard(index) for quantity in writes])
            for quantity in writes:
                quantity.written()

    def keep_reading(self) -> None:
        """Go on reading after every step what was read since the last one, whether or not somebody asks for it.

        A CUDA graph looks at the tensors directly, without asking.
        """
        self._kept = {quantity for quantity in self._states if quantity.used}

    def register(self, quantity: Quantity) -> None:
        """Take note of a new quantity."""
        if quantity.is_state:
            self._states.append(quantity)

    @contextmanager
    def only(self, envs: torch.Tensor) -> Iterator[None]:
        """Confine partial writes to some environments while the context lasts.

        Args:
            envs: Mask, (num_envs,) bool on the engine's device: it is never looked at from the host.
        """
        self.only_envs = envs
        try:
            yield
        finally:
            self.only_envs = None

    def pending_writes(self) -> Writes:
        """Return what waits to be sent, for `write_again`."""
        return [(quantity, quantity.pending_rows) for quantity in self.pending]

    def write_again(self, writes: Writes) -> None:
        """Mark the same tensors and selections as written once more: a CUDA graph has filled them without asking."""
        for quantity, rows in writes:
            quantity.send_later(rows)

    def share_selection(self, quantity: Quantity, indices: torch.Tensor, envs: torch.Tensor | None) -> RowSelection:
        """Return a selection of these rows: one that there is already, as for a reset's other writes, or its own."""
        shared = self._shared_selection
        if shared is None or not shared.fits(quantity) or not shared.selects(indices, envs):
            shared = self._shared_selection = quantity.selection.select(indices, envs)
        return shared

    def update_kinematics(self) -> None:
        """Propagate written joint and root states to link poses without stepping."""
        self.flush()
        for shard in self.shards:
            shard.update_kinematics()
        self.state_version += 1

    def synchronize(self) -> None:
        """Wait until torch is done with the tensors that PhysX is about to read or overwrite.

        Descriptors carry no stream, so PhysX cannot wait for torch's by itself.
        """
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()

    def _take_pending(self, everything: bool = False) -> list[Quantity]:
        """Return what has to be sent now, and put off what is idle, such as targets that no drive follows."""
        self.synchronize()
        writes, self.pending = self.pending, []
        candidates = [*writes, *(quantity for quantity in self._postponed if quantity not in writes)]
        idle = [] if everything else [quantity for quantity in candidates if quantity.idle and quantity.idle()]
        due = [quantity for quantity in self._postponed if quantity not in idle]
        for quantity in idle:
            quantity.written()
        for quantity in due:
            quantity.send_all()
        self._postponed = idle
        return [quantity for quantity in candidates if quantity not in idle]

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
        self.pending = []
        self._postponed = []
        self._states = []
        self._kept = set()

    def _start(self) -> None:
        if not self._positions:
            raise MyriadError(
                "The scene has no environments: call super().set_up_scene(scene), which clones environment 0."
            )
        layer = scene.flatten(self.stage, self.device)
        num_shards = self._num_shards()
        without_contacts = self._sim_config.sim_params.get("disable_contact_processing", False)
        bounds = [i * self.num_envs // num_shards for i in range(num_shards + 1)]
        logger.info("%d environments in %d PhysX scene(s) on %s", self.num_envs, num_shards, self.device)
        try:
            for first, last in itertools.pairwise(bounds):
                usda = scene.shard_usda(layer, first, self._positions[first])
                positions = self._positions[first:last]
                self.shards.append(Shard(usda, first, positions, self.device, without_contacts))
            if num_shards > 1:
                self._threads = ThreadPoolExecutor(num_shards - 1, thread_name_prefix="shard")
                list(self._threads.map(Shard.clone, self.shards))
            else:
                self.shards[0].clone()
        except BaseException:
            self.close()
            raise
        self.state_version += 1

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
