# SPDX-License-Identifier: Apache-2.0
"""Quadcopter: four rotors that tilt carry a disc to a point, and hold it there upright."""

import torch

from omni.myriad import ObservationTerm
from omni.myriad.maths import quat_rotate, tensor_clamp, torch_rand_float

from ._flight import Flight


class Quadcopter(Flight):
    """OmniIsaacGymEnvs' Quadcopter, to the number: 21 observations, 12 actions, 500 steps at 100 Hz."""

    num_actions = 12
    rotors = "rotor[0-3]"

    def post_reset(self) -> None:
        """Prepare what stays the same from step to step."""
        super().post_reset()
        cfg, dt = self.task_config["env"], self.world.physics_dt
        limits = self.copters.get_dof_limits().to(self.device)
        self.dof_limits_lower, self.dof_limits_upper = limits[0, :, 0], limits[0, :, 1]
        self.tilt_speed, self.thrust_speed = dt * cfg["tiltSpeed"], dt * cfg["thrustSpeed"]
        self.dof_targets = torch.zeros((self.num_envs, self.copters.num_dof), device=self.device)
        self.thrusts = torch.zeros((self.num_envs, self.num_rotors), device=self.device)
        self.forces = torch.zeros((self.num_envs, self.num_rotors, 3), device=self.device)

    def observation_terms(self) -> list[ObservationTerm]:
        """Say what is observed: the root, and how the rotors are tilted."""
        joints = tuple(self.copters.dof_names)
        return [*self.root_terms(), ObservationTerm("tilts", source="joint_position", joint_names=joints)]

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Change the targets of the tilts, and the thrusts along the rotors' axes, as fast as actions say."""
        began, joints = self.began().unsqueeze(-1), self.copters.num_dof
        limit = self.task_config["env"]["maxThrust"]
        tilted = self.dof_targets + self.tilt_speed * actions[:, :joints]
        tilted = tensor_clamp(tilted, self.dof_limits_lower, self.dof_limits_upper)
        self.dof_targets.copy_(torch.where(began, self.dof_targets, tilted))
        thrusts = (self.thrusts + self.thrust_speed * actions[:, joints:]).clamp(-limit, limit)
        self.thrusts.copy_(thrusts.masked_fill(began, 0.0))
        self.forces[..., 2] = self.thrusts
        self.copters.set_joint_position_targets(self.dof_targets)
        self.push(quat_rotate(self.rotor_orientations, self.forces.view(-1, 3)).view_as(self.forces))

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Put robots near their start, their rotors somewhat tilted."""
        super().reset_idx(env_ids)
        noise = self.task_config["env"]["resetTiltNoise"]
        tilts = torch_rand_float(-noise, noise, (len(env_ids), self.copters.num_dof), self.device)
        self.copters.set_joint_positions(tilts, indices=env_ids)
        self.copters.set_joint_velocities(torch.zeros_like(tilts), indices=env_ids)
        self.dof_targets[env_ids] = tilts

    def get_observations(self) -> None:
        """Observe the root and the tilts."""
        self.look()
        self.observe(self.root_quantities() | {"tilts": self.copters.get_joint_positions(clone=False)})

    def calculate_metrics(self) -> None:
        """Reward being near the target, and there also being upright and not spinning."""
        near, upright, still = self.hovering()
        still = still - self.task_config["env"]["spinCost"] * self.angular_velocity[:, 2] ** 2
        self.rew_buf[:] = (near + near * (upright + still)).clamp(min=0.0)
