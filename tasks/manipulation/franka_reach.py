# SPDX-License-Identifier: Apache-2.0
"""FrankaReach: a Panda arm brings its hand to a target and keeps it there."""

import torch

from omni.myriad import ActionTerm, ObservationTerm

from ._arm import ArmTask

NUM_TARGETS, MOST_ROUNDS = 16384, 64
"""Points that targets are drawn from, where so many rounds of postures, one in each environment, give so many."""


class FrankaReach(ArmTask):
    """The reaching task of the usual lesson, to the letter of its reward, with the arm of Franka's own URDF.

    A target is where the hand is in a random posture of the arm, so that each can be reached. An episode succeeds if
    the hand is within `successDistance` in every step of its last second.
    """

    def action_terms(self) -> list[ActionTerm]:
        """Say that actions are position targets: from -1 to 1 over the range of each joint of the arm."""
        limits = self.robot.get_dof_limits()[0, : len(self.arm_joints)]
        middle, half = limits.mean(dim=-1).tolist(), (0.5 * (limits[:, 1] - limits[:, 0])).tolist()
        return [ActionTerm("position", self.arm_joints, scale=tuple(half), offset=tuple(middle), unit="rad")]

    def observation_terms(self) -> list[ObservationTerm]:
        """Say that joints, hand and target are observed."""
        (action,) = self.action_terms()
        half, middle = self.half_ranges.tolist(), action.offset
        return [
            ObservationTerm(
                "joint_positions",
                source="joint_position",
                joint_names=self.arm_joints,
                scale=tuple(1.0 / number for number in half),
                offset=middle,
            ),
            ObservationTerm("joint_velocities", source="joint_velocity", joint_names=self.arm_joints, scale=0.4),
            ObservationTerm("hand_position", source="frame_position", body_names=(self.hand,)),
            ObservationTerm("target_position", 3, unit="m", frame="root", source="command"),
        ]

    def commands(self) -> dict[str, torch.Tensor]:
        """Return the target, which whoever uses the robot says."""
        return {"target_position": self.targets}

    def post_reset(self) -> None:
        """Look at joints, and at where the hand can be."""
        super().post_reset()
        (action,) = self.action_terms()
        self.half_ranges = torch.tensor(action.scale, device=self.device)
        self.middles = torch.tensor(action.offset, device=self.device)
        self.reachable = self._reachable_points()

    def _reachable_points(self) -> torch.Tensor:
        """Return where the hand is in random postures with hand and links off the ground and clear of the base."""
        links = [name for name in self.robot.body_names if name not in ("panda_link0", "panda_link1")]
        found: list[torch.Tensor] = []
        while sum(map(len, found)) < NUM_TARGETS and (len(found) < MOST_ROUNDS or not sum(map(len, found))):
            postures = self.home.clone()
            uniform = self.cfg_env["targetRange"] * (2.0 * torch.rand_like(self.actions) - 1.0)
            postures[:, self.arm] = self.middles + self.half_ranges * uniform
            self.robot.set_joint_positions(postures)
            self.world.update_kinematics()
            hands = self.robot.frame_poses(self.hand)[0]
            lowest = self.robot.frame_poses(links)[0][..., 2].min(dim=-1).values
            clear = (torch.minimum(lowest, hands[:, 2]) > 0.15) & (hands[:, :2].norm(dim=-1) > 0.3)
            found.append(hands[clear])
        self.robot.set_joint_positions(self.home)
        self.world.update_kinematics()
        return torch.cat(found)

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Put arms home, and draw new targets."""
        self.robot.set_joint_positions(self.home[env_ids], indices=env_ids)
        self.robot.set_joint_velocities(torch.zeros_like(self.home[env_ids]), indices=env_ids)
        drawn = torch.randint(len(self.reachable), (len(env_ids),), device=self.device)
        self.targets[env_ids] = self.reachable[drawn]
        self.steps_near[env_ids] = 0
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Set the position targets of the arm's drives."""
        self.actions.copy_(actions)
        self.joint_targets[:, self.arm] = self.middles + self.half_ranges * actions
        self.robot.set_joint_position_targets(self.joint_targets)  # of all joints, as a captured step needs it

    def quantities(self) -> dict[str, torch.Tensor]:
        """Measure joints, hand and target."""
        hands, _ = self.robot.frame_poses(self.hand)
        self.distances = (self.targets - hands).norm(dim=-1)
        return {
            "joint_positions": self.robot.get_joint_positions(clone=False)[:, self.arm],
            "joint_velocities": self.robot.get_joint_velocities(clone=False)[:, self.arm],
            "hand_position": hands,
            "target_position": self.targets,
        }

    def calculate_metrics(self) -> None:
        """Reward a hand near the target, and charge for actions."""
        near = self.distances < self.cfg_env["successDistance"]
        reward = -self.distances
        reward = torch.where(near, reward + self.cfg_env["successReward"], reward)
        self.rew_buf[:] = reward - self.cfg_env["actionCost"] * self.actions.norm(dim=-1)
        self.count(near)
