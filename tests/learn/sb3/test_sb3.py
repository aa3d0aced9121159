# SPDX-License-Identifier: Apache-2.0
"""Stable-Baselines3 learns from the rewards, ends and numbers that the task states, under its own names."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint
from omni.myriad.learn.ppo import read_ppo
from omni.myriad.learn.sb3.learner import make_actor, make_learner, sb3_settings
from tests.learn.counting_env import RETURNS, RETURNS_WITHOUT, REWARDS, REWARDS_WITHOUT, SETTINGS, CountingEnv
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg


def configure(env: CartPoleEnv, **config: Any) -> dict[str, Any]:
    cfg = make_cfg(env, **config)
    cfg["train"]["learner"] = "sb3"
    return cfg


@pytest.mark.parametrize("value_bootstrap", [True, False])
def test_time_out_bootstrap_by_hand(tmp_path: Path, value_bootstrap: bool) -> None:
    env = CountingEnv()
    cfg = configure(env, **SETTINGS, value_bootstrap=value_bootstrap)
    cfg["train"]["params"]["network"]["mlp"]["units"] = []
    learner = make_learner(cfg, env, tmp_path)
    model = learner.library.model
    with torch.no_grad():
        model.policy.value_net.weight.copy_(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        model.policy.value_net.bias.zero_()
    learner.stage.begin(env.reset())
    stored = {}

    def keep() -> None:
        buffer = model.rollout_buffer
        stored.update({name: getattr(buffer, name).copy() for name in ("observations", "rewards", "returns")})

    model.train = keep  # the update shuffles them
    learner.library.train_epoch()
    assert stored["observations"][..., 0].tolist() == [[0, 0], [1, 1], [2, 2]]  # though the environment overwrites them
    assert stored["rewards"].tolist() == (REWARDS if value_bootstrap else REWARDS_WITHOUT)
    assert stored["returns"].tolist() == (RETURNS if value_bootstrap else RETURNS_WITHOUT)
    # The meters show the task's reward, without the bootstrap.
    assert learner.stage.episodes.finished.tolist() == [4.0, 4.0, 4.0, 2.0]


def test_numbers_under_sb3s_names(tmp_path: Path) -> None:
    env = CartPoleEnv(16)
    cfg = configure(env, minibatch_size=100, critic_coef=4, entropy_coef=0.01, truncate_grads=False, clip_value=True)
    cfg["train"]["params"]["network"]["space"]["continuous"]["sigma_init"]["val"] = -1.0
    cfg["train"]["library"] = {"n_epochs": 7, "target_kl": 0.5, "policy_kwargs": {"activation_fn": "tanh"}}
    settings = sb3_settings(read_ppo(cfg, env))
    # 16 * 16 samples: 64 is the largest size below 100 that divides them.
    assert (settings["n_steps"], settings["batch_size"], settings["n_epochs"]) == (16, 64, 7)
    assert (settings["gamma"], settings["gae_lambda"], settings["clip_range"]) == (0.99, 0.95, 0.2)
    assert (settings["vf_coef"], settings["ent_coef"], settings["max_grad_norm"]) == (2.0, 0.01, math.inf)
    assert (settings["clip_range_vf"], settings["learning_rate"]) == (0.2, 3e-3)
    library = make_learner(cfg, env, tmp_path).library
    assert (library.model.n_epochs, library.model.target_kl) == (7, 0.5)
    assert isinstance(library.model.policy.mlp_extractor.policy_net[1], nn.Tanh)
    assert library.model.policy.log_std.tolist() == [-1.0]
    assert isinstance(library.env, VecNormalize) and library.env.clip_obs == 5.0


def test_wrong_settings_of_sb3_are_one_line(tmp_path: Path) -> None:
    env = CartPoleEnv(8)
    cfg = configure(env)
    cfg["train"]["library"] = {"policy_kwargs": {"nonsense": 1}}
    with pytest.raises(MyriadError, match=r"sb3 cannot use train\.params or train\.library: .*nonsense") as caught:
        make_learner(cfg, env, tmp_path)
    assert "\n" not in str(caught.value)
    asymmetric = CartPoleEnv(8, with_states=True)
    with pytest.raises(MyriadError, match="does not support central_value_config"):
        make_learner(configure(asymmetric), asymmetric, tmp_path)


def test_the_actor_acts_as_sb3s_policy_does(tmp_path: Path) -> None:
    env = CartPoleEnv(16)
    cfg = configure(env, max_iterations=2)
    learner = make_learner(cfg, env, tmp_path)
    learner.train(lambda epoch: None)
    actor = make_actor(cfg, env, checkpoint.load(tmp_path / "checkpoints" / "last.pth"))
    obs = torch.randn(32, 4) * 3
    env_of: Any = learner.library.env
    seen = env_of.normalize_obs(obs.numpy())
    expected = learner.library.model.predict(seen, deterministic=True)[0]
    torch.testing.assert_close(actor.act({"obs": obs}), torch.from_numpy(expected), rtol=0, atol=1e-6)
