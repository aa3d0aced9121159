# SPDX-License-Identifier: Apache-2.0
"""A MuJoCo robot seen as tasks see theirs: the part of `ArticulationView` that tasks use, for one robot."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from omni.myriad.engine.base import ArticulationActions, Indices, RigidView
from omni.myriad.engine.mujoco.robot import UNLIMITED
from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from omni.myriad.engine.mujoco.engine import MujocoEngine

try:
    mujoco: Any = importlib.import_module("mujoco")  # its members are not known to type checkers
except ImportError:
    raise MyriadError("engine=mujoco needs MuJoCo, which is not installed: pip install 'mujoco>=3.2'.") from None

logger = logging.getLogger(__name__)
mujoco.set_mju_user_warning(lambda message: logger.warning("MuJoCo: %s", message))  # else into a file where we stand

Tensor = torch.Tensor


class NotInMujocoError(MyriadError, AttributeError):
    """A task asked for what the robot in MuJoCo does not have."""


class RigidPrimView(RigidView):
    """Refuses to be made: MuJoCo has the robot alone."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotInMujocoError("The task looks at bodies besides its robot: MuJoCo has the robot alone.")


class ArticulationView:
    """One robot in MuJoCo, under the names, shapes, orders, units and frames of PhysX's `ArticulationView`.

    Three things are said differently by the two engines, and brought together here. MuJoCo's free joint has the
    velocity of the body's origin and turns in the body's frame, PhysX's root has that of the centre of mass and turns
    in the world. MuJoCo transmits forces and torques about the centre of mass of the whole tree, in the world, PhysX at
    the joint, in the child's joint frame. MuJoCo's joints and bodies come depth first, PhysX's breadth first: names
    decide.

    Args:
        prim_paths_expr: Expression of the robot; it is the only one there is.
        name: Name under which the scene registers the view.
        options: Isaac Sim's others, none of which can be given.
    """

    count = 1

    def __init__(self, prim_paths_expr: str | list[str], name: str = "articulation_prim_view", **options: Any) -> None:
        if options:
            raise NotInMujocoError(f"ArticulationView({next(iter(options))}=...) is not to be had in MuJoCo.")
        self.name = name
        self._engine: MujocoEngine | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise MyriadError(f"View {self.name!r} has no physics yet: scene.add(view), then reset the engine.")
        raise NotInMujocoError(f"The task asks its robot for {name}, which the robot in MuJoCo does not have.")

    def bind(self, engine: MujocoEngine) -> None:
        """Connect the view to the engine whose scene it was added to."""
        self._engine = engine

    def initialize(self, physics_sim_view: Any = None) -> None:
        """Find the robot in MuJoCo's model, and give it the state and the drives that USD says."""
        assert self._engine is not None
        robot, model, data = self._engine.robot, self._engine.model, self._engine.data
        self._robot, self._model, self._data = robot, model, data
        self.dof_names, self.body_names = [dof.name for dof in robot.dofs], [name for name, *_ in robot.links]
        self._joints = np.array([model.joint(name).id for name in self.dof_names], dtype=int)
        self._positions, self._velocities = model.jnt_qposadr[self._joints], model.jnt_dofadr[self._joints]
        self._bodies = [model.body(name).id for name in self.body_names]
        self._root = self._bodies[0]
        first = model.body_jntadr[self._root]
        free = first >= 0 and model.jnt_type[first] == mujoco.mjtJoint.mjJNT_FREE
        self._free = (int(model.jnt_qposadr[first]), int(model.jnt_dofadr[first])) if free else None
        self._efforts, self._velocity_targets = np.zeros(self.num_dof), np.zeros(self.num_dof)
        self._wrenches = np.zeros((self.num_bodies, 6))
        self._stale = True
        position, orientation = robot.root_pose
        self.set_world_poses(torch.from_numpy(position)[None], torch.from_numpy(orientation)[None])
        _, _, *drives, positions, targets = torch.tensor([dof[1:] for dof in robot.dofs]).view(-1, 7).T[:, None]
        self.set_gains(*drives[:2])
        self.set_armatures(drives[2])
        self.set_joint_positions(positions)
        self.set_joint_position_targets(targets)

    # -- names --------------------------------------------------------------------------------------------------------

    @property
    def prim_paths(self) -> list[str]:
        """The path of the robot's articulation root."""
        return [self._robot.prim_path]

    @property
    def num_dof(self) -> int:
        """Number of degrees of freedom, the root's aside."""
        return len(self.dof_names)

    @property
    def num_bodies(self) -> int:
        """Number of links."""
        return len(self.body_names)

    def get_dof_index(self, dof_name: str) -> int:
        """Return the place of a degree of freedom."""
        return _place(dof_name, self.dof_names)

    def get_body_index(self, body_name: str) -> int:
        """Return the place of a link."""
        return _place(body_name, self.body_names)

    get_link_index = get_body_index

    def get_dof_limits(self) -> Tensor:
        """Return lower and upper limits, (1, num_dof, 2)."""
        return torch.tensor([(dof.lower, dof.upper) for dof in self._robot.dofs]).view(1, -1, 2)

    # -- joints -------------------------------------------------------------------------------------------------------

    def get_joint_positions(self, indices: Indices = None, joint_indices: Indices = None, clone: bool = True) -> Tensor:
        """Return joint positions, (1, K) in rad or m."""
        return _row(self._data.qpos[self._positions][_index(joint_indices)])

    def get_joint_velocities(
        self, indices: Indices = None, joint_indices: Indices = None, clone: bool = True
    ) -> Tensor:
        """Return joint velocities, (1, K) in rad/s or m/s."""
        return _row(self._data.qvel[self._velocities][_index(joint_indices)])

    def set_joint_positions(self, positions: Tensor, indices: Indices = None, joint_indices: Indices = None) -> None:
        """Put joints at positions, and make those their targets too."""
        self._data.qpos[self._positions[_index(joint_indices)]] = _values(positions)
        self.set_joint_position_targets(positions, indices, joint_indices)
        self._stale = True

    def set_joint_velocities(self, velocities: Tensor, indices: Indices = None, joint_indices: Indices = None) -> None:
        """Give joints velocities, and make those their targets too."""
        self._data.qvel[self._velocities[_index(joint_indices)]] = _values(velocities)
        self.set_joint_velocity_targets(velocities, indices, joint_indices)
        self._stale = True

    def set_joint_position_targets(
        self, positions: Tensor, indices: Indices = None, joint_indices: Indices = None
    ) -> None:
        """Set where the springs of the drives pull to."""
        self._model.qpos_spring[self._positions[_index(joint_indices)]] = _values(positions)

    def set_joint_velocity_targets(
        self, velocities: Tensor, indices: Indices = None, joint_indices: Indices = None
    ) -> None:
        """Set what the dampers of the drives pull to."""
        self._velocity_targets[_index(joint_indices)] = _values(velocities)

    def set_joint_efforts(self, efforts: Tensor, indices: Indices = None, joint_indices: Indices = None) -> None:
        """Apply efforts in every step until they are overwritten."""
        self._efforts[_index(joint_indices)] = _values(efforts)

    def get_applied_actions(self, clone: bool = True) -> ArticulationActions:
        """Return targets and efforts of all joints."""
        return ArticulationActions(
            joint_positions=_row(self._model.qpos_spring[self._positions]),
            joint_velocities=_row(self._velocity_targets),
            joint_efforts=_row(self._efforts),
        )

    def get_measured_joint_forces(
        self, indices: Indices = None, joint_indices: Indices = None, clone: bool = True
    ) -> Tensor:
        """Return what each link's incoming joint transmitted to it in the last step, (1, K, 6) in N and N m."""
        return _row(self._wrenches[_index(joint_indices)])

    # -- drives -------------------------------------------------------------------------------------------------------

    def get_gains(
        self, indices: Indices = None, joint_indices: Indices = None, clone: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Return stiffness and damping of the drives, (1, K) each."""
        which = _index(joint_indices)
        stiffness = self._model.jnt_stiffness[self._joints[which]]
        return _row(stiffness), _row(self._model.dof_damping[self._velocities[which]])

    def set_gains(
        self,
        kps: Tensor | None = None,
        kds: Tensor | None = None,
        indices: Indices = None,
        joint_indices: Indices = None,
    ) -> None:
        """Set stiffness and damping of the drives, (1, K) each; None leaves them as they are."""
        which = _index(joint_indices)
        if kps is not None:
            self._model.jnt_stiffness[self._joints[which]] = _values(kps)
        if kds is not None:
            self._model.dof_damping[self._velocities[which]] = _values(kds)

    def get_armatures(self, indices: Indices = None, joint_indices: Indices = None, clone: bool = True) -> Tensor:
        """Return the inertia added along each degree of freedom, (1, K) in kg m^2 or kg."""
        return _row(self._model.dof_armature[self._velocities[_index(joint_indices)]])

    def set_armatures(self, values: Tensor, indices: Indices = None, joint_indices: Indices = None) -> None:
        """Set the inertia added along each degree of freedom, (1, K) in kg m^2 or kg."""
        self._model.dof_armature[self._velocities[_index(joint_indices)]] = _values(values)

    def get_max_efforts(self, indices: Indices = None, joint_indices: Indices = None, clone: bool = True) -> Tensor:
        """Return that efforts have no limit, (1, K)."""
        return _row(np.full(self.num_dof, UNLIMITED)[_index(joint_indices)])

    def get_joint_max_velocities(
        self, indices: Indices = None, joint_indices: Indices = None, clone: bool = True
    ) -> Tensor:
        """Return that velocities have no limit, (1, K)."""
        return self.get_max_efforts(indices, joint_indices)

    # -- root and links -----------------------------------------------------------------------------------------------

    def get_world_poses(self, indices: Indices = None, clone: bool = True, usd: bool = True) -> tuple[Tensor, Tensor]:
        """Return the root's position (1, 3) and orientation (1, 4) as wxyz."""
        self._refresh()
        return _row(self._data.xpos[self._root]), _row(self._data.xquat[self._root])

    def set_world_poses(
        self,
        positions: Tensor | None = None,
        orientations: Tensor | None = None,
        indices: Indices = None,
        usd: bool = True,
    ) -> None:
        """Put the root somewhere; one that is fixed is moved with what it is fixed to."""
        if self._free:
            place = self._data.qpos[self._free[0] : self._free[0] + 7]
            position, orientation = place[:3], place[3:]
        else:
            position, orientation = self._model.body_pos[self._root], self._model.body_quat[self._root]
        if positions is not None:
            position[:] = _values(positions)
        if orientations is not None:
            orientation[:] = _values(orientations)
        self._stale = True

    def get_velocities(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return the root's linear velocity, of its centre of mass, and angular velocity in the world, (1, 6)."""
        return self.get_body_velocities(body_indices=[0])[:, 0]

    def set_velocities(self, velocities: Tensor, indices: Indices = None) -> None:
        """Give the root the velocities that `get_velocities` would return."""
        if not self._free:
            return
        self._refresh()
        linear, angular = np.split(_values(velocities), 2)
        to_origin = self._data.xpos[self._root] - self._data.xipos[self._root]
        start = self._free[1]
        self._data.qvel[start : start + 3] = linear + np.cross(angular, to_origin)
        self._data.qvel[start + 3 : start + 6] = self._rotation(0).T @ angular
        self._stale = True

    def get_linear_velocities(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return the velocity of the root's centre of mass, (1, 3)."""
        return self.get_velocities()[:, :3]

    def get_angular_velocities(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return the root's angular velocity, (1, 3)."""
        return self.get_velocities()[:, 3:]

    def get_body_poses(
        self, indices: Indices = None, body_indices: Indices = None, clone: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Return the links' positions (1, K, 3) and orientations (1, K, 4) as wxyz."""
        self._refresh()
        bodies = np.array(self._bodies)[_index(body_indices)]
        return _row(self._data.xpos[bodies]), _row(self._data.xquat[bodies])

    def get_body_velocities(self, indices: Indices = None, body_indices: Indices = None, clone: bool = True) -> Tensor:
        """Return the links' linear (centre of mass) and angular velocities in the world, (1, K, 6)."""
        self._refresh()
        bodies = np.array(self._bodies)[_index(body_indices)]
        velocities = np.zeros((len(bodies), 6))
        for row, body in zip(velocities, bodies, strict=True):
            # MuJoCo's "body" object is the inertial frame, in the centre of mass; angular comes first.
            mujoco.mj_objectVelocity(self._model, self._data, mujoco.mjtObj.mjOBJ_BODY, body, row, 0)
        return _row(np.roll(velocities, 3, axis=1))

    # -- for the engine -----------------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Give MuJoCo efforts, and the part of the drives that it has no parameter for."""
        damping = self._model.dof_damping[self._velocities]
        self._data.qfrc_applied[self._velocities] = self._efforts + damping * self._velocity_targets

    def stepped(self) -> None:
        """Take note of the forces that the joints transmitted, whose poses are those before the state moved on."""
        for i, body in enumerate(self._bodies):
            torque, force = np.split(self._data.cfrc_int[body], 2)
            _, position, rotation = self._robot.links[i]
            body_rotation = self._rotation(i)
            joint = self._data.xpos[body] + body_rotation @ position
            about_joint = torque - np.cross(joint - self._data.subtree_com[self._model.body_rootid[body]], force)
            to_joint = (body_rotation @ _matrix(rotation)).T
            self._wrenches[i] = np.concatenate((to_joint @ force, to_joint @ about_joint))
        self._wrenches[0] = 0.0  # PhysX's root has no incoming joint
        self._stale = True

    def _rotation(self, index: int) -> np.ndarray:
        return self._data.xmat[self._bodies[index]].reshape(3, 3)

    def _refresh(self) -> None:
        if self._stale:
            mujoco.mj_kinematics(self._model, self._data)
            mujoco.mj_comPos(self._model, self._data)
            mujoco.mj_comVel(self._model, self._data)
            self._stale = False


def _row(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(values, np.float32))[None]


def _values(tensor: Tensor) -> np.ndarray:
    return torch.as_tensor(tensor).detach().cpu().numpy()[0].astype(np.float64)


def _place(name: str, names: list[str]) -> int:
    if name not in names:
        raise MyriadError(f"The robot in MuJoCo has no {name!r}; it has: {', '.join(names)}.")
    return names.index(name)


def _index(selection: Indices) -> Any:
    if selection is None:
        return slice(None)
    return np.asarray(selection.cpu() if isinstance(selection, torch.Tensor) else selection, dtype=np.int64)


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, np.asarray(quaternion, np.float64))
    return matrix.reshape(3, 3)
