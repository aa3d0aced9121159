# SPDX-License-Identifier: Apache-2.0
"""What the views of every engine promise, and what they share.

Names, arguments, shapes and semantics are those of Isaac Sim's `isaacsim.core.prims.Articulation` and `RigidPrim`:
those are views without inheriting from these.
"""

from __future__ import annotations

import logging
import operator
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from omni.myriad.engine import checks

logger = logging.getLogger(__name__)

Indices = Tensor | Sequence[int] | None
Names = Sequence[str] | None
Poses = tuple[Tensor, Tensor]

_DOF_POSITION = "ARTICULATION_DOF_POSITION"
_DOF_VELOCITY = "ARTICULATION_DOF_VELOCITY"
_POSITION_TARGET = "ARTICULATION_DOF_POSITION_TARGET"
_VELOCITY_TARGET = "ARTICULATION_DOF_VELOCITY_TARGET"
_EFFORT = "ARTICULATION_DOF_ACTUATION_FORCE"
_STIFFNESS = "ARTICULATION_DOF_STIFFNESS"
_DAMPING = "ARTICULATION_DOF_DAMPING"
_ARMATURE = "ARTICULATION_DOF_ARMATURE"

_FIRST_LOOKS = 8
"""How often the values of an argument are looked at for NaN."""
_CONTROL_MODES = ("position", "velocity", "effort")


class DofType(IntEnum):
    """What a degree of freedom does, with the names and numbers of `omni.physics.tensors.DofType`."""

    Rotation = 0
    Translation = 1


@dataclass
class ArticulationActions:
    """Targets and efforts for `ArticulationView.apply_action`, with Isaac Sim's field names.

    Attributes:
        joint_positions: Position targets in rad or m, (M, K).
        joint_velocities: Velocity targets in rad/s or m/s, (M, K).
        joint_efforts: Efforts in N m or N, (M, K); K must be all degrees of freedom.
        joint_indices: Degrees of freedom, (K,); None means all.
        joint_names: Degrees of freedom by name, instead of `joint_indices`.
    """

    joint_positions: Tensor | None = None
    joint_velocities: Tensor | None = None
    joint_efforts: Tensor | None = None
    joint_indices: Any = None
    joint_names: list[str] | None = None


@dataclass
class JointsState:
    """Joint positions (rad or m), velocities (rad/s or m/s) and efforts (N m or N), (N, num_dof) each."""

    positions: Tensor | None
    velocities: Tensor | None
    efforts: Tensor | None


@dataclass
class XFormPrimViewState:
    """World positions (N, 3) in m and orientations (N, 4) as wxyz."""

    positions: Tensor | None
    orientations: Tensor | None


@dataclass
class DynamicsViewState(XFormPrimViewState):
    """World positions (N, 3), orientations (N, 4) as wxyz, linear (m/s) and angular (rad/s) velocities (N, 3)."""

    linear_velocities: Tensor | None
    angular_velocities: Tensor | None


class View(Protocol):
    """A batch of prims, the same ones in every environment, in environment order.

    Poses are in metres and wxyz, velocities in m/s and rad/s in the world frame; (M, ...) for the M prims of `indices`,
    of which None means all. A linear velocity is that of the prim's centre of mass. With `clone=False` a getter of all
    prims may return the view's own buffer, which the next read overwrites.

    How quantities are read and written is up to the engine (`_read`, `_write`); they have PhysX's names here.

    Attributes:
        name: Name under which the scene registers the view.
    """

    _POSE: ClassVar[str]
    _VELOCITY: ClassVar[str]

    name: str
    _engine: Any = None
    _device: torch.device
    _checked: dict[str, tuple[Any, int, int, Tensor]]
    _looks: dict[str, int]

    @property
    def count(self) -> int:
        """Number of prims: those of one environment times `num_envs`."""
        ...

    @property
    def prim_paths(self) -> list[str]:
        """Paths of all prims, in the order of the rows of every tensor: all of one environment, then the next one's."""
        ...

    def bind(self, engine: Any) -> None:
        """Connect the view to the engine whose scene it was added to."""
        self._engine, self._device, self._checked, self._looks = engine, engine.device, {}, {}

    def initialize(self, physics_sim_view: Any = None) -> None:
        """Connect the view to running physics; `Engine.reset` does it."""

    # -- poses and velocities in the world ----------------------------------------------------------------------------

    def get_world_poses(self, indices: Indices = None, clone: bool = True, usd: bool = True) -> Poses:
        """Return positions (M, 3) in m and orientations (M, 4) as wxyz, in the world frame.

        Args:
            indices: Prims; None means all.
            clone: Whether to copy the view's buffer.
            usd: Accepted for Isaac Sim's sake and unused: physics holds the poses.
        """
        return self._read_poses(self._POSE, indices, None, clone)

    def set_world_poses(
        self,
        positions: Tensor | None = None,
        orientations: Tensor | None = None,
        indices: Indices = None,
        usd: bool = True,
    ) -> None:
        """Put prims at positions (M, 3) in m and orientations (M, 4) as wxyz, in the world frame.

        Args:
            positions: None leaves them as they are.
            orientations: None leaves them as they are.
            indices: Prims; None means all.
            usd: Accepted for Isaac Sim's sake and unused: physics holds the poses.
        """
        self._require_movable("poses")
        self._write_poses(self._POSE, positions, orientations, indices)

    def get_velocities(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return linear (m/s) and angular (rad/s) velocities in the world frame, (M, 6)."""
        return self._read(self._VELOCITY, indices, None, clone)

    def set_velocities(self, velocities: Tensor, indices: Indices = None) -> None:
        """Set linear (m/s) and angular (rad/s) velocities in the world frame, (M, 6)."""
        self._require_movable("velocities")
        self._write(self._VELOCITY, "velocities", velocities, indices)

    def get_linear_velocities(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return linear velocities in the world frame, (M, 3) in m/s."""
        velocities = self._read(self._VELOCITY, indices, None, False)[:, :3]
        return velocities.clone() if checks.as_flag("clone", clone) else velocities

    def get_angular_velocities(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return angular velocities in the world frame, (M, 3) in rad/s."""
        velocities = self._read(self._VELOCITY, indices, None, False)[:, 3:]
        return velocities.clone() if checks.as_flag("clone", clone) else velocities

    # -- what an engine does ------------------------------------------------------------------------------------------

    def _read(self, tensor_type: str, indices: Indices, columns: Tensor | None, clone: bool) -> Tensor:
        """Read rows, and columns of the second dimension, of a quantity, on the engine's device."""
        ...

    def _write(self, tensor_type: str, name: str, values: Any, indices: Indices, columns: Tensor | None = None) -> None:
        """Write rows, and columns of the second dimension, of a quantity; columns left out keep their value."""

    def _read_poses(self, tensor_type: str, indices: Indices, columns: Tensor | None, clone: bool) -> Poses:
        """Read positions (M, ..., 3) and orientations (M, ..., 4) as wxyz, where PhysX has xyzw."""
        poses = self._read(tensor_type, indices, columns, False)
        positions = poses[..., :3]
        return positions.clone() if checks.as_flag("clone", clone) else positions, poses[..., 3:].roll(1, -1)

    def _write_poses(
        self,
        tensor_type: str,
        positions: Tensor | None,
        orientations: Tensor | None,
        indices: Indices,
        columns: Tensor | None = None,
    ) -> None:
        """Write positions (M, ..., 3) and orientations (M, ..., 4) as wxyz; what is None keeps its value."""

    def _require_movable(self, what: str) -> None:
        """Raise if this view's prims cannot be moved one by one."""

    # -- checks of arguments ------------------------------------------------------------------------------------------

    def _index(self, name: str, indices: Indices, size: int) -> Tensor | None:
        """Check indices once: the check waits for the GPU, and tasks pass the same tensor step after step."""
        if indices is None:
            return None
        cached = self._checked.get(name)
        if isinstance(indices, Tensor):
            version = -1 if indices.is_inference() else indices._version
            if cached is not None and cached[0] is indices and cached[1] == version >= 0 and cached[2] == size:
                return cached[3]
        elif isinstance(indices, (list, tuple, range)):
            version, indices = 0, list(indices)
            if cached is not None and isinstance(cached[0], list) and cached[0] == indices and cached[2] == size:
                return cached[3]
        else:
            return checks.as_indices(name, indices, size, self._device)
        checked = checks.as_indices(name, indices, size, self._device)
        self._checked[name] = (indices, version, size, checked)
        return checked

    def _rows(self, indices: Indices) -> Tensor | None:
        """Check prim indices; None stays None and means all."""
        return None if indices is None else self._index("indices", indices, self.count)

    def _num_rows(self, rows: Tensor | None) -> int:
        return self.count if rows is None else len(rows)

    def _pick(self, values: Tensor, indices: Indices) -> Tensor:
        rows = self._rows(indices)
        return values if rows is None else values[rows]

    def _values(self, name: str, values: Any, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Check values, those that an argument gets first for NaN too: to look at all of them would wait for the GPU.

        What becomes NaN later is found by the learner, in the observations that come of it.
        """
        checked = checks.as_values(name, values, shape, self._device, dtype)
        looks = self._looks.get(name, 0)
        if looks < _FIRST_LOOKS or not isinstance(values, Tensor):
            self._looks[name] = looks + 1
            checks.refuse_nan(name, checked)
        return checked

    def _floats(self, name: str, values: Any, shape: tuple[int, ...]) -> Tensor:
        return self._values(name, values, shape, torch.float32)


class RigidView(View, Protocol):
    """Rigid bodies, any number in every environment: all of one, then all of the next."""

    @property
    def is_non_root_articulation_link(self) -> bool:
        """Whether some of the bodies are links that only joints can move."""
        ...

    def get_net_contact_forces(self, indices: Indices = None, clone: bool = True, dt: float = 1.0) -> Tensor:
        """Return the sum of the normal forces that act on each body, (M, 3), in the world frame.

        Args:
            indices: Bodies; None means all.
            clone: Accepted for Isaac Sim's sake: the result is always a copy.
            dt: Physics step in seconds for a result in N; 1.0 for impulses in N s.
        """
        ...


class RobotView(View, Protocol):
    """Articulations, one in every environment; poses and velocities are those of their root links.

    What a method takes and returns has M rows, one for each articulation of `indices`, and K columns, one for each
    degree of freedom of `joint_indices` or `joint_names`, or one for each link of `body_indices`; None means all. Their
    order is PhysX's and not the USD file's (`dof_names`, `body_names`): look indices up by name.
    """

    _POSE = "ARTICULATION_ROOT_POSE"
    _VELOCITY = "ARTICULATION_ROOT_VELOCITY"

    _body_names: list[str]
    _joint_names: list[str]
    _dof_names: list[str]
    _default_kps: Tensor
    _default_kds: Tensor

    # -- names and counts ---------------------------------------------------------------------------------------------

    @property
    def num_dof(self) -> int:
        """Number of degrees of freedom of one articulation, the root's aside."""
        return len(self._dof_names)

    @property
    def num_bodies(self) -> int:
        """Number of links of one articulation."""
        return len(self._body_names)

    @property
    def body_names(self) -> list[str]:
        """Names of the links, in the order of every body tensor; the first one is the root."""
        return list(self._body_names)

    @property
    def dof_names(self) -> list[str]:
        """Names of the degrees of freedom, in the order of every dof tensor; a ball joint has "joint:0" and so on."""
        return list(self._dof_names)

    def get_body_index(self, body_name: str) -> int:
        """Return the index of a link."""
        return checks.as_name_indices("body_name", [body_name], self._body_names)[0]

    def get_link_index(self, link_name: str) -> int:
        """Return the index of a link; the same as `get_body_index`."""
        return checks.as_name_indices("link_name", [link_name], self._body_names)[0]

    def get_dof_index(self, dof_name: str) -> int:
        """Return the index of a degree of freedom."""
        return checks.as_name_indices("dof_name", [dof_name], self._dof_names)[0]

    # -- which columns ------------------------------------------------------------------------------------------------

    def _dofs(self, joint_indices: Indices, joint_names: Names) -> Tensor | None:
        """Return degrees of freedom as indices; None means all."""
        if joint_indices is None and joint_names is None:
            return None
        self._require_one_of(joint_indices, joint_names)
        if joint_names is not None:
            joint_indices = checks.as_name_indices("joint_names", joint_names, self._dof_names)
        return self._index("joint_indices", joint_indices, len(self._dof_names))

    def _all_dofs(self, name: str, joint_indices: Indices, joint_names: Names) -> Tensor | None:
        dofs = self._dofs(joint_indices, joint_names)
        if dofs is not None and len(dofs) != len(self._dof_names):
            raise checks.ArgumentError(
                f"{name} must be given for all {len(self._dof_names)} joints, got {len(dofs)}: of the others, Isaac "
                "Sim 5.1 would zero the efforts and 6.0 would keep them."
            )
        return dofs

    def _require_one_of(self, joint_indices: Indices, joint_names: Names) -> None:
        if joint_indices is not None and joint_names is not None:
            raise checks.ArgumentError("joint_indices and joint_names cannot both be given.")

    def _bodies(self, body_indices: Indices) -> Tensor | None:
        return self._index("body_indices", body_indices, len(self._body_names))

    # -- joint state: rad and rad/s, or m and m/s ---------------------------------------------------------------------

    def get_joint_positions(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> Tensor:
        """Return joint positions, (M, K) in rad or m."""
        return self._read(_DOF_POSITION, indices, self._dofs(joint_indices, joint_names), clone)

    def set_joint_positions(
        self, positions: Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Put joints at positions, (M, K) in rad or m, and make those their position targets too."""
        dofs = self._dofs(joint_indices, joint_names)
        self._write(_DOF_POSITION, "positions", positions, indices, dofs)
        self._write(_POSITION_TARGET, "positions", positions, indices, dofs)

    def get_joint_velocities(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> Tensor:
        """Return joint velocities, (M, K) in rad/s or m/s."""
        return self._read(_DOF_VELOCITY, indices, self._dofs(joint_indices, joint_names), clone)

    def set_joint_velocities(
        self, velocities: Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Give joints velocities, (M, K) in rad/s or m/s, and make those their velocity targets too."""
        dofs = self._dofs(joint_indices, joint_names)
        self._write(_DOF_VELOCITY, "velocities", velocities, indices, dofs)
        self._write(_VELOCITY_TARGET, "velocities", velocities, indices, dofs)

    # -- targets and efforts ------------------------------------------------------------------------------------------

    def set_joint_position_targets(
        self, positions: Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Set what the drives' stiffness pulls to, (M, K) in rad or m; said once, where none of the joints has any."""
        dofs = self._dofs(joint_indices, joint_names)
        self._write(_POSITION_TARGET, "positions", positions, indices, dofs)
        self._note_stiffness(dofs)

    def set_joint_velocity_targets(
        self, velocities: Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Set what the drives' damping pulls to, (M, K) in rad/s or m/s."""
        self._write(_VELOCITY_TARGET, "velocities", velocities, indices, self._dofs(joint_indices, joint_names))

    def set_joint_efforts(
        self, efforts: Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Apply efforts, (M, K) in N m or N, at every step until they are overwritten.

        Raises:
            ArgumentError: If only some joints are named: Isaac Sim up to 5.1 zeroes the others, 6.0 keeps them, so a
                task that did this would behave differently there. Write all joints.
        """
        self._write(_EFFORT, "efforts", efforts, indices, self._all_dofs("efforts", joint_indices, joint_names))

    def apply_action(self, control_actions: ArticulationActions, indices: Indices = None) -> None:
        """Write targets and efforts at once.

        Args:
            control_actions: Position targets, velocity targets and efforts, (M, K) each; None leaves them as they are.
            indices: Articulations; None means all.

        Raises:
            ArgumentError: If efforts come for some joints only; see `set_joint_efforts`.
        """
        # Whatever has the fields will do, as in Isaac Sim, whose own class is another.
        if any(not hasattr(control_actions, field.name) for field in fields(ArticulationActions)):
            kind = type(control_actions).__name__
            raise checks.ArgumentError(
                f"control_actions must be ArticulationActions(joint_positions=..., ...), got {kind}."
            )
        joints = (control_actions.joint_indices, control_actions.joint_names)
        if control_actions.joint_efforts is not None:
            self._all_dofs("control_actions.joint_efforts", *joints)
        dofs = self._dofs(*joints)
        for tensor_type, name in (
            (_POSITION_TARGET, "joint_positions"),
            (_VELOCITY_TARGET, "joint_velocities"),
            (_EFFORT, "joint_efforts"),
        ):
            values = getattr(control_actions, name)
            if values is not None:
                self._write(tensor_type, f"control_actions.{name}", values, indices, dofs)
        if control_actions.joint_positions is not None:
            self._note_stiffness(dofs)

    def _note_stiffness(self, dofs: Tensor | None) -> None:
        """Say once where position targets move nothing, unless a state is restored, which has targets in any case."""
        if self._engine._restoring or _STIFFNESS in self._looks:
            return
        if torch.cuda.is_available() and torch.cuda.is_current_stream_capturing():
            return
        self._looks[_STIFFNESS] = 1
        kps = self._default_kps[selection(None, dofs, self._default_kps.device)]
        if not bool(kps.any()):
            names = self._dof_names if dofs is None else [self._dof_names[i] for i in dofs.tolist()]
            what = "%s: position targets move nothing, for no drive of %s has stiffness: set_gains(kps=...) gives it"
            logger.warning(what, self.name, ", ".join(names))

    def get_applied_actions(self, clone: bool = True) -> ArticulationActions:
        """Return the position targets, velocity targets and efforts last set, (count, num_dof) each."""
        return ArticulationActions(*self._applied(clone))

    def _applied(self, clone: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        return (
            self._read(_POSITION_TARGET, None, None, clone),
            self._read(_VELOCITY_TARGET, None, None, clone),
            self._read(_EFFORT, None, None, clone),
        )

    def get_applied_joint_efforts(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> Tensor:
        """Return the efforts last set, (M, K) in N m or N."""
        return self._read(_EFFORT, indices, self._dofs(joint_indices, joint_names), clone)

    def get_measured_joint_forces(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> Tensor:
        """Return force and torque that each link's incoming joint transmitted in the last step, (M, K, 6) in N and N m.

        They are in the joint's frame, and the root's row is zero.

        Args:
            indices: Articulations; None means all.
            joint_indices: Links, counted as in `body_names`: entry 0 is the root link, the joint `joint_names[i]` leads
                to entry i + 1. None means all num_bodies.
            joint_names: Joints by name, translated to their links.
            clone: Whether to copy the view's buffer.
        """
        self._require_one_of(joint_indices, joint_names)
        if joint_names is not None:
            joint_indices = [i + 1 for i in checks.as_name_indices("joint_names", joint_names, self._joint_names)]
        links = self._index("joint_indices", joint_indices, len(self._body_names))
        return self._read("ARTICULATION_LINK_INCOMING_JOINT_FORCE", indices, links, clone)

    # -- gains: N m/rad and N m s/rad, or N/m and N s/m, where USD's angular drives count degrees ---------------------

    def get_gains(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Return stiffness and damping of the drives, (M, K) each."""
        dofs = self._dofs(joint_indices, joint_names)
        return self._read(_STIFFNESS, indices, dofs, clone), self._read(_DAMPING, indices, dofs, clone)

    def set_gains(
        self,
        kps: Tensor | None = None,
        kds: Tensor | None = None,
        indices: Indices = None,
        joint_indices: Indices = None,
        joint_names: Names = None,
        save_to_usd: bool = False,
    ) -> None:
        """Set stiffness and damping of the drives, (M, K) each; these become what `switch_control_mode` returns to.

        Args:
            kps: Stiffness; None leaves it as it is.
            kds: Damping; None leaves it as it is.
            indices: Articulations; None means all.
            joint_indices: Degrees of freedom; None means all.
            joint_names: Degrees of freedom by name.
            save_to_usd: Must be False: clones are not on the stage.
        """
        if checks.as_flag("save_to_usd", save_to_usd):
            raise NotImplementedError("set_gains: save_to_usd=True needs clones on the USD stage; physics made them.")
        dofs = self._dofs(joint_indices, joint_names)
        self._write_gains(kps, kds, indices, dofs)
        if indices is None and dofs is None:
            self._default_kps, self._default_kds = self.get_gains()
            return
        where = selection(self._rows(indices), dofs, self._device)
        now_kps, now_kds = self.get_gains(clone=False)
        if kps is not None:
            self._default_kps[where] = now_kps[where]
        if kds is not None:
            self._default_kds[where] = now_kds[where]

    def switch_control_mode(
        self, mode: str, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Control joints by position, velocity or effort alone, by dropping the gains that would interfere.

        "position" restores stiffness and damping, "velocity" keeps the damping, "effort" has neither.

        Args:
            mode: "position", "velocity" or "effort".
            indices: Articulations; None means all.
            joint_indices: Degrees of freedom; None means all.
            joint_names: Degrees of freedom by name.
        """
        checks.as_choice("mode", mode, _CONTROL_MODES)
        dofs = self._dofs(joint_indices, joint_names)
        where = selection(self._rows(indices), dofs, self._device)
        kps, kds = self._default_kps[where], self._default_kds[where]
        if mode != "position":
            kps = torch.zeros_like(kps)
        if mode == "effort":
            kds = torch.zeros_like(kds)
        self._write_gains(kps, kds, indices, dofs)

    def switch_dof_control_mode(self, mode: str, dof_index: int, indices: Indices = None) -> None:
        """Switch one degree of freedom; see `switch_control_mode`."""
        try:
            dofs = [operator.index(dof_index)]
        except (TypeError, RuntimeError):
            kind = type(dof_index).__name__
            raise checks.ArgumentError(f"dof_index must be a whole number, got {kind}.") from None
        self._index("dof_index", dofs, len(self._dof_names))
        self.switch_control_mode(mode, indices, joint_indices=dofs)

    def _write_gains(self, kps: Tensor | None, kds: Tensor | None, indices: Indices, dofs: Tensor | None) -> None:
        if kps is not None:
            self._write(_STIFFNESS, "kps", kps, indices, dofs)
        if kds is not None:
            self._write(_DAMPING, "kds", kds, indices, dofs)

    # -- limits and armature of joints --------------------------------------------------------------------------------

    def get_dof_limits(self) -> Tensor:
        """Return lower and upper limits in rad or m, (N, num_dof, 2), always on the CPU, as in Isaac Sim."""
        ...

    def get_max_efforts(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> Tensor:
        """Return the largest effort of each drive, (M, K) in N m or N."""
        return self._read("ARTICULATION_DOF_MAX_FORCE", indices, self._dofs(joint_indices, joint_names), clone)

    def get_joint_max_velocities(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> Tensor:
        """Return the largest velocity of each joint, (M, K) in rad/s or m/s."""
        return self._read("ARTICULATION_DOF_MAX_VELOCITY", indices, self._dofs(joint_indices, joint_names), clone)

    def get_armatures(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> Tensor:
        """Return the inertia that is added along each degree of freedom, (M, K) in kg m^2 or kg."""
        return self._read(_ARMATURE, indices, self._dofs(joint_indices, joint_names), clone)

    def set_armatures(
        self, values: Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Set the inertia that is added along each degree of freedom, (M, K) in kg m^2 or kg."""
        self._write(_ARMATURE, "values", values, indices, self._dofs(joint_indices, joint_names))

    # -- links --------------------------------------------------------------------------------------------------------

    def get_body_poses(self, indices: Indices = None, body_indices: Indices = None, clone: bool = True) -> Poses:
        """Return the links' positions (M, K, 3) in m and orientations (M, K, 4) as wxyz, in the world frame.

        With PhysX on CUDA they follow written joint and root states with the next step or with the engine's
        `update_kinematics`, elsewhere at once.
        """
        return self._read_poses("ARTICULATION_LINK_POSE", indices, self._bodies(body_indices), clone)

    def get_body_velocities(self, indices: Indices = None, body_indices: Indices = None, clone: bool = True) -> Tensor:
        """Return linear (m/s, centre of mass) and angular (rad/s) velocities in the world frame, (M, K, 6)."""
        return self._read("ARTICULATION_LINK_VELOCITY", indices, self._bodies(body_indices), clone)


def selection(rows: Tensor | None, columns: Tensor | None, device: torch.device) -> tuple[Any, ...]:
    """Return what picks rows and columns of a tensor on `device`; a plain slice, and so a view, if all are wanted."""
    if rows is None:
        return (slice(None),) if columns is None else (slice(None), columns.to(device))
    if columns is None:
        return (rows.to(device),)
    return rows.to(device)[:, None], columns.to(device)
