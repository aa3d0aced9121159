# SPDX-License-Identifier: Apache-2.0
"""Poses and velocities in the world and in the parent's frame, the same for articulations' roots and rigid bodies."""

from __future__ import annotations

from typing import ClassVar

import torch
from pxr import Gf, UsdGeom

from omni.myriad.engine.base import ENV_0_PATH
from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.prim import Indices, PrimView, needs_physics
from omni.myriad.maths import quat_conjugate, quat_mul


class StateMethods(PrimView):
    """Poses (metres, wxyz) and velocities (m/s and rad/s, world frame); (M, ...) for the M prims of `indices`.

    A linear velocity is that of the prim's centre of mass. With `clone=False` a getter of all prims may return the
    view's own buffer, which the next read overwrites.
    """

    _POSE: ClassVar[str]
    _VELOCITY: ClassVar[str]

    def _on_physics_ready(self) -> None:
        super()._on_physics_ready()
        self._parents: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None

    def _require_movable(self, what: str) -> None:
        """Raise if this view's prims cannot be moved one by one."""

    # -- world --------------------------------------------------------------------------------------------------------

    @needs_physics
    def get_world_poses(
        self, indices: Indices = None, clone: bool = True, usd: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return positions (M, 3) in m and orientations (M, 4) as wxyz, in the world frame.

        Args:
            indices: Prims; None means all.
            clone: Whether to copy the view's buffer.
            usd: Accepted for Isaac Sim's sake and unused: PhysX holds the poses.
        """
        poses = self._read(self._POSE, indices, None, False)
        positions = poses[:, :3]
        return positions.clone() if clone else positions, poses[:, 3:].roll(1, -1)

    @needs_physics
    def set_world_poses(
        self,
        positions: torch.Tensor | None = None,
        orientations: torch.Tensor | None = None,
        indices: Indices = None,
        usd: bool = True,
    ) -> None:
        """Put prims at positions (M, 3) in m and orientations (M, 4) as wxyz, in the world frame.

        Args:
            positions: None leaves them as they are.
            orientations: None leaves them as they are.
            indices: Prims; None means all.
            usd: Accepted for Isaac Sim's sake and unused: PhysX holds the poses.
        """
        self._require_movable("poses")
        rows = self._rows(indices)
        quantity = self._quantity(self._POSE)
        num_rows = self.count if rows is None else len(rows)
        if positions is not None:
            positions = checks.as_values("positions", positions, (num_rows, 3), self._device, torch.float32)
        if orientations is not None:
            orientations = checks.as_values("orientations", orientations, (num_rows, 4), self._device, torch.float32)
        complete = positions is not None and orientations is not None
        data = quantity.data if complete else quantity.read()
        where = slice(None) if rows is None else rows
        if positions is not None:
            data[where, :3] = positions
        if orientations is not None:
            data[where, 3:] = orientations.roll(-1, -1)
        quantity.write(rows)

    @needs_physics
    def get_velocities(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return linear (m/s) and angular (rad/s) velocities in the world frame, (M, 6)."""
        return self._read(self._VELOCITY, indices, None, clone)

    @needs_physics
    def set_velocities(self, velocities: torch.Tensor, indices: Indices = None) -> None:
        """Set linear (m/s) and angular (rad/s) velocities in the world frame, (M, 6)."""
        self._require_movable("velocities")
        self._write(self._VELOCITY, "velocities", velocities, indices)

    @needs_physics
    def get_linear_velocities(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return linear velocities in the world frame, (M, 3) in m/s."""
        return self._part(indices, slice(0, 3), clone)

    @needs_physics
    def set_linear_velocities(self, velocities: torch.Tensor, indices: Indices = None) -> None:
        """Set linear velocities in the world frame, (M, 3) in m/s; CPU only, as in Isaac Sim.

        Raises:
            NotImplementedError: On CUDA, where Isaac Sim does not support it; `set_velocities` works everywhere.
        """
        self._set_part("set_linear_velocities", velocities, indices, slice(0, 3))

    @needs_physics
    def get_angular_velocities(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return angular velocities in the world frame, (M, 3) in rad/s."""
        return self._part(indices, slice(3, 6), clone)

    @needs_physics
    def set_angular_velocities(self, velocities: torch.Tensor, indices: Indices = None) -> None:
        """Set angular velocities in the world frame, (M, 3) in rad/s; CPU only, as in Isaac Sim.

        Raises:
            NotImplementedError: On CUDA, where Isaac Sim does not support it; `set_velocities` works everywhere.
        """
        self._set_part("set_angular_velocities", velocities, indices, slice(3, 6))

    # -- relative to the parent prim ----------------------------------------------------------------------------------

    @needs_physics
    def get_local_poses(self, indices: Indices = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return translations (M, 3) in m and orientations (M, 4) as wxyz in the frame of the parent prim.

        The parent is where it was authored, in its environment: PhysX moves bodies, not the prims around them.
        """
        positions, orientations = self.get_world_poses(indices, clone=False)
        matrices, offsets, rotations = self._parent_frames(indices)
        translations = torch.linalg.solve(matrices, (positions - offsets).unsqueeze(-1)).squeeze(-1)
        return translations, quat_mul(quat_conjugate(rotations), orientations)

    @needs_physics
    def set_local_poses(
        self,
        translations: torch.Tensor | None = None,
        orientations: torch.Tensor | None = None,
        indices: Indices = None,
    ) -> None:
        """Put prims at translations (M, 3) in m and orientations (M, 4) as wxyz in the frame of the parent prim.

        Args:
            translations: None leaves them as they are.
            orientations: None leaves them as they are.
            indices: Prims; None means all.
        """
        matrices, offsets, rotations = self._parent_frames(indices)
        positions = None
        if translations is not None:
            shape = (len(offsets), 3)
            translations = checks.as_values("translations", translations, shape, self._device, torch.float32)
            positions = (matrices @ translations.unsqueeze(-1)).squeeze(-1) + offsets
        if orientations is not None:
            shape = (len(offsets), 4)
            orientations = checks.as_values("orientations", orientations, shape, self._device, torch.float32)
            orientations = quat_mul(rotations, orientations)
        self.set_world_poses(positions, orientations, indices)

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _part(self, indices: Indices, part: slice, clone: bool) -> torch.Tensor:
        velocities = self._read(self._VELOCITY, indices, None, False)[:, part]
        return velocities.clone() if clone else velocities

    def _set_part(self, method: str, velocities: torch.Tensor, indices: Indices, part: slice) -> None:
        if self._device.type == "cuda":
            raise NotImplementedError(f"{method}: Isaac Sim has no such thing on its GPU pipeline; use set_velocities.")
        self._require_movable("velocities")
        rows = self._rows(indices)
        quantity = self._quantity(self._VELOCITY)
        shape = (self.count if rows is None else len(rows), 3)
        data = quantity.read()
        data[slice(None) if rows is None else rows, part] = checks.as_values(
            "velocities", velocities, shape, self._device, torch.float32
        )
        quantity.write(rows)

    def _parent_frames(self, indices: Indices) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the parents' linear maps (M, 3, 3), world positions (M, 3) and orientations (M, 4) as wxyz."""
        engine = self._require_engine()
        if self._parents is None:
            env_0 = engine.stage.GetPrimAtPath(ENV_0_PATH)
            cache = UsdGeom.XformCache()
            maps, offsets, rotations = [], [], []
            for path in self._relative_paths:
                parent = engine.stage.GetPrimAtPath(f"{ENV_0_PATH}/{path}").GetParent()
                matrix: Gf.Matrix4d = cache.ComputeRelativeTransform(parent, env_0)[0]
                rotation = matrix.RemoveScaleShear().ExtractRotationQuat()
                # USD multiplies row vectors, torch columns.
                maps.append([[matrix[column][row] for column in range(3)] for row in range(3)])
                offsets.append(list(matrix.ExtractTranslation()))
                rotations.append([rotation.GetReal(), *rotation.GetImaginary()])
            in_world = torch.tensor(offsets).to(self._device) + engine.env_positions[:, None]
            self._parents = (
                torch.tensor(maps).to(self._device).repeat(engine.num_envs, 1, 1),
                in_world.reshape(-1, 3),
                torch.tensor(rotations).to(self._device).repeat(engine.num_envs, 1),
            )
        rows = self._rows(indices)
        if rows is None:
            return self._parents
        maps, offsets, rotations = self._parents
        return maps[rows], offsets[rows], rotations[rows]
