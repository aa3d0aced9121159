# SPDX-License-Identifier: Apache-2.0
"""AnymalTerrain: a quadruped walks as it is told over slopes, stairs and boxes, on ever more difficult ground."""

import torch

from omni.myriad import ActionTerm, Noise, ObservationTerm, RigidPrimView, RLTask, Scene, VelocityCommands
from omni.myriad.maths import get_euler_xyz, quat_rotate_inverse, torch_rand_float
from omni.myriad.task.terrain import grid_points

_AHEAD = (-0.8, -0.7, -0.6, -0.5, -0.4, -0.3, -0.2, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_ASIDE = (-0.5, -0.4, -0.3, -0.2, -0.1, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Where the ground is looked at in m: not below the robot's middle."""


class AnymalTerrain(RLTask):
    """OmniIsaacGymEnvs' AnymalTerrain, to the number: 188 observations, 12 actions, 20 s at 50 Hz.

    An action says where the joints' targets are, and motors follow them in every physics step. These differ: a reset
    comes with the next step, the robot is the catalogue's ANYmal C, and levels follow each robot's own command
    (`TerrainLevels`).
    """

    robot = "anymal_c"
    capturable = True

    def set_up_scene(self, scene: Scene) -> None:
        """Put the robot on the terrain, and ask what touches its body and thighs."""
        self.robot_position = tuple(self.task_config["env"]["baseInitState"]["pos"])
        super().set_up_scene(scene)
        paths = f"{self.default_base_env_path}/.*/Robot"
        self.base, self.thighs = (
            scene.add(RigidPrimView(f"{paths}/{link}", name=name, track_contact_forces=True))
            for name, link in (("base", "base"), ("thighs", ".*_THIGH"))
        )

    def action_terms(self) -> list[ActionTerm]:
        """Say that actions are position targets, from the default angles on."""
        scale, joints = self.task_config["env"]["control"]["actionScale"], tuple(self.robot.dof_names)
        angles = self.task_config["env"]["defaultJointAngles"]
        return [ActionTerm("position", joints, scale, tuple(angles[name] for name in joints), unit="rad")]

    def post_reset(self) -> None:
        """Prepare what stays the same from step to step."""
        cfg, robot, device = self.task_config["env"], self.robot, self.device
        (action,) = self.action_terms()
        self.default_dof_pos = torch.tensor(action.offset, device=device).repeat(self.num_envs, 1)
        self.initial_root_pos, self.initial_root_rot = robot.get_world_poses()
        self.hips = torch.tensor([i for i, name in enumerate(robot.dof_names) if name.endswith("HAA")], device=device)
        self.dt = self.control_frequency_inv * self.world.physics_dt
        self.command = VelocityCommands(cfg["commands"], self.num_envs, self.dt, device)
        # Here, too, so that checkpoints and captured resets have them.
        self.commanded, self.command_headings = self.command.values, self.command.headings
        self.command_ages, self.command_lasting = self.command.ages, self.command.lasting
        self.height_points = grid_points(_AHEAD, _ASIDE, device)
        self.actions = torch.zeros((self.num_envs, self.num_actions), device=device)
        self.last_actions = torch.zeros_like(self.actions)
        self.last_dof_vel = torch.zeros_like(self.default_dof_pos)
        self.down = torch.tensor([0.0, 0.0, -1.0], device=device).repeat(self.num_envs, 1)
        # What touches and what drives is read after physics, which no captured step can.
        self.torques = torch.zeros_like(self.default_dof_pos)
        self.base_contacts = torch.zeros((self.num_envs, 3), device=device)
        self.thigh_contacts = torch.zeros((self.num_envs, 4, 3), device=device)
        self.steps, self.push_interval = 0, round(cfg["learn"]["pushInterval_s"] / self.dt)

    def observation_terms(self) -> list[ObservationTerm]:
        """Say what is observed: how the root moves, what is asked, joints, the ground around, the last action."""
        cfg, joints = self.task_config["env"]["learn"], tuple(self.robot.dof_names)
        linear, angular = cfg["linearVelocityScale"], cfg["angularVelocityScale"]
        position, velocity, height = (cfg[f"{of}Scale"] for of in ("dofPosition", "dofVelocity", "heightMeasurement"))

        def noise(of: str) -> Noise | None:
            return Noise(cfg[f"{of}Noise"] * cfg["noiseLevel"]) if cfg["addNoise"] else None

        def sensed(source: str, scale: float, of: str, names: tuple[str, ...] = ()) -> ObservationTerm:
            return ObservationTerm(source, source=source, scale=scale, joint_names=names, noise=noise(of))

        return [
            sensed("root_linear_velocity", linear, "linearVelocity"),
            sensed("root_angular_velocity", angular, "angularVelocity"),
            sensed("projected_gravity", 1.0, "gravity"),
            ObservationTerm("command", 3, "m/s, m/s, rad/s", "root", "command", scale=(linear, linear, angular)),
            sensed("joint_position", position, "dofPosition", joints),
            sensed("joint_velocity", velocity, "dofVelocity", joints),
            ObservationTerm(
                "heights", len(_AHEAD) * len(_ASIDE), "m", "root", scale=height, clip=(-height, height),
                noise=noise("heightMeasurement"),
            ),
            ObservationTerm("last_action", self.num_actions, source="last_action"),
        ]  # fmt: skip

    def commands(self) -> dict[str, torch.Tensor]:
        """Return the velocities that robots shall have."""
        return {"command": self.commanded}

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Set the targets that motors follow."""
        self.actions.copy_(actions)
        scale = self.task_config["env"]["control"]["actionScale"]
        self.robot.set_joint_position_targets(scale * self.actions + self.default_dof_pos)

    def step_physics(self) -> None:
        """Step physics, push the robots when it is time, and read what touches them."""
        super().step_physics()
        self.base_contacts.copy_(self.base.get_net_contact_forces(clone=False))
        self.thigh_contacts.copy_(self.thighs.get_net_contact_forces(clone=False).view(self.num_envs, 4, 3))
        self.torques.copy_(self.robot.get_applied_joint_efforts(clone=False))
        self.steps += 1
        if self.steps % self.push_interval == 0:
            velocities = self.robot.get_velocities()
            speed = self.task_config["env"]["learn"]["pushSpeed"]
            velocities[:, :2] = torch_rand_float(-speed, speed, (self.num_envs, 2), self.device)
            self.robot.set_velocities(velocities)

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Put robots somewhere on their tile, joints near their default angles, and draw new commands."""
        count, robot = len(env_ids), self.robot
        seconds = self.max_episode_length * self.dt
        starts = self.start_points(env_ids, self.commanded[env_ids, :2].norm(dim=-1) * seconds)
        starts[:, :2] += torch_rand_float(-0.5, 0.5, (count, 2), self.device)
        robot.set_world_poses(self.initial_root_pos[env_ids] + starts, self.initial_root_rot[env_ids], indices=env_ids)
        robot.set_velocities(torch.zeros((count, 6), device=self.device), indices=env_ids)
        shape = (count, self.num_actions)
        dof_pos = self.default_dof_pos[env_ids] * torch_rand_float(0.5, 1.5, shape, self.device)
        robot.set_joint_positions(dof_pos, indices=env_ids)
        robot.set_joint_velocities(torch_rand_float(-0.1, 0.1, shape, self.device), indices=env_ids)
        self.command.draw(env_ids)
        self.last_actions[env_ids] = 0.0
        self.last_dof_vel[env_ids] = 0.0
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0

    def get_observations(self) -> None:
        """Observe root, command, joints, the ground around and the last action."""
        robot = self.robot
        position, rotation = robot.get_world_poses(clone=False)
        velocities = robot.get_velocities(clone=False)
        self.height = position[:, 2]
        self.linear_velocity = quat_rotate_inverse(rotation, velocities[:, :3])
        self.angular_velocity = quat_rotate_inverse(rotation, velocities[:, 3:])
        self.gravity = quat_rotate_inverse(rotation, self.down)
        self.dof_pos = robot.get_joint_positions(clone=False)
        self.dof_vel = robot.get_joint_velocities(clone=False)
        self.command.step(get_euler_xyz(rotation)[2])
        assert self.terrain is not None
        ground = self.terrain.scan(position, rotation, self.height_points)
        self.observe(
            {
                "root_linear_velocity": self.linear_velocity,
                "root_angular_velocity": self.angular_velocity,
                "projected_gravity": self.gravity,
                "command": self.commanded,
                "joint_position": self.dof_pos,
                "joint_velocity": self.dof_vel,
                "heights": self.height.unsqueeze(-1) - 0.5 - ground,
                "last_action": self.actions,
            }
        )

    def calculate_metrics(self) -> None:
        """Reward robots that move as told; charge for bouncing, rolling, efforts, jerks, new actions and falls."""
        cfg = self.task_config["env"]["learn"]
        error = (self.commanded[:, :2] - self.linear_velocity[:, :2]).square().sum(-1)
        turn_error = (self.commanded[:, 2] - self.angular_velocity[:, 2]).square()
        hips = (self.dof_pos - self.default_dof_pos)[:, self.hips].abs().sum(-1)
        touching = (self.thigh_contacts.norm(dim=-1) > 1.0).sum(-1)
        self.fallen = (self.base_contacts.norm(dim=-1) > 1.0) | (touching > 1)
        per_second = self.sum_rewards(
            {
                "linear": cfg["linearVelocityXYRewardScale"] * torch.exp(-error / 0.25),
                "angular": cfg["angularVelocityZRewardScale"] * torch.exp(-turn_error / 0.25),
                "bounce": cfg["linearVelocityZRewardScale"] * self.linear_velocity[:, 2].square(),
                "roll": cfg["angularVelocityXYRewardScale"] * self.angular_velocity[:, :2].square().sum(-1),
                "upright": cfg["orientationRewardScale"] * self.gravity[:, :2].square().sum(-1),
                "height": cfg["baseHeightRewardScale"] * (self.height - 0.52).square(),
                "torques": cfg["torqueRewardScale"] * self.torques.square().sum(-1),
                "acceleration": cfg["jointAccRewardScale"] * (self.last_dof_vel - self.dof_vel).square().sum(-1),
                "action_rate": cfg["actionRateRewardScale"] * (self.last_actions - self.actions).square().sum(-1),
                "hips": cfg["hipRewardScale"] * hips,
                "fall": cfg["fallenOverRewardScale"] * self.fallen,
            }
        )
        lost = cfg["terminalReward"] * self.dt * (self.fallen & ~self.time_is_up())
        self.rew_buf[:] = (self.dt * per_second).clamp(min=0.0) + lost
        self.last_actions.copy_(self.actions)
        self.last_dof_vel.copy_(self.dof_vel)

    def time_is_up(self) -> torch.Tensor:
        """Return where the episode is at its last step, (num_envs,)."""
        return self.progress_buf >= self.max_episode_length - 1

    def is_done(self) -> None:
        """End when the body or two thighs hit something, or time is up."""
        self.time_out_buf &= ~self.fallen
        self.reset_buf[:] = self.fallen | self.time_out_buf
