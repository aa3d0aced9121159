# SPDX-License-Identifier: Apache-2.0
"""Films of robots, from the poses of their links."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from omni.myriad.engine.shapes import Shape, ground_shapes, robot_shapes
from omni.myriad.errors import MyriadError
from omni.myriad.files import replacing
from omni.myriad.render.camera import FIELD_OF_VIEW, Camera, needed
from omni.myriad.render.poses import Poses

FRAMES_PER_SECOND = 20  # steps of 1/60 s are then equally far apart, and somebody waits for each frame
_MARGIN = 1.25  # how much more than the robot is in the picture
_CALM = 0.4  # s over which the camera's path is smoothed: it knows where the robot will go
_ELEVATION = math.radians(15.0)
_SEEN = 15.0  # m around a robot's path in which uneven ground is drawn
_MOST_THREADS = 8  # that draw a film while somebody waits for it
_CLEARANCE = 0.4  # m from the camera to uneven ground


def film_robot(
    stage: Any,
    link_names: Sequence[str],
    positions: Sequence[np.ndarray],
    orientations: Sequence[np.ndarray],
    dt: float,
    path: Path,
    captions: Sequence[str] = (),
) -> Path:
    """Draw a robot's motion and write it as an MP4 file, whose path is returned.

    Args:
        stage: The USD stage with the robot in environment 0.
        link_names: Its links.
        positions: Of the links in m, (links, 3), for each moment.
        orientations: Of the links as wxyz, (links, 4), for each moment.
        dt: Seconds between moments.
        path: The file, without its suffix.
        captions: What stands in the picture, for each moment; none for nothing.

    Raises:
        MyriadError: If newton or imageio-ffmpeg is not installed, or the robot has no shapes to be drawn.
    """
    shapes = shapes_around(stage, link_names, np.concatenate(positions)) if len(positions) else []
    return draw_film(link_names, shapes, positions, orientations, dt, path, captions, True, threads=_threads())


def shapes_around(stage: Any, link_names: Sequence[str], reached: np.ndarray) -> list[Shape]:
    """Return a robot's shapes, and the uneven ground around where it has been; none where nothing of it is visible.

    Args:
        stage: The USD stage with the robot in environment 0.
        link_names: Its links.
        reached: Places of its links in the world in m, (N, 3).
    """
    shapes = robot_shapes(stage, link_names)
    ground = ground_shapes(stage, reached[:, :2].min(axis=0) - _SEEN, reached[:, :2].max(axis=0) + _SEEN)
    return [*shapes, *ground] if shapes else []


def draw_film(
    link_names: Sequence[str],
    shapes: Sequence[Shape],
    positions: Sequence[np.ndarray],
    orientations: Sequence[np.ndarray],
    dt: float,
    path: Path,
    captions: Sequence[str] = (),
    shows_progress: bool = False,
    size: tuple[int, int] = (512, 288),
    frames_per_second: int = FRAMES_PER_SECOND,
    threads: int = 1,
) -> Path:
    """Do what `film_robot` does with shapes that were read before, in whichever process, size and number of threads."""
    imageio_ffmpeg = needed("imageio_ffmpeg", "imageio-ffmpeg")
    if not shapes:
        raise MyriadError("The robot has no visible shapes, so there is nothing to film: say video=False.")
    ground = [shape for shape in shapes if not shape.link]
    cameras = [Camera(link_names, shapes, *size) for _ in range(threads)]
    step = 1.0 / frames_per_second
    moments = [min(round(k * step / dt), len(positions) - 1) for k in range(max(1, int(len(positions) * dt / step)))]
    eyes, targets = follow([positions[m] for m in moments], link_names, shapes, frames_per_second)
    for eye in eyes:
        _keep_above(eye, ground)
    target_file = path.with_suffix(".mp4")
    options = ["-crf", "22", "-movflags", "+faststart"]
    with replacing(target_file) as temporary:
        writer = imageio_ffmpeg.write_frames(
            str(temporary), size, fps=frames_per_second, codec="libx264", quality=None, output_params=options,
            ffmpeg_log_level="error",
        )  # fmt: skip
        writer.send(None)
        has_bar = shows_progress and sys.stdout.isatty()
        if shows_progress and not has_bar:
            print(f"Drawing {target_file.name}: {len(moments)} frames ...", flush=True)
        frames = [(positions[m], orientations[m], *at) for m, *at in zip(moments, eyes, targets, strict=True)]
        pictures = zip(moments, _drawn(cameras, frames), strict=True)
        try:
            for moment, picture in track(
                pictures,
                f"Drawing {target_file.name}",
                len(moments),
                disable=not has_bar,
            ):
                writer.send(np.ascontiguousarray(_captioned(picture, captions[moment]) if captions else picture))
        finally:
            writer.close()
        # Where the disk is full ffmpeg ends half-way, and nobody is told.
        try:
            drawn, _ = imageio_ffmpeg.count_frames_and_secs(str(temporary))
        except (OSError, RuntimeError):
            drawn = 0
        if drawn < len(moments):
            raise OSError(f"ffmpeg wrote {drawn} of {len(moments)} frames")
    return target_file


def _threads() -> int:
    """Return how many threads may draw: the cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores, _MOST_THREADS)


def _drawn(cameras: Sequence[Camera], frames: Sequence[tuple[Any, ...]]) -> Iterator[np.ndarray]:
    """Draw frames in their order, each camera on a thread of its own: Warp needs no GIL, and one core, to draw."""
    yield cameras[0].draw(*frames[0])  # alone, which loads the kernels
    with ThreadPoolExecutor(len(cameras)) as pool:
        for first in range(1, len(frames), len(cameras)):
            some = frames[first : first + len(cameras)]
            yield from pool.map(lambda camera, frame: camera.draw(*frame), cameras[: len(some)], some)


class Film:
    """Poses of all that moves in environment 0 of a running task, taken step after step.

    As one of an environment's watchers it takes what is left of the episode at hand, or a part of it.

    Args:
        task: The task.
        seconds: How much of an episode it takes as a watcher.
    """

    def __init__(self, task: Any, seconds: float = math.inf) -> None:
        self._task, self._world = task, task.world
        self._seconds, self._reward, self._is_over = seconds, 0.0, False
        self._poses = Poses(task)
        self._env_0 = torch.zeros(1, dtype=torch.long, device=task.device)
        self._taken: list[np.ndarray] = []
        self._captions: list[str] = []

    def take(self, reward: float) -> None:
        """Add the present poses, and the reward of the episode so far."""
        dt = self._world.physics_dt * self._task.control_frequency_inv
        self._captions.append(
            f"{self._task.name}   {self._world.version}   {len(self._taken) * dt:.1f} s   reward {reward:.1f}"
        )
        self._taken.append(self._poses.read(self._env_0)[0].cpu().numpy())

    def after_step(self) -> None:
        """Take a step of the episode, and nothing after its end."""
        if not self._is_over:
            self._reward += float(self._task.rew_buf[0])
            self.take(self._reward)
            dt = self._world.physics_dt * self._task.control_frequency_inv
            self._is_over = bool(self._task.reset_buf[0]) or len(self._taken) * dt >= self._seconds

    def release(self) -> None:
        """Hold nothing up."""

    def write(self, path: Path, seconds: float) -> Path:
        """Draw what was taken, up to a length in s, and return the MP4 file's path; see `film_robot`."""
        dt = self._world.physics_dt * self._task.control_frequency_inv
        frames = max(1, math.ceil(seconds / dt))
        taken = self._taken[:frames]
        positions, orientations = [pose[:, :3] for pose in taken], [pose[:, 3:] for pose in taken]
        return film_robot(
            self._world.stage, self._poses.names, positions, orientations, dt, path, self._captions[:frames]
        )


def _captioned(picture: np.ndarray, caption: str) -> np.ndarray:
    """Write a line into the upper left corner of a picture."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text((12, 10), caption, fill=(20, 24, 32), font_size=picture.shape[1] // 36)
    return np.asarray(image)


def follow(
    positions: Sequence[np.ndarray],
    link_names: Sequence[str],
    shapes: Sequence[Shape],
    frames_per_second: int = FRAMES_PER_SECOND,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return where the camera is and what it looks at, frame by frame: beside the robot, square to its path.

    Links that never move, such as a rail, are scenery.

    Args:
        positions: Of the links in m, (links, 3), for each frame.
        link_names: The links.
        shapes: What they look like.
        frames_per_second: Frames in a second.
    """
    path = np.stack(positions)
    moving = np.ptp(path, axis=0).max(axis=-1) > 1e-3
    actors = moving if moving.any() else np.ones(len(link_names), bool)
    centres = path[:, actors].mean(axis=1)
    reach = np.array([max((_reach(s) for s in shapes if s.link == name), default=0.0) for name in link_names])
    radius = float((np.linalg.norm(path[0, actors] - centres[0], axis=-1) + reach[actors]).max())
    distance = radius * _MARGIN / math.sin(FIELD_OF_VIEW / 2)
    span = np.ptp(centres[:, :2], axis=0)
    azimuth = math.radians(-60.0 if span[0] >= span[1] else 20.0)  # beside a path along x, or along y
    direction = np.array([math.cos(azimuth), math.sin(azimuth), 0.0]) * math.cos(_ELEVATION)
    direction[2] = math.sin(_ELEVATION)
    targets = _smooth(centres, _CALM * frames_per_second)
    eyes = targets + distance * direction
    eyes[:, 2] = np.maximum(eyes[:, 2], 0.2)  # above the floor
    return list(eyes), list(targets)


def _keep_above(eye: np.ndarray, ground: Sequence[Shape]) -> None:
    """Lift a camera that is in the ground, or just above it."""
    for shape in ground:
        assert shape.points is not None
        near = np.abs(shape.points[:, :2] - eye[:2]).max(axis=-1) < _CLEARANCE
        eye[2] = max(eye[2], shape.points[near, 2].max(initial=-np.inf) + _CLEARANCE)


def _smooth(path: np.ndarray, frames: float) -> np.ndarray:
    """Average a path, (T, 3), with Gaussian weights whose standard deviation is a number of frames."""
    times = np.arange(len(path))
    weights = np.exp(-0.5 * ((times[:, None] - times) / frames) ** 2)
    return weights @ path / weights.sum(axis=1, keepdims=True)


def _reach(shape: Shape) -> float:
    """Return how far a shape reaches from its link's origin."""
    if shape.points is not None:
        size = float(np.linalg.norm(shape.points, axis=-1).max())
    else:
        size = float(np.linalg.norm(shape.size) if shape.kind == "box" else sum(shape.size))
    return float(np.linalg.norm(shape.position)) + size
