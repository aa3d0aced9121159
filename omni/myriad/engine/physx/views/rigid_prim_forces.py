# SPDX-License-Identifier: Apache-2.0
"""The external forces of RigidPrimView."""

from __future__ import annotations

import torch

from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.prim import Indices, needs_physics
from omni.myriad.engine.physx.views.rigid_prim_masses import MassMethods
from omni.myriad.engine.physx.views.states import StateMethods
from omni.myriad.maths import quat_rotate

_WRENCH = "RIGID_BODY_WRENCH"


class ForceMethods(StateMethods, MassMethods):
    """Forces and torques, (M, 3) for the M bodies of `indices`; they act during the next physics step and then end."""

    @needs_physics
    def apply_forces(self, forces: torch.Tensor, indices: Indices = None, is_global: bool = True) -> None:
        """Push bodies at their centres of mass.

        Args:
            forces: Forces in N, (M, 3).
            indices: Bodies; None means all.
            is_global: Whether forces are in the world frame, or else in the bodies' frames.
        """
        self.apply_forces_and_torques_at_pos(forces, indices=indices, is_global=is_global)

    @needs_physics
    def apply_forces_and_torques_at_pos(
        self,
        forces: torch.Tensor | None = None,
        torques: torch.Tensor | None = None,
        positions: torch.Tensor | None = None,
        indices: Indices = None,
        is_global: bool = True,
    ) -> None:
        """Push and turn bodies.

        Args:
            forces: Forces in N, (M, 3).
            torques: Torques in N m, (M, 3).
            positions: Points that the forces act at in m, (M, 3); None means the centres of mass.
            indices: Bodies; None means all.
            is_global: Whether all of these are in the world frame, or else in the bodies' frames.

        Raises:
            ArgumentError: If neither forces nor torques are given.
        """
        if forces is None and torques is None:
            raise checks.ArgumentError("forces or torques must be given, got neither.")
        origins, orientations = self.get_world_poses(indices, clone=False)

        def in_world(name: str, values: torch.Tensor | None) -> torch.Tensor | None:
            if values is None:
                return None
            values = checks.as_values(name, values, tuple(origins.shape), self._device, torch.float32)
            return values if is_global else quat_rotate(orientations, values)

        forces, torques = in_world("forces", forces), in_world("torques", torques)
        points = in_world("positions", positions)
        if points is None:
            points = origins + quat_rotate(orientations, self.get_coms(indices, clone=False)[0][:, 0])
        elif not is_global:
            points = origins + points
        zeros = torch.zeros_like(origins)
        wrench = (zeros if forces is None else forces, zeros if torques is None else torques, points)
        self._write(_WRENCH, "wrench", torch.cat(wrench, -1), indices)
