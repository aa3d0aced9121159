# SPDX-License-Identifier: Apache-2.0
"""AllegroHand: a hand with four fingers turns a cube to one orientation after another."""

from omni.myriad import ObservationTerm

from ._in_hand import InHandManipulation


class AllegroHand(InHandManipulation):
    """OmniIsaacGymEnvs' AllegroHand: 72 observations ("full") or 50 ("full_no_vel"), 16 actions, 600 steps at 30 Hz.

    The hand is Wonik's own description from the catalogue. Joint friction is left out: what is 0.01 there is a factor
    that PhysX no longer has.
    """

    hand = "allegro"
    num_actions = 16
    observation_types = ("full", "full_no_vel")

    def observation_terms(self) -> list[ObservationTerm]:
        """Say that joints, cube, goal and the last action are observed."""
        full = self.observation_type == "full"
        last = ObservationTerm("last_action", self.num_actions, source="last_action")
        return [*self._joint_terms(full), *self._object_terms(full), last]

    def get_observations(self) -> None:
        """Observe joints, cube, goal and the last action."""
        self.observe(self.look(self.observation_type == "full"))
