# SPDX-License-Identifier: Apache-2.0
"""Methods of Isaac Sim's views that need what PhysX alone does not have: something that renders."""

from __future__ import annotations

from typing import Any

from omni.myriad.engine.physx.views.prim import Indices, PrimView

_NO_RENDERER = "nothing is rendered here; use Isaac Sim (engine=isaacsim)"
_NO_SCALING = "PhysX reads sizes from environment 0 when it starts; scale the prim there"


class RenderingMethods(PrimView):
    """Visibility, scale and visual materials: each raises NotImplementedError with the reason."""

    def _refuse_rendering(self, scales: Any, visibilities: Any) -> None:
        if scales is not None:
            self.set_local_scales(scales)
        if visibilities is not None:
            self.set_visibilities(visibilities)

    def set_visibilities(self, visibilities: Any, indices: Indices = None) -> None:
        """Raise: nothing is rendered here."""
        raise NotImplementedError(f"set_visibilities: {_NO_RENDERER}.")

    def get_visibilities(self, indices: Indices = None) -> Any:
        """Raise: nothing is rendered here."""
        raise NotImplementedError(f"get_visibilities: {_NO_RENDERER}.")

    def apply_visual_materials(
        self, visual_materials: Any, weaker_than_descendants: Any = None, indices: Indices = None
    ) -> None:
        """Raise: nothing is rendered here."""
        raise NotImplementedError(f"apply_visual_materials: {_NO_RENDERER}.")

    def get_applied_visual_materials(self, indices: Indices = None) -> Any:
        """Raise: nothing is rendered here."""
        raise NotImplementedError(f"get_applied_visual_materials: {_NO_RENDERER}.")

    def is_visual_material_applied(self, indices: Indices = None) -> Any:
        """Raise: nothing is rendered here."""
        raise NotImplementedError(f"is_visual_material_applied: {_NO_RENDERER}.")

    def get_world_scales(self, indices: Indices = None) -> Any:
        """Raise: PhysX keeps no scales."""
        raise NotImplementedError(f"get_world_scales: {_NO_SCALING}.")

    def set_local_scales(self, scales: Any, indices: Indices = None) -> None:
        """Raise: PhysX keeps no scales."""
        raise NotImplementedError(f"set_local_scales: {_NO_SCALING}.")

    def get_local_scales(self, indices: Indices = None) -> Any:
        """Raise: PhysX keeps no scales."""
        raise NotImplementedError(f"get_local_scales: {_NO_SCALING}.")
