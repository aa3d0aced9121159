# SPDX-License-Identifier: Apache-2.0
"""FrankaStack: a Panda arm puts a cube onto a larger one, and lets go."""

import torch

from omni.myriad import RigidPrimView, Scene
from omni.myriad.maths import quat_rotate

from .franka_lift import FrankaLift

TRIES = 16
"""Places that are drawn for a cube, of which one is far enough from the other cube but for one time in a million."""


class FrankaStack(FrankaLift):
    """IsaacGymEnvs' FrankaCubeStack: its reward, cubes and ranges, with the actions and observations of FrankaLift.

    The target is the place on top of the larger cube, wherever that has been pushed. An episode succeeds if the cube
    lies there, and the hand is away from it, in every step of its last second.

    Different from there: a stacked cube is rewarded in every step, and not once at the end of its episode, which made
    holding the cube above its place for ever worth more than letting go.
    """

    def set_up_scene(self, scene: Scene) -> None:
        """Add the larger cube."""
        self.add_robot("Base", "big_cube/big_cube.usda", (0.5, 0.2, 0.5 * self.task_config["env"]["baseSize"]))
        super().set_up_scene(scene)
        self.bases = scene.add(RigidPrimView("/World/envs/.*/Base/big_cube", name="bases"))

    def post_reset(self) -> None:
        """Read how high the target is."""
        super().post_reset()
        self.sizes = self.cfg_env["cubeSize"], self.cfg_env["baseSize"]
        self.up = torch.tensor([0.0, 0.0, 0.5 * sum(self.sizes)], device=self.device)
        self.across = torch.tensor([0.0, 1.0, 0.0], device=self.device).repeat(self.num_envs, 1)
        self.sides = torch.tensor([[1.0], [-1.0]], device=self.device)  # left and right

    def lay_out(self, env_ids: torch.Tensor) -> None:
        """Lay the larger cubes anywhere on the table, and the others far enough from them."""
        base = self.draw((len(env_ids), 2), self.places)
        tries = self.draw((len(env_ids), TRIES, 2), self.places)
        far = (tries - base.unsqueeze(1)).norm(dim=-1) > sum(self.sizes) * 2.0**0.5
        place = tries.gather(1, far.float().argmax(dim=1).view(-1, 1, 1).expand(-1, 1, 2)).squeeze(1)
        for cubes, size, places in zip((self.cubes, self.bases), self.sizes, (place, base), strict=True):
            self.lay(cubes, size, places, env_ids)

    def quantities(self) -> dict[str, torch.Tensor]:
        """Measure where the target is, too."""
        self.targets[:] = self.cube_poses(self.bases)[0] + self.up
        return super().quantities()

    def calculate_metrics(self) -> None:
        """Reward a stacked cube that nobody holds, or else what leads there."""
        env = self.cfg_env
        cube, distance = self.cube, self.to_target.norm(dim=-1)
        hand = self.to_cube.norm(dim=-1)
        # Fingertips are beside the hand's frame, each as far as its finger is open.
        tips = self.openings.unsqueeze(-1) * quat_rotate(self.hand_turns, self.across).unsqueeze(1) * self.sides
        fingers = (self.to_cube.unsqueeze(1) - tips).norm(dim=-1).sum(dim=-1)
        lifted = (cube[:, 2] > env["liftedHeight"]).float()
        aligned = lifted * (1.0 - torch.tanh(10.0 * distance))
        reaching = torch.maximum(1.0 - torch.tanh(10.0 / 3.0 * (hand + fingers)), aligned)
        there = (self.to_target[:, :2].norm(dim=-1) < 0.02) & ((cube[:, 2] - self.targets[:, 2]).abs() < 0.02)
        stacked = there & (hand > 0.04)
        on_the_way = (~stacked).float()
        self.rew_buf[:] = self.sum_rewards(
            {
                "reaching": env["reachReward"] * reaching * on_the_way,
                "lifted": env["liftReward"] * lifted * on_the_way,
                "aligned": env["alignReward"] * aligned * on_the_way,
                "stacked": env["stackReward"] * stacked.float(),
            }
        )
        self.count(stacked)
