# SPDX-License-Identifier: Apache-2.0
"""Masked resets on real physics: who ended begins anew, nobody else notices, and mistakes are named."""

import pytest
import torch

from omni.myriad.env.capture import MaskedReset
from omni.myriad.errors import MyriadError


@pytest.fixture
def env(env_of):
    env = env_of("task=Ant", "num_envs=6", "engine.shards=2")
    torch.manual_seed(0)
    env.reset()
    for _ in range(10):
        env.step(torch.rand(6, 8) * 2.0 - 1.0)
    env.task.reset_buf.zero_()
    return env


def seen(task):
    ants = task.ants
    state = (*ants.get_world_poses(), ants.get_velocities(), ants.get_joint_positions(), ants.get_joint_velocities())
    return [tensor.clone() for tensor in (*state, task.potentials, task.progress_buf)]


def test_who_ended_begins_anew_and_nobody_else_notices(env):
    task = env.task
    reset = MaskedReset(task, env.engine)
    for ended in ([1, 4], [0, 1, 2, 3, 4, 5], [], [5]):
        for _ in range(5):
            env.step(torch.rand(6, 8) * 2.0 - 1.0)
        before = seen(task)
        task.reset_buf[ended] = 1
        reset()
        assert not task.reset_buf.any()
        others = [index for index in range(6) if index not in ended]
        for was, now in zip(before, seen(task), strict=True):
            torch.testing.assert_close(now[others], was[others], atol=1e-6, rtol=1e-6)
        positions, rotations = task.ants.get_world_poses()
        torch.testing.assert_close(positions[ended], task.initial_root_pos[ended])
        torch.testing.assert_close(rotations[ended], task.initial_root_rot[ended])
        assert (task.ants.get_joint_positions()[ended] - task.initial_dof_pos[ended]).abs().sum() <= 0.2 * 8 * len(
            ended
        )
        assert (task.progress_buf[ended] == 0).all() and (task.progress_buf[others] > 0).all()


def test_it_does_what_reset_idx_does(env):
    task, ended = env.task, [0, 3]
    state = env.get_env_state()
    everyone = torch.arange(6)
    torch.manual_seed(7)
    task.reset_idx(everyone)
    expected = [tensor[ended] for tensor in seen(task)]
    env.set_env_state(state)
    torch.manual_seed(7)
    task.reset_buf[ended] = 1
    MaskedReset(task, env.engine)()
    for one, other in zip(expected, seen(task), strict=True):
        torch.testing.assert_close(other[ended], one)


def test_a_tensor_without_a_row_for_each_environment_is_named(env):
    task, reset_idx = env.task, env.task.reset_idx
    task.episodes = torch.zeros(())

    def counting(env_ids):
        reset_idx(env_ids)
        task.episodes += len(env_ids)

    task.reset_idx = counting
    with pytest.raises(
        MyriadError, match=r"only tensors with a row for each environment, and it changes self\.episodes"
    ):
        MaskedReset(task, env.engine)()


def test_a_tensor_that_is_assigned_anew_is_named(env):
    task, reset_idx = env.task, env.task.reset_idx

    def assigning(env_ids):
        reset_idx(env_ids)
        task.potentials = task.potentials.clone()

    task.reset_idx = assigning
    with pytest.raises(MyriadError, match=r"assigns self.potentials anew: write self.potentials\[env_ids\] = "):
        MaskedReset(task, env.engine)()


def test_tensors_in_dictionaries_are_told_apart_too(env):
    task, reset_idx = env.task, env.task.reset_idx
    task.sums = {"air_time": [torch.arange(6.0)]}

    def clearing(env_ids):
        reset_idx(env_ids)
        task.sums["air_time"][0][env_ids] = -1.0

    task.reset_idx = clearing
    task.reset_buf[2] = 1
    MaskedReset(task, env.engine)()
    assert task.sums["air_time"][0].tolist() == [0.0, 1.0, -1.0, 3.0, 4.0, 5.0]
