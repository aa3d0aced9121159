# SPDX-License-Identifier: Apache-2.0
"""Contact sensors over all environments, whatever the number of shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from omni.myriad.engine.physx.quantity import describe, describe_parts

if TYPE_CHECKING:
    from .engine import PhysXEngine


class ContactSensors:
    """Reads what PhysX reports about the contacts of some bodies in the last step.

    PhysX divides impulses by the length of that step, so that a result for another `dt` is scaled by step / dt.

    Args:
        engine: Engine whose shards hold the bodies.
        sensors: Paths of the bodies, a list per shard.
        filters: Paths of what contacts are told apart by, the same number for each body in turn, a list per shard.
        max_contacts: Most contact points that detailed results hold.

    Attributes:
        num_filters: Number of filters of each body.
    """

    def __init__(
        self, engine: PhysXEngine, sensors: list[list[str]], filters: list[list[str]], max_contacts: int
    ) -> None:
        self._engine = engine
        self._max_contacts = max_contacts
        self.num_filters = len(filters[0]) // len(sensors[0])
        self._bindings = [
            shard.bind_contacts(paths, filter_paths, max_contacts)
            for shard, paths, filter_paths in zip(engine.shards, sensors, filters, strict=True)
        ]
        self._lengths, made = [len(paths) for paths in sensors], [binding.sensor_count for binding in self._bindings]
        if made != self._lengths:
            raise RuntimeError(f"PhysX made contact sensors of {made} of {self._lengths} bodies")
        self._net = torch.zeros(sum(made), 3, device=engine.device)
        self._matrix = torch.zeros(sum(made), self.num_filters, 3, device=engine.device)
        self._net_parts, self._matrix_parts = (describe_parts(data, made) for data in (self._net, self._matrix))

    def net_forces(self, dt: float) -> torch.Tensor:
        """Return the sum of normal forces on each body, (sensors, 3)."""
        for binding, rows in zip(self._bindings, self._net_parts, strict=True):
            binding.read_net_normal_forces(rows)
        return self._net * (self._engine.physics_dt / dt)

    def force_matrix(self, dt: float) -> torch.Tensor:
        """Return the normal force from each filter on each body, (sensors, num_filters, 3)."""
        for binding, rows in zip(self._bindings, self._matrix_parts, strict=True):
            binding.read_normal_force_matrix(rows)
        return self._matrix * (self._engine.physics_dt / dt)

    def contact_data(self, dt: float) -> tuple[torch.Tensor, ...]:
        """Return normal forces, points, normals, distances, and counts and start indices of each pair."""
        forces, *others = self._details("read_normal_contact_data", (1, 3, 3, 1))
        return forces * (self._engine.physics_dt / dt), *others

    def friction_data(self, dt: float) -> tuple[torch.Tensor, ...]:
        """Return friction forces, points, and counts and start indices of each pair."""
        forces, *others = self._details("read_friction_contact_data", (3, 3))
        return forces * (self._engine.physics_dt / dt), *others

    def _details(self, reader: str, widths: tuple[int, ...]) -> list[torch.Tensor]:
        """Read flat buffers of each shard and put them one after another, as one scene would have filled them."""
        device, most = self._engine.device, self._max_contacts
        flat = [torch.zeros(most, width, device=device) for width in widths]
        shape = (sum(self._lengths), self.num_filters)
        pairs = [torch.zeros(shape, dtype=torch.int32, device=device) for _ in ("counts", "starts")]
        filled = 0
        for binding, counts, starts in zip(self._bindings, *(pair.split(self._lengths) for pair in pairs), strict=True):
            shard_flat = [torch.zeros_like(buffer) for buffer in flat]
            found = getattr(binding, reader)(*(describe(buffer) for buffer in (*shard_flat, counts, starts)))
            used = min(found, most - filled)
            for buffer, shard_buffer in zip(flat, shard_flat, strict=True):
                buffer[filled : filled + used] = shard_buffer[:used]
            starts.add_(filled).clamp_(max=most)
            torch.minimum(counts, most - starts, out=counts)
            filled += used
        return [*flat, *pairs]
