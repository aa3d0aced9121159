# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 package's logic without ROS: messages' fields in, commands out."""

import ast
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import torch
from myriad_policy.mapping import IMU_SOURCES, PolicyMapping, imu_reading, joint_state_fields
from myriad_policy.runtime import Command, Policy, PolicyError

from omni.myriad.maths import get_euler_xyz
from tests.policy.conftest import hand_made  # noqa: F401 - a fixture
from tests.policy.test_runtime import among_things

PACKAGE = Path(__file__).resolve().parents[2] / "ros2"
NO_COVARIANCE = [0.0] * 9
HALF = math.sqrt(0.5)


@pytest.fixture
def mapping(hand_made):  # noqa: F811
    return PolicyMapping(Policy(hand_made()))


@pytest.fixture
def imu_mapping(hand_made):  # noqa: F811
    def change(meta):
        del meta["golden"]["commands"]  # which are those of other terms
        term = meta["observations"]["terms"][2]
        term |= {"name": "up", "source": "root_up_projection", "scale": [0.1]}

    return PolicyMapping(Policy(hand_made(change)))


def give_joints(mapping, stamp=0.0):
    mapping.on_joint_state(["gripper", "b", "c", "a"], [9.0, 1.05, 0.0, 1.1], [0.0, 7.0, 0.0, 0.0], stamp)


def test_joints_and_topics_become_commands(mapping):
    assert (mapping.imu_terms, mapping.topic_terms) == ([], ["height"])
    give_joints(mapping, stamp=1.0)
    mapping.on_term("height", [0.02], 1.0)
    command = mapping.command(now=1.01)
    assert command.effort == pytest.approx({"a": 30.0}, rel=1e-5)
    assert command.position == pytest.approx({"c": 0.35}, rel=1e-5)


def test_an_imu_answers_terms(imu_mapping):
    assert (imu_mapping.imu_terms, imu_mapping.topic_terms) == (["up"], [])
    give_joints(imu_mapping)
    with pytest.raises(PolicyError, match="no IMU measurement has come yet; the policy needs up"):
        imu_mapping.command(now=0.0)
    # Rolled by 60 degrees, up is cos 60 = 0.5: obs[3] = 0.05, and the effort (0.1 + 0.05) * 100.
    tilt = math.radians(60.0) / 2
    imu_mapping.on_imu(imu_reading([math.sin(tilt), 0.0, 0.0, math.cos(tilt)], NO_COVARIANCE, [0.0] * 3), 0.0)
    assert imu_mapping.command(now=0.0).effort["a"] == pytest.approx(15.0, rel=1e-5)


def test_the_oldest_measurement_counts(mapping):
    give_joints(mapping, stamp=1.0)
    mapping.on_term("height", [0.0], 0.9)
    with pytest.raises(PolicyError, match=r"0\.100 s old, more than 0\.040 s: stale"):
        mapping.command(now=1.0)


def test_poses_of_things_answer_terms(hand_made):  # noqa: F811
    def change(meta):
        among_things(meta)
        meta["observations"]["terms"][1]["frame"] = "tip"

    mapping = PolicyMapping(Policy(hand_made(change)))
    assert (mapping.topic_terms, mapping.places) == ([], ["Cube", "tip"])
    give_joints(mapping, stamp=1.0)
    mapping.on_pose("Cube", (0.8, 2.0, 3.0), (0.0, 0.0, 0.0, 1.0), 0.99)
    with pytest.raises(PolicyError, match="no pose of tip has come yet"):
        mapping.command(now=1.0)
    # The tip's y is the world's -x, where the cube is 0.2 m ahead: the effort is (0.1 + 0.2) * 100.
    mapping.on_pose("tip", (1.0, 2.0, 0.0), (0.0, 0.0, HALF, HALF), 1.0)
    assert mapping.command(now=1.0).effort["a"] == pytest.approx(30.0, rel=1e-5)
    give_joints(mapping, stamp=2.0)
    mapping.on_pose("tip", (1.0, 2.0, 0.0), (0.0, 0.0, HALF, HALF), 2.0)
    with pytest.raises(PolicyError, match=r"1\.010 s old"):  # the cube has not been seen since
        mapping.command(now=2.0)


def test_what_has_not_come_is_named(mapping):
    with pytest.raises(PolicyError, match="no joint state has come yet"):
        mapping.command(now=0.0)
    give_joints(mapping)
    with pytest.raises(PolicyError, match="no value of height has come yet"):
        mapping.command(now=0.0)
    with pytest.raises(PolicyError, match="0 velocities for 1 joints"):
        mapping.on_joint_state(["a"], [0.0], [], 0.0)


def test_joints_may_come_in_several_messages(mapping):
    mapping.on_joint_state(["a"], [1.1], [0.0], 0.0)
    mapping.on_term("height", [0.02], 0.0)
    with pytest.raises(PolicyError, match="joint_positions lacks b"):
        mapping.command(now=0.0)
    mapping.on_joint_state(["b"], [1.05], [7.0], 0.0)
    mapping.on_joint_state(["c"], [0.0], [0.0], 0.0)
    assert mapping.command(now=0.0).effort["a"] == pytest.approx(30.0, rel=1e-5)
    mapping.on_joint_state(["a", "c"], [1.1, 0.0], [0.0, 0.0], 1.0)
    mapping.on_term("height", [0.02], 1.0)
    with pytest.raises(PolicyError, match=r"1\.000 s old"):  # b has not been heard of since
        mapping.command(now=1.0)


def test_safe_command_holds_and_does_not_push(mapping):
    assert mapping.safe_command() == Command(effort={"a": 0.0})
    mapping.on_joint_state(["a", "b", "c"], [0.1, 0.2, 0.3], [0.0] * 3, 0.0)
    assert mapping.safe_command() == Command(effort={"a": 0.0}, position={"c": 0.3})


def test_commands_as_joint_state():
    names, positions, velocities, efforts = joint_state_fields(Command(effort={"a": 3.0}, position={"c": 0.5}))
    assert names == ["c", "a"]
    np.testing.assert_equal(positions, [0.5, math.nan])
    assert velocities == []
    np.testing.assert_equal(efforts, [math.nan, 3.0])


def test_imu_readings():
    assert imu_reading([0, 0, 0, 0], [-1.0] + [0.0] * 8, [1, 2, 3]).orientation is None
    with pytest.raises(PolicyError, match=r"norm 0\.000, so it is no rotation"):
        imu_reading([0, 0, 0, 0], NO_COVARIANCE, [0] * 3)
    with pytest.raises(PolicyError, match="the IMU has none"):
        IMU_SOURCES["root_yaw"](imu_reading([0, 0, 0, 1], [-1.0] + [0.0] * 8, [0] * 3))


def test_quantities_from_an_imu():
    on_its_side = imu_reading([HALF, 0.0, 0.0, HALF], NO_COVARIANCE, [0.1, 0.2, 0.3])  # x forward, y up
    np.testing.assert_allclose(IMU_SOURCES["projected_gravity"](on_its_side), [0.0, -1.0, 0.0], atol=1e-12)
    assert IMU_SOURCES["root_up_projection"](on_its_side) == pytest.approx(0.0)
    assert IMU_SOURCES["root_roll"](on_its_side) == pytest.approx(math.pi / 2)
    np.testing.assert_allclose(IMU_SOURCES["root_orientation"](on_its_side), [HALF, HALF, 0.0, 0.0])
    assert IMU_SOURCES["root_angular_velocity"](on_its_side).tolist() == [0.1, 0.2, 0.3]


def test_angles_are_those_of_the_simulation():
    quaternions = np.random.default_rng(0).normal(size=(50, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    wanted = get_euler_xyz(torch.from_numpy(quaternions))
    for i, (w, x, y, z) in enumerate(quaternions):
        reading = imu_reading([x, y, z, w], NO_COVARIANCE, [0.0] * 3)
        for source, values in zip(("root_roll", "root_pitch", "root_yaw"), wanted, strict=True):
            difference = IMU_SOURCES[source](reading) - float(values[i])
            assert math.sin(difference / 2) == pytest.approx(0.0, abs=1e-6)


def test_the_package_is_complete():
    package = ElementTree.parse(PACKAGE / "package.xml").getroot()
    name = package.findtext("name", "")
    assert (PACKAGE / "resource" / name).is_file() and (PACKAGE / name / "node.py").is_file()
    depends = {element.text for element in package.findall("exec_depend")}
    node = ast.parse((PACKAGE / name / "node.py").read_text())
    imported = {str(n.module).split(".")[0] for n in ast.walk(node) if isinstance(n, ast.ImportFrom)} - {
        "__future__",
        "collections",
    }
    assert imported - {name} <= depends
    runtime = PACKAGE / name / "runtime.py"
    assert runtime.read_text() == (PACKAGE.parent / "omni/myriad/policy/runtime.py").read_text()
