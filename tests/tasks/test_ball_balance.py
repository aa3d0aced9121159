# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch

from omni.myriad.maths import quat_rotate


@pytest.fixture
def env(env_of):
    env = env_of("task=BallBalance", "num_envs=3", "engine.shards=2")
    env.reset()
    return env


def show(task, position, velocity=(0.0, 0.0, 0.0)):
    """Let the task see all balls in one state."""
    task.balls.set_world_poses(torch.tensor(position) + task._env_pos)
    task.balls.set_velocities(torch.tensor([*velocity, 0.0, 0.0, 0.0]).repeat(3, 1))
    task.get_observations()
    task.calculate_metrics()


@pytest.mark.parametrize(
    ("position", "velocity", "reward"),
    [
        ((0.0, 0.0, 0.7), (0.0, 0.0, 0.0), 1.0),
        ((0.3, 0.0, 1.1), (0.0, 0.0, 0.0), 1.0 / 1.5),
        ((0.0, 0.0, 0.7), (0.0, 3.0, -4.0), 1.0 / 6.0),
    ],
)
def test_reward_by_hand(env, position, velocity, reward):
    show(env.task, position, velocity)
    torch.testing.assert_close(env.task.rew_buf, torch.full((3,), reward), atol=1e-5, rtol=0.0)


def test_a_ball_on_the_ground_ends_an_episode_without_bootstrap(env):
    task = env.task
    for height, fallen in ((0.16, False), (0.14, True)):
        show(task, (0.0, 0.0, height))
        task.time_out_buf.fill_(fallen)
        task.is_done()
        assert task.reset_buf.bool().tolist() == [fallen] * 3
        assert not task.time_out_buf.any()


def test_feet_stay_where_they_are_and_the_table_carries_the_ball(env):
    task = env.task
    task.reset_idx(torch.arange(3))
    for _ in range(150):
        env.step(torch.zeros(3, 3))
    # A lower leg's foot is 0.36 m from its knee, outward and down at 45 degrees.
    foot = 0.36 / math.sqrt(2)
    position, rotation = task.tables.get_body_poses(body_indices=[4])
    tip = position[:, 0] + quat_rotate(rotation[:, 0], torch.tensor([[foot, 0.0, -foot]]).repeat(3, 1)) - task._env_pos
    torch.testing.assert_close(tip, torch.tensor([0.4, 0.0, 0.02]).repeat(3, 1), atol=0.01, rtol=0.0)
    height = task.tables.get_world_poses()[0][:, 2]
    torch.testing.assert_close(height, torch.full((3,), 0.559), atol=0.02, rtol=0.0)


def test_the_knees_targets_move_by_actions_and_are_zero_at_the_start(env):
    task = env.task
    env.reset()
    actions = torch.tensor([[1.0, -0.5, 0.0]]).repeat(3, 1)
    env.step(actions)
    env.step(actions)
    targets = task.tables.get_applied_actions().joint_positions
    # 0.01 s times 20 rad/s, twice; the first step of an episode, which `reset` took, had none.
    expected = torch.tensor([0.0, 0.0, 0.0, 0.4, -0.2, 0.0]).repeat(3, 1)
    torch.testing.assert_close(targets, expected)
    for _ in range(20):
        env.step(actions)
    targets = task.tables.get_applied_actions().joint_positions
    assert targets[0, 3].item() <= math.radians(90) + 1e-5 and targets[0, 4].item() >= math.radians(-70) - 1e-5


def test_starts_are_within_their_ranges(env):
    task = env.task
    torch.manual_seed(0)
    found = []
    for _ in range(100):
        task.reset_idx(torch.arange(3))
        position, velocity = task.balls.get_world_poses()[0] - task._env_pos, task.balls.get_velocities()
        found.append(torch.cat((position, velocity), -1))
    position, velocity = torch.cat(found)[:, :3], torch.cat(found)[:, 3:]
    distance, speed = position[:, :2].norm(dim=-1), velocity[:, :2].norm(dim=-1)
    assert distance.min() < 0.05 and 0.38 < distance.max() <= 0.4 + 1e-5
    assert ((position[:, 2] - 2.5).abs() <= 0.5 + 1e-5).all()
    assert (velocity[:, 2] == -5.0).all() and not velocity[:, 3:].any()
    assert (speed <= 2.0 * (distance - 0.001) / 0.399 + 1e-5).all(), "the faster the further out"
    inward = -(position[:, :2] * velocity[:, :2]).sum(-1)
    torch.testing.assert_close(inward, distance * speed, atol=1e-4, rtol=0.0)
