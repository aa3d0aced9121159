# SPDX-License-Identifier: Apache-2.0
"""Environments in lights of their own, and with textures: what newton's renderer has once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from omni.myriad.engine.camera.tracer import Batch

NEEDS = ("albedo_image", "normal_image", "forward_depth_image", "shape_index_image")
"""What has to be drawn for it, of the fields of `tracer.Images`."""

_LEVELS = 8192
"""Of brightness, which is linear: the darkest two are less than one of a screen's 255 apart."""


class Shading:
    """Colours pictures from what rays have met, in the light of each environment; there are no shadows.

    A texture is two waves multiplied, in the frame of what carries the shape. It makes a colour brighter and darker by
    `paints`: by soft spots, or by checks and stripes where the fourth number of `paints`, how sharp it is, is large.

    Args:
        num_envs: Number of environments.
        bodies: What carries each shape that an environment sees, by its number, or -1 for the world: those that all
            share first, and what is behind everything last.
        num_bodies: How many bodies an environment has.
        num_shared: How many shapes all share.
        poses: Of the bodies of all environments, Warp's transforms.
        sun: Where the light comes from, (3,).
        lights: Colours of light from above, from below, and of the sun, three linear numbers each.
        device: Torch's.

    Attributes, which are written in place:
        suns: Where light comes from, (num_envs, 3); as long as it is strong, 1 at first.
        waves: Waves per m along each axis, and the phase as a part of a wave, (num_envs, shapes, 2, 4).
        paints: Contrast of red, green and blue, and sharpness, (num_envs, shapes, 4); 0 at first, for no texture.
    """

    def __init__(
        self,
        num_envs: int,
        bodies: Sequence[int],
        num_bodies: int,
        num_shared: int,
        poses: Any,
        sun: Sequence[float],
        lights: tuple[Sequence[float], Sequence[float], Sequence[float]],
        device: torch.device,
    ) -> None:
        wp = import_module("warp")
        self._launch, self._kernel = wp.launch, import_module("omni.myriad.engine.camera.kernels").shade
        self.suns = torch.tensor(sun, device=device).repeat(num_envs, 1)
        self.waves = torch.zeros((num_envs, len(bodies), 2, 4), device=device)
        self.paints = torch.zeros((num_envs, len(bodies), 4), device=device)
        where = import_module("omni.myriad.engine.streams").warp_device(device)
        of_shapes = wp.from_torch(torch.tensor(bodies, dtype=torch.int32, device=device))
        self._inputs = [
            poses, of_shapes, num_bodies, num_shared, wp.from_torch(self.suns, dtype=wp.vec3f),
            *(wp.vec3f(*light) for light in lights),
            wp.from_torch(self.waves, dtype=wp.vec4f), wp.from_torch(self.paints, dtype=wp.vec4f),
            wp.array(_linear(np.linspace(0.0, 1.0, 256)), dtype=wp.float32, device=where),
            wp.array(255.0 * _on_screen(np.linspace(0.0, 1.0, _LEVELS)) + 0.5, dtype=wp.uint32, device=where),
        ]  # fmt: skip

    def colour(self, batch: Batch) -> None:
        """Write the colours of pictures from what else was drawn of them."""
        images = batch.images
        found = [getattr(images, kind) for kind in NEEDS]
        self._launch(
            self._kernel,
            dim=images.color_image.shape,
            inputs=[batch.views, batch.rays, batch.worlds, batch.gains, *found, *self._inputs],
            outputs=[images.color_image],
            device=images.color_image.device,
        )


def _linear(screen: np.ndarray) -> np.ndarray:
    """Return how bright is what screens are told, 0 to 1 (sRGB, IEC 61966-2-1)."""
    return np.where(screen <= 0.04045, screen / 12.92, ((screen + 0.055) / 1.055) ** 2.4)


def _on_screen(linear: np.ndarray) -> np.ndarray:
    """Return what screens are told to be so bright, 0 to 1 (sRGB, IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1.0 / 2.4) - 0.055)
