# SPDX-License-Identifier: Apache-2.0
"""The standalone engine: shards, isolation, life and death; all on real PhysX on the CPU."""

import asyncio
import ctypes
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pxr import Gf, Sdf, UsdGeom, UsdPhysics

from omni.myriad.engine import ArticulationView, RigidPrimView
from omni.myriad.engine.physx import runtime
from omni.myriad.engine.physx.engine import gpu_shards
from omni.myriad.errors import MyriadError


def add_ball(engine, path="/World/envs/env_0/Ball", height=1.0, x=0.0):
    """Author a free sphere of 1 kg and radius 0.1 m that is an articulation of one link."""
    ball = UsdGeom.Sphere.Define(engine.stage, path)
    ball.CreateRadiusAttr(0.1)
    ball.AddTranslateOp().Set(Gf.Vec3d(x, 0.0, height))
    for schema in (UsdPhysics.RigidBodyAPI, UsdPhysics.CollisionAPI, UsdPhysics.ArticulationRootAPI):
        schema.Apply(ball.GetPrim())
    UsdPhysics.MassAPI.Apply(ball.GetPrim()).CreateMassAttr(1.0)
    return ball.GetPrim()


def rollout(env, steps):
    """Drive an environment with seeded actions and return everything it said."""
    generator = torch.Generator().manual_seed(1)
    torch.manual_seed(2)
    env.reset()
    history = []
    for _ in range(steps):
        actions = torch.rand((env.num_envs, env.num_actions), generator=generator) * 2.0 - 1.0
        obs, rewards, dones, _ = env.step(actions)
        history.append(torch.cat((obs["obs"], rewards[:, None], dones[:, None].float()), dim=1).clone())
    return torch.stack(history)


@pytest.mark.parametrize("task", ["Cartpole", "Ant"])
def test_the_number_of_shards_changes_nothing(env_of, task):
    histories = []
    for shards in (1, 2, 3):
        env = env_of(f"task={task}", "num_envs=12", f"engine.shards={shards}")
        assert len(env.engine.shards) == shards
        histories.append(rollout(env, 60))
        env.close()
    assert torch.equal(histories[0], histories[1])
    assert torch.equal(histories[0], histories[2])


def test_scenes_of_a_gpu_grow_in_number_to_four_and_then_in_size():
    shards = {num_envs: gpu_shards(num_envs, cores=16) for num_envs in (1, 4096, 8192, 16384, 32768, 65536, 131072)}
    assert shards == {1: 1, 4096: 1, 8192: 2, 16384: 4, 32768: 4, 65536: 8, 131072: 8}
    assert gpu_shards(16384, cores=4) == 2 and gpu_shards(16384, cores=1) == 1


@pytest.mark.parametrize("scene", [True, False])
def test_continuous_collision_detection_stops_a_bullet_at_a_thin_wall(scene, engine_of):
    engine = engine_of("engine.shards=1", f"task.sim.physx.enable_ccd={scene}")
    bullet = add_ball(engine, height=1.0)
    bullet.RemoveAPI(UsdPhysics.ArticulationRootAPI)
    engine._sim_config.apply_articulation_settings("Bullet", bullet, {"enable_ccd": True})
    wall = UsdGeom.Cube.Define(engine.stage, "/World/envs/env_0/Wall")
    wall.AddTranslateOp().Set(Gf.Vec3d(2.0, 0.0, 1.0))
    wall.AddScaleOp().Set(Gf.Vec3f(0.005, 1.0, 1.0))
    UsdPhysics.CollisionAPI.Apply(wall.GetPrim())
    engine.clone_environments(1, 10.0)
    bullets = engine.scene.add(RigidPrimView("/World/envs/.*/Ball", name="bullets"))
    engine.reset()
    bullets.set_velocities(torch.tensor([[120.0, 0.0, 0.0, 0.0, 0.0, 0.0]]))  # 1 m in a step, through 1 cm
    engine.step(12)

    assert (float(bullets.get_world_poses()[0][0, 0]) < 2.0) is scene


@pytest.mark.parametrize("smooth", [True, False])
def test_a_wheel_on_triangles_is_round_where_asked_for_and_else_has_corners(smooth, engine_of):
    engine = engine_of("engine.shards=1", f"task.sim.smooth_cylinders={smooth}")
    road = UsdGeom.Mesh.Define(engine.stage, "/World/road")
    road.CreatePointsAttr([(-9, -9, 0), (9, -9, 0), (9, 9, 0), (-9, 9, 0)])
    road.CreateFaceVertexCountsAttr([3, 3])
    road.CreateFaceVertexIndicesAttr([0, 1, 2, 0, 2, 3])
    UsdPhysics.CollisionAPI.Apply(road.GetPrim())
    UsdPhysics.MeshCollisionAPI.Apply(road.GetPrim()).CreateApproximationAttr("none")
    wheel = UsdGeom.Cylinder.Define(engine.stage, "/World/envs/env_0/Wheel")
    wheel.CreateAxisAttr("Y")
    wheel.CreateRadiusAttr(0.5)
    wheel.CreateHeightAttr(1.0)
    wheel.AddTranslateOp().Set(Gf.Vec3d(0.0, 0.0, 0.5))
    UsdPhysics.RigidBodyAPI.Apply(wheel.GetPrim())
    UsdPhysics.CollisionAPI.Apply(wheel.GetPrim())
    engine.clone_environments(1, 10.0)
    wheels = engine.scene.add(RigidPrimView("/World/envs/.*/Wheel", name="wheels"))
    engine.reset()
    wheels.set_velocities(torch.tensor([[2.0, 0.0, 0.0, 0.0, 4.0, 0.0]]))
    heights = []
    for _ in range(60):
        engine.step(1)
        heights.append(float(wheels.get_world_poses()[0][0, 2]))

    assert (max(heights[10:]) - min(heights[10:]) < 1e-3) is smooth


def test_a_free_fall_is_a_free_fall(engine_of):
    engine = engine_of("engine.shards=2")
    add_ball(engine, height=10.0)
    engine.clone_environments(6, 2.0)
    balls = engine.scene.add(ArticulationView("/World/envs/.*/Ball", name="balls"))
    engine.reset()
    balls.set_world_poses(positions=torch.tensor([[0.0, 0.0, 10.0]]).repeat(6, 1))
    balls.set_velocities(torch.zeros(6, 6))
    engine.step(60)
    # Semi-implicit Euler: n steps of dt fall g dt^2 n (n + 1) / 2.
    fallen = 9.81 * engine.physics_dt**2 * 60 * 61 / 2
    positions, _ = balls.get_world_poses()
    torch.testing.assert_close(positions[:, 2], torch.full((6,), 10.0 - fallen), atol=2e-3, rtol=0.0)


@pytest.mark.parametrize("self_collisions", [True, False])
def test_robots_of_different_environments_never_touch(self_collisions, engine_of):
    # All stand on one spot: were they to collide, they would burst apart at once.
    engine = engine_of("engine.shards=1")
    ball = add_ball(engine)
    ball.AddAppliedSchema("PhysxArticulationAPI")
    ball.CreateAttribute("physxArticulation:enabledSelfCollisions", Sdf.ValueTypeNames.Bool).Set(self_collisions)
    engine.clone_environments(4, 5.0)
    balls = engine.scene.add(ArticulationView("/World/envs/.*/Ball", name="balls"))
    engine.reset()
    balls.set_world_poses(positions=torch.tensor([[0.0, 0.0, 5.0]]).repeat(4, 1))
    balls.set_velocities(torch.zeros(4, 6))
    engine.step(20)
    positions, _ = balls.get_world_poses()
    assert torch.equal(positions, positions[:1].repeat(4, 1))
    assert positions[0, :2].abs().max() < 1e-5


def alley(engine, num_envs=4):
    """Author environments along +y: before the ball of each lie a crate, a robot and a post, which nothing moves."""
    for name, y in (("Ball", 0.0), ("Crate", -1.0), ("Robot", -1.5)):
        prim = add_ball(engine, f"/World/envs/env_0/{name}", height=0.1)
        UsdGeom.XformCommonAPI(prim).SetTranslate((0.0, y, 0.1))
        if name != "Robot":
            prim.RemoveAPI(UsdPhysics.ArticulationRootAPI)
    post = UsdGeom.Cube.Define(engine.stage, "/World/envs/env_0/Post")
    post.CreateSizeAttr(0.4)
    post.AddTranslateOp().Set(Gf.Vec3d(0.0, -2.0, 0.2))
    UsdPhysics.CollisionAPI.Apply(post.GetPrim())
    engine.add_ground_plane()
    engine.clone_environments(num_envs, 5.0)
    views = [engine.scene.add(RigidPrimView(f"/World/envs/.*/{name}", name=name)) for name in ("Ball", "Crate")]
    return [*views, engine.scene.add(ArticulationView("/World/envs/.*/Robot", name="Robot"))]


def roll(engine, balls, speeds, steps):
    """Let balls roll along y with speeds in m/s, and return where they are from their environments' origins in m."""
    velocities = torch.zeros(len(speeds), 6)
    velocities[:, 1] = torch.tensor(speeds)
    velocities[:, 3] = -velocities[:, 1] / 0.1
    balls.set_velocities(velocities)
    engine.step(steps)
    return balls.get_world_poses()[0] - engine.env_positions


@pytest.mark.parametrize("sized", [False, True])
def test_a_ball_rolls_through_the_neighbours_things_and_hits_its_own(sized, engine_of):
    engine = engine_of("engine.shards=1")
    balls, crates, robots = alley(engine)
    if sized:  # each environment is authored, and PhysX copies none
        engine.scale_environments(crates, torch.ones(4))
    engine.reset()
    torch.testing.assert_close(engine.env_positions[1] - engine.env_positions[0], torch.tensor([0.0, 5.0, 0.0]))
    at_first = [view.get_world_poses()[0] for view in (balls, crates, robots)]
    # The first rolls to the second environment and on; the third one's goes back to its own crate.
    rolled = roll(engine, balls, [8.0, 0.0, -4.0, 0.0], 120)
    changes = [view.get_world_poses()[0] - first for view, first in zip((balls, crates, robots), at_first, strict=True)]

    assert rolled[0, 1] > 7.0, "past the second environment's post, robot, crate and ball, 5 m away"
    assert rolled[0, 0].abs() < 1e-2
    torch.testing.assert_close(rolled[:, 2], torch.full((4,), 0.1), atol=2e-3, rtol=0.0)  # the ground is everybody's
    for change in changes:
        assert change[[1, 3]].abs().max() < 2e-3, "nobody else felt it"
    assert changes[1][2, 1] < -0.2, "its crate was hit"
    assert changes[2][2, 1].abs() > 0.05, "which hit its robot"
    assert robots.get_world_poses()[0][2, 1] - engine.env_positions[2, 1] > -1.75, "which its post held"


def test_things_that_share_one_spot_meet_those_of_their_own_environment_alone(engine_of):
    engine = engine_of("engine.shards=2")
    for name, height, x in (("Lower", 0.1, 0.0), ("Upper", 0.35, 0.05)):
        add_ball(engine, f"/World/envs/env_0/{name}", height, x)  # the upper one rolls off the lower one
    engine.add_ground_plane()
    engine.clone_environments(6, 0.0)
    lower, upper = (
        engine.scene.add(ArticulationView(f"/World/envs/.*/{name}", name=name)) for name in ("Lower", "Upper")
    )
    engine.reset()
    engine.step(120)
    for view in (lower, upper):
        here = view.get_world_poses()[0]
        torch.testing.assert_close(here, here[:1].repeat(6, 1), atol=1e-5, rtol=0.0)
    assert (upper.get_world_poses()[0] - lower.get_world_poses()[0])[:, 0].min() > 0.2  # they did touch each other


def test_a_stage_with_collision_groups_of_its_own_is_kept_apart_by_distance_and_says_so(engine_of, caplog):
    engine = engine_of("engine.shards=1")
    balls, _, _ = alley(engine)
    UsdPhysics.CollisionGroup.Define(engine.stage, "/World/mine")
    engine.reset()
    assert "envSpacing" in caplog.text
    assert roll(engine, balls, [8.0, 0.0, 0.0, 0.0], 120)[0, 1] < 3.5, "the neighbour's post stops it"


def test_a_ground_plane_is_felt_by_every_shard(engine_of):
    engine = engine_of("engine.shards=2")
    add_ball(engine, height=0.5)
    engine.add_ground_plane()
    origins = engine.clone_environments(4, 2.0)
    balls = engine.scene.add(ArticulationView("/World/envs/.*/Ball", name="balls"))
    engine.reset()
    engine.step(240)
    positions, _ = balls.get_world_poses()
    torch.testing.assert_close(positions[:, 2], torch.full((4,), 0.1), atol=5e-3, rtol=0.0)
    torch.testing.assert_close(positions[:, :2], origins[:, :2], atol=5e-3, rtol=0.0)


def test_phases_of_a_step_are_timed(env_of):
    env = env_of("task=Ant", "num_envs=4", "engine.shards=2")
    assert set(env.engine.phase_seconds.values()) == {0.0}
    for _ in range(2):
        env.step(torch.zeros(4, 8))  # what the first step's observations read is read by the second one's threads
    write, step, read = (env.engine.phase_seconds[name] for name in ("write", "step", "read"))
    assert min(write, step, read) > 0.0
    assert write + step + read <= env.phase_seconds["physics"]
    before = env.engine.phase_seconds
    env.task.robots.get_joint_positions()
    assert env.engine.phase_seconds == before, "only steps are timed"


def falling_balls(engine_of):
    engine = engine_of("engine.shards=1")
    add_ball(engine)
    engine.clone_environments(2, 2.0)
    engine.reset()
    return engine.shards[0]


@pytest.mark.nightly
def test_memory_grows_by_what_ovphysx_keeps_of_each_step_and_no_more(engine_of):
    def resident():
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what is free is no growth
        return int(re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[0]) * 1024

    shard = falling_balls(engine_of)
    shard.step(20_000, 1 / 120)
    before = resident()
    shard.step(200_000, 1 / 120)
    # 32 bytes, whatever is asked of it (docs/reliability.md); less would mean that it is mended there.
    assert (resident() - before) / 200_000 == pytest.approx(32, abs=6)


def test_failure_of_one_shard_stops_the_run_with_its_error(env_of):
    env = env_of("task=Cartpole", "num_envs=4", "engine.shards=2")
    env.reset()
    env.engine.shards[1]._physx.destroy()  # the instance is gone, as after a native failure
    with pytest.raises(Exception, match="destroyed"):
        env.engine.step()


def test_a_state_comes_back(env_of):
    env = env_of("task=Ant", "num_envs=4", "engine.shards=2")
    engine, ants = env.engine, env.task.robots
    feet = engine.scene.add(RigidPrimView("/World/envs/.*/Ant/.*_foot", name="feet"))
    env.reset()
    for _ in range(5):
        env.step(torch.rand(4, 8))
    ants.set_joint_position_targets(torch.rand(4, 8))
    ants.set_joint_velocity_targets(torch.rand(4, 8))
    saved = engine.get_state()
    copies = {name: {key: value.clone() for key, value in state.items()} for name, state in saved.items()}
    assert sorted(saved) == ["ant_view", "feet"]
    assert sorted(saved["feet"]) == ["orientations", "positions", "velocities"]
    for _ in range(5):
        env.step(torch.rand(4, 8))
    assert not torch.allclose(ants.get_joint_positions(), copies["ant_view"]["joint_positions"], atol=1e-3)
    moved = feet.get_world_poses()[0]
    engine.set_state({"feet": saved["feet"]})
    assert torch.equal(feet.get_world_poses()[0], moved), "links of robots are left to their joints"
    engine.set_state(saved)
    for name, state in engine.get_state().items():
        for key, value in state.items():
            torch.testing.assert_close(value, copies[name][key], atol=1e-4, rtol=1e-4, msg=f"{name} {key}")
            assert torch.equal(saved[name][key], copies[name][key]), "what was saved is a copy"
    older = dict(saved["ant_view"])
    for key in ("velocities", "joint_positions", "joint_velocities"):
        older[f"get_{key}"] = older.pop(key) * 0.5
    engine.set_state({"ant_view": older, "gone": {}})
    torch.testing.assert_close(ants.get_joint_positions(), copies["ant_view"]["joint_positions"] * 0.5)


def test_only_who_sets_targets_is_told_that_they_move_nothing(env_of, caplog):
    env = env_of("task=Cartpole", "num_envs=2")  # whose joints have no drives
    env.engine.set_state(env.engine.get_state())
    assert "move nothing" not in caplog.text
    env.task.cartpoles.set_joint_position_targets(torch.zeros(2, 2))
    assert "move nothing" in caplog.text


def test_a_body_outside_the_environments_is_refused(engine_of):
    engine = engine_of()
    add_ball(engine, path="/World/Ball")
    engine.clone_environments(2, 2.0)
    with pytest.raises(MyriadError, match="/World/Ball is a rigid body outside /World/envs/env_0"):
        engine.reset()


def test_a_scene_without_environments_is_refused(engine_of):
    with pytest.raises(MyriadError, match="no environments"):
        engine_of().reset()


def test_there_is_no_application_to_wait_for(env_of):
    env = env_of("task=Cartpole", "num_envs=2")
    assert env.engine.application is None
    with pytest.raises(MyriadError, match="engine=physx runs in no application: use set_task"):
        asyncio.run(env.set_task_async(env.task))


def test_views_share_no_name(engine_of):
    engine = engine_of()
    engine.scene.add(ArticulationView("/World/envs/.*/Ball", name="balls"))
    with pytest.raises(MyriadError, match="already has a view named 'balls'"):
        engine.scene.add(ArticulationView("/World/envs/.*/Ball", name="balls"))


SCRIPT = """
import logging
logging.basicConfig(level=logging.WARNING)
from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
for _ in range(2):
    env = make_env(load_config(["task=Cartpole", "num_envs=4", "sim_device=cpu", "engine.shards=2"]))
    env.reset()
    env.close()
env = make_env(load_config(["task=Cartpole", "num_envs=4", "sim_device=cpu"]))
env.reset()
{ending}
"""


@pytest.mark.parametrize("ending", ["env.close()", "pass  # left open"])
def test_engines_one_after_another_end_without_a_word(ending):
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(ending=ending)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.usefixtures("views_take_nan")
def test_native_warnings_reach_the_logger_and_do_not_flood(engine_of, caplog, monkeypatch):
    monkeypatch.setattr(runtime.logger, "filters", [runtime._Repeats()])  # as in a process that was never warned
    engine = engine_of("engine.shards=1")
    add_ball(engine)
    engine.clone_environments(2, 1.0)
    balls = engine.scene.add(ArticulationView("/World/envs/.*/Ball", name="balls"))
    engine.reset()
    with caplog.at_level("WARNING", logger="omni.myriad.physx"):
        balls.set_velocities(torch.full((2, 6), float("nan")))
        engine.step(50)
    messages = [record.getMessage() for record in caplog.records]
    assert any("nvalid" in message for message in messages)
    assert len(messages) < 20
