# SPDX-License-Identifier: Apache-2.0
"""FrankaLift and FrankaStack: rewards by hand, and cubes that a scripted hand takes, lifts and stacks in PhysX."""

import math
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from omni.myriad.app import runs
from omni.myriad.app.config import load_config

SCRIPTED = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "manipulation" / "scripted.py"))
drive, grasp, posture = (SCRIPTED[name] for name in ("drive", "grasp", "posture"))
HAND = "panda_hand_tcp"
NUM_ENVS = 4


@pytest.fixture(scope="module")
def lift():
    env = make("FrankaLift")
    yield env
    env.close()


@pytest.fixture(scope="module")
def stack():
    env = make("FrankaStack")
    yield env
    env.close()


@pytest.fixture(params=["lift", "stack"])
def any_env(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["joints", "hand"])
def any_stack(request, stack):
    """FrankaStack, and with actions that pull the hand."""
    if request.param == "joints":
        yield stack
        return
    env = make("FrankaStackOperationalSpace")
    yield env
    env.close()


def make(task, *overrides):
    config = load_config([f"task={task}", f"num_envs={NUM_ENVS}", "sim_device=cpu", "test=True", *overrides])
    return runs.make_env(config)


def begin(env) -> Any:
    """Start new episodes everywhere, and look at them."""
    torch.manual_seed(3)
    env.reset()
    return env.task


# ------------------------------------------------------------------------------------------------- what physics admits


def test_a_scripted_hand_lifts_the_cube_to_its_target_and_the_episode_succeeds(lift):
    task = begin(lift)
    targets = task.targets.clone()
    grasp(lift)
    torch.testing.assert_close(task.openings, torch.full((NUM_ENVS, 2), 0.025), rtol=0.0, atol=1e-3)
    drive(lift, targets, False, 165)
    assert task.progress_buf.tolist() == [251] * NUM_ENVS and task.reset_buf.all() and task.time_out_buf.all()
    assert task.to_target.norm(dim=-1).max() < 0.01, task.to_target
    torch.testing.assert_close(task.targets, targets)
    assert task.extras["episode"]["success"] == 1.0
    # All that there is: 1 + 15 + 16 + 5, less what the last millimetres cost.
    assert (task.rew_buf > 35.0).all() and (task.rew_buf < 37.0).all()


def test_a_scripted_hand_stacks_the_cubes_and_lets_go(any_stack):
    task = begin(any_stack)
    cubes = grasp(any_stack)
    drive(any_stack, cubes + torch.tensor([0.0, 0.0, 0.15]), False, 30)
    above = task.targets + torch.tensor([0.0, 0.0, 0.06])
    drive(any_stack, above, False, 60)
    drive(any_stack, task.targets + torch.tensor([0.0, 0.0, 0.003]), False, 30)
    assert (task.rew_buf > 3.0).all() and (task.rew_buf < 3.6).all(), "held in its place: not stacked yet"
    drive(any_stack, task.hands.clone(), True, 10)
    drive(any_stack, above, True, 85)
    assert task.reset_buf.all() and task.time_out_buf.all()
    assert task.rew_buf.tolist() == [16.0] * NUM_ENVS
    assert task.extras["episode"]["success"] == 1.0


@pytest.mark.nightly
def test_newton_admits_it_too():
    env = make("FrankaLift", "engine=newton")
    task = begin(env)
    targets, start = task.targets.clone(), task.robot.get_joint_positions()
    for _ in range(5):
        env.step(torch.zeros(NUM_ENVS, 8))
    assert (task.robot.get_joint_positions() - start)[:, :7].abs().max() < 1e-4, "the arm carries its own weight"
    grasp(env)
    drive(env, targets, False, 100)
    assert task.to_target.norm(dim=-1).max() < 0.03, "contacts are soft: fingers sink in by 4 mm"
    env.close()


def test_a_posture_is_found_in_which_the_hand_looks_down(lift):
    task = begin(lift)
    task.robot.set_joint_positions(posture(lift, 0.2).repeat(NUM_ENVS, 1))
    lift.engine.update_kinematics()
    place, turn = task.robot.frame_poses(HAND)
    torch.testing.assert_close(place[0], torch.tensor([0.5, 0.0, 0.2]), rtol=0.0, atol=5e-3)
    assert turn[0, 1].abs() > 0.999


def test_a_cube_that_falls_off_the_table_ends_its_episode(lift):
    task = begin(lift)
    positions, orientations = task.cubes.get_world_poses()
    positions[1, 0] += 1.0  # beside the table, which ends at 1 m
    task.cubes.set_world_poses(positions, orientations)
    task.succeeded[:] = 1.0
    for _ in range(25):
        _, _, dones, extras = lift.step(torch.zeros(NUM_ENVS, 8))
        if dones.any():
            break
    assert dones.tolist() == [0, 1, 0, 0] and not extras["time_outs"].any()
    assert extras["episode"]["success"] == 0.75


# ------------------------------------------------------------------------------------------------------------ by hand


def put(task, cube, hand, **others):
    """Let the task see cubes and hands there, without physics."""
    rows = {"cube": cube, "to_cube": tuple(c - h for c, h in zip(cube, hand, strict=True)), **others}
    for name, row in rows.items():
        setattr(task, name, torch.tensor([row]).repeat(NUM_ENVS, 1))
    task.to_target = task.targets - task.cube
    task.joint_velocities = torch.full((NUM_ENVS, 9), 2.0)  # 1e-4 * 9 * 4 = 0.0036
    task.action_changes[:] = 5.0  # 0.0005
    task.calculate_metrics()
    return task.rew_buf[0].item()


@pytest.mark.parametrize(
    ("cube", "hand", "reward"),
    [
        ((0.5, 0.0, 0.025), (0.5, 0.0, 0.125), 1.0 - math.tanh(1.0)),  # 0.1 m off
        ((0.5, 0.0, 0.039), (0.5, 0.0, 0.039), 1.0),  # on its edge, at 35 mm, is not lifted
        ((0.5, 0.0, 0.3), (0.5, 0.0, 0.3), 1.0 + 15.0 + 16.0 * (1 - math.tanh(1 / 3)) + 5.0 * (1 - math.tanh(2.0))),
        ((0.5, 0.0, 0.4), (0.5, 0.0, 0.4), 1.0 + 15.0 + 16.0 + 5.0),
    ],
)
def test_the_reward_of_lifting(lift, cube, hand, reward):
    task = begin(lift)
    task.targets[:] = torch.tensor([0.5, 0.0, 0.4])
    assert put(task, cube, hand) == pytest.approx(reward - 0.0041, abs=1e-4)
    assert bool(task.steps_near[0]) == (cube[2] == 0.4)


# Closed fingers are as far from the cube as the hand: three times the same distance. Open by 40 mm each, beside it.
BESIDE = (0.1 + 2 * math.hypot(0.1, 0.04)) / 3


@pytest.mark.parametrize(
    ("cube", "hand", "opening", "reward"),
    [
        ((0.5, 0.3, 0.025), (0.5, 0.3, 0.125), 0.0, 0.1 * (1 - math.tanh(1.0))),
        ((0.5, 0.3, 0.025), (0.5, 0.3, 0.125), 0.04, 0.1 * (1 - math.tanh(10 * BESIDE))),
        ((0.5, 0.1, 0.095), (0.5, 0.1, 0.095), 0.0, 0.1 + 1.5 + 2.0 * (1 - math.tanh(1.0))),  # 0.1 m aside
        ((0.5, 0.0, 0.095), (0.5, 0.0, 0.095), 0.0, 0.1 + 1.5 + 2.0),  # there, but held
        ((0.5, 0.0, 0.095), (0.5, 0.0, 0.145), 0.04, 16.0),
        ((0.5, 0.025, 0.095), (0.5, 0.025, 0.195), 0.0, 1.5 + 2.1 * (1 - math.tanh(0.25))),  # 25 mm off the middle
    ],
)
def test_the_reward_of_stacking(stack, cube, hand, opening, reward):
    task = begin(stack)
    task.targets[:] = torch.tensor([0.5, 0.0, 0.095])
    down = {"hand_turns": (0.0, 1.0, 0.0, 0.0), "openings": (opening, opening)}
    assert put(task, cube, hand, **down) == pytest.approx(reward, abs=1e-4)
    assert bool(task.steps_near[0]) == (reward == 16.0)


def test_observations_by_hand(any_env):
    task = begin(any_env)
    task.joint_targets[:, :7] += 0.1
    quarter = torch.tensor([[0.5**0.5, 0.0, 0.0, 0.5**0.5]]).repeat(NUM_ENVS, 1)  # about z: x becomes y
    task.cubes.set_world_poses(task._env_pos + torch.tensor([0.5, 0.1, 0.025]), quarter)
    any_env.engine.update_kinematics()
    lead = task.joint_targets - task.robot.get_joint_positions()
    task.get_observations()
    seen = task.obs_buf
    assert seen.shape == (NUM_ENVS, 40)
    torch.testing.assert_close(seen[:, :9], task.robot.get_joint_positions())
    torch.testing.assert_close(seen[:, 18:25], 10.0 * lead[:, :7])
    hand, turn = task.robot.frame_poses(HAND)
    torch.testing.assert_close(seen[:, 25:28], hand)
    torch.testing.assert_close(seen[:, 28:31], torch.tensor([0.5, 0.1, 0.025]) - hand, rtol=0.0, atol=1e-5)
    # In the world the cube's axes are y and z; each is turned back into the hand.
    for axis, columns in (((0.0, 1.0, 0.0), slice(31, 34)), ((0.0, 0.0, 1.0), slice(34, 37))):
        back = pose_axes(turn).transpose(1, 2) @ torch.tensor(axis)
        torch.testing.assert_close(seen[:, columns], back, rtol=0.0, atol=1e-5)
    torch.testing.assert_close(seen[:, 37:40], task.targets - torch.tensor([0.5, 0.1, 0.025]), rtol=0.0, atol=1e-5)


def pose_axes(quaternions):
    """Return rotation matrices, (N, 3, 3)."""
    w, x, y, z = quaternions.unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=1)


def test_actions_move_targets_by_40_mrad_and_open_and_close_the_hand(lift):
    task = begin(lift)
    before = task.joint_targets.clone()
    actions = torch.zeros(NUM_ENVS, 8)
    actions[:, 3], actions[:2, 7] = 0.5, 0.1
    task.apply_actions(actions)
    moved = task.robot.get_applied_actions().joint_positions - before
    assert moved[:, 3].tolist() == pytest.approx([0.5 * 2.0 * 0.02] * NUM_ENVS, abs=1e-6)
    assert moved[:, [0, 1, 2, 4, 5, 6]].abs().max() < 1e-6
    targets = task.robot.get_applied_actions().joint_positions[:, 7:]
    torch.testing.assert_close(targets, torch.tensor([[0.04] * 2, [0.04] * 2, [0.0] * 2, [0.0] * 2]))


def test_episodes_start_with_cubes_on_the_table_and_apart(stack):
    task, starts = stack.task, []
    for _ in range(25):
        stack.reset()
        starts.append((task.cube.clone(), task.targets.clone(), task.robot.get_joint_positions()))
    cubes, targets, joints = (torch.cat(parts) for parts in zip(*starts, strict=True))
    for places in (cubes, targets):
        assert (places[:, 0] > 0.39).all() and (places[:, 0] < 0.61).all() and (places[:, 1].abs() < 0.26).all()
        assert places[:, 1].std() > 0.1
    assert (cubes[:, 2] - 0.025).abs().max() < 1e-3 and (targets[:, 2] - 0.095).abs().max() < 1e-3
    assert ((cubes - targets)[:, :2].norm(dim=-1) > 0.12 * 2**0.5 - 1e-3).all()
    assert (joints - task.home[0])[:, :7].abs().max() < 0.11


def test_what_is_not_reset_stays(any_env):
    task = begin(any_env)
    any_env.step(torch.ones(NUM_ENVS, 8))
    before, targets = task.cubes.get_world_poses()[0], task.targets.clone()
    task.reset_idx(torch.tensor([1, 3]))
    moved = (task.cubes.get_world_poses()[0] - before).norm(dim=-1) > 1e-3
    assert moved.tolist() == [False, True, False, True]
    torch.testing.assert_close(task.targets[[0, 2]], targets[[0, 2]])
    assert task.progress_buf.tolist() == [2, 0, 2, 0]


def test_where_cubes_are_is_part_of_a_checkpoint(stack):
    task = begin(stack)
    saved = stack.get_env_state()
    for cubes in (task.cubes, task.bases):
        cubes.set_world_poses(cubes.get_world_poses()[0] + 1.0)
    stack.set_env_state(saved)
    for name in ("cubes", "bases"):
        now = stack.engine.get_motion()[name]["positions"]
        torch.testing.assert_close(now, saved["views"][name]["positions"])


def test_an_arm_carries_its_own_weight_and_cubes_do_not(lift):
    task = begin(lift)
    task.cubes.set_world_poses(task._env_pos + torch.tensor([0.9, 0.0, 0.5]))  # where the arm is not
    for _ in range(5):
        lift.step(torch.zeros(NUM_ENVS, 8))
    # Half of 9.81 m/s^2 times 0.1 s squared, and a little more, since speed grows before places do.
    assert (0.5 - task.cube[:, 2]).tolist() == pytest.approx([0.054] * NUM_ENVS, abs=0.01)
    assert (task.robot.get_joint_positions() - task.home)[:, :7].abs().max() < 1e-4


def test_it_trains(myriad):
    done = myriad("train", "task=FrankaStack", "num_envs=8", "sim_device=cpu", "max_iterations=2")
    assert done.returncode == 0, done.stderr
    assert "success" in done.stdout
