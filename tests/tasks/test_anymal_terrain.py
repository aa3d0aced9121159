# SPDX-License-Identifier: Apache-2.0
"""AnymalTerrain: rewards by hand; and with the robot, which pip has to bring, at night."""

import math
from types import SimpleNamespace

import pytest
import torch

from omni.myriad.app.config import load_config
from omni.myriad.task.loader import load_task_class

DT = 0.02


@pytest.fixture
def walker():
    """Return what six robots that do as told are to `calculate_metrics`."""
    n = 6
    commanded = torch.tensor([[0.6, -0.3, 0.2]]).repeat(n, 1)
    zero, joints = torch.zeros((n, 1)), torch.zeros((n, 12))
    walker = SimpleNamespace(
        task_config=load_config(["task=AnymalTerrain", "sim_device=cpu"])["task"],
        dt=DT,
        hips=torch.arange(4),
        commanded=commanded,
        linear_velocity=torch.cat((commanded[:, :2], zero), dim=-1),
        angular_velocity=torch.cat((zero, zero, commanded[:, 2:]), dim=-1),
        gravity=torch.tensor([[0.0, 0.0, -1.0]]).repeat(n, 1),
        height=torch.full((n,), 0.52),
        base_contacts=torch.zeros((n, 3)),
        thigh_contacts=torch.zeros((n, 4, 3)),
        progress_buf=torch.zeros(n),
        max_episode_length=1000,
        time_out_buf=torch.zeros(n, dtype=torch.bool),
        rew_buf=torch.zeros(n),
        reset_buf=torch.zeros(n),
        sum_rewards=lambda terms: torch.stack(list(terms.values())).sum(0),
    )
    for name in ("default_dof_pos", "dof_pos", "dof_vel", "last_dof_vel", "actions", "last_actions", "torques"):
        setattr(walker, name, joints.clone())
    cls = load_task_class("AnymalTerrain", [])
    walker.time_is_up = lambda: cls.time_is_up(walker)
    return walker


def test_reward_by_hand(walker):
    walker.linear_velocity[1] += torch.tensor([0.3, 0.4, 0.1])
    walker.angular_velocity[2] += torch.tensor([0.3, -0.4, 0.5])
    walker.torques[3, 5], walker.actions[3, 7], walker.dof_vel[3, 0] = 50.0, 1.0, 10.0
    walker.base_contacts[4, 2] = 1.1
    walker.thigh_contacts[5, 1, 0] = 2.0  # one thigh alone may touch
    load_task_class("AnymalTerrain", []).calculate_metrics(walker)
    expected = [
        1.5,
        1.0 / math.e + 0.5 - 4.0 * 0.01,
        1.0 + 0.5 / math.e - 0.05 * 0.25,
        1.5 - 0.00002 * 2500.0 - 0.01 - 0.0005 * 100.0,
        0.5,
        1.5,
    ]
    torch.testing.assert_close(walker.rew_buf, DT * torch.tensor(expected))
    assert walker.fallen.tolist() == [False] * 4 + [True, False] and walker.last_dof_vel[3, 0] == 10.0


def test_rewards_are_not_negative_and_a_fall_at_the_end_is_a_fall(walker):
    task = load_task_class("AnymalTerrain", [])
    walker.torques.fill_(200.0)
    walker.thigh_contacts[:2, :2] = 2.0
    walker.task_config["env"]["learn"]["terminalReward"] = -5.0
    walker.progress_buf[1:3] = 999
    task.calculate_metrics(walker)
    assert walker.rew_buf.tolist() == [pytest.approx(-5.0 * DT)] + [0.0] * 5, "of the second one, time is up"
    walker.time_out_buf[1:3] = True
    task.is_done(walker)
    assert walker.reset_buf.tolist() == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert walker.time_out_buf.tolist() == [False, False, True, False, False, False]


def ramp(shape, scale, shift):
    """Return numbers that are easily made again: sines of whole numbers."""
    count = torch.Size(shape).numel()
    return (scale * torch.sin(torch.arange(1.0, count + 1.0) + shift)).view(shape)


SMALL = tuple(f"task.env.terrain.{part}" for part in ("levels=3", "columns=4", "tile=2.0", "border=2.0"))
OBSERVATION = (
    "0.423360 -2.270408 -2.876773 -0.077232 0.230465 0.387616 -0.315241 -0.135755 -0.939252 0.381024 -2.043367 "
    "0.120979 -0.227041 -0.287677 -0.083825 0.197096 0.296807 0.123636 -0.163206 -0.299997 -0.160972 0.126050 "
    "0.297182 0.195086 -0.095892 -0.027942 0.065699 0.098936 0.041212 -0.054402 -0.099999 -0.053657 0.042017 "
    "0.099061 0.065029 -0.028790 2.032240 2.182240 2.307240 2.407240 2.407240 2.507240 2.407240 2.357240 2.107240 "
    "2.107240 2.032240 2.182240 2.207240 2.307240 2.407240 2.382240 2.232240 2.232240 1.932240 1.857240"
)
"""Of the first robot, up to its twentieth height, by OmniIsaacGymEnvs' own file (f8f91bc) with the rotations of Isaac
Sim 5.1.0, on the ground that the test makes; so are the numbers in it."""


@pytest.mark.nightly
def test_observations_and_rewards_are_those_of_omniisaacgymenvs(env_of):
    task = env_of("task=AnymalTerrain", "num_envs=3", "test=True", "engine=physx", *SMALL).task
    rows, columns = torch.arange(100.0), torch.arange(120.0)
    ground = (40.0 * torch.sin(0.31 * rows)[:, None] + 30.0 * torch.cos(0.23 * columns)).round()
    task.terrain.heights.copy_(0.005 * ground)
    rotations = ramp((3, 4), 0.3, 1.0) + torch.tensor([1.0, 0.0, 0.0, 0.0])
    velocities = ramp((3, 6), 1.5, 2.0)
    positions = ramp((3, 3), 0.4, 0.0) + torch.tensor([2.03, 4.04, 0.6])
    task.robot.set_world_poses(positions, rotations / rotations.norm(dim=-1, keepdim=True))
    task.robot.set_velocities(velocities)
    task.robot.set_joint_positions(ramp((3, 12), 0.3, 3.0))
    task.robot.set_joint_velocities(ramp((3, 12), 2.0, 4.0))
    task.torques.copy_(ramp((3, 12), 40.0, 7.0))
    task.actions.copy_(ramp((3, 12), 0.9, 6.0))
    task.commanded[:, :2] = 0.9 * velocities[:, :2]
    task.command_headings.copy_(torch.tensor([0.5, -2.0, 3.0]))
    task.get_observations()
    expected = torch.tensor([float(number) for number in OBSERVATION.split()])
    torch.testing.assert_close(task.obs_buf[0, :56], expected, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(task.obs_buf[:, 176:], task.actions)
    sums = torch.tensor([143.048218, -56.096600, 237.841309])
    torch.testing.assert_close(task.obs_buf.sum(-1), sums, atol=2e-4, rtol=0.0)
    yaw_rates = torch.tensor([0.483914, -1.0, 1.0])
    torch.testing.assert_close(task.commanded[:, 2], yaw_rates, atol=1e-5, rtol=0.0)
    # Nearly as told, and hardly bouncing, so that rewards are not cut.
    task.commanded[:, :2] = task.linear_velocity[:, :2] + 0.1
    task.linear_velocity[:, 2] *= 0.1
    task.last_actions.copy_(0.9 * task.actions)
    task.last_dof_vel.copy_(0.99 * task.dof_vel)
    task.base_contacts[1, 2] = 2.0
    task.calculate_metrics()
    rewards = torch.tensor([0.012177, 0.0, 0.014063])
    torch.testing.assert_close(task.rew_buf, rewards, atol=1e-5, rtol=0.0)


@pytest.mark.nightly
def test_a_robot_stands_on_every_kind_of_ground_and_its_motors_hold_it(env_of):
    env = env_of("task=AnymalTerrain", "num_envs=8", "test=True", "engine=physx", *SMALL[:2], SMALL[3])
    task = env.task
    assert task.num_observations == 188 and task.num_actions == 12 and task.push_interval == 750
    env.reset()
    for _ in range(60):
        env.step(torch.zeros(8, 12))
    positions = task.robot.get_world_poses()[0]
    clearance = positions[:, 2] - task.terrain.heights_at(positions[:, :2])
    assert ((clearance > 0.3) & (clearance < 0.6)).all()
    # The last physics step's efforts, from what joints were before it.
    stiff = 80.0 * (task.default_dof_pos - task.dof_pos) - 2.0 * task.dof_vel
    torch.testing.assert_close(task.torques, stiff.clamp(-80.0, 80.0), atol=3.0, rtol=0.0)


@pytest.mark.nightly
def test_robots_are_pushed_all_at_once(env_of):
    overrides = ("task.env.learn.pushInterval_s=0.1", "task.env.learn.pushSpeed=5.0")
    env = env_of("task=AnymalTerrain", "num_envs=4", "test=True", "engine=physx", *SMALL, *overrides)
    env.reset()
    speeds = [env.task.robot.get_velocities()[:, :2].abs().max() for _ in range(4) if env.step(torch.zeros(4, 12))]
    assert max(speeds[:3]) < 1.0 < speeds[3], "the fifth step"
