# SPDX-License-Identifier: Apache-2.0
"""What cameras see, changed by chance in each environment: colours, textures, light, cameras and their lenses."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch

from omni.myriad.errors import MyriadError
from omni.myriad.maths import quat_from_euler_xyz, quat_mul, quat_rotate

if TYPE_CHECKING:
    from omni.myriad.engine.camera.shading import Shading
    from omni.myriad.engine.camera.view import CameraView
    from omni.myriad.task.rl_task import RLTask

_LENSES = 16
"""How many lenses are drawn: each is shared by neighbouring environments, and stays."""

_WAVES = (1.0, 16.0)
"""Fewest and most waves per m of a texture."""
_SHARPEST = 16.0
"""From spots that fade into each other, 1, to checks with edges."""
_LOWEST = 0.1
"""Height of the sun, as the sine of its angle above the horizon."""


@dataclass(frozen=True)
class Amounts:
    """How much changes, uniformly to either side; 0 leaves it.

    Attributes:
        colours: Red, green and blue of each shape, of 1.
        textures: Contrast of spots and checks on each shape, the ground, and what is behind, as a part of each colour.
        sun: Brightness of the sun alone, as a part of it: the more, the harder are lights and darks.
        sun_angle: Where the sun is, about each axis, in degrees; it stays above the horizon.
        light: Brightness, as a part of it.
        tint: Red, green and blue of the light, each as a part of it.
        camera_position: Along each axis, in m.
        camera_angle: About each axis, in degrees.
        focal_length: As a part of it.
    """

    colours: float = 0.0
    textures: float = 0.0
    sun: float = 0.0
    sun_angle: float = 0.0
    light: float = 0.0
    tint: float = 0.0
    camera_position: float = 0.0
    camera_angle: float = 0.0
    focal_length: float = 0.0


class Looks:
    """Draws how environments look as their episodes begin; nothing waits for the device.

    Args:
        task: The task, with physics running.
        cameras: Its cameras.
        amounts: How much changes.
    """

    def __init__(self, task: RLTask, cameras: list[CameraView], amounts: Amounts) -> None:
        self._task, self._cameras, self._amounts = task, cameras, amounts
        tracer = task.world.ray_tracer()
        self._colours = tracer.colours
        self._plain = self._colours.clone()
        self._shading = tracer.shade() if amounts.textures or amounts.sun or amounts.sun_angle else None
        self._sun = self._shading.suns.clone() if self._shading is not None else None
        self._homes = [camera.get_local_poses(camera_axes="usd") for camera in cameras]
        for camera in cameras:
            camera.gains = torch.ones((camera.count, 1, 1, 3), device=task.device)
            if self._shading is not None:
                camera.prepare()
            if amounts.focal_length:
                self._draw_lenses(camera)

    def _draw_lenses(self, camera: CameraView) -> None:
        count = min(_LENSES, camera.count)
        factors = (1.0 + self._amounts.focal_length * (2.0 * torch.rand(count) - 1.0)).tolist()
        lengths = camera.get_focal_lengths()
        camera.set_focal_lengths([length * factors[i * count // len(lengths)] for i, length in enumerate(lengths)])

    def before_step(self) -> None:
        """Draw anew where an episode begins with this step."""
        amounts, begins = self._amounts, self._task.reset_buf.bool()
        if amounts.colours:
            drawn = (self._plain + amounts.colours * self._uniform(self._plain.shape)).clamp(0.0, 1.0)
            self._colours.copy_(torch.where(begins.view(-1, 1, 1), drawn, self._colours))
        if self._shading is not None:
            self._shade(self._shading, begins)
        for camera, (positions, orientations) in zip(self._cameras, self._homes, strict=True):
            of_camera = begins.repeat_interleave(camera.count // len(begins))
            if amounts.light or amounts.tint:
                assert camera.gains is not None
                light = 1.0 + amounts.light * self._uniform((camera.count, 1, 1, 1))
                drawn = light * (1.0 + amounts.tint * self._uniform((camera.count, 1, 1, 3)))
                camera.gains.copy_(torch.where(of_camera.view(-1, 1, 1, 1), drawn, camera.gains))
            if amounts.camera_position or amounts.camera_angle:
                angles = math.radians(amounts.camera_angle) * self._uniform((3, camera.count))
                moved = positions + amounts.camera_position * self._uniform(positions.shape)
                turned = quat_mul(orientations, quat_from_euler_xyz(*angles))
                old = camera.get_local_poses(camera_axes="usd")
                new = (torch.where(of_camera.unsqueeze(-1), *both) for both in zip((moved, turned), old, strict=True))
                camera.set_local_poses(*new, camera_axes="usd")

    def _shade(self, shading: Shading, begins: torch.Tensor) -> None:
        """Draw textures and where the sun is anew where an episode begins."""
        amounts = self._amounts
        if amounts.textures:
            waves, paints = torch.empty_like(shading.waves), torch.empty_like(shading.paints)
            directions = torch.nn.functional.normalize(torch.randn_like(waves[..., :3]), dim=-1)
            fewest, most = _WAVES
            waves[..., :3] = directions * fewest * (most / fewest) ** torch.rand_like(waves[..., :1])
            waves[..., 3] = torch.rand_like(waves[..., 3])
            paints[..., :3] = amounts.textures * self._uniform(paints[..., :3].shape)
            paints[..., 3] = _SHARPEST ** torch.rand_like(paints[..., 3])
            shading.waves.copy_(torch.where(begins.view(-1, 1, 1, 1), waves, shading.waves))
            shading.paints.copy_(torch.where(begins.view(-1, 1, 1), paints, shading.paints))
        if amounts.sun or amounts.sun_angle:
            assert self._sun is not None
            angles = math.radians(amounts.sun_angle) * self._uniform((3, len(begins)))
            suns = quat_rotate(quat_from_euler_xyz(*angles), self._sun)
            suns[:, 2] = suns[:, 2].abs().clamp(min=_LOWEST)
            strengths = (1.0 + amounts.sun * self._uniform((len(begins), 1))).clamp(min=0.0)
            suns *= strengths / suns.norm(dim=-1, keepdim=True)
            shading.suns.copy_(torch.where(begins.unsqueeze(-1), suns, shading.suns))

    def _uniform(self, shape: tuple[int, ...] | torch.Size) -> torch.Tensor:
        """Return numbers from -1 to 1."""
        return 2.0 * torch.rand(shape, device=self._task.device) - 1.0


def make_looks(task: RLTask) -> Looks | None:
    """Return what the task's YAML says of its looks; None where it says nothing, or is switched off.

    Raises:
        MyriadError: If it names something else, or the task has no camera of ours.
    """
    settings: dict[str, Any] = dict(task.task_config.get("visual_randomization") or {})
    if not settings.pop("randomize", False):
        return None
    known = [each.name for each in fields(Amounts)]
    for name, value in settings.items():
        if name not in known:
            raise MyriadError(f"visual_randomization.{name} is unknown; there are: randomize, {', '.join(known)}.")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise MyriadError(f"visual_randomization.{name}={value} is invalid: it must be a number, at least 0.")
    if settings.get("focal_length", 0.0) >= 1.0:
        raise MyriadError("visual_randomization.focal_length must be below 1: it is a part of the focal length.")
    from omni.myriad.engine.camera.view import CameraView  # imports pxr, which Isaac Sim brings once it runs

    cameras = [view for view in task.world.scene.views() if isinstance(view, CameraView)]
    if not cameras:
        raise MyriadError(f"Task {task.name} has no camera of ours whose looks could be randomized.")
    return Looks(task, cameras, Amounts(**settings))
