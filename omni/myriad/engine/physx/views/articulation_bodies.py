# SPDX-License-Identifier: Apache-2.0
"""The links of ArticulationView: poses, velocities and mass properties."""

from __future__ import annotations

import torch

from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.articulation_names import NameMethods
from omni.myriad.engine.physx.views.prim import Indices, needs_physics

_COM = "ARTICULATION_BODY_COM_POSE"
_DISABLE_GRAVITY = "ARTICULATION_BODY_DISABLE_GRAVITY"


class BodyMethods(NameMethods):
    """Per link, (M, K, ...): M articulations by `indices`, K links by `body_indices`; None means all."""

    # -- state --------------------------------------------------------------------------------------------------------

    @needs_physics
    def get_body_poses(
        self, indices: Indices = None, body_indices: Indices = None, clone: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the links' positions (M, K, 3) in m and orientations (M, K, 4) as wxyz, in the world frame.

        On the CPU they follow written joint and root states at once, on CUDA with the next step or with the engine's
        `update_kinematics`.
        """
        poses = self._read("ARTICULATION_LINK_POSE", indices, self._bodies(body_indices), False)
        positions = poses[..., :3]
        return positions.clone() if clone else positions, poses[..., 3:].roll(1, -1)

    @needs_physics
    def get_body_velocities(
        self, indices: Indices = None, body_indices: Indices = None, clone: bool = True
    ) -> torch.Tensor:
        """Return linear (m/s, centre of mass) and angular (rad/s) velocities in the world frame, (M, K, 6)."""
        return self._read("ARTICULATION_LINK_VELOCITY", indices, self._bodies(body_indices), clone)

    # -- mass ---------------------------------------------------------------------------------------------------------

    @needs_physics
    def get_body_masses(
        self, indices: Indices = None, body_indices: Indices = None, clone: bool = True
    ) -> torch.Tensor:
        """Return masses, (M, K) in kg."""
        return self._read("ARTICULATION_BODY_MASS", indices, self._bodies(body_indices), clone)

    @needs_physics
    def set_body_masses(self, values: torch.Tensor, indices: Indices = None, body_indices: Indices = None) -> None:
        """Set masses, (M, K) in kg; inertias stay as they are."""
        self._write("ARTICULATION_BODY_MASS", "values", values, indices, self._bodies(body_indices))

    @needs_physics
    def get_body_inv_masses(
        self, indices: Indices = None, body_indices: Indices = None, clone: bool = True
    ) -> torch.Tensor:
        """Return inverse masses, (M, K) in 1/kg."""
        return self._read("ARTICULATION_BODY_INV_MASS", indices, self._bodies(body_indices), clone)

    @needs_physics
    def get_body_inertias(
        self, indices: Indices = None, body_indices: Indices = None, clone: bool = True
    ) -> torch.Tensor:
        """Return inertia tensors about the centre of mass in the link's frame, (M, K, 9) in kg m^2.

        The nine numbers are a symmetric matrix, so that Isaac Sim's column-major order is PhysX's row-major order.
        """
        return self._read("ARTICULATION_BODY_INERTIA", indices, self._bodies(body_indices), clone)

    @needs_physics
    def set_body_inertias(self, values: torch.Tensor, indices: Indices = None, body_indices: Indices = None) -> None:
        """Set inertia tensors about the centre of mass in the link's frame, symmetric, (M, K, 9) in kg m^2."""
        self._write("ARTICULATION_BODY_INERTIA", "values", values, indices, self._bodies(body_indices))

    @needs_physics
    def get_body_inv_inertias(
        self, indices: Indices = None, body_indices: Indices = None, clone: bool = True
    ) -> torch.Tensor:
        """Return inverse inertia tensors, (M, K, 9) in 1/(kg m^2)."""
        return self._read("ARTICULATION_BODY_INV_INERTIA", indices, self._bodies(body_indices), clone)

    @needs_physics
    def get_body_coms(
        self, indices: Indices = None, body_indices: Indices = None, clone: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return centres of mass (M, K, 3) in m and the principal axes' orientations (M, K, 4) as wxyz, in the link."""
        poses = self._read(_COM, indices, self._bodies(body_indices), False)
        positions = poses[..., :3]
        return positions.clone() if clone else positions, poses[..., 3:].roll(1, -1)

    @needs_physics
    def set_body_coms(
        self,
        positions: torch.Tensor | None = None,
        orientations: torch.Tensor | None = None,
        indices: Indices = None,
        body_indices: Indices = None,
    ) -> None:
        """Set centres of mass (M, K, 3) in m and the principal axes' orientations (M, K, 4) as wxyz, in the link.

        Args:
            positions: None leaves them as they are.
            orientations: None leaves them as they are.
            indices: Articulations; None means all.
            body_indices: Links; None means all.
        """
        bodies = self._bodies(body_indices)
        poses = self._read(_COM, indices, bodies, True)
        lead = tuple(poses.shape[:-1])
        if positions is not None:
            poses[..., :3] = checks.as_values("positions", positions, (*lead, 3), self._device, poses.dtype)
        if orientations is not None:
            wxyz = checks.as_values("orientations", orientations, (*lead, 4), self._device, poses.dtype)
            poses[..., 3:] = wxyz.roll(-1, -1)
        self._write(_COM, "poses", poses, indices, bodies)

    # -- gravity ------------------------------------------------------------------------------------------------------

    @needs_physics
    def get_body_disable_gravity(
        self, indices: Indices = None, body_indices: Indices = None, clone: bool = True
    ) -> torch.Tensor:
        """Return 1 where a link feels no gravity, (M, K) uint8."""
        return self._read(_DISABLE_GRAVITY, indices, self._bodies(body_indices), clone)

    @needs_physics
    def set_body_disable_gravity(
        self, values: torch.Tensor, indices: Indices = None, body_indices: Indices = None
    ) -> None:
        """Free links from gravity where `values`, (M, K) uint8 or bool, is not zero."""
        if isinstance(values, torch.Tensor) and values.dtype == torch.bool:
            values = values.to(torch.uint8)
        self._write(_DISABLE_GRAVITY, "values", values, indices, self._bodies(body_indices))

    def _bodies(self, body_indices: Indices) -> torch.Tensor | None:
        return self._index("body_indices", body_indices, len(self._body_names))
