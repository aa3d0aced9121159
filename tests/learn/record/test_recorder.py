# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import builtins
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.learn.record.recorder import draw_curve, start_wandb
from omni.myriad.task.buffers import RewardTerms
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg, train


def test_tensorboard_has_the_familiar_names(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    env = CartPoleEnv(16, 20, with_states=True)
    train(make_cfg(env, max_iterations=3), env, tmp_path)
    events = EventAccumulator(str(tmp_path / "summaries"))
    events.Reload()
    names = set(events.Tags()["scalars"])
    assert names >= {
        "rewards/step", "rewards/iter", "rewards/time", "shaped_rewards/step", "episode_lengths/step",
        "episode_lengths/iter", "episode_lengths/time", "losses/a_loss", "losses/c_loss", "losses/bounds_loss",
        "losses/entropy", "losses/cval_loss", "info/last_lr", "info/lr_mul", "info/e_clip", "info/kl", "info/epochs",
        "performance/step_inference_rl_update_fps", "performance/step_inference_fps", "performance/step_fps",
        "performance/rl_update_time", "performance/step_inference_time", "performance/step_time", "Episode/angle",
    }  # fmt: skip
    rewards = {event.step: event.value for event in events.Scalars("rewards/step")}
    shaped = {event.step: event.value for event in events.Scalars("shaped_rewards/step")}
    assert list(rewards) == [256, 512, 768]
    assert [event.step for event in events.Scalars("rewards/iter")] == [1, 2, 3]
    assert shaped[768] != rewards[768]  # the learner sees a tenth, and bootstraps


def test_tensorboard_has_the_terms_of_the_reward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    env = CartPoleEnv(16, 20)
    terms = RewardTerms({"alive": 0.5, "speed": torch.zeros(16)}, 16, torch.device("cpu"))
    step = env.step

    def step_with_terms(actions: torch.Tensor) -> Any:
        *result, extras = step(actions)
        terms.sum({"alive": 0.5, "speed": torch.arange(16.0)})
        return *result, {**extras, "reward_terms": terms}

    monkeypatch.setattr(env, "step", step_with_terms)
    train(make_cfg(env, max_iterations=2), env, tmp_path)
    events = EventAccumulator(str(tmp_path / "summaries"))
    events.Reload()
    said = {name: [event.value for event in events.Scalars(f"Episode/reward/{name}")] for name in ("alive", "speed")}
    assert said == {"alive": [0.5, 0.5], "speed": [7.5, 7.5]}


def test_what_rl_games_diagnoses_is_written_down_too(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    env = CartPoleEnv(16, 20)
    train(make_cfg(env, max_iterations=2, use_diagnostics=True), env, tmp_path)
    events = EventAccumulator(str(tmp_path / "summaries"))
    events.Reload()
    assert {"diagnostics/exp_var", "diagnostics/clip_frac/0", "diagnostics/rms_value/mean"} <= set(
        events.Tags()["scalars"]
    )
    assert len(list((tmp_path / "summaries").iterdir())) == 1, "rl-games' own files are not kept"


def test_curve_is_a_picture(tmp_path: Path) -> None:
    draw_curve(tmp_path / "curve.png", [(100.0, 1.0, -3.0), (200.0, 2.0, 5.0)], "Ant")
    data = (tmp_path / "curve.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 5000


def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    env = CartPoleEnv(16, 20)
    cfg = make_cfg(env, max_iterations=2) | {"wandb_activate": True, "wandb_project": "test", "wandb_group": ""}
    for name in ("films/epoch_1.mp4", "exported/policy.onnx"):
        (tmp_path / "run" / name).parent.mkdir(parents=True)
        (tmp_path / "run" / name).write_bytes(b"as if made by others")
    summary = train(cfg, env, tmp_path / "run")
    assert summary["status"] == "finished"
    (record,) = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
    names = (b"exported/policy.onnx", b"report.html", b"curve.png", b"films/epoch_1.mp4", b"summary.json")
    deadline = time.monotonic() + 60.0  # wandb's own process writes the file on, once the run has ended for us
    while (missing := [name for name in names if name not in record.read_bytes()]) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not missing, "they are in the artifact"


def test_wandb_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_wandb(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("wandb"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_wandb)
    with pytest.raises(MyriadError, match="pip install wandb"):
        start_wandb({}, tmp_path)
