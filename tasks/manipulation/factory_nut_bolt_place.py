# SPDX-License-Identifier: Apache-2.0
"""FactoryNutBoltPlace: a Panda arm that holds a nut brings it to the tip of a bolt."""

import math

import torch

from omni.myriad import ObservationTerm
from omni.myriad.maths import quat_from_euler_xyz
from omni.myriad.task.fasteners import M16

from ._factory import FactoryNutBolt, keypoint_distance, term


class FactoryNutBoltPlace(FactoryNutBolt):
    """OmniIsaacGymEnvs' FactoryTaskNutBoltPlace, to the number: 27 observations, 128 steps at 60 Hz.

    Fingers close on a nut before an episode, without gravity, and keep pressing. An episode succeeds if four points on
    the nut's axis are together within `closeDistance` of those of the bolt's tip when it ends.
    """

    def object_terms(self) -> list[ObservationTerm]:
        """Say that the frames of nut and bolt are observed."""
        names = ("nut", "bolt")
        return [t for name in names for t in (term(f"{name}_position", 3, "m"), term(f"{name}_orientation", 4))]

    def objects(self) -> dict[str, torch.Tensor]:
        """Return the frames of nut and bolt."""
        return {
            "nut_position": self.nut,
            "nut_orientation": self.nut_turn,
            "bolt_position": self.bolt,
            "bolt_orientation": self.bolt_turn,
        }

    def lay_out(self, env_ids: torch.Tensor) -> None:
        """Put nuts between the fingers, a bit higher or lower, and stand bolts on the bench."""
        env = self.task_config["env"]
        places = (env["gripHeight"] - M16.head_height) * self.up  # the nut begins that far above its frame
        places += self.spread([0.0, 0.0, 0.0], env["nutNoise"])
        level = torch.zeros(self.num_envs, device=self.device)
        turns = quat_from_euler_xyz(level, level, level + 0.5 * math.pi)
        self.put(self.nuts, env_ids, places, turns)
        self.nuts.set_velocities(torch.zeros((len(env_ids), 6), device=self.device), env_ids)
        self.stand_bolts(env_ids)

    def begin(self, env_ids: torch.Tensor) -> None:
        """Close the fingers while nothing weighs anything, and move hands to somewhere above the bench."""
        gravity = self.world.get_gravity()
        self.world.set_gravity(torch.zeros_like(gravity))
        self.measure()
        self.drive(torch.zeros((self.num_envs, 6), device=self.device), 0.0)
        for _ in range(self.task_config["env"]["closeSteps"]):
            self.world.step()
        self.world.set_gravity(gravity)
        self.move_hands(env_ids, 0.0)

    def calculate_metrics(self) -> None:
        """Charge for the distances of four points on the axes of nut and bolt's tip; reward a nut that is there."""
        env, last = self.task_config["env"], self.is_last
        nut = self.along(self.nut, self.nut_turn, self.keypoints + M16.head_height)
        tip = self.along(self.bolt, self.bolt_turn, self.keypoints + M16.head_height + M16.shank_length)
        distance = keypoint_distance(tip, nut)
        close = (distance < env["closeDistance"]).float()
        self.rew_buf[:] = self.sum_rewards(
            {
                "keypoints": -env["keypointRewardScale"] * distance,
                "actions": self.action_cost(),
                "success": env["successBonus"] * close * last,
            }
        )
        self.succeeded[:] = torch.where(last, close, self.succeeded)
