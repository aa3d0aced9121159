# SPDX-License-Identifier: Apache-2.0
"""FrankaStackOperationalSpace: FrankaStack whose actions pull the hand, and not one joint each."""

import torch

from omni.myriad import ActionTerm, ObservationTerm
from omni.myriad.task.operational_space import OperationalSpace

from .franka_stack import FrankaStack


class FrankaStackOperationalSpace(FrankaStack):
    """FrankaStack with the actions of IsaacGymEnvs' FrankaCubeStack: how far the hand shall go and turn from here.

    Torques follow from the arm's Jacobians and mass matrices once a step, and hold its posture as far as the hand is
    not moved by that.
    """

    num_actions = 7
    capturable = False  # nobody has captured Cholesky's factors yet

    def post_reset(self) -> None:
        """Make springs, and say how far they reach."""
        super().post_reset()
        env, device = self.cfg_env, self.device
        self.space = OperationalSpace(env["handStiffness"], posture_stiffness=env["postureStiffness"])
        self.reaches = torch.tensor([env["handReach"]] * 3 + [env["handTurn"]] * 3, device=device)
        self.efforts = torch.zeros((self.num_envs, self.robot.num_dof), device=device)

    def action_terms(self) -> list[ActionTerm]:
        """Say nothing: torques follow from where hand and joints are, and not from actions alone."""
        return []

    def observation_terms(self) -> list[ObservationTerm]:
        """Leave out targets of joints, which the arm has none of."""
        return [term for term in super().observation_terms() if term.name != "target_leads"]

    def quantities(self) -> dict[str, torch.Tensor]:
        """Leave out the same."""
        measured = super().quantities()
        del measured["target_leads"]
        return measured

    def move_arm(self, actions: torch.Tensor) -> None:
        """Pull the hand."""
        joints, arm = self.robot.get_joint_positions(clone=False), self.arm
        self.efforts[:, arm] = self.space.torques(
            self.robot.frame_jacobians(self.hand)[..., arm],
            self.robot.inertias()[:, arm.unsqueeze(-1), arm],
            self.robot.get_joint_velocities(clone=False)[:, arm],
            self.reaches * actions,
            (self.home - joints)[:, arm],
        )
        self.robot.set_joint_efforts(self.efforts)
