# SPDX-License-Identifier: Apache-2.0
"""FrankaCabinet: what is observed and rewarded by hand, with the arm and the cabinet in PhysX."""

import pytest
import torch


@pytest.fixture
def env(env_of):
    env = env_of("task=FrankaCabinet", "num_envs=3", "engine.shards=2")
    env.reset()
    return env


def show(env, opening, way=(0.0, 0.0, 0.0), fingers=0.04):
    """Open the drawers, and let the task see hands that far from the handles, turned as they should be."""
    task = env.task
    task.cabinets.set_joint_positions(torch.tensor([[0.0, 0.0, 0.0, opening]]).repeat(3, 1))
    env.engine.update_kinematics()
    task.get_observations()
    task.way = torch.tensor(way).repeat(3, 1)
    # z of the hand along -x, y of it up: x is -y then.
    task.hand_turns = torch.tensor([[0.5, 0.5, -0.5, -0.5]]).repeat(3, 1)
    task.finger_openings = torch.full((3, 2), fingers)
    task.actions.fill_(0.5)
    task.calculate_metrics()
    return task.rew_buf


# Turned right: 0.5 * 0.5 * (1 + 1) = 0.5. Nine actions of a half: 0.01 * 9 * 0.25 = 0.0225.
@pytest.mark.parametrize(
    ("opening", "way", "fingers", "reward"),
    [
        (0.0, (0.0, 0.0, 0.0), 0.04, 2.0 * 2.0 + 0.5 - 0.0225),
        (0.0, (0.0, 1.0, 0.0), 0.0, 2.0 * 0.25 + 0.5 - 0.0225),  # (1 / (1 + 1))^2; fingers count at the handle alone
        (0.0, (0.0, 0.0, 0.025), 0.01, 2.0 / 1.000625**2 + 0.5 + 10.0 * 0.06 - 0.0225),
        (0.02, (0.0, 1.0, 0.0), 0.04, 0.5 + 0.5 + 7.5 * 0.02 + 0.5 - 0.0225),  # and a half for having begun
        (0.3, (0.01, 0.0, 0.0), 0.0, 4.0 / 1.0001**2 + 0.5 + 7.5 * 0.3 + 0.5 + 0.8 - 0.0225),
    ],
)
def test_reward_by_hand(env, opening, way, fingers, reward):
    torch.testing.assert_close(show(env, opening, way, fingers), torch.full((3,), reward), atol=1e-4, rtol=0.0)


def test_a_hand_turned_away_is_charged(env):
    show(env, 0.0)
    right = env.task.rew_buf.clone()
    env.task.hand_turns = torch.tensor([[0.5, -0.5, 0.5, -0.5]]).repeat(3, 1)  # z of the hand along x, y of it down
    env.task.calculate_metrics()
    torch.testing.assert_close(right - env.task.rew_buf, torch.ones(3), atol=1e-5, rtol=0.0)


def test_observations_by_hand(env):
    task = env.task
    joints = task.default_joints.repeat(3, 1)
    task.robot.set_joint_positions(joints)
    task.robot.set_joint_velocities(torch.full((3, 9), 0.5))
    task.cabinets.set_joint_positions(torch.tensor([[0.0, 0.0, 0.0, 0.1]]).repeat(3, 1))
    env.engine.update_kinematics()
    task.get_observations()
    seen = task.obs_buf[0]
    assert seen.shape == (23,)
    # The first joint may turn by 2.8973 rad either way, the fourth from -3.0718 to -0.0698; a finger slides 40 mm.
    expected = [1.157 / 2.8973, (-2.239 + 1.5708) / 1.501, 2 * 0.035 / 0.04 - 1]
    torch.testing.assert_close(seen[[0, 3, 8]], torch.tensor(expected), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(seen[9:18], torch.full((9,), 0.05), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(seen[21], torch.tensor(0.1), atol=1e-6, rtol=0.0)
    # The handle is 0.3 m ahead of the drawer, which stands at 51.5 mm in the cabinet, and has come out by 100.
    hand, turn = (part[0] for part in task.robot.frame_poses("panda_link7"))
    handle = torch.tensor([0.0515 + 0.1 + 0.3, 0.01, 0.4 + 0.3172])
    w, x, y, z = turn.tolist()
    rotation = torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    way = handle - (hand + rotation @ torch.tensor([0.0, 0.04, 0.1654]))
    torch.testing.assert_close(seen[18:21], way, atol=1e-4, rtol=0.0)


def test_the_place_that_grasps_is_between_the_fingers(env):
    """Numbers of the YAML beside the arm's own file: 4 cm aside of the fingers' middle, and turned as they are."""
    hand, left, right = env.task.robot.frame_poses(["panda_link7", "panda_leftfinger", "panda_rightfinger"])[0][0]
    grasp = torch.tensor(env.task.task_config["env"]["handGrasp"])
    middle, tall = 0.5 * (left + right) - hand, torch.tensor([0.0, 0.04, 0.0])
    assert middle.norm().item() == pytest.approx((grasp[:3] - tall).norm().item(), abs=1e-3)


def test_an_open_drawer_ends_an_episode_and_is_reported(env):
    task = env.task
    for opening, done in ((0.38, False), (0.395, True)):
        show(env, opening)
        task.time_out_buf.fill_(done)
        task.is_done()
        assert task.reset_buf.bool().tolist() == [done] * 3 and not task.time_out_buf.any()
    task.get_extras()
    assert task.extras["episode"]["drawer_open"] == 1.0


def test_episodes_start_near_the_default_posture_with_a_shut_drawer_and_props_in_it(env):
    task = env.task
    task.cabinets.set_joint_positions(torch.full((3, 4), 0.2))
    task.props.set_world_poses(task.prop_poses[0] + 1.0)
    before = task.robot.get_joint_positions()
    task.reset_idx(torch.tensor([0, 2]))
    assert task.cabinets.get_joint_positions()[:, 3].tolist() == pytest.approx([0.0, 0.2, 0.0])
    moved = (task.props.get_world_poses()[0] - task.prop_poses[0]).norm(dim=-1).view(3, 4)
    assert (moved[[0, 2]] < 1e-5).all() and (moved[1] > 1.7).all()
    joints = task.robot.get_joint_positions()
    assert ((joints - task.default_joints)[[0, 2]].abs() <= 0.125 + 1e-5).all()
    torch.testing.assert_close(joints[1], before[1])


def test_targets_move_by_an_eighth_of_a_rad_and_fingers_by_an_eighth_of_a_cm(env):
    task = env.task
    before = task.joint_targets.clone()
    task.apply_actions(torch.full((3, 9), -0.1))
    moved = task.robot.get_applied_actions().joint_positions - before
    torch.testing.assert_close(moved[:, :7], torch.full((3, 7), -0.0125))
    assert (moved[:, 7:] >= -0.00125 - 1e-6).all()


def test_a_pull_opens_the_drawer_and_props_ride_along(env):
    task = env.task
    assert task.cabinets.get_joint_positions()[:, 3].abs().max() < 1e-3
    task.cabinets.set_joint_efforts(torch.tensor([[0.0, 0.0, 0.0, 20.0]]).repeat(3, 1))
    env.engine.step(60)
    # 20 N against 10 N s/m of damping and 6 kg with what lies in it: half a second is enough for 0.2 m
    assert (task.cabinets.get_joint_positions()[:, 3] > 0.2).all()
    inside = (task.props.get_world_poses()[0] - task._env_pos.repeat_interleave(4, 0))[:, 2]
    assert (inside > 0.7).all(), "props ride along"


def test_where_things_are_is_part_of_a_checkpoint(env):
    task = env.task
    saved = env.get_env_state()
    assert saved["views"]["props"]["positions"].shape == (3, 4, 3)
    task.props.set_world_poses(task.prop_poses[0] + 1.0)
    env.set_env_state(saved)
    now = env.engine.get_motion()["props"]["positions"]
    torch.testing.assert_close(now, saved["views"]["props"]["positions"])
    env.mend(torch.tensor([1]))  # of one environment alone, whose four props go back to where physics began
    assert (env.engine.get_motion()["props"]["positions"][[0, 2]] == now[[0, 2]]).all()
