# SPDX-License-Identifier: Apache-2.0
"""Isaac Sim's own CameraView, which draws with RTX, as tasks of ours ask cameras: torch's tensors of the last step.

Importing this needs a running Kit, whose extension `isaacsim.sensors.camera` it switches on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

import omni.kit.app  # type: ignore[import-not-found]
from omni.myriad.errors import MyriadError

_EXTENSION = "isaacsim.sensors.camera"

if not omni.kit.app.get_app().get_extension_manager().set_extension_enabled_immediate(_EXTENSION, True):
    raise MyriadError(f"Cameras need Isaac Sim's extension {_EXTENSION} (4.5 and later), which is not here.")

from isaacsim.core.api import World  # type: ignore[import-not-found]  # noqa: E402
from isaacsim.sensors import camera as isaac_sim  # type: ignore[import-not-found]  # noqa: E402


class CameraView(isaac_sim.CameraView):  # type: ignore[misc]
    """Isaac Sim's class, which has no `every`, returns Warp's arrays and shows the frame that Kit drew last.

    Args:
        prim_paths_expr: As in Isaac Sim.
        name: As in Isaac Sim.
        camera_resolution: As in Isaac Sim. Version 5.1 swaps width and height as it cuts its tiles: use squares there.
        output_annotators: As in Isaac Sim.
        every: Kit draws in every so many steps that pictures are asked for in.
        more: Isaac Sim's other arguments.
    """

    def __init__(
        self,
        prim_paths_expr: str | list[str],
        name: str = "camera_prim_view",
        camera_resolution: tuple[int, int] = (256, 256),
        output_annotators: Sequence[str] = ("rgb", "depth"),
        every: int = 1,
        **more: Any,
    ) -> None:
        self.every = every
        self._asked = 0
        self._drawn_at: int | None = None
        settings = {"reset_xform_properties": False, **more}  # clones have the prims' own
        super().__init__(prim_paths_expr, name, camera_resolution, list(output_annotators), **settings)

    def get_data(
        self, annotator_type: str, *, tiled: bool = False, out: Any = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return what an annotator says of the world after the last step, as torch's tensor, and what it adds."""
        import warp

        world = World.instance()
        if self._drawn_at != world.current_time_step_index:
            self._drawn_at = world.current_time_step_index
            if self._asked % self.every == 0:
                world.render()
            self._asked += 1
        target = warp.from_torch(out) if isinstance(out, torch.Tensor) else out
        data, info = super().get_data(annotator_type, tiled=tiled, out=target)
        return warp.to_torch(data).to(self._device), info  # Kit draws on the GPU, wherever physics is

    def get_rgb(self, out: Any = None) -> torch.Tensor:
        """Return colours, (cameras, height, width, 3) uint8."""
        return self.get_data("rgb", out=out)[0]

    def get_depth(self, out: Any = None) -> torch.Tensor:
        """Return distances to the image plane in m, (cameras, height, width, 1) float32."""
        return self.get_data("distance_to_image_plane", out=out)[0]
