# SPDX-License-Identifier: Apache-2.0
"""What is changed of a robot, by numbers worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest

from omni.myriad.errors import MyriadError
from omni.myriad.robots.model import Hinge, Link, Model, quaternion, rotation_about_x, translation, x_to
from omni.myriad.robots.repair import repair


def rod(mass=1.0, com=(0.0, 0.0, 0.0), moments=(0.02, 0.02, 0.01)):
    return Link(mass, np.array(com), np.diag(moments))


def hinge(name, parent, child, at=(0.0, 0.0, 1.0), kind="revolute", axis=(0, 1, 0), **others):
    to_x = x_to(np.array(axis)) if kind != "fixed" else np.eye(4)
    return Hinge(name, kind, parent, child, translation(list(at)) @ to_x, to_x.copy(), **others)


def model(links, hinges, **others):
    return Model(links=links, hinges=hinges, root=next(iter(links)), **others)


def repaired(robot, keep=(), without=(), fixed_base=None, home=None):
    repair(robot, keep, without, fixed_base, home or {})
    return robot


def test_a_fixed_link_gives_mass_and_inertia_by_the_parallel_axis_theorem():
    links = {"base": rod(), "arm": rod(2.0), "ball": rod(1.0, moments=(0.1, 0.1, 0.1))}
    robot = repaired(model(links, [hinge("j", "base", "arm"), hinge("f", "arm", "ball", (0.0, 0.0, 3.0), "fixed")]))
    arm = robot.links["arm"]
    assert list(robot.links) == ["base", "arm"]
    assert arm.mass == pytest.approx(3.0, rel=1e-12)
    np.testing.assert_allclose(arm.com, (0, 0, 1.0), atol=1e-12)  # (2 * 0 + 1 * 3) / 3
    # 2 kg are 1 m and 1 kg is 2 m from there: 0.02 + 2 * 1 + 0.1 + 1 * 4, and nothing more along z.
    np.testing.assert_allclose(np.diagonal(arm.inertia), (6.12, 6.12, 0.11), rtol=1e-12)
    assert robot.frames["ball"][0] == "arm"
    np.testing.assert_allclose(robot.frames["ball"][1], translation([0, 0, 3.0]))
    assert "merged into what they are fixed to, and kept as frames: ball" in robot.changes


def test_a_turned_fixed_link_turns_its_inertia_and_carries_frames_and_joints_along():
    turned = hinge("f", "arm", "ball", kind="fixed")
    turned.frame0 = translation([0, 0, 1.0]) @ rotation_about_x(math.pi / 2)  # its z is the arm's -y
    links = {"base": rod(), "arm": rod(1e-9, moments=(0, 0, 0)), "ball": rod(1.0), "hand": rod()}
    robot = model(links, [hinge("j", "base", "arm"), turned, hinge("k", "ball", "hand", (0.0, 0.0, 2.0))])
    robot.frames["tip"] = ("ball", translation([0, 0, 5.0]))
    repaired(robot)
    np.testing.assert_allclose(np.diagonal(robot.links["arm"].inertia), (0.02, 0.01, 0.02), atol=1e-6)
    np.testing.assert_allclose(robot.frames["tip"][1][:3, 3], (0, -5, 1), atol=1e-12)
    (k,) = (h for h in robot.hinges if h.name == "k")
    assert k.parent == "arm"
    np.testing.assert_allclose(k.frame0[:3, 3], (0, -2, 1), atol=1e-12)


def test_links_that_are_kept_stay():
    links = {"base": rod(), "arm": rod(), "ball": rod()}
    hinges = [hinge("j", "base", "arm"), hinge("f", "arm", "ball", kind="fixed")]
    robot = repaired(model(links, hinges), keep=["ball"])
    assert list(robot.links) == ["base", "arm", "ball"] and [h.name for h in robot.dofs()] == ["j"]
    with pytest.raises(MyriadError, match="keep=bell is not of this robot, which has: base, arm, ball"):
        repaired(model(links, hinges), keep=["bell"])


def test_a_root_without_mass_gives_way_to_what_is_fixed_to_it():
    links = {"world": Link(0.0), "base": rod(), "arm": rod()}
    robot = repaired(model(links, [hinge("f", "world", "base", kind="fixed"), hinge("j", "base", "arm")]))
    assert robot.root == "base" and robot.frames["world"][0] == "base"
    np.testing.assert_allclose(robot.frames["world"][1][:3, 3], (0, 0, -1.0))


@pytest.mark.parametrize(("limbs", "fixed"), [(1, True), (2, False), (4, False)])
def test_the_base_is_guessed_by_its_limbs_with_a_reason(limbs, fixed):
    links = {"base": rod(), **{f"leg{i}": rod() for i in range(limbs)}}
    robot = repaired(model(links, [hinge(f"j{i}", "base", f"leg{i}") for i in range(limbs)]))
    assert robot.fixed_base is fixed and f"fixed_base={not fixed} says otherwise" in robot.changes[0]
    other = repaired(model(links, [hinge(f"j{i}", "base", f"leg{i}") for i in range(limbs)]), fixed_base=not fixed)
    assert other.fixed_base is not fixed


def test_several_joints_between_two_links_get_light_links_and_move_alike():
    hinges = [
        hinge("x", "base", "thigh", axis=(1, 0, 0)),
        hinge("y", "base", "thigh"),
        hinge("z", "base", "thigh", axis=(0, 0, 1)),
    ]
    robot = repaired(model({"base": rod(), "thigh": rod()}, hinges))
    assert [(h.name, h.parent, h.child) for h in robot.dofs()] == [
        ("x", "base", "thigh_x"),
        ("y", "thigh_x", "thigh_y"),
        ("z", "thigh_y", "thigh"),
    ]
    assert sum(robot.links[name].mass or 0 for name in ("thigh_x", "thigh_y", "thigh")) == pytest.approx(1.0, rel=1e-12)
    pose = robot.poses({"x": math.pi / 2, "z": math.pi / 2})["thigh"]
    # Turned about x: y becomes z; then about its own z: x becomes its y, which is z of the base.
    np.testing.assert_allclose(pose[:3, :3] @ (1, 0, 0), (0, 0, 1), atol=1e-12)
    np.testing.assert_allclose(pose[:3, 3], (0, 0, 1), atol=1e-12)


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        (rod(0.0), "Link arm moves and has no mass"),
        (rod(math.nan), "Link arm moves and has no mass"),
        (rod(moments=(0, 0, 0)), "Link arm has an impossible inertia: its principal moments are 0, 0, 0 kg m"),
        (rod(moments=(0.1, 0.1, -0.1)), "all must be above 0"),
        (rod(moments=(0.3, 0.1, 0.1)), "0.1, 0.1, 0.3 kg m.2 none may exceed the sum of the others"),
    ],
)
def test_impossible_masses_are_refused_by_name(link, complaint):
    with pytest.raises(MyriadError, match=complaint):
        repaired(model({"base": rod(), "arm": link}, [hinge("j", "base", "arm")]))


def test_an_inertia_that_was_rounded_is_made_possible():
    robot = repaired(model({"base": rod(), "arm": rod(moments=(0.1, 0.1, 0.202))}, [hinge("j", "base", "arm")]))
    moments = np.linalg.eigvalsh(robot.links["arm"].inertia)
    assert moments[2] <= moments[0] + moments[1] and moments[2] == pytest.approx(0.202)
    assert "inertia of arm made possible: it missed by 1.0%" in robot.changes


def test_joints_follow_one_that_follows_none():
    limits: Any = {"lower": -1.0, "upper": 1.0}
    hinges = [
        hinge("a", "base", "l", **limits),
        hinge("b", "l", "m", mimic=("a", 2.0, 0.1), **limits),
        hinge("c", "m", "n", mimic=("b", 3.0, 0.5), **limits),
    ]
    links = {"base": rod(), "l": rod(), "m": rod(), "n": rod()}
    robot = repaired(model(links, hinges), home={"a": 0.05})
    assert robot.hinges[2].mimic == ("a", 6.0, pytest.approx(0.8))
    assert robot.home == {"a": 0.05, "b": pytest.approx(0.2), "c": 1.0}  # 1.1 is beyond its limit
    hinges[0].mimic = ("c", 1.0, 0.0)
    with pytest.raises(MyriadError, match="follow"):
        repaired(model(links, hinges))


def test_joints_start_at_0_or_in_the_middle_of_a_range_without_it():
    hinges = [hinge("a", "base", "l"), hinge("b", "l", "m", lower=1.0, upper=2.0), hinge("c", "m", "n", start=0.3)]
    robot = repaired(model({"base": rod(), "l": rod(), "m": rod(), "n": rod()}, hinges))
    assert robot.home == {"a": 0.0, "b": 1.5, "c": 0.3}


def test_friction_is_left_out_where_it_is_not_believed():
    robot = model({"base": rod(), "arm": rod()}, [hinge("j", "base", "arm", friction=10.0, damping=1.0)])
    repaired(robot, without=["friction"])
    assert (robot.hinges[0].friction, robot.hinges[0].damping) == (0.0, 1.0)
    assert "friction of 1 joints left out, as asked: up to 10 in the file" in robot.changes


@pytest.mark.parametrize("turn", [x_to(np.array(axis)) for axis in ((0, 1, 0), (0, 0, -1), (-1, 0, 0), (1, 2, 3))])
def test_quaternions_turn_as_their_matrices(turn):
    for matrix in (turn, turn @ rotation_about_x(math.pi), turn @ rotation_about_x(-2.0)):
        w, x, y, z = quaternion(matrix)
        v = np.array((0.3, -0.2, 0.7))
        turned = v + 2 * np.cross((x, y, z), np.cross((x, y, z), v) + w * v)  # Rodrigues' formula
        np.testing.assert_allclose(turned, matrix[:3, :3] @ v, atol=1e-12)
