# SPDX-License-Identifier: Apache-2.0
"""ShadowHand: a hand with five fingers turns a cube to one orientation after another."""

import torch

from omni.myriad import ObservationTerm

from ._in_hand import InHandManipulation

FINGERTIPS = tuple(f"robot0_{finger}distal" for finger in ("ff", "mf", "rf", "lf", "th"))
FOLLOWERS = {f"robot0_{finger}J0": f"robot0_{finger}J1" for finger in ("FF", "MF", "RF", "LF")}


class ShadowHand(InHandManipulation):
    """OmniIsaacGymEnvs' ShadowHand: 157 observations ("full"), 20 actions, 600 steps at 60 Hz.

    "full_no_vel" has 77, "openai" 42 and "full_state" 187, which the critic alone sees with `asymmetric_observations`;
    of these the original files run "full" and "openai". The hand is OpenAI's from the catalogue. The last joint of each
    of four fingers follows the one before, as tendons of the file say, exactly and from the start of an episode on:
    there a tendon that gives way by up to 8 degrees pulls it along.
    """

    hand = "shadow_hand"
    num_actions = 20
    observation_types = ("full", "full_no_vel", "openai", "full_state")

    def actuated_joints(self) -> list[str]:
        """Return all joints but those that follow others."""
        return [name for name in self.robot.dof_names if name not in FOLLOWERS]

    def post_reset(self) -> None:
        """Look at joints, fingertips and those joints that follow others."""
        super().post_reset()
        device, names = self.device, self.robot.body_names
        self.fingertips = torch.tensor([names.index(name) for name in FINGERTIPS], device=device)
        self.followers = torch.tensor([self.robot.get_dof_index(name) for name in FOLLOWERS], device=device)
        self.leaders = torch.tensor([self.robot.get_dof_index(name) for name in FOLLOWERS.values()], device=device)

    def following(self, joints: torch.Tensor) -> torch.Tensor:
        """Return positions of joints, (M, num_dof), with those that follow others where these take them."""
        joints[:, self.followers] = self.task_config["env"]["followerRatio"] * joints[:, self.leaders]
        return joints

    def _terms(self, kind: str) -> list[ObservationTerm]:
        def tips(name: str, source: str) -> ObservationTerm:
            return ObservationTerm(name, source=source, frame="world", body_names=FINGERTIPS)

        full = kind in ("full", "full_state")
        joints, cube = self._joint_terms(full), self._object_terms(full)
        hand = [tips("fingertip_positions", "frame_position")]
        last = ObservationTerm("last_action", self.num_actions, source="last_action")
        if kind == "openai":
            return [*hand, *(term for term in cube if term.name in ("object_position", "turn_from_goal")), last]
        if full:
            hand += [
                tips("fingertip_orientations", "frame_orientation"),
                tips("fingertip_velocities", "body_velocity"),
            ]
        if kind == "full_state":
            wrench = self.task_config["env"]["wrenchObsScale"]
            hand.append(
                ObservationTerm(
                    "fingertip_wrenches", source="incoming_joint_wrench", scale=wrench, body_names=FINGERTIPS
                )
            )
        return [*joints, *cube, *hand, last]

    def observation_terms(self) -> list[ObservationTerm]:
        """Say that joints, cube, goal, fingertips and the last action are observed."""
        return self._terms(self.observation_type)

    def state_terms(self) -> list[ObservationTerm]:
        """Say that the critic sees all, if it alone does."""
        return self._terms("full_state") if self.task_config["env"]["asymmetric_observations"] else []

    def get_observations(self) -> None:
        """Observe joints, cube, goal, fingertips and the last action."""
        kind = "full_state" if self.task_config["env"]["asymmetric_observations"] else self.observation_type
        full = kind in ("full", "full_state")
        seen = self.look(full)
        positions, orientations = (part[:, self.fingertips] for part in self.world.link_poses(self.robot))
        seen["fingertip_positions"] = positions - self._env_pos.unsqueeze(1)
        if full:
            seen["fingertip_orientations"] = orientations
            seen["fingertip_velocities"] = self.world.link_velocities(self.robot)[:, self.fingertips]
        if kind == "full_state":
            seen["fingertip_wrenches"] = self.robot.get_measured_joint_forces(joint_indices=self.fingertips)
        if kind == "openai":
            seen = {term.name: seen[term.name] for term in self.observation_terms()}
        self.observe(seen)
