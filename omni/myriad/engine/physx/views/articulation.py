# SPDX-License-Identifier: Apache-2.0
"""ArticulationView: all robots of a kind, one row an environment."""

from __future__ import annotations

from typing import Any

import torch
from pxr import Usd, UsdPhysics

from omni.myriad.engine.base import ENV_0_PATH
from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.articulation_joints import JointMethods
from omni.myriad.engine.physx.views.prim import Indices

_TO_WXYZ = [3, 0, 1, 2]
_TO_XYZW = [1, 2, 3, 0]


class ArticulationView(JointMethods):
    """The articulations that an expression names, one in every environment.

    Args:
        prim_paths_expr: Expression of the articulations' root prims, or of prims with one articulation below.
        name: Name under which the scene registers the view.
        positions: Unused here, as the remaining arguments: clones are placed by the engine, states by the task.
    """

    def __init__(
        self,
        prim_paths_expr: str | list[str],
        name: str = "articulation_prim_view",
        positions: Any = None,
        translations: Any = None,
        orientations: Any = None,
        scales: Any = None,
        visibilities: Any = None,
        reset_xform_properties: bool = True,
    ) -> None:
        super().__init__(prim_paths_expr, name)

    def _resolve(self, relative_paths: list[str]) -> list[str]:
        assert self._engine is not None
        roots = []
        for path in relative_paths:
            prim = self._engine.stage.GetPrimAtPath(f"{ENV_0_PATH}/{path}")
            below = [p for p in Usd.PrimRange(prim) if p.HasAPI(UsdPhysics.ArticulationRootAPI)]
            if len(below) != 1:
                raise checks.ArgumentError(
                    f"{self.name}: {prim.GetPath()} is no articulation: {len(below)} prims at or below it have "
                    "PhysicsArticulationRootAPI, where one should."
                )
            roots.append(str(below[0].GetPath())[len(ENV_0_PATH) + 1 :])
        return list(dict.fromkeys(roots))

    # -- root ---------------------------------------------------------------------------------------------------------

    def get_world_poses(
        self, indices: Indices = None, clone: bool = True, usd: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return the root links' positions (M, 3) in m and orientations (M, 4) as wxyz, in the world frame."""
        if not self._ready("get_world_poses"):
            return None
        poses = self._read("ARTICULATION_ROOT_POSE", indices, None, False)
        positions = poses[:, :3]
        return positions.clone() if clone else positions, poses[:, 3:7][:, _TO_WXYZ]

    def set_world_poses(
        self,
        positions: torch.Tensor | None = None,
        orientations: torch.Tensor | None = None,
        indices: Indices = None,
        usd: bool = True,
    ) -> None:
        """Put root links at positions (M, 3) in m and orientations (M, 4) as wxyz; what is None stays as it is."""
        if not self._ready("set_world_poses"):
            return
        rows = self._rows(indices)
        num_rows = self.count if rows is None else len(rows)
        poses = self._read("ARTICULATION_ROOT_POSE", indices, None, True)
        if positions is not None:
            poses[:, :3] = checks.as_values("positions", positions, (num_rows, 3), self._device, torch.float32)
        if orientations is not None:
            wxyz = checks.as_values("orientations", orientations, (num_rows, 4), self._device, torch.float32)
            poses[:, 3:7] = wxyz[:, _TO_XYZW]
        self._write("ARTICULATION_ROOT_POSE", "poses", poses, indices)

    def get_velocities(self, indices: Indices = None, clone: bool = True) -> torch.Tensor | None:
        """Return the root links' linear (m/s) and angular (rad/s) velocities in the world frame, (M, 6)."""
        if not self._ready("get_velocities"):
            return None
        return self._read("ARTICULATION_ROOT_VELOCITY", indices, None, clone)

    def set_velocities(self, velocities: torch.Tensor, indices: Indices = None) -> None:
        """Set the root links' linear (m/s) and angular (rad/s) velocities in the world frame, (M, 6)."""
        if self._ready("set_velocities"):
            self._write("ARTICULATION_ROOT_VELOCITY", "velocities", velocities, indices)
