# SPDX-License-Identifier: Apache-2.0
"""What each PhysX scene gets of a task's stage."""

import torch
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from omni.myriad import engine as engines
from omni.myriad.engine import usd
from omni.myriad.engine.physx import scene

SHAPES = [(shape, axis) for shape in (UsdGeom.Cylinder, UsdGeom.Cone) for axis in "XYZ"]


def add_bodies(stage, weighed=True):
    """Author a cylinder and a cone along each axis, tilted and above the ground."""
    for i, (kind, axis) in enumerate(SHAPES):
        body = UsdGeom.Xform.Define(stage, f"/World/envs/env_0/body{i}")
        body.AddTranslateOp().Set(Gf.Vec3d(2.0 * i, 0.0, 0.6))
        body.AddRotateXYZOp().Set(Gf.Vec3f(25.0, 35.0, 10.0))
        UsdPhysics.RigidBodyAPI.Apply(body.GetPrim())
        mass = UsdPhysics.MassAPI.Apply(body.GetPrim())
        mass.CreateMassAttr(1.0)
        if weighed:
            mass.CreateDiagonalInertiaAttr(Gf.Vec3f(0.01, 0.02, 0.03))
            mass.CreateCenterOfMassAttr(Gf.Vec3f(0.0))
        shape = kind.Define(stage, f"{body.GetPath()}/shape")
        shape.CreateRadiusAttr(0.15)
        shape.CreateHeightAttr(0.4)
        shape.CreateAxisAttr(axis)
        shape.AddScaleOp().Set(Gf.Vec3f(0.8))
        UsdPhysics.CollisionAPI.Apply(shape.GetPrim())


def simplify(layer):
    stage = Usd.Stage.Open(layer)
    usd.simplify_round_shapes(stage.GetPseudoRoot())


def kinds_of(layer):
    return [layer.GetPrimAtPath(f"/World/envs/env_0/body{i}/shape").typeName for i in range(len(SHAPES))]


def test_cylinders_and_cones_made_for_a_gpu_fall_and_roll_as_physx_own(engine_of, monkeypatch):
    flatten = scene.flatten

    def simplified(*arguments):
        layer = flatten(*arguments)
        simplify(layer)
        assert kinds_of(layer) == ["Mesh"] * len(SHAPES)
        return layer

    def path_of_bodies():
        engine = engine_of("engine.shards=1")
        engine.add_ground_plane("/World/ground", 1.0, 1.0, 0.0)
        add_bodies(engine.stage)
        engine.clone_environments(1, 4.0)
        bodies = engine.scene.add(engines.RigidPrimView("/World/envs/.*/body.*", name="bodies"))
        engine.reset()
        path = []
        for _ in range(20):
            engine.step(5)
            path.append(torch.cat(bodies.get_world_poses(), dim=-1))
        engine.close()
        return torch.stack(path)

    expected = path_of_bodies()
    monkeypatch.setattr(scene, "flatten", simplified)
    path = path_of_bodies()

    torch.testing.assert_close(path[:, :3], expected[:, :3], atol=2e-3, rtol=0.0)  # cylinders
    torch.testing.assert_close(path, expected, atol=2e-2, rtol=0.0)  # cones rock on
    assert (path[-1, :, 2] < 0.2).all(), "they lie on the ground"


def test_shapes_that_a_body_is_weighed_by_stay_round():
    stage = usd.new_stage()
    add_bodies(stage, weighed=False)
    layer: Sdf.Layer = stage.Flatten()
    simplify(layer)

    assert set(kinds_of(layer)) == {"Cylinder", "Cone"}
