# SPDX-License-Identifier: Apache-2.0
"""The mass properties of RigidPrimView."""

from __future__ import annotations

import torch

from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.prim import Indices, PrimView, needs_physics

_COM = "RIGID_BODY_COM_POSE"


class MassMethods(PrimView):
    """Masses, inertias and centres of mass, (M, ...) for the M bodies of `indices` (None: all)."""

    @needs_physics
    def get_masses(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return masses, (M,) in kg."""
        return self._read("RIGID_BODY_MASS", indices, None, clone)

    @needs_physics
    def set_masses(self, masses: torch.Tensor, indices: Indices = None) -> None:
        """Set masses, (M,) in kg; inertias stay as they are."""
        self._write("RIGID_BODY_MASS", "masses", masses, indices)

    @needs_physics
    def get_inv_masses(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return inverse masses, (M,) in 1/kg."""
        return self._read("RIGID_BODY_INV_MASS", indices, None, clone)

    @needs_physics
    def get_inertias(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return inertia tensors about the centre of mass in the body's frame, (M, 9) in kg m^2.

        The nine numbers are a symmetric matrix, so that Isaac Sim's column-major order is PhysX's row-major order.
        """
        return self._read("RIGID_BODY_INERTIA", indices, None, clone)

    @needs_physics
    def set_inertias(self, values: torch.Tensor, indices: Indices = None) -> None:
        """Set inertia tensors about the centre of mass in the body's frame, symmetric, (M, 9) in kg m^2."""
        self._write("RIGID_BODY_INERTIA", "values", values, indices)

    @needs_physics
    def get_inv_inertias(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return inverse inertia tensors, (M, 9) in 1/(kg m^2)."""
        return self._read("RIGID_BODY_INV_INERTIA", indices, None, clone)

    @needs_physics
    def get_coms(self, indices: Indices = None, clone: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
        """Return centres of mass (M, 1, 3) in m and the principal axes' orientations (M, 1, 4) as wxyz, in the body."""
        poses = self._read(_COM, indices, None, False)[:, None]
        positions = poses[..., :3]
        return positions.clone() if clone else positions, poses[..., 3:].roll(1, -1)

    @needs_physics
    def set_coms(
        self,
        positions: torch.Tensor | None = None,
        orientations: torch.Tensor | None = None,
        indices: Indices = None,
    ) -> None:
        """Set centres of mass (M, 1, 3) in m and the principal axes' orientations (M, 1, 4) as wxyz, in the body.

        Args:
            positions: None leaves them as they are.
            orientations: None leaves them as they are.
            indices: Bodies; None means all.
        """
        poses = self._read(_COM, indices, None, True)
        if positions is not None:
            shape = (len(poses), 1, 3)
            poses[:, :3] = checks.as_values("positions", positions, shape, self._device, poses.dtype)[:, 0]
        if orientations is not None:
            shape = (len(poses), 1, 4)
            wxyz = checks.as_values("orientations", orientations, shape, self._device, poses.dtype)
            poses[:, 3:] = wxyz[:, 0].roll(-1, -1)
        self._write(_COM, "poses", poses, indices)
