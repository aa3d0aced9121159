# SPDX-License-Identifier: Apache-2.0
"""Poses of all that moves in the environments of a running task: links of robots, bodies and markers."""

from __future__ import annotations

from typing import Any

import torch

from omni.myriad.engine.base import ENV_0_PATH


class Poses:
    """Reads where things are, on the device.

    Args:
        task: The task, which has started.

    Attributes:
        names: Of links as "Robot/link", of others as they are called below the environment.
        num_markers: How many of the names, the last ones, are markers.
    """

    def __init__(self, task: Any) -> None:
        self._task, self._world = task, task.world
        self._bodies = {
            _below_env(path): (view, row)
            for view in self._world.scene.bodies().values()
            if not view.is_non_root_articulation_link
            for row, path in enumerate(view.prim_paths[: view.count // task.num_envs])
        }
        links = [
            f"{_below_env(robot.prim_paths[0])}/{name}"
            for robot in self._world.robots().values()
            for name in robot.body_names
        ]
        self.names = [*links, *self._bodies, *task.markers]
        self.num_markers = len(task.markers)

    def read(self, env_ids: torch.Tensor) -> torch.Tensor:
        """Return poses in the world, (M, names, 7): positions in m and orientations as wxyz.

        Args:
            env_ids: The environments, (M,) int64.
        """
        task, parts = self._task, []
        for robot in self._world.robots().values():
            positions, orientations = self._world.link_poses(robot)
            parts.append((positions[env_ids], orientations[env_ids]))
        for view, row in self._bodies.values():
            positions, orientations = view.get_world_poses(indices=env_ids * (view.count // task.num_envs) + row)
            parts.append((positions.unsqueeze(1), orientations.unsqueeze(1)))
        for marker in task.markers.values():
            positions = marker.positions[env_ids] + self._world.env_positions[env_ids]
            parts.append((positions.unsqueeze(1), marker.orientations[env_ids].unsqueeze(1)))
        return torch.cat([torch.cat(part, dim=-1) for part in parts], dim=1)

    def body_views(self) -> list[Any]:
        """Return the views of bodies that are no links."""
        return list({id(view): view for view, _ in self._bodies.values()}.values())


def neighbours(places: torch.Tensor, first: int, count: int) -> torch.Tensor:
    """Return an environment and those around it, the nearest first, (count,) int64.

    Args:
        places: Where the environments are, (num_envs, 3).
        first: The environment.
        count: How many; at most as many as there are.
    """
    distances = (places - places[first]).norm(dim=-1)
    distances[first] = -1.0
    return distances.topk(min(count, len(places)), largest=False).indices


def _below_env(path: str) -> str:
    """Return what a prim of an environment lies in: Robot for /World/envs/env_0/Robot/torso."""
    return path.split("/")[ENV_0_PATH.count("/") + 1]
