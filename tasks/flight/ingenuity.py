# SPDX-License-Identifier: Apache-2.0
"""Ingenuity: a helicopter on Mars flies by two rotors from target to target."""

import torch

from omni.myriad import ObservationTerm
from omni.myriad.maths import torch_rand_float

from ._flight import Flight


class Ingenuity(Flight):
    """OmniIsaacGymEnvs' Ingenuity, to the number: 13 observations, 6 actions, 2000 steps at 100 Hz."""

    num_actions = 6
    rotors = "rotor_physics_[01]"

    def post_reset(self) -> None:
        """Prepare what stays the same from step to step."""
        super().post_reset()
        bounds = torch.tensor(self.task_config["env"]["targetRange"], device=self.device)
        self.target_lower, self.target_range = bounds[:, 0], bounds[:, 1] - bounds[:, 0]
        self.blades = [self.copters.get_dof_index(f"rotor_{i}_visual") for i in range(self.num_rotors)]

    def observation_terms(self) -> list[ObservationTerm]:
        """Say that the root is observed."""
        return self.root_terms()

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Draw new targets where it is time to, and push the rotors: up by the third action of each, aside by the rest.

        Forces are in the world frame: they do not tilt with the robot.
        """
        cfg = self.task_config["env"]
        drawn = self.target_lower + self.target_range * torch.rand_like(self.target)
        due = (self.progress_buf % cfg["targetInterval"] == 0).unsqueeze(-1)
        self.target.copy_(torch.where(due, drawn, self.target))
        aside, up = actions.view(-1, self.num_rotors, 3).split((2, 1), dim=-1)
        up = self.world.physics_dt * cfg["thrustLimit"] * up
        self.push(torch.cat((cfg["thrustLateralComponent"] * aside * up, up), dim=-1))

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Put robots near their start, the blades spinning against each other."""
        super().reset_idx(env_ids)
        cfg, num_resets = self.task_config["env"], len(env_ids)
        turns = torch.zeros((num_resets, self.copters.num_dof), device=self.device)
        speeds = torch.zeros_like(turns)
        for blade, sign in zip(self.blades, (1.0, -1.0), strict=True):
            noise = cfg["resetTurnNoise"]
            turns[:, blade] = torch_rand_float(-noise, noise, (num_resets,), self.device)
            speeds[:, blade] = sign * cfg["rotorSpeed"]
        self.copters.set_joint_positions(turns, indices=env_ids)
        self.copters.set_joint_velocities(speeds, indices=env_ids)

    def get_observations(self) -> None:
        """Observe the root."""
        self.look()
        self.observe(self.root_quantities())

    def calculate_metrics(self) -> None:
        """Reward being near the target, and there also being upright and not spinning."""
        near, upright, still = self.hovering()
        self.rew_buf[:] = near + near * (upright + still)
