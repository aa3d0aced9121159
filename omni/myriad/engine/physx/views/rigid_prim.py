# SPDX-License-Identifier: Apache-2.0
"""RigidPrimView: all rigid bodies of a kind, including the links of robots."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import torch
from pxr import UsdPhysics
from torch import Tensor

from omni.myriad.engine import checks, paths
from omni.myriad.engine.base import ENV_0_PATH, ENVS_PATH
from omni.myriad.engine.physx.contacts import ContactSensors
from omni.myriad.engine.physx.views.prim import PrimView, needs_physics
from omni.myriad.engine.physx.views.settings import Setting
from omni.myriad.engine.usd import PHYSICS_SCENE_PATH
from omni.myriad.engine.view import DynamicsViewState, Indices, Poses, RigidView
from omni.myriad.errors import MyriadError
from omni.myriad.maths import quat_rotate

logger = logging.getLogger(__name__)

_DISABLE_GRAVITY = "RIGID_BODY_DISABLE_GRAVITY"
_DISABLE_SIMULATION = "RIGID_BODY_DISABLE_SIMULATION"

_DENSITY = Setting("PhysicsMassAPI", "physics:density", torch.float32, 0.0)
_SLEEP_THRESHOLD = Setting("PhysxRigidBodyAPI", "physxRigidBody:sleepThreshold", torch.float32, 5e-5)
_CONTACT_REPORT = Setting("PhysxContactReportAPI", "physxContactReport:threshold", torch.float32)
_STABILIZATION = Setting("PhysxSceneAPI", "physxScene:enableStabilization", torch.uint8)

_ContactData = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
_FrictionData = tuple[Tensor, Tensor, Tensor, Tensor]


@needs_physics
class RigidPrimView(PrimView, RigidView):
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
        positions: Tensor | None = None,
        translations: Tensor | None = None,
        orientations: Tensor | None = None,
        scales: Any = None,
        visibilities: Any = None,
        reset_xform_properties: bool = True,
        masses: Tensor | None = None,
        densities: Tensor | None = None,
        linear_velocities: Tensor | None = None,
        angular_velocities: Tensor | None = None,
        track_contact_forces: bool = False,
        prepare_contact_sensors: bool = True,
        disable_stablization: bool = True,
        contact_filter_prim_paths_expr: list[str] | list[list[str]] | None = None,
        max_contact_count: int = 0,
    ) -> None:
        super().__init__(prim_paths_expr, name, positions, translations, orientations, scales, visibilities)
        self._initial_masses = masses
        self._initial_densities = densities
        self._default_state = DynamicsViewState(None, None, linear_velocities, angular_velocities)
        self._non_root_link = False
        self._track_contacts = track_contact_forces or bool(contact_filter_prim_paths_expr)
        self._prepare_contacts = prepare_contact_sensors
        self._disable_stabilization = disable_stablization
        self._filters = _filter_lists(contact_filter_prim_paths_expr or [], len(self._expressions))
        self._max_contact_count = max_contact_count
        self._sensors: ContactSensors | None = None

    def bind(self, engine: Any) -> None:
        """Connect the view to the engine, and author on environment 0 what physics reads when it starts."""
        super().bind(engine)
        if not engine.is_playing():
            self._author_contact_reports()
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
        # PhysX reports to sensors that exist before the step, so they cannot wait for the first reading.
        self._sensors = self._make_sensors() if self._track_contacts else None
        super()._on_physics_ready()
        if self._initial_masses is not None:
            self.set_masses(self._initial_masses)
        default = self._default_state
        linear, angular = default.linear_velocities, default.angular_velocities
        if linear is not None or angular is not None:
            zeros = torch.zeros(self.count, 3, device=self._device)
            given = (zeros if linear is None else linear, zeros if angular is None else angular)
            self.set_velocities(torch.cat(given, -1))
        now = self.get_current_dynamic_state()
        self._fill_defaults(default, positions=now.positions, orientations=now.orientations)
        default.linear_velocities, default.angular_velocities = now.linear_velocities, now.angular_velocities

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
    def num_shapes(self) -> int:
        """Largest number of collision shapes of one body."""
        return self._quantity("RIGID_BODY_CONTACT_OFFSET").data.shape[1]

    # -- state --------------------------------------------------------------------------------------------------------

    def get_current_dynamic_state(self) -> DynamicsViewState:
        """Return all bodies' poses and velocities in the world frame."""
        velocities = self.get_velocities()
        return DynamicsViewState(*self.get_world_poses(), velocities[:, :3], velocities[:, 3:])

    def get_default_state(self) -> DynamicsViewState:
        """Return the default poses and velocities in the world frame."""
        return dataclasses.replace(self._default_state)

    def set_default_state(
        self,
        positions: Tensor | None = None,
        orientations: Tensor | None = None,
        linear_velocities: Tensor | None = None,
        angular_velocities: Tensor | None = None,
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
        poses = {"positions": positions, "orientations": orientations}
        velocities = {"linear_velocities": linear_velocities, "angular_velocities": angular_velocities}
        self._set_defaults(self._default_state, indices, **poses, **velocities)

    def post_reset(self) -> None:
        """Write the default poses and velocities; links of articulations are left to their ArticulationView."""
        if self._non_root_link:
            return
        default = self._default_state
        assert default.linear_velocities is not None and default.angular_velocities is not None
        self.set_world_poses(default.positions, default.orientations)
        self.set_velocities(torch.cat((default.linear_velocities, default.angular_velocities), -1))

    # -- forces, which act during the next physics step and then end --------------------------------------------------

    def apply_forces(self, forces: Tensor, indices: Indices = None, is_global: bool = True) -> None:
        """Push bodies at their centres of mass.

        Args:
            forces: Forces in N, (M, 3).
            indices: Bodies; None means all.
            is_global: Whether forces are in the world frame, or else in the bodies' frames.
        """
        self.apply_forces_and_torques_at_pos(forces, indices=indices, is_global=is_global)

    def apply_forces_and_torques_at_pos(
        self,
        forces: Tensor | None = None,
        torques: Tensor | None = None,
        positions: Tensor | None = None,
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
        shape = (self._num_rows(self._rows(indices)), 3)

        def in_world(name: str, values: Tensor | None) -> Tensor | None:
            if values is None:
                return None
            values = self._floats(name, values, shape)
            return values if is_global else quat_rotate(self.get_world_poses(indices, clone=False)[1], values)

        forces, torques = in_world("forces", forces), in_world("torques", torques)
        # Poses are read where they are needed alone: a captured step cannot read any between a reset and physics.
        points = in_world("positions", positions)
        if points is None:
            origins, orientations = self.get_world_poses(indices, clone=False)
            points = origins + quat_rotate(orientations, self.get_coms(indices, clone=False)[0][:, 0])
        elif not is_global:
            points = self.get_world_poses(indices, clone=False)[0] + points
        zeros = torch.zeros_like(points)
        wrench = (zeros if forces is None else forces, zeros if torques is None else torques, points)
        self._write("RIGID_BODY_WRENCH", "wrench", torch.cat(wrench, -1), indices)

    # -- masses -------------------------------------------------------------------------------------------------------

    def get_masses(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return masses, (M,) in kg."""
        return self._read("RIGID_BODY_MASS", indices, None, clone)

    def set_masses(self, masses: Tensor, indices: Indices = None) -> None:
        """Set masses, (M,) in kg; inertias stay as they are."""
        self._write("RIGID_BODY_MASS", "masses", masses, indices)

    def get_inv_masses(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return inverse masses, (M,) in 1/kg."""
        return self._read("RIGID_BODY_INV_MASS", indices, None, clone)

    def get_inertias(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return inertia tensors about the centre of mass in the body's frame, (M, 9) in kg m^2.

        The nine numbers are a symmetric matrix, so that Isaac Sim's column-major order is PhysX's row-major order.
        """
        return self._read("RIGID_BODY_INERTIA", indices, None, clone)

    def set_inertias(self, values: Tensor, indices: Indices = None) -> None:
        """Set inertia tensors about the centre of mass in the body's frame, symmetric, (M, 9) in kg m^2."""
        self._write("RIGID_BODY_INERTIA", "values", values, indices)

    def get_inv_inertias(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return inverse inertia tensors, (M, 9) in 1/(kg m^2)."""
        return self._read("RIGID_BODY_INV_INERTIA", indices, None, clone)

    def get_coms(self, indices: Indices = None, clone: bool = True) -> Poses:
        """Return centres of mass (M, 1, 3) in m and the principal axes' orientations (M, 1, 4) as wxyz, in the body."""
        positions, orientations = self._read_poses("RIGID_BODY_COM_POSE", indices, None, clone)
        return positions[:, None], orientations[:, None]

    def set_coms(
        self, positions: Tensor | None = None, orientations: Tensor | None = None, indices: Indices = None
    ) -> None:
        """Set centres of mass (M, 1, 3) in m and the principal axes' orientations (M, 1, 4) as wxyz, in the body.

        Args:
            positions: None leaves them as they are.
            orientations: None leaves them as they are.
            indices: Bodies; None means all.
        """
        num_rows = self._num_rows(self._rows(indices))
        if positions is not None:
            positions = self._floats("positions", positions, (num_rows, 1, 3))[:, 0]
        if orientations is not None:
            orientations = self._floats("orientations", orientations, (num_rows, 1, 4))[:, 0]
        self._write_poses("RIGID_BODY_COM_POSE", positions, orientations, indices)

    # -- switches -----------------------------------------------------------------------------------------------------

    def enable_rigid_body_physics(self, indices: Indices = None) -> None:
        """Let bodies move again, awake."""
        self._require_movable("simulation switches")
        self._switch(_DISABLE_SIMULATION, 0, indices)
        # An enabled body comes back asleep; writing its velocity wakes it.
        self.set_velocities(self.get_velocities(indices), indices)

    def disable_rigid_body_physics(self, indices: Indices = None) -> None:
        """Take bodies out of the simulation: they stay where they are and touch nothing."""
        self._require_movable("simulation switches")
        self._switch(_DISABLE_SIMULATION, 1, indices)

    def enable_gravities(self, indices: Indices = None) -> None:
        """Let bodies feel gravity."""
        self._switch(_DISABLE_GRAVITY, 0, indices)

    def disable_gravities(self, indices: Indices = None) -> None:
        """Free bodies from gravity."""
        self._switch(_DISABLE_GRAVITY, 1, indices)

    def _switch(self, tensor_type: str, value: int, indices: Indices) -> None:
        shape = (self._num_rows(self._rows(indices)),)
        self._write(tensor_type, "values", torch.full(shape, value, dtype=torch.uint8, device=self._device), indices)

    # -- settings that PhysX reads once -------------------------------------------------------------------------------

    def set_densities(self, densities: Tensor, indices: Indices = None) -> None:
        """Set densities, (N,) in kg/m^3, before physics starts; used where no mass is given."""
        self._set_setting(_DENSITY, "densities", densities, indices)

    def get_densities(self, indices: Indices = None) -> Tensor:
        """Return the densities of the USD file, (M,) in kg/m^3; 0 where PhysX takes 1000."""
        return self._get_setting(_DENSITY, indices)

    def set_sleep_thresholds(self, thresholds: Tensor, indices: Indices = None) -> None:
        """Set the mass-normalised energy below which a body may go to sleep, (N,) in m^2/s^2, before physics starts."""
        self._set_setting(_SLEEP_THRESHOLD, "thresholds", thresholds, indices)

    def get_sleep_thresholds(self, indices: Indices = None) -> Tensor:
        """Return the mass-normalised energy below which a body may go to sleep, (M,) in m^2/s^2."""
        return self._get_setting(_SLEEP_THRESHOLD, indices)

    # -- contacts in the last physics step, in the world frame --------------------------------------------------------
    #
    # As in Isaac Sim, `dt` turns the step's impulses into forces: pass the physics step in seconds for newtons; the
    # default of 1.0 returns newton seconds. `clone` is accepted for Isaac Sim's sake: results are always copies.

    def get_net_contact_forces(self, indices: Indices = None, clone: bool = True, dt: float = 1.0) -> Tensor:
        """Return the sum of the normal forces that act on each body, (M, 3).

        Args:
            indices: Bodies; None means all.
            clone: Accepted for Isaac Sim's sake: the result is always a copy.
            dt: Physics step in seconds for a result in N; 1.0 for impulses in N s.
        """
        sensors = self._contacts("get_net_contact_forces", filtered=False)
        return sensors if sensors is None else self._pick(sensors.net_forces(dt), indices)

    def get_contact_force_matrix(self, indices: Indices = None, clone: bool = True, dt: float = 1.0) -> Tensor:
        """Return the normal forces that each filter prim exerts on each body, (M, num_filters, 3).

        Args:
            indices: Bodies; None means all.
            clone: Accepted for Isaac Sim's sake: the result is always a copy.
            dt: Physics step in seconds for a result in N; 1.0 for impulses in N s.
        """
        sensors = self._contacts("get_contact_force_matrix")
        return sensors if sensors is None else self._pick(sensors.force_matrix(dt), indices)

    def get_contact_force_data(self, indices: Indices = None, clone: bool = True, dt: float = 1.0) -> _ContactData:
        """Return single contacts: of pair (i, j), those from start_indices[i, j] on, counts[i, j] of them.

        Args:
            indices: Bodies of the last two results; None means all.
            clone: Accepted for Isaac Sim's sake: the result is always a copy.
            dt: Physics step in seconds for forces in N; 1.0 for impulses in N s.

        Returns:
            Normal forces (max_contact_count, 1), points (max_contact_count, 3) in m, normals (max_contact_count, 3),
            distances (max_contact_count, 1) in m, counts (M, num_filters), start indices (M, num_filters).
        """
        sensors = self._contacts("get_contact_force_data", detailed=True)
        if sensors is None:
            return sensors
        forces, points, normals, distances, counts, starts = sensors.contact_data(dt)
        return forces, points, normals, distances, self._pick(counts, indices), self._pick(starts, indices)

    def get_friction_data(self, indices: Indices = None, clone: bool = True, dt: float = 1.0) -> _FrictionData:
        """Return single friction anchors: of pair (i, j), those from start_indices[i, j] on, counts[i, j] of them.

        Args:
            indices: Bodies of the last two results; None means all.
            clone: Accepted for Isaac Sim's sake: the result is always a copy.
            dt: Physics step in seconds for forces in N; 1.0 for impulses in N s.

        Returns:
            Tangential forces (max_contact_count, 3), points (max_contact_count, 3) in m, counts (M, num_filters), start
            indices (M, num_filters).
        """
        sensors = self._contacts("get_friction_data", detailed=True)
        if sensors is None:
            return sensors
        forces, points, counts, starts = sensors.friction_data(dt)
        return forces, points, self._pick(counts, indices), self._pick(starts, indices)

    def _contacts(self, method: str, filtered: bool = True, detailed: bool = False) -> ContactSensors:
        """Return the sensors, or None with a warning, which the type leaves out, if the view was made without."""
        if self._sensors is None or (filtered and self._sensors.num_filters == 0):
            option = "contact_filter_prim_paths_expr" if filtered else "track_contact_forces=True"
            logger.warning("%s.%s: construct the view with %s", self.name, method, option)
            return None  # type: ignore[return-value]
        if detailed and self._max_contact_count < 1:
            raise checks.ArgumentError(
                f"{method}: construct the view with max_contact_count > 0, got {self._max_contact_count}."
            )
        return self._sensors

    def _author_contact_reports(self) -> None:
        """Ask for contact reports on environment 0: PhysX looks for them when it starts."""
        if self._prepare_contacts:
            for prim in self._env_0_prims():
                _SLEEP_THRESHOLD.author(prim, 0.0)
                if self._track_contacts:
                    _CONTACT_REPORT.author(prim, 0.0)
        if self._track_contacts and self._disable_stabilization:
            _STABILIZATION.author(self._require_engine().stage.GetPrimAtPath(PHYSICS_SCENE_PATH), False)

    def _make_sensors(self) -> ContactSensors:
        engine = self._require_engine()
        for prim in self._env_0_prims():
            if not _CONTACT_REPORT.is_applied(prim):
                raise MyriadError(
                    f"{self.name}: {prim.GetPath()} has no {_CONTACT_REPORT.schema}, which PhysX reads when it starts: "
                    "add the view to the scene before that, with prepare_contact_sensors=True."
                )
        filters: dict[str, list[str]] = {}
        for expression, filter_expressions in zip(self._expressions, self._filters, strict=True):
            found = [
                path for filter_expression in filter_expressions for path in self._expand_filter(filter_expression)
            ]
            for sensor in self._resolve(paths.expand(expression, engine.stage, engine.num_envs)):
                filters.setdefault(sensor, found)
        counts = {len(found) for found in filters.values()}
        if len(counts) > 1:
            raise checks.ArgumentError(
                f"contact_filter_prim_paths_expr must name as many prims for each sensor, got {sorted(counts)}."
            )
        filter_paths = [
            [
                path if path.startswith("/") else paths.in_environment(path, env_id)
                for env_id in shard.env_ids
                for sensor in self._relative_paths
                for path in filters[sensor]
            ]
            for shard in engine.shards
        ]
        return engine.contact_sensors(self._shard_paths(), filter_paths, self._max_contact_count)

    def _expand_filter(self, expression: str) -> list[str]:
        """Return the prims that a filter names: relative to an environment, or one for all with its whole path."""
        engine = self._require_engine()
        if expression.startswith(f"{ENVS_PATH}/"):
            return paths.expand(expression, engine.stage, engine.num_envs)
        colliders = (prim for prim in engine.stage.Traverse() if prim.HasAPI(UsdPhysics.CollisionAPI))
        if any(str(prim.GetPath()) == expression for prim in colliders):
            return [expression]
        raise checks.ArgumentError(
            f"contact_filter_prim_paths_expr: {expression!r} is neither below {ENVS_PATH} nor a collider."
        )


def _filter_lists(filters: Sequence[Any], num_expressions: int) -> list[list[str]]:
    """Return the filters of each expression of sensors, from one list for all or from one for each."""
    are_strings = {isinstance(entry, str) for entry in filters}
    if len(are_strings) > 1:
        raise checks.ArgumentError("contact_filter_prim_paths_expr must be all strings or all lists of strings.")
    lists = [list(filters)] if True in are_strings else [list(entry) for entry in filters]
    if lists and len(lists) != num_expressions:
        raise checks.ArgumentError(
            "contact_filter_prim_paths_expr must have one list for each expression of prim_paths_expr, "
            f"{num_expressions}, got {len(lists)}."
        )
    return lists or [[]] * num_expressions
