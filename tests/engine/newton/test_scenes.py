# SPDX-License-Identifier: Apache-2.0
"""Several robots, several bodies and what all environments share, in Newton as in PhysX."""

import pytest
import torch

from omni.myriad.engine import SimConfig, make_engine
from tests.engine.physx.views import scenes

DT = scenes.DT


def start(name):
    """Two arms on fixed bases, one that floats, and two boxes, one of which falls on a shelf outside environments."""
    from pxr import Gf, UsdGeom, UsdPhysics

    config = scenes.config()
    config["task"]["sim"]["physx"]["solver_type"] = 0  # TGS takes a step in several, PGS at once, as MuJoCo does
    config["engine"] = {"name": name, "shards": 1, "contacts_per_env": "auto", "constraints_per_env": "auto"}
    engine = make_engine(SimConfig(config))
    from omni.myriad.engine import ArticulationView, RigidPrimView

    stage = engine.stage
    engine.add_ground_plane("/World/ground", 1.0, 1.0, 0.0)
    scenes.driven_arm(stage, f"{scenes.ENV_0}/ArmA")
    scenes.driven_arm(stage, f"{scenes.ENV_0}/ArmB")
    scenes.floating_arm(stage)
    scenes.box(stage, "Low", at=(1.0, 0.0, 0.1))
    scenes.box(stage, "High", 3.0, at=(1.0, 1.0, 0.6))
    shelf = UsdGeom.Cube.Define(stage, "/World/shelf")
    shelf.AddTranslateOp().Set(Gf.Vec3d(0.0, 1.0, 0.25))
    shelf.AddScaleOp().Set(Gf.Vec3f(6.0, 0.5, 0.25))
    UsdPhysics.CollisionAPI.Apply(shelf.GetPrim())
    engine.clone_environments(2, 4.0)
    add = engine.scene.add
    views = {
        "arms": add(ArticulationView("/World/envs/.*/Arm.*", name="arms")),
        "float": add(ArticulationView("/World/envs/.*/Float", name="float")),
        "boxes": add(
            RigidPrimView(["/World/envs/.*/Low", "/World/envs/.*/High"], name="boxes", track_contact_forces=True)
        ),
        "links": add(RigidPrimView("/World/envs/.*/Arm.*/lower", name="links")),
    }
    engine.reset()
    return engine, views


@pytest.fixture(scope="module")
def both():
    engines = [start("physx"), start("newton")]
    yield [views for _, views in engines]
    for engine, _ in engines:
        engine.close()


def ask(both, function, **tolerance):
    physx, newton = (function(views) for views in both)
    torch.testing.assert_close(newton, physx, **tolerance)


def test_rows_are_the_same_prims(both):
    for name in both[0]:
        assert both[1][name].prim_paths == both[0][name].prim_paths
        ask(both, lambda views, name=name: views[name].get_world_poses(), atol=1e-5, rtol=1e-5)
    assert both[1]["arms"].dof_names == ["shoulder", "elbow"]
    assert both[1]["links"].is_non_root_articulation_link and not both[1]["boxes"].is_non_root_articulation_link
    with pytest.raises(NotImplementedError, match="follow from its joints"):
        both[1]["links"].set_velocities(torch.zeros(4, 6))


def test_properties_are_what_the_file_says(both):
    for getter in ("get_gains", "get_armatures", "get_max_efforts", "get_joint_max_velocities", "get_dof_limits"):
        ask(both, lambda views, getter=getter: getattr(views["arms"], getter)())
    ask(both, lambda views: views["arms"].get_applied_actions().joint_positions)
    ask(both, lambda views: (views["boxes"].get_masses(), views["boxes"].get_inertias()), atol=1e-5, rtol=1e-5)


def test_some_rows_and_columns_are_written(both):
    def write(views):
        arms, boxes = views["arms"], views["boxes"]
        arms.set_joint_positions(torch.tensor([[0.3], [-0.4]]), indices=[2, 1], joint_indices=[1])
        arms.set_gains(kps=torch.tensor([[5.0, 6.0]]), indices=[3])
        boxes.set_masses(torch.tensor([4.0]), indices=[1])
        positions, _ = boxes.get_world_poses(indices=[3, 0])
        boxes.set_world_poses(positions + torch.tensor([0.1, 0.0, 0.0]), indices=[3, 0])
        views["float"].set_velocities(torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]), indices=[1])
        arms._engine.update_kinematics()
        return [
            *(arms.get_joint_positions(), arms.get_gains(), boxes.get_masses(), boxes.get_inv_masses()),
            *(boxes.get_world_poses(), views["links"].get_world_poses(), views["links"].get_velocities()),
            *(arms.get_body_poses(body_indices=[1, 2]), views["float"].get_body_velocities()),
        ]

    ask(both, write, atol=1e-5, rtol=1e-5)


def test_robots_move_alike_and_boxes_rest_on_ground_and_shelf(both):
    def run(views):
        engine = views["arms"]._engine
        views["arms"].set_max_joint_velocities(torch.full((4, 2), 1e6))  # MuJoCo has no limit
        engine.step(60)
        positions, _ = views["boxes"].get_world_poses()
        return [views["arms"].get_joint_positions(), views["float"].get_joint_positions(), positions]

    ask(both, run, atol=0.02, rtol=0.02)
    both[1]["arms"]._engine.step(200)
    expected = torch.zeros(4, 3)
    expected[:, 2] = scenes.GRAVITY * both[1]["boxes"].get_masses()
    torch.testing.assert_close(both[1]["boxes"].get_net_contact_forces(dt=DT), expected, atol=0.2, rtol=0.0)


@pytest.mark.nightly  # compiles Newton's own search for contacts
def test_a_ball_rolls_into_a_valley_of_the_ground():
    from pxr import Gf, UsdGeom, UsdPhysics

    config = scenes.config()
    config["engine"] = {"name": "newton", "shards": 1, "contacts_per_env": "auto", "constraints_per_env": "auto"}
    engine = make_engine(SimConfig(config))
    from omni.myriad.engine import RigidPrimView

    mesh = UsdGeom.Mesh.Define(engine.stage, "/World/valley")  # along y, with slopes of 45 degrees
    points = [(-9, -9, 9), (0, -9, 0), (9, -9, 9), (-9, 9, 9), (0, 9, 0), (9, 9, 9)]
    mesh.CreatePointsAttr([Gf.Vec3f(*point) for point in points])
    mesh.CreateFaceVertexCountsAttr([3] * 4)
    mesh.CreateFaceVertexIndicesAttr([0, 1, 4, 0, 4, 3, 1, 2, 5, 1, 5, 4])
    UsdPhysics.CollisionAPI.Apply(mesh.GetPrim())
    UsdPhysics.MeshCollisionAPI.Apply(mesh.GetPrim()).CreateApproximationAttr("none")
    scenes.body(engine.stage, f"{scenes.ENV_0}/Ball", at=(0.0, 0.0, 1.0))
    ball = UsdGeom.Sphere.Define(engine.stage, f"{scenes.ENV_0}/Ball/geometry")
    ball.CreateRadiusAttr(0.1)
    UsdPhysics.CollisionAPI.Apply(ball.GetPrim())
    engine.clone_environments(2, 4.0)  # on top of each other along y
    balls = engine.scene.add(RigidPrimView("/World/envs/.*/Ball", name="balls", track_contact_forces=True))
    engine.reset()
    positions, _ = balls.get_world_poses()
    positions[:, 0] = torch.tensor([0.3, -0.3])
    balls.set_world_poses(positions)
    engine.step(600)
    positions, _ = balls.get_world_poses()
    # It touches both slopes where it is a radius away from each: sqrt(2) radii above the bottom.
    torch.testing.assert_close(positions[:, 2], torch.full((2,), 0.1 * 2**0.5), atol=0.01, rtol=0)
    torch.testing.assert_close(balls.get_net_contact_forces(dt=DT)[:, 2], torch.full((2,), 9.81), atol=0.5, rtol=0)
    engine.close()
