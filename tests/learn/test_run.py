# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint
from omni.myriad.learn.rl_games.library import EnvAdapter
from omni.myriad.learn.rl_games.settings import rl_games_params
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg, play, train


@pytest.mark.parametrize("discrete", [False, True])
def test_learns_to_balance(tmp_path: Path, discrete: bool, capfd: pytest.CaptureFixture[str]) -> None:
    env = CartPoleEnv(64, 200, discrete=discrete)
    cfg = make_cfg(env, max_iterations=25, learning_rate=5e-3)
    summary = train(cfg, env, tmp_path / "run")
    with open(tmp_path / "run" / "progress.csv") as file:
        rows = list(csv.DictReader(file))
    first = float(rows[0]["reward_mean"])
    assert first < 25
    assert summary["reward_mean"] > 3 * first  # in the task's rewards: the learner sees a tenth
    result = play(cfg, CartPoleEnv(64, 200, discrete=discrete, seed=1), summary["checkpoint"], 64)
    assert result["reward_mean"] > summary["reward_mean"]
    assert result["reward_mean"] == result["episode_length_mean"]
    printed = capfd.readouterr()
    assert "RunningMeanStd" not in printed.out  # rl-games' own prints are logged instead
    assert all(line.startswith(("epoch ", "Playing 64 ")) for line in printed.out.splitlines())


def test_run_folder(tmp_path: Path) -> None:
    env = CartPoleEnv(32, 20)
    cfg = make_cfg(env, max_iterations=6) | {"save_every": 2}
    summary = train(cfg, env, tmp_path / "run")
    run_dir = tmp_path / "run"
    assert sorted(path.name for path in run_dir.iterdir()) == [
        "checkpoints", "curve.png", "progress.csv", "report.html", "summaries", "summary.json",
    ]  # fmt: skip
    names = sorted(path.name for path in (run_dir / "checkpoints").iterdir())
    assert names == ["best.pth", "epoch_2.pth", "epoch_4.pth", "epoch_6.pth", "last.pth"]
    assert json.loads((run_dir / "summary.json").read_text()) == summary
    assert summary["task"] == "CartPole"
    assert summary["status"] == "finished"
    assert (summary["seed"], summary["num_envs"], summary["engine"], summary["device"]) == (7, 32, "none", "cpu")
    assert (summary["frames"], summary["epochs"]) == (6 * 16 * 32, 6)
    assert summary["train_seconds"] > 0
    assert summary["frames_per_second"] == pytest.approx(summary["frames"] / summary["train_seconds"], rel=0.01)
    assert 0 < summary["reward_mean"] <= 20
    assert summary["reward_mean"] <= summary["reward_best"] <= 20
    assert summary["episode_length_mean"] == summary["reward_mean"]  # a reward of 1 per step
    assert summary["checkpoint"] == str(run_dir / "checkpoints" / "best.pth")
    about = checkpoint.load(summary["checkpoint"])["myriad"]
    assert about["config"]["save_every"] == 2


def test_resume_in_place_continues_the_records(tmp_path: Path) -> None:
    cfg = make_cfg(CartPoleEnv(16, 20), max_iterations=4, save_frequency=2)
    train(cfg, CartPoleEnv(16, 20), tmp_path)
    cfg |= {"checkpoint": tmp_path / "checkpoints" / "epoch_2.pth", "max_iterations": 5}
    train(cfg, CartPoleEnv(16, 20), tmp_path)
    with open(tmp_path / "progress.csv") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5]
    assert [int(row["frames"]) for row in rows] == [256, 512, 768, 1024, 1280]


def test_resume_with_another_number_of_environments(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(make_cfg(CartPoleEnv(16), max_iterations=2), CartPoleEnv(16), tmp_path / "a")
    cfg = make_cfg(CartPoleEnv(8), max_iterations=3) | {"checkpoint": tmp_path / "a" / "checkpoints" / "last.pth"}
    summary = train(cfg, CartPoleEnv(8), tmp_path / "b")
    assert summary["frames"] == 2 * 256 + 128
    assert "16 environments, this run 8" in caplog.text


class Lengths(CartPoleEnv):
    """Episodes of environment i last i + 1 steps, and earn 1 per step."""

    def step(self, actions: torch.Tensor) -> Any:
        self.progress += 1
        dones = self.progress > torch.arange(self.num_envs)
        self.progress.masked_fill_(dones, 0)
        return self._observations(), torch.ones(self.num_envs), dones, {}


@pytest.mark.parametrize("kind", ["mlp", "lstm", "discrete"])
def test_play_counts_every_environments_share(kind: str, tmp_path: Path) -> None:
    discrete, rnn = kind == "discrete", kind == "lstm"
    cfg = make_cfg(CartPoleEnv(16, discrete=discrete), max_iterations=1, rnn=rnn)
    path = train(cfg, CartPoleEnv(16, discrete=discrete), tmp_path)["checkpoint"]
    result = play(cfg, Lengths(4, discrete=discrete), path, 10)
    # Shares of 3, 3, 2 and 2 episodes, of 1, 2, 3 and 4 steps: 23 steps. Taking the first ten to end would favour 1.
    assert result["episodes"] == 10
    assert result["reward_mean"] == result["episode_length_mean"] == pytest.approx(2.3)
    assert (result["reward_min"], result["reward_max"]) == (1.0, 4.0)
    spread = ((3 * 1.3**2 + 3 * 0.3**2 + 2 * 0.7**2 + 2 * 1.7**2) / 10) ** 0.5
    assert result["reward_std"] == result["episode_length_std"] == pytest.approx(spread)
    assert play(cfg, Lengths(4, discrete=discrete), path, 2)["reward_mean"] == 1.5
    assert play(cfg, Lengths(1, discrete=discrete), path, 3)["reward_mean"] == 1.0
    with pytest.raises(MyriadError, match="play at least one"):
        play(cfg, Lengths(4, discrete=discrete), path, 0)


def test_rl_games_own_player_loads_our_weights(tmp_path: Path) -> None:
    env = CartPoleEnv(16)
    cfg = make_cfg(env, max_iterations=2)
    path = train(cfg, env, tmp_path)["checkpoint"]
    from rl_games.torch_runner import Runner

    runner = Runner()
    params = rl_games_params(cfg, env)
    params["config"]["env_info"] = EnvAdapter(env).get_env_info()
    runner.load({"params": params})
    player = runner.create_player()
    player.restore(path)
    ours = checkpoint.load(path)["model"]
    for name, value in player.model.state_dict().items():
        assert torch.equal(value, ours[name])


def broken(path: str, value: Any, tmp_path: Path) -> dict[str, Any]:
    cfg = make_cfg(CartPoleEnv(16), max_iterations=1)
    *parents, name = path.split(".")
    block = cfg
    for parent in parents:
        block = block[parent]
    if value is ...:
        del block[name]
    else:
        block[name] = value
    return cfg


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("train.params.algo.name", "sac", "algo.name=sac does not fit the task's actions, use a2c_continuous"),
        ("train.params.algo.name", "a2c_discrete", "does not fit the task's actions, use a2c_continuous"),
        ("train.params.config.gamma", ..., "rl-games misses the setting gamma"),
        ("train.params.config.minibatch_size", ..., "rl-games cannot use train.params: .*minibatch_size"),
        ("checkpoint", "nowhere.pth", "nowhere.pth does not exist"),
    ],
)
def test_bad_settings(path: str, value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(MyriadError, match=message) as caught:
        train(broken(path, value, tmp_path), CartPoleEnv(16), tmp_path)
    assert "\n" not in str(caught.value)


def test_bad_lengths_and_checkpoints(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    env = CartPoleEnv(16)
    cfg = make_cfg(env, max_iterations=1)
    endless = make_cfg(env, max_epochs=-1) | {"max_iterations": None}
    with pytest.raises(MyriadError, match="nothing says when to stop: set max_iterations"):
        train(endless, env, tmp_path / "endless")
    path = train(cfg, env, tmp_path / "run")["checkpoint"]
    with pytest.raises(MyriadError, match="at epoch 1 and max_iterations=1: nothing is left to train"):
        train(cfg | {"checkpoint": path}, env, tmp_path / "again")
    other = cfg | {"checkpoint": path, "task_name": "Ant", "max_iterations": 2}
    with pytest.raises(MyriadError, match="was trained for task CartPole, not Ant"):
        train(other, env, tmp_path / "other")
    with pytest.raises(MyriadError, match="was trained for task CartPole, not Ant"):
        play(other, env, path, 1)
    wider = make_cfg(env, max_iterations=2) | {"checkpoint": path}
    wider["train"]["params"]["network"]["mlp"]["units"] = [64, 64]
    with pytest.raises(MyriadError, match="holds another network than the configuration asks for") as caught:
        train(wider, env, tmp_path / "wider")
    assert "\n" not in str(caught.value)
    with pytest.raises(MyriadError, match="holds another network than the configuration asks for"):
        play(wider, env, path, 1)


def test_prints_of_rl_games_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "omni.myriad.learn.rl_games"):
        env = CartPoleEnv(16)
        train(make_cfg(env, max_iterations=1), env, tmp_path)
    assert "rl-games: RunningMeanStd" in caplog.text
