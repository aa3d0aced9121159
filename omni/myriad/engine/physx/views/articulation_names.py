# SPDX-License-Identifier: Apache-2.0
"""Names, counts and types of an articulation's bodies, joints and degrees of freedom."""

from __future__ import annotations

from typing import Any

import torch
from pxr import Usd, UsdPhysics

from omni.myriad.engine.base import ENV_0_PATH, DofType
from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.prim import Indices, Names, PrimView, needs_physics

_METADATA = "ARTICULATION_DOF_POSITION"


class NameMethods(PrimView):
    """What PhysX calls the parts of the articulation, and in which order its tensors hold them.

    The order is PhysX's and not the USD file's: look indices up by name. All properties are None before physics runs.
    """

    def __init__(self, prim_paths_expr: str | list[str], name: str) -> None:
        super().__init__(prim_paths_expr, name)
        self._body_names: list[str] = []
        self._joint_names: list[str] = []
        self._dof_names: list[str] = []
        # Tasks written for OmniIsaacGymEnvs read these two under just these names.
        self._body_indices: dict[str, int] = {}
        self._dof_indices: dict[str, int] = {}

    def _on_physics_ready(self) -> None:
        super()._on_physics_ready()
        binding = self._metadata()
        self._body_names, self._joint_names = binding.body_names, binding.joint_names
        self._dof_names = binding.dof_names
        self._body_indices = {name: index for index, name in enumerate(self._body_names)}
        self._dof_indices = {name: index for index, name in enumerate(self._dof_names)}

    def _metadata(self) -> Any:
        return self._quantity(_METADATA).bindings[0]

    # -- counts and names ---------------------------------------------------------------------------------------------

    @property
    @needs_physics
    def num_dof(self) -> int:
        """Number of degrees of freedom of one articulation."""
        return len(self._dof_names)

    @property
    @needs_physics
    def num_bodies(self) -> int:
        """Number of links of one articulation."""
        return len(self._body_names)

    @property
    @needs_physics
    def num_joints(self) -> int:
        """Number of joints of one articulation, fixed ones included, the one that fixes a base to the world not."""
        return len(self._joint_names)

    @property
    @needs_physics
    def num_shapes(self) -> int:
        """Number of collision shapes of one articulation."""
        return self._quantity("ARTICULATION_CONTACT_OFFSET").data.shape[1]

    @property
    @needs_physics
    def num_fixed_tendons(self) -> int:
        """Number of fixed tendons of one articulation."""
        return self._metadata().fixed_tendon_count

    @property
    @needs_physics
    def body_names(self) -> list[str]:
        """Names of the links, in the order of every body tensor."""
        return list(self._body_names)

    @property
    @needs_physics
    def dof_names(self) -> list[str]:
        """Names of the degrees of freedom, in the order of every dof tensor; a ball joint has "joint:0" and so on."""
        return list(self._dof_names)

    @property
    @needs_physics
    def joint_names(self) -> list[str]:
        """Names of the joints; joint i leads to the link `body_names[i + 1]`."""
        return list(self._joint_names)

    @property
    @needs_physics
    def body_indices(self) -> dict[str, int]:
        """Index of each link by name."""
        return self._body_indices

    @property
    @needs_physics
    def dof_indices(self) -> dict[str, int]:
        """Index of each degree of freedom by name."""
        return self._dof_indices

    @needs_physics
    def get_body_index(self, body_name: str) -> int:
        """Return the index of a link."""
        return checks.as_name_indices("body_name", [body_name], self._body_names)[0]

    @needs_physics
    def get_link_index(self, link_name: str) -> int:
        """Return the index of a link; the same as `get_body_index`."""
        return checks.as_name_indices("link_name", [link_name], self._body_names)[0]

    @needs_physics
    def get_dof_index(self, dof_name: str) -> int:
        """Return the index of a degree of freedom."""
        return checks.as_name_indices("dof_name", [dof_name], self._dof_names)[0]

    @needs_physics
    def get_joint_index(self, joint_name: str) -> int:
        """Return the index of a joint."""
        return checks.as_name_indices("joint_name", [joint_name], self._joint_names)[0]

    @needs_physics
    def get_articulation_body_count(self) -> int:
        """Return the number of links of one articulation."""
        return len(self._body_names)

    @needs_physics
    def get_dof_types(self, dof_names: Names = None) -> list[DofType]:
        """Return whether each degree of freedom turns or slides.

        Args:
            dof_names: Degrees of freedom; None means all.

        Raises:
            NotImplementedError: For a joint that may do either; PhysX does not tell.
        """
        names = self._dof_names
        if dof_names is not None:
            names = [names[i] for i in checks.as_name_indices("dof_names", dof_names, names)]
        joints = self._joint_prims()
        return [_dof_type(joints[name.split(":")[0]]) for name in names]

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _joint_prims(self) -> dict[str, Usd.Prim]:
        """Return the joints of environment 0 that lie in the view's robot, by name."""
        robot = self._find_prims()[0].split("/")[0]
        prims = Usd.PrimRange(self._require_engine().stage.GetPrimAtPath(f"{ENV_0_PATH}/{robot}"))
        return {prim.GetName(): prim for prim in prims if prim.IsA(UsdPhysics.Joint)}

    def _require_one_of(self, joint_indices: Indices, joint_names: Names) -> None:
        if joint_indices is not None and joint_names is not None:
            raise checks.ArgumentError("joint_indices and joint_names cannot both be given.")

    def _dofs(self, joint_indices: Indices, joint_names: Names) -> torch.Tensor | None:
        """Return degrees of freedom as indices; None means all."""
        if joint_indices is None and joint_names is None:
            return None
        self._require_one_of(joint_indices, joint_names)
        if joint_names is not None:
            joint_indices = checks.as_name_indices("joint_names", joint_names, self._dof_names)
        return self._index("joint_indices", joint_indices, len(self._dof_names))


def _dof_type(joint: Usd.Prim) -> DofType:
    if joint.IsA(UsdPhysics.RevoluteJoint) or joint.IsA(UsdPhysics.SphericalJoint):
        return DofType.Rotation
    if joint.IsA(UsdPhysics.PrismaticJoint):
        return DofType.Translation
    raise NotImplementedError(
        f"get_dof_types: {joint.GetPath()} is a {joint.GetTypeName()}, which may turn or slide; PhysX does not tell."
    )
