# SPDX-License-Identifier: Apache-2.0
"""Crazyflie: 27 grams on four propellers climb to a point, and hover there."""

import torch

from omni.myriad import ObservationTerm
from omni.myriad.maths import quat_rotate

from ._flight import Flight

AXES = ("root_x_axis", "root_y_axis", "root_z_axis")


class Crazyflie(Flight):
    """OmniIsaacGymEnvs' Crazyflie, to the number: 18 observations, 4 actions, 700 steps at 100 Hz.

    Two things differ. Thrusts act along the robot's axis, there along that axis mirrored at the vertical; and the robot
    has its real size, there five times that.
    """

    num_actions = 4
    root = "body"
    rotors = "m[1-4]_prop"

    def post_reset(self) -> None:
        """Prepare what stays the same from step to step."""
        self.axes = torch.eye(3, device=self.device).repeat(self.num_envs, 1)  # in the root's frame, one a row
        self.root_axes = torch.zeros((self.num_envs, 3, 3), device=self.device)  # in the world's
        super().post_reset()
        cfg, dt = self.task_config["env"], self.world.physics_dt
        # A first-order lag has done its step after four time constants.
        self.lag_up, self.lag_down = (min(1.0, 4.0 * dt / cfg[f"motorDampTime{way}"]) for way in ("Up", "Down"))
        weight = -cfg["mass"] * self.task_config["sim"]["gravity"][2]
        self.max_thrust = cfg["thrustToWeight"] * weight / self.num_rotors
        self.speeds = torch.zeros((self.num_envs, self.num_rotors), device=self.device)  # of the fastest, lagging
        self.thrusts = torch.zeros_like(self.speeds)  # of the largest
        self.actions = torch.zeros((self.num_envs, self.num_actions), device=self.device)
        self.spin = cfg["rotorSpeed"] * torch.tensor([1.0, -1.0, 1.0, -1.0], device=self.device)

    def observation_terms(self) -> list[ObservationTerm]:
        """Say what is observed: the root, its orientation by its axes."""
        to_target, _, *velocities = self.root_terms()
        axes = [ObservationTerm(axis, 3, frame="world", source=axis) for axis in AXES]
        return [to_target, *axes, *velocities]

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Let motors follow the thrusts that actions ask for, from none to the largest, and push the propellers."""
        self.actions.copy_(actions)
        asked = 0.5 * (actions + 1.0)
        lag = torch.where(asked < self.thrusts, self.lag_down, self.lag_up)
        self.speeds += lag * (asked.sqrt() - self.speeds)  # thrust goes with the square of speed
        noise = self.task_config["env"]["thrustNoise"] * torch.randn(self.num_rotors, device=self.device)
        self.thrusts.copy_((self.speeds**2 + asked * noise).clamp(0.0, 1.0))
        self.copters.set_joint_velocities(self.spin * self.thrusts)
        self.push(self.root_axes[:, 2:] * (self.max_thrust * self.thrusts).unsqueeze(-1))

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Put robots at their start, their motors off."""
        super().reset_idx(env_ids)
        zeros = torch.zeros((len(env_ids), self.copters.num_dof), device=self.device)
        self.copters.set_joint_positions(zeros, indices=env_ids)
        self.copters.set_joint_velocities(zeros, indices=env_ids)
        self.speeds[env_ids] = 0.0
        self.thrusts[env_ids] = 0.0

    def look(self) -> None:
        """Read where root and rotors are, and where the root's axes point."""
        super().look()
        self.root_axes.copy_(quat_rotate(self.orientation.repeat_interleave(3, 0), self.axes).view(-1, 3, 3))

    def get_observations(self) -> None:
        """Observe the root and its axes."""
        self.look()
        quantities = self.root_quantities() | dict(zip(AXES, self.root_axes.unbind(1), strict=True))
        del quantities["root_orientation"]
        self.observe(quantities)

    def calculate_metrics(self) -> None:
        """Reward being near the target, and there also being upright and turning slowly; charge for little effort."""
        cfg = self.task_config["env"]
        near = 1.0 / (1.0 + self.distance)
        upright = self.root_axes[:, 2, 2].clamp(0.0, 1.0)
        still = cfg["spinWeight"] * torch.exp(-self.angular_velocity.square().sum(-1))
        effort = cfg["effortWeight"] * torch.exp(-0.5 * self.actions.square().sum(-1))
        self.rew_buf[:] = near + near * (upright + still) - effort

    def failed(self) -> torch.Tensor:
        """Tell which robots are too far, too low, too high or upside down."""
        cfg = self.task_config["env"]
        lowest, highest = cfg["terminationHeight"]
        height = self.position[:, 2]
        far = self.distance > cfg["terminationDistance"]
        return far | (height < lowest) | (height > highest) | (self.root_axes[:, 2, 2] < 0.0)
