# SPDX-License-Identifier: Apache-2.0
"""FactoryNutBoltScrew: a Panda arm that stands around a nut on the tip of a bolt screws it down."""

import math

import torch

from omni.myriad import ObservationTerm
from omni.myriad.maths import quat_rotate
from omni.myriad.task.fasteners import M16

from ._factory import FINGER_LENGTH, PAD_LENGTH, FactoryNutBolt, keypoint_distance, term

HAND_LENGTH = 0.0584  # m, from where the hand begins to where its fingers do


class FactoryNutBoltScrew(FactoryNutBolt):
    """OmniIsaacGymEnvs' FactoryTaskNutBoltScrew, to the number: 32 observations, 2048 steps at 60 Hz.

    Actions push down and turn to the right alone; the other directions are left free. The arm's last joint turns
    without an end: 7.5 turns take the nut to where an episode succeeds, five pitches above the bolt's head. Nothing is
    drawn by chance, and episodes differ by the policy's own noise.
    """

    endless_joints = ("panda_joint7",)

    def post_reset(self) -> None:
        """Say where the nut shall go."""
        n, device = self.num_envs, self.device
        height = self.task_config["env"]["benchHeight"] + M16.head_height + 0.5 * M16.nut_height
        self.target = torch.tensor([0.0, 0.0, height], device=device).repeat(n, 1)
        self.upright = torch.tensor([1.0, 0.0, 0.0, 0.0], device=device).repeat(n, 1)
        self.thirds = (HAND_LENGTH + FINGER_LENGTH) * torch.tensor([0.0, 1.0, 1 / 3, 2 / 3], device=device)
        self.axes = torch.tensor(self.task_config["env"]["motionAxes"], device=device)
        self.stiffness = torch.tensor(self.task_config["env"]["taskStiffness"], device=device)
        self.damping = torch.tensor(self.task_config["env"]["taskDamping"], device=device)
        self.no_force = torch.zeros((n, 6), device=device)
        super().post_reset()

    def object_terms(self) -> list[ObservationTerm]:
        """Say that the nut's middle is observed, and forces on the fingers, which are not told."""
        return [
            term("nut_center", 3, "m"),
            term("nut_orientation", 4),
            term("nut_linear_velocity", 3, "m/s"),
            term("nut_angular_velocity", 3, "rad/s"),
            term("finger_forces", 6, "N"),
        ]

    def measure(self) -> None:
        """Find the nut's middle, its velocity, and the middle of the fingers' pads, too."""
        super().measure()
        velocities = self.nuts.get_velocities()
        self.nut_spin = velocities[:, 3:]
        lever = (M16.head_height + 0.5 * M16.nut_height) * quat_rotate(self.nut_turn, self.up)
        self.nut_center = self.nut + lever
        # As there: what the nut's turning adds is in the velocity already, which is that of its centre of mass.
        self.nut_velocity = velocities[:, :3] + torch.linalg.cross(self.nut_spin, lever, dim=-1)
        self.pad = self.finger_middle + (FINGER_LENGTH - 0.5 * PAD_LENGTH) * quat_rotate(self.hand_turn, self.up)

    def objects(self) -> dict[str, torch.Tensor]:
        """Return the nut's middle."""
        return {
            "nut_center": self.nut_center,
            "nut_orientation": self.nut_turn,
            "nut_linear_velocity": self.nut_velocity,
            "nut_angular_velocity": self.nut_spin,
            "finger_forces": self.no_force,
        }

    def lay_out(self, env_ids: torch.Tensor) -> None:
        """Put nuts onto the tips of bolts that stand in the middle of the bench."""
        turn = math.radians(self.task_config["env"]["nutTurn"])
        turns = torch.tensor([math.cos(0.5 * turn), 0.0, 0.0, math.sin(0.5 * turn)], device=self.device)
        height = self.bench_height + M16.shank_length
        self.put(self.nuts, env_ids, height * self.up, turns.repeat(self.num_envs, 1))
        self.nuts.set_velocities(torch.zeros((len(env_ids), 6), device=self.device), env_ids)
        self.put(self.bolts, env_ids, self.bench_height * self.up, self.level())

    def ways(self, actions: torch.Tensor) -> torch.Tensor:
        """Let actions push down and turn to the right, as far as they are positive; cost is of these."""
        self.actions[:, [2, 5]] = -0.5 * (self.actions[:, [2, 5]] + 1.0)
        return self.actions[:, :6]

    def torques(self, errors: torch.Tensor) -> torch.Tensor:
        """Return torques of the arm, (num_envs, 7) in N m: a pull in operational space, of which axes are chosen.

        As there all six directions are made independent of each other before those that are not wanted are left out.
        """
        velocities = torch.cat((self.fingertip_velocity, self.fingertip_spin), dim=-1)
        pulls = self.stiffness * errors - self.damping * velocities
        transposed = self.jacobian.transpose(-1, -2)
        by_mass = torch.cholesky_solve(transposed, torch.linalg.cholesky_ex(self.masses)[0])
        factor = torch.linalg.cholesky_ex(self.jacobian @ by_mass)[0]
        forces = self.axes * torch.cholesky_solve(pulls.unsqueeze(-1), factor).squeeze(-1)
        return (transposed @ forces.unsqueeze(-1)).squeeze(-1)

    def calculate_metrics(self) -> None:
        """Charge for the distances of four points on axes: of the nut from its place, and of the hand from the nut."""
        env, last = self.task_config["env"], self.is_last
        nut = self.along(self.nut_center, self.nut_turn, self.thirds)
        place = self.along(self.target, self.upright, self.thirds)
        hand = self.along(self.pad, self.hand_turn, -self.thirds)
        there = (self.nut_center - self.target).norm(dim=-1) < 5.0 * M16.pitch
        self.rew_buf[:] = self.sum_rewards(
            {
                "nut": -env["keypointRewardScale"] * keypoint_distance(place, nut),
                "hand": -env["keypointRewardScale"] * keypoint_distance(nut, hand),
                "actions": -env["actionPenaltyScale"] * self.actions.norm(dim=-1),
                "success": env["successBonus"] * there,
            }
        )
        self.succeeded[:] = torch.where(last, there.float(), self.succeeded)
