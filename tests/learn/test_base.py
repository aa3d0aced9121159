# SPDX-License-Identifier: Apache-2.0
"""A second learner is one new folder and nothing else; everybody steps through one loop."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from omni.myriad import learn
from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint, run
from omni.myriad.learn.base import room
from omni.myriad.learn.rollout import play, rollout
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg

SECOND = """
from omni.myriad.learn import checkpoint
from omni.myriad.learn.base import Epoch

class Learner:
    max_epochs, max_frames = 2, -1
    latest = Epoch()

    def __init__(self, config, env, run_dir):
        self.path = run_dir / "checkpoints" / "last.pth"
        self.about = checkpoint.describe(config, env)

    def train(self, listener):
        for epoch in (1, 2):
            self.latest = Epoch(epoch, epoch * 100, float(epoch), epoch_frames=100, reward_mean=3.0 * epoch)
            listener(self.latest)
        checkpoint.save(self.path, {"model": {}, "myriad": self.about})

    def stop(self): ...

class Still:
    library = "second 1"

    def reset(self, num_envs):
        self.num_envs = num_envs

    def act(self, observations, done=None):
        return observations["obs"].new_zeros(self.num_envs, 1)

def make_learner(config, env, run_dir, resume):
    return Learner(config, env, run_dir)

def make_actor(config, env, state, path):
    return Still()
"""


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    folder = tmp_path / "rooms" / "second"
    folder.mkdir(parents=True)
    (folder / "learner.py").write_text(SECOND)
    monkeypatch.setattr(learn, "__path__", [*learn.__path__, str(tmp_path / "rooms")])
    cfg = make_cfg(CartPoleEnv(4))
    cfg["train"]["learner"] = "second"
    return cfg


def test_a_second_learner_is_one_folder(tmp_path: Path, second: dict[str, Any]) -> None:
    env = CartPoleEnv(4, max_steps=5)
    summary, _ = run.train(second, env, tmp_path / "run")
    assert (summary["epochs"], summary["frames"], summary["reward_mean"]) == (2, 200, 6.0)
    with open(tmp_path / "run" / "progress.csv") as file:
        assert [row["reward_mean"] for row in csv.DictReader(file)] == ["3.0", "6.0"]
    state = checkpoint.load(summary["checkpoint"])
    played = run.play(second, env, summary["checkpoint"], 4, state)
    assert played["episodes"] == 4 and 1 <= played["reward_mean"] <= 5
    first = make_cfg(env) | {"checkpoint": summary["checkpoint"]}
    with pytest.raises(MyriadError, match=r"was trained by second: give train\.learner=second"):
        run.train(first, env, tmp_path / "other", resume=state)


def test_learners_are_looked_up_among_folders() -> None:
    for name in ("record", "os", "../app", "nobody"):
        with pytest.raises(MyriadError, match=f"train.learner={name} is unknown; choose one of: rl_games"):
            room({"train": {"learner": name}})
    assert room({"train": {}}).__name__ == "omni.myriad.learn.rl_games.learner"


class Notes:
    """Acts with zeros, and keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[list[bool] | None] = []

    def reset(self, num_envs: int) -> None:
        self.num_envs = num_envs

    def act(self, observations: Any, done: torch.Tensor | None = None) -> torch.Tensor:
        assert not torch.is_grad_enabled()
        self.told.append(None if done is None else done.tolist())
        return torch.zeros(self.num_envs, 1)


class Ends(CartPoleEnv):
    """Environment i ends every i + 1 steps, as 1 and not as True."""

    def step(self, actions: torch.Tensor) -> Any:
        self.steps += 1
        dones = (self.steps % torch.arange(1, self.num_envs + 1) == 0).to(torch.uint8)
        return self._observations(), torch.ones(self.num_envs), dones, {}


def test_actors_are_told_which_episodes_ended_since_they_acted() -> None:
    env, actor = Ends(2), Notes()
    steps = rollout(env, actor, env.reset())
    ends = [next(steps).dones.tolist() for _ in range(3)]
    assert ends == [[True, False], [True, True], [True, False]]
    assert actor.told == [None, *ends[:2]]
    assert torch.is_grad_enabled()


def test_playing_takes_each_environments_first_episodes() -> None:
    rewards, lengths = play(Ends(3), Notes(), 5)
    assert sorted(lengths.tolist()) == [1.0, 1.0, 2.0, 2.0, 3.0]
    assert torch.equal(rewards, lengths)


def test_a_learner_yields_the_best_that_it_kept(tmp_path: Path) -> None:
    env = CartPoleEnv(16, 30)
    cfg = make_cfg(env, max_iterations=2)
    summary, learner = run.train(cfg, env, tmp_path)
    best = run.make_actor(cfg, env, checkpoint.load(summary["checkpoint"]))
    obs = env.reset()
    acted = []
    for actor in (learner.actor(), best):
        actor.reset(16)
        acted.append(actor.act(obs))
    assert torch.equal(*acted) and acted[0].shape == (16, 1)
