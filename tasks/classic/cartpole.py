# SPDX-License-Identifier: Apache-2.0
"""Cartpole: keep a pole upright by pushing the cart it stands on."""

import math

import torch

from omni.myriad import ActionTerm, ArticulationView, ObservationTerm, RLTask, Scene
from omni.myriad.task.terms import uniform


class Cartpole(RLTask):
    """OmniIsaacGymEnvs' Cartpole, to the number: 4 observations, 1 action, 500 steps at 60 Hz."""

    capturable = True

    def set_up_scene(self, scene: Scene) -> None:
        """Author the cart and pole 2 m above the ground."""
        self.add_robot("Cartpole", "cartpole/cartpole.usda", position=(0.0, 0.0, 2.0))
        super().set_up_scene(scene)
        self.cartpoles = scene.add(ArticulationView("/World/envs/.*/Cartpole", name="cartpole_view"))

    def post_reset(self) -> None:
        """Look the joints up."""
        (push,) = self.action_terms()
        self.cart = self.cartpoles.get_dof_index(push.joint_names[0])
        self.pole = self.cartpoles.get_dof_index("poleJoint")
        self.reset_dist = self.task_config["env"]["resetDist"]
        self.max_effort = uniform(push.scale)
        self.efforts = torch.zeros((self.num_envs, self.cartpoles.num_dof), device=self.device)

    def observation_terms(self) -> list[ObservationTerm]:
        """Say that positions and velocities of cart and pole are observed as they are."""
        cart, pole = ("cartJoint",), ("poleJoint",)
        return [
            ObservationTerm("cart_position", unit="m", source="joint_position", joint_names=cart),
            ObservationTerm("cart_velocity", unit="m/s", source="joint_velocity", joint_names=cart),
            ObservationTerm("pole_angle", source="joint_position", joint_names=pole),
            ObservationTerm("pole_velocity", source="joint_velocity", joint_names=pole),
        ]

    def action_terms(self) -> list[ActionTerm]:
        """Say that the action is the force on the cart."""
        return [ActionTerm("effort", ("cartJoint",), scale=self.task_config["env"]["maxEffort"], unit="N")]

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Push the cart along its rail."""
        self.efforts[:, self.cart] = self.max_effort * actions[:, 0]
        self.cartpoles.set_joint_efforts(self.efforts)

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Draw cart within 1 m and pole within 22.5 degrees, with small velocities."""
        uniform = 1.0 - 2.0 * torch.rand((4, len(env_ids)), device=self.device)
        positions = torch.zeros((len(env_ids), self.cartpoles.num_dof), device=self.device)
        positions[:, self.cart] = uniform[0]
        positions[:, self.pole] = 0.125 * math.pi * uniform[1]
        velocities = torch.zeros_like(positions)
        velocities[:, self.cart] = 0.5 * uniform[2]
        velocities[:, self.pole] = 0.25 * math.pi * uniform[3]
        self.cartpoles.set_joint_positions(positions, indices=env_ids)
        self.cartpoles.set_joint_velocities(velocities, indices=env_ids)
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0

    def read_joints(self) -> None:
        """Read position and velocity of cart and pole."""
        positions = self.cartpoles.get_joint_positions(clone=False)
        velocities = self.cartpoles.get_joint_velocities(clone=False)
        self.cart_pos, self.pole_pos = positions[:, self.cart], positions[:, self.pole]
        self.cart_vel, self.pole_vel = velocities[:, self.cart], velocities[:, self.pole]

    def get_observations(self) -> None:
        """Observe position and velocity of cart and pole."""
        self.read_joints()
        self.observe(
            {
                "cart_position": self.cart_pos,
                "cart_velocity": self.cart_vel,
                "pole_angle": self.pole_pos,
                "pole_velocity": self.pole_vel,
            }
        )

    def calculate_metrics(self) -> None:
        """Reward an upright pole and slow motion."""
        self.failed = (self.cart_pos.abs() > self.reset_dist) | (self.pole_pos.abs() > math.pi / 2)
        reward = 1.0 - self.pole_pos**2 - 0.01 * self.cart_vel.abs() - 0.005 * self.pole_vel.abs()
        self.rew_buf[:] = torch.where(self.failed, -2.0, reward)

    def is_done(self) -> None:
        """End when the cart leaves its range, the pole falls, or time is up."""
        self.time_out_buf[:] = (self.progress_buf >= self._max_episode_length) & ~self.failed
        self.reset_buf[:] = self.failed | self.time_out_buf
