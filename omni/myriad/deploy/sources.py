# SPDX-License-Identifier: Apache-2.0
"""What a policy observes, measured on one robot by the sources that its file names: those of `task.terms.SOURCES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from omni.myriad.engine import ENV_0_PATH, Scene
from omni.myriad.errors import MyriadError
from omni.myriad.maths import (
    compute_heading_and_up,
    compute_rot,
    normalize,
    normalize_angle,
    quat_rotate,
    quat_rotate_inverse,
)
from omni.myriad.policy.runtime import POSE_SOURCES, Policy

Tensor = torch.Tensor
Term = Mapping[str, Any]

_AHEAD, _UP = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]])
_UPRIGHT = torch.tensor([[1.0, 0.0, 0.0, 0.0]])


class Sensors:
    """Measures what `Policy.act` has to be given, on the only robot of a view and on what is beside it.

    Args:
        terms: The terms of `Policy.required` that do not follow from poses (`terms_of`).
        view: `ArticulationView` of the robot, or what stands for it in another engine.
        metadata: The policy's metadata; its configuration says where a target is.
        scene: The engine's scene, with the views of what is beside the robot; None where nobody asks for it.
        places: `Policy.places`.

    Raises:
        MyriadError: If a term's source is not one that is known here.
    """

    def __init__(
        self,
        terms: Mapping[str, Term],
        view: Any,
        metadata: Mapping[str, Any],
        scene: Scene | None = None,
        places: Sequence[str] = (),
    ) -> None:
        self._terms = terms
        self._view = view
        self._others = _Others(view, scene)
        self._places = places
        self._gravity = torch.tensor([metadata["conventions"]["gravity"]])
        self._target = metadata["config"]["task"]["env"].get("targetPosition")
        for name, term in terms.items():
            if term["source"] not in MEASURES:
                raise MyriadError(
                    f"Observation {name} comes from {term['source'] or 'an unnamed source'!r}, which is not measured "
                    f"on a single robot; what is: {', '.join((*MEASURES, *POSE_SOURCES))}."
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

    def poses(self, origin: Tensor, commands: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """Return where `Policy.places` are, seen from where the robot's environment stands.

        Args:
            origin: As for `measure`.
            commands: Likewise; a place among them is x, y, z in m, and w, x, y, z where it is turned.

        Raises:
            MyriadError: If nobody knows a place.
        """
        poses = {}
        for name in self._places:
            if name in commands:
                poses[name] = commands[name][0].cpu().numpy()
                continue
            found = self._view.get_world_poses() if name == "root" else self._others.pose(name)
            if found is None:
                raise MyriadError(
                    f"The policy asks where {name!r} is, and the task has no such body, frame or command."
                )
            position, orientation = (part.reshape(-1).cpu() for part in found)
            poses[name] = torch.cat((position - origin.cpu(), orientation)).numpy()
        return poses

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

    def _body_velocities(self, term: Term) -> Tensor:
        return torch.cat([self._others.velocity(name) for name in term["body_names"]]).cpu()

    def _object_joints(self, term: Term, positions: bool) -> Tensor:
        return torch.cat([self._others.joint(name, positions) for name in term["joint_names"]]).cpu()

    def _command(self, term: Term) -> Tensor:
        if term["name"] not in self._commands:
            raise MyriadError(f"Observation {term['name']} is a command, and the task's commands() does not give it.")
        return self._commands[term["name"]].cpu()

    def _wrench(self, term: Term) -> Tensor:
        bodies = [self._view.body_names.index(name) for name in term["body_names"]]
        return self._view.get_measured_joint_forces()[0, bodies].cpu()


def terms_of(policy: Policy) -> dict[str, Term]:
    """Return the terms that `Policy.act` has to be given, but for those that follow from poses."""
    return {name: term for name, term in policy.required.items() if term["source"] not in POSE_SOURCES}


class _Others:
    """Finds what a policy's file names on its robot and beside it, in the views that the task has made.

    Args:
        robot: The robot's view.
        scene: The engine's scene, or None.
    """

    def __init__(self, robot: Any, scene: Scene | None) -> None:
        self._robot = robot
        robots, bodies = (scene.robots(), scene.bodies()) if scene else ({}, {})
        self._robots: dict[str, Any] = {_below(view.prim_paths[0])[0]: view for view in robots.values()}
        self._bodies: dict[str, tuple[Any, int]] = {}
        for view in bodies.values():
            for row, path in enumerate(view.prim_paths):
                parts = _below(path)
                if parts[0] not in self._robots:
                    self._bodies[parts[0]] = view, row

    def pose(self, name: str) -> tuple[Tensor, Tensor] | None:
        """Return position and orientation in the world of a body, a link or a frame; None for what is not there."""
        if name in self._bodies:
            view, row = self._bodies[name]
            return view.get_world_poses(indices=[row])
        view, frame = self._on(name)
        if view is None or frame not in view.frame_names:
            return None
        position, orientation = view.frame_poses(frame)
        return position + view.origins, orientation

    def velocity(self, name: str) -> Tensor:
        """Return the velocity of a body or a link, (6,)."""
        if name in self._bodies:
            view, row = self._bodies[name]
            return view.get_velocities(indices=[row])[0]
        view, link = self._on(name)
        if view is None or link not in view.body_names:
            raise MyriadError(f"The policy asks how fast {name!r} is, and the task has no such body.")
        return view.get_body_velocities(body_indices=[view.body_names.index(link)])[0, 0]

    def joint(self, name: str, position: bool) -> Tensor:
        """Return where a joint beside the robot is, or how fast, (1,)."""
        view, joint = self._on(name)
        if view is None or joint not in view.dof_names:
            raise MyriadError(f"The policy asks for joint {name!r}, which the task does not have.")
        read = view.get_joint_positions if position else view.get_joint_velocities
        return read(joint_indices=[view.get_dof_index(joint)])[0]

    def _on(self, name: str) -> tuple[Any, str]:
        thing, slash, part = name.partition("/")
        return (self._robots.get(thing), part) if slash else (self._robot, name)


def _below(path: str) -> list[str]:
    """Return the names of a prim of an environment and of those that it lies in, from below the environment on."""
    return path.split("/")[ENV_0_PATH.count("/") + 1 :]


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
    "body_velocity": Sensors._body_velocities,
    "object_joint_position": lambda sensors, term: sensors._object_joints(term, True),
    "object_joint_velocity": lambda sensors, term: sensors._object_joints(term, False),
    "command": Sensors._command,
    "target_heading_cosine": lambda sensors, _: sensors._projection(2),
    "target_angle_xz": lambda sensors, _: sensors._angle(5),
}
"""How each of `SOURCES` is measured, but for those of `POSE_SOURCES`; joints and actions are the runtime's own."""
