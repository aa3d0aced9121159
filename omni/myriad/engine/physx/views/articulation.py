# SPDX-License-Identifier: Apache-2.0
"""ArticulationView: all robots of a kind, one row an environment."""

from __future__ import annotations

from typing import Any

import torch
from pxr import Usd, UsdPhysics

from omni.myriad.engine.base import ENV_0_PATH
from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.articulation_bodies import BodyMethods
from omni.myriad.engine.physx.views.articulation_defaults import DefaultMethods
from omni.myriad.engine.physx.views.articulation_dynamics import DynamicsMethods
from omni.myriad.engine.physx.views.articulation_solver import SolverMethods
from omni.myriad.engine.physx.views.articulation_tendons import TendonMethods
from omni.myriad.engine.physx.views.prim import Indices
from omni.myriad.engine.physx.views.unsupported import RenderingMethods


class ArticulationView(DefaultMethods, BodyMethods, DynamicsMethods, TendonMethods, SolverMethods, RenderingMethods):
    """The articulations that an expression names, one in every environment.

    Args:
        prim_paths_expr: Expression of the articulations' root prims, or of prims with one articulation below, such as
            "/World/envs/.*/Ant"; or several.
        name: Name under which the scene registers the view.
        positions: Default world positions in m, (N, 3), taken when physics starts.
        translations: Default positions in m in the parent's frame, (N, 3), instead of `positions`.
        orientations: Default orientations as wxyz, (N, 4), in the same frame.
        scales: Not available here: PhysX reads sizes from environment 0.
        visibilities: Not available here: nothing is rendered.
        reset_xform_properties: Accepted for Isaac Sim's sake and unused: transforms are PhysX's.
        enable_residual_reports: Not available here; Isaac Sim dropped it in 6.0.
    """

    _POSE = "ARTICULATION_ROOT_POSE"
    _VELOCITY = "ARTICULATION_ROOT_VELOCITY"

    def __init__(
        self,
        prim_paths_expr: str | list[str],
        name: str = "articulation_prim_view",
        positions: torch.Tensor | None = None,
        translations: torch.Tensor | None = None,
        orientations: torch.Tensor | None = None,
        scales: Any = None,
        visibilities: Any = None,
        reset_xform_properties: bool = True,
        enable_residual_reports: bool = False,
    ) -> None:
        super().__init__(prim_paths_expr, name)
        self._set_initial_poses(positions, translations, orientations)
        self._refuse_rendering(scales, visibilities)
        if enable_residual_reports:
            self.get_position_residuals()

    def _resolve(self, relative_paths: list[str]) -> list[str]:
        roots = []
        for path in relative_paths:
            prim = self._require_engine().stage.GetPrimAtPath(f"{ENV_0_PATH}/{path}")
            below = [p for p in Usd.PrimRange(prim) if p.HasAPI(UsdPhysics.ArticulationRootAPI)]
            if len(below) != 1:
                raise checks.ArgumentError(
                    f"{self.name}: {prim.GetPath()} is no articulation: {len(below)} prims at or below it have "
                    "PhysicsArticulationRootAPI, where one should."
                )
            roots.append(str(below[0].GetPath())[len(ENV_0_PATH) + 1 :])
        return list(dict.fromkeys(roots))

    def get_position_residuals(self, indices: Indices = None, report_max: bool = True) -> torch.Tensor:
        """Raise: standalone PhysX reports no solver residuals, and Isaac Sim 6.0 has no such method."""
        raise NotImplementedError("get_position_residuals: standalone PhysX reports no solver residuals.")

    def get_velocity_residuals(self, indices: Indices = None, report_max: bool = True) -> torch.Tensor:
        """Raise: standalone PhysX reports no solver residuals, and Isaac Sim 6.0 has no such method."""
        raise NotImplementedError("get_velocity_residuals: standalone PhysX reports no solver residuals.")
