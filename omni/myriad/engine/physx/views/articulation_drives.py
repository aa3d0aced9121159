# SPDX-License-Identifier: Apache-2.0
"""The drives and limits of ArticulationView's joints: gains, control modes, maxima, armature, friction."""

from __future__ import annotations

from typing import Any

import torch
from pxr import UsdPhysics

from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.articulation_names import NameMethods
from omni.myriad.engine.physx.views.prim import Indices, Names, needs_physics

_STIFFNESS = "ARTICULATION_DOF_STIFFNESS"
_DAMPING = "ARTICULATION_DOF_DAMPING"
_FRICTION = "ARTICULATION_DOF_FRICTION_PROPERTIES"
_CONTROL_MODES = ("position", "velocity", "effort")
_EFFORT_MODES = ("force", "acceleration")


class DriveMethods(NameMethods):
    """Joint drives, per degree of freedom, (M, K): M by `indices`, K by `joint_indices` or `joint_names`.

    Stiffness is in N m/rad or N/m and damping in N m s/rad or N s/m, where USD's angular drives count degrees.
    """

    def _on_physics_ready(self) -> None:
        super()._on_physics_ready()
        self._default_kps, self._default_kds = self.get_gains()

    # -- gains --------------------------------------------------------------------------------------------------------

    @needs_physics
    def get_gains(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return stiffness and damping of the drives, (M, K) each."""
        dofs = self._dofs(joint_indices, joint_names)
        return self._read(_STIFFNESS, indices, dofs, clone), self._read(_DAMPING, indices, dofs, clone)

    @needs_physics
    def set_gains(
        self,
        kps: torch.Tensor | None = None,
        kds: torch.Tensor | None = None,
        indices: Indices = None,
        joint_indices: Indices = None,
        joint_names: Names = None,
        save_to_usd: bool = False,
    ) -> None:
        """Set stiffness and damping of the drives, (M, K) each; these become what `switch_control_mode` returns to.

        Args:
            kps: Stiffness; None leaves it as it is.
            kds: Damping; None leaves it as it is.
            indices: Articulations; None means all.
            joint_indices: Degrees of freedom; None means all.
            joint_names: Degrees of freedom by name.
            save_to_usd: Must be False: clones are not on the stage.
        """
        if save_to_usd:
            raise NotImplementedError("set_gains: save_to_usd=True needs clones on the USD stage; PhysX made them.")
        self._write_gains(kps, kds, indices, self._dofs(joint_indices, joint_names))
        if indices is None and joint_indices is None and joint_names is None:
            self._default_kps, self._default_kds = self.get_gains()
            return
        rows = self._rows(indices)
        dofs = self._dofs(joint_indices, joint_names)
        where = (slice(None) if rows is None else rows, slice(None) if dofs is None else dofs)
        if rows is not None and dofs is not None:
            where = (rows[:, None], dofs)
        now_kps, now_kds = self.get_gains(clone=False)
        if kps is not None:
            self._default_kps[where] = now_kps[where]
        if kds is not None:
            self._default_kds[where] = now_kds[where]

    @needs_physics
    def switch_control_mode(
        self, mode: str, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Control joints by position, velocity or effort alone, by dropping the gains that would interfere.

        "position" restores stiffness and damping, "velocity" keeps the damping, "effort" has neither.

        Args:
            mode: "position", "velocity" or "effort".
            indices: Articulations; None means all.
            joint_indices: Degrees of freedom; None means all.
            joint_names: Degrees of freedom by name.
        """
        if mode not in _CONTROL_MODES:
            raise checks.ArgumentError(f"mode must be one of {', '.join(_CONTROL_MODES)}, got {mode!r}.")
        rows, dofs = self._rows(indices), self._dofs(joint_indices, joint_names)
        kps = self._default_kps if rows is None else self._default_kps[rows]
        kds = self._default_kds if rows is None else self._default_kds[rows]
        if dofs is not None:
            kps, kds = kps[:, dofs], kds[:, dofs]
        if mode != "position":
            kps = torch.zeros_like(kps)
        if mode == "effort":
            kds = torch.zeros_like(kds)
        self._write_gains(kps, kds, indices, dofs)

    @needs_physics
    def switch_dof_control_mode(self, mode: str, dof_index: int, indices: Indices = None) -> None:
        """Switch one degree of freedom; see `switch_control_mode`."""
        self.switch_control_mode(mode, indices, joint_indices=[dof_index])

    def _write_gains(
        self, kps: torch.Tensor | None, kds: torch.Tensor | None, indices: Indices, dofs: torch.Tensor | None
    ) -> None:
        if kps is not None:
            self._write(_STIFFNESS, "kps", kps, indices, dofs)
        if kds is not None:
            self._write(_DAMPING, "kds", kds, indices, dofs)

    # -- kind of drive ------------------------------------------------------------------------------------------------

    @needs_physics
    def get_drive_types(self) -> torch.Tensor:
        """Return 0 (none), 1 (force) or 2 (acceleration), (N, num_dof) uint8, always on the CPU."""
        return self._quantity("ARTICULATION_DOF_DRIVE_TYPE").read().clone()

    @needs_physics
    def get_effort_modes(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> list[list[str]]:
        """Return "force" or "acceleration" per articulation and degree of freedom; without a drive it is "force"."""
        dofs = self._dofs(joint_indices, joint_names)
        types = self._read("ARTICULATION_DOF_DRIVE_TYPE", indices, dofs, False).tolist()
        return [[_EFFORT_MODES[drive_type == 2] for drive_type in row] for row in types]

    def set_effort_modes(
        self, mode: str, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Make drives act by force or by acceleration, in every environment and before physics starts.

        Args:
            mode: "force" or "acceleration".
            indices: Must be None: clones are copies of environment 0.
            joint_indices: Must be None: PhysX has not numbered the joints yet.
            joint_names: Joints by name; None means all that have a drive.

        Raises:
            NotImplementedError: Once physics runs, or for some environments only.
        """
        if mode not in _EFFORT_MODES:
            raise checks.ArgumentError(f"mode must be one of {', '.join(_EFFORT_MODES)}, got {mode!r}.")
        if self._require_engine().is_playing():
            raise NotImplementedError("set_effort_modes: PhysX reads it once, when it starts; set it before.")
        if indices is not None or joint_indices is not None:
            raise NotImplementedError("set_effort_modes: before physics starts, only joint_names tell joints apart.")
        joints = self._joint_prims()
        if joint_names is not None:
            checks.as_name_indices("joint_names", joint_names, list(joints))
            joints = {name: joints[name] for name in joint_names}
        for joint in joints.values():
            for drive in ("angular", "linear"):
                if joint.HasAPI(UsdPhysics.DriveAPI, drive):
                    UsdPhysics.DriveAPI(joint, drive).CreateTypeAttr().Set(mode)

    # -- limits and maxima --------------------------------------------------------------------------------------------

    @needs_physics
    def get_dof_limits(self) -> torch.Tensor:
        """Return lower and upper limits in rad or m, (N, num_dof, 2), always on the CPU, as in Isaac Sim."""
        return self._quantity("ARTICULATION_DOF_LIMIT").read().clone()

    @needs_physics
    def get_max_efforts(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor:
        """Return the largest effort of each drive, (M, K) in N m or N."""
        return self._read("ARTICULATION_DOF_MAX_FORCE", indices, self._dofs(joint_indices, joint_names), clone)

    @needs_physics
    def set_max_efforts(
        self, values: torch.Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Set the largest effort of each drive, (M, K) in N m or N."""
        self._set("ARTICULATION_DOF_MAX_FORCE", values, indices, joint_indices, joint_names)

    @needs_physics
    def get_joint_max_velocities(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor:
        """Return the largest velocity of each joint, (M, K) in rad/s or m/s."""
        return self._read("ARTICULATION_DOF_MAX_VELOCITY", indices, self._dofs(joint_indices, joint_names), clone)

    @needs_physics
    def set_max_joint_velocities(
        self, values: torch.Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Set the largest velocity of each joint, (M, K) in rad/s or m/s."""
        self._set("ARTICULATION_DOF_MAX_VELOCITY", values, indices, joint_indices, joint_names)

    # -- armature and friction ----------------------------------------------------------------------------------------

    @needs_physics
    def get_armatures(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor:
        """Return the inertia that is added along each degree of freedom, (M, K) in kg m^2 or kg."""
        return self._read("ARTICULATION_DOF_ARMATURE", indices, self._dofs(joint_indices, joint_names), clone)

    @needs_physics
    def set_armatures(
        self, values: torch.Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Set the inertia that is added along each degree of freedom, (M, K) in kg m^2 or kg."""
        self._set("ARTICULATION_DOF_ARMATURE", values, indices, joint_indices, joint_names)

    @needs_physics
    def get_friction_coefficients(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor:
        """Return each joint's static friction effort, (M, K) in N m or N; see `set_friction_coefficients`."""
        return self._read(_FRICTION, indices, self._dofs(joint_indices, joint_names), clone)[..., 0]

    @needs_physics
    def set_friction_coefficients(
        self, values: torch.Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Set each joint's static and dynamic friction effort, (M, K) in N m or N.

        Standalone PhysX has no coefficient that is multiplied by the load on the joint, as Isaac Sim's classes do, but
        a friction effort. Zero, the default, means no friction in both.
        """
        dofs = self._dofs(joint_indices, joint_names)
        quantity = self._quantity(_FRICTION)
        shape = self._shape(quantity, self._rows(indices), dofs)[:-1]
        values = checks.as_values("values", values, shape, self._device, quantity.data.dtype)
        properties = self._read(_FRICTION, indices, dofs, True)
        properties[..., :2] = values[..., None]
        self._write(_FRICTION, "values", properties, indices, dofs)

    def _set(self, tensor_type: str, values: Any, indices: Indices, joint_indices: Indices, joint_names: Names) -> None:
        self._write(tensor_type, "values", values, indices, self._dofs(joint_indices, joint_names))
