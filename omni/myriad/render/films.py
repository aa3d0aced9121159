# SPDX-License-Identifier: Apache-2.0
"""Films of a training while it goes on: several environments in one picture, drawn by a process of its own."""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from omni.myriad.engine.shapes import Shape, robot_shapes
from omni.myriad.errors import MyriadError
from omni.myriad.render.camera import needed
from omni.myriad.render.poses import Poses, neighbours
from omni.myriad.render.video import draw_film, shapes_around

if TYPE_CHECKING:
    from omni.myriad.env.vec_env import VecEnv

logger = logging.getLogger(__name__)

SECONDS = 4.0
"""Length of a film."""
_ENVIRONMENTS = 4
_SIZE, _FRAMES_PER_SECOND = (512, 288), 16
_APART = 1.6  # of a robot's size, from one environment to another that is diagonal to it
_LAST_SECONDS = 120.0  # that the last film has to be drawn when training ends


class TrainingFilms:
    """Takes films of a few environments as they are trained, one after another, and draws each beside the training.

    While a film is taken, poses are kept where they are, on the device; nothing waits for them. At most one film is
    drawn at a time, and none is taken meanwhile: memory is that of one film.

    Args:
        env: The environment; this becomes one of its watchers.
        folder: Where films go, as epoch_100.mp4.
        every: Epochs from the beginning of one film to that of the next; the first begins at once.

    Raises:
        MyriadError: If newton or imageio-ffmpeg is not installed, or there is nothing to be drawn.
    """

    def __init__(self, env: VecEnv, folder: Path, every: int) -> None:
        for module, package in (("newton", "newton>=1.8"), ("imageio_ffmpeg", "imageio-ffmpeg")):
            needed(module, package)
        self._env, self._folder, self._every = env, folder, every
        self._poses = Poses(env.task)
        self._shapes = robot_shapes(env.engine.stage, self._poses.names)
        if not self._shapes:
            raise MyriadError("The environment has nothing visible, so there is nothing to film: say video=False.")
        self._ids = neighbours(env.engine.env_positions, 0, _ENVIRONMENTS)
        self._dt = env.engine.physics_dt * env.task.control_frequency_inv
        self._stride = max(1, round(1.0 / (_FRAMES_PER_SECOND * self._dt)))
        self._most = max(2, round(SECONDS / (self._stride * self._dt)))
        self._drawing: Any = None
        self._drawn: Path | None = None
        self._epoch, self._mean, self._steps = 0, None, 0
        self._taken: list[torch.Tensor] | None = []
        self._first_epoch = 1
        env.watchers.append(self)

    def __call__(self, epoch: Any) -> None:
        """Take note of an `Epoch` that has ended."""
        self._epoch, self._mean = epoch.epoch, epoch.reward_mean
        self._look_after_drawing()
        if epoch.epoch % self._every == 0 and self._taken is None and self._drawing is None:
            self._taken, self._first_epoch = [], epoch.epoch

    def release(self) -> None:
        """Hold nothing up."""

    def after_step(self) -> None:
        """Keep where things are, while a film is taken."""
        if self._taken is None:
            return
        self._steps += 1
        if self._steps % self._stride:
            return
        task = self._env.task
        about = torch.stack((task.rew_buf[self._ids], task.progress_buf[self._ids].float()), dim=-1)
        self._taken.append(torch.cat((self._poses.read(self._ids).flatten(1), about), dim=-1))
        if len(self._taken) == self._most:
            self._draw()

    def close(self) -> Path | None:
        """Finish the film at hand, and return the last one's path, None where there is none."""
        if self in self._env.watchers:
            self._env.watchers.remove(self)
        if self._drawing is None and self._taken and len(self._taken) >= self._most // 4:
            self._draw()
        if self._drawing is not None:
            print("Drawing the last film ...", flush=True)
            self._drawing.join(_LAST_SECONDS)
            self._look_after_drawing()
            if self._drawing is not None:
                logger.warning("%s is given up: %.0f s were not enough", self._drawing.film, _LAST_SECONDS)
        return self._drawn

    def stop(self) -> None:
        """Give the film at hand up."""
        if self in self._env.watchers:
            self._env.watchers.remove(self)
        if self._drawing is not None:
            self._drawing.kill()
            self._drawing.join()
            self._drawing = None

    def _draw(self) -> None:
        """Have what was taken drawn."""
        taken, self._taken = torch.stack(self._taken or []).cpu().numpy(), None
        moments, envs = taken.shape[:2]
        poses = taken[..., :-2].reshape(moments, envs, len(self._poses.names), 7)
        ground: list[Shape] = []
        if self._env.task.terrain is None:
            # From the first environment's origin, with environments near each other, so that robots are not small.
            origins = self._env.engine.env_positions[self._ids].cpu().numpy()
            robots = poses[0, 0, : len(self._poses.names) - self._poses.num_markers, :3]
            spacing = np.linalg.norm(origins[-1] - origins[0]) or 1.0
            near = min(1.0, (_APART * np.linalg.norm(np.ptp(robots, axis=0)) + 0.5) / spacing)
            poses[..., :3] -= origins[0] + (1.0 - near) * (origins - origins[0])[:, None]
        else:  # where they are there is uneven ground; that of one environment is seen
            poses, envs = poses[:, :1], 1
            shapes = shapes_around(self._env.engine.stage, self._poses.names, poses[..., :3].reshape(-1, 3))
            ground = [shape for shape in shapes if not shape.link]
        names = [f"{env} {name}" for env in range(envs) for name in self._poses.names]
        shapes = [
            dataclasses.replace(shape, link=f"{env} {shape.link}") for env in range(envs) for shape in self._shapes
        ]
        path = self._folder / f"epoch_{self._first_epoch}.mp4"
        arguments = (
            names,
            [*shapes, *ground],
            poses.reshape(moments, -1, 7),
            self._stride * self._dt,
            path,
            self._captions(taken),
        )
        self._drawing = multiprocessing.get_context("spawn").Process(target=_draw_beside, args=arguments, daemon=True)
        self._drawing.film = path
        self._drawing.start()

    def _captions(self, taken: np.ndarray) -> list[str]:
        title = f"{self._env.task.name}, epoch {self._first_epoch}"
        mean = "" if self._mean is None else f"   episode reward {self._mean:,.1f}"
        return [
            f"{title}   {moment[0, -1] * self._dt:5.2f} s   reward {moment[:, -2].mean():6.2f} a step{mean}"
            for moment in taken
        ]

    def _look_after_drawing(self) -> None:
        if self._drawing is None or self._drawing.is_alive():
            return
        if self._drawing.exitcode == 0:
            self._drawn = self._drawing.film
            print(f"Film: {self._drawn}", flush=True)
        else:
            logger.warning(
                "%s could not be drawn: its process ended with %s", self._drawing.film, self._drawing.exitcode
            )
        self._drawing = None


def _draw_beside(
    names: list[str], shapes: list[Shape], poses: np.ndarray, dt: float, path: Path, captions: list[str]
) -> None:
    """Draw a film in a process of its own, which gives way to the training."""
    os.nice(5)
    positions, orientations = list(poses[..., :3]), list(poses[..., 3:])
    draw_film(names, shapes, positions, orientations, dt, path, captions, False, _SIZE, _FRAMES_PER_SECOND)
