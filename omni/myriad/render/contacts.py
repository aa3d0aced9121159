# SPDX-License-Identifier: Apache-2.0
"""Forces of contacts on all that moves in the environments of a running task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pxr import Usd, UsdPhysics

from omni.myriad.engine.base import ENV_0_PATH, ENVS_PATH, Engine
from omni.myriad.errors import MyriadError


class Contacts:
    """Reads what presses on bodies, which the engine keeps for nobody before.

    Args:
        world: The engine, which runs.
        names: Bodies, as `Poses` names them.

    Raises:
        MyriadError: If the engine was started without reports on contacts.
    """

    def __init__(self, world: Engine, names: Sequence[str]) -> None:
        self._world, self._names = world, names
        prims = Usd.PrimRange(world.stage.GetPrimAtPath(ENV_0_PATH))
        places = [str(prim.GetPath())[len(ENV_0_PATH) :] for prim in prims if prim.HasAPI(UsdPhysics.RigidBodyAPI)]
        columns = {place: column for place in places if (column := self._column(place)) is not None}
        body_class: Any = world.scene.body_class
        try:
            self._view = body_class(
                [f"{ENVS_PATH}/.*{place}" for place in columns],
                name="contacts",
                track_contact_forces=True,
                prepare_contact_sensors=False,
            )
            self._view.bind(world)
            self._view.initialize(None)
        except (MyriadError, RuntimeError, NotImplementedError) as error:
            if world.name in ("physx", "newton"):
                raise MyriadError("start it with task.sim.contact_reports=True to see them") from error
            raise MyriadError(f"engine={world.name} tells no contact forces") from error
        seen = self._view.prim_paths[: len(columns)]
        self._columns = torch.tensor([columns[path[len(ENV_0_PATH) :]] for path in seen], device=world.device)

    def _column(self, place: str) -> int | None:
        """Return the number of a body's name: a link's is that of its robot and its own, another's is its top's."""
        top, last = place.split("/")[1], place.rsplit("/", 1)[-1]
        return next((self._names.index(name) for name in (f"{top}/{last}", top) if name in self._names), None)

    def read(self, env_ids: torch.Tensor) -> torch.Tensor:
        """Return the sums of normal forces on bodies in the last physics step in N, in the world, (M, names, 3).

        Args:
            env_ids: The environments, (M,) int64.
        """
        world = self._world
        forces = self._view.get_net_contact_forces(clone=False, dt=world.physics_dt).view(world.num_envs, -1, 3)
        out = torch.zeros((len(env_ids), len(self._names), 3), device=world.device)
        out[:, self._columns] = forces[env_ids]
        return out
