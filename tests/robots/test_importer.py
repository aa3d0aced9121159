# SPDX-License-Identifier: Apache-2.0
"""A whole import, tried in PhysX: of USD files, for which no converter has to be fetched."""

import importlib
from typing import Any

import numpy as np
import pytest

from omni.myriad.errors import MyriadError
from omni.myriad.places import data_folder
from omni.myriad.robots import Mimic, Robot, find, write
from omni.myriad.robots import trial as trials
from omni.myriad.robots.importer import import_robot
from tests.robots.sources import HAND

mujoco: Any = importlib.import_module("mujoco")


@pytest.fixture
def robot(arm, tmp_path):
    found = {}
    robot = import_robot(str(arm), tmp_path / "out", finish=lambda robot, trial, folder: found.update(trial=trial))
    return robot, found["trial"]


def test_nested_bodies_become_a_robot_that_physx_and_mujoco_agree_about(robot):
    robot, trial = robot
    assert (robot.name, robot.fixed_base, list(robot.links)) == ("arm", True, ["base", "arm"])
    assert robot.links["arm"] == pytest.approx(1.5, rel=1e-6)
    (elbow,) = robot.joints
    assert (elbow.name, elbow.type, elbow.effort) == ("elbow", "revolute", 20.0)
    assert (elbow.lower, elbow.upper) == pytest.approx((-np.pi / 2, np.pi / 4), rel=1e-6)
    assert elbow.damping == pytest.approx(0.01 * 180 / np.pi, rel=1e-6)
    assert robot.frames["tool"].link == "arm" and robot.frames["tool"].position == pytest.approx((0, 0, 0.5))
    assert "merged into what they are fixed to, and kept as frames: tool" in robot.changes
    assert max(trial.pose_difference, trial.torque_difference) < 1e-5 and trial.masses == pytest.approx([2.0, 1.5])


def test_the_mjcf_has_the_usds_joints_and_balances_gravity_as_worked_out_by_hand(robot):
    robot, _ = robot
    model = mujoco.MjModel.from_xml_path(str(robot.mjcf))
    data = mujoco.MjData(model)
    data.qpos[:] = np.pi / 4
    mujoco.mj_forward(model, data)
    # 1 kg at 0.2 m and 0.5 kg at 0.5 m, leaning by 45 degrees: gravity pulls on by 9.81 * (0.2 + 0.25) * sin 45.
    assert data.qfrc_bias[0] == pytest.approx(-9.81 * 0.45 * np.sin(np.pi / 4), rel=1e-5)
    assert model.actuator(0).name == model.joint(0).name == "elbow"


def test_each_joint_was_swept_through_its_limits(robot):
    _, trial = robot
    positions, orientations = trial.motion["elbow"]
    angles = 2 * np.arctan2(orientations[:, 1, 2], orientations[:, 1, 0])
    assert angles.min() == pytest.approx(-np.pi / 2, abs=0.1) and angles.max() == pytest.approx(np.pi / 4, abs=0.1)
    assert positions.shape == (len(angles), 2, 3)


def test_what_is_imported_is_found_again(robot, cache, arm):
    robot, _ = robot
    assert find(robot.folder) == robot
    again = import_robot(str(arm))
    assert again.folder.parent == cache / "robots" and find(arm) == again
    assert [file.name for file in again.folder.parent.iterdir() if file.suffix == ".part"] == []


def test_a_finger_that_follows_another_is_moved_by_it_alone(tmp_path, monkeypatch):
    (tmp_path / "hand.usda").write_text(HAND)
    found = {}
    robot = import_robot(
        str(tmp_path / "hand.usda"), tmp_path / "out", finish=lambda _, trial, __: found.update(t=trial)
    )
    assert robot.joints[1].mimic == Mimic("slide_left", -1.0, 0.0)
    assert list(found["t"].motion) == ["slide_left"]  # what follows is not driven
    palm, left, right = np.moveaxis(found["t"].motion["slide_left"][0], 1, 0)
    np.testing.assert_allclose(left - palm, (right - palm) * (1, -1, 1), atol=2e-3)
    assert np.ptp(left[:, 1]) == pytest.approx(0.05, abs=5e-3)
    monkeypatch.setattr(write, "_write_mimic", lambda *_: None)
    with pytest.raises(MyriadError, match="Joint slide_right does not follow slide_left"):
        import_robot(str(tmp_path / "hand.usda"), tmp_path / "again")


def test_our_own_robots_can_be_imported_too(tmp_path):
    robot = import_robot(str(data_folder("assets") / "ant/ant.usda"), tmp_path / "ant")
    assert not robot.fixed_base and len(robot.joints) == 8
    assert sum(robot.links.values()) == pytest.approx(0.911, abs=1e-3)
    assert robot.home.joints["front_left_foot"] == pytest.approx(np.pi / 4)
    assert 0.1 < robot.home.height < 0.6


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("float physics:mass = 1\n", "float physics:mass = 0.0001\n", None),
        ("metersPerUnit = 1", "metersPerUnit = 0.01", "arm.usda must be in metres with z up"),
        ("(0.02, 0.02, 0.001)", "(0.02, 0.001, 0.001)", "Link arm has an impossible inertia"),
        ("def PhysicsRevoluteJoint", "def PhysicsSphericalJoint", "Joint elbow is a SphericalJoint"),
        ("def PhysicsRevoluteJoint", "def PhysicsFixedJoint", "arm.usda has no joint that moves"),
        ("PhysicsRigidBodyAPI", "PhysicsNothingAPI", "arm.usda holds no robot: it has no rigid body."),
        ('defaultPrim = "arm"', 'defaultPrim = "arm', "arm.usda cannot be read"),
    ],
)
def test_usd_files_that_are_no_robots_are_refused_and_leave_nothing(arm, tmp_path, old, new, complaint):
    assert old in arm.read_text()
    arm.write_text(arm.read_text().replace(old, new))
    if complaint is None:
        import_robot(str(arm), tmp_path / "out")  # light is no mistake
        return
    with pytest.raises(MyriadError, match=complaint):
        import_robot(str(arm), tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir() if "out" in file.name and not file.name.endswith(".lock")] == []


def test_a_robot_that_is_not_what_mujoco_reads_fails(arm, tmp_path, monkeypatch):
    real = trials.try_out

    def with_another_judge(usd, model, judge, *others):
        judge.body_mass[-1] *= 1.01
        return real(usd, model, judge, *others)

    monkeypatch.setattr("omni.myriad.robots.importer.try_out", with_another_judge)
    with pytest.raises(MyriadError, match=r"The moving links weigh 1.5 kg, in MuJoCo 1.515 kg"):
        import_robot(str(arm), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_not_written_into(arm, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(MyriadError, match="exists: name a folder that does not"):
        import_robot(str(arm), tmp_path / "out")


def test_robots_have_a_readable_description(robot):
    robot, _ = robot
    text = (robot.folder / "robot.yaml").read_text()
    assert "fixed_base: true" in text and "source: arm.usda" in text
    assert Robot.read(robot.folder) == robot
    (robot.folder / "robot.yaml").write_text(text.replace("format: ", "format: 1"))
    with pytest.raises(MyriadError, match="another version"):
        Robot.read(robot.folder)
    (robot.folder / "robot.yaml").write_text("joints: 3")
    with pytest.raises(MyriadError, match="import the robot again"):
        Robot.read(robot.folder)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("pnada", "did you mean panda"),
        ("anymal", "did you mean anymal_c, anymal_b"),
        ("qwertz", "they are: panda, anymal_c"),
        ("gone.urdf", "There is no file gone.urdf."),
    ],
)
def test_what_is_not_there_is_said_with_what_is_near(name, complaint):
    with pytest.raises(MyriadError, match=complaint):
        find(name)
