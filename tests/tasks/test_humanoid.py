# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch

GEARS = {"waist": 67.5, "pelvis": 67.5, "upper_arm": 67.5, "lower_arm": 45.0, "thigh:1": 135.0, "thigh": 45.0}
GEARS |= {"shin": 90.0, "foot": 22.5}


@pytest.fixture
def env(env_of):
    env = env_of("task=Humanoid", "num_envs=4")
    env.reset()
    return env


def show(task, height=1.34):
    """Let the task see all robots upright and at rest, as high."""
    position = task.initial_root_pos.clone()
    task.potentials[:] = task._potentials(task.targets - position)
    position[:, 2] = height
    task.robots.set_world_poses(position, task.initial_root_rot)
    task.robots.set_velocities(torch.zeros(4, 6))
    task.robots.set_joint_positions(torch.zeros(4, 21))
    task.robots.set_joint_velocities(torch.zeros(4, 21))
    task.actions.zero_()
    task.get_observations()


def test_a_robot_of_41_kg_stands_on_its_soles_at_1_34_m(env):
    robots = env.task.robots
    assert robots.get_body_masses()[0].sum().item() == pytest.approx(40.84, abs=0.01)
    assert robots.num_bodies == 13 and robots.num_dof == 21
    show(env.task)
    # 0.195 + 0.13 + 0.14 + 0.383 + 0.33 m from the torso to the ankles; soles are 0.08 + 0.027 m below
    feet = robots.get_body_poses(body_indices=[robots.get_body_index("left_foot")])[0][:, 0]
    torch.testing.assert_close(feet[:, 2], torch.full((4,), 1.34 - 1.178), atol=1e-4, rtol=0.0)


def test_torques_are_actions_times_the_gears_of_the_joints(env):
    env.task.reset_buf.zero_()
    env.step(torch.full((4, 21), 0.5))
    for name, torque in zip(env.task.robots.dof_names, env.task.robots.get_applied_joint_efforts()[1], strict=True):
        gear = next(gear for part, gear in GEARS.items() if part in name)
        assert torque.item() == pytest.approx(0.5 * gear), name


def test_reward_of_standing_still_by_hand(env):
    show(env.task)
    env.task.calculate_metrics()
    # alive 2 + upright 0.1 + on course 0.5; no joint is at its end, the knees' range is -160 to 2 degrees: 79 / 81
    torch.testing.assert_close(env.task.dof_pos_scaled[0].max().item(), 79.0 / 81.0, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(env.task.rew_buf, torch.full((4,), 2.6), atol=1e-2, rtol=0.0)


def test_cost_of_effort_and_of_joints_at_their_limits_by_hand(env):
    task = env.task
    show(task)
    hip = task.robots.get_dof_index("left_thigh:1")
    foot = task.robots.get_dof_index("left_foot:0")
    task.dof_pos_scaled = torch.zeros(4, 21)
    task.dof_vel_scaled = torch.zeros(4, 21)
    task.dof_pos_scaled[0, hip], task.dof_pos_scaled[1, hip], task.dof_pos_scaled[2, foot] = 1.0, -0.99, 1.0
    task.actions[3, hip], task.dof_vel_scaled[3, hip] = 0.5, -2.0
    task.actions[3, foot], task.dof_vel_scaled[3, foot] = 1.0, 3.0
    task.calculate_metrics()
    costs = torch.tensor(
        [0.25, 0.25 * 0.5, 0.25 * 22.5 / 135.0, 0.01 * (0.25 + 1.0) + 0.05 * (1.0 + 3.0 * 22.5 / 135.0)]
    )
    torch.testing.assert_close(task.rew_buf, 2.6 - costs, atol=1e-2, rtol=0.0)


def test_a_fallen_robot_ends_its_episode_without_bootstrap(env):
    show(env.task, height=0.79)
    env.task.calculate_metrics()
    env.task.time_out_buf.fill_(True)
    env.task.is_done()
    assert (env.task.rew_buf == -1.0).all()
    assert env.task.reset_buf.tolist() == [1] * 4 and not env.task.time_out_buf.any()


def test_a_hinge_of_a_hip_turns_the_leg_about_its_axis(env):
    task = env.task
    show(task)
    angle = math.radians(30.0)
    shin = task.robots.get_body_index("left_shin")
    at_rest = task.robots.get_body_poses(body_indices=[shin])[0][0, 0]
    for dof, moved in (("left_thigh:0", (0.0, -1.0)), ("left_thigh:1", (-1.0, 0.0))):
        positions = torch.zeros(4, 21)
        positions[:, task.robots.get_dof_index(dof)] = -angle if dof.endswith("0") else angle
        task.robots.set_joint_positions(positions)
        task.world.update_kinematics()
        offset = (task.robots.get_body_poses(body_indices=[shin])[0][0, 0] - at_rest)[:2]
        # The knee is 0.383 m below the hip and 1 cm further in.
        way = 0.383 * math.sin(angle)
        expected = torch.tensor([way * moved[0], -way * moved[1]])
        torch.testing.assert_close(offset, expected, atol=5e-3, rtol=0.0)


@pytest.mark.parametrize("determinism", [True, False])
def test_scenes_of_other_sizes_change_a_fall_unless_determinism_is_enhanced(env_of, determinism):
    played = []
    for shards in (1, 4):
        setting = f"task.sim.physx.enable_enhanced_determinism={determinism}"
        env = env_of("task=Humanoid", "num_envs=4", f"engine.shards={shards}", "seed=7", setting)
        env.reset()
        torch.manual_seed(3)
        played.append(torch.stack([env.step(2.0 * torch.rand(4, 21) - 1.0)[0]["obs"].clone() for _ in range(60)]))
        env.close()
    assert torch.equal(*played) is determinism
