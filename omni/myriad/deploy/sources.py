# SPDX-License-Identifier: Apache-2.0
"""What a policy observes, measured on one robot by the sources that its file names: those of `task.terms.SOURCES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.maths import (
    compute_heading_and_up,
    compute_rot,
    normalize,
    normalize_angle,
    quat_rotate,
    quat_rotate_inverse,
)

Tensor = torch.Tensor
Term = Mapping[str, Any]

_AHEAD, _UP = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]])
_UPRIGHT = torch.tensor([[1.0, 0.0, 0.0, 0.0]])


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
            if term["source"] not in MEASURES:
                raise MyriadError(
                    f"Observation {name} comes from {term['source'] or 'an unnamed source'!r}, which is not measured "
                    f"on a single robot; what is: {', '.join(MEASURES)}."
                )
            if term["source"].startswith("target_") and self._target is None:
                raise MyriadError(f"Observation {name} needs a target, and the task's settings have no targetPosition.")

    def measure(self, origin: Tensor, commands: Mapping[str, Tensor] | None = None) -> dict[str, np.ndarray]:
        """Return every term by name, before scaling.

        Args:
            origin: Where the robot's environment stands in the world in m, (3,).
            commands: What is asked of the robot, by the names of terms, (1, size).
        """
        self._origin, self._commands = origin.cpu(), commands or {}
        positions, orientations = self._view.get_world_poses()
        self.position, self.orientation = positions.cpu(), orientations.cpu()
        self.velocity = self._view.get_velocities().cpu()
        # Without a target nothing asks for the direction to it.
        self.target = origin.cpu() + torch.tensor([self._target or (0.0, 0.0, 0.0)])
        return {name: MEASURES[term["source"]](self, term).numpy().reshape(-1) for name, term in self._terms.items()}

    # -- one for each source ------------------------------------------------------------------------------------------

    def _velocity(self, term: Term, part: int) -> Tensor:
        return self.velocity[:, 3 * part :][:, :3] if term["frame"] == "world" else self._in_torso(part)

    def _angle(self, part: int) -> Tensor:
        return normalize_angle(self._in_torso(part))

    def _in_torso(self, part: int) -> Tensor:
        """Return a part of `compute_rot`: two velocities in the root's frame, roll, pitch, yaw, angle to the target."""
        linear, angular = self.velocity[:, :3], self.velocity[:, 3:]
        return compute_rot(self.orientation, linear, angular, self.target, self.position)[part]

    def _projection(self, part: int) -> Tensor:
        """Return a part of `compute_heading_and_up`: 1 for that of up on the world's up, 2 for ahead on the target."""
        to_target = (self.target - self.position) * torch.tensor([1.0, 1.0, 0.0])
        return compute_heading_and_up(self.orientation, _UPRIGHT, to_target, _AHEAD, _UP, 2)[part]

    def _projected_gravity(self, _: Term) -> Tensor:
        return quat_rotate_inverse(self.orientation, normalize(self._gravity))

    def _frames(self, term: Term) -> Tensor:
        positions = self._view.frame_poses(term["body_names"])[0].cpu() + self._origin - self.position.unsqueeze(1)
        return quat_rotate_inverse(self.orientation.unsqueeze(1).expand(*positions.shape[:-1], 4), positions)

    def _command(self, term: Term) -> Tensor:
        if term["name"] not in self._commands:
            raise MyriadError(f"Observation {term['name']} is a command, and the task's commands() does not give it.")
        return self._commands[term["name"]].cpu()

    def _wrench(self, term: Term) -> Tensor:
        bodies = [self._view.body_names.index(name) for name in term["body_names"]]
        return self._view.get_measured_joint_forces()[0, bodies].cpu()


def find_eyes(images: Mapping[str, Mapping[str, Any]], scene: Any) -> dict[str, Callable[[], Tensor]]:
    """Return what takes each picture of `Policy.images`: the camera whose view has the picture's name.

    Args:
        images: `Policy.images`.
        scene: The engine's scene.

    Raises:
        MyriadError: If there is no camera of that name.
    """
    from omni.myriad.engine.camera.view import CameraView

    eyes: dict[str, Callable[[], Tensor]] = {}
    for name, term in images.items():
        view = scene.get_object(name)
        if not isinstance(view, CameraView):
            raise MyriadError(
                f"Picture {name} is not that of a camera here: give the task's CameraView the picture's name."
            )
        eyes[name] = lambda view=view, kind=term["source"]: view.get_data(kind)[0]
    return eyes


MEASURES: dict[str, Callable[[Sensors, Term], Tensor]] = {
    "root_height": lambda sensors, _: sensors.position[:, 2],
    "root_linear_velocity": lambda sensors, term: sensors._velocity(term, 0),
    "root_angular_velocity": lambda sensors, term: sensors._velocity(term, 1),
    "root_orientation": lambda sensors, _: sensors.orientation,
    "root_roll": lambda sensors, _: sensors._angle(2),
    "root_pitch": lambda sensors, _: sensors._angle(3),
    "root_yaw": lambda sensors, _: sensors._angle(4),
    "root_up_projection": lambda sensors, _: sensors._projection(1),
    "root_down": lambda sensors, _: quat_rotate(sensors.orientation, -_UP),
    "projected_gravity": Sensors._projected_gravity,
    "incoming_joint_wrench": Sensors._wrench,
    "frame_position": Sensors._frames,
    "command": Sensors._command,
    "target_heading_cosine": lambda sensors, _: sensors._projection(2),
    "target_angle_xz": lambda sensors, _: sensors._angle(5),
}
"""How each of `SOURCES` is measured; joints and the last action are the runtime's own."""
