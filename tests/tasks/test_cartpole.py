# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch


@pytest.fixture
def env(env_of):
    env = env_of("task=Cartpole", "num_envs=3")
    env.reset()
    return env


def show(task, cart_pos=0.0, pole_pos=0.0, cart_vel=0.0, pole_vel=0.0):
    """Let the task see a state, the same in every environment."""
    positions, velocities = torch.zeros(3, 2), torch.zeros(3, 2)
    positions[:, task.cart], positions[:, task.pole] = cart_pos, pole_pos
    velocities[:, task.cart], velocities[:, task.pole] = cart_vel, pole_vel
    task.cartpoles.set_joint_positions(positions)
    task.cartpoles.set_joint_velocities(velocities)
    task.get_observations()


def test_observations_are_cart_and_pole_in_order(env):
    show(env.task, 0.5, -0.2, 1.5, -0.7)
    torch.testing.assert_close(env.task.obs_buf[1], torch.tensor([0.5, 1.5, -0.2, -0.7]))


@pytest.mark.parametrize(
    ("state", "reward"),
    [
        ({}, 1.0),
        ({"pole_pos": 0.5, "cart_vel": 2.0, "pole_vel": -4.0}, 1.0 - 0.25 - 0.02 - 0.02),
        ({"cart_pos": 3.1}, -2.0),
        ({"cart_pos": -3.1}, -2.0),
        ({"pole_pos": math.pi / 2 + 0.01}, -2.0),
    ],
)
def test_reward_by_hand(env, state, reward):
    show(env.task, **state)
    env.task.calculate_metrics()
    torch.testing.assert_close(env.task.rew_buf, torch.full((3,), reward))


@pytest.mark.parametrize(("progress", "done", "time_out"), [(499, 0, False), (500, 1, True)])
def test_an_episode_is_500_steps(env, progress, done, time_out):
    show(env.task)
    env.task.calculate_metrics()
    env.task.progress_buf.fill_(progress)
    env.task.is_done()
    assert env.task.reset_buf.tolist() == [done] * 3
    assert env.task.time_out_buf.tolist() == [time_out] * 3


def test_a_failure_in_the_last_step_is_no_time_out(env):
    show(env.task, cart_pos=3.5)
    env.task.calculate_metrics()
    env.task.progress_buf.fill_(500)
    env.task.is_done()
    assert env.task.reset_buf.tolist() == [1] * 3
    assert env.task.time_out_buf.tolist() == [False] * 3


def test_starts_are_within_their_ranges(env_of):
    env = env_of("task=Cartpole", "num_envs=500")
    task = env.task
    torch.manual_seed(0)
    task.reset_idx(torch.arange(500))
    task.get_observations()
    bounds = torch.tensor([1.0, 0.5, 0.125 * math.pi, 0.25 * math.pi])
    assert (task.obs_buf.abs() <= bounds).all()
    assert (task.obs_buf.abs().max(0).values > 0.9 * bounds).all()


def test_a_push_accelerates_the_cart_as_newton_says(env):
    # Cart and upright pole, 1 kg each: the cart starts as if it weighed m_c + m_p - 3/4 m_p = 1.25 kg, if the pole were
    # a thin rod; a short push with no friction moves it that way.
    task = env.task
    show(task)
    task.reset_buf.zero_()
    before = task.cart_vel.clone()
    env.step(torch.full((3, 1), 0.01))  # 4 N for 1/60 s
    gained = task.cart_vel - before
    assert gained[0].item() == pytest.approx(4.0 / 1.25 / 60.0, rel=0.1)
