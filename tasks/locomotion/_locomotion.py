# SPDX-License-Identifier: Apache-2.0
"""What robots that run ahead have in common: what they observe, are driven by and are rewarded for."""

import torch

from omni.myriad import ActionTerm, ArticulationView, ObservationTerm, RLTask, Scene
from omni.myriad.maths import (
    compute_heading_and_up,
    compute_rot,
    normalize_angle,
    quat_conjugate,
    tensor_clamp,
    torch_rand_float,
)


class Locomotion(RLTask):
    """OmniIsaacGymEnvs' locomotion task, to the number, but for two things.

    Each robot runs towards a target ahead of its own start, there towards one point in the world, so that a score does
    not depend on how many environments there are and where they stand. And a robot that falls in its very last step has
    fallen, there its time is up.

    Attributes:
        feet: The links whose incoming joint's wrench is observed, in order.
    """

    capturable = True
    feet: tuple[str, ...]

    def set_up_scene(self, scene: Scene) -> None:
        """Author the robot, which is called as the task is, and its copies on flat ground."""
        name = type(self).__name__
        folder = name.lower()
        self.add_robot(name, f"{folder}/{folder}.usda", position=self.task_config["env"]["initialPosition"])
        super().set_up_scene(scene)
        self.robots = scene.add(ArticulationView(f"/World/envs/.*/{name}/torso", name=f"{folder}_view"))

    def post_reset(self) -> None:
        """Prepare what stays the same from step to step."""
        cfg = self.task_config["env"]
        limits = self.robots.get_dof_limits().to(self.device)
        self.dof_limits_lower, self.dof_limits_upper = limits[0, :, 0], limits[0, :, 1]
        body_names = self.robots.body_names
        self.feet_indices = torch.tensor([body_names.index(foot) for foot in self.feet], device=self.device)
        (torques,) = self.action_terms()
        self.torques_per_action = torch.tensor(torques.scale, device=self.device)
        self.motor_effort_ratio = self.torques_per_action / self.torques_per_action.max()
        self.dt = self.control_frequency_inv * self.world.physics_dt

        def per_env(values: list[float]) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float32, device=self.device).repeat(self.num_envs, 1)

        self.initial_root_pos = self._env_pos + per_env(cfg["initialPosition"])
        self.initial_root_rot = per_env([1.0, 0.0, 0.0, 0.0])
        self.initial_dof_pos = self.robots.get_joint_positions()
        self.inv_start_rot = quat_conjugate(self.initial_root_rot)
        self.heading_vec, self.up_vec = per_env([1.0, 0.0, 0.0]), per_env([0.0, 0.0, 1.0])
        self.targets = self._env_pos + per_env(cfg["targetPosition"])
        self.potentials = torch.zeros(self.num_envs, device=self.device)
        self.prev_potentials = self.potentials.clone()
        self.actions = torch.zeros((self.num_envs, self.num_actions), device=self.device)

    def observation_terms(self) -> list[ObservationTerm]:
        """Say what is observed; joint positions are scaled to [-1, 1] within their limits."""
        cfg = self.task_config["env"]
        joints = tuple(self.robots.dof_names)
        lower, upper = self.dof_limits_lower, self.dof_limits_upper
        middle, per_half_range = (0.5 * (lower + upper)).tolist(), (2.0 / (upper - lower)).tolist()
        angular, velocity, force = (cfg[f"{name}Scale"] for name in ("angularVelocity", "dofVelocity", "contactForce"))
        return [
            ObservationTerm("root_height", source="root_height"),
            ObservationTerm("root_linear_velocity", source="root_linear_velocity"),
            ObservationTerm("root_angular_velocity", source="root_angular_velocity", scale=angular),
            ObservationTerm("root_yaw", source="root_yaw"),
            ObservationTerm("root_roll", source="root_roll"),
            ObservationTerm("angle_to_target", source="target_angle_xz"),
            ObservationTerm("up_projection", source="root_up_projection"),
            ObservationTerm("heading_projection", source="target_heading_cosine"),
            ObservationTerm(
                "joint_positions",
                source="joint_position",
                scale=tuple(per_half_range),
                offset=tuple(middle),
                joint_names=joints,
            ),
            ObservationTerm("joint_velocities", source="joint_velocity", scale=velocity, joint_names=joints),
            ObservationTerm("foot_forces", source="incoming_joint_wrench", scale=force, body_names=self.feet),
            ObservationTerm("last_action", self.num_actions, source="last_action"),
        ]

    def action_terms(self) -> list[ActionTerm]:
        """Say that actions are torques, each as large as its joint's gear."""
        cfg, joints = self.task_config["env"], tuple(self.robots.dof_names)
        gears = cfg["jointGears"]  # one for all joints, or by name
        torques = tuple(cfg["powerScale"] * (gears[joint] if isinstance(gears, dict) else gears) for joint in joints)
        return [ActionTerm("effort", joints, torques, unit="N m")]

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Apply torques to the joints."""
        self.actions.copy_(actions)
        self.robots.set_joint_efforts(self.actions * self.torques_per_action)

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Put robots back at their start, joints slightly off their rest pose."""
        cfg = self.task_config["env"]
        shape = (len(env_ids), self.robots.num_dof)
        noise = torch_rand_float(-cfg["resetPositionNoise"], cfg["resetPositionNoise"], shape, self.device)
        positions = tensor_clamp(self.initial_dof_pos[env_ids] + noise, self.dof_limits_lower, self.dof_limits_upper)
        velocities = torch_rand_float(-cfg["resetVelocityNoise"], cfg["resetVelocityNoise"], shape, self.device)
        self.robots.set_joint_positions(positions, indices=env_ids)
        self.robots.set_joint_velocities(velocities, indices=env_ids)
        self.robots.set_world_poses(self.initial_root_pos[env_ids], self.initial_root_rot[env_ids], indices=env_ids)
        self.robots.set_velocities(torch.zeros((len(env_ids), 6), device=self.device), indices=env_ids)
        self.potentials[env_ids] = self._potentials((self.targets - self.initial_root_pos)[env_ids])
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0

    def _potentials(self, to_target: torch.Tensor) -> torch.Tensor:
        return to_target[:, :2].norm(dim=-1) / -self.dt

    def get_observations(self) -> None:
        """Observe height, velocities, orientation, joints, forces at the feet and the last action."""
        position, rotation = self.robots.get_world_poses(clone=False)
        velocity = self.robots.get_velocities(clone=False)
        dof_pos = self.robots.get_joint_positions(clone=False)
        dof_vel = self.robots.get_joint_velocities(clone=False)
        foot_forces = self.robots.get_measured_joint_forces(joint_indices=self.feet_indices)

        to_target = self.targets - position
        self.prev_potentials.copy_(self.potentials)
        self.potentials.copy_(self._potentials(to_target))
        to_target[:, 2] = 0.0
        torso_quat, self.up_proj, self.heading_proj, _, _ = compute_heading_and_up(
            rotation, self.inv_start_rot, to_target, self.heading_vec, self.up_vec, 2
        )
        vel_loc, angvel_loc, roll, _, yaw, angle_to_target = compute_rot(
            torso_quat, velocity[:, :3], velocity[:, 3:], self.targets, position
        )
        self.height = position[:, 2]
        yaw, roll, angle_to_target = normalize_angle(torch.stack((yaw, roll, angle_to_target), dim=-1)).unbind(-1)
        observed = self.observe(
            {
                "root_height": self.height,
                "root_linear_velocity": vel_loc,
                "root_angular_velocity": angvel_loc,
                "root_yaw": yaw,
                "root_roll": roll,
                "angle_to_target": angle_to_target,
                "up_projection": self.up_proj,
                "heading_projection": self.heading_proj,
                "joint_positions": dof_pos,
                "joint_velocities": dof_vel,
                "foot_forces": foot_forces,
                "last_action": self.actions,
            }
        )
        self.dof_pos_scaled, self.dof_vel_scaled = observed["joint_positions"], observed["joint_velocities"]

    def calculate_metrics(self) -> None:
        """Reward progress, staying alive, upright and on course; charge for effort and joints at their limits."""
        cfg = self.task_config["env"]
        heading = (self.heading_proj * (cfg["headingWeight"] / 0.8)).clamp(max=cfg["headingWeight"])
        electricity = ((self.actions * self.dof_vel_scaled).abs() * self.motor_effort_ratio).sum(-1)
        reward = self.sum_rewards(
            {
                "progress": self.potentials - self.prev_potentials,
                "alive": cfg["alive_reward_scale"],
                "heading": heading,
                "upright": (self.up_proj > 0.93) * cfg["upWeight"],
                "actions": (self.actions**2).sum(-1) * -cfg["actionsCost"],
                "energy": electricity * -cfg["energyCost"],
                "limits": -self.cost_of_limits(),
            }
        )
        self.fallen = self.height < cfg["terminationHeight"]
        self.rew_buf[:] = torch.where(self.fallen, cfg["deathCost"], reward)

    def is_done(self) -> None:
        """End when the torso is too low or time is up."""
        self.time_out_buf &= ~self.fallen
        self.reset_buf[:] = self.fallen | self.time_out_buf

    def cost_of_limits(self) -> torch.Tensor:
        """Return the charge for joints at their limits, by `dof_pos_scaled`, (num_envs,)."""
        raise NotImplementedError
