# SPDX-License-Identifier: Apache-2.0
"""What a policy observes, measured on one robot by the names in its file; docs/policy-file.md lists the sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.maths import get_euler_xyz, normalize, normalize_angle, quat_rotate, quat_rotate_inverse

Tensor = torch.Tensor
Term = Mapping[str, Any]

_ALONG_X, _ALONG_Z = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]])


class Sensors:
    """Measures the terms that `Policy.act` has to be given, on the only robot of a view.

    Args:
        terms: `Policy.required`.
        view: `ArticulationView` of the robot, or what stands for it in another engine.
        metadata: The policy's metadata; its configuration says where a target is.

    Raises:
        MyriadError: If a term's source is not one that is known here.
    """

    def __init__(self, terms: Mapping[str, Term], view: Any, metadata: Mapping[str, Any]) -> None:
        self._terms = terms
        self._view = view
        self._gravity = torch.tensor([metadata["conventions"]["gravity"]])
        self._target = metadata["config"]["task"]["env"].get("targetPosition")
        for name, term in terms.items():
            if term["source"] not in SOURCES:
                raise MyriadError(
                    f"Observation {name} comes from {term['source'] or 'an unnamed source'!r}, which is not measured "
                    f"on a single robot; what is: {', '.join(SOURCES)}."
                )
            if term["source"].startswith("target_") and self._target is None:
                raise MyriadError(f"Observation {name} needs a target, and the task's settings have no targetPosition.")

    def measure(self, origin: Tensor) -> dict[str, np.ndarray]:
        """Return every term by name, before scaling.

        Args:
            origin: Where the robot's environment stands in the world in m, (3,).
        """
        self._origin = origin.cpu()
        positions, orientations = self._view.get_world_poses()
        self.position, self.orientation = positions.cpu(), orientations.cpu()
        self.velocity = self._view.get_velocities().cpu()
        return {name: SOURCES[term["source"]](self, term).numpy().reshape(-1) for name, term in self._terms.items()}

    # -- one for each source ------------------------------------------------------------------------------------------

    def _height(self, _: Term) -> Tensor:
        return self.position[:, 2]

    def _linear_velocity(self, term: Term) -> Tensor:
        return self._in_frame(self.velocity[:, :3], term)

    def _angular_velocity(self, term: Term) -> Tensor:
        return self._in_frame(self.velocity[:, 3:], term)

    def _in_frame(self, vector: Tensor, term: Term) -> Tensor:
        return vector if term["frame"] == "world" else quat_rotate_inverse(self.orientation, vector)

    def _euler(self, axis: int) -> Tensor:
        return normalize_angle(get_euler_xyz(self.orientation)[axis])

    def _up_projection(self, _: Term) -> Tensor:
        return quat_rotate(self.orientation, _ALONG_Z)[:, 2]

    def _projected_gravity(self, _: Term) -> Tensor:
        return quat_rotate_inverse(self.orientation, normalize(self._gravity))

    def _wrench(self, term: Term) -> Tensor:
        bodies = [self._view.body_names.index(name) for name in term["body_names"]]
        return self._view.get_measured_joint_forces()[0, bodies].cpu()

    def _to_target(self) -> Tensor:
        return self._origin + torch.tensor([self._target]) - self.position

    def _heading_cosine(self, _: Term) -> Tensor:
        flat = self._to_target() * torch.tensor([1.0, 1.0, 0.0])
        return (quat_rotate(self.orientation, _ALONG_X) * normalize(flat)).sum(-1)

    def _target_angle_xz(self, _: Term) -> Tensor:
        to_target = self._to_target()
        return normalize_angle(torch.atan2(to_target[:, 2], to_target[:, 0]) - self._euler(2))


SOURCES: dict[str, Callable[[Sensors, Term], Tensor]] = {
    "root_height": Sensors._height,
    "root_linear_velocity": Sensors._linear_velocity,
    "root_angular_velocity": Sensors._angular_velocity,
    "root_orientation": lambda sensors, _: sensors.orientation,
    "root_roll": lambda sensors, _: sensors._euler(0),
    "root_pitch": lambda sensors, _: sensors._euler(1),
    "root_yaw": lambda sensors, _: sensors._euler(2),
    "root_up_projection": Sensors._up_projection,
    "projected_gravity": Sensors._projected_gravity,
    "incoming_joint_wrench": Sensors._wrench,
    "target_heading_cosine": Sensors._heading_cosine,
    "target_angle_xz": Sensors._target_angle_xz,
}
"""How each source of docs/policy-file.md is measured; joints and the last action are the runtime's own."""
