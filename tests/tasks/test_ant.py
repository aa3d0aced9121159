# SPDX-License-Identifier: Apache-2.0
import pytest
import torch


@pytest.fixture
def env(env_of):
    env = env_of("task=Ant", "num_envs=4")
    env.reset()
    return env


def show(task, height=0.5, rotation=(1.0, 0.0, 0.0, 0.0), velocity=(0.0,) * 6, moved=0.0):
    """Let the task see all ants in one state, `moved` metres nearer to their targets than in the step before."""
    position = task.initial_root_pos.clone()
    task.potentials[:] = task._potentials(task.targets - position)
    position[:, 0] += moved
    position[:, 2] = height
    task.robots.set_world_poses(position, torch.tensor([rotation]).repeat(4, 1))
    task.robots.set_velocities(torch.tensor([velocity]).repeat(4, 1))
    task.robots.set_joint_positions(task.initial_dof_pos)
    task.robots.set_joint_velocities(torch.zeros(4, 8))
    task.actions.zero_()
    task.get_observations()


def test_observations_of_an_upright_ant(env):
    show(env.task, velocity=(1.0, 2.0, 3.0, 0.1, 0.2, 0.3))
    obs = env.task.obs_buf[0]
    torch.testing.assert_close(obs[:7], torch.tensor([0.5, 1.0, 2.0, 3.0, 0.1, 0.2, 0.3]), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(obs[7:12], torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0]), atol=1e-3, rtol=0.0)
    # Hips rest in the middle of +-40 degrees; feet at 45 of 30 to 100: (2 * 45 - 130) / 70 = -4/7, mirrored for two.
    torch.testing.assert_close(obs[12:16], torch.zeros(4), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(obs[16:20], torch.tensor([-4.0, 4.0, 4.0, -4.0]) / 7.0, atol=1e-5, rtol=0.0)
    assert (obs[20:28] == 0.0).all() and (obs[52:] == 0.0).all()


def test_velocity_is_seen_in_the_torsos_frame(env):
    half = 0.5**0.5
    show(env.task, rotation=(half, 0.0, 0.0, half), velocity=(0.0, 1.0, 0.0, 0.0, 0.0, 0.0))  # turned left, moving left
    obs = env.task.obs_buf[0]
    torch.testing.assert_close(obs[1:4], torch.tensor([1.0, 0.0, 0.0]), atol=1e-5, rtol=0.0)
    assert obs[7].item() == pytest.approx(torch.pi / 2, abs=1e-5)  # yaw
    assert obs[11].item() == pytest.approx(0.0, abs=1e-5)  # heading is square to the target


def test_reward_of_standing_still_by_hand(env):
    show(env.task)
    env.task.calculate_metrics()
    # alive 0.5 + upright 0.1 + on course 0.5
    torch.testing.assert_close(env.task.rew_buf, torch.full((4,), 1.1), atol=1e-2, rtol=0.0)


def test_reward_of_progress_by_hand(env):
    show(env.task, moved=0.05)  # 0.05 m in 1/60 s are 3 m/s
    env.task.calculate_metrics()
    torch.testing.assert_close(env.task.rew_buf, torch.full((4,), 1.1 + 3.0), atol=2e-2, rtol=0.0)


def test_cost_of_effort_and_of_joints_at_their_limits_by_hand(env):
    task = env.task
    show(task)
    task.actions.fill_(0.5)
    task.dof_vel_scaled = torch.full((4, 8), 2.0)
    task.dof_pos_scaled = task.dof_pos_scaled.clone()
    task.dof_pos_scaled[:, :3] = 0.995
    task.calculate_metrics()
    # actions 0.005 * 8 * 0.25, energy 0.05 * 8 * 0.5 * 2, one for each joint at its limit
    torch.testing.assert_close(task.rew_buf, torch.full((4,), 1.1 - 0.01 - 0.4 - 3.0), atol=1e-2, rtol=0.0)


def test_heading_counts_fully_from_0_8_on(env):
    task = env.task
    show(task)
    task.heading_proj = torch.tensor([1.0, 0.8, 0.4, -0.4])
    task.calculate_metrics()
    torch.testing.assert_close(task.rew_buf, torch.tensor([1.1, 1.1, 0.85, 0.35]), atol=1e-2, rtol=0.0)


def test_a_fallen_ant_ends_its_episode_without_bootstrap(env):
    show(env.task, height=0.30)
    env.task.calculate_metrics()
    env.task.time_out_buf.fill_(True)
    env.task.is_done()
    assert (env.task.rew_buf == -2.0).all()
    assert env.task.reset_buf.tolist() == [1] * 4
    assert not env.task.time_out_buf.any()


def test_an_action_is_a_torque_of_7_5(env):
    env.task.reset_buf.zero_()
    env.step(torch.tensor([[1.0, -1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 2.0]]).repeat(4, 1))
    torques = env.task.robots.get_applied_joint_efforts()
    torch.testing.assert_close(torques[2], torch.tensor([7.5, -7.5, 3.75, 0.0, 0.0, 0.0, 0.0, 7.5]))


def test_starts_are_at_rest_with_legs_near_theirs(env):
    task = env.task
    task.reset_idx(torch.tensor([1, 3]))
    offset = (task.robots.get_joint_positions() - task.initial_dof_pos)[[1, 3]]
    assert offset.abs().max() <= 0.2 + 1e-6 and offset.abs().max() > 0.05
    assert task.robots.get_joint_velocities()[[1, 3]].abs().max() <= 0.1
    positions, rotations = task.robots.get_world_poses()
    torch.testing.assert_close(positions[[1, 3]], task.initial_root_pos[[1, 3]])
    torch.testing.assert_close(rotations[1], torch.tensor([1.0, 0.0, 0.0, 0.0]))
