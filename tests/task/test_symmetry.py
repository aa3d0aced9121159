# SPDX-License-Identifier: Apache-2.0
"""What is seen and done in a mirror, by hand; what is not known of it is named."""

import pytest
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.task.symmetry import Symmetry
from omni.myriad.task.terms import ActionTerm, ObservationTerm

JOINTS = ("left_hip", "right_hip", "left_knee", "right_knee", "waist")
LEGS = Symmetry(swaps={"left": "right"}, flips=("*_hip", "waist"))
ACTION = [ActionTerm("position", JOINTS, scale=(2.0, 2.0, 3.0, 3.0, 1.0), offset=(0.1, -0.1, 0.5, 0.5, 0.0))]


def test_left_becomes_right_and_what_turns_about_x_and_z_changes_sign():
    mirror = LEGS.of_joints(JOINTS)
    assert mirror(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])).tolist() == [-2.0, -1.0, 4.0, 3.0, -5.0]
    actions = LEGS.of_actions([*ACTION, ActionTerm("effort", ("left_wheel", "right_wheel"))])
    given = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]])
    assert actions(given).tolist() == [[-2.0, -1.0, 4.0, 3.0, -5.0, 7.0, 6.0]]
    torch.testing.assert_close(actions(actions(given)), given)


def test_each_source_has_its_signs():
    terms = [
        ObservationTerm("height", source="root_height"),
        ObservationTerm("root_linear_velocity", source="root_linear_velocity"),
        ObservationTerm("root_angular_velocity", source="root_angular_velocity", scale=0.25),
        ObservationTerm("down", source="projected_gravity"),
        ObservationTerm("command", 3, source="command"),
        ObservationTerm("hands", source="frame_position", body_names=("left_hand", "right_hand")),
        ObservationTerm("joints", source="joint_velocity", joint_names=JOINTS[:2]),
        ObservationTerm("last_action", 5, source="last_action"),
        ObservationTerm("wrench", source="incoming_joint_wrench", body_names=("right_foot", "left_foot")),
        ObservationTerm("heights", 4, source="of_ones_own"),
    ]
    symmetry = Symmetry(
        LEGS.swaps,
        LEGS.flips,
        signs={"wrench": (1.0, -1.0, 1.0, -1.0, 1.0, -1.0), "heights": (1.0,) * 4},
        orders={"heights": (1, 0, 3, 2)},
    )
    mirror = symmetry.of_observations(terms, ACTION)
    seen = torch.cat([torch.arange(1.0, term.size + 1.0) for term in terms]).unsqueeze(0)
    expected = [
        [1.0],
        [1.0, -2.0, 3.0],
        [-1.0, 2.0, -3.0],
        [1.0, -2.0, 3.0],
        [1.0, -2.0, -3.0],
        [4.0, -5.0, 6.0, 1.0, -2.0, 3.0],
        [-2.0, -1.0],
        [-2.0, -1.0, 4.0, 3.0, -5.0],
        [7.0, -8.0, 9.0, -10.0, 11.0, -12.0, 1.0, -2.0, 3.0, -4.0, 5.0, -6.0],
        [2.0, 1.0, 4.0, 3.0],
    ]
    assert mirror(seen)[0].tolist() == [number for part in expected for number in part]
    torch.testing.assert_close(mirror(mirror(seen)), seen)


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (ObservationTerm("mine", 2, source="of_ones_own"), "How observation mine looks in a mirror is not known"),
        (
            ObservationTerm("joints", source="joint_position", joint_names=("left_hip", "waist")),
            "says that left_hip is right_hip in a mirror, which there is not",
        ),
        (
            ObservationTerm("joints", source="joint_position", joint_names=JOINTS[:2], offset=(0.1, 0.1)),
            "the offset of number 0 is 0.1, and -0.1 in the mirror",
        ),
        (
            ObservationTerm("joints", source="joint_position", joint_names=JOINTS[:2], scale=(1.0, 2.0)),
            "the scale of number 0 is 1, and 2 in the mirror",
        ),
    ],
)
def test_what_is_not_symmetric_is_named(term, message):
    with pytest.raises(MyriadError, match=message):
        LEGS.of_observations([term], ACTION)
