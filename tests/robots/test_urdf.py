# SPDX-License-Identifier: Apache-2.0
"""URDF files that are broken get one clear line, before anything is fetched or converted."""

import pytest

from omni.myriad.errors import MyriadError
from omni.myriad.robots.read import prepare_urdf
from tests.robots.sources import TETRAHEDRON, joint, link

MESH = '<mesh filename="package://bot/meshes/arm.obj"/>'


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([link("base"), link("arm", shape=MESH), joint("j", "base", "arm")],
         "bot.urdf: the mesh package://bot/meshes/arm.obj is missing: say packages=FOLDER"),
        ([link("base"), link("arm", shape='<mesh filename="arm.stl"/>'), joint("j", "base", "arm")],
         "bot.urdf: the mesh arm.stl is missing."),
        ([link("a"), link("b"), link("c"), joint("j", "a", "b"), joint("k", "b", "c"), joint("l", "a", "c")],
         "bot.urdf: link c hangs on two joints, k and l, which closes a loop"),
        ([link("a"), link("b"), joint("j", "a", "b"), joint("k", "b", "a")],
         "bot.urdf has no root, because its joints form a loop"),
        ([link("a"), link("b"), link("c"), link("d"), joint("j", "a", "b"), joint("k", "c", "d")],
         "bot.urdf has several roots: a, c."),
        ([link("a"), joint("j", "a", "b")], "bot.urdf: joint j names a link 'b' that there is not."),
        ([link("a"), link("b"), joint("j", "a", "b", "planar")], "bot.urdf: joint j is planar: robots have revolute"),
    ],
)  # fmt: skip
def test_what_is_broken_is_named(urdf, tmp_path, parts, complaint):
    with pytest.raises(MyriadError) as error:
        prepare_urdf(urdf(*parts), [], tmp_path)
    assert str(error.value).startswith(complaint) and "\n" not in str(error.value)


def test_what_is_no_urdf_is_said(tmp_path):
    (tmp_path / "a.urdf").write_text("<robot")
    with pytest.raises(MyriadError, match="is not XML"):
        prepare_urdf(tmp_path / "a.urdf", [], tmp_path)
    (tmp_path / "a.urdf").write_text("<mujoco/>")
    with pytest.raises(MyriadError, match="no URDF: its outermost element is <mujoco>"):
        prepare_urdf(tmp_path / "a.urdf", [], tmp_path)


@pytest.mark.parametrize("place", ["bot", "elsewhere/bot", "renamed"])
def test_packages_are_found_around_the_file_or_where_they_are_said_to_be(tmp_path, place):
    mesh = tmp_path / place / "meshes/arm.obj"
    mesh.parent.mkdir(parents=True)
    mesh.write_text(TETRAHEDRON)
    file = tmp_path / "bot/urdf/bot.urdf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'<robot name="bot">{link("base")}{link("arm", shape=MESH)}{joint("j", "base", "arm")}</robot>')
    if place == "renamed":
        with pytest.raises(MyriadError, match="is missing"):
            prepare_urdf(file, [mesh.parents[1]], tmp_path)
        return
    packages = [mesh.parents[2]] if "elsewhere" in place else []
    _, robot = prepare_urdf(file, packages, tmp_path)
    assert {element.get("filename") for element in robot.iter("mesh")} == {str(mesh)}
