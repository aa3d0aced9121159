# SPDX-License-Identifier: Apache-2.0
"""What tasks share in which a hand turns something to one orientation after another without dropping it."""

import math

import torch

from omni.myriad import ActionTerm, ObservationTerm, RigidPrimView, RLTask, Scene
from omni.myriad.errors import MyriadError
from omni.myriad.maths import quat_conjugate, quat_from_angle_axis, quat_mul, scale, tensor_clamp, torch_rand_float
from omni.myriad.task.curriculum import EpisodeAverage

OBJECTS = ("block", "egg", "pen")
_PEN_TILT = 0.3  # rad


class InHandManipulation(RLTask):
    """OmniIsaacGymEnvs' in-hand manipulation, to the number; a subclass names its `hand`, and what it can observe.

    A goal that is reached is followed by another in the next step, and a success is counted. The goal is seen beside
    the hand, where it touches nothing: there it is a body that others can hit. There is no ground, which nothing
    reaches.
    """

    hand: str
    observation_types: tuple[str, ...]
    capturable = True

    def set_up_scene(self, scene: Scene) -> None:
        """Author the hand, the object above its palm, in turn of several kinds, and one like the first for the goal."""
        env, kinds = self.task_config["env"], self.object_types
        assets = [f"{kind}/{kind}.usda" for kind in kinds]
        self.add_robot("Robot", self.hand, env["handPosition"], env["handOrientation"])
        self.add_robot("Object", assets[0], env["objectPosition"])
        self.goal = self.add_marker("Goal", assets[0])
        super().set_up_scene(scene)
        self.vary_robot("Object", assets)
        self.kinds = [kinds[env_id % len(kinds)] for env_id in range(self.num_envs)]
        self.robot = scene.add(self.robot_view("Robot", "hands"))
        self.objects = scene.add(RigidPrimView("/World/envs/.*/Object/object", name="objects"))

    @property
    def object_types(self) -> list[str]:
        """What the YAML says that is turned, in turn from one environment to the next.

        Raises:
            MyriadError: If there is no such object.
        """
        given = self.task_config["env"].get("objectType")  # which settings of older runs lack
        kinds = given if isinstance(given, list) else [OBJECTS[0] if given is None else given]
        if not kinds or not all(kind in OBJECTS for kind in kinds):
            raise MyriadError(f"task.env.objectType={given} is invalid: choose one or more of {', '.join(OBJECTS)}.")
        return kinds

    @property
    def observation_type(self) -> str:
        """What the YAML says that is observed.

        Raises:
            MyriadError: If it is no such type.
        """
        kind = self.task_config["env"]["observationType"]
        if kind not in self.observation_types:
            known = ", ".join(self.observation_types)
            raise MyriadError(f"task.env.observationType={kind} is invalid: choose one of {known}.")
        return kind

    def actuated_joints(self) -> list[str]:
        """Return the joints that actions move, in order."""
        return self.robot.dof_names

    def action_terms(self) -> list[ActionTerm]:
        """Say that actions are position targets: from -1 to 1 over the range of each joint; or that they move them."""
        env, names = self.task_config["env"], self.actuated_joints()
        share = env["actionsMovingAverage"]
        if env["useRelativeControl"]:
            step = env["dofSpeedScale"] / 60.0
            return [ActionTerm("position", tuple(names), step, unit="rad", cumulative=True, from_joints=True)]
        limits = self.robot.get_dof_limits()[0, [self.robot.get_dof_index(name) for name in names]]
        middle, half = limits.mean(dim=-1).tolist(), (0.5 * (limits[:, 1] - limits[:, 0])).tolist()
        return [
            ActionTerm(
                "position", tuple(names), tuple(half), tuple(middle), unit="rad", share=share, from_joints=share < 1.0
            )
        ]

    def post_reset(self) -> None:
        """Look at joints, and remember where the cube starts and shall stay."""
        env, device, n = self.task_config["env"], self.device, self.num_envs
        self.lower, self.upper = self.robot.get_dof_limits()[0].to(device).unbind(-1)
        self.actuated = torch.tensor([self.robot.get_dof_index(name) for name in self.actuated_joints()], device=device)
        self.joint_targets = self.robot.get_joint_positions()
        self.actions = torch.zeros((n, self.num_actions), device=device)
        # As authored, and not read from physics, which has taken its first short steps.
        self.object_start = torch.tensor(env["objectPosition"], device=device)
        self.goal_position = self.object_start.repeat(n, 1)
        self.goal_position[:, 2] -= env["goalDepth"]
        self.goal.positions.copy_(self.goal_position + torch.tensor(env["goalDisplacement"], device=device))
        self.goal_rotation = self.goal.orientations
        self.axes = torch.eye(3, device=device)
        self.lies = torch.tensor([kind == "pen" for kind in self.kinds], device=device)
        self.reached = torch.zeros(n, dtype=torch.bool, device=device)
        self.successes = torch.zeros(n, device=device)
        self.last_successes = torch.zeros(n, device=device)
        self.consecutive_successes = EpisodeAverage(env["averFactor"], device)
        self.curricula["consecutive_successes"] = self.consecutive_successes

    def _joint_terms(self, with_velocities: bool) -> list[ObservationTerm]:
        """Return the terms of the hand's joints, whose ranges are seen as -1 to 1."""
        names = tuple(self.robot.dof_names)
        spread, middle = (2.0 / (self.upper - self.lower)).tolist(), (0.5 * (self.upper + self.lower)).tolist()
        positions = ObservationTerm(
            "joint_positions", source="joint_position", joint_names=names, scale=tuple(spread), offset=tuple(middle)
        )
        velocities = ObservationTerm(
            "joint_velocities",
            source="joint_velocity",
            joint_names=names,
            scale=self.task_config["env"]["velObsScale"],
        )
        return [positions, velocities] if with_velocities else [positions]

    def _object_terms(self, with_velocities: bool) -> list[ObservationTerm]:
        """Return the terms of the cube, of the goal, and of what is between them."""

        def term(name: str, kind: str, body: str = "Object", relative_to: str = "") -> ObservationTerm:
            source = f"frame_{kind}"
            return ObservationTerm(name, source=source, frame="world", body_names=(body,), relative_to=relative_to)

        scales = (1.0,) * 3 + (self.task_config["env"]["velObsScale"],) * 3
        velocity = ObservationTerm("object_velocity", source="body_velocity", body_names=("Object",), scale=scales)
        return [
            term("object_position", "position"),
            term("object_orientation", "orientation"),
            *([velocity] if with_velocities else []),
            term("goal_position", "position", "goal"),
            term("goal_orientation", "orientation", "goal"),
            term("turn_from_goal", "orientation", relative_to="goal"),
        ]

    def commands(self) -> dict[str, torch.Tensor]:
        """Return the goal, where it is and how it is turned, which whoever uses the hand says."""
        return {"goal": torch.cat((self.goal_position, self.goal_rotation), dim=-1)}

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Drop the cube onto the palm, turned at random, bend the fingers a little, and draw a goal."""
        env, num_resets, dofs = self.task_config["env"], len(env_ids), self.robot.num_dof
        chance = torch_rand_float(-1.0, 1.0, (num_resets, 2 * dofs + 5), self.device)
        self.goal_rotation[env_ids] = self._draw_goals(num_resets)
        positions = self.object_start + env["resetPositionNoise"] * chance[:, :3] + self._env_pos[env_ids]
        self.objects.set_world_poses(positions, self._start_rotations(chance[:, 3:5], self.lies[env_ids]), env_ids)
        self.objects.set_velocities(torch.zeros((num_resets, 6), device=self.device), env_ids)
        bent = self.lower + (self.upper - self.lower) * 0.5 * (chance[:, 5 : 5 + dofs] + 1.0)  # rounded as there
        joints = self.following(env["resetDofPosRandomInterval"] * bent)
        self.joint_targets[env_ids] = joints
        self.robot.set_joint_positions(joints, indices=env_ids)
        self.robot.set_joint_velocities(env["resetDofVelRandomInterval"] * chance[:, 5 + dofs :], indices=env_ids)
        self.reached[env_ids] = False
        self.successes[env_ids] = 0.0
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0

    def following(self, joints: torch.Tensor) -> torch.Tensor:
        """Return positions of joints, (M, num_dof), as they can be: those that follow others where these take them."""
        return joints

    def _draw_goals(self, count: int) -> torch.Tensor:
        chance = torch_rand_float(-1.0, 1.0, (count, 4), self.device)  # of which two are used, as there
        return self._turned(chance[:, 0], chance[:, 1])

    def _turned(self, about_x: torch.Tensor, about_y: torch.Tensor) -> torch.Tensor:
        """Return rotations, (M, 4): about y, then about x, each by pi times a number from -1 to 1, (M,)."""
        x, y, _ = self.axes.unsqueeze(1).expand(-1, len(about_x), -1)
        return quat_mul(quat_from_angle_axis(math.pi * about_x, x), quat_from_angle_axis(math.pi * about_y, y))

    def _start_rotations(self, chance: torch.Tensor, lies: torch.Tensor) -> torch.Tensor:
        """Return how objects are turned at first, (M, 4), by two numbers from -1 to 1, (M, 2).

        A pen, where `lies`, is too long for any: it lies along the fingers, within 0.3 rad, as IsaacGymEnvs' does.
        """
        x, _, z = self.axes.unsqueeze(1).expand(-1, len(chance), -1)
        tilt = quat_from_angle_axis(0.5 * math.pi + _PEN_TILT * chance[:, 0], x)
        lying = quat_mul(tilt, quat_from_angle_axis(math.pi * chance[:, 1], z))
        return torch.where(lies.unsqueeze(-1), lying, self._turned(*chance.unbind(-1)))

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Draw new goals where they were reached, and move the joints' targets."""
        env, lower, upper = self.task_config["env"], self.lower[self.actuated], self.upper[self.actuated]
        goals = self._draw_goals(self.num_envs)
        self.goal_rotation.copy_(torch.where(self.reached.unsqueeze(-1), goals, self.goal_rotation))
        self.actions.copy_(actions)
        before = self.joint_targets[:, self.actuated]
        if env["useRelativeControl"]:
            targets = before + env["dofSpeedScale"] / 60.0 * actions
        else:
            share = env["actionsMovingAverage"]
            targets = share * scale(actions, lower, upper) + (1.0 - share) * before
        self.joint_targets[:, self.actuated] = tensor_clamp(targets, lower, upper)
        self.robot.set_joint_position_targets(self.joint_targets)

    def look(self, with_velocities: bool) -> dict[str, torch.Tensor]:
        """Return what is observed of joints, cube and goal."""
        positions, self.object_rotation = self.objects.get_world_poses(clone=False)
        self.object_position = positions - self._env_pos
        self.turn = quat_mul(self.object_rotation, quat_conjugate(self.goal_rotation))
        seen = {
            "joint_positions": self.robot.get_joint_positions(clone=False),
            "object_position": self.object_position,
            "object_orientation": self.object_rotation,
            "goal_position": self.goal_position,
            "goal_orientation": self.goal_rotation,
            "turn_from_goal": self.turn,
            "last_action": self.actions,
        }
        if with_velocities:
            seen["joint_velocities"] = self.robot.get_joint_velocities(clone=False)
            seen["object_velocity"] = self.objects.get_velocities(clone=False)
        return seen

    def calculate_metrics(self) -> None:
        """Reward a cube in its place and turned as the goal, and most of all a goal; charge for actions and falls."""
        env = self.task_config["env"]
        distance = (self.object_position - self.goal_position).norm(dim=-1)
        angle = 2.0 * torch.asin(self.turn[:, 1:].norm(dim=-1).clamp(max=1.0))
        torch.le(angle, env["successTolerance"], out=self.reached)
        self.successes += self.reached
        self.fallen = distance >= env["fallDistance"]
        terms = {
            "distance": env["distRewardScale"] * distance,
            "rotation": env["rotRewardScale"] / (angle + env["rotEps"]),
            "actions": env["actionPenaltyScale"] * (self.actions**2).sum(dim=-1),
            "goals": env["reachGoalBonus"] * self.reached,
            "falls": env["fallPenalty"] * self.fallen,
        }
        if env["maxConsecutiveSuccesses"] > 0:  # time starts again with each goal, and to miss one is half a fall
            self.progress_buf *= ~self.reached
            terms["missed"] = 0.5 * env["fallPenalty"] * (self.progress_buf >= self.max_episode_length - 1)
        self.rew_buf[:] = self.sum_rewards(terms)

    def is_done(self) -> None:
        """End when the cube has fallen, or time is up, or enough goals were reached, and count these."""
        most, done = self.task_config["env"]["maxConsecutiveSuccesses"], self.fallen
        if most > 0:
            done = done | (self.successes >= most)
        self.time_out_buf &= ~done
        self.reset_buf[:] = done | self.time_out_buf
        ended = self.reset_buf.bool()
        self.consecutive_successes.update(ended, self.successes)
        self.last_successes[:] = torch.where(ended, self.successes, self.last_successes)

    def get_extras(self) -> None:
        """Report how many goals were reached in the environments' last episodes."""
        self.extras["episode"] = {"successes": self.last_successes.mean()}
