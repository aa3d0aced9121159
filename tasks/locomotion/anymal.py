# SPDX-License-Identifier: Apache-2.0
"""Anymal: a quadruped walks on flat ground as it is told to: ahead, aside and turning."""

import torch

from omni.myriad import ActionTerm, ObservationTerm, RLTask, Scene, Symmetry, VelocityCommands
from omni.myriad.maths import quat_rotate, quat_rotate_inverse, tensor_clamp, torch_rand_float


class Anymal(RLTask):
    """OmniIsaacGymEnvs' Anymal, to the number: 48 observations, 12 actions, 3000 steps at 50 Hz.

    An action moves the joints' targets, and does not say where they are. Two things differ. A robot that falls in its
    very last step has fallen, there its time is up; and the robot is the catalogue's ANYmal C, there Isaac Sim's.
    """

    robot = "anymal_c"
    capturable = True
    symmetry = Symmetry(swaps={"LF": "RF", "LH": "RH"}, flips=("*_HAA",))

    def set_up_scene(self, scene: Scene) -> None:
        """Put the robot a little above the ground."""
        self.robot_position = tuple(self.task_config["env"]["baseInitState"]["pos"])
        super().set_up_scene(scene)

    def action_terms(self) -> list[ActionTerm]:
        """Say that actions move position targets; where the sum of all of them is, only the task knows."""
        angles, joints = self.task_config["env"]["defaultJointAngles"], tuple(self.robot.dof_names)
        home = tuple(angles[name] for name in joints)
        return [ActionTerm("position", joints, self.step_of_targets, home, unit="rad", cumulative=True)]

    @property
    def step_of_targets(self) -> float:
        """How far an action of 1 moves a target, in rad."""
        cfg = self.task_config["env"]
        return cfg["control"]["actionScale"] * cfg["learn"]["stepSeconds"]

    def post_reset(self) -> None:
        """Prepare what stays the same from step to step."""
        cfg, robot, device = self.task_config["env"], self.robot, self.device
        angles = cfg["defaultJointAngles"]
        default = torch.tensor([angles[name] for name in robot.dof_names], device=device)
        self.default_dof_pos = default.repeat(self.num_envs, 1)
        self.initial_root_pos, self.initial_root_rot = robot.get_world_poses()
        limits = robot.get_dof_limits()[0].to(device)
        self.dof_limits_lower, self.dof_limits_upper = limits.unbind(-1)
        self.hips = torch.tensor([i for i, name in enumerate(robot.dof_names) if name.endswith("HAA")], device=device)
        self.dt = cfg["learn"]["stepSeconds"]
        self.command = VelocityCommands(cfg["commands"], self.num_envs, self.dt, device)
        # Here, too, so that checkpoints and captured resets have them.
        self.commanded, self.command_headings = self.command.values, self.command.headings
        self.command_ages, self.command_lasting = self.command.ages, self.command.lasting
        self.current_targets = self.default_dof_pos.clone()
        self.actions = torch.zeros((self.num_envs, self.num_actions), device=device)
        self.last_actions = torch.zeros_like(self.actions)
        self.last_dof_vel = torch.zeros_like(self.default_dof_pos)
        self.down = torch.tensor([0.0, 0.0, -1.0], device=device).repeat(self.num_envs, 1)

    def observation_terms(self) -> list[ObservationTerm]:
        """Say what is observed: how the root moves, what is asked, joints and the last action."""
        cfg, joints = self.task_config["env"]["learn"], tuple(self.robot.dof_names)
        linear, angular = cfg["linearVelocityScale"], cfg["angularVelocityScale"]
        default = tuple(self.default_dof_pos[0].tolist())
        position, velocity = cfg["dofPositionScale"], cfg["dofVelocityScale"]
        return [
            ObservationTerm("root_linear_velocity", source="root_linear_velocity", scale=linear),
            ObservationTerm("root_angular_velocity", source="root_angular_velocity", scale=angular),
            ObservationTerm("root_down", source="root_down"),
            ObservationTerm("command", 3, "m/s, m/s, rad/s", "root", "command", scale=(linear, linear, angular)),
            ObservationTerm(
                "joint_positions", source="joint_position", joint_names=joints, offset=default, scale=position
            ),
            ObservationTerm("joint_velocities", source="joint_velocity", joint_names=joints, scale=velocity),
            ObservationTerm("last_action", self.num_actions, source="last_action"),
        ]

    def commands(self) -> dict[str, torch.Tensor]:
        """Return the velocities that robots shall have."""
        return {"command": self.commanded}

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Move the targets of the joints' drives."""
        self.actions.copy_(actions)
        targets = self.current_targets + self.step_of_targets * actions
        self.current_targets.copy_(tensor_clamp(targets, self.dof_limits_lower, self.dof_limits_upper))
        self.robot.set_joint_position_targets(self.current_targets)

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Put robots back at their start, joints hardly moving, and draw new commands."""
        dof_pos = self.default_dof_pos[env_ids]
        self.current_targets[env_ids] = dof_pos
        self.robot.set_joint_positions(dof_pos, indices=env_ids)
        velocities = torch_rand_float(-0.1, 0.1, tuple(dof_pos.shape), self.device)
        self.robot.set_joint_velocities(velocities, indices=env_ids)
        self.robot.set_world_poses(self.initial_root_pos[env_ids], self.initial_root_rot[env_ids], indices=env_ids)
        self.robot.set_velocities(torch.zeros((len(env_ids), 6), device=self.device), indices=env_ids)
        self.command.draw(env_ids)
        self.last_actions[env_ids] = 0.0
        self.last_dof_vel[env_ids] = 0.0
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0

    def get_observations(self) -> None:
        """Observe root, command, joints and the last action."""
        position, rotation = self.robot.get_world_poses(clone=False)
        velocities = self.robot.get_velocities(clone=False)
        self.height = position[:, 2]
        self.linear_velocity = quat_rotate_inverse(rotation, velocities[:, :3])
        self.angular_velocity = quat_rotate_inverse(rotation, velocities[:, 3:])
        self.dof_pos = self.robot.get_joint_positions(clone=False)
        self.dof_vel = self.robot.get_joint_velocities(clone=False)
        self.command.step()
        self.observe(
            {
                "root_linear_velocity": self.linear_velocity,
                "root_angular_velocity": self.angular_velocity,
                "root_down": quat_rotate(rotation, self.down),
                "command": self.commanded,
                "joint_positions": self.dof_pos,
                "joint_velocities": self.dof_vel,
                "last_action": self.actions,
            }
        )

    def calculate_metrics(self) -> None:
        """Reward robots that move as told; charge for bouncing, jerks, new actions and spread hips."""
        cfg = self.task_config["env"]["learn"]
        error = (self.commanded[:, :2] - self.linear_velocity[:, :2]).square().sum(-1)
        turn_error = (self.commanded[:, 2] - self.angular_velocity[:, 2]).square()
        hips = (self.dof_pos - self.default_dof_pos)[:, self.hips].abs().sum(-1)
        per_second = (
            cfg["linearVelocityXYRewardScale"] * torch.exp(-error / 0.25)
            + cfg["angularVelocityZRewardScale"] * torch.exp(-turn_error / 0.25)
            + cfg["linearVelocityZRewardScale"] * self.linear_velocity[:, 2].square()
            + cfg["jointAccRewardScale"] * (self.last_dof_vel - self.dof_vel).square().sum(-1)
            + cfg["actionRateRewardScale"] * (self.last_actions - self.actions).square().sum(-1)
            + cfg["cosmeticRewardScale"] * hips
        )
        self.last_actions.copy_(self.actions)
        self.last_dof_vel.copy_(self.dof_vel)
        self.fallen = self.height < cfg["terminationHeight"]
        self.rew_buf[:] = torch.where(self.fallen, -1.0, (self.dt * per_second).clamp(min=0.0))

    def is_done(self) -> None:
        """End when the root is too low or time is up."""
        self.time_out_buf &= ~self.fallen
        self.reset_buf[:] = self.fallen | self.time_out_buf
