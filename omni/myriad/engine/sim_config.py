# SPDX-License-Identifier: Apache-2.0
"""The physics part of a run's configuration, and how it is written onto USD prims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from pxr import Usd

_UNSET = -1
"""OmniIsaacGymEnvs' mark for "leave what the USD file says"."""

_ARTICULATION_ATTRIBUTES = {
    "enable_self_collisions": ("physxArticulation:enabledSelfCollisions", "Bool"),
    "solver_position_iteration_count": ("physxArticulation:solverPositionIterationCount", "Int"),
    "solver_velocity_iteration_count": ("physxArticulation:solverVelocityIterationCount", "Int"),
    "sleep_threshold": ("physxArticulation:sleepThreshold", "Float"),
    "stabilization_threshold": ("physxArticulation:stabilizationThreshold", "Float"),
}
_BODY_ATTRIBUTES = {
    "enable_gyroscopic_forces": ("physxRigidBody:enableGyroscopicForces", "Bool"),
    "max_depenetration_velocity": ("physxRigidBody:maxDepenetrationVelocity", "Float"),
    "solver_position_iteration_count": ("physxRigidBody:solverPositionIterationCount", "Int"),
    "solver_velocity_iteration_count": ("physxRigidBody:solverVelocityIterationCount", "Int"),
    "sleep_threshold": ("physxRigidBody:sleepThreshold", "Float"),
    "stabilization_threshold": ("physxRigidBody:stabilizationThreshold", "Float"),
}
_MASS_ATTRIBUTES = {
    "density": ("physics:density", "Float"),
    "mass": ("physics:mass", "Float"),
}
_SHAPE_ATTRIBUTES = {
    "contact_offset": ("physxCollision:contactOffset", "Float"),
    "rest_offset": ("physxCollision:restOffset", "Float"),
}
_ACTOR_KEYS = {
    "override_usd_defaults",
    *_ARTICULATION_ATTRIBUTES,
    *_BODY_ATTRIBUTES,
    *_MASS_ATTRIBUTES,
    *_SHAPE_ATTRIBUTES,
}


class SimConfig:
    """Read-only access to the resolved configuration, with OmniIsaacGymEnvs' property names.

    Args:
        config: The whole resolved configuration as plain dictionaries; `config["task"]` is the task's part.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._task = config["task"]
        self._sim = self._task["sim"]

    @property
    def config(self) -> dict[str, Any]:
        """The whole resolved configuration."""
        return self._config

    @property
    def task_config(self) -> dict[str, Any]:
        """The task's part of the configuration."""
        return self._task

    @property
    def sim_params(self) -> dict[str, Any]:
        """The task's `sim` section: dt, gravity, ground, actors."""
        return self._sim

    @property
    def physx_params(self) -> dict[str, Any]:
        """The task's `sim.physx` section: solver and buffer sizes."""
        return self._sim["physx"]

    @property
    def steps_per_second(self) -> int:
        """Physics steps per second: PhysX counts whole ones, so `dt` is 1/n rounded to the nearest n."""
        return round(1.0 / self._sim["dt"])

    @property
    def physics_dt(self) -> float:
        """Physics step in seconds, exactly 1/`steps_per_second`."""
        return 1.0 / self.steps_per_second

    def get_physics_params(self) -> dict[str, Any]:
        """Return scene and solver parameters in one dictionary."""
        return {**self._sim, **self._sim["physx"]}

    def parse_actor_config(self, actor_name: str) -> dict[str, Any]:
        """Return the settings of `sim.<actor_name>`.

        Raises:
            MyriadError: If the section has a key that no setting answers to.
        """
        section = dict(self._sim.get(actor_name) or {})
        unknown = sorted(set(section) - _ACTOR_KEYS)
        if unknown:
            known = ", ".join(sorted(_ACTOR_KEYS))
            raise MyriadError(f"sim.{actor_name}.{unknown[0]} is no actor setting; the settings are: {known}.")
        return section

    def apply_articulation_settings(self, name: str, prim: Usd.Prim, cfg: dict[str, Any] | None = None) -> None:
        """Write an actor's settings onto a prim and everything below it.

        Args:
            name: The actor's section below `sim` in the task's YAML.
            prim: Root of the robot; articulation roots, rigid bodies and colliders below it are all set.
            cfg: Settings, by default those of `parse_actor_config(name)`.
        """
        from pxr import Usd, UsdPhysics

        if not prim.IsValid():
            raise MyriadError(f"sim.{name} cannot be applied: there is no such prim on the stage.")
        settings = self.parse_actor_config(name) if cfg is None else cfg
        for descendant in Usd.PrimRange(prim):
            if descendant.HasAPI(UsdPhysics.ArticulationRootAPI):
                _write(descendant, "PhysxArticulationAPI", _ARTICULATION_ATTRIBUTES, settings)
            if descendant.HasAPI(UsdPhysics.RigidBodyAPI):
                _write(descendant, "PhysxRigidBodyAPI", _BODY_ATTRIBUTES, settings)
                _write(descendant, "PhysicsMassAPI", _MASS_ATTRIBUTES, settings)
            if descendant.HasAPI(UsdPhysics.CollisionAPI):
                _write(descendant, "PhysxCollisionAPI", _SHAPE_ATTRIBUTES, settings)


def _write(prim: Usd.Prim, schema: str, attributes: dict[str, tuple[str, str]], settings: dict[str, Any]) -> None:
    from pxr import Sdf

    for key, (attribute, type_name) in attributes.items():
        value = settings.get(key, _UNSET)
        if value is None or (value == _UNSET and not isinstance(value, bool)):
            continue
        if schema not in prim.GetAppliedSchemas():
            prim.AddAppliedSchema(schema)
        prim.CreateAttribute(attribute, getattr(Sdf.ValueTypeNames, type_name)).Set(value)
