# SPDX-License-Identifier: Apache-2.0
"""The contact forces of RigidPrimView."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from pxr import UsdPhysics

from omni.myriad.engine.base import ENVS_PATH
from omni.myriad.engine.physx.contacts import ContactSensors
from omni.myriad.engine.physx.scene import PHYSICS_SCENE_PATH
from omni.myriad.engine.physx.views import checks, paths
from omni.myriad.engine.physx.views.prim import Indices, needs_physics
from omni.myriad.engine.physx.views.usd_attributes import UsdMethods, author, has_schema
from omni.myriad.errors import MyriadError

logger = logging.getLogger(__name__)

_REPORT_SCHEMA = "PhysxContactReportAPI"

_ContactData = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
_FrictionData = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class ContactMethods(UsdMethods):
    """Contacts of the view's bodies in the last physics step, in the world frame.

    As in Isaac Sim, `dt` turns the step's impulses into forces: pass the physics step in seconds for newtons; the
    default of 1.0 returns newton seconds.
    """

    def _set_contact_options(
        self,
        track: bool,
        prepare: bool,
        disable_stabilization: bool,
        filters: Sequence[Any],
        max_count: int,
    ) -> None:
        are_strings = {isinstance(entry, str) for entry in filters}
        if len(are_strings) > 1:
            raise checks.ArgumentError("contact_filter_prim_paths_expr must be all strings or all lists of strings.")
        lists = [list(filters)] if True in are_strings else [list(entry) for entry in filters]
        if lists and len(lists) != len(self._expressions):
            raise checks.ArgumentError(
                "contact_filter_prim_paths_expr must have one list for each expression of prim_paths_expr, "
                f"{len(self._expressions)}, got {len(lists)}."
            )
        self._filters = lists or [[] for _ in self._expressions]
        self._track_contacts = track or bool(filters)
        self._prepare_contacts = prepare
        self._disable_stabilization = disable_stabilization
        self._max_contact_count = max_count
        self._sensors: ContactSensors | None = None

    def _prepare_contact_sensors(self) -> None:
        """Author contact reports on environment 0: PhysX looks for them when it starts."""
        engine = self._require_engine()
        if engine.is_playing():
            return
        if self._prepare_contacts:
            for prim in self._env_0_prims():
                author(prim, "PhysxRigidBodyAPI", "physxRigidBody:sleepThreshold", "Float", 0.0)
                if self._track_contacts:
                    author(prim, _REPORT_SCHEMA, "physxContactReport:threshold", "Float", 0.0)
        if self._track_contacts and self._disable_stabilization:
            scene = engine.stage.GetPrimAtPath(PHYSICS_SCENE_PATH)
            author(scene, "PhysxSceneAPI", "physxScene:enableStabilization", "Bool", False)

    def _on_physics_ready(self) -> None:
        super()._on_physics_ready()
        self._sensors = None
        if not self._track_contacts:
            return
        for prim in self._env_0_prims():
            if not has_schema(prim, _REPORT_SCHEMA):
                raise MyriadError(
                    f"{self.name}: {prim.GetPath()} has no {_REPORT_SCHEMA}, which PhysX reads when it starts: add the "
                    "view to the scene before that, with prepare_contact_sensors=True."
                )
        filters = self._filters_of_sensors()
        # PhysX reports to sensors that exist before the step, so they cannot wait for the first reading.
        self._sensors = ContactSensors(
            self._require_engine(), self._shard_paths(), self._filter_paths(filters), self._max_contact_count
        )

    def _filters_of_sensors(self) -> dict[str, list[str]]:
        """Return the filter expressions of each sensor of an environment."""
        engine = self._require_engine()
        found: dict[str, list[str]] = {}
        for expression, filters in zip(self._expressions, self._filters, strict=True):
            for path in self._resolve(paths.expand(expression, engine.stage, engine.num_envs)):
                found.setdefault(path, filters)
        return found

    def _filter_paths(self, filters: dict[str, list[str]]) -> list[list[str]]:
        """Return each shard's filter paths, those of a sensor after those of the one before."""
        engine = self._require_engine()
        expanded: dict[str, list[str]] = {path: [] for path in filters}
        colliders = {str(prim.GetPath()) for prim in engine.stage.Traverse() if prim.HasAPI(UsdPhysics.CollisionAPI)}
        for path, expressions in filters.items():
            for expression in expressions:
                if expression.startswith(f"{ENVS_PATH}/"):
                    expanded[path] += paths.expand(expression, engine.stage, engine.num_envs)
                elif expression in colliders:
                    expanded[path].append(expression)
                else:
                    raise checks.ArgumentError(
                        f"contact_filter_prim_paths_expr: {expression!r} is neither below {ENVS_PATH} nor a collider."
                    )
        counts = {len(found) for found in expanded.values()}
        if len(counts) > 1:
            raise checks.ArgumentError(
                f"contact_filter_prim_paths_expr must name as many prims for each sensor, got {sorted(counts)}."
            )
        return [
            [
                found if found.startswith("/") else paths.in_environment(found, env_id)
                for env_id in shard.env_ids
                for path in self._relative_paths
                for found in expanded[path]
            ]
            for shard in engine.shards
        ]

    @needs_physics
    def get_net_contact_forces(self, indices: Indices = None, clone: bool = True, dt: float = 1.0) -> torch.Tensor:
        """Return the sum of the normal forces that act on each body, (M, 3).

        Args:
            indices: Bodies; None means all.
            clone: Accepted for Isaac Sim's sake: the result is always a copy.
            dt: Physics step in seconds for a result in N; 1.0 for impulses in N s.
        """
        sensors = self._tracked("get_net_contact_forces")
        return sensors if sensors is None else self._pick(sensors.net_forces(dt), indices)

    @needs_physics
    def get_contact_force_matrix(self, indices: Indices = None, clone: bool = True, dt: float = 1.0) -> torch.Tensor:
        """Return the normal forces that each filter prim exerts on each body, (M, num_filters, 3).

        Args:
            indices: Bodies; None means all.
            clone: Accepted for Isaac Sim's sake: the result is always a copy.
            dt: Physics step in seconds for a result in N; 1.0 for impulses in N s.
        """
        sensors = self._filtered("get_contact_force_matrix")
        return sensors if sensors is None else self._pick(sensors.force_matrix(dt), indices)

    @needs_physics
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
        sensors = self._detailed("get_contact_force_data")
        if sensors is None:
            return sensors
        forces, points, normals, distances, counts, starts = sensors.contact_data(dt)
        return forces, points, normals, distances, self._pick(counts, indices), self._pick(starts, indices)

    @needs_physics
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
        sensors = self._detailed("get_friction_data")
        if sensors is None:
            return sensors
        forces, points, counts, starts = sensors.friction_data(dt)
        return forces, points, self._pick(counts, indices), self._pick(starts, indices)

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _pick(self, values: torch.Tensor, indices: Indices) -> torch.Tensor:
        rows = self._rows(indices)
        return values if rows is None else values[rows]

    def _tracked(self, method: str) -> ContactSensors:
        if self._sensors is None:
            logger.warning("%s.%s: construct the view with track_contact_forces=True", self.name, method)
        return self._sensors  # type: ignore[return-value]

    def _filtered(self, method: str) -> ContactSensors:
        if self._sensors is None or self._sensors.num_filters == 0:
            logger.warning("%s.%s: construct the view with contact_filter_prim_paths_expr", self.name, method)
            return None  # type: ignore[return-value]
        return self._sensors

    def _detailed(self, method: str) -> ContactSensors:
        sensors = self._filtered(method)
        if sensors is not None and self._max_contact_count < 1:
            raise checks.ArgumentError(
                f"{method}: construct the view with max_contact_count > 0, got {self._max_contact_count}."
            )
        return sensors
