# SPDX-License-Identifier: Apache-2.0
"""The equations of motion of ArticulationView: Jacobians, mass matrices, gravity and Coriolis forces."""

from __future__ import annotations

import torch

from omni.myriad.engine.physx.views.articulation_names import NameMethods
from omni.myriad.engine.physx.views.prim import Indices, Names, needs_physics

_JACOBIAN = "ARTICULATION_JACOBIAN"
_MASS_MATRIX = "ARTICULATION_MASS_MATRIX"
_NUM_ROOT_COORDINATES = 6


class DynamicsMethods(NameMethods):
    """Dynamics in generalised coordinates: on a floating base the root's six velocities come before the joints'."""

    @needs_physics
    def get_jacobian_shape(self) -> tuple[int, int, int]:
        """Return (links, 6, coordinates) of one Jacobian; a fixed base has no row and no columns of its own."""
        rows, columns = self._quantity(_JACOBIAN).data.shape[1:]
        return rows // 6, 6, columns

    @needs_physics
    def get_jacobians(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return the maps from generalised velocities to links' velocities, (M, links, 6, coordinates).

        Six rows a link: linear velocity of its centre of mass, then angular velocity, in the world frame. With a fixed
        base the root link is left out, and num_dof columns remain of 6 + num_dof.
        """
        return self._read(_JACOBIAN, indices, None, clone).unflatten(1, (-1, 6))

    @needs_physics
    def get_mass_matrix_shape(self) -> tuple[int, int]:
        """Return the shape of one mass matrix, num_dof or, on a floating base, 6 + num_dof squared."""
        rows, columns = self._quantity(_MASS_MATRIX).data.shape[1:]
        return rows, columns

    @needs_physics
    def get_mass_matrices(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return generalised mass matrices in kg, kg m and kg m^2, without armatures, (M, *get_mass_matrix_shape())."""
        return self._read(_MASS_MATRIX, indices, None, clone)

    @needs_physics
    def get_coriolis_and_centrifugal_forces(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor:
        """Return the joint efforts that balance Coriolis and centrifugal forces, (M, K) in N m or N.

        On a floating base these are the joints' entries. Isaac Sim's class returns the first num_dof entries there, of
        which six belong to the root: read its tensors directly if a task has to run on both.
        """
        return self._joint_part(
            "ARTICULATION_CORIOLIS_AND_CENTRIFUGAL_FORCE", indices, joint_indices, joint_names, clone
        )

    @needs_physics
    def get_generalized_gravity_forces(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor:
        """Return the joint efforts that balance gravity, (M, K) in N m or N.

        On a floating base these are the joints' entries. Isaac Sim's class returns the first num_dof entries there, of
        which six belong to the root: read its tensors directly if a task has to run on both.
        """
        return self._joint_part("ARTICULATION_GRAVITY_FORCE", indices, joint_indices, joint_names, clone)

    def _joint_part(
        self, tensor_type: str, indices: Indices, joint_indices: Indices, joint_names: Names, clone: bool
    ) -> torch.Tensor:
        root = 0 if self._metadata().is_fixed_base else _NUM_ROOT_COORDINATES
        dofs = self._dofs(joint_indices, joint_names)
        if dofs is not None:
            return self._read(tensor_type, indices, dofs + root, clone)
        return self._read(tensor_type, indices, None, clone)[:, root:]
