# SPDX-License-Identifier: Apache-2.0
"""A task's view of its robots: the running engine's own ArticulationView, which also knows frames and motors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from omni.myriad import engine
from omni.myriad.engine import Engine
from omni.myriad.errors import MyriadError
from omni.myriad.maths import quat_mul, quat_rotate
from omni.myriad.task.actuators import Actuator, ProportionalDerivative, effort_limits

if TYPE_CHECKING:
    from omni.myriad.engine import ArticulationView
else:
    ArticulationView = object


@dataclass(frozen=True)
class About:
    """What is known of a robot before physics runs.

    Args:
        frames: Places on links by name: `link`, `position` in m and `orientation` as wxyz in the link.
        home: Positions of joints to start in, rad or m.
        root: Where the root is authored, in m from the environment's origin and as wxyz; None if nobody knows.
        actuators: Its motors, where the task's YAML names some.
    """

    frames: Mapping[str, Any] = field(default_factory=dict)
    home: Mapping[str, float] = field(default_factory=dict)
    root: tuple[Sequence[float], Sequence[float]] | None = None
    actuators: Sequence[Actuator] = ()


class _Frame(NamedTuple):
    """A place on a link: position in m and orientation as wxyz in the link."""

    link: str
    position: Sequence[float]
    orientation: Sequence[float]


class _Places(NamedTuple):
    """Frames as tensors: K places, or without that dimension one."""

    links: Any
    positions: Tensor
    orientations: Tensor


class Robots(ArticulationView):
    """What tasks are given besides the methods of Isaac Sim's `ArticulationView`; `robot_view` makes one.

    A frame is a link, or a place on one that the robot's file names, such as "panda_hand_tcp". Asked for one frame,
    methods return (num_envs, ...), for a list of K frames (num_envs, K, ...). Positions are in m from the environment's
    origin, along the world's axes. Written states of joints and roots show with the next step.
    """

    def know(self, world: Engine, origins: Tensor, about: About) -> Robots:
        """Take note of what is known before physics runs, and return the view."""
        self._world, self._origins, self._about = world, origins, about
        self._places: dict[Any, _Places] = {}
        self._coms: Tensor | None = None
        self._armatures: Tensor | None = None
        self._effort_limits: Tensor | None = None
        self.motors: ProportionalDerivative | None = None
        return self

    def start(self) -> None:
        """Go home, and find the motors that are computed here, once physics runs.

        The root is put where it was authored, at rest: Isaac Sim has taken two steps by now, each of which turns even a
        held root by 1e-7, and what a task reads as its start should be the same on every engine.

        Raises:
            MyriadError: If the robot does not have a joint of its home.
        """
        about, names = self._about, self.dof_names
        self._effort_limits = effort_limits(about.actuators, names, self._world.device)
        self.motors = ProportionalDerivative.of(about.actuators, self)
        if about.home:
            positions = self.get_joint_positions()
            for joint, position in about.home.items():
                if joint not in names:
                    raise MyriadError(f"{self.name} has no joint {joint!r} to put home; it has: {', '.join(names)}.")
                positions[:, names.index(joint)] = position
            self.set_joint_positions(positions)
            self.set_joint_velocities(torch.zeros_like(positions))
        if about.root is not None:
            position, orientation = (torch.tensor(part, device=self._world.device) for part in about.root)
            count = len(self._origins)
            self.set_world_poses(self._origins + position, orientation.repeat(count, 1))
            self.set_velocities(torch.zeros((count, 6), device=self._world.device))

    @property
    def origins(self) -> Tensor:
        """Where the environments are in the world in m, (num_envs, 3)."""
        return self._origins

    def add_frame(self, name: str, link: str, position: Sequence[float], orientation: Sequence[float]) -> None:
        """Name a place on a link: its position in m and orientation as wxyz in the link."""
        frames = {**self._about.frames, name: _Frame(link, position, orientation)}
        self._about = replace(self._about, frames=frames)

    @property
    def frame_names(self) -> list[str]:
        """Names of the links and of the robot's other frames."""
        return [*self.body_names, *(name for name in self._about.frames if name not in self.body_names)]

    def frame_poses(self, frames: str | Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return positions (..., 3) in m and orientations (..., 4) as wxyz."""
        place = self._place(frames)
        positions, orientations = (part[:, place.links] for part in self._world.link_poses(self))
        positions = positions - self._per_env(self._origins, positions)
        offsets, turns = place.positions.expand_as(positions), place.orientations.expand_as(orientations)
        return positions + quat_rotate(orientations, offsets), quat_mul(orientations, turns)

    def frame_velocities(self, frames: str | Sequence[str]) -> Tensor:
        """Return linear (m/s) velocities of the frames' origins, and angular (rad/s) ones, (..., 6)."""
        place = self._place(frames)
        velocities = self._world.link_velocities(self)[:, place.links]
        linear, angular = velocities[..., :3], velocities[..., 3:]
        return torch.cat((linear + torch.linalg.cross(angular, self._levers(place)), angular), dim=-1)

    def frame_jacobians(self, frames: str | Sequence[str]) -> Tensor:
        """Return the maps from joint velocities to frame velocities, (..., 6, coordinates).

        As in `get_jacobians`, a floating root's six velocities come before the joints'.

        Raises:
            MyriadError: If a frame belongs to a root that is fixed to the world.
        """
        place = self._place(frames)
        jacobians = self.get_jacobians(clone=False)
        without_root = self.num_bodies - jacobians.shape[1]  # a fixed root has no rows
        if without_root and bool(torch.as_tensor(place.links).min() < 1):
            raise MyriadError(f"{self.name}: {frames} does not move, since the root is fixed to the world.")
        chosen = jacobians[:, place.links - without_root]
        linear, angular = chosen[..., :3, :], chosen[..., 3:, :]
        levers = self._levers(place).unsqueeze(-1).expand_as(angular)
        return torch.cat((linear + torch.linalg.cross(angular, levers, dim=-2), angular), dim=-2)

    def inertias(self) -> Tensor:
        """Return mass matrices with the armatures that joints began with, (num_envs, coordinates, coordinates).

        Isaac Sim's `get_mass_matrices` leaves armatures out, which joints feel all the same.
        """
        if self._armatures is None:
            self._armatures = self.get_armatures()[0].to(self._world.device)
        masses = self.get_mass_matrices()
        masses.diagonal(dim1=-2, dim2=-1)[:, -len(self._armatures) :] += self._armatures
        return masses

    def set_joint_efforts(self, efforts: Tensor, indices: Any = None, **joints: Any) -> None:
        """Apply efforts, (M, num_dof) in N m or N, cut to the limits of motors of kind effort and pd.

        Raises:
            MyriadError: If there are such limits and joints are named: the efforts of all are wanted, in their order.
        """
        if self._effort_limits is not None:
            if any(value is not None for value in joints.values()):
                raise MyriadError(
                    f"{self.name}: set_joint_efforts takes all joints in order, where motors have limits."
                )
            efforts = torch.clamp(efforts, -self._effort_limits, self._effort_limits)
        super().set_joint_efforts(efforts, indices, **joints)

    def _note_stiffness(self, dofs: Tensor | None) -> None:
        """Say once where position targets move nothing: no drives, and no motors that are computed here."""
        if self.motors is None:
            super()._note_stiffness(dofs)

    def _levers(self, place: _Places) -> Tensor:
        """Return the ways from the links' centres of mass, whose velocities engines know, to the frames."""
        if self._coms is None:
            self._coms = self.get_body_coms()[0][0].to(self._world.device)
        orientations = self._world.link_poses(self)[1][:, place.links]
        levers = place.positions - self._coms[place.links]
        return quat_rotate(orientations, levers.expand(*orientations.shape[:-1], 3))

    def _place(self, frames: str | Sequence[str]) -> _Places:
        one = isinstance(frames, str)
        key = frames if one else tuple(frames)
        if key not in self._places:
            device = self._world.device
            links, positions, orientations = zip(*map(self._find, [frames] if one else frames), strict=True)
            indices = [self.body_names.index(link) for link in links]
            numbers = torch.tensor(positions, device=device), torch.tensor(orientations, device=device)
            if one:
                self._places[key] = _Places(indices[0], numbers[0][0], numbers[1][0])
            else:
                self._places[key] = _Places(torch.tensor(indices, device=device), *numbers)
        return self._places[key]

    def _find(self, name: str) -> tuple[str, Sequence[float], Sequence[float]]:
        if name in self.body_names:
            return name, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)
        frame = self._about.frames.get(name)
        if frame is None:
            raise MyriadError(f"{self.name} has no frame {name!r}; it has: {', '.join(self.frame_names)}.")
        return frame.link, frame.position, frame.orientation

    @staticmethod
    def _per_env(rows: Tensor, like: Tensor) -> Tensor:
        return rows if like.ndim == 2 else rows.unsqueeze(1)


def robot_view(world: Engine, origins: Tensor, prim_paths_expr: str, name: str, about: About) -> Robots:
    """Make a view of robots, which is an `ArticulationView` of the running engine.

    Args:
        world: The engine.
        origins: Where the environments are in the world in m, (num_envs, 3); the tensor is kept.
        prim_paths_expr: Expression of the robots, such as "/World/envs/.*/Robot".
        name: Name under which the scene registers the view.
        about: What is known of the robots.
    """
    return _class_on(engine.ArticulationView)(prim_paths_expr, name=name).know(world, origins, about)


@cache
def _class_on(base: type) -> type[Robots]:
    """Return Robots on top of an engine's class, which is known only once the engine runs."""
    return type("Robots", (Robots, base), {})
