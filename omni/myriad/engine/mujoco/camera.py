# SPDX-License-Identifier: Apache-2.0
"""Cameras in MuJoCo: a second eye for policies that were trained on what the ray tracer draws."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import torch

from omni.myriad.engine.camera import view
from omni.myriad.engine.mujoco.view import mujoco
from omni.myriad.maths import quat_rotate

logger = logging.getLogger(__name__)


class CameraView(view.CameraView):
    """Pictures by MuJoCo's own renderer: colours and depth of the MJCF's shapes, materials and lights.

    It needs OpenGL without a display (MUJOCO_GL=egl or osmesa). Where there is none, that is said in one line, and the
    ray tracer draws as it does elsewhere; so it does normals and segmentation.
    """

    _renderer: Any = None
    _has_tried = False

    def draw(self) -> None:
        """Draw all that the view was made for, unless that was done since the last step."""
        drawn_at = self._drawn_at
        super().draw()
        if self._drawn_at == drawn_at:
            return
        if not self._has_tried:
            self._has_tried = True
            self._renderer = self._make_renderer()
        if self._renderer is None:
            return
        for camera in range(self.count):
            self._aim(camera)
            if "color_image" in self._pixels:
                picture = torch.from_numpy(self._renderer.render().copy())
                self._pixels["color_image"].view(torch.uint8).unflatten(-1, (-1, 4))[camera, ..., :3] = picture
            if "forward_depth_image" in self._pixels:
                self._renderer.enable_depth_rendering()
                self._pixels["forward_depth_image"][camera] = torch.from_numpy(self._renderer.render().copy())
                self._renderer.disable_depth_rendering()

    def _make_renderer(self) -> Any:
        width, height = self.camera_resolution
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a display that is not there
                return mujoco.Renderer(self._engine.model, height, width)
        except Exception as error:  # OpenGL has a way of failing of its own on each machine
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            logger.warning(
                "camera %s: MuJoCo cannot draw here (%s), so the ray tracer does; MUJOCO_GL=egl or osmesa needs a "
                "library of that name",
                self.name,
                reason,
            )
            return None

    def _aim(self, camera: int) -> None:
        """Put the renderer's camera where one of ours is, with its lens."""
        self._renderer.update_scene(self._engine.data)
        x, y, z, *turn = self._views[camera].tolist()
        turn = torch.tensor([[turn[3], *turn[:3]]])
        axes = torch.tensor([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
        ahead, up = quat_rotate(turn.expand(2, 4), axes).tolist()
        for eye in self._renderer.scene.camera:  # both of a pair of eyes, which are one here
            eye.pos[:], eye.forward[:], eye.up[:] = (x, y, z), ahead, up
            # Near and far stay MuJoCo's own, by which it reckons depth; left and right follow from the picture's shape.
            half_width = eye.frustum_near * self._apertures[camera] / (2.0 * self._focal_lengths[camera])
            half_height = half_width / self.get_aspect_ratios()
            eye.frustum_center, eye.frustum_width = 0.0, half_width
            eye.frustum_bottom, eye.frustum_top = -half_height, half_height
