# SPDX-License-Identifier: Apache-2.0
"""A camera on a robot that stands on a chequered floor, or on uneven ground, under an open sky."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from omni.myriad.engine.camera.tracer import add_shape, sensor
from omni.myriad.engine.quiet import quiet_warp
from omni.myriad.engine.shapes import Shape
from omni.myriad.errors import MyriadError

FIELD_OF_VIEW = math.radians(38.0)
"""Vertical, rad."""
_SAMPLES = 4  # rays per pixel
_LIGHT = (-0.45, 0.55, -0.75)  # where the sun shines to
_FLOOR = (0.62, 0.68, 0.76)
_HORIZON, _ZENITH = (255.0 * np.array(colour, np.float32) for colour in ((0.84, 0.90, 0.95), (0.36, 0.56, 0.82)))
_HAZE = 26.0  # m in which the floor fades into the horizon
_HAIR = 3e-4  # m
_DEVICE = "cpu"  # warp's name of it
_NOTHING = 0xFFFFFFFF  # shape index where a ray met nothing


class Camera:
    """Draws a robot from the poses of its links, on the CPU.

    Args:
        link_names: The links, in the order of the poses that `draw` is given.
        shapes: What they look like, and the ground; without any there is a floor at z = 0.
        width: Pixels.
        height: Pixels.

    Raises:
        MyriadError: If newton is not installed.
    """

    def __init__(self, link_names: Sequence[str], shapes: Sequence[Shape], width: int = 512, height: int = 288) -> None:
        needed("warp", "newton>=1.8")
        self._wp = warp = quiet_warp()
        newton, sensors = needed("newton", "newton>=1.8"), needed("newton.sensors", "newton>=1.8")
        camera = sensors.SensorCamera
        self.width, self.height = width, height
        builder = newton.ModelBuilder()
        builder.default_shape_cfg.density = 0.0  # nothing moves by itself: no masses, and no warnings about them
        links = {name: builder.add_body(label=name) for name in link_names}
        for index, shape in enumerate(shapes):
            # Where two links share a rounded end, neither would win: each is some hairs bigger than its neighbours.
            plain = replace(shape, texture="")  # the floor's squares are the one texture that newton draws beside them
            add_shape(newton, warp, builder, links[shape.link] if shape.link else -1, plain, grown=index % 8 * _HAIR)
        is_uneven = any(not shape.link for shape in shapes)
        floor = None if is_uneven else builder.add_ground_plane(color=_FLOOR)
        self._model = builder.finalize(device=_DEVICE)
        self._state = self._model.state()
        self._camera = sensor(sensors, self._model)
        light = np.array(_LIGHT) / np.linalg.norm(_LIGHT)
        self._camera.create_default_light(direction=self._wp.vec3f(*light))
        self._camera.set_ambient_light((0.32, 0.34, 0.38), (0.16, 0.15, 0.14))
        if floor is not None:
            self._camera.assign_checkerboard_material(shape_indices=np.array([floor], np.uint32))
        config = self._camera.default_render_config
        config.enable_shadows = config.enable_textures = True
        config.anti_aliasing = camera.AntiAliasing.MSAA  # rays for all samples, one shading per surface
        self._rays = camera.compute_camera_rays_pinhole(
            width, height, camera_fov=FIELD_OF_VIEW, sample_count=_SAMPLES, device=_DEVICE
        )
        self._colour = self._camera.allocate_image_color(1, width, height)
        self._depth = self._camera.allocate_image_depth(1, width, height)
        self._hit = self._camera.allocate_image_shape_index(1, width, height)
        directions = self._rays.numpy()[:, :, :, 1].mean(axis=2)
        self._directions = (directions / np.linalg.norm(directions, axis=-1, keepdims=True)).astype(np.float32)

    def draw(self, positions: np.ndarray, orientations: np.ndarray, eye: ArrayLike, target: ArrayLike) -> np.ndarray:
        """Return a picture, (height, width, 3) uint8.

        Args:
            positions: Of the links in m, (links, 3).
            orientations: Of the links as wxyz, (links, 4).
            eye: Where the camera is, in m.
            target: What it looks at, in m.
        """
        poses = np.concatenate((positions, np.roll(orientations, -1, axis=1)), axis=1).astype(np.float32)
        self._state.body_q.assign(poses)
        self._model.bvh_refit_shapes(self._state)
        eye = np.asarray(eye, float)
        rotation = _look(eye, np.asarray(target, float))
        turn = self._wp.quat_from_matrix(self._wp.mat33f(*rotation.flatten().tolist()))
        pose = self._wp.transformf(self._wp.vec3f(*eye.tolist()), turn)
        self._camera.update(
            self._state,
            self._wp.array([pose], dtype=self._wp.transformf, device=_DEVICE),
            self._rays,
            color_image=self._colour,
            depth_image=self._depth,
            shape_index_image=self._hit,
        )
        colour = self._colour.numpy()[0].view(np.uint8).reshape(self.height, self.width, 4)[..., :3]
        upward = self._directions @ rotation[2].astype(np.float32)
        return _under_the_sky(colour, self._depth.numpy()[0], self._hit.numpy()[0], upward)


def needed(module: str, package: str) -> Any:
    """Import what videos need.

    Raises:
        MyriadError: If it is not installed, with the package to install.
    """
    try:
        return import_module(module)
    except ImportError:
        what = package.partition(">")[0]
        raise MyriadError(
            f"Videos need {what}, which is not installed: pip install '{package}', or say video=False."
        ) from None


def _look(eye: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the rotation of a camera, which looks along its -z with +y up."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    return np.stack((right, np.cross(right, forward), -forward), axis=1)


def _under_the_sky(colour: np.ndarray, depth: np.ndarray, hit: np.ndarray, upward: np.ndarray) -> np.ndarray:
    """Paint a sky where rays met nothing, and let what is far fade into it; `upward` are the rays' z, of length 1."""
    height = np.clip(upward * 1.6, 0.0, 1.0)[..., None]
    sky = _HORIZON + (_ZENITH - _HORIZON) * height
    haze = 1.0 - np.exp(-((np.maximum(depth, 0.0) / _HAZE) ** 2), dtype=np.float32)
    haze[hit == _NOTHING] = 1.0
    mixed = colour + (sky - colour) * haze[..., None]
    return (np.clip(mixed, 0.0, 255.0) + np.float32(0.5)).astype(np.uint8)
