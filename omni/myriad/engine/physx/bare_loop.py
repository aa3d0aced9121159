# SPDX-License-Identifier: Apache-2.0
"""The bare loop: PhysX stepped with nothing around it but torques in and state out.

Scene and shards are the engine's; the loop is its own and knows no views, so that what it takes less than an
environment step is what views, task and Python cost.
"""

from __future__ import annotations

import threading
import time

from omni.myriad.engine import usd
from omni.myriad.engine.bare_loop import TORQUES, draw_torques, only_robot
from omni.myriad.engine.base import ENV_0_PATH, ENVS_PATH
from omni.myriad.engine.physx.engine import PHASES, PhysXEngine
from omni.myriad.engine.physx.ledger import Kind
from omni.myriad.engine.physx.quantity import Quantity, describe_parts

_EFFORT = "ARTICULATION_DOF_ACTUATION_FORCE"

READS = (
    "ARTICULATION_ROOT_POSE",
    "ARTICULATION_ROOT_VELOCITY",
    "ARTICULATION_DOF_POSITION",
    "ARTICULATION_DOF_VELOCITY",
    "ARTICULATION_LINK_INCOMING_JOINT_FORCE",
)
"""What is read after each environment step: all that OmniIsaacGymEnvs' Ant observes."""


class BareLoop:
    """Steps the shards of a started engine by their native bindings alone, one thread per shard.

    Args:
        engine: Engine that has been reset; its scene has one articulation per environment.
        max_effort: Torques are drawn evenly between -max_effort and max_effort, in N m (or N).
        decimation: Physics steps in an environment step.

    Attributes:
        seconds: Seconds spent so far in "write", "step" and "read", means over the threads.

    Raises:
        MyriadError: If the scene does not have exactly one articulation.
    """

    def __init__(self, engine: PhysXEngine, max_effort: float, decimation: int) -> None:
        from ovphysx.types import TensorType

        self._engine = engine
        self._decimation = decimation
        self.seconds: dict[str, float] = dict.fromkeys(PHASES, 0.0)
        root = str(only_robot(usd.articulation_roots(engine.stage)).GetPath())[len(ENV_0_PATH) :]
        paths = [[f"{ENVS_PATH}/env_{env}{root}" for env in shard.env_ids] for shard in engine.shards]
        # As controls, which the engine does not read again after its own steps.
        efforts, *reads = (Quantity(engine, paths, TensorType[name], Kind.CONTROL) for name in (_EFFORT, *READS))
        self.state = {name: quantity.data for name, quantity in zip(READS, reads, strict=True)}
        self._efforts = efforts.bindings
        self._reads = [
            [(read.bindings[shard], read.parts[shard]) for read in reads] for shard in range(len(engine.shards))
        ]
        drawn = draw_torques(efforts.data, max_effort)
        lengths = [len(shard.env_ids) for shard in engine.shards]
        self._torques = [list(of_shard) for of_shard in zip(*(describe_parts(t, lengths) for t in drawn), strict=True)]
        engine.ledger.synchronize()

    def advance(self, steps: int, in_step: bool = True) -> None:
        """Make `steps` environment steps.

        Args:
            steps: Number of environment steps.
            in_step: Whether shards wait for each other after each one, as a policy that acts in all of them needs;
                otherwise each runs through as fast as it can.

        Raises:
            RuntimeError: The error of the first shard that failed.
        """
        barrier = threading.Barrier(len(self._reads)) if in_step and len(self._reads) > 1 else None
        seconds = [[0.0] * len(PHASES) for _ in self._reads]

        def run(shard: int) -> None:
            try:
                self._run(shard, steps, barrier, seconds[shard])
            except threading.BrokenBarrierError:
                pass  # another shard failed, and says so
            except BaseException:
                if barrier is not None:
                    barrier.abort()
                raise

        self._engine.on_all_shards(run)
        for name, spent in zip(PHASES, zip(*seconds, strict=True), strict=True):
            self.seconds[name] += sum(spent) / len(spent)

    def _run(self, shard: int, steps: int, barrier: threading.Barrier | None, seconds: list[float]) -> None:
        step, dt = self._engine.shards[shard]._physx.step_sync, self._engine.physics_dt
        efforts, torques, reads = self._efforts[shard], self._torques[shard], self._reads[shard]
        clock = time.perf_counter
        for index in range(steps):
            start = clock()
            efforts.write(torques[index % TORQUES])
            written = clock()
            for _ in range(self._decimation):
                step(dt)
            stepped = clock()
            for binding, rows in reads:
                binding.read(rows)
            seconds[0] += written - start
            seconds[1] += stepped - written
            seconds[2] += clock() - stepped
            if barrier is not None:
                barrier.wait()
