# SPDX-License-Identifier: Apache-2.0
"""FactoryNutBoltPick: a Panda arm brings its fingers around a nut, which they then close on and lift."""

import torch

from omni.myriad import ObservationTerm
from omni.myriad.maths import quat_mul, quat_rotate
from omni.myriad.task.fasteners import M16

from ._factory import OPEN, FactoryNutBolt, keypoint_distance, term


class FactoryNutBoltPick(FactoryNutBolt):
    """OmniIsaacGymEnvs' FactoryTaskNutBoltPick, to the number: 20 observations, 128 steps at 60 Hz.

    The policy brings the fingertips to the nut. After its last step the fingers close for 40 steps of physics, and the
    hand is pulled up for 40 more, both by torques that were computed once; an episode succeeds if the nut's frame is
    then higher than three nuts above the bench.
    """

    def post_reset(self) -> None:
        """Say where the nut is grasped: at its middle, by a hand that looks down."""
        n, device = self.num_envs, self.device
        self.grasp_place = torch.tensor([0.0, 0.0, M16.head_height + 0.5 * M16.nut_height], device=device).repeat(n, 1)
        self.grasp_turn = torch.tensor([0.0, 0.0, 1.0, 0.0], device=device).repeat(n, 1)
        super().post_reset()

    def object_terms(self) -> list[ObservationTerm]:
        """Say that the grasp is observed."""
        return [term("nut_grasp_position", 3, "m"), term("nut_grasp_orientation", 4)]

    def measure(self) -> None:
        """Find where the nut is grasped, too."""
        super().measure()
        self.grasp = self.nut + quat_rotate(self.nut_turn, self.grasp_place)
        self.grasped_turn = quat_mul(self.nut_turn, self.grasp_turn)

    def objects(self) -> dict[str, torch.Tensor]:
        """Return the grasp."""
        return {"nut_grasp_position": self.grasp, "nut_grasp_orientation": self.grasped_turn}

    @property
    def opening(self) -> float:
        """Wide open, until the episode's last step."""
        return OPEN

    def lay_out(self, env_ids: torch.Tensor) -> None:
        """Lay nuts on one side of the bench, and stand bolts in its middle."""
        env = self.task_config["env"]
        places = (self.bench_height - M16.head_height) * self.up  # the nut begins that far above its frame
        places[:, :2] = self.spread(env["nutPosition"], env["nutNoise"])
        self.put(self.nuts, env_ids, places, self.level())
        self.nuts.set_velocities(torch.zeros((len(env_ids), 6), device=self.device), env_ids)
        self.stand_bolts(env_ids)

    def begin(self, env_ids: torch.Tensor) -> None:
        """Move open hands to somewhere above the nuts."""
        self.move_hands(env_ids, OPEN)

    def step_physics(self) -> None:
        """Step physics; after the last step of an episode, close the fingers and lift."""
        super().step_physics()
        # Episodes end together, so that one of them tells; it is asked once a step, as resets ask.
        if int(self.progress_buf[0]) == self.max_episode_length - 2:
            self.close_and_lift()

    def close_and_lift(self) -> None:
        """Close the fingers, and pull the hand up, by torques as of before the episode's last step, as there."""
        env = self.task_config["env"]
        errors = torch.zeros((self.num_envs, 6), device=self.device)
        self.drive(errors, 0.0)
        for _ in range(env["closeSteps"]):
            self.world.step()
        errors[:, 2] = env["liftDistance"]
        self.drive(errors, 0.0)
        for _ in range(env["liftSteps"]):
            self.world.step()

    def calculate_metrics(self) -> None:
        """Charge for the distances of four points on the axes of fingertips and grasp; reward a lifted nut."""
        env, last = self.task_config["env"], self.is_last
        offsets = self.keypoints
        hand = self.along(self.fingertip, self.hand_turn, offsets)
        nut = self.along(self.grasp, self.grasped_turn, offsets)
        lifted = (self.nut[:, 2] > self.bench_height + 3.0 * M16.nut_height).float()
        self.rew_buf[:] = self.sum_rewards(
            {
                "keypoints": -env["keypointRewardScale"] * keypoint_distance(hand, nut),
                "actions": self.action_cost(),
                "success": env["successBonus"] * lifted * last,
            }
        )
        self.succeeded[:] = torch.where(last, lifted, self.succeeded)
