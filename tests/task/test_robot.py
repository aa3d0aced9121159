# SPDX-License-Identifier: Apache-2.0
"""Frames of robots by hand-worked numbers, homes, and markers, on real physics."""

import math

import pytest
import torch
from pxr import UsdGeom

from omni.myriad.engine import ArticulationView
from omni.myriad.engine.shapes import robot_shapes
from omni.myriad.errors import MyriadError
from omni.myriad.task.robot import Robots

SWING = """
import torch
from omni.myriad import RLTask


class Swing(RLTask):
    robot = "pendulum"

    def set_up_scene(self, scene):
        self.goals = self.add_marker("Goal", "box", (0.1, 0.2, 0.3), (0.0, 0.5, 1.0)).positions
        super().set_up_scene(scene)

    def get_observations(self):
        self.obs_buf[:] = self.robot.frame_poses("tip")[0]

    def calculate_metrics(self):
        self.rew_buf[:] = self.obs_buf[:, 2]

    def pre_physics_step(self, actions):
        self.robot.set_joint_efforts(actions)

    def reset_idx(self, env_ids):
        super().reset_idx(env_ids)
        self.goals[env_ids] = torch.rand(len(env_ids), 3)
"""


@pytest.fixture
def swing(task_of, pendulum):
    return task_of(SWING)


def place(robot, engine, cart, angle, cart_speed=0.0, turning=0.0):
    robot.set_joint_positions(torch.tensor([[cart, angle]] * 3))
    robot.set_joint_velocities(torch.tensor([[cart_speed, turning]] * 3))
    engine.update_kinematics()


def test_the_view_is_the_engines_own_and_knows_frames(swing):
    robot = swing.task.robot
    assert isinstance(robot, ArticulationView) and isinstance(robot, Robots)
    assert swing.engine.robots() == {"robots": robot}
    assert robot.frame_names == ["rail", "cart", "pole", "tip"]
    with pytest.raises(MyriadError, match="robots has no frame 'tap'; it has: rail, cart, pole, tip"):
        robot.frame_poses("tap")


def test_frames_are_where_they_should_be(swing):
    robot, angle = swing.task.robot, 0.3
    place(robot, swing.engine, 0.4, angle)
    positions, orientations = robot.frame_poses("tip")
    # The pole hangs on the cart 0.12 m ahead, and turns about x; environments are apart, and yet the numbers the same.
    torch.testing.assert_close(positions, torch.tensor([[0.12, 0.4 - math.sin(angle), math.cos(angle)]] * 3))
    half, c, s = 0.5**0.5, math.cos(angle / 2), math.sin(angle / 2)
    torch.testing.assert_close(orientations, torch.tensor([[c * half, s * half, -s * half, c * half]] * 3))
    both, turns = robot.frame_poses(["cart", "tip"])
    assert both.shape == (3, 2, 3) and turns.shape == (3, 2, 4)
    torch.testing.assert_close(both[:, 1], positions)
    torch.testing.assert_close(both[:, 0], torch.tensor([[0.0, 0.4, 0.0]] * 3))


def test_frames_move_as_their_jacobian_says_and_as_they_do(swing):
    robot, angle, speed, turning = swing.task.robot, 0.3, 0.7, -1.1
    place(robot, swing.engine, 0.4, angle, speed, turning)
    velocities = robot.frame_velocities("tip")
    by_hand = [0.0, speed - math.cos(angle) * turning, -math.sin(angle) * turning, turning, 0.0, 0.0]
    torch.testing.assert_close(velocities, torch.tensor([by_hand] * 3), rtol=0.0, atol=1e-5)
    jacobians = robot.frame_jacobians("tip")
    moved = (jacobians @ torch.tensor([speed, turning])).squeeze(-1)
    torch.testing.assert_close(moved, velocities, rtol=0.0, atol=1e-5)
    several = robot.frame_jacobians(["cart", "tip"])
    assert several.shape == (3, 2, 6, 2)
    torch.testing.assert_close(several[:, 1], jacobians)
    torch.testing.assert_close(robot.frame_velocities(["cart", "tip"])[:, 1], velocities)
    with pytest.raises(MyriadError, match="rail does not move"):
        robot.frame_jacobians("rail")


def test_an_imported_robot_starts_and_restarts_at_home(swing):
    robot = swing.task.robot
    assert robot.get_joint_positions().tolist() == [[-1.0, 0.5]] * 3
    swing.reset()
    for _ in range(20):
        swing.step(torch.ones(3, 2))
    assert (robot.get_joint_positions() - torch.tensor([-1.0, 0.5])).abs().min() > 0.01
    swing.task.reset_idx(torch.tensor([1]))
    assert robot.get_joint_positions()[1].tolist() == [-1.0, 0.5]


def test_a_home_of_another_robot_is_named(task_of, pendulum):
    text = (pendulum / "robot.yaml").read_text()
    (pendulum / "robot.yaml").write_text(text.replace("poleJoint", "elbow"))
    with pytest.raises(MyriadError, match="no joint 'elbow' to put home; it has: cartJoint, poleJoint"):
        task_of(SWING)


def test_a_reset_of_ones_own_is_called_around_the_tutorials_method(swing):
    swing.reset()
    assert swing.task.reset_buf.tolist() == [0, 0, 0] and swing.task.goals.any()


def test_a_marker_is_seen_and_touches_nothing(swing):
    stage = swing.engine.stage
    (shape,) = robot_shapes(stage, ["Goal"])
    assert shape.kind == "box" and shape.size == pytest.approx((0.05, 0.1, 0.15))
    assert shape.colour == pytest.approx((0.0, 0.5, 1.0))
    schemas = stage.GetPrimAtPath("/World/envs/env_0/Goal/shape").GetAppliedSchemas()
    assert not schemas, "nothing of physics"
    assert UsdGeom.Cube(stage.GetPrimAtPath("/World/envs/env_0/Goal/shape"))
    assert swing.task.markers["Goal"].positions is swing.task.goals
    assert torch.equal(swing.get_env_state()["task"]["goals"], swing.task.goals)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (('"box"', '"cone"'), "Marker Goal cannot be a cone: choose one of sphere, box"),
        (('"box"', '"sphere"'), None),
        (('add_marker("Goal"', 'add_marker("Goal"); self.add_marker("Goal"'), "Marker Goal needs a name of its own"),
    ],
)
def test_markers_mistakes_are_named(task_of, pendulum, edit, message):
    if message is None:
        assert task_of(SWING, edit=edit).task.markers["Goal"].orientations.tolist() == [[1.0, 0.0, 0.0, 0.0]] * 3
        return
    with pytest.raises(MyriadError, match=message):
        task_of(SWING, edit=edit)
