# SPDX-License-Identifier: Apache-2.0
"""What ArticulationView returns to: default states, and motion that was paused."""

from __future__ import annotations

import logging

import torch

from omni.myriad.engine.base import JointsState, XFormPrimViewState
from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.articulation_drives import DriveMethods
from omni.myriad.engine.physx.views.articulation_joints import JointMethods
from omni.myriad.engine.physx.views.default_poses import DefaultPoseMethods
from omni.myriad.engine.physx.views.prim import needs_physics

logger = logging.getLogger(__name__)


class DefaultMethods(DefaultPoseMethods, JointMethods, DriveMethods):
    """Default poses and joint states, by default those that physics starts with."""

    def __init__(self, prim_paths_expr: str | list[str], name: str) -> None:
        super().__init__(prim_paths_expr, name)
        self._default_joints_state = JointsState(None, None, None)
        self._paused: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None

    def _on_physics_ready(self) -> None:
        super()._on_physics_ready()
        default, actions = self._default_joints_state, self.get_applied_actions()
        assert actions.joint_positions is not None
        # Isaac Sim takes the drives' targets for the default state, not the joints' positions.
        self._default_joints_state = JointsState(
            actions.joint_positions if default.positions is None else default.positions,
            actions.joint_velocities if default.velocities is None else default.velocities,
            torch.zeros_like(actions.joint_positions) if default.efforts is None else default.efforts,
        )
        self._paused = None

    def get_default_state(self) -> XFormPrimViewState:
        """Return the default poses of the root links."""
        return self._default_poses

    def get_joints_default_state(self) -> JointsState:
        """Return the default joint positions, velocities and efforts, (N, num_dof) each."""
        return self._default_joints_state

    def set_joints_default_state(
        self,
        positions: torch.Tensor | None = None,
        velocities: torch.Tensor | None = None,
        efforts: torch.Tensor | None = None,
    ) -> None:
        """Set the state that `post_reset` writes, (N, num_dof) each; what is None stays as it is."""
        default = self._default_joints_state
        for name, values in (("positions", positions), ("velocities", velocities), ("efforts", efforts)):
            if values is None:
                continue
            if self.is_physics_handle_valid():
                shape = (self.count, len(self._dof_names))
                values = checks.as_values(name, values, shape, self._device, torch.float32)
            setattr(default, name, values)

    @needs_physics
    def post_reset(self) -> None:
        """Write the default root poses, joint state and gains; roots are at rest."""
        self.set_world_poses(self._default_poses.positions, self._default_poses.orientations)
        self.set_velocities(torch.zeros(self.count, 6, device=self._device))
        default = self._default_joints_state
        assert default.positions is not None and default.velocities is not None and default.efforts is not None
        self.set_joint_positions(default.positions)
        self.set_joint_velocities(default.velocities)
        self.set_joint_efforts(default.efforts)
        self.set_gains(self._default_kps, self._default_kds)

    @needs_physics
    def pause_motion(self) -> None:
        """Stop all joints and hold them where they are, as far as their drives can.

        Isaac Sim's class keeps its tensors' reused buffers here, so that `resume_motion` restores the wrong values;
        this one keeps copies.
        """
        actions = self.get_applied_actions()
        assert actions.joint_positions is not None and actions.joint_velocities is not None
        self._paused = (self.get_joint_velocities(), actions.joint_positions, actions.joint_velocities)
        self.set_joint_position_targets(self.get_joint_positions())
        self.set_joint_velocities(torch.zeros_like(actions.joint_velocities))

    @needs_physics
    def resume_motion(self) -> None:
        """Restore the joints' velocities and targets from before `pause_motion`."""
        if self._paused is None:
            logger.warning("%s.resume_motion: the motion was not paused", self.name)
            return
        velocities, position_targets, velocity_targets = self._paused
        self._paused = None
        self.set_joint_velocities(velocities)
        self.set_joint_position_targets(position_targets)
        self.set_joint_velocity_targets(velocity_targets)
