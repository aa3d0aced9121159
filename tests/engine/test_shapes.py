# SPDX-License-Identifier: Apache-2.0
"""Shapes are read from USD where they are, as big as they are, on the link that carries them."""

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom

from omni.myriad.engine import usd
from omni.myriad.engine.shapes import ground_shapes, robot_shapes
from omni.myriad.task.rl_task import ASSETS_PATH


def stage_with(name):
    stage = Usd.Stage.CreateInMemory()
    prim = stage.DefinePrim(f"/World/envs/env_0/{name}")
    prim.GetReferences().AddReference(str(ASSETS_PATH / name.lower() / f"{name.lower()}.usda"))
    return stage


def test_the_ants_capsules_lie_along_its_legs():
    shapes = robot_shapes(stage_with("Ant"), ["torso", "front_left_leg", "front_left_foot"])
    assert [shape.link for shape in shapes].count("torso") == 5
    assert shapes[0].kind == "sphere" and shapes[0].size == pytest.approx((0.25,))
    assert shapes[0].colour == pytest.approx((0.93, 0.42, 0.1))
    (foot,) = (shape for shape in shapes if shape.link == "front_left_foot")
    assert foot.kind == "capsule" and foot.size == pytest.approx((0.08, np.hypot(0.4, 0.4) / 2))
    x, y, z, w = foot.rotation
    axis = Gf.Rotation(Gf.Quatd(w, x, y, z)).TransformDir(Gf.Vec3d(0, 0, 1))
    assert np.abs(axis) == pytest.approx((0.5**0.5, 0.5**0.5, 0.0), abs=1e-6)
    assert foot.position == pytest.approx((0.2, 0.2, 0.0), abs=1e-6)


def test_scales_become_sizes_and_what_is_hidden_is_left_out():
    stage = stage_with("Cartpole")
    shapes = {shape.link: shape for shape in robot_shapes(stage, ["rail", "cart", "pole"])}
    assert shapes["pole"].kind == "box" and shapes["pole"].size == pytest.approx((0.02, 0.03, 0.5))
    assert shapes["pole"].position == pytest.approx((0.0, 0.0, 0.47))
    UsdGeom.Imageable(stage.GetPrimAtPath("/World/envs/env_0/Cartpole/rail")).MakeInvisible()
    assert [shape.link for shape in robot_shapes(stage, ["rail", "cart", "pole"])] == ["cart", "pole"]


def test_polygons_are_cut_into_triangles():
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.Xform.Define(stage, "/World/envs/env_0/plate")
    mesh = UsdGeom.Mesh.Define(stage, "/World/envs/env_0/plate/mesh")
    mesh.CreatePointsAttr([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)])
    mesh.CreateFaceVertexCountsAttr([4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    (shape,) = robot_shapes(stage, ["plate"])
    assert shape.kind == "mesh" and shape.triangles is not None
    assert shape.triangles.tolist() == [0, 1, 2, 0, 2, 3]


def test_a_shape_that_is_called_as_its_link_lies_where_it_is_in_the_link():
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.Xform.Define(stage, "/World/envs/env_0/arm")
    capsule = UsdGeom.Capsule.Define(stage, "/World/envs/env_0/arm/arm")
    UsdGeom.XformCommonAPI(capsule).SetTranslate((0.1, 0.2, 0.3))
    UsdGeom.XformCommonAPI(capsule).SetRotate((90.0, 0.0, 0.0))
    (shape,) = robot_shapes(stage, ["arm"])
    assert shape.link == "arm" and shape.position == pytest.approx((0.1, 0.2, 0.3))
    assert np.abs(shape.rotation) == pytest.approx((0.5**0.5, 0.0, 0.0, 0.5**0.5))


def test_uneven_ground_is_cut_to_what_is_seen():
    stage = stage_with("Ant")
    heights = (0.25 * np.arange(20.0, dtype=np.float32) ** 2).reshape(5, 4)  # no two cells in one plane
    usd.add_height_field(stage, "/World/terrain", heights, 1.0, (0.0, 0.0), 100.0, 1.0, 1.0, 0.0)
    (ground,) = ground_shapes(stage, np.array([0.9, 0.9]), np.array([2.1, 3.1]))
    assert ground.points is not None and ground.triangles is not None
    assert ground.link == "" and len(ground.points) == 4 * 4 and len(ground.triangles) == 3 * 3 * 2 * 3
    assert ground.points[ground.triangles].min(axis=0).tolist() == [0.0, 0.0, 0.0]
    assert ground.points.max(axis=0).tolist() == [3.0, 3.0, 56.25]
    assert not ground_shapes(stage, np.array([90.0, 90.0]), np.array([91.0, 91.0]))
    assert not ground_shapes(stage_with("Ant"), np.array([-9.0, -9.0]), np.array([9.0, 9.0])), "a plane is none"
