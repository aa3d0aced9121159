# SPDX-License-Identifier: Apache-2.0
"""skrl learns from the rewards, ends and numbers that the task states, under its own names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from skrl.resources.schedulers.torch import KLAdaptiveLR

from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint
from omni.myriad.learn.ppo import read_ppo
from omni.myriad.learn.skrl.learner import make_actor, make_learner, skrl_settings
from tests.learn.counting_env import RETURNS, RETURNS_WITHOUT, REWARDS, REWARDS_WITHOUT, SETTINGS, CountingEnv
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg, train


def configure(env: CartPoleEnv, **config: Any) -> dict[str, Any]:
    cfg = make_cfg(env, **config)
    cfg["train"]["learner"] = "skrl"
    return cfg


@pytest.mark.parametrize("value_bootstrap", [True, False])
def test_time_out_bootstrap_by_hand(tmp_path: Path, value_bootstrap: bool) -> None:
    env = CountingEnv()
    cfg = configure(env, **SETTINGS, value_bootstrap=value_bootstrap)
    cfg["train"]["params"]["network"]["mlp"]["units"] = []
    learner = make_learner(cfg, env, tmp_path)
    agent: Any = learner.library.agent
    with torch.no_grad():
        agent.value.network[0].weight.copy_(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        agent.value.network[0].bias.zero_()
    learner.stage.begin(env.reset())
    learner.library.train_epoch()
    stored = {name: agent.memory.get_tensor_by_name(name)[..., 0] for name in ("observations", "rewards", "returns")}
    assert stored["observations"].tolist() == [[0, 0], [1, 1], [2, 2]]  # though the environment overwrites them
    assert stored["rewards"].tolist() == (REWARDS if value_bootstrap else REWARDS_WITHOUT)
    torch.testing.assert_close(stored["returns"], torch.tensor(RETURNS if value_bootstrap else RETURNS_WITHOUT))
    # The meters show the task's reward, without the bootstrap.
    assert learner.stage.episodes.finished.tolist() == [4.0, 4.0, 4.0, 2.0]


def test_numbers_under_skrls_names(tmp_path: Path) -> None:
    env = CartPoleEnv(16)
    cfg = configure(env, minibatch_size=100, critic_coef=4, entropy_coef=0.01, truncate_grads=False, clip_value=True)
    cfg["train"]["params"]["network"]["space"]["continuous"]["sigma_init"]["val"] = -1.0
    cfg["train"]["library"] = {"learning_epochs": 7, "learning_rate_scheduler_kwargs": {"min_lr": 1e-4}}
    settings = skrl_settings(read_ppo(cfg, env))
    # 16 * 16 samples: 64 is the largest size below 100 that divides them.
    assert (settings["rollouts"], settings["mini_batches"], settings["learning_epochs"]) == (16, 4, 7)
    assert (settings["discount_factor"], settings["gae_lambda"], settings["ratio_clip"]) == (0.99, 0.95, 0.2)
    assert (settings["value_loss_scale"], settings["entropy_loss_scale"], settings["grad_norm_clip"]) == (
        2.0,
        0.01,
        0.0,
    )
    assert (settings["value_clip"], settings["learning_rate"]) == (0.2, 3e-3)
    agent: Any = make_learner(cfg, env, tmp_path).library.agent
    assert isinstance(agent.scheduler, KLAdaptiveLR)
    assert (agent.scheduler.kl_threshold, agent.scheduler.min_lr) == (0.008, 1e-4)
    assert agent.cfg.learning_epochs == 7
    assert agent.policy.log_std.tolist() == [-1.0]


def test_wrong_settings_of_skrl_are_one_line(tmp_path: Path) -> None:
    env = CartPoleEnv(8)
    cfg = configure(env)
    cfg["train"]["library"] = {"learning_rate_scheduler_kwargs": {"nonsense": 1}}
    with pytest.raises(MyriadError, match=r"skrl cannot use train\.params or train\.library: .*nonsense") as caught:
        make_learner(cfg, env, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_critic_sees_the_states(tmp_path: Path) -> None:
    env = CartPoleEnv(8, with_states=True)
    train(configure(env, max_iterations=2), env, tmp_path)
    state = checkpoint.load(tmp_path / "checkpoints" / "last.pth")
    assert state["library"]["value.network.0.weight"].shape == (32, 5)
    assert state["library"]["state_preprocessor.running_mean"].shape == (5,)
    assert state["model"]["policy.network.0.weight"].shape == (32, 4)


def test_the_actor_acts_as_skrls_agent_does(tmp_path: Path) -> None:
    env = CartPoleEnv(16)
    cfg = configure(env, max_iterations=2)
    learner = make_learner(cfg, env, tmp_path)
    learner.train(lambda epoch: None)
    actor = make_actor(cfg, env, checkpoint.load(tmp_path / "checkpoints" / "last.pth"))
    obs = torch.randn(32, 4) * 3
    with torch.no_grad():
        _, outputs = learner.library.agent.act(obs, None, timestep=0, timesteps=1)
    torch.testing.assert_close(actor.act({"obs": obs}), outputs["mean_actions"].clamp(-1, 1), rtol=0, atol=1e-6)
