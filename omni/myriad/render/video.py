# SPDX-License-Identifier: Apache-2.0
"""Films of robots, from the poses of their links."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from omni.myriad.engine.base import ENV_0_PATH
from omni.myriad.errors import MyriadError
from omni.myriad.files import replacing
from omni.myriad.render.camera import FIELD_OF_VIEW, Camera, needed
from omni.myriad.render.shapes import Shape, robot_shapes

FRAMES_PER_SECOND = 30
_MARGIN = 1.25  # how much more than the robot is in the picture
_CALM = 0.4  # s over which the camera's path is smoothed: it knows where the robot will go
_ELEVATION = math.radians(15.0)


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
    imageio_ffmpeg = needed("imageio_ffmpeg", "imageio-ffmpeg")
    shapes = robot_shapes(stage, link_names)
    if not shapes:
        raise MyriadError("The robot has no visible shapes, so there is nothing to film: say video=False.")
    camera = Camera(link_names, shapes)
    step = 1.0 / FRAMES_PER_SECOND
    moments = [min(round(k * step / dt), len(positions) - 1) for k in range(max(1, int(len(positions) * dt / step)))]
    eyes, targets = follow([positions[m] for m in moments], link_names, shapes)
    target_file = path.with_suffix(".mp4")
    size, options = (camera.width, camera.height), ["-crf", "22", "-movflags", "+faststart"]
    with replacing(target_file) as temporary:
        writer = imageio_ffmpeg.write_frames(
            str(temporary), size, fps=FRAMES_PER_SECOND, codec="libx264", quality=None, output_params=options,
            ffmpeg_log_level="error",
        )  # fmt: skip
        writer.send(None)
        try:
            for moment, eye, target in zip(moments, eyes, targets, strict=True):
                picture = camera.draw(positions[moment], orientations[moment], eye, target)
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


class Film:
    """Poses of all that moves in environment 0 of a running task, taken step after step: robots, bodies and markers.

    Args:
        task: The task.

    Attributes:
        names: Of links as "Robot/link", of others as they are called below the environment.
    """

    def __init__(self, task: Any) -> None:
        self._task, self._world = task, task.world
        bodies = {
            _below_env(path): (view, row)
            for view in self._world.scene.bodies().values()
            if not view.is_non_root_articulation_link
            for row, path in enumerate(view.prim_paths[: view.count // task.num_envs])
        }
        self._bodies = bodies
        links = [
            f"{_below_env(robot.prim_paths[0])}/{name}"
            for robot in self._world.robots().values()
            for name in robot.body_names
        ]
        self.names = [*links, *bodies, *task.markers]
        self._positions: list[np.ndarray] = []
        self._orientations: list[np.ndarray] = []
        self._captions: list[str] = []

    def take(self, reward: float) -> None:
        """Add the present poses, and the reward of the episode so far."""
        origin, parts = self._task._env_pos[:1], []
        for robot in self._world.robots().values():
            positions, orientations = self._world.link_poses(robot)
            parts.append((positions[0], orientations[0]))
        for view, row in self._bodies.values():
            parts.append(view.get_world_poses(indices=[row]))
        parts += [(marker.positions[:1] + origin, marker.orientations[:1]) for marker in self._task.markers.values()]
        positions, orientations = (
            np.concatenate([part.cpu().numpy() for part in each]) for each in zip(*parts, strict=True)
        )
        self._positions.append(positions)
        self._orientations.append(orientations)
        self._captions.append(f"{self._task.name}   {self._world.version}   reward {reward:.1f}")

    def write(self, path: Path, seconds: float) -> Path:
        """Draw what was taken, up to a length in s, and return the MP4 file's path; see `film_robot`."""
        dt = self._world.physics_dt * self._task.control_frequency_inv
        frames = max(1, math.ceil(seconds / dt))
        poses = self._positions[:frames], self._orientations[:frames]
        return film_robot(self._world.stage, self.names, *poses, dt, path, self._captions[:frames])


def _below_env(path: str) -> str:
    """Return what a prim of an environment lies in: Robot for /World/envs/env_0/Robot/torso."""
    return path.split("/")[ENV_0_PATH.count("/") + 1]


def _captioned(picture: np.ndarray, caption: str) -> np.ndarray:
    """Write a line into the upper left corner of a picture."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text((12, 10), caption, fill=(20, 24, 32), font_size=18)
    return np.asarray(image)


def follow(
    positions: Sequence[np.ndarray], link_names: Sequence[str], shapes: Sequence[Shape]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return where the camera is and what it looks at, frame by frame: beside the robot, square to its path.

    Links that never move, such as a rail, are scenery.

    Args:
        positions: Of the links in m, (links, 3), for each frame.
        link_names: The links.
        shapes: What they look like.
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
    targets = _smooth(centres, _CALM * FRAMES_PER_SECOND)
    eyes = targets + distance * direction
    eyes[:, 2] = np.maximum(eyes[:, 2], 0.2)  # above the floor
    return list(eyes), list(targets)


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
