# SPDX-License-Identifier: Apache-2.0
"""A task file that imports what OmniIsaacGymEnvs' do runs on PhysX."""

import json
import os
import subprocess
import sys

import pytest
import torch

from omni.myriad.errors import MyriadError


@pytest.fixture
def swing(env_of, checkout):
    return lambda *overrides: env_of("task=Swing", f"oige={checkout}", "num_envs=3", *overrides)


def test_it_trains_and_plays(checkout, tmp_path):
    def run(verb, *arguments):
        command = [sys.executable, "-m", "omni.myriad", verb, "task=Swing", f"train_dir={tmp_path}", "sim_device=cpu"]
        done = subprocess.run(
            [*command, f"oige={checkout}", *arguments], capture_output=True, text=True, env={**os.environ}, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = run("train", "num_envs=8", "max_iterations=4", "experiment=first")
    assert f"play task=Swing oige={checkout} checkpoint={tmp_path / 'first'}" in said
    run("play", "num_envs=8", "episodes=8")
    result = json.loads((tmp_path / "first" / "play.json").read_text())
    assert result["episode_length_mean"] == 18  # 20 less 1, and one step of which is the one in reset()
    assert 0.0 < result["reward_mean"] <= 19.0


def test_it_steps_as_it_says(swing):
    env = swing()
    env.reset()
    for _ in range(5):
        seen, rewards, dones, extras = env.step(torch.zeros(3, 1))
    observations = seen["obs"]
    assert observations.shape == (3, 5) and dones.dtype == torch.int64
    torch.testing.assert_close(rewards, torch.cos(observations[:, 1]))  # what TorchScript made of our functions
    assert not extras["time_outs"].any()  # only a task itself says where time was up
    torch.testing.assert_close(observations[:, 4], torch.full((3,), 4.0), atol=2e-3, rtol=0)  # the ball hangs


def test_changing_a_getters_result_changes_nothing_else(swing):
    env = swing()
    env.reset()
    first = env.task._poles.get_joint_positions()
    assert first.abs().max() < 10.0  # get_observations added 100 to what it was given
    torch.testing.assert_close(env.task._poles.get_joint_positions(), first)


def test_the_joints_speed_limit_arrives_though_physx_has_a_new_place_for_it(swing):
    poles = swing().task._poles
    limit = poles.get_joint_max_velocities()[:, poles.get_dof_index("poleJoint")]
    torch.testing.assert_close(limit, torch.full((3,), torch.pi / 2))


@pytest.mark.parametrize(("replicate", "masses"), [(True, [0.5, 0.5, 0.5]), (False, [0.5, 0.6, 0.7])])
def test_copies_are_as_environment_0_where_physics_is_replicated_and_else_as_the_stage_says(swing, replicate, masses):
    env = swing(f"task.env.replicate={replicate}")
    torch.testing.assert_close(env.task._balls.get_masses(), torch.tensor(masses))


@pytest.mark.parametrize("replicate", [True, False])
def test_environments_pass_through_each_other_on_the_cpu(swing, replicate):
    env = swing("task.env.envSpacing=0", "task.env.solidBall=True", f"task.env.replicate={replicate}")
    env.reset()
    for _ in range(10):
        env.step(torch.zeros(3, 1))
    places = env.task._balls.get_world_poses()[0]
    torch.testing.assert_close(places, torch.tensor([[0.0, 0.5, 4.0]] * 3), atol=0.01, rtol=0)  # three balls in one


def test_the_ground_and_what_has_no_material_are_as_in_isaac_sim(swing):
    stage = swing().engine.stage

    def friction(path):
        prim = stage.GetPrimAtPath(path)
        return [round(prim.GetAttribute(f"physics:{name}").Get(), 6) for name in ("staticFriction", "restitution")]

    assert friction("/World/defaultGroundPlane/material") == [0.5, 0.8]
    assert friction("/physicsScene/defaultMaterial") == [1.0, 0.0]


def test_a_file_that_needs_more_of_isaac_sim_is_named(env_of, checkout):
    with pytest.raises(MyriadError, match=r"broken.py:2: ModuleNotFoundError: .*omni.isaac.wheeled_robots"):
        env_of("task=Broken", f"oige={checkout}")


def test_it_needs_standalone_physx(env_of, checkout):
    with pytest.raises(MyriadError, match="runs on standalone PhysX alone: add engine=physx"):
        env_of("task=Swing", f"oige={checkout}", "engine=mujoco")
