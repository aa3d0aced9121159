# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint
from omni.myriad.learn.fault import load_fault
from omni.myriad.learn.rl_games.lean import LeanRollout, LeanUpdate
from omni.myriad.learn.rl_games.learner import RlGamesLearner, make_learner
from omni.myriad.learn.rl_games.library import EnvAdapter
from omni.myriad.learn.rl_games.settings import fit_minibatches, rl_games_params
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg, train

NAN = float("nan")
LEARNERS = ["mlp", "lstm", "discrete", "discrete lstm", "asymmetric", "asymmetric lstm"]


def make_env(learner: str, num_envs: int = 16) -> CartPoleEnv:
    return CartPoleEnv(num_envs, 30, discrete="discrete" in learner, with_states="asymmetric" in learner)


def build(env: CartPoleEnv, folder: Path, **config: Any) -> RlGamesLearner:
    return make_learner(make_cfg(env, **config), env, folder)


def run(learner: str, folder: Path, epochs: int, resume: Path | None = None, **config: Any) -> dict[str, Any]:
    env = make_env(learner)
    cfg = make_cfg(env, max_iterations=epochs, rnn="gru" if learner == "gru" else "lstm" in learner, **config)
    cfg["checkpoint"] = resume
    train(cfg, env, folder)
    return checkpoint.load(folder / "checkpoints" / "last.pth")


def differences(a: Any, b: Any, at: str = "") -> list[str]:
    """Return the places where two nests differ, bit for bit."""
    if isinstance(a, dict):
        return [place for name in a | b for place in differences(a.get(name), b.get(name), f"{at}/{name}")]
    if isinstance(a, list | tuple):
        if len(a) != len(b):
            return [at]
        return [place for i, (x, y) in enumerate(zip(a, b, strict=True)) for place in differences(x, y, f"{at}/{i}")]
    same = torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
    return [] if same else [at]


def without_clocks(state: dict[str, Any]) -> dict[str, Any]:
    learner = {name: value for name, value in state["learner"].items() if name != "train_seconds"}
    return {name: value for name, value in state.items() if name != "myriad"} | {"learner": learner}


@pytest.mark.parametrize("learner", [*LEARNERS, "gru"])
def test_resume_is_exact(learner: str, tmp_path: Path) -> None:
    whole = run(learner, tmp_path / "whole", 6)
    half = run(learner, tmp_path / "half", 3)
    resumed = run(learner, tmp_path / "resumed", 6, tmp_path / "half" / "checkpoints" / "last.pth")
    assert whole["epoch"] == resumed["epoch"] == 6
    assert whole["frame"] == 6 * 16 * 16
    assert differences(without_clocks(whole), without_clocks(resumed)) == []
    assert differences(whole["model"], half["model"])  # training did change something
    assert whole["learner"]["last_lr"] != 3e-3  # the schedule too


def test_a_setting_that_schedules_change_counts_on_resume_where_it_is_another(tmp_path: Path) -> None:
    run("mlp", tmp_path, 3)
    last = tmp_path / "checkpoints" / "last.pth"
    state, env = checkpoint.load(last), make_env("mlp")

    def resumed(**settings: Any) -> tuple[float, float, float]:
        agent = make_learner(make_cfg(env, **settings) | {"checkpoint": last}, env, tmp_path / "new", state).agent
        return agent.last_lr, agent.optimizer.param_groups[0]["lr"], agent.entropy_coef

    schedules = state["learner"]["last_lr"]
    assert schedules != 3e-3  # which was the setting
    assert resumed() == (schedules, schedules, 0.0)
    assert resumed(learning_rate=7e-4, entropy_coef=0.01) == (7e-4, 7e-4, 0.01)


@pytest.mark.parametrize("learner", [name for name in LEARNERS if name != "asymmetric lstm"])
def test_same_mathematics_as_rl_games(learner: str, tmp_path: Path) -> None:
    # Both learn the same to the bit, but for two differences on purpose: what normalisers count, left out here, and
    # the memory of a recurrent critic, which rl-games moves once too often at the end of each rollout.
    from rl_games.common import env_configurations, vecenv
    from rl_games.torch_runner import Runner

    plain: dict[str, Any] = {"normalize_input": False, "normalize_value": False, "entropy_coef": 0.01, "lean": False}
    env = make_env(learner)
    cfg = make_cfg(env, max_iterations=3, rnn="lstm" in learner, **plain)
    if "asymmetric" in learner:
        cfg["train"]["params"]["config"]["central_value_config"]["normalize_input"] = False
    train(cfg, env, tmp_path / "ours")
    ours = checkpoint.load(tmp_path / "ours" / "checkpoints" / "last.pth")

    env = make_env(learner)
    vecenv.register("STOCK", lambda config_name, num_actors, **_: EnvAdapter(env))
    env_configurations.register("stock", {"vecenv_type": "STOCK", "env_creator": lambda **_: EnvAdapter(env)})
    params = rl_games_params(cfg, env)
    fit_minibatches(params)
    params["config"]["env_name"] = "stock"
    runner = Runner()
    runner.load({"params": params})
    agent = runner.algo_factory.create(runner.algo_name, base_name="run", params=runner.params)
    agent.train()
    assert differences(ours["model"], agent.model.state_dict()) == []
    assert differences(ours["optimizer"], agent.optimizer.state_dict()) == []
    if "asymmetric" in learner:
        assert differences(ours["assymetric_vf_nets"], agent.central_value_net.state_dict()) == []


@pytest.mark.parametrize("mixed_precision", [False, True])
def test_lean_update_is_that_of_rl_games(tmp_path: Path, mixed_precision: bool) -> None:
    # One minibatch from the same weights; 3e-3 is the learning rate, so Adam's first step moves each weight by as much.
    plain = build(make_env("mlp"), tmp_path / "plain", entropy_coef=0.01, lean=False)
    lean = build(make_env("mlp"), tmp_path / "lean", entropy_coef=0.01, mixed_precision=mixed_precision)
    for learner in (plain, lean):
        learner.prepare()
    update, agent = lean.update, plain.agent
    assert isinstance(update, LeanUpdate) and not isinstance(plain.update, LeanUpdate)
    plain.update.feed(plain.rollout.play())
    lean.agent.model.load_state_dict(agent.model.state_dict())
    start = {name: tensor.clone() for name, tensor in lean.agent.model.named_parameters()}
    minibatch = {name: value for name, value in agent.dataset[0].items() if value is not None}
    lean.agent.set_train()
    a_loss, c_loss, entropy, kl, _, _, mu, sigma, b_loss = agent.train_actor_critic(dict(minibatch))
    made = update._descent.run(minibatch | {"obs": lean.agent.model.norm_obs(minibatch["obs"])})
    rtol, atol = (3e-2, 1e-2) if mixed_precision else (1e-5, 1e-6)
    torch.testing.assert_close(
        update._descent.losses, torch.stack([a_loss, c_loss, b_loss, entropy, kl]).detach(), rtol=rtol, atol=atol
    )
    torch.testing.assert_close(made["mu"], mu, rtol=rtol, atol=atol)
    torch.testing.assert_close(made["sigma"], sigma, rtol=rtol, atol=atol)
    moved = {name: tensor - start[name] for name, tensor in lean.agent.model.named_parameters()}
    for name, tensor in agent.model.named_parameters():
        wanted = tensor - start[name]
        # Adam turns a gradient that is nothing but rounding into a whole step, so a few weights may differ.
        same = (moved[name] - wanted).abs() < (1e-3 if mixed_precision else 1e-4)
        assert same.float().mean() > 0.9, name


def test_lean_adapts_the_learning_rate_as_rl_games(tmp_path: Path) -> None:
    learner = build(make_env("mlp"), tmp_path)
    learner.prepare()
    update = learner.update
    assert isinstance(update, LeanUpdate)
    for kl in (0.0, 0.003, 0.005, 0.008, 0.015, 0.017, 1.0):
        for lr in (1e-6, 3e-4, 9e-3, 1e-2):
            update._descent.lr.fill_(lr)
            update._adapt_learning_rate(torch.tensor([0.0, 0.0, 0.0, 0.0, kl]))
            wanted, _ = learner.agent.scheduler.update(lr, 0.0, 0, 0, kl)
            assert float(update._descent.lr) == pytest.approx(wanted)


def test_same_seed_same_weights(tmp_path: Path) -> None:
    a, b = run("mlp", tmp_path / "a", 3), run("mlp", tmp_path / "b", 3)
    assert differences(without_clocks(a), without_clocks(b)) == []


def test_compiled_keys_are_plain(tmp_path: Path) -> None:
    # The eager backend compiles nothing, but wraps the networks as every other one does.
    from omni.myriad.learn.rl_games.checkpoints import _uncompiled

    learner = build(make_env("mlp"), tmp_path)
    agent = learner.agent
    expected = list(agent.model.state_dict())
    agent.model = torch.compile(agent.model, backend="eager")
    assert any("_orig_mod" in name for name in agent.model.state_dict())
    assert list(learner.checkpoints.learner_state()["model"]) == expected
    assert list(_uncompiled({"model._orig_mod.weight": 0})) == ["model.weight"]


class Scripted(CartPoleEnv):
    """Rewards of 1; at the second step environment 0 runs out of time, and environment 1 falls."""

    def step(self, actions: torch.Tensor) -> Any:
        self.steps += 1
        dones = torch.full((2,), self.steps == 2)
        extras = {"time_outs": torch.tensor([self.steps == 2, False])}
        return self._observations(), torch.ones(2), dones, extras


@pytest.mark.parametrize("lean", [True, False])
@pytest.mark.parametrize("value_bootstrap", [True, False])
def test_time_out_bootstrap_by_hand(tmp_path: Path, value_bootstrap: bool, lean: bool) -> None:
    learner = build(
        Scripted(2), tmp_path, horizon_length=3, minibatch_size=6, gamma=0.5, tau=0.5, normalize_value=False,
        reward_shaper={}, value_bootstrap=value_bootstrap, lean=lean,
    )  # fmt: skip
    agent = learner.agent
    with torch.no_grad():  # a critic that expects 2 everywhere: what a reward of 1 for ever is worth at gamma 0.5
        agent.model.a2c_network.value.weight.zero_()
        agent.model.a2c_network.value.bias.fill_(2.0)
    learner.prepare()
    assert isinstance(learner.rollout, LeanRollout) is lean
    batch = learner.rollout.play()
    # On the time-out, and there alone, the reward is 1 + 0.5 * 2 = 2.
    bootstrapped = 2.0 if value_bootstrap else 1.0
    rewards = agent.experience_buffer.tensor_dict["rewards"][:, :, 0]
    torch.testing.assert_close(rewards, torch.tensor([[1.0, 1.0], [bootstrapped, 1.0], [1.0, 1.0]]))
    # Errors r + 0.5 * V' - V are 0 within an episode, and 1 - 2 = -1 where it ends without bootstrap;
    # returns are 2 + error + 0.5 * 0.5 * (error of the next step).
    fell = [2 - 0.25, 2 - 1.0, 2.0]
    expected = ([2.0, 2.0, 2.0] if value_bootstrap else fell) + fell
    torch.testing.assert_close(batch["returns"][:, 0], torch.tensor(expected))
    # The meters show the task's reward, without the bootstrap.
    assert learner.rollout.episodes.finished.tolist() == [4.0, 4.0 + bootstrapped - 1.0, 4.0, 2.0]


@pytest.mark.parametrize("learner", ["mlp", "asymmetric"])
def test_normalizers_count_each_batch_once(learner: str, tmp_path: Path) -> None:
    state = run(learner, tmp_path, 2)
    frames = 2 * 16 * 16
    assert state["model"]["running_mean_std.count"] == 1 + frames
    if learner == "asymmetric":
        assert state["assymetric_vf_nets"]["model.running_mean_std.count"] == 1 + frames
        assert state["assymetric_vf_nets"]["model.value_mean_std.count"] == 1 + 2 * frames  # values and returns
    else:
        assert state["model"]["value_mean_std.count"] == 1 + 2 * frames


def test_linear_schedule_over_frames(tmp_path: Path) -> None:
    env = make_env("mlp")
    cfg = make_cfg(env, lr_schedule="linear", learning_rate=1e-2, max_epochs=-1, max_frames=4 * 256)
    cfg["max_iterations"] = None
    train(cfg, env, tmp_path)
    state = checkpoint.load(tmp_path / "checkpoints" / "last.pth")
    assert state["epoch"] == 4
    # In the last epoch three of four batches have been played: a quarter of the way is left, above a floor of 1e-6.
    assert state["learner"]["last_lr"] == pytest.approx(1e-6 + (1e-2 - 1e-6) / 4)


def test_a_critic_resumes_its_schedule_over_frames(tmp_path: Path) -> None:
    def learning_rate(folder: str, resume: Path | None = None) -> float:
        env = make_env("asymmetric")
        cfg = make_cfg(env, max_epochs=-1, max_frames=4 * 256, save_frequency=2)
        cfg["train"]["params"]["config"]["central_value_config"]["lr_schedule"] = "linear"
        train(cfg | {"max_iterations": None, "checkpoint": resume}, env, tmp_path / folder)
        return checkpoint.load(tmp_path / folder / "checkpoints" / "last.pth")["learner"]["critic"]["lr"]

    # As in the test before, a quarter of the way from 1e-3 is left, whether or not the run was resumed in its middle.
    wanted = pytest.approx(1e-6 + (1e-3 - 1e-6) / 4)
    assert learning_rate("whole") == wanted
    assert learning_rate("resumed", tmp_path / "whole" / "checkpoints" / "epoch_2.pth") == wanted


def test_settings_that_break_rl_games(tmp_path: Path) -> None:
    env = make_env("mlp")
    cfg = make_cfg(env, bounds_loss_coef=None, max_steps=512, max_epochs=-1)
    cfg["max_iterations"] = None
    assert train(cfg, env, tmp_path / "a")["frames"] == 512
    cfg = make_cfg(env, normalize_rms_advantage=True)
    with pytest.raises(MyriadError, match="normalize_rms_advantage is not supported"):
        train(cfg, env, tmp_path / "b")


def spoil_observation(obs: torch.Tensor, rewards: torch.Tensor) -> None:
    obs[3, 2] = NAN


def spoil_reward(obs: torch.Tensor, rewards: torch.Tensor) -> None:
    rewards[7] = math.inf


@pytest.mark.parametrize("learner", ["mlp", "lstm", "discrete", "asymmetric"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_observation, "observation is not finite in environment 3, column 2, at step 5 of the rollout"),
        (spoil_reward, "reward is not finite in environment 7, at step 4 of the rollout"),
    ],
)
def test_guard_names_it_and_keeps_the_last_good(learner: str, spoil: Any, message: str, tmp_path: Path) -> None:
    env = make_env(learner)
    env.poison[2 * 16 + 5] = spoil  # the fifth step of the third epoch
    cfg = make_cfg(env, max_iterations=5, rnn="lstm" in learner, save_frequency=1)
    with pytest.raises(MyriadError) as caught:
        train(cfg, env, tmp_path)
    last = tmp_path / "checkpoints" / "last.pth"
    fault = tmp_path / "faults" / f"epoch_3_environment_{message.split('environment ')[1][0]}.npz"
    assert str(caught.value) == (
        f"training stopped in epoch 3: {message}; its last steps are in {fault}; the last good checkpoint is {last}"
    )
    kept = load_fault(fault)
    assert len(kept.actions) == len(kept.observations) == len(kept.rewards) == 5
    assert np.isfinite(kept.observations).all()
    for name in ("last", "best"):
        state = checkpoint.load(last.with_name(f"{name}.pth"))
        assert state["epoch"] <= 2
        assert all(value.isfinite().all() for value in state["model"].values())


def test_guard_against_an_update_that_explodes(tmp_path: Path) -> None:
    env = make_env("mlp")
    cfg = make_cfg(env, learning_rate=1e38, lr_schedule="constant")
    with pytest.raises(MyriadError, match=r"not finite.*; no checkpoint had been written yet"):
        train(cfg, env, tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_best_watermark_survives_resume(tmp_path: Path) -> None:
    first = run("mlp", tmp_path / "first", 8)
    best = first["last_mean_rewards"]
    assert best > 9
    env = CartPoleEnv(16, max_steps=3)  # no episode can earn more than 3 any more
    cfg = make_cfg(env, max_iterations=12)
    cfg["checkpoint"] = tmp_path / "first" / "checkpoints" / "last.pth"
    summary = train(cfg, env, tmp_path / "second")
    assert summary["reward_mean"] < best
    assert summary["reward_best"] == best
    copied = checkpoint.load(tmp_path / "second" / "checkpoints" / "best.pth")
    assert copied["last_mean_rewards"] == best
    assert copied["epoch"] <= 8


def test_interrupt_saves_and_the_run_goes_on(tmp_path: Path) -> None:
    env = make_env("mlp")
    env.poison[40] = lambda *_: os.kill(os.getpid(), signal.SIGINT)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(make_cfg(env, max_iterations=50), env, tmp_path)
    assert str(caught.value) == f"stopped after epoch 2; resume with checkpoint={tmp_path}"
    assert signal.getsignal(signal.SIGINT) is before
    assert env.steps <= 41
    state = checkpoint.load(tmp_path / "checkpoints" / "last.pth")
    assert (state["epoch"], state["frame"]) == (2, 2 * 256)
    resumed = run("mlp", tmp_path, 4, tmp_path / "checkpoints" / "last.pth")
    assert resumed["epoch"] == 4


@pytest.mark.filterwarnings("error::UserWarning")
def test_half_precision_of_rl_games_own_update_is_left_out_on_a_cpu_without_a_word(tmp_path: Path) -> None:
    halves = run("mlp", tmp_path / "halves", 1, lean=False, mixed_precision=True)
    assert differences(halves["model"], run("mlp", tmp_path / "plain", 1, lean=False)["model"]) == []
