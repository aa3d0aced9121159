# SPDX-License-Identifier: Apache-2.0
"""Go1Velocity and G1Velocity: rewards and errors by hand; and with the robots, which pip has to bring, at night."""

import math
from types import SimpleNamespace

import pytest
import torch

from omni.myriad.app.config import load_config
from omni.myriad.task.curriculum import Curriculum
from omni.myriad.task.loader import load_task_class

DT = 0.02
PAY = ["task.env.rewards.linear=2.0", "task.env.rewards.actionRate=-0.05"]  # whatever tuning makes of them
BEST = 2.0 + 2.0 + 1.0 + 1.0
"""Reward per second of a robot that moves as told, upright, at home."""


@pytest.fixture
def walker():
    """Return what seven robots that do as told, with two joints and a foot, are to `calculate_metrics`."""
    n = 7
    commanded = torch.tensor([[0.6, -0.3, 0.2]]).repeat(n, 1)
    zero, joints = torch.zeros((n, 1)), torch.zeros((n, 2))
    spreads = {"walking": torch.tensor([0.3, 0.6]), "standing": torch.tensor([0.05, 0.1])}
    return SimpleNamespace(
        task_config=load_config(["task=Go1Velocity", "sim_device=cpu", *PAY])["task"],
        dt=DT,
        commanded=commanded,
        command_ages=torch.full((n,), 60.0),
        linear_velocity=torch.cat((commanded[:, :2], zero), dim=-1),
        angular_velocity=torch.cat((zero, zero, commanded[:, 2:]), dim=-1),
        gravity=torch.tensor([[0.0, 0.0, -1.0]]).repeat(n, 1),
        height=torch.full((n,), 0.28),
        home=torch.zeros(2),
        dof_pos=joints.clone(),
        soft_lower=torch.tensor([-1.0, -0.5]),
        soft_upper=torch.tensor([1.0, 0.5]),
        spreads=spreads,
        actions=joints.clone(),
        last_actions=joints.clone(),
        foot_heights=torch.full((n, 1), 0.1),
        foot_speeds=torch.zeros((n, 1)),
        touching=torch.zeros((n, 1), dtype=torch.bool),
        touching_for=torch.zeros(n),
        rew_buf=torch.zeros(n),
        reset_buf=torch.zeros(n),
        time_out_buf=torch.zeros(n, dtype=torch.bool),
        sums=torch.zeros((n, 3)),
        errors=torch.ones((n, 2)),
        survived=torch.zeros(n),
        curricula={},
        sum_rewards=lambda terms: torch.stack(list(terms.values())).sum(0),
    )


def test_reward_by_hand(walker):
    walker.linear_velocity[1] += torch.tensor([0.3, 0.0, 0.4])  # off by 0.3 m/s, and bounces
    walker.angular_velocity[2] += torch.tensor([0.5, 0.0, 0.5])
    walker.gravity[3] = torch.tensor([math.sin(0.3), 0.0, -math.cos(0.3)])
    walker.dof_pos[4] = torch.tensor([0.3, -0.6])  # a spread each, the second 0.1 rad too far
    walker.actions[5, 0], walker.last_actions[5, 0] = 0.5, -0.5
    walker.foot_heights[5], walker.foot_speeds[5] = 0.04, 2.0
    walker.foot_heights[6], walker.foot_speeds[6] = 0.0, 2.0  # on the ground
    load_task_class("Go1Velocity", []).calculate_metrics(walker)
    expected = [
        BEST,
        BEST - 2.0 + 2.0 / math.e,
        BEST - 2.0 + 2.0 / math.e,
        BEST - 1.0 + math.exp(-(math.sin(0.3) ** 2) / 0.2),
        BEST - 1.0 + 1.0 / math.e - 0.1,
        BEST - 0.05 - 0.5 * 0.06 * 2.0,
        BEST - 0.5 * 0.1 * 2.0 - 0.05 * 4.0,
    ]
    torch.testing.assert_close(walker.rew_buf, DT * torch.tensor(expected))


def test_who_asks_for_it_pays_for_time_on_one_foot_and_charges_for_rolling(walker):
    walker.task_config["env"]["rewards"] |= {"roll": -0.05, "steps": 2.25}
    walker.task_config["env"]["stepTime"] = 0.4
    walker.foot_heights = torch.full((7, 2), 0.1)
    walker.touching = torch.tensor([[True, False]]).repeat(7, 1)
    walker.touching_for[:] = 0.2
    walker.foot_heights[:6, 0] = 0.0  # the last one has both in the air
    walker.foot_heights[1, 1] = 0.0  # has just put down the other one, too
    walker.foot_heights[2] = torch.tensor([0.1, 0.0])  # has just changed feet
    walker.touching_for[3] = 0.9
    walker.commanded[4], walker.linear_velocity[4], walker.angular_velocity[4] = 0.0, 0.0, 0.0  # shall stand
    walker.angular_velocity[5, :2] = torch.tensor([1.0, 2.0])
    load_task_class("Go1Velocity", []).calculate_metrics(walker)
    on_one_foot = 2.25 * (0.2 + DT)
    expected = [on_one_foot, 0.0, 0.0, 2.25 * 0.4, 0.0, on_one_foot - 0.05 * 5.0, 0.0]
    torch.testing.assert_close(walker.rew_buf, DT * (BEST + torch.tensor(expected)))
    assert walker.touching_for.tolist() == pytest.approx([0.22, 0.0, 0.0, 0.92, 0.22, 0.22, 0.0])


def test_who_shall_stand_pays_for_posture_and_not_for_feet(walker):
    for moving in (walker.commanded, walker.linear_velocity, walker.angular_velocity):
        moving.zero_()
    walker.dof_pos[0, 0] = 0.05
    walker.foot_heights[1], walker.foot_speeds[1] = 0.0, 2.0
    load_task_class("Go1Velocity", []).calculate_metrics(walker)
    expected = torch.tensor([BEST - 1.0 + math.exp(-0.5), BEST, BEST])
    torch.testing.assert_close(walker.rew_buf[:3], DT * expected)


def test_errors_are_measured_once_a_command_has_lasted(walker):
    task = load_task_class("Go1Velocity", [])
    walker.linear_velocity[:, 0] += 0.3
    walker.linear_velocity[:, 1] += 0.4
    walker.angular_velocity[:, 2] -= 0.1
    task.calculate_metrics(walker)
    walker.command_ages[:3] = 10.0  # 0.2 s: not yet
    walker.linear_velocity[:, :2] = walker.commanded[:, :2]
    task.calculate_metrics(walker)
    assert walker.sums[:, 0].tolist() == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]
    walker.gravity[1] = torch.tensor([math.sin(1.25), 0.0, -math.cos(1.25)])  # 71.6 degrees
    walker.height[2] = 0.11
    walker.time_out_buf[2:4] = True
    task.is_done(walker)
    assert walker.reset_buf.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert walker.time_out_buf.tolist() == [False] * 3 + [True] + [False] * 3
    assert walker.survived.tolist() == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    torch.testing.assert_close(walker.errors[1], torch.tensor([0.5, 0.1]))
    torch.testing.assert_close(walker.errors[3], torch.tensor([0.25, 0.1]))
    assert walker.errors[0].tolist() == [1.0, 1.0], "its episode goes on"


def test_commands_grow_with_the_share_of_episodes_without_a_fall(walker):
    settings = {"start": 0.3, "up_above": 0.7, "episodes": 3}
    share = walker.curricula["command_share"] = Curriculum("command_share", settings, torch.device("cpu"))
    task = load_task_class("Go1Velocity", [])
    walker.time_out_buf[:3] = True
    walker.height[2] = 0.11  # one of three has fallen
    task.is_done(walker)
    assert share.value.item() == pytest.approx(0.3)
    walker.height[2] = 0.28
    walker.time_out_buf[:3] = True
    task.is_done(walker)
    assert share.value.item() == pytest.approx(0.4)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("name", "joints", "mass", "height", "scales"),
    [
        # 23.7 N m / 15.895 and 35.55 / 35.764
        ("Go1Velocity", 12, 12.74, 0.288, {"FL_hip_joint": 1.49103, "RR_calf_joint": 0.99402}),
        ("G1Velocity", 29, 33.34, 0.757, {"left_knee_joint": 1.40266, "left_wrist_yaw_joint": 0.29801}),
    ],
)
def test_a_robot_stands_at_home_and_its_actions_ask_for_a_part_of_its_efforts(
    env_of, name, joints, mass, height, scales
):
    env = env_of(f"task={name}", "num_envs=4")
    task = env.task
    assert task.num_actions == joints and task.num_observations == 3 * joints + 12
    assert task.robot.get_body_masses()[0].sum().item() == pytest.approx(mass, abs=0.02)
    for joint, scale in scales.items():
        part = scale * task.task_config["env"]["effortPerAction"]
        assert task.action_scale[task.robot.get_dof_index(joint)].item() == pytest.approx(part, abs=1e-4)
    env.reset()
    for _ in range(30):
        _, _, dones, _ = env.step(torch.zeros(4, joints))
        assert not dones.any()
    assert ((task.height > 0.75 * height) & (task.height < height + 0.05)).all(), "its springs give a little"
    assert (task.foot_heights < task.task_config["env"]["contactHeight"]).all(), "on its soles"
    env.step(torch.full((4, joints), 0.1))
    expected = (task.home + 0.1 * task.action_scale).repeat(4, 1)
    torch.testing.assert_close(task.robot.get_applied_actions().joint_positions, expected)


@pytest.mark.nightly
def test_feet_move_as_their_link_turns(env_of):
    env = env_of("task=Go1Velocity", "num_envs=2")
    task = env.task
    env.reset()
    task.robot.set_world_poses(task.initial_root_pos + torch.tensor([0.0, 0.0, 1.0]))
    velocities = torch.zeros_like(task.home).repeat(2, 1)
    velocities[:, task.robot.get_dof_index("FL_calf_joint")] = 2.0
    task.robot.set_joint_velocities(velocities)
    task.robot.set_joint_positions(task.home.repeat(2, 1))
    task.world.update_kinematics()
    task.get_observations()
    # The calf hangs 0.9 rad behind the vertical, 0.213 m long.
    assert task.foot_speeds[0, 0].item() == pytest.approx(2.0 * 0.213 * math.cos(0.9), abs=0.02)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("name", "numbers", "height"), [("Go1VelocityRough", 48 + 187, 0.29), ("G1VelocityRough", 286, 0.76)]
)
def test_on_a_terrain_heights_are_above_the_ground(env_of, name, numbers, height):
    few = [f"+task.env.terrain.{part}" for part in ("levels=3", "columns=7", "border=3.0", "start_levels=3")]
    env = env_of(f"task={name}", "num_envs=8", "test=True", "engine=physx", *few)
    task = env.task
    env.reset()
    for _ in range(30):
        observed, _, _, extras = env.step(torch.zeros(8, task.num_actions))
    assert task.num_observations == numbers and 0.0 < extras["episode"]["terrain_level"] < 2.0
    ground = task.terrain.heights_at(task.robot.get_world_poses()[0][:, :2])
    assert ground.abs().max() > 0.1, "not all stand on flat ground"
    assert ((task.height > 0.6 * height) & (task.height < 1.1 * height)).all()
    assert ((task.foot_heights > -0.06) & (task.foot_heights < 0.2)).all()
    seen = observed["obs"][:, -187:].view(8, 17, 11)
    middle = task.task_config["env"]["heightScan"]["offset"]
    torch.testing.assert_close(seen[:, 8, 5], task.height - middle, atol=0.06, rtol=0.0)
