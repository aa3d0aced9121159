# SPDX-License-Identifier: Apache-2.0
"""The joint state, target and effort methods of ArticulationView."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.prim import Indices, PrimView

Names = Sequence[str] | None


class JointMethods(PrimView):
    """Joint positions, velocities, targets and efforts; angles in rad, lengths in m, efforts in N m or N.

    Shapes are (M, K): M environments by `indices` (None: all), K degrees of freedom by `joint_indices` or `joint_names`
    (None: all, in the order of `dof_names`). Getters return None before physics runs. With `clone=False` a getter of
    everything returns the view's own buffer, which the next read overwrites.
    """

    @property
    def dof_names(self) -> list[str]:
        """Names of the degrees of freedom, in the order of every dof tensor."""
        return self._quantity("ARTICULATION_DOF_POSITION").bindings[0].dof_names

    @property
    def num_dof(self) -> int:
        """Number of degrees of freedom of one articulation."""
        return self._quantity("ARTICULATION_DOF_POSITION").data.shape[1]

    def _columns(self, joint_indices: Indices, joint_names: Names) -> torch.Tensor | None:
        if joint_indices is not None and joint_names is not None:
            raise checks.ArgumentError("joint_indices and joint_names cannot both be given.")
        if joint_names is not None:
            found = checks.as_name_indices("joint_names", joint_names, self.dof_names)
            return torch.tensor(found, dtype=torch.int64, device=self._device)
        if joint_indices is None:
            return None
        return checks.as_indices("joint_indices", joint_indices, self.num_dof, self._device)

    def get_joint_positions(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor | None:
        """Return joint positions, (M, K) in rad or m."""
        if not self._ready("get_joint_positions"):
            return None
        return self._read("ARTICULATION_DOF_POSITION", indices, self._columns(joint_indices, joint_names), clone)

    def set_joint_positions(
        self, positions: torch.Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Put joints at positions, (M, K) in rad or m, and make those their position targets too."""
        if not self._ready("set_joint_positions"):
            return
        columns = self._columns(joint_indices, joint_names)
        self._write("ARTICULATION_DOF_POSITION", "positions", positions, indices, columns)
        self._write("ARTICULATION_DOF_POSITION_TARGET", "positions", positions, indices, columns)

    def get_joint_velocities(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor | None:
        """Return joint velocities, (M, K) in rad/s or m/s."""
        if not self._ready("get_joint_velocities"):
            return None
        return self._read("ARTICULATION_DOF_VELOCITY", indices, self._columns(joint_indices, joint_names), clone)

    def set_joint_velocities(
        self, velocities: torch.Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Give joints velocities, (M, K) in rad/s or m/s, and make those their velocity targets too."""
        if not self._ready("set_joint_velocities"):
            return
        columns = self._columns(joint_indices, joint_names)
        self._write("ARTICULATION_DOF_VELOCITY", "velocities", velocities, indices, columns)
        self._write("ARTICULATION_DOF_VELOCITY_TARGET", "velocities", velocities, indices, columns)

    def set_joint_position_targets(
        self, positions: torch.Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Set the targets of the position drives, (M, K) in rad or m."""
        if not self._ready("set_joint_position_targets"):
            return
        columns = self._columns(joint_indices, joint_names)
        self._write("ARTICULATION_DOF_POSITION_TARGET", "positions", positions, indices, columns)

    def set_joint_velocity_targets(
        self, velocities: torch.Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Set the targets of the velocity drives, (M, K) in rad/s or m/s."""
        if not self._ready("set_joint_velocity_targets"):
            return
        columns = self._columns(joint_indices, joint_names)
        self._write("ARTICULATION_DOF_VELOCITY_TARGET", "velocities", velocities, indices, columns)

    def set_joint_efforts(
        self, efforts: torch.Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Apply efforts, (M, K) in N m or N, until they are overwritten.

        Raises:
            ArgumentError: If only some joints are named: Isaac Sim up to 5.1 zeroes the others, 6.0 keeps them, so a
                task that did this would behave differently there. Write all joints.
        """
        if not self._ready("set_joint_efforts"):
            return
        columns = self._columns(joint_indices, joint_names)
        self._require_all_joints(columns)
        self._write("ARTICULATION_DOF_ACTUATION_FORCE", "efforts", efforts, indices, columns)

    def get_applied_joint_efforts(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor | None:
        """Return the efforts last set, (M, K) in N m or N."""
        if not self._ready("get_applied_joint_efforts"):
            return None
        return self._read("ARTICULATION_DOF_ACTUATION_FORCE", indices, self._columns(joint_indices, joint_names), clone)

    def get_measured_joint_efforts(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor | None:
        """Return what the solver transmitted along each degree of freedom in the last step, (M, K) in N m or N."""
        if not self._ready("get_measured_joint_efforts"):
            return None
        return self._read(
            "ARTICULATION_DOF_PROJECTED_JOINT_FORCE", indices, self._columns(joint_indices, joint_names), clone
        )

    def get_measured_joint_forces(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor | None:
        """Return the force and torque that each link's incoming joint transmitted, (M, num_bodies, 6) in N and N m.

        Args:
            indices: Environments.
            joint_indices: Links, counted as in `body_names`: entry 0 is the root link, the joint named
                `joint_names[i]` is entry i + 1.
            joint_names: Joints by name, translated to their links.
            clone: Whether to copy the view's buffer.
        """
        if not self._ready("get_measured_joint_forces"):
            return None
        quantity = self._quantity("ARTICULATION_LINK_INCOMING_JOINT_FORCE")
        columns = None
        if joint_indices is not None and joint_names is not None:
            raise checks.ArgumentError("joint_indices and joint_names cannot both be given.")
        if joint_names is not None:
            found = checks.as_name_indices("joint_names", joint_names, quantity.bindings[0].joint_names)
            columns = torch.tensor([index + 1 for index in found], device=self._device)
        elif joint_indices is not None:
            columns = checks.as_indices("joint_indices", joint_indices, quantity.data.shape[1], self._device)
        return self._read("ARTICULATION_LINK_INCOMING_JOINT_FORCE", indices, columns, clone)

    def _require_all_joints(self, columns: torch.Tensor | None) -> None:
        if columns is not None and len(columns) != self.num_dof:
            raise checks.ArgumentError(
                f"efforts must be given for all {self.num_dof} joints, got {len(columns)}: Isaac Sim 5.1 zeroes the "
                "others and 6.0 keeps them."
            )
