# SPDX-License-Identifier: Apache-2.0
"""A MuJoCo robot seen as tasks see theirs: the part of `ArticulationView` that tasks use, for one robot."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from omni.myriad.engine.drives import is_stiff
from omni.myriad.engine.mujoco.robot import UNLIMITED
from omni.myriad.engine.view import Indices, Poses, RigidView, RobotView
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

# Stiffness implicit, too, and damping also in the search for contact forces; MuJoCo has it since 3.13.
_DISCRETE = getattr(mujoco.mjtIntegrator, "mjINT_DISCRETE", mujoco.mjtIntegrator.mjINT_IMPLICITFAST)


def drive_name(dof_name: str) -> str:
    """Return the name of the actuator that stands for a joint's drive."""
    return f"drive of {dof_name}"


class NotInMujocoError(MyriadError, AttributeError):
    """A task asked for what the robot in MuJoCo does not have."""


class RigidPrimView(RigidView):
    """Refuses to be made: MuJoCo has the robot alone."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotInMujocoError("The task looks at bodies besides its robot: MuJoCo has the robot alone.")


class ArticulationView(RobotView):
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

    def __init__(self, prim_paths_expr: str | list[str], name: str = "articulation_prim_view", **options: Any) -> None:
        if options:
            raise NotInMujocoError(f"ArticulationView({next(iter(options))}=...) is not to be had in MuJoCo.")
        self.name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise MyriadError(f"View {self.name!r} has no physics yet: scene.add(view), then reset the engine.")
        raise NotInMujocoError(f"The task asks its robot for {name}, which the robot in MuJoCo does not have.")

    def initialize(self, physics_sim_view: Any = None) -> None:
        """Find the robot in MuJoCo's model, and give it the state and the drives that USD says."""
        engine: MujocoEngine = self._engine
        robot, model, data = engine.robot, engine.model, engine.data
        self._robot, self._model, self._data = robot, model, data
        self._dof_names, self._joint_names = [dof.name for dof in robot.dofs], robot.joint_names
        self._body_names = [name for name, *_ in robot.links]
        joints = np.array([model.joint(name).id for name in self._dof_names], dtype=int)
        positions, self._velocities = model.jnt_qposadr[joints], model.jnt_dofadr[joints]
        self._links = np.array([model.body(name).id for name in self._body_names])
        self._root = self._links[0]
        first = model.body_jntadr[self._root]
        free = first >= 0 and model.jnt_type[first] == mujoco.mjtJoint.mjJNT_FREE
        self._free = (int(model.jnt_qposadr[first]), int(model.jnt_dofadr[first])) if free else None
        self._drives = np.array([model.actuator(drive_name(name)).id for name in self._dof_names], dtype=int)
        # What a drive does is said by its own numbers alone.
        model.jnt_stiffness[joints] = model.dof_damping[self._velocities] = 0.0
        self._efforts, self._targets, self._velocity_targets, self._stiffness, self._damping = np.zeros(
            (5, self.num_dof)
        )
        self._max_forces = np.full(self.num_dof, UNLIMITED)
        self._wrenches = np.zeros((self.num_bodies, 6))
        unlimited, every_dof = np.full(self.num_dof, UNLIMITED), np.arange(self.num_dof)
        # Where MuJoCo has what PhysX has under these names: an array, and its entries in the order of PhysX's columns.
        self._arrays: dict[str, tuple[np.ndarray, np.ndarray]] = {
            "ARTICULATION_DOF_POSITION": (data.qpos, positions),
            "ARTICULATION_DOF_VELOCITY": (data.qvel, self._velocities),
            "ARTICULATION_DOF_POSITION_TARGET": (self._targets, every_dof),
            "ARTICULATION_DOF_VELOCITY_TARGET": (self._velocity_targets, every_dof),
            "ARTICULATION_DOF_ACTUATION_FORCE": (self._efforts, every_dof),
            "ARTICULATION_DOF_STIFFNESS": (self._stiffness, every_dof),
            "ARTICULATION_DOF_DAMPING": (self._damping, every_dof),
            "ARTICULATION_DOF_ARMATURE": (model.dof_armature, self._velocities),
            "ARTICULATION_DOF_MAX_FORCE": (self._max_forces, every_dof),
            "ARTICULATION_DOF_MAX_VELOCITY": (unlimited, every_dof),
            "ARTICULATION_LINK_INCOMING_JOINT_FORCE": (self._wrenches, np.arange(self.num_bodies)),
        }
        geoms = np.flatnonzero(
            np.isin(model.geom_bodyid, self._links) & ((model.geom_contype | model.geom_conaffinity) > 0)
        )
        self._geoms = geoms
        self._materials = np.stack((*[model.geom_friction[geoms, 0]] * 2, np.zeros(len(geoms))), axis=-1)
        self._inertias = np.array([_inertia(model, link) for link in self._links])
        every_link = np.arange(self.num_bodies)
        sliding = self._velocities[:, None].repeat(2, axis=1)  # at rest and in motion alike
        self._arrays |= {
            "ARTICULATION_DOF_FRICTION_PROPERTIES": (model.dof_frictionloss, sliding),
            "ARTICULATION_DOF_LIMIT": (model.jnt_range.reshape(-1), 2 * joints[:, None] + np.arange(2)),
            "ARTICULATION_BODY_MASS": (model.body_mass, self._links),
            "ARTICULATION_BODY_INERTIA": (self._inertias, every_link),
            "ARTICULATION_SHAPE_FRICTION_AND_RESTITUTION": (self._materials, np.arange(len(geoms))),
        }
        self._put_root(*robot.root_pose)
        _, _, *drives, positions, targets, limits = torch.tensor([dof[1:] for dof in robot.dofs]).view(-1, 8).T[:, None]
        self._max_forces[:] = limits[0].numpy()
        self.set_gains(drives[0], drives[1])
        self.set_armatures(drives[2])
        self.set_joint_positions(positions)
        self.set_joint_position_targets(targets)

    @property
    def count(self) -> int:
        """One robot."""
        return 1

    @property
    def prim_paths(self) -> list[str]:
        """The path of the robot's articulation root."""
        return [self._robot.prim_path]

    def get_dof_limits(self) -> Tensor:
        """Return lower and upper limits, (1, num_dof, 2)."""
        return torch.tensor([(dof.lower, dof.upper) for dof in self._robot.dofs]).view(1, -1, 2)

    def get_body_coms(self, indices: Indices = None, body_indices: Indices = None, clone: bool = True) -> Poses:
        """Return centres of mass (1, K, 3) in m and the principal axes' orientations (1, K, 4) as wxyz, in the link."""
        links = self._links if body_indices is None else self._links[np.asarray(body_indices)]
        position, orientation = (
            self._pick(torch.from_numpy(array[links].astype(np.float32))[None], indices)
            for array in (self._model.body_ipos, self._model.body_iquat)
        )
        return position, orientation

    def set_velocities(self, velocities: Tensor, indices: Indices = None) -> None:
        """Give the root the velocities that `get_velocities` would return."""
        rows = self._rows(indices)
        velocities = self._floats("velocities", velocities, (self._num_rows(rows), 6))
        if not self._free or not len(velocities):
            return
        self._refresh()
        linear, angular = np.split(velocities[0].double().numpy(), 2)
        to_origin = self._data.xpos[self._root] - self._data.xipos[self._root]
        start = self._free[1]
        self._data.qvel[start : start + 3] = linear + np.cross(angular, to_origin)
        self._data.qvel[start + 3 : start + 6] = self._rotation(0).T @ angular
        self._stale = True

    # -- reading and writing ------------------------------------------------------------------------------------------

    def _read(self, tensor_type: str, indices: Indices, columns: Tensor | None, clone: bool) -> Tensor:
        if tensor_type in self._arrays:
            array, where = self._arrays[tensor_type]
            values = array[where if columns is None else where[columns.numpy()]]
        elif tensor_type == self._VELOCITY:
            values = self._link_velocities(self._links[:1])[0]
        elif tensor_type == "ARTICULATION_LINK_VELOCITY":
            values = self._link_velocities(self._chosen_links(columns))
        else:
            raise NotImplementedError(f"engine=mujoco has no {tensor_type}: use another engine.")
        return self._pick(torch.from_numpy(values.astype(np.float32))[None], indices)

    def _read_poses(self, tensor_type: str, indices: Indices, columns: Tensor | None, clone: bool) -> Poses:
        self._refresh()
        links = self._root if tensor_type == self._POSE else self._chosen_links(columns)
        position, orientation = (
            self._pick(torch.from_numpy(array[links].astype(np.float32))[None], indices)
            for array in (self._data.xpos, self._data.xquat)
        )
        return position, orientation

    def _chosen_links(self, columns: Tensor | None) -> np.ndarray:
        return self._links if columns is None else self._links[columns.numpy()]

    def _link_velocities(self, links: np.ndarray) -> np.ndarray:
        """Return linear (centre of mass) and angular velocities in the world, a row per link."""
        self._refresh()
        velocities = np.zeros((len(links), 6))
        for row, link in zip(velocities, links, strict=True):
            # MuJoCo's "body" object is the inertial frame, in the centre of mass; angular comes first.
            mujoco.mj_objectVelocity(self._model, self._data, mujoco.mjtObj.mjOBJ_BODY, link, row, 0)
        return np.roll(velocities, 3, axis=1)

    def _write(self, tensor_type: str, name: str, values: Any, indices: Indices, columns: Tensor | None = None) -> None:
        if tensor_type not in self._arrays or tensor_type.endswith("MAX_VELOCITY"):
            raise NotImplementedError(f"engine=mujoco changes no {tensor_type}: use another engine.")
        array, where = self._arrays[tensor_type]
        where = where if columns is None else where[columns.numpy()]
        values = self._floats(name, values, (self._num_rows(self._rows(indices)), *array[where].shape))
        if len(values):
            array[where] = values[0].numpy()
            self._stale = True
            self._follow(tensor_type)

    def _follow(self, tensor_type: str) -> None:
        """Let the model follow what was written of masses, inertias and materials."""
        model = self._model
        if tensor_type == "ARTICULATION_BODY_INERTIA":
            for link, inertia in zip(self._links, self._inertias, strict=True):
                moments, axes = np.linalg.eigh(inertia.reshape(3, 3))
                axes[:, 2] *= np.sign(np.linalg.det(axes))
                model.body_inertia[link] = moments
                mujoco.mju_mat2Quat(model.body_iquat[link], axes.reshape(-1))
        if tensor_type.endswith("FRICTION_AND_RESTITUTION"):
            model.geom_friction[self._geoms, 0] = self._materials[:, 1]
        if "_BODY_" in tensor_type:
            mujoco.mj_setConst(model, mujoco.MjData(model))

    def _write_poses(
        self,
        tensor_type: str,
        positions: Tensor | None,
        orientations: Tensor | None,
        indices: Indices,
        columns: Tensor | None = None,
    ) -> None:
        num_rows = self._num_rows(self._rows(indices))
        poses = (("positions", positions, 3), ("orientations", orientations, 4))
        checked = [None if part is None else self._floats(name, part, (num_rows, width)) for name, part, width in poses]
        if num_rows:
            self._put_root(*(None if part is None else part[0].numpy() for part in checked))

    def _put_root(self, position: np.ndarray | None, orientation: np.ndarray | None) -> None:
        """Put the root somewhere; one that is fixed is moved with what it is fixed to."""
        if self._free:
            place = self._data.qpos[self._free[0] : self._free[0] + 7]
            positions, orientations = place[:3], place[3:]
        else:
            positions, orientations = self._model.body_pos[self._root], self._model.body_quat[self._root]
        if position is not None:
            positions[:] = position
        if orientation is not None:
            orientations[:] = orientation
        self._stale = True

    # -- for the engine -----------------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Give MuJoCo efforts and drives; it takes their stiffness and damping implicitly, as PhysX does."""
        model, data, drives = self._model, self._data, self._drives
        inverse_inertia = model.dof_invweight0[self._velocities]
        stiff = is_stiff(self._stiffness, self._damping, inverse_inertia, model.opt.timestep)
        model.actuator_biasprm[drives, 1] = -self._stiffness
        model.actuator_biasprm[drives, 2] = -self._damping
        model.actuator_forcerange[drives, 1] = np.where(stiff, UNLIMITED, self._max_forces)
        model.actuator_forcerange[drives, 0] = -model.actuator_forcerange[drives, 1]
        model.opt.integrator = _DISCRETE if self._stiffness.any() else mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        data.ctrl[drives] = self._stiffness * self._targets + self._damping * self._velocity_targets
        data.qfrc_applied[self._velocities] = self._efforts

    def stepped(self) -> None:
        """Take note of the forces that the joints transmitted, whose poses are those before the state moved on."""
        for i, body in enumerate(self._links):
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
        return self._data.xmat[self._links[index]].reshape(3, 3)

    def _refresh(self) -> None:
        if self._stale:
            mujoco.mj_kinematics(self._model, self._data)
            mujoco.mj_comPos(self._model, self._data)
            mujoco.mj_comVel(self._model, self._data)
            self._stale = False


def _inertia(model: Any, body: int) -> np.ndarray:
    """Return a body's inertia about its centre of mass, along its own axes, (9,)."""
    axes = _matrix(model.body_iquat[body])
    return (axes * model.body_inertia[body] @ axes.T).reshape(-1)


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, np.asarray(quaternion, np.float64))
    return matrix.reshape(3, 3)
