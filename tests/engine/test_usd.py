# SPDX-License-Identifier: Apache-2.0
"""What every engine authors alike on a stage."""

import numpy as np
import pytest
import torch
from pxr import Gf, Sdf, UsdGeom, UsdPhysics

from omni.myriad.app.config import load_config
from omni.myriad.engine import SimConfig, usd


@pytest.fixture
def stage():
    return usd.new_stage()


def test_stages_are_like_isaac_sims(stage):
    assert UsdGeom.GetStageUpAxis(stage) == "Z" and UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert stage.GetPrimAtPath("/World/envs/env_0") and stage.GetDefaultPrim().GetPath() == "/World"


def test_the_physics_scene_has_the_settings_of_the_task(stage):
    overrides = ["task.sim.gravity=[0,0,-2]", "task.sim.dt=0.005", "task.sim.physx.solver_type=0"]
    sim_config = SimConfig(load_config(["task=Ant", "sim_device=cpu", *overrides]))
    sim_config.physx_params["bounce_threshold_velocity"] = 0.3
    usd.define_physics_scene(stage, sim_config, torch.device("cpu"))
    prim = stage.GetPrimAtPath(usd.PHYSICS_SCENE_PATH)
    said = {
        name: prim.GetAttribute(f"physxScene:{name}").Get()
        for name in ("timeStepsPerSecond", "solverType", "broadphaseType", "enableGPUDynamics", "bounceThreshold")
    }
    assert said.pop("bounceThreshold") == pytest.approx(0.3)
    assert list(said.values()) == [200, "PGS", "MBP", False]
    assert prim.GetAttribute("physxScene:disableSleeping").Get() is not sim_config.physx_params["enable_sleeping"]
    assert UsdPhysics.Scene(prim).GetGravityMagnitudeAttr().Get() == 2.0
    usd.define_physics_scene(stage, sim_config, torch.device("cuda:0"))
    assert prim.GetAttribute("physxScene:broadphaseType").Get() == "GPU"


def test_every_setting_has_one_attribute():
    for schema, settings in usd.ATTRIBUTES.items():
        names = [name for name, _ in settings.values()]
        assert len(set(names)) == len(names), schema
    assert {"mass", "contact_offset", "enable_self_collisions"} <= usd.actor_settings()
    assert "bounce_threshold_velocity" not in usd.actor_settings()


def test_roots_of_articulations_are_found(stage):
    for path in ("/World/envs/env_0/Robot/torso", "/World/elsewhere"):
        UsdPhysics.ArticulationRootAPI.Apply(stage.DefinePrim(path, "Xform"))
    assert [str(prim.GetPath()) for prim in usd.articulation_roots(stage)] == ["/World/envs/env_0/Robot/torso"]


def test_a_free_root_is_where_it_is_authored_in_its_environment(stage):
    UsdGeom.Xformable(stage.GetPrimAtPath("/World/envs/env_0")).AddTranslateOp().Set(Gf.Vec3d(9.0, 9.0, 9.0))
    robot = UsdGeom.Xform.Define(stage, "/World/envs/env_0/Robot")
    robot.AddTranslateOp().Set(Gf.Vec3d(1.0, 2.0, 3.0))
    robot.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(0.5**0.5, 0.0, 0.0, 0.5**0.5))
    torso = UsdGeom.Xform.Define(stage, "/World/envs/env_0/Robot/torso")
    torso.AddTranslateOp().Set(Gf.Vec3d(0.5, 0.0, 0.25))
    UsdPhysics.ArticulationRootAPI.Apply(torso.GetPrim())
    assert usd.root_pose(robot.GetPrim()) is None, "no body, and nothing holds it"
    UsdPhysics.RigidBodyAPI.Apply(torso.GetPrim())
    pose = usd.root_pose(robot.GetPrim())
    assert pose is not None
    position, orientation = pose
    assert position == pytest.approx((1.0, 2.5, 3.25))  # turned to the left by a quarter
    assert orientation == pytest.approx((0.5**0.5, 0.0, 0.0, 0.5**0.5))
    torso.GetPrim().RemoveAPI(UsdPhysics.ArticulationRootAPI)
    UsdPhysics.ArticulationRootAPI.Apply(robot.GetPrim())
    assert usd.root_pose(robot.GetPrim()) is None
    holds = UsdPhysics.FixedJoint.Define(stage, "/World/envs/env_0/Robot/holds")
    holds.CreateBody1Rel().SetTargets([torso.GetPath()])
    assert usd.root_pose(robot.GetPrim()) == pose, "held where it is authored"


def test_small_shapes_get_the_contact_offset_that_physx_gives_them_at_the_tasks_rate(stage):
    def sphere(name, radius, scale=1.0):
        shape = UsdGeom.Sphere.Define(stage, f"/World/envs/env_0/{name}")
        shape.CreateRadiusAttr(radius)
        UsdGeom.Xformable(shape).AddScaleOp().Set(Gf.Vec3f(scale))
        return shape.GetPrim()

    colliders = [sphere("small", 0.01), sphere("large", 0.02), sphere("shrunk", 0.02, 0.5), sphere("own", 0.01)]
    colliders[3].CreateAttribute("physxCollision:contactOffset", Sdf.ValueTypeNames.Float).Set(0.002)
    colliders.append(UsdGeom.Plane.Define(stage, "/World/ground").GetPrim())
    usd.write_contact_offsets(colliders, SimConfig(load_config(["task=Ant", "sim_device=cpu", "task.sim.dt=0.005"])))

    # 2 * 0.005^2 * 9.81, where a fiftieth of the diameter is less
    offsets = [prim.GetAttribute("physxCollision:contactOffset").Get() for prim in colliders]
    assert offsets == [pytest.approx(4.905e-4), None, pytest.approx(4.905e-4), pytest.approx(0.002), None]


def test_uneven_ground_collides_with_its_triangles_and_has_its_own_friction(stage):
    heights = np.zeros((4, 3), np.float32)
    heights[:, 2] = 0.05
    mesh = usd.add_height_field(stage, "/World/ground", heights, 0.1, (-1.0, 2.0), 1.0, 0.7, 0.6, 0.1)
    points = np.array(mesh.GetPointsAttr().Get())
    np.testing.assert_allclose(points.max(axis=0), [-0.7, 2.2, 0.05], atol=1e-6)
    assert len(mesh.GetFaceVertexIndicesAttr().Get()) == 3 * len(mesh.GetFaceVertexCountsAttr().Get()) == 3 * 4
    prim = mesh.GetPrim()
    assert prim.HasAPI(UsdPhysics.CollisionAPI)
    assert UsdPhysics.MeshCollisionAPI(prim).GetApproximationAttr().Get() == "none"
    assert UsdPhysics.MaterialAPI(stage.GetPrimAtPath("/World/ground/material")).GetStaticFrictionAttr().Get() > 0.69
