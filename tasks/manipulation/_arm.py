# SPDX-License-Identifier: Apache-2.0
"""What tasks of an arm and a target share: the arm's joints, a ball that shows where to, and when they succeed."""

import torch

from omni.myriad import RLTask, Scene


class ArmTask(RLTask):
    """A task whose episodes succeed if something is near its target in every step of their last second.

    A subclass says in `calculate_metrics` where it is so, by `count`. Another arm has other names.

    Attributes:
        arm_joints: The arm's joints, from its base to its hand.
        finger_joints: The hand's.
        hand: The frame between the fingertips, whose z axis is where the hand points.
    """

    robot = "panda"
    capturable = True
    arm_joints: tuple[str, ...] = tuple(f"panda_joint{number}" for number in range(1, 8))
    finger_joints: tuple[str, ...] = ("panda_finger_joint1", "panda_finger_joint2")
    hand: str = "panda_hand_tcp"

    def set_up_scene(self, scene: Scene) -> None:
        """Author the arm, and a ball that shows the target."""
        self.cfg_env = self.task_config["env"]
        self.targets = self.add_marker("Target", size=2.0 * self.cfg_env["successDistance"]).positions
        super().set_up_scene(scene)

    def post_reset(self) -> None:
        """Look at joints, and begin to count."""
        self.arm = torch.tensor([self.robot.get_dof_index(name) for name in self.arm_joints], device=self.device)
        self.home = self.robot.get_joint_positions()
        self.joint_targets = self.home.clone()
        self.actions = torch.zeros((self.num_envs, self.num_actions), device=self.device)
        self.dt = self.control_frequency_inv * self.world.physics_dt
        self.steps_near = torch.zeros(self.num_envs, dtype=torch.long, device=self.device)
        self.succeeded = torch.zeros(self.num_envs, device=self.device)

    def quantities(self) -> dict[str, torch.Tensor]:
        """Measure what is observed."""
        raise NotImplementedError

    def get_observations(self) -> None:
        """Observe what was measured."""
        self.observe(self.quantities())

    def count(self, near: torch.Tensor) -> None:
        """Note where something is near its target in this step, (num_envs,)."""
        self.steps_near += 1
        self.steps_near *= near

    def is_done(self) -> None:
        """End at the step limit, and tell then which episodes succeeded."""
        self.reset_buf[:] = self.time_out_buf
        success = (self.steps_near * self.dt >= 1.0 - 1e-6).float()
        self.succeeded[:] = torch.where(self.time_out_buf, success, self.succeeded)

    def get_extras(self) -> None:
        """Report the share of environments whose last episode succeeded."""
        self.extras["episode"] = {"success": self.succeeded.mean()}
