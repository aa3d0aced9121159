# SPDX-License-Identifier: Apache-2.0
"""RSL-RL learns from the rewards, ends and numbers that the task states, under its own names."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint
from omni.myriad.learn.ppo import read_ppo
from omni.myriad.learn.rsl_rl.learner import make_learner, rsl_rl_settings
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg, train
from tests.learn.rl_games.test_learner import Scripted


def configure(env: CartPoleEnv, **config: Any) -> dict[str, Any]:
    cfg = make_cfg(env, **config)
    cfg["train"]["learner"] = "rsl_rl"
    return cfg


@pytest.mark.parametrize("value_bootstrap", [True, False])
def test_time_out_bootstrap_by_hand(tmp_path: Path, value_bootstrap: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    env = Scripted(2)
    cfg = configure(
        env, horizon_length=3, minibatch_size=6, gamma=0.5, tau=0.5, reward_shaper={}, value_bootstrap=value_bootstrap
    )
    library = make_learner(cfg, env, tmp_path).library
    algorithm: Any = library.runner.alg
    with torch.no_grad():  # a critic that expects 2 everywhere: what a reward of 1 for ever is worth at gamma 0.5
        algorithm.critic.mlp[-1].weight.zero_()
        algorithm.critic.mlp[-1].bias.fill_(2.0)
    seen = {}
    monkeypatch.setattr(
        algorithm,
        "update",
        lambda: seen.update(rewards=algorithm.storage.rewards, returns=algorithm.storage.returns) or {},
    )
    library.train_epoch()
    # On the time-out of environment 0, and there alone, the reward is 1 + 0.5 * 2 = 2.
    bootstrapped = 2.0 if value_bootstrap else 1.0
    expected = torch.tensor([[1.0, 1.0], [bootstrapped, 1.0], [1.0, 1.0]])
    torch.testing.assert_close(seen["rewards"][..., 0], expected)
    # Errors r + 0.5 * V' - V are 0 within an episode, and 1 - 2 = -1 where it ends without bootstrap;
    # returns are 2 + error + 0.5 * 0.5 * (error of the next step).
    fell = [2 - 0.25, 2 - 1.0, 2.0]
    expected = torch.tensor([[2.0, 2.0, 2.0] if value_bootstrap else fell, fell]).T
    torch.testing.assert_close(seen["returns"][..., 0], expected)


def test_what_is_stored_is_what_was_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The environment overwrites its observations in every step.
    env = CartPoleEnv(4)
    learner = make_learner(configure(env, horizon_length=3, minibatch_size=12), env, tmp_path)
    stage, algorithm = learner.stage, learner.library.runner.alg
    stage.begin(env.reset())
    seen = [env.obs_buf.clone()]
    step = env.step
    monkeypatch.setattr(env, "step", lambda actions: [step(actions), seen.append(env.obs_buf.clone())][0])
    monkeypatch.setattr(algorithm, "update", lambda: {})
    learner.library.train_epoch()
    assert torch.equal(algorithm.storage.observations["obs"], torch.stack(seen[:3]))
    assert not algorithm.storage.observations["obs"].is_inference()


def test_numbers_under_rsl_rls_names(tmp_path: Path) -> None:
    env = CartPoleEnv(16)
    cfg = configure(env, minibatch_size=100, critic_coef=4, entropy_coef=0.01, truncate_grads=False, clip_value=False)
    cfg["train"]["params"]["network"]["space"]["continuous"]["sigma_init"]["val"] = -1.0
    cfg["train"]["library"] = {
        "algorithm": {"num_learning_epochs": 7, "rnd_cfg": None},
        "actor": {"activation": "tanh"},
    }
    settings = rsl_rl_settings(read_ppo(cfg, env))
    algorithm, actor, critic = settings["algorithm"], settings["actor"], settings["critic"]
    # 16 * 16 samples: 64 is the largest size below 100 that divides them.
    assert (settings["num_steps_per_env"], algorithm["num_mini_batches"]) == (16, 4)
    assert (algorithm["gamma"], algorithm["lam"], algorithm["clip_param"]) == (0.99, 0.95, 0.2)
    assert (algorithm["value_loss_coef"], algorithm["entropy_coef"], algorithm["max_grad_norm"]) == (
        2.0,
        0.01,
        math.inf,
    )
    assert (algorithm["schedule"], algorithm["desired_kl"], algorithm["learning_rate"]) == ("adaptive", 0.008, 3e-3)
    assert algorithm["use_clipped_value_loss"] is False
    assert actor["distribution_cfg"]["init_std"] == pytest.approx(math.exp(-1.0))
    # The library's own keys reach it unchanged.
    assert (algorithm["num_learning_epochs"], actor["activation"], critic["activation"]) == (7, "tanh", "elu")
    algorithm = make_learner(cfg, env, tmp_path).library.runner.alg
    assert (algorithm.num_learning_epochs, algorithm.num_mini_batches, algorithm.value_loss_coef) == (7, 4, 2.0)
    assert isinstance(algorithm.actor.mlp[1], torch.nn.Tanh)


def test_wrong_settings_of_rsl_rl_are_one_line(tmp_path: Path) -> None:
    env = CartPoleEnv(8)
    cfg = configure(env)
    cfg["train"]["library"] = {"algorithm": {"nonsense": 1}}
    with pytest.raises(MyriadError, match=r"rsl_rl cannot use train.params or train.library: .*nonsense") as caught:
        make_learner(cfg, env, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_critic_sees_the_states(tmp_path: Path) -> None:
    env = CartPoleEnv(8, with_states=True)
    train(configure(env, max_iterations=2), env, tmp_path)
    state = checkpoint.load(tmp_path / "checkpoints" / "last.pth")
    assert state["library"]["critic_state_dict"]["mlp.0.weight"].shape == (32, 5)
    assert state["model"]["mlp.0.weight"].shape == (32, 4)
