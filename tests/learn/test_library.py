# SPDX-License-Identifier: Apache-2.0
"""What every learner does whose library has a loop of its own, each tried on all of them."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from omni.myriad.deploy.deployment import deploy
from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint
from omni.myriad.learn.base import room
from omni.myriad.learn.library import LibraryLearner
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg, play, train
from tests.learn.rl_games.test_learner import differences, without_clocks

LIBRARIES = ["rsl_rl", "skrl", "sb3"]
pytestmark = pytest.mark.parametrize("name", LIBRARIES)


def configure(name: str, env: CartPoleEnv, **config: Any) -> dict[str, Any]:
    cfg = make_cfg(env, **config)
    cfg["train"]["learner"] = name
    return cfg


def build(name: str, env: CartPoleEnv, folder: Path, **config: Any) -> LibraryLearner:
    cfg = configure(name, env, **config)
    return room(cfg).make_learner(cfg, env, folder, None)


def run(name: str, folder: Path, epochs: int, resume: Path | None = None) -> dict[str, Any]:
    env = CartPoleEnv(16, 30)
    train(configure(name, env, max_iterations=epochs) | {"checkpoint": resume}, env, folder)
    return checkpoint.load(folder / "checkpoints" / "last.pth")


def test_learns_to_balance(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    env = CartPoleEnv(64, 200)
    cfg = configure(name, env, max_iterations=25, learning_rate=5e-3)
    summary = train(cfg, env, tmp_path)
    with open(tmp_path / "progress.csv") as file:
        rows = list(csv.DictReader(file))
    first = float(rows[0]["reward_mean"])
    assert first < 25
    assert summary["reward_mean"] > 3 * first  # in the task's rewards: the learner sees a tenth
    result = play(cfg, CartPoleEnv(64, 200, seed=1), summary["checkpoint"], 64)
    assert result["reward_mean"] > summary["reward_mean"]
    assert all(line.startswith(("epoch ", "Playing 64 ")) for line in capfd.readouterr().out.splitlines())


def test_resume_is_exact(name: str, tmp_path: Path) -> None:
    whole = run(name, tmp_path / "whole", 6)
    half = run(name, tmp_path / "half", 3)
    resumed = run(name, tmp_path / "resumed", 6, tmp_path / "half" / "checkpoints" / "last.pth")
    assert (whole["epoch"], resumed["epoch"], whole["frame"]) == (6, 6, 6 * 16 * 16)
    assert differences(without_clocks(whole), without_clocks(resumed)) == []
    assert differences(whole["model"], half["model"])  # training did change something


def test_run_folder(name: str, tmp_path: Path) -> None:
    env = CartPoleEnv(32, 20)
    summary = train(configure(name, env, max_iterations=6) | {"save_every": 2}, env, tmp_path)
    expected = ["checkpoints", "curve.png", "progress.csv", "report.html", "summaries", "summary.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == expected
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["best.pth", "epoch_2.pth", "epoch_4.pth", "epoch_6.pth", "last.pth"]
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert (summary["frames"], summary["epochs"], summary["status"]) == (6 * 16 * 32, 6, "finished")
    assert 0 < summary["reward_mean"] <= summary["reward_best"] <= 20
    assert summary["episode_length_mean"] == summary["reward_mean"]  # a reward of 1 per step


def test_a_stop_saves_and_resumes(name: str, tmp_path: Path) -> None:
    env = CartPoleEnv(8, 30)
    learner = build(name, env, tmp_path, max_iterations=9)
    with pytest.raises(KeyboardInterrupt):
        learner.train(lambda epoch: learner.stop() if epoch.epoch == 2 else None)
    assert checkpoint.load(tmp_path / "checkpoints" / "last.pth")["epoch"] == 2
    cfg = configure(name, env, max_iterations=3) | {"checkpoint": tmp_path / "checkpoints" / "last.pth"}
    assert train(cfg, CartPoleEnv(8, 30), tmp_path / "more")["epochs"] == 3


@pytest.mark.parametrize("what", ["observation", "reward"])
def test_what_is_not_finite_is_named(name: str, what: str, tmp_path: Path) -> None:
    env = CartPoleEnv(8, 30)

    def spoil(obs: torch.Tensor, rewards: torch.Tensor) -> None:
        (obs[0] if what == "observation" else rewards).fill_(float("nan"))

    env.poison[20] = spoil  # in the second epoch
    with pytest.raises(MyriadError, match=f"in epoch 2: {what} is not finite; the last good checkpoint is"):
        train(configure(name, env, max_iterations=5) | {"save_every": 1}, env, tmp_path)
    for path in (tmp_path / "checkpoints").glob("*.pth"):
        weights = checkpoint.load(path)["model"].values()
        assert all(weight.isfinite().all() for weight in weights if isinstance(weight, torch.Tensor))


def test_the_actor_is_the_kept_policy(name: str, tmp_path: Path) -> None:
    env = CartPoleEnv(16, 30)
    cfg = configure(name, env, max_iterations=3)
    learner = room(cfg).make_learner(cfg, env, tmp_path, None)
    learner.train(lambda epoch: None)
    kept = room(cfg).make_actor(cfg, env, checkpoint.load(tmp_path / "checkpoints" / "best.pth"))
    obs = {"obs": torch.randn(16, 4) * 9}
    module = kept.export_module()
    acted = learner.actor().act(obs)
    assert torch.equal(acted, kept.act(obs))
    assert torch.equal(acted, module(obs, ())[0])
    assert acted.shape == (16, 1) and acted.abs().max() <= 1 and module.is_bounded and module.normalizes


def test_one_line_for_what_it_cannot_do(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    env = CartPoleEnv(8)
    path = train(configure(name, env, max_iterations=1), env, tmp_path / "run")["checkpoint"]
    assert f"train.learner={name} has nothing for bounds_loss_coef=0.001" in caplog.text
    with pytest.raises(MyriadError, match="at epoch 1 and max_iterations=1: nothing is left to train"):
        train(configure(name, env, max_iterations=1) | {"checkpoint": path}, env, tmp_path / "again")
    wider = configure(name, env, max_iterations=2) | {"checkpoint": path}
    wider["train"]["params"]["network"]["mlp"]["units"] = [64, 64]
    with pytest.raises(MyriadError, match="holds another network than the configuration asks for") as caught:
        train(wider, env, tmp_path / "wider")
    assert "\n" not in str(caught.value)
    with pytest.raises(MyriadError, match="holds another network than the configuration asks for"):
        play(wider, env, path, 1)
    rnn = configure(name, env, rnn=True)
    with pytest.raises(MyriadError, match=f"train.learner={name} does not support a network with a memory"):
        train(rnn, env, tmp_path / "rnn")
    discrete = CartPoleEnv(8, discrete=True)
    with pytest.raises(MyriadError, match="does not support actions that are choices"):
        train(configure(name, discrete), discrete, tmp_path / "discrete")
    with pytest.raises(MyriadError, match="does not support several GPUs"):
        train(configure(name, env) | {"multi_gpu": True}, env, tmp_path / "gpus")


@pytest.mark.parametrize("text", ["os:system", "os.system", "a b"])
def test_settings_name_no_code(name: str, text: str, tmp_path: Path) -> None:
    cfg = configure(name, CartPoleEnv(8))
    cfg["train"]["library"] = {"actor": {"class_name": text}}
    with pytest.raises(MyriadError, match=rf"train.library.actor.class_name={text} is invalid"):
        train(cfg, CartPoleEnv(8), tmp_path)


def test_unknown_settings_of_the_library(name: str, tmp_path: Path) -> None:
    cfg = configure(name, CartPoleEnv(8))
    cfg["train"]["library"] = {"nobody": 1}
    with pytest.raises(MyriadError, match=r"train.library.nobody is unknown; choose from: "):
        train(cfg, CartPoleEnv(8), tmp_path)


def test_from_training_to_a_file_on_real_physics(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    common = ["task=Cartpole", "sim_device=cpu", f"train_dir={tmp_path}"]
    runs.train(load_config([*common, f"learner={name}", "num_envs=16", "max_iterations=3", "experiment=short"]))
    where = f"checkpoint={tmp_path / 'short'}"
    played = runs.play(load_config([*common, where, "episodes=16"], "play"))
    assert played["episodes"] == 16 and played["episode_length_mean"] > 1
    meta = runs.export(load_config(["task=Cartpole", where], "export"))
    assert meta["parity"]["max_error"] <= 1e-5 and meta["parity"]["steps"] > 1000
    assert meta["actions"]["terms"][0]["joint_names"]
    judged = load_config(["engine=physx", "episodes=2", "video=False", f"train_dir={tmp_path}"])
    report = deploy(judged, tmp_path / "short" / "exported" / "policy.onnx")
    assert [row.where for row in report.rows] == ["trainer", "file, batched", "PhysX"]
    trainer, batch, physx = (row.rewards for row in report.rows)
    assert [*batch] == pytest.approx([*trainer], rel=1e-3) and [*physx] == pytest.approx([*trainer], rel=1e-3)


def test_a_library_is_asked_for_only_where_it_is_chosen(name: str) -> None:
    import subprocess
    import sys

    package = {"rsl_rl": "rsl_rl", "skrl": "skrl", "sb3": "stable_baselines3"}[name]
    code = f"""
import sys
sys.modules["{package}"] = None  # as if it were not installed
from omni.myriad.errors import MyriadError
from omni.myriad.learn.base import room
room({{"train": {{}}}})
try:
    room({{"train": {{"learner": "{name}"}}}})
except MyriadError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"train.learner={name} needs the package {package}") and f"[{name}]" in said
    assert said.count("\n") == 1


def test_the_learners_numbers_are_logged_quietly(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        train(configure(name, CartPoleEnv(8), max_iterations=1, bounds_loss_coef=0.0), CartPoleEnv(8), tmp_path)
    with open(tmp_path / "progress.csv") as file:
        row = next(csv.DictReader(file))
    assert float(row["learning_rate"]) > 0 and float(row["action_std"]) == pytest.approx(1.0, abs=0.2)
    assert "has nothing for normalize_value=True" in caplog.text or name == "skrl"  # which alone normalises values
