# SPDX-License-Identifier: Apache-2.0
"""Vectors beside pictures: from the rollout's storage to the exported file."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint
from omni.myriad.learn.rl_games.learner import make_learner
from omni.myriad.learn.rl_games.network import Points, Standardize
from omni.myriad.learn.run import make_actor
from omni.myriad.policy.export import Spaces, export_policy
from omni.myriad.policy.recording import load_recording, record
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg, play, train
from tests.learn.rl_games.test_learner import differences, without_clocks
from tests.policy.synthetic import CNN, describe

PIXELS = 12


class SeenCartPoleEnv(CartPoleEnv):
    """Velocities as numbers; cart and pole as a picture of two rows, in which they are bright columns."""

    def __init__(self, num_envs: int = 16, **settings: Any) -> None:
        super().__init__(num_envs, **settings)
        picture = spaces.Box(0, 255, (3, PIXELS, 1), np.uint8)
        self.observation_space = spaces.Dict(
            {"velocities": spaces.Box(-np.inf, np.inf, (2,), np.float32), "camera": picture}
        )
        self.task = SimpleNamespace(obs_buf=self._observations()["obs"])

    def _observations(self) -> Any:
        where = self.obs_buf[:, [0, 2]].nan_to_num() / torch.tensor([2.4, 0.2])
        columns = ((where.clamp(-1, 1) + 1) / 2 * (PIXELS - 1)).long()
        picture = torch.zeros(self.num_envs, 3, PIXELS, 1, dtype=torch.uint8)
        picture[:, :2, :, 0].scatter_(2, columns.unsqueeze(2), 255)
        obs = {"velocities": self.obs_buf[:, [1, 3]], "camera": picture}
        self.task = SimpleNamespace(obs_buf=obs)
        return {"obs": obs}


def configure(env: CartPoleEnv, epochs: int, **config: Any) -> dict[str, Any]:
    cfg = make_cfg(env, max_iterations=epochs, **config)
    cfg["train"]["params"]["network"]["cnn"] = CNN
    return cfg


def test_a_run_resumes_exactly_plays_and_is_exported(tmp_path: Path) -> None:
    cfg = configure(SeenCartPoleEnv(), 4)
    whole = train(cfg, SeenCartPoleEnv(max_steps=30), tmp_path / "whole")
    assert whole["status"] == "finished" and whole["reward_mean"] > 0
    train(cfg | {"max_iterations": 2}, SeenCartPoleEnv(max_steps=30), tmp_path / "half")
    half = tmp_path / "half" / "checkpoints" / "last.pth"
    resumed = cfg | {"checkpoint": half}
    train(resumed, SeenCartPoleEnv(max_steps=30), tmp_path / "resumed")
    states = [checkpoint.load(tmp_path / name / "checkpoints" / "last.pth") for name in ("whole", "resumed")]
    assert differences(without_clocks(states[0]), without_clocks(states[1])) == []
    assert states[0]["rollout"]["obs"]["obs"]["camera"].dtype == torch.uint8
    assert states[0]["model"]["running_mean_std.running_mean_std.velocities.count"] == 1 + 4 * 16 * 16
    assert not any("running_mean_std.camera" in name for name in states[0]["model"]), "pictures stay as they are"
    assert states[0]["myriad"]["num_obs"] == 2 + 3 * PIXELS

    path = Path(whole["checkpoint"])
    state = checkpoint.load(path)
    env = SeenCartPoleEnv(4, max_steps=30)
    assert play(cfg, env, path, 6)["episodes"] == 6
    recording = record(env, make_actor(cfg, env, state, path))
    assert recording.observations["camera"].dtype == np.uint8
    assert recording.observations["camera"].shape == (recording.steps, 4, 3, PIXELS, 1)
    assert recording.resets[0].all() and recording.resets[1:].any()
    recording.save(tmp_path / "recording.npz")
    assert load_recording(tmp_path / "recording.npz").observations["camera"].dtype == np.uint8
    description = describe(env.observation_space, env.action_space)
    actor = make_actor(cfg, Spaces(description, 4), state, path)
    meta = export_policy(actor, state, path, description, recording, tmp_path / "policy.onnx")
    assert meta["parity"]["max_error"] <= 1e-5


def test_pictures_are_stored_as_bytes(tmp_path: Path) -> None:
    env = SeenCartPoleEnv()
    learner = make_learner(configure(env, 1), env, tmp_path)
    learner.prepare()
    learner.rollout.play()
    stored = learner.agent.experience_buffer.tensor_dict["obses"]
    assert stored["camera"].dtype == torch.uint8 and stored["camera"].shape == (16, 16, 3, PIXELS, 1)
    assert int(stored["camera"].max()) == 255
    assert learner.rollout.non_finite() is None


def test_what_is_not_finite_is_named_by_its_part(tmp_path: Path) -> None:
    env = SeenCartPoleEnv()

    def spoil(obs: torch.Tensor, _rewards: torch.Tensor) -> None:
        obs[3, 3] = math.nan

    env.poison[5] = spoil
    with pytest.raises(MyriadError, match="observation velocities is not finite in environment 3, column 1, at step 5"):
        train(configure(env, 1), env, tmp_path)


def test_a_picture_needs_to_be_told_how_it_is_seen(tmp_path: Path) -> None:
    env = SeenCartPoleEnv()
    with pytest.raises(MyriadError, match=r"observation camera is an image: train.params.network.cnn must say"):
        train(make_cfg(env, max_iterations=1), env, tmp_path)


def test_standardized_pictures_are_the_same_in_brighter_light_and_nothing_comes_of_nothing() -> None:
    torch.manual_seed(1)
    pictures = torch.rand(2, 3, 8, 9)
    seen = Standardize()(pictures)
    torch.testing.assert_close(seen.mean((2, 3)), torch.zeros(2, 3), atol=1e-6, rtol=0)
    deviation = pictures.std((2, 3), correction=0)
    torch.testing.assert_close(seen.std((2, 3), correction=0), deviation / (deviation + 0.05))
    torch.testing.assert_close(Standardize()(pictures + 0.3), seen, atol=1e-5, rtol=0)
    assert Standardize()(torch.full((1, 1, 4, 4), 0.7)).abs().max() < 1e-4


def test_points_are_where_channels_are_strong_in_a_picture_that_is_not_square() -> None:
    features = torch.zeros(1, 2, 3, 5)
    features[0, 0, 2, 1] = features[0, 1, 0, 3] = 50.0
    # Columns 1 and 3 of five are half-way from the middle; rows 2 and 0 of three are the lower and the upper edge.
    torch.testing.assert_close(Points()(features), torch.tensor([[-0.5, 0.5, 1.0, -1.0]]))
    torch.testing.assert_close(Points()(torch.ones(1, 1, 4, 4)), torch.zeros(1, 2), atol=1e-6, rtol=0)
