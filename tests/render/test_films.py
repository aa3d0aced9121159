# SPDX-License-Identifier: Apache-2.0
"""A training is filmed beside it: what was taken is drawn by a process of its own, one film at a time."""

import imageio_ffmpeg
import torch

from omni.myriad.learn.base import Epoch
from omni.myriad.render import films
from omni.myriad.render.films import TrainingFilms


def test_a_film_is_taken_at_the_start_and_drawn_by_another_process(env_of, tmp_path, monkeypatch):
    monkeypatch.setattr(films, "SECONDS", 0.5)
    env = env_of("task=Cartpole", "num_envs=5")
    filmed = TrainingFilms(env, tmp_path / "films", every=2)
    for _ in range(40):  # 60 steps a second
        env.step(torch.zeros((5, 1)))
    assert filmed._drawing is not None and filmed._taken is None, "what was taken is on its way"
    filmed(Epoch(epoch=2))
    assert filmed._taken is None, "none is taken while one is drawn"
    path = filmed.close()
    assert path == tmp_path / "films" / "epoch_1.mp4" and env.watchers == []
    frames = imageio_ffmpeg.read_frames(str(path))
    assert next(frames)["size"] == (512, 288)
    assert 7 <= len(list(frames)) <= 8, "half a second"
    filmed(Epoch(epoch=4, reward_mean=12.3))
    assert filmed._taken == [] and filmed._first_epoch == 4, "the next one"
