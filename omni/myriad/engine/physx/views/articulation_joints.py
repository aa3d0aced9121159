# SPDX-License-Identifier: Apache-2.0
"""The joint state, target and effort methods of ArticulationView."""

from __future__ import annotations

import torch

from omni.myriad.engine.base import ArticulationActions, JointsState
from omni.myriad.engine.physx.quantity import Kind, Quantity
from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.articulation_names import NameMethods
from omni.myriad.engine.physx.views.prim import Indices, Names, needs_physics

_POSITION = "ARTICULATION_DOF_POSITION"
_VELOCITY = "ARTICULATION_DOF_VELOCITY"
_POSITION_TARGET = "ARTICULATION_DOF_POSITION_TARGET"
_VELOCITY_TARGET = "ARTICULATION_DOF_VELOCITY_TARGET"
_EFFORT = "ARTICULATION_DOF_ACTUATION_FORCE"
_INCOMING_FORCE = "ARTICULATION_LINK_INCOMING_JOINT_FORCE"

_FOLLOWED_WITH = {_POSITION_TARGET: "ARTICULATION_DOF_STIFFNESS", _VELOCITY_TARGET: "ARTICULATION_DOF_DAMPING"}
"""The gains with which drives follow targets: where all are zero, targets need not be sent."""


class JointMethods(NameMethods):
    """Joint positions, velocities, targets and efforts; angles in rad, lengths in m, efforts in N m or N.

    Shapes are (M, K): M articulations by `indices` (None: all), K degrees of freedom by `joint_indices` or
    `joint_names` (None: all, in the order of `dof_names`). Getters return None before physics runs. With `clone=False`
    a getter of everything returns the view's own buffer, which the next read overwrites.
    """

    # -- state --------------------------------------------------------------------------------------------------------

    @needs_physics
    def get_joint_positions(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor:
        """Return joint positions, (M, K) in rad or m."""
        return self._read(_POSITION, indices, self._dofs(joint_indices, joint_names), clone)

    @needs_physics
    def set_joint_positions(
        self, positions: torch.Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Put joints at positions, (M, K) in rad or m, and make those their position targets too."""
        dofs = self._dofs(joint_indices, joint_names)
        self._write(_POSITION, "positions", positions, indices, dofs)
        self._write(_POSITION_TARGET, "positions", positions, indices, dofs)

    @needs_physics
    def get_joint_velocities(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor:
        """Return joint velocities, (M, K) in rad/s or m/s."""
        return self._read(_VELOCITY, indices, self._dofs(joint_indices, joint_names), clone)

    @needs_physics
    def set_joint_velocities(
        self,
        velocities: torch.Tensor,
        indices: Indices = None,
        joint_indices: Indices = None,
        joint_names: Names = None,
    ) -> None:
        """Give joints velocities, (M, K) in rad/s or m/s, and make those their velocity targets too."""
        dofs = self._dofs(joint_indices, joint_names)
        self._write(_VELOCITY, "velocities", velocities, indices, dofs)
        self._write(_VELOCITY_TARGET, "velocities", velocities, indices, dofs)

    @needs_physics
    def get_joints_state(self) -> JointsState:
        """Return all joints' positions and velocities, (N, num_dof) each; efforts are None, as in Isaac Sim."""
        return JointsState(self.get_joint_positions(), self.get_joint_velocities(), None)

    # -- targets and efforts ------------------------------------------------------------------------------------------

    @needs_physics
    def set_joint_position_targets(
        self, positions: torch.Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Set the targets of the position drives, (M, K) in rad or m."""
        self._write(_POSITION_TARGET, "positions", positions, indices, self._dofs(joint_indices, joint_names))

    @needs_physics
    def set_joint_velocity_targets(
        self,
        velocities: torch.Tensor,
        indices: Indices = None,
        joint_indices: Indices = None,
        joint_names: Names = None,
    ) -> None:
        """Set the targets of the velocity drives, (M, K) in rad/s or m/s."""
        self._write(_VELOCITY_TARGET, "velocities", velocities, indices, self._dofs(joint_indices, joint_names))

    @needs_physics
    def set_joint_efforts(
        self, efforts: torch.Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Apply efforts, (M, K) in N m or N, at every step until they are overwritten.

        Raises:
            ArgumentError: If only some joints are named: Isaac Sim up to 5.1 zeroes the others, 6.0 keeps them, so a
                task that did this would behave differently there. Write all joints.
        """
        self._write(_EFFORT, "efforts", efforts, indices, self._all_dofs("efforts", joint_indices, joint_names))

    @needs_physics
    def apply_action(self, control_actions: ArticulationActions, indices: Indices = None) -> None:
        """Write targets and efforts at once.

        Args:
            control_actions: Position targets, velocity targets and efforts, (M, K) each; None leaves them as they are.
            indices: Articulations; None means all.

        Raises:
            ArgumentError: If efforts come for some joints only; see `set_joint_efforts`.
        """
        joints = (control_actions.joint_indices, control_actions.joint_names)
        if control_actions.joint_efforts is not None:
            self._all_dofs("control_actions.joint_efforts", *joints)
        dofs = self._dofs(*joints)
        for tensor_type, name in (
            (_POSITION_TARGET, "joint_positions"),
            (_VELOCITY_TARGET, "joint_velocities"),
            (_EFFORT, "joint_efforts"),
        ):
            values = getattr(control_actions, name)
            if values is not None:
                self._write(tensor_type, f"control_actions.{name}", values, indices, dofs)

    @needs_physics
    def get_applied_actions(self, clone: bool = True) -> ArticulationActions:
        """Return the position targets, velocity targets and efforts of all joints, (N, num_dof) each."""
        return ArticulationActions(
            joint_positions=self._read(_POSITION_TARGET, None, None, clone),
            joint_velocities=self._read(_VELOCITY_TARGET, None, None, clone),
            joint_efforts=self._read(_EFFORT, None, None, clone),
        )

    @needs_physics
    def get_applied_joint_efforts(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor:
        """Return the efforts last set, (M, K) in N m or N."""
        return self._read(_EFFORT, indices, self._dofs(joint_indices, joint_names), clone)

    # -- measured -----------------------------------------------------------------------------------------------------

    @needs_physics
    def get_measured_joint_efforts(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor:
        """Return what the solver transmitted along each degree of freedom in the last step, (M, K) in N m or N."""
        dofs = self._dofs(joint_indices, joint_names)
        return self._read("ARTICULATION_DOF_PROJECTED_JOINT_FORCE", indices, dofs, clone)

    @needs_physics
    def get_measured_joint_forces(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> torch.Tensor:
        """Return the force and torque that each link's incoming joint transmitted, (M, K, 6) in N and N m.

        Args:
            indices: Articulations; None means all.
            joint_indices: Links, counted as in `body_names`: entry 0 is the root link, the joint `joint_names[i]` leads
                to entry i + 1. None means all num_bodies.
            joint_names: Joints by name, translated to their links.
            clone: Whether to copy the view's buffer.
        """
        self._require_one_of(joint_indices, joint_names)
        if joint_names is not None:
            joint_indices = [i + 1 for i in checks.as_name_indices("joint_names", joint_names, self._joint_names)]
        links = self._index("joint_indices", joint_indices, len(self._body_names))
        return self._read(_INCOMING_FORCE, indices, links, clone)

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _quantity(self, tensor_type: str) -> Quantity:
        quantity = super()._quantity(tensor_type)
        if tensor_type in _FOLLOWED_WITH and quantity.idle is None:
            quantity.read()
            # Gains of its own to look at: those that the view writes may be on their way just then.
            from ovphysx.types import TensorType

            gains_type = TensorType[_FOLLOWED_WITH[tensor_type]]
            gains = Quantity(self._require_engine(), self._shard_paths(), gains_type, Kind.PROPERTY)
            quantity.idle = gains.is_zero
        return quantity

    def _all_dofs(self, name: str, joint_indices: Indices, joint_names: Names) -> torch.Tensor | None:
        dofs = self._dofs(joint_indices, joint_names)
        if dofs is not None and len(dofs) != len(self._dof_names):
            raise checks.ArgumentError(
                f"{name} must be given for all {len(self._dof_names)} joints, got {len(dofs)}: of the others, Isaac "
                "Sim 5.1 would zero the efforts and 6.0 would keep them."
            )
        return dofs
