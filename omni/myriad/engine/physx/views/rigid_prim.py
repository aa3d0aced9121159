# SPDX-License-Identifier: Apache-2.0
"""RigidPrimView: all rigid bodies of a kind, including the links of robots."""

from __future__ import annotations

from typing import Any

import torch
from pxr import UsdPhysics

from omni.myriad.engine.base import ENV_0_PATH, DynamicsViewState
from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.default_poses import DefaultPoseMethods
from omni.myriad.engine.physx.views.prim import Indices, needs_physics
from omni.myriad.engine.physx.views.rigid_prim_contacts import ContactMethods
from omni.myriad.engine.physx.views.rigid_prim_forces import ForceMethods
from omni.myriad.engine.physx.views.unsupported import RenderingMethods

_DISABLE_GRAVITY = "RIGID_BODY_DISABLE_GRAVITY"
_DISABLE_SIMULATION = "RIGID_BODY_DISABLE_SIMULATION"
_SLEEP_THRESHOLD_FALLBACK = 5e-5
"""What PhysX assumes where physxRigidBody:sleepThreshold is not authored, in m^2/s^2; from PhysxSchema."""


class RigidPrimView(DefaultPoseMethods, ForceMethods, ContactMethods, RenderingMethods):
    """The rigid bodies that an expression names, any number in every environment: all of one, then all of the next.

    Links of articulations can be read, pushed and reweighed; where they are is up to their joints, the root link apart.

    Args:
        prim_paths_expr: Expression of the bodies, such as "/World/envs/.*/Ant/.*_foot"; or several.
        name: Name under which the scene registers the view.
        positions: Default world positions in m, (N, 3), taken when physics starts.
        translations: Default positions in m in the parent's frame, (N, 3), instead of `positions`.
        orientations: Default orientations as wxyz, (N, 4), in the same frame.
        scales: Not available here: PhysX reads sizes from environment 0.
        visibilities: Not available here: nothing is rendered.
        reset_xform_properties: Accepted for Isaac Sim's sake and unused: transforms are PhysX's.
        masses: Masses in kg, (N,), taken when physics starts.
        densities: Densities in kg/m^3, (N,), the same in every environment.
        linear_velocities: Default linear velocities in m/s, (N, 3).
        angular_velocities: Default angular velocities in rad/s, (N, 3).
        track_contact_forces: Whether contact forces can be read; filters imply it.
        prepare_contact_sensors: Whether to author what contact reports need on environment 0. As in Isaac Sim, this
            also keeps the bodies from sleeping, with or without contact tracking.
        disable_stablization: Whether contact tracking turns the scene's stabilisation off, which would falsify forces.
        contact_filter_prim_paths_expr: Expressions of what contacts are told apart by; a list per sensor expression.
        max_contact_count: Most contact points that detailed data can hold.
    """

    _POSE = "RIGID_BODY_POSE"
    _VELOCITY = "RIGID_BODY_VELOCITY"

    def __init__(
        self,
        prim_paths_expr: str | list[str],
        name: str = "rigid_prim_view",
        positions: torch.Tensor | None = None,
        translations: torch.Tensor | None = None,
        orientations: torch.Tensor | None = None,
        scales: Any = None,
        visibilities: Any = None,
        reset_xform_properties: bool = True,
        masses: torch.Tensor | None = None,
        densities: torch.Tensor | None = None,
        linear_velocities: torch.Tensor | None = None,
        angular_velocities: torch.Tensor | None = None,
        track_contact_forces: bool = False,
        prepare_contact_sensors: bool = True,
        disable_stablization: bool = True,
        contact_filter_prim_paths_expr: list[str] | list[list[str]] | None = None,
        max_contact_count: int = 0,
    ) -> None:
        super().__init__(prim_paths_expr, name)
        self._set_initial_poses(positions, translations, orientations)
        self._refuse_rendering(scales, visibilities)
        self._initial_masses = masses
        self._initial_densities = densities
        self._default_velocities = DynamicsViewState(None, None, linear_velocities, angular_velocities)
        self._non_root_link = False
        self._set_contact_options(
            track_contact_forces,
            prepare_contact_sensors,
            disable_stablization,
            contact_filter_prim_paths_expr or [],
            max_contact_count,
        )

    def bind(self, engine: Any) -> None:
        """Connect the view to the engine whose scene it was added to, and author what physics reads when it starts."""
        super().bind(engine)
        self._prepare_contact_sensors()
        if self._initial_densities is not None:
            self.set_densities(self._initial_densities)

    def _resolve(self, relative_paths: list[str]) -> list[str]:
        stage = self._require_engine().stage
        for path in relative_paths:
            prim = stage.GetPrimAtPath(f"{ENV_0_PATH}/{path}")
            if not prim.HasAPI(UsdPhysics.RigidBodyAPI):
                raise checks.ArgumentError(f"{self.name}: {prim.GetPath()} is no rigid body: no PhysicsRigidBodyAPI.")
        return relative_paths

    def _on_physics_ready(self) -> None:
        shard = self._require_engine().shards[0]
        self._non_root_link = any(shard.is_non_root_link(path) for path in self._shard_paths()[0])
        super()._on_physics_ready()
        if self._initial_masses is not None:
            self.set_masses(self._initial_masses)
        default = self._default_velocities
        if default.linear_velocities is not None or default.angular_velocities is not None:
            zeros = torch.zeros(self.count, 3, device=self._device)
            linear = zeros if default.linear_velocities is None else default.linear_velocities
            angular = zeros if default.angular_velocities is None else default.angular_velocities
            self.set_velocities(torch.cat((linear, angular), -1))
        velocities = self.get_velocities()
        default.linear_velocities, default.angular_velocities = velocities[:, :3], velocities[:, 3:]

    def _require_movable(self, what: str) -> None:
        if self._non_root_link:
            raise NotImplementedError(
                f"{self.name}: {what} of an articulation's links follow from its joints: use an ArticulationView."
            )

    @property
    def is_non_root_articulation_link(self) -> bool:
        """Whether some of the bodies are links that only joints can move."""
        return self._non_root_link

    @property
    @needs_physics
    def num_shapes(self) -> int:
        """Largest number of collision shapes of one body."""
        return self._quantity("RIGID_BODY_CONTACT_OFFSET").data.shape[1]

    # -- state --------------------------------------------------------------------------------------------------------

    @needs_physics
    def get_current_dynamic_state(self) -> DynamicsViewState:
        """Return all bodies' poses and velocities in the world frame."""
        positions, orientations = self.get_world_poses()
        velocities = self.get_velocities()
        return DynamicsViewState(positions, orientations, velocities[:, :3], velocities[:, 3:])

    def get_default_state(self) -> DynamicsViewState:
        """Return the default poses and velocities in the world frame."""
        poses, velocities = self._default_poses, self._default_velocities
        return DynamicsViewState(
            poses.positions, poses.orientations, velocities.linear_velocities, velocities.angular_velocities
        )

    def set_default_state(
        self,
        positions: torch.Tensor | None = None,
        orientations: torch.Tensor | None = None,
        linear_velocities: torch.Tensor | None = None,
        angular_velocities: torch.Tensor | None = None,
        indices: Indices = None,
    ) -> None:
        """Set the state that `post_reset` writes; what is None stays as it is.

        Args:
            positions: World positions in m, (M, 3).
            orientations: Orientations as wxyz, (M, 4).
            linear_velocities: World velocities in m/s, (M, 3).
            angular_velocities: World velocities in rad/s, (M, 3).
            indices: Bodies; None means all.
        """
        self._set_default(self._default_poses, {"positions": positions, "orientations": orientations}, indices)
        velocities = {"linear_velocities": linear_velocities, "angular_velocities": angular_velocities}
        self._set_default(self._default_velocities, velocities, indices)

    @needs_physics
    def post_reset(self) -> None:
        """Write the default poses and velocities; links of articulations are left to their ArticulationView."""
        if self._non_root_link:
            return
        default = self.get_default_state()
        assert default.linear_velocities is not None and default.angular_velocities is not None
        self.set_world_poses(default.positions, default.orientations)
        self.set_velocities(torch.cat((default.linear_velocities, default.angular_velocities), -1))

    # -- switches -----------------------------------------------------------------------------------------------------

    @needs_physics
    def enable_rigid_body_physics(self, indices: Indices = None) -> None:
        """Let bodies move again, awake."""
        self._require_movable("simulation switches")
        self._switch(_DISABLE_SIMULATION, 0, indices)
        # An enabled body comes back asleep; writing its velocity wakes it.
        self.set_velocities(self.get_velocities(indices), indices)

    @needs_physics
    def disable_rigid_body_physics(self, indices: Indices = None) -> None:
        """Take bodies out of the simulation: they stay where they are and touch nothing."""
        self._require_movable("simulation switches")
        self._switch(_DISABLE_SIMULATION, 1, indices)

    @needs_physics
    def enable_gravities(self, indices: Indices = None) -> None:
        """Let bodies feel gravity."""
        self._switch(_DISABLE_GRAVITY, 0, indices)

    @needs_physics
    def disable_gravities(self, indices: Indices = None) -> None:
        """Free bodies from gravity."""
        self._switch(_DISABLE_GRAVITY, 1, indices)

    def _switch(self, tensor_type: str, value: int, indices: Indices) -> None:
        rows = self._rows(indices)
        num_rows = self.count if rows is None else len(rows)
        values = torch.full((num_rows,), value, dtype=torch.uint8, device=self._device)
        self._write(tensor_type, "values", values, indices)

    # -- settings that PhysX reads once -------------------------------------------------------------------------------

    def set_densities(self, densities: torch.Tensor, indices: Indices = None) -> None:
        """Set densities, (N,) in kg/m^3, before physics starts; used where no mass is given."""
        self._set_usd("PhysicsMassAPI", "physics:density", "densities", densities, torch.float32, indices)

    def get_densities(self, indices: Indices = None) -> torch.Tensor:
        """Return the densities of the USD file, (M,) in kg/m^3; 0 where PhysX takes 1000."""
        return self._get_usd("physics:density", 0.0, torch.float32, indices)

    def set_sleep_thresholds(self, thresholds: torch.Tensor, indices: Indices = None) -> None:
        """Set the mass-normalised energy below which a body may go to sleep, (N,) in m^2/s^2, before physics starts."""
        attribute = "physxRigidBody:sleepThreshold"
        self._set_usd("PhysxRigidBodyAPI", attribute, "thresholds", thresholds, torch.float32, indices)

    def get_sleep_thresholds(self, indices: Indices = None) -> torch.Tensor:
        """Return the mass-normalised energy below which a body may go to sleep, (M,) in m^2/s^2."""
        return self._get_usd("physxRigidBody:sleepThreshold", _SLEEP_THRESHOLD_FALLBACK, torch.float32, indices)
