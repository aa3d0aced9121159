# SPDX-License-Identifier: Apache-2.0
"""FrankaLift: a Panda arm takes a cube from a table, and holds it where a ball is."""

import torch

from omni.myriad import ActionTerm, ObservationTerm, RigidPrimView, Scene
from omni.myriad.maths import quat_conjugate, quat_from_euler_xyz, quat_mul, quat_rotate, tensor_clamp

from ._arm import ArmTask


class FrankaLift(ArmTask):
    """Isaac Lab's lifting task: its reward, times and ranges, with the arm of Franka's own URDF.

    Seven actions move the position targets of the arm's joints, and the eighth opens the hand where it is positive, and
    closes it where it is not. An episode succeeds if the cube is within `successDistance` of its target in every step
    of its last second; it ends if the cube falls off the table.

    Different from there: actions move targets from where they are, instead of being them; the arm carries its own
    weight; the way to the cube, how it is turned in the hand, and the way from there to the target are observed; what
    actions and speeds cost does not grow.
    """

    num_actions = 8

    def set_up_scene(self, scene: Scene) -> None:
        """Author a table in front of the arm, with its top at 0 m, and the cube on it."""
        self.add_robot("Table", "table/table.usda", (0.6, 0.0, -0.025))
        self.add_robot("Cube", "cube/cube.usda", (0.5, 0.0, 0.5 * self.task_config["env"]["cubeSize"]))
        super().set_up_scene(scene)
        self.cubes = scene.add(RigidPrimView("/World/envs/.*/Cube/cube", name="cubes"))

    def post_reset(self) -> None:
        """Look at joints, and read where things begin."""
        super().post_reset()
        device = self.device
        self.fingers = torch.tensor([self.robot.get_dof_index(name) for name in self.finger_joints], device=device)
        self.dofs = torch.cat((self.arm, self.fingers))
        self.lower, self.upper = self.robot.get_dof_limits()[0].to(device).unbind(-1)
        self.home[:] = torch.tensor(self.cfg_env["jointPositions"], device=device)
        self.wide = self.home[0, self.fingers]
        self.closed = torch.tensor(self.cfg_env["closedFingers"], device=device)
        self.step_size = self.cfg_env["actionScale"] * self.dt  # rad, of an action of 1
        self.action_changes = torch.zeros(self.num_envs, device=device)
        self.places = torch.tensor(self.cfg_env["cubeRange"], device=device)
        self.above = torch.tensor(self.cfg_env["targetRange"], device=device)
        # Seen from the hand: all turns of a cube in 6 numbers that never jump.
        self.axes = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], device=device).repeat(self.num_envs, 1, 1)

    def action_terms(self) -> list[ActionTerm]:
        """Say that actions move the arm's targets from where it is, and that the last one opens and closes the hand."""
        env, fingers = self.cfg_env, self.finger_joints
        step_size = env["actionScale"] * self.control_frequency_inv * self.world.physics_dt  # rad, of an action of 1
        wide = [env["jointPositions"][self.robot.get_dof_index(name)] for name in fingers]
        ends = list(zip(wide, env["closedFingers"], strict=True))
        middles, halves = (tuple(0.5 * (a + sign * b) for a, b in ends) for sign in (1.0, -1.0))
        return [
            ActionTerm("position", self.arm_joints, step_size, unit="rad", cumulative=True, from_joints=True),
            ActionTerm("position", fingers, halves, middles, unit="m", switch=True),
        ]

    def commands(self) -> dict[str, torch.Tensor]:
        """Return the target, which whoever uses the robot says."""
        return {"target": self.targets}

    def observation_terms(self) -> list[ObservationTerm]:
        """Say that joints, hand and cube are observed, and the way to the target."""
        joints = self.arm_joints + self.finger_joints
        return [
            ObservationTerm("joint_positions", source="joint_position", joint_names=joints),
            ObservationTerm("joint_velocities", source="joint_velocity", joint_names=joints, scale=0.1),
            ObservationTerm("target_leads", source="target_lead", joint_names=self.arm_joints, scale=10.0),
            ObservationTerm("hand_position", source="frame_position", body_names=(self.hand,)),
            self._way("way_to_cube", "Cube", self.hand),
            ObservationTerm("cube_axes", source="frame_axes", frame=self.hand, body_names=("Cube",)),
            self._way("way_to_target", "target", "Cube"),
        ]

    def _way(self, name: str, to: str, start: str) -> ObservationTerm:
        return ObservationTerm(name, source="frame_position", frame="world", body_names=(to,), relative_to=start)

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Put arms near home, and lay cubes and targets out anew."""
        joints = self.home[env_ids]
        joints[:, self.arm] += self.cfg_env["jointNoise"] * (2.0 * torch.rand_like(joints[:, self.arm]) - 1.0)
        joints = tensor_clamp(joints, self.lower, self.upper)
        self.robot.set_joint_positions(joints, indices=env_ids)
        self.robot.set_joint_velocities(torch.zeros_like(joints), indices=env_ids)
        self.joint_targets[env_ids] = joints
        self.lay_out(env_ids)
        self.actions[env_ids] = 0.0
        self.steps_near[env_ids] = 0
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0

    def lay_out(self, env_ids: torch.Tensor) -> None:
        """Lay cubes on the table, and draw targets above it."""
        self.lay(self.cubes, self.cfg_env["cubeSize"], self.draw((len(env_ids), 2), self.places), env_ids)
        self.targets[env_ids] = self.draw((len(env_ids), 3), self.above)

    def draw(self, shape: tuple[int, ...], between: torch.Tensor) -> torch.Tensor:
        """Draw places between two corners, (2, shape[-1]) in m."""
        return between[0] + (between[1] - between[0]) * torch.rand(shape, device=self.device)

    def lay(self, cubes: RigidPrimView, size: float, places: torch.Tensor, env_ids: torch.Tensor) -> None:
        """Lay cubes of an edge of `size` m at places (M, 2) in m on the table, at rest, turned about the vertical."""
        count = len(env_ids)
        yaw = self.cfg_env["cubeTurn"] * (2.0 * torch.rand(count, device=self.device) - 1.0)
        level = torch.zeros_like(yaw)
        positions = torch.cat((places, torch.full((count, 1), 0.5 * size, device=self.device)), dim=-1)
        orientations = quat_from_euler_xyz(level, level, yaw)
        cubes.set_world_poses(self._env_pos[env_ids] + positions, orientations, env_ids)
        cubes.set_velocities(torch.zeros((count, 6), device=self.device), env_ids)

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Move the arm, and open or close the hand."""
        self.action_changes[:] = ((actions - self.actions) ** 2).sum(dim=-1)
        self.actions.copy_(actions)
        self.move_arm(actions[:, :-1])
        self.joint_targets[:, self.fingers] = torch.where(actions[:, -1:] > 0.0, self.wide, self.closed)
        self.joint_targets.copy_(tensor_clamp(self.joint_targets, self.lower, self.upper))
        self.robot.set_joint_position_targets(self.joint_targets)

    def move_arm(self, actions: torch.Tensor) -> None:
        """Move the targets of the arm's joints."""
        self.joint_targets[:, self.arm] += self.step_size * actions

    def cube_poses(self, cubes: RigidPrimView) -> tuple[torch.Tensor, torch.Tensor]:
        """Return where cubes are in m from the environment's origin, (num_envs, 3), and orientations as wxyz."""
        positions, orientations = cubes.get_world_poses(clone=False)
        return positions - self._env_pos, orientations

    def quantities(self) -> dict[str, torch.Tensor]:
        """Measure joints, hand, cube and target."""
        joints = self.robot.get_joint_positions(clone=False)
        self.joint_velocities = self.robot.get_joint_velocities(clone=False)
        self.openings = joints[:, self.fingers]
        self.hands, self.hand_turns = self.robot.frame_poses(self.hand)
        self.cube, orientation = self.cube_poses(self.cubes)
        self.to_cube, self.to_target = self.cube - self.hands, self.targets - self.cube
        turned = quat_mul(quat_conjugate(self.hand_turns), orientation).unsqueeze(1).expand(-1, 2, -1)
        return {
            "joint_positions": joints[:, self.dofs],
            "joint_velocities": self.joint_velocities[:, self.dofs],
            "target_leads": (self.joint_targets - joints)[:, self.arm],
            "hand_position": self.hands,
            "way_to_cube": self.to_cube,
            "cube_axes": quat_rotate(turned, self.axes),
            "way_to_target": self.to_target,
        }

    def calculate_metrics(self) -> None:
        """Reward a hand at the cube, and a lifted cube at the target; charge for jerks and speeds."""
        env = self.cfg_env
        distance = self.to_target.norm(dim=-1)
        lifted = (self.cube[:, 2] > env["liftedHeight"]).float()
        self.rew_buf[:] = self.sum_rewards(
            {
                "reaching": env["reachReward"] * (1.0 - torch.tanh(self.to_cube.norm(dim=-1) / 0.1)),
                "lifted": env["liftReward"] * lifted,
                "target": env["targetReward"] * lifted * (1.0 - torch.tanh(distance / 0.3)),
                "at_target": env["fineReward"] * lifted * (1.0 - torch.tanh(distance / 0.05)),
                "action_changes": -env["actionRateCost"] * self.action_changes,
                "velocities": -env["velocityCost"] * (self.joint_velocities**2).sum(dim=-1),
            }
        )
        self.count(distance < env["successDistance"])

    def is_done(self) -> None:
        """End at the step limit and where the cube has fallen off the table, and tell which episodes succeeded."""
        fallen = self.cube[:, 2] < -0.05
        self.time_out_buf &= ~fallen
        super().is_done()
        self.reset_buf.masked_fill_(fallen, 1)
        self.succeeded.masked_fill_(fallen, 0.0)
