# SPDX-License-Identifier: Apache-2.0
"""The poses that a view was constructed with or that physics starts with."""

from __future__ import annotations

import torch

from omni.myriad.engine.base import XFormPrimViewState
from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.prim import Indices
from omni.myriad.engine.physx.views.states import StateMethods

_Poses = tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]


class DefaultPoseMethods(StateMethods):
    """Initial poses from the constructor, and default poses that `post_reset` returns to."""

    def __init__(self, prim_paths_expr: str | list[str], name: str) -> None:
        super().__init__(prim_paths_expr, name)
        self._initial_poses: _Poses = (None, None, None)
        self._default_poses = XFormPrimViewState(None, None)

    def _set_initial_poses(
        self, positions: torch.Tensor | None, translations: torch.Tensor | None, orientations: torch.Tensor | None
    ) -> None:
        if positions is not None and translations is not None:
            raise checks.ArgumentError("positions and translations cannot both be given.")
        self._initial_poses = (positions, translations, orientations)

    def _on_physics_ready(self) -> None:
        super()._on_physics_ready()
        positions, translations, orientations = self._initial_poses
        if translations is not None:
            self.set_local_poses(translations, orientations)
        elif positions is not None or orientations is not None:
            self.set_world_poses(positions, orientations)
        positions, orientations = self.get_world_poses()
        default = self._default_poses
        self._default_poses = XFormPrimViewState(
            positions if default.positions is None else default.positions,
            orientations if default.orientations is None else default.orientations,
        )

    def set_default_state(
        self,
        positions: torch.Tensor | None = None,
        orientations: torch.Tensor | None = None,
        indices: Indices = None,
    ) -> None:
        """Set the poses that `post_reset` writes, (M, 3) in m and (M, 4) as wxyz; what is None stays as it is."""
        self._set_default(self._default_poses, {"positions": positions, "orientations": orientations}, indices)

    def _set_default(self, state: object, parts: dict[str, torch.Tensor | None], indices: Indices) -> None:
        """Replace parts of a default state; before physics runs only whole ones, as nothing is known to index."""
        ready = self.is_physics_handle_valid()
        if indices is not None and not ready:
            raise checks.ArgumentError("indices must be None until physics runs: there is no default state to change.")
        for name, values in parts.items():
            if values is None:
                continue
            if ready:
                rows = self._rows(indices)
                current = getattr(state, name)
                shape = (self.count if rows is None else len(rows), current.shape[1])
                values = checks.as_values(name, values, shape, self._device, torch.float32)
                if rows is not None:
                    current = current.clone()
                    current[rows] = values
                    values = current
            setattr(state, name, values)
