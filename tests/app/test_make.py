# SPDX-License-Identifier: Apache-2.0
"""Tasks as gymnasium's vector environments, checked by gymnasium itself on real physics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.utils import env_checker
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers.vector import NormalizeObservation, RecordEpisodeStatistics

import omni.myriad
from omni.myriad.errors import MyriadError

LIMIT = 12  # steps of an episode


@pytest.fixture(scope="module")
def make():
    made = []

    def one(num_envs, **more) -> Any:
        made.append(omni.myriad.make("Cartpole", num_envs=num_envs, sim_device="cpu", **more))
        return made[-1]

    yield one
    for env in made:
        env.close()


def test_gymnasiums_own_checks(make):
    # One environment, so that a check which asks whether an episode has ended can read the answer as a bool.
    env = make(1)
    assert issubclass(type(env), VectorEnv) and not env.spec.nondeterministic
    env_checker.check_reset_seed_determinism(env)
    env_checker.check_reset_options(env)
    env_checker.check_reset_return_type(env)
    env_checker.check_returned_data_not_reused(env)
    env_checker.check_seed_deprecation(env)


def test_spaces_and_arrays(make):
    env = make(3)
    assert (env.single_observation_space.shape, env.single_action_space.shape) == ((4,), (1,))
    assert (env.observation_space.shape, env.action_space.shape) == ((3, 4), (3, 1))
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    observed, _ = env.reset(seed=1)
    stepped, rewards, terminations, truncations, infos = env.step(env.action_space.sample())
    assert observed in env.observation_space and stepped in env.observation_space
    assert rewards.shape == terminations.shape == truncations.shape == (3,)
    assert rewards.dtype == np.float32 and terminations.dtype == truncations.dtype == bool
    assert isinstance(infos, dict)
    again = env.reset(seed=1)[0]
    np.testing.assert_array_equal(observed, again)
    assert not np.array_equal(observed, env.reset(seed=2)[0])


def test_time_limits_truncate_and_falls_terminate(make):
    env = make(2, overrides=[f"task.env.episodeLength={LIMIT}", "task.env.maxEffort=0"])
    env.reset(seed=1)
    ends = [env.step(np.zeros((2, 1), np.float32))[2:4] for _ in range(LIMIT)]
    assert not any(end.any() for end, _ in ends)  # upright for so long, with no force on the cart
    assert any(cut.all() for _, cut in ends)
    env = make(2, overrides=["task.env.resetDist=0.001"])
    env.reset(seed=1)
    ends = [env.step(np.full((2, 1), 1.0, np.float32))[2:4] for _ in range(5)]
    assert any(end.any() for end, _ in ends) and not any(cut.any() for _, cut in ends)


def test_tensors_stay_on_the_device(make):
    env = make(2, tensors=True)
    observed, _ = env.reset(seed=1)
    stepped, rewards, *_ = env.step(torch.zeros(2, 1))
    assert all(isinstance(value, torch.Tensor) and value.device == env.device for value in (observed, stepped, rewards))
    assert observed.data_ptr() != stepped.data_ptr()


def test_gymnasiums_wrappers_apply(make):
    env = RecordEpisodeStatistics(make(4, overrides=[f"task.env.episodeLength={LIMIT}"]))
    env.reset(seed=3)
    seen = []
    for _ in range(3 * LIMIT):
        *_, infos = env.step(env.action_space.sample())
        if "episode" in infos:
            seen += infos["episode"]["l"][infos["_episode"]].tolist()
    assert seen and max(seen) <= LIMIT
    env = NormalizeObservation(make(8))
    env.reset(seed=3)
    observed = env.step(env.action_space.sample())[0]
    assert observed.shape == (8, 4) and np.isfinite(observed).all()


def test_mistakes_are_one_line():
    with pytest.raises(MyriadError, match="Nobody"):
        omni.myriad.make("Nobody")
    with pytest.raises(MyriadError, match="Unknown key 'nobody'"):
        omni.myriad.make("Cartpole", nobody=1)
