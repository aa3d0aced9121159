# SPDX-License-Identifier: Apache-2.0
"""One PhysX scene that holds a contiguous run of the environments."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from omni.myriad.engine.base import ENVS_PATH
from omni.myriad.engine.physx import runtime
from omni.myriad.engine.usd import PHYSICS_SCENE_PATH

logger = logging.getLogger(__name__)


class Shard:
    """A PhysX instance with its own stage, stepped by one thread at a time.

    Args:
        usda: Stage text in which the shard's first environment is authored, and others that are no copies.
        first_env: Id of its first environment.
        positions: World positions in metres of all environments of the shard, the first one included.
        device: Device that PhysX simulates on.
        disable_contact_processing: Leave out the reports that contact views read.
        smooth_cylinders: Let cylinders and cones be round where they touch triangles.

    Attributes:
        env_ids: Ids of the shard's environments.
    """

    def __init__(
        self,
        usda: str,
        first_env: int,
        positions: list[tuple[float, float, float]],
        device: torch.device,
        disable_contact_processing: bool = False,
        smooth_cylinders: bool = False,
    ) -> None:
        import ovstage

        self.env_ids = range(first_env, first_env + len(positions))
        self._positions = positions
        self._bindings: list[Any] = []
        self._attached = False
        self._edit = 1
        self._physx: Any = runtime.create_instance(device, disable_contact_processing, smooth_cylinders)
        self._stage = ovstage.Stage(f"myriad_{id(self)}")
        try:
            ovstage.population.open_usd_from_string(
                self._stage, usda, ordinal=self._edit, domains=ovstage.PopulationDomain.ALL
            )
            self._stage.advance_write_floor(ordinal=self._edit).wait()
            with runtime.idle_threads(device):
                self._physx.wait_task(self._physx.attach_ovstage(self._stage, read_ordinal=self._edit))
            self._attached = True
        except BaseException:
            self.close()
            raise

    def clone(self, copies: Mapping[int, Sequence[int]]) -> None:
        """Replicate environments that are there inside PhysX, and settle the scene to be read.

        Args:
            copies: Ids of the environments that each becomes, by its own; none where all are there.
        """
        made = 0
        for source, targets in copies.items():
            if targets:
                paths = [f"{ENVS_PATH}/env_{env_id}" for env_id in targets]
                poses = [(*self._positions[env_id - self.env_ids.start], 0.0, 0.0, 0.0, 1.0) for env_id in targets]
                numbers = list(range(made, made + len(targets)))
                source_path = f"{ENVS_PATH}/env_{source}"
                task = self._physx.clone(source_path, paths, anchor_transforms=poses, env_ids=numbers)
                self._physx.wait_task(task)
                made += len(targets)
        self._physx.warmup()

    def step(self, num_steps: int, dt: float) -> None:
        """Advance by `num_steps` steps of `dt` seconds; the interpreter lock is released meanwhile."""
        for _ in range(num_steps):
            self._physx.step_sync(dt)

    def set_gravity(self, gravity: Sequence[float]) -> None:
        """Change gravity, in m/s^2: PhysX reads it again from the stage, which keeps each edit under a number."""
        import ovstage

        size = math.sqrt(sum(part * part for part in gravity))
        direction = [part / size for part in gravity] if size else [0.0, 0.0, -1.0]
        vector = ovstage.DLDataType(ovstage.DLDataTypeCode.kDLFloat, 32, 3)
        pointing = ovstage.make_dltensor(np.array([direction], np.float32), dtype=vector, shape=[1], ndim=1)
        self._edit += 1
        paths = ovstage.PathDictionary(self._stage)
        with (
            paths.create_path_list_from_strings([PHYSICS_SCENE_PATH]) as prims,
            self._stage.query_from_path_list(prims) as query,
        ):
            for name, value in (("Direction", pointing), ("Magnitude", np.array([size], np.float32))):
                self._stage.write_attribute(query, f"physics:gravity{name}", self._edit, value, is_array=False).wait()
        paths.destroy()
        self._stage.advance_write_floor(ordinal=self._edit).wait()
        self._physx.wait_task(self._physx.update_from_ovstage(self._edit, self._edit))

    def bind(self, prim_paths: list[str], tensor_type: int) -> Any:
        """Create a tensor binding whose rows follow `prim_paths`."""
        # Bindings are deprecated for sessions, which have no masks and use degrees.
        self._bindings.append(self._physx.create_tensor_binding(prim_paths=prim_paths, tensor_type=tensor_type))
        return self._bindings[-1]

    def bind_contacts(self, sensors: list[str], filters: list[str], max_contacts: int) -> Any:
        """Create a contact binding with the same number of filters for every sensor."""
        binding = self._physx.create_contact_binding(
            sensor_patterns=sensors,
            filter_patterns=filters or None,
            filters_per_sensor=len(filters) // len(sensors),
            max_contact_data_count=max_contacts,
        )
        self._bindings.append(binding)
        return binding

    def is_non_root_link(self, prim_path: str) -> bool:
        """Tell whether a body is a link of an articulation that only joints can move."""
        return self._physx.get_object_type(prim_path).name == "ARTICULATION_LINK"

    def update_kinematics(self) -> None:
        """Propagate joint and root states to link poses without stepping."""
        self._physx.update_articulations_kinematic()

    def close(self) -> None:
        """Release bindings, stage and instance, in the order that PhysX needs to exit cleanly."""
        bindings, self._bindings = self._bindings, []
        releases = [binding.destroy for binding in bindings]
        if self._attached:
            self._attached = False
            releases.append(lambda: self._physx.wait_task(self._physx.detach_ovstage()))
        releases += [self._stage.destroy, self._physx.destroy]
        for release in releases:
            try:
                release()
            except RuntimeError as error:
                # After a failure some of this is gone already; the rest must still go.
                logger.debug("while closing a shard: %s", error)
