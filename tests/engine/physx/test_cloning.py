# SPDX-License-Identifier: Apache-2.0
"""Environments of several robots and objects, fixed and free, are the same in every clone, and in every run."""

import pytest
import torch
from pxr import Gf, UsdGeom, UsdPhysics

from omni.myriad.engine import ArticulationView, RigidPrimView
from omni.myriad.task.rl_task import ASSETS_PATH

ENV_0 = "/World/envs/env_0"
BODIES = {"Box": (1.0, 0.0, 0.4), "Moved": (1.0, 1.0, 0.7), "Held": (-1.0, 1.0, 0.9), "Door": (-1.0, -1.0, 0.8)}


def add_body(stage, name, at):
    cube = UsdGeom.Cube.Define(stage, f"{ENV_0}/{name}")
    cube.CreateSizeAttr(0.4)
    cube.AddTranslateOp().Set(Gf.Vec3d(*at))
    for schema in (UsdPhysics.RigidBodyAPI, UsdPhysics.CollisionAPI, UsdPhysics.MassAPI):
        schema.Apply(cube.GetPrim())
    UsdPhysics.MassAPI(cube).CreateMassAttr(2.0)
    return cube.GetPrim()


def to_the_world(joint, name):
    """Fasten a body to the world where it stands: without a first body, anchors are in the world."""
    joint.CreateBody1Rel().SetTargets([f"{ENV_0}/{name}"])
    joint.CreateLocalPos0Attr(Gf.Vec3f(*BODIES[name]))
    joint.CreateLocalPos1Attr(Gf.Vec3f(0.0, 0.0, 0.0))


def build(engine, num_envs):
    stage = engine.stage
    for name, asset, at in (("Fixed", "cartpole", (0.0, 0.0, 2.0)), ("Free", "ant", (0.0, -1.5, 3.0))):
        prim = stage.DefinePrim(f"{ENV_0}/{name}")
        prim.GetReferences().AddReference(str(ASSETS_PATH / asset / f"{asset}.usda"))
        UsdGeom.Xformable(prim).ClearXformOpOrder()
        UsdGeom.Xformable(prim).AddTranslateOp().Set(Gf.Vec3d(*at))
    for name, at in BODIES.items():
        add_body(stage, name, at)
    UsdPhysics.RigidBodyAPI(stage.GetPrimAtPath(f"{ENV_0}/Moved")).CreateKinematicEnabledAttr(True)
    to_the_world(UsdPhysics.FixedJoint.Define(stage, f"{ENV_0}/heldJoint"), "Held")
    hinge = UsdPhysics.RevoluteJoint.Define(stage, f"{ENV_0}/doorJoint")
    hinge.CreateAxisAttr("X")
    to_the_world(hinge, "Door")
    hinge.CreateLocalPos0Attr(Gf.Vec3f(-1.0, -0.9, 1.0))
    hinge.CreateLocalPos1Attr(Gf.Vec3f(0.0, 0.1, 0.2))
    shelf = UsdGeom.Cube.Define(stage, f"{ENV_0}/Shelf")  # collides and never moves
    shelf.CreateSizeAttr(0.2)
    shelf.AddTranslateOp().Set(Gf.Vec3d(1.0, 0.0, 0.1))
    UsdPhysics.CollisionAPI.Apply(shelf.GetPrim())
    engine.add_ground_plane()
    engine.clone_environments(num_envs, 6.0)
    views = [engine.scene.add(RigidPrimView(f"/World/envs/.*/{name}", name=name)) for name in BODIES]
    views += [engine.scene.add(ArticulationView(f"/World/envs/.*/{name}", name=name)) for name in ("Fixed", "Free")]
    engine.reset()
    return {view.name: view for view in views}


def play(engine, num_envs, steps=60):
    """Return where all of every environment is after some steps, (num_envs, numbers), from its origin."""
    views = build(engine, num_envs)
    views["Fixed"].set_joint_efforts(torch.tensor([[5.0, 0.1]] * num_envs))
    views["Free"].set_joint_efforts(torch.full((num_envs, 8), 1.0))
    engine.step(steps)
    rows = []
    for view in views.values():
        positions, orientations = view.get_world_poses()
        rows += [positions - engine.env_positions, orientations]
    rows += [views[name].get_joint_positions() for name in ("Fixed", "Free")]
    return views, torch.cat(rows, dim=-1)


@pytest.mark.parametrize("shards", [1, 2])
def test_every_clone_is_the_first_environment_again(engine_of, shards):
    engine = engine_of("task=Cartpole", f"engine.shards={shards}")
    views, played = play(engine, 5)
    assert played.isfinite().all()
    torch.testing.assert_close(played, played[:1].expand_as(played), rtol=0.0, atol=2e-3)
    places = {name: view.get_world_poses()[0] - engine.env_positions for name, view in views.items()}
    for name in ("Moved", "Held"):  # one is moved by nobody, the other fastened to the world, 6 m apart in each clone
        torch.testing.assert_close(places[name], torch.tensor([BODIES[name]] * 5), rtol=0.0, atol=1e-3)
    torch.testing.assert_close(places["Box"][:, 2], torch.full((5,), 0.4), rtol=0.0, atol=5e-3)  # on the shelf
    hinges = torch.tensor([-1.0, -0.9, 1.0])
    arms = (places["Door"] - hinges).norm(dim=-1)
    torch.testing.assert_close(arms, torch.full((5,), 0.05**0.5), rtol=0.0, atol=1e-3)
    assert (places["Door"] - torch.tensor(BODIES["Door"])).norm(dim=-1).min() > 0.01, "it swings"
    torch.testing.assert_close(views["Fixed"].get_world_poses()[0][:, 2], torch.full((5,), 2.0))
    assert (views["Fixed"].get_joint_positions()[:, 0] > 0.1).all()


def test_two_runs_are_the_same_to_the_bit(engine_of):
    first = play(engine_of("task=Cartpole", "engine.shards=2"), 4)[1]
    again = play(engine_of("task=Cartpole", "engine.shards=2"), 4)[1]
    assert torch.equal(first, again)


def test_a_kinematic_body_goes_where_it_is_put(engine_of):
    engine = engine_of("task=Cartpole")
    moved = build(engine, 3)["Moved"]
    wanted = engine.env_positions + torch.tensor([2.0, 1.0, 1.5])
    moved.set_world_poses(wanted, torch.tensor([[1.0, 0.0, 0.0, 0.0]] * 3))
    engine.step(10)
    torch.testing.assert_close(moved.get_world_poses()[0], wanted)
