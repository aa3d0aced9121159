# SPDX-License-Identifier: Apache-2.0
"""FrankaReach: its reward to the letter, by hand; and with the arm itself, which pip has to bring, at night."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from omni.myriad.task.loader import load_task_class

CONFIG = {"successDistance": 0.05, "successReward": 0.5, "actionCost": 0.01}


def test_the_reward_is_the_lessons():
    distances, actions = torch.tensor([0.3, 0.049, 0.05, 0.0]), torch.zeros(4, 7)
    actions[0, :2] = torch.tensor([0.6, 0.8])
    task = SimpleNamespace(cfg_env=CONFIG, distances=distances, actions=actions, rew_buf=torch.zeros(4))
    task.steps_near = torch.tensor([3, 3, 3, 0])
    reach = load_task_class("FrankaReach", [])
    task.count = partial(reach.count, task)
    reach.calculate_metrics(task)
    torch.testing.assert_close(task.rew_buf, torch.tensor([-0.31, 0.451, -0.05, 0.5]))
    assert task.steps_near.tolist() == [0, 4, 0, 1]


def test_an_episode_succeeds_by_its_last_second_alone():
    task = SimpleNamespace(dt=1 / 30, time_out_buf=torch.tensor([True, True, False]), reset_buf=torch.zeros(3))
    task.steps_near, task.succeeded = torch.tensor([30, 29, 40]), torch.tensor([0.0, 1.0, 0.0])
    load_task_class("FrankaReach", []).is_done(task)
    assert task.succeeded.tolist() == [1.0, 0.0, 0.0] and task.reset_buf.tolist() == [1.0, 1.0, 0.0]


@pytest.fixture
def reach(env_of):
    return env_of("task=FrankaReach", "num_envs=32")


@pytest.mark.nightly
def test_targets_are_in_reach_and_clear_of_ground_and_base(reach):
    points = reach.task.reachable
    assert len(points) > 500 and (points[:, 2] > 0.15).all() and (points[:, :2].norm(dim=-1) > 0.3).all()
    # The shoulder is 0.333 m up, and the stretched arm 0.94 m from there to the point between the fingers.
    assert ((points - torch.tensor([0.0, 0.0, 0.333])).norm(dim=-1) < 0.95).all()
    assert points.std(dim=0).min() > 0.2, "all around"


@pytest.mark.nightly
def test_the_right_posture_reaches_its_target_and_succeeds(reach):
    task = reach.task
    reach.reset()
    goal = torch.zeros(32, 7).uniform_(-0.4, 0.4)
    task.robot.set_joint_positions(task.middles + task.half_ranges * goal, joint_indices=task.arm)
    reach.engine.update_kinematics()
    task.targets[:] = task.robot.frame_poses("panda_hand_tcp")[0]
    task.robot.set_joint_positions(task.home)
    for _ in range(121):
        obs, _, dones, extras = reach.step(goal)
        if dones.any():
            break
    assert dones.all() and extras["episode"]["success"] > 0.9, "the drives bring the arm there in time"
    torch.testing.assert_close(obs["obs"][:, 17:20], task.targets)
    torch.testing.assert_close(obs["obs"][:, :7], goal, rtol=0.0, atol=0.1)


def test_both_cameras_see_the_ball_where_the_target_is(env_of):
    env = env_of("task=FrankaReachCamera", "num_envs=2")
    env.reset()
    env.task.targets[:] = torch.tensor([[0.55, 0.1, 0.7], [0.2, -0.4, 0.3]])
    env.engine.update_kinematics()
    env.task.get_observations()
    for name, position in {"camera": (1.7, 1.0, 1.2), "side_camera": (0.4, -1.9, 1.2)}.items():
        # A pinhole that looks at (0.1, 0, 0.45) with 64 pixels on 20.955 mm of film, 24 mm behind it.
        ahead = torch.nn.functional.normalize(torch.tensor([0.1, 0.0, 0.45]) - torch.tensor(position), dim=0)
        right = torch.nn.functional.normalize(torch.linalg.cross(ahead, torch.tensor([0.0, 0.0, 1.0])), dim=0)
        down = torch.linalg.cross(ahead, right)
        for picture, target in zip(env.task.obs_buf[name].int(), env.task.targets, strict=True):
            rows, columns = torch.where(picture[..., 0] - picture[..., 1] > 60)
            assert len(rows) >= 5, "the ball is red, and nothing else"
            to = target - torch.tensor(position)
            pixels = 64 * 24.0 / 20.955 / (to @ ahead)
            seen = torch.stack((columns.float().mean(), rows.float().mean())) + 0.5
            expected = torch.stack((32 + pixels * (to @ right), 32 + pixels * (to @ down)))
            assert (seen - expected).abs().max() < 1.0
    assert env.task.obs_buf["state"].shape == (2, 14)
