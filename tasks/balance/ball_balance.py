# SPDX-License-Identifier: Apache-2.0
"""BallBalance: a table on three legs catches a falling ball and keeps it in its middle."""

import math

import torch

from omni.myriad import ArticulationView, ObservationTerm, RigidPrimView, RLTask, Scene
from omni.myriad.maths import tensor_clamp, torch_rand_float

KNEES = ("lower_leg0", "lower_leg1", "lower_leg2")
HIPS = ("upper_leg0", "upper_leg1", "upper_leg2")


class BallBalance(RLTask):
    """OmniIsaacGymEnvs' BallBalance, to the number: 24 observations, 3 actions, 600 steps at 100 Hz.

    Two things differ. The feet are held where they stand when the table is level, there one of them 8 cm higher; and
    episodes begin with joints at rest, there with the velocities that the last one ended with.
    """

    num_actions = 3
    capturable = True

    def set_up_scene(self, scene: Scene) -> None:
        """Author the table, and a ball above it."""
        cfg = self.task_config["env"]
        self.add_robot("BalanceBot", "balance_bot/balance_bot.usda", position=cfg["tablePosition"])
        self.add_robot("Ball", "ball/ball.usda", position=cfg["ballPosition"])
        super().set_up_scene(scene)
        self.tables = scene.add(ArticulationView("/World/envs/.*/BalanceBot/tray", name="balance_bot_view"))
        self.balls = scene.add(RigidPrimView("/World/envs/.*/Ball/ball", name="ball_view"))

    def post_reset(self) -> None:
        """Prepare what stays the same from step to step."""
        cfg, names = self.task_config["env"], self.tables.body_names
        self.knees = torch.tensor([self.tables.get_dof_index(knee) for knee in KNEES], device=self.device)
        self.hips = torch.tensor([names.index(hip) for hip in HIPS], device=self.device)
        limits = self.tables.get_dof_limits().to(self.device)
        self.dof_limits_lower, self.dof_limits_upper = limits[0, :, 0], limits[0, :, 1]

        def per_env(values: list[float]) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float32, device=self.device).repeat(self.num_envs, 1)

        # As authored, and not read from physics: what stands within its rest offset has been pushed out once it starts.
        self.initial_table_pos = self._env_pos + per_env(cfg["tablePosition"])
        self.initial_ball_pos = self._env_pos + per_env(cfg["ballPosition"])
        self.upright = per_env([1.0, 0.0, 0.0, 0.0])
        self.dof_targets = torch.zeros((self.num_envs, self.tables.num_dof), device=self.device)
        self.speed = self.world.physics_dt * cfg["actionSpeedScale"]  # rad per step, of an action of 1
        self.aim = torch.tensor(cfg["aim"], device=self.device)

    def observation_terms(self) -> list[ObservationTerm]:
        """Say what is observed: knees, ball, and what the hips transmit along and about the axes of their joints."""
        scale = 1.0 / self.task_config["env"]["sensorUnit"]

        def sensed(name: str, unit: str) -> ObservationTerm:
            return ObservationTerm(name, 3, unit, "joint", scale=scale, body_names=HIPS)

        return [
            ObservationTerm("knee_positions", source="joint_position", joint_names=KNEES),
            ObservationTerm("knee_velocities", source="joint_velocity", joint_names=KNEES),
            ObservationTerm("ball_position", 3, "m", "world", source="ball_position"),
            ObservationTerm("ball_velocity", 3, "m/s", "world", source="ball_velocity"),
            sensed("hip_force_x", "N"),
            sensed("hip_torque_x", "N m"),
            sensed("hip_torque_y", "N m"),
            sensed("hip_torque_z", "N m"),
        ]

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Move the knees' targets; in the first step of an episode they are zero."""
        began = (self.progress_buf == 0).unsqueeze(-1)
        self.dof_targets[:, self.knees] += self.speed * actions
        targets = tensor_clamp(self.dof_targets, self.dof_limits_lower, self.dof_limits_upper)
        self.dof_targets.copy_(targets.masked_fill(began, 0.0))
        self.tables.set_joint_position_targets(self.dof_targets)

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Level the tables, and throw the balls down from above, the faster to the middle the further out."""
        cfg, num_resets = self.task_config["env"], len(env_ids)
        near, far = cfg["ballDistance"]
        distance = torch_rand_float(near, far, (num_resets,), self.device)
        direction = torch_rand_float(-math.pi, math.pi, (num_resets,), self.device)
        (slowest, fastest), (lowest, highest) = cfg["ballSpeed"], cfg["ballHeight"]
        speed = torch_rand_float(slowest, fastest, (num_resets,), self.device) * (distance - near) / (far - near)
        rise = torch_rand_float(lowest, highest, (num_resets,), self.device)
        x, y = direction.cos(), direction.sin()
        offset = torch.stack((distance * x, distance * y, rise), dim=-1)
        velocity = torch.zeros((num_resets, 6), device=self.device)
        velocity[:, 0], velocity[:, 1], velocity[:, 2] = -speed * x, -speed * y, -cfg["ballFallSpeed"]
        self.balls.set_world_poses(self.initial_ball_pos[env_ids] + offset, self.upright[env_ids], env_ids)
        self.balls.set_velocities(velocity, indices=env_ids)

        joints = torch.zeros((num_resets, self.tables.num_dof), device=self.device)  # level, as it is authored
        self.tables.set_world_poses(self.initial_table_pos[env_ids], self.upright[env_ids], env_ids)
        self.tables.set_velocities(torch.zeros((num_resets, 6), device=self.device), indices=env_ids)
        self.tables.set_joint_positions(joints, indices=env_ids)
        self.tables.set_joint_velocities(joints, indices=env_ids)
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0

    def get_observations(self) -> None:
        """Observe the knees, the ball and the hips."""
        self.ball_position = self.balls.get_world_poses(clone=False)[0] - self._env_pos
        self.ball_velocity = self.balls.get_velocities(clone=False)[:, :3]
        wrenches = self.tables.get_measured_joint_forces(joint_indices=self.hips)
        self.observe(
            {
                "knee_positions": self.tables.get_joint_positions(clone=False)[:, self.knees],
                "knee_velocities": self.tables.get_joint_velocities(clone=False)[:, self.knees],
                "ball_position": self.ball_position,
                "ball_velocity": self.ball_velocity,
                "hip_force_x": wrenches[..., 0],
                "hip_torque_x": wrenches[..., 3],
                "hip_torque_y": wrenches[..., 4],
                "hip_torque_z": wrenches[..., 5],
            }
        )

    def calculate_metrics(self) -> None:
        """Reward a ball that is near the point that is aimed at, and slow."""
        distance = (self.ball_position - self.aim).norm(dim=-1)
        self.rew_buf[:] = 1.0 / (1.0 + distance) / (1.0 + self.ball_velocity.norm(dim=-1))

    def is_done(self) -> None:
        """End when the ball has fallen off, or time is up."""
        fallen = self.ball_position[:, 2] < self.task_config["env"]["terminationHeight"]
        self.time_out_buf &= ~fallen
        self.reset_buf[:] = fallen | self.time_out_buf
