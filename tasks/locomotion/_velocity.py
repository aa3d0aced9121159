# SPDX-License-Identifier: Apache-2.0
"""What robots that walk as they are told have in common: what they see, how they are moved and what they are paid."""

import math

import torch

from omni.myriad import ActionTerm, Noise, ObservationTerm, RLTask, VelocityCommands
from omni.myriad.maths import get_euler_xyz, normalize_angle, quat_from_euler_xyz, quat_rotate_inverse, torch_rand_float
from omni.myriad.task.curriculum import Curriculum
from omni.myriad.task.terrain import grid_points


class VelocityTracking(RLTask):
    """A robot of the catalogue follows velocities by position targets about its home, on flat ground or on a terrain.

    On a terrain heights are above the ground, and the ground around the robot is observed, too: `env.heightScan`. With
    a section `env.commandCurriculum` commands come from a part of their ranges, which grows with the share of episodes
    without a fall (`Curriculum`).

    Rewards are of the kind that mjlab, legged_gym and Isaac Lab pay, in reward per second. Feet touch the ground where
    they are low: contacts are not asked for. Two terms are for who asks for them: `steps` (Isaac Lab's for bipeds: what
    a robot is paid for each second that it has stood on the same single foot, at most `stepTime`) and `roll` (per
    (rad/s)^2 of rolling and pitching, which otherwise count as errors of turning).

    Attributes:
        feet: Frames at the robot's soles, or above them by `footRadius`.
    """

    capturable = True
    feet: tuple[str, ...]

    def action_terms(self) -> list[ActionTerm]:
        """Say that actions are position targets, from home on: 1 asks for a part of a joint's largest effort."""
        robot, share = self.robot, self.task_config["env"]["effortPerAction"]
        scale = share * robot.get_max_efforts()[0] / robot.get_gains()[0][0]
        home = robot.get_joint_positions()[0]
        joints = tuple(robot.dof_names)
        return [ActionTerm("position", joints, scale=tuple(scale.tolist()), offset=tuple(home.tolist()), unit="rad")]

    def post_reset(self) -> None:
        """Prepare what stays the same from step to step."""
        cfg, robot, device = self.task_config["env"], self.robot, self.device
        (action,) = self.action_terms()
        self.home, self.action_scale = (
            torch.tensor(action.offset, device=device),
            torch.tensor(action.scale, device=device),
        )
        self.initial_root_pos, _ = robot.get_world_poses()
        limits = robot.get_dof_limits()[0].to(device)
        middle, half = limits.mean(-1), 0.5 * cfg["softLimits"] * (limits[:, 1] - limits[:, 0])
        self.soft_lower, self.soft_upper = middle - half, middle + half
        self.spreads = {name: self.per_joint(cfg[f"{name}Spread"]) for name in ("standing", "walking")}
        self.dt = self.control_frequency_inv * self.world.physics_dt
        self.command = VelocityCommands(cfg["commands"], self.num_envs, self.dt, device)
        # Here, too, so that checkpoints and captured resets have them.
        self.commanded, self.command_headings = self.command.values, self.command.headings
        self.command_ages, self.command_lasting = self.command.ages, self.command.lasting
        if cfg.get("commandCurriculum"):
            self.curricula["command_share"] = Curriculum("command_share", cfg["commandCurriculum"], device)
            self.command.share = self.curricula["command_share"].value
        self.actions = torch.zeros((self.num_envs, self.num_actions), device=device)
        self.last_actions = torch.zeros_like(self.actions)
        self.down = torch.tensor([0.0, 0.0, -1.0], device=device).repeat(self.num_envs, 1)
        if self.terrain is not None:
            ahead, aside = (_distances(cfg["heightScan"][way]) for way in ("ahead", "aside"))
            self.scanned = grid_points(ahead, aside, device)
        # Which feet touch the ground, and for how long these and no others have, in s.
        self.touching = torch.zeros((self.num_envs, len(self.feet)), dtype=torch.bool, device=device)
        self.touching_for = torch.zeros(self.num_envs, device=device)
        # Of the running episode: steps that count, and sums of errors; then of the last one, bad until there is one.
        self.sums = torch.zeros((self.num_envs, 3), device=device)
        self.errors = torch.ones((self.num_envs, 2), device=device)
        self.survived = torch.zeros(self.num_envs, device=device)
        robot.frame_velocities(self.feet)  # which looks at where masses are, once and not in a captured step

    def per_joint(self, by_part: dict[str, float]) -> torch.Tensor:
        """Return a number for each joint, from numbers by parts of names, of which the first that fits counts."""
        return torch.tensor(
            [next(value for part, value in by_part.items() if part in name) for name in self.robot.dof_names],
            device=self.device,
        )

    def observation_terms(self) -> list[ObservationTerm]:
        """Say what is observed: how the root moves and leans, joints, the last action and what is asked."""
        noise, joints = self.task_config["env"]["noise"], tuple(self.robot.dof_names)

        def sensed(
            source: str, names: tuple[str, ...] = (), offset: tuple[float, ...] | float = 0.0
        ) -> ObservationTerm:
            return ObservationTerm(source, source=source, joint_names=names, offset=offset, noise=Noise(noise[source]))

        terms = [
            sensed("root_linear_velocity"),
            sensed("root_angular_velocity"),
            sensed("projected_gravity"),
            sensed("joint_position", joints, tuple(self.home.tolist())),
            sensed("joint_velocity", joints),
            ObservationTerm("last_action", self.num_actions, source="last_action"),
            ObservationTerm("command", 3, "m/s, m/s, rad/s", "root", "command"),
        ]
        if self.terrain is not None:
            amount = Noise(noise["heights"])
            terms += [ObservationTerm("heights", len(self.scanned), "m", "root", clip=(-1.0, 1.0), noise=amount)]
        return terms

    def commands(self) -> dict[str, torch.Tensor]:
        """Return the velocities that robots shall have."""
        return {"command": self.commanded}

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Set the position targets of the joints' drives."""
        self.last_actions.copy_(self.actions)
        self.actions.copy_(actions)
        self.robot.set_joint_position_targets(self.home + self.action_scale * actions)

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Put robots home, a little above the ground, looking anywhere, and draw new commands."""
        count, robot = len(env_ids), self.robot
        home = self.home.repeat(count, 1)
        robot.set_joint_positions(home, indices=env_ids)
        robot.set_joint_velocities(torch.zeros_like(home), indices=env_ids)
        speeds = self.commanded[env_ids, :2].norm(dim=-1)
        position = self.initial_root_pos[env_ids] + self.start_points(
            env_ids, speeds * self.max_episode_length * self.dt
        )
        lowest, highest = self.task_config["env"]["resetHeight"]
        position[:, 2] += torch_rand_float(lowest, highest, (count,), self.device)
        yaw = torch_rand_float(-math.pi, math.pi, (count,), self.device)
        level = torch.zeros_like(yaw)
        robot.set_world_poses(position, quat_from_euler_xyz(level, level, yaw), indices=env_ids)
        robot.set_velocities(torch.zeros((count, 6), device=self.device), indices=env_ids)
        self.command.draw(env_ids)
        self.actions[env_ids] = 0.0
        self.sums[env_ids] = 0.0
        self.touching_for[env_ids] = 0.0
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0

    def get_observations(self) -> None:
        """Observe root, joints, the last action and the command."""
        position, rotation = self.robot.get_world_poses(clone=False)
        velocities = self.robot.get_velocities(clone=False)
        self.linear_velocity = quat_rotate_inverse(rotation, velocities[:, :3])
        self.angular_velocity = quat_rotate_inverse(rotation, velocities[:, 3:])
        self.gravity = quat_rotate_inverse(rotation, self.down)
        self.dof_pos = self.robot.get_joint_positions(clone=False)
        feet = self.robot.frame_poses(self.feet)[0]
        self.height = position[:, 2] - self.ground_at(position)
        self.foot_heights = feet[..., 2] - self.ground_at(feet) - self.task_config["env"]["footRadius"]
        self.foot_speeds = self.robot.frame_velocities(self.feet)[..., :2].norm(dim=-1)
        self.command.step(normalize_angle(get_euler_xyz(rotation)[2]))
        seen = {
            "root_linear_velocity": self.linear_velocity,
            "root_angular_velocity": self.angular_velocity,
            "projected_gravity": self.gravity,
            "joint_position": self.dof_pos,
            "joint_velocity": self.robot.get_joint_velocities(clone=False),
            "last_action": self.actions,
            "command": self.commanded,
        }
        if self.terrain is not None:
            around = self.terrain.scan(position, rotation, self.scanned)
            seen["heights"] = position[:, 2:] - self.task_config["env"]["heightScan"]["offset"] - around
        self.observe(seen)

    def ground_at(self, points: torch.Tensor) -> torch.Tensor | float:
        """Return how high the ground is at points, (..., 3) in m, below them: (...); 0 without a terrain."""
        return 0.0 if self.terrain is None else self.terrain.heights_at(points[..., :2])

    def calculate_metrics(self) -> None:
        """Reward robots that move as told, upright and near home; charge for jerks, for feet that drag or slip."""
        cfg = self.task_config["env"]
        pay = cfg["rewards"]
        off = self.commanded[:, :2] - self.linear_velocity[:, :2]
        turn_off = self.commanded[:, 2] - self.angular_velocity[:, 2]
        linear = off.square().sum(-1) + self.linear_velocity[:, 2].square()
        rolling = self.angular_velocity[:, :2].square().sum(-1)
        angular = turn_off.square() if "roll" in pay else turn_off.square() + rolling
        moving = self.commanded[:, :2].norm(dim=-1) + self.commanded[:, 2].abs() > cfg["standsBelow"]
        spread = torch.where(moving.unsqueeze(-1), self.spreads["walking"], self.spreads["standing"])
        strayed = ((self.dof_pos - self.home) / spread).square().mean(-1)
        beyond = (self.soft_lower - self.dof_pos).clamp(min=0.0) + (self.dof_pos - self.soft_upper).clamp(min=0.0)
        low = self.foot_heights < cfg["contactHeight"]
        self.touching_for.add_(self.dt).masked_fill_((low != self.touching).any(-1), 0.0)
        self.touching.copy_(low)
        dragged = ((self.foot_heights - cfg["swingHeight"]).abs() * self.foot_speeds).sum(-1) * moving
        slipped = (self.foot_speeds.square() * low).sum(-1) * moving
        per_second = {
            "linear": pay["linear"] * torch.exp(-linear / 0.25),
            "angular": pay["angular"] * torch.exp(-angular / 0.5),
            "upright": pay["upright"] * torch.exp(-self.gravity[:, :2].square().sum(-1) / 0.2),
            "pose": pay["pose"] * torch.exp(-strayed),
            "limits": pay["limits"] * beyond.sum(-1),
            "action_rate": pay["actionRate"] * (self.actions - self.last_actions).square().sum(-1),
            "clearance": pay["clearance"] * dragged,
            "slip": pay["slip"] * slipped,
        }
        if "roll" in pay:
            per_second["roll"] = pay["roll"] * rolling
        if "steps" in pay:
            on_one = (low.sum(-1) == 1) & moving
            per_second["steps"] = pay["steps"] * self.touching_for.clamp(max=cfg["stepTime"]) * on_one
        self.rew_buf[:] = self.dt * self.sum_rewards(per_second)
        # A robot needs a moment to do what it is told; then it is measured.
        counts = (self.command_ages * self.dt > cfg["settlingTime"]).float()
        self.sums += torch.stack((counts, counts * off.norm(dim=-1), counts * turn_off.abs()), dim=-1)

    def is_done(self) -> None:
        """End when a robot leans too far or lies, or time is up, and take note of how the episode was."""
        cfg = self.task_config["env"]
        fallen = (self.gravity[:, 2] > -math.cos(math.radians(cfg["terminationTilt"]))) | (
            self.height < cfg["terminationHeight"]
        )
        self.time_out_buf &= ~fallen
        ended = fallen | self.time_out_buf
        self.reset_buf[:] = ended
        errors = self.sums[:, 1:] / self.sums[:, :1].clamp(min=1.0)
        measured = ended & (self.sums[:, 0] > 0.0)
        self.errors[:] = torch.where(measured.unsqueeze(-1), errors, self.errors)
        self.survived[:] = torch.where(ended, self.time_out_buf.float(), self.survived)
        for curriculum in self.curricula.values():
            curriculum.update(ended, self.survived)

    def get_extras(self) -> None:
        """Report the errors of the last episodes, in m/s and rad/s, and the share of them without a fall."""
        linear, angular = self.errors.mean(dim=0).unbind()
        self.extras["episode"] = {"linear_error": linear, "angular_error": angular, "success": self.survived.mean()}


def _distances(settings: dict[str, float]) -> list[float]:
    """Return distances from one to another, both included, in m."""
    count = round((settings["last"] - settings["first"]) / settings["spacing"])
    return [settings["first"] + settings["spacing"] * i for i in range(count + 1)]
