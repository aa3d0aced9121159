# SPDX-License-Identifier: Apache-2.0
"""Robots and bodies in MuJoCo seen as tasks see theirs: the part of `ArticulationView` and `RigidPrimView` in use."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from omni.myriad.engine import paths
from omni.myriad.engine.drives import is_stiff
from omni.myriad.engine.mujoco.robot import UNLIMITED, Robot
from omni.myriad.engine.view import Indices, Poses, RigidView, RobotView, View
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
DISCRETE = getattr(mujoco.mjtIntegrator, "mjINT_DISCRETE", mujoco.mjtIntegrator.mjINT_IMPLICITFAST)


def drive_name(dof_name: str) -> str:
    """Return the name of the actuator that stands for a joint's drive, by the joint's name in MuJoCo."""
    return f"drive of {dof_name}"


class NotInMujocoError(MyriadError, AttributeError):
    """A task asked for what the robot in MuJoCo does not have."""


class _MujocoView(View):
    """What both views share: reads of bodies by their numbers in MuJoCo's model, and writes to those that are free."""

    _engine: MujocoEngine
    _expression: str
    _stale = True

    def _take_model(self) -> list[str]:
        """Take the model, and return what the view's expression names below the environment."""
        self._model, self._data, self._stale = self._engine.model, self._engine.data, True
        return paths.expand(self._expression, self._engine.stage, 1)

    def _refuse(self, options: dict[str, Any]) -> None:
        if options:
            raise NotInMujocoError(f"{type(self).__name__}({next(iter(options))}=...) is not to be had in MuJoCo.")

    def _poses_of(self, bodies: Any) -> tuple[np.ndarray, np.ndarray]:
        self._refresh()
        return self._data.xpos[bodies], self._data.xquat[bodies]

    def _velocities_of(self, bodies: np.ndarray) -> np.ndarray:
        """Return linear (centre of mass) and angular velocities in the world, a row for each body."""
        self._refresh()
        velocities = np.zeros((len(bodies), 6))
        for row, body in zip(velocities, bodies, strict=True):
            # MuJoCo's "body" object is the inertial frame, in the centre of mass; angular comes first.
            mujoco.mj_objectVelocity(self._model, self._data, mujoco.mjtObj.mjOBJ_BODY, body, row, 0)
        return np.roll(velocities, 3, axis=1)

    def _free_joint(self, body: int) -> tuple[int, int] | None:
        """Return where a free body's position and velocity begin in `qpos` and `qvel`; None where it is held."""
        first = self._model.body_jntadr[body]
        if first < 0 or self._model.jnt_type[first] != mujoco.mjtJoint.mjJNT_FREE:
            return None
        return int(self._model.jnt_qposadr[first]), int(self._model.jnt_dofadr[first])

    def _put(self, body: int, position: np.ndarray | None, orientation: np.ndarray | None) -> None:
        """Put a body somewhere; one that is fixed is moved with what it is fixed to."""
        if free := self._free_joint(body):
            place = self._data.qpos[free[0] : free[0] + 7]
            positions, orientations = place[:3], place[3:]
        else:
            positions, orientations = self._model.body_pos[body], self._model.body_quat[body]
        if position is not None:
            positions[:] = position
        if orientation is not None:
            orientations[:] = orientation
        self._stale = True

    def _push(self, body: int, velocities: np.ndarray) -> None:
        """Give a free body the linear (centre of mass) and angular velocities (6,) that reading would return."""
        free = self._free_joint(body)
        if free is None:
            return
        self._refresh()
        linear, angular = np.split(velocities, 2)
        to_origin = self._data.xpos[body] - self._data.xipos[body]
        self._data.qvel[free[1] : free[1] + 3] = linear + np.cross(angular, to_origin)
        self._data.qvel[free[1] + 3 : free[1] + 6] = self._data.xmat[body].reshape(3, 3).T @ angular
        self._stale = True

    def _chosen(self, indices: Indices) -> np.ndarray:
        """Return the numbers of the bodies that rows of the view stand for."""
        raise NotImplementedError

    def _write_poses(
        self,
        tensor_type: str,
        positions: Tensor | None,
        orientations: Tensor | None,
        indices: Indices,
        columns: Tensor | None = None,
    ) -> None:
        rows = self._chosen(indices)
        poses = (("positions", positions, 3), ("orientations", orientations, 4))
        parts = [None if part is None else self._floats(name, part, (len(rows), size)) for name, part, size in poses]
        for number, body in enumerate(rows):
            self._put(body, *(None if part is None else part[number].numpy() for part in parts))

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32))

    def _refresh(self) -> None:
        if self._stale:
            mujoco.mj_kinematics(self._model, self._data)
            mujoco.mj_comPos(self._model, self._data)
            mujoco.mj_comVel(self._model, self._data)
            self._stale = False


class RigidPrimView(_MujocoView, RigidView):
    """Bodies in MuJoCo: those beside robots, which can be moved, and links, which can be looked at.

    Args:
        prim_paths_expr: Expression of the bodies.
        name: Name under which the scene registers the view.
        prepare_contact_sensors: Accepted for Isaac Sim's sake and unused.
        reset_xform_properties: Likewise.
        options: Isaac Sim's others, none of which can be given.
    """

    _POSE, _VELOCITY = "RIGID_BODY_POSE", "RIGID_BODY_VELOCITY"

    def __init__(
        self,
        prim_paths_expr: str,
        name: str = "rigid_prim_view",
        prepare_contact_sensors: bool = True,
        reset_xform_properties: bool = True,
        **options: Any,
    ) -> None:
        self._refuse(options)
        self._expression, self.name = prim_paths_expr, name

    def initialize(self, physics_sim_view: Any = None) -> None:
        """Find the bodies in MuJoCo's model."""
        self._paths, engine = self._take_model(), self._engine
        prefixes = {robot.name: robot.prefix for robot in engine.world_robots.values()}
        links = {
            path: f"{prefixes[part]}{path.rsplit('/', 1)[-1]}"
            for path in self._paths
            if (part := path.split("/")[0]) in prefixes
        }
        if lacking := [path for path in self._paths if path not in links and path not in engine.world_bodies]:
            raise NotInMujocoError(f"{self.name}: {lacking[0]} is no rigid body.")
        self._bodies = np.array([self._model.body(links.get(path, path)).id for path in self._paths])
        self._are_links = bool(links)

    @property
    def count(self) -> int:
        """How many bodies the environment has."""
        return len(self._paths)

    @property
    def prim_paths(self) -> list[str]:
        """Paths of the bodies."""
        return [paths.in_environment(path, 0) for path in self._paths]

    @property
    def is_non_root_articulation_link(self) -> bool:
        """Whether some of the bodies are links that only joints can move."""
        return self._are_links

    def get_net_contact_forces(self, indices: Indices = None, clone: bool = True, dt: float = 1.0) -> Tensor:
        """Raise: nobody reads contacts in MuJoCo here."""
        raise NotInMujocoError(f"{self.name}: contact forces are not read in MuJoCo.")

    def stepped(self) -> None:
        """Look again when somebody asks."""
        self._stale = True

    def _require_movable(self, what: str) -> None:
        if self._are_links:
            raise NotInMujocoError(f"{self.name}: {what} of links follow from their joints.")

    def _read(self, tensor_type: str, indices: Indices, columns: Tensor | None, clone: bool) -> Tensor:
        if tensor_type == self._VELOCITY:
            return self._pick(self._tensor(self._velocities_of(self._bodies)), indices)
        if tensor_type == "RIGID_BODY_MASS":
            return self._pick(self._tensor(self._model.body_mass[self._bodies, None]), indices)
        raise NotImplementedError(f"engine=mujoco has no {tensor_type}: use another engine.")

    def _read_poses(self, tensor_type: str, indices: Indices, columns: Tensor | None, clone: bool) -> Poses:
        position, orientation = (self._pick(self._tensor(part), indices) for part in self._poses_of(self._bodies))
        return position, orientation

    def _write(self, tensor_type: str, name: str, values: Any, indices: Indices, columns: Tensor | None = None) -> None:
        if tensor_type != self._VELOCITY:
            raise NotImplementedError(f"engine=mujoco changes no {tensor_type}: use another engine.")
        rows = self._chosen(indices)
        for body, row in zip(rows, self._floats(name, values, (len(rows), 6)).double().numpy(), strict=True):
            self._push(body, row)

    def _chosen(self, indices: Indices) -> np.ndarray:
        rows = self._rows(indices)
        return self._bodies if rows is None else self._bodies[rows.numpy()]


class ArticulationView(_MujocoView, RobotView):
    """One robot in MuJoCo, under the names, shapes, orders, units and frames of PhysX's `ArticulationView`.

    Three things are said differently by the two engines, and brought together here. MuJoCo's free joint has the
    velocity of the body's origin and turns in the body's frame, PhysX's root has that of the centre of mass and turns
    in the world. MuJoCo transmits forces and torques about the centre of mass of the whole tree, in the world, PhysX at
    the joint, in the child's joint frame. MuJoCo's joints and bodies come depth first, PhysX's breadth first: names
    decide.

    Args:
        prim_paths_expr: Expression of the robot.
        name: Name under which the scene registers the view.
        options: Isaac Sim's others, none of which can be given.
    """

    _robot: Robot

    def __init__(self, prim_paths_expr: str, name: str = "articulation_prim_view", **options: Any) -> None:
        self._refuse(options)
        self._expression, self.name = prim_paths_expr, name

    def bind(self, engine: Any) -> None:
        """Connect the view to the engine.

        Raises:
            MyriadError: If another view looks at the same robot.
        """
        part = self._expression.strip("/").split("/")[3:4]
        views: Any = engine.scene.robots().values()
        if any(view._expression.strip("/").split("/")[3:4] == part for view in views):
            raise MyriadError(f"engine=mujoco has one view of each robot; {self.name!r} is another.")
        super().bind(engine)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise MyriadError(f"View {self.name!r} has no physics yet: scene.add(view), then reset the engine.")
        raise NotInMujocoError(f"The task asks its robot for {name}, which the robot in MuJoCo does not have.")

    def initialize(self, physics_sim_view: Any = None) -> None:
        """Find the robot in MuJoCo's model, and give it the state and the drives that USD says."""
        (path,) = self._take_model()
        model, data, part = self._model, self._data, path.split("/")[0]
        robot = next((robot for robot in self._engine.world_robots.values() if robot.name == part), None)
        if robot is None:
            raise NotInMujocoError(f"{self.name}: {path} holds no articulation.")
        self._robot, prefix = robot, robot.prefix
        self._dof_names, self._joint_names = [dof.name for dof in robot.dofs], robot.joint_names
        self._body_names = [name for name, *_ in robot.links]
        joints = np.array([model.joint(f"{prefix}{name}").id for name in self._dof_names], dtype=int)
        positions, self._velocities = model.jnt_qposadr[joints], model.jnt_dofadr[joints]
        self._links = np.array([model.body(f"{prefix}{name}").id for name in self._body_names])
        self._root = int(self._links[0])
        names = [drive_name(f"{prefix}{name}") for name in self._dof_names]
        self._drives = np.array([model.actuator(name).id for name in names], dtype=int)
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
        self._put(self._root, *robot.root_pose)
        _, _, *drives, positions, targets, limits = torch.tensor([dof[1:] for dof in robot.dofs]).view(-1, 8).T[:, None]
        self._max_forces[:] = limits[0].numpy()
        self.set_gains(drives[0], drives[1])
        self.set_armatures(drives[2])
        self.set_joint_positions(torch.zeros_like(positions))
        self._refresh()
        self._signs = np.where((data.xquat[self._links] * robot.orientations).sum(axis=-1) < 0.0, -1.0, 1.0)
        self._signs[0] = 1.0  # as written
        self.set_joint_positions(positions)
        self._targets[:] = targets.flatten().numpy()

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
        if len(velocities):
            self._push(self._root, velocities[0].double().numpy())

    # -- reading and writing ------------------------------------------------------------------------------------------

    def _read(self, tensor_type: str, indices: Indices, columns: Tensor | None, clone: bool) -> Tensor:
        if tensor_type in self._arrays:
            array, where = self._arrays[tensor_type]
            values = array[where if columns is None else where[columns.numpy()]]
        elif tensor_type == self._VELOCITY:
            values = self._velocities_of(self._links[:1])[0]
        elif tensor_type == "ARTICULATION_LINK_VELOCITY":
            values = self._velocities_of(self._chosen_links(columns))
        else:
            raise NotImplementedError(f"engine=mujoco has no {tensor_type}: use another engine.")
        return self._pick(torch.from_numpy(values.astype(np.float32))[None], indices)

    def _read_poses(self, tensor_type: str, indices: Indices, columns: Tensor | None, clone: bool) -> Poses:
        chosen = 0 if tensor_type == self._POSE else slice(None) if columns is None else columns.numpy()
        positions, orientations = self._poses_of(self._links[chosen])
        signed = orientations * self._signs[chosen, None]
        position, orientation = (self._pick(self._tensor(part)[None], indices) for part in (positions, signed))
        return position, orientation

    def _chosen_links(self, columns: Tensor | None) -> np.ndarray:
        return self._links if columns is None else self._links[columns.numpy()]

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

    def _chosen(self, indices: Indices) -> np.ndarray:
        return np.full(self._num_rows(self._rows(indices)), self._root)

    # -- for the engine -----------------------------------------------------------------------------------------------

    def apply(self) -> bool:
        """Give MuJoCo efforts and drives; it takes their stiffness and damping implicitly, as PhysX does.

        Returns:
            Whether a drive has stiffness.
        """
        model, data, drives = self._model, self._data, self._drives
        inverse_inertia = model.dof_invweight0[self._velocities]
        stiff = is_stiff(self._stiffness, self._damping, inverse_inertia, model.opt.timestep)
        model.actuator_biasprm[drives, 1] = -self._stiffness
        model.actuator_biasprm[drives, 2] = -self._damping
        model.actuator_forcerange[drives, 1] = np.where(stiff, UNLIMITED, self._max_forces)
        model.actuator_forcerange[drives, 0] = -model.actuator_forcerange[drives, 1]
        data.ctrl[drives] = self._stiffness * self._targets + self._damping * self._velocity_targets
        data.qfrc_applied[self._velocities] = self._efforts
        return bool(self._stiffness.any())

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


def _inertia(model: Any, body: int) -> np.ndarray:
    """Return a body's inertia about its centre of mass, along its own axes, (9,)."""
    axes = _matrix(model.body_iquat[body])
    return (axes * model.body_inertia[body] @ axes.T).reshape(-1)


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, np.asarray(quaternion, np.float64))
    return matrix.reshape(3, 3)
