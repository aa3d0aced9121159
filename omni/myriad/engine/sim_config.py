# SPDX-License-Identifier: Apache-2.0
"""The physics part of a run's configuration, and how it is written onto USD prims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from pxr import Usd


class SimConfig:
    """Access to the resolved configuration, with OmniIsaacGymEnvs' property names.

    Args:
        config: The whole resolved configuration as plain dictionaries; `config["task"]` is the task's part.

    Attributes:
        config: The whole resolved configuration.
        task_config: The task's part of it.
        sim_params: The task's `sim` section: dt, gravity, ground, actors.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.task_config: dict[str, Any] = config["task"]
        self.sim_params: dict[str, Any] = self.task_config["sim"]

    @property
    def scales(self) -> tuple[float, float]:
        """Factors on the masses of robots and on friction."""
        return self.sim_params.get("mass_scale", 1.0), self.sim_params.get("friction_scale", 1.0)

    @property
    def physx_params(self) -> dict[str, Any]:
        """The task's `sim.physx` section: solver and buffer sizes."""
        return self.sim_params["physx"]

    @property
    def steps_per_second(self) -> int:
        """Physics steps per second: PhysX counts whole ones, so `dt` is 1/n rounded to the nearest n."""
        return round(1.0 / self.sim_params["dt"])

    @property
    def physics_dt(self) -> float:
        """Physics step in seconds, exactly 1/`steps_per_second`."""
        return 1.0 / self.steps_per_second

    def get_physics_params(self) -> dict[str, Any]:
        """Return scene and solver parameters in one dictionary."""
        return {**self.sim_params, **self.physx_params}

    def parse_actor_config(self, actor_name: str) -> dict[str, Any]:
        """Return the settings of `sim.<actor_name>`.

        Raises:
            MyriadError: If the section has a key that no setting answers to.
        """
        from omni.myriad.engine import usd

        section = dict(self.sim_params.get(actor_name) or {})
        known_keys = usd.actor_settings() | {"override_usd_defaults", "actuators"}
        unknown = sorted(set(section) - known_keys)
        if unknown:
            known = ", ".join(sorted(known_keys))
            raise MyriadError(f"sim.{actor_name}.{unknown[0]} is no actor setting; the settings are: {known}.")
        return section

    def apply_articulation_settings(self, name: str, prim: Usd.Prim, cfg: dict[str, Any] | None = None) -> None:
        """Write an actor's settings onto a prim and everything below it.

        Args:
            name: The actor's section below `sim` in the task's YAML.
            prim: Root of the robot; articulation roots, rigid bodies and colliders below it are all set.
            cfg: Settings, by default those of `parse_actor_config(name)`.
        """
        from omni.myriad.engine import usd

        if not prim.IsValid():
            raise MyriadError(f"sim.{name} cannot be applied: there is no such prim on the stage.")
        usd.write_actor_settings(prim, self.parse_actor_config(name) if cfg is None else cfg)
