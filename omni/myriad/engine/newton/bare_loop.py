# SPDX-License-Identifier: Apache-2.0
"""The bare loop: Newton's solver stepped with nothing around it but torques in; its state is read where it lies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import warp

from omni.myriad.engine.bare_loop import TORQUES, draw_torques, only_robot

if TYPE_CHECKING:
    from .engine import NewtonEngine

wp: Any = warp  # its functions take more than their types say

READS = ("joint_q", "joint_qd")
"""What a learner would look at: roots and joints, in Newton's own memory."""


class BareLoop:
    """Steps the solver of a started engine as one graph, as Newton's own examples do.

    Args:
        engine: Engine that has been reset; its scene has one articulation per environment.
        max_effort: Torques are drawn evenly between -max_effort and max_effort, in N m (or N).
        decimation: Physics steps in an environment step.

    Attributes:
        seconds: Seconds spent so far in "write", "step" and "read", by the host's clock; reading takes none.
        state: What is read, by name.

    Raises:
        MyriadError: If the scene does not have exactly one articulation.
    """

    def __init__(self, engine: NewtonEngine, max_effort: float, decimation: int) -> None:
        dofs = only_robot(list(engine.shards[0].layout.robots.values())).dofs
        engine.step(decimation)  # makes the solver and compiles its kernels
        self._engine, self._decimation = engine, decimation
        self._efforts = wp.to_torch(engine.control.joint_f).view(engine.num_envs, -1)[:, dofs[0] : dofs[-1] + 1]
        self._torques = draw_torques(self._efforts, max_effort)
        self.seconds = {"write": 0.0, "step": 0.0, "read": 0.0}
        self.state = {name: wp.to_torch(getattr(engine.state, name)) for name in READS}
        engine.solver.mjw_model.opt.run_rne_postconstraint = False
        self._graph = engine.record(self._step)

    def _step(self) -> None:
        engine = self._engine
        for _ in range(self._decimation):
            if engine.pipeline is not None:
                engine.pipeline.collide(engine.state, engine.contacts)
            engine.solver.step(engine.state, engine.state, engine.control, engine.contacts, engine.physics_dt)

    def advance(self, steps: int, in_step: bool = True) -> None:
        """Make `steps` environment steps.

        Args:
            steps: Number of environment steps.
            in_step: Accepted as by PhysX's loop: there is one scene, which is always in step with itself.
        """
        clock = time.perf_counter
        with self._engine.on_stream() as stream:
            for index in range(steps):
                start = clock()
                self._efforts.copy_(self._torques[index % TORQUES])
                written = clock()
                wp.capture_launch(self._graph, stream=stream)
                self.seconds["write"] += written - start
                self.seconds["step"] += clock() - written
