# SPDX-License-Identifier: Apache-2.0
"""MuJoCo in the place of PhysX: one robot from its MJCF, behind the engine and view that its task was written for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from omni.myriad.engine import ENV_0_PATH, ENVS_PATH
from omni.myriad.engine.mujoco.view import MujocoView, mujoco
from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from omni.myriad.env.vec_env import VecEnv


class MujocoEngine:
    """Steps one robot in MuJoCo, with the steps, gravity and gains that a policy's file carries.

    Joint drives are PhysX': stiffness * (target - position) + damping * (target velocity - velocity) + effort. The
    MJCF's own actuators are switched off, because the gains are the file's. Contacts and joint limits are as soft as
    the MJCF says. MuJoCo has no limit on joint velocities, and the drives' force limits are not applied.

    Args:
        mjcf: The robot's MJCF file, with the ground it stands on.
        metadata: The policy's metadata.

    Attributes:
        scene: Itself: it holds the one view there is.

    Raises:
        MyriadError: If MuJoCo cannot read the file, or the file lacks a joint of the policy's robot.
    """

    name = "mujoco"
    num_envs = 1

    def __init__(self, mjcf: Path, metadata: Mapping[str, Any]) -> None:
        self.version = f"mujoco {mujoco.__version__}"
        self.device = torch.device("cpu")
        self.physics_dt = float(metadata["timing"]["physics_dt"])
        try:
            self.model = mujoco.MjModel.from_xml_path(str(mjcf))
        except ValueError as error:
            raise MyriadError(f"MuJoCo cannot read {mjcf}: {error}") from None
        self.data = mujoco.MjData(self.model)
        self.scene = self
        self._view: MujocoView | None = None
        option = self.model.opt
        option.timestep = self.physics_dt
        option.gravity[:] = metadata["conventions"]["gravity"]
        option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST  # damping implicit, as in PhysX
        # A state that blew up must be seen, not quietly replaced by the initial one.
        option.disableflags |= mujoco.mjtDisableBit.mjDSBL_ACTUATION | mujoco.mjtDisableBit.mjDSBL_AUTORESET
        joints = metadata["joints"]
        lacking = [name for name in joints["names"] if not _has(self.model, mujoco.mjtObj.mjOBJ_JOINT, name)]
        if lacking:
            raise MyriadError(f"{mjcf} lacks joints that the policy's robot has: {', '.join(lacking)}.")
        ids = [self.model.joint(name).id for name in joints["names"]]
        dofs = self.model.jnt_dofadr[ids]
        self.model.jnt_stiffness[ids] = joints["stiffness"]
        self.model.dof_damping[dofs] = joints["damping"]
        self.model.dof_armature[dofs] = joints["armature"]

    @classmethod
    def take_over(cls, env: VecEnv, view_name: str, metadata: Mapping[str, Any]) -> MujocoEngine:
        """Put MuJoCo in the place of an environment's engine, its task unchanged: scene, starts, reward and ends.

        Args:
            env: Environment with one robot, on PhysX, which is closed.
            view_name: The view of that robot.
            metadata: The policy's metadata.

        Raises:
            MyriadError: If the robot has no MJCF, or the task looks at anything besides its robot.
        """
        views = env.engine_views()
        others = [name for name in views if name != view_name]
        if others:
            raise MyriadError(
                f"Task {env.task.name} looks at {others[0]} besides its robot: MuJoCo has the robot alone."
            )
        physx_view = views[view_name]
        engine = cls(find_mjcf(env.engine.stage, physx_view.prim_paths[0], env.task.name), metadata)
        frames = _child_joint_frames(env.engine.stage, physx_view.body_names)
        engine._view = MujocoView(engine.model, engine.data, physx_view, frames)
        for name, value in list(vars(env.task).items()):
            if value is physx_view:
                setattr(env.task, name, engine._view)
        env.engine.close()
        env.engine = engine  # type: ignore[assignment]  # has what stepping needs of an Engine
        return engine

    def object_exists(self, name: str) -> bool:
        """Tell whether the view has that name."""
        return self._view is not None and self._view.name == name

    def get_object(self, name: str) -> MujocoView | None:
        """Return the view, if it has that name."""
        return self._view if self.object_exists(name) else None

    def step(self, num_steps: int = 1) -> None:
        """Advance by `num_steps` steps of `physics_dt` seconds.

        Raises:
            MyriadError: If the state stopped being finite.
        """
        assert self._view is not None
        for _ in range(num_steps):
            self._view.apply()
            mujoco.mj_step(self.model, self.data)
        mujoco.mj_rnePostConstraint(self.model, self.data)  # forces in the last step, as PhysX reports them
        self._view.stepped()
        if not (np.isfinite(self.data.qpos).all() and np.isfinite(self.data.qvel).all()):
            raise MyriadError("The robot's state in MuJoCo stopped being finite.")

    def is_playing(self) -> bool:
        """Return True: MuJoCo needs no start."""
        return True

    def close(self) -> None:
        """Release nothing: MuJoCo's memory goes with the object."""


def find_mjcf(stage: Any, prim_path: str, task: str) -> Path:
    """Return the MJCF file that lies beside the USD file of a robot, under the same name.

    Args:
        stage: The USD stage that the task authored.
        prim_path: Path of a prim of the robot in environment 0.
        task: Name of the task, for the message.

    Raises:
        MyriadError: If there is none.
    """
    robot = stage.GetPrimAtPath("/".join(prim_path.split("/")[: ENV_0_PATH.count("/") + 2]))
    layers = [spec.layer.realPath for spec in robot.GetPrimStack() if spec.layer.realPath]
    for layer in layers:
        if Path(layer).with_suffix(".xml").is_file():
            return Path(layer).with_suffix(".xml")
    where = f"{Path(layers[0]).with_suffix('.xml')}" if layers else "none, because the robot is in no file of its own"
    raise MyriadError(f"The robot of task {task} has no MJCF for MuJoCo: expected {where}.")


def _child_joint_frames(stage: Any, body_names: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return position (3,) and rotation wxyz (4,) of each body's incoming joint, in the body's frame, from USD."""
    frames = {}
    for prim in stage.Traverse():
        joint = str(prim.GetPath())
        targets = prim.GetRelationship("physics:body1").GetTargets() if joint.startswith(ENVS_PATH) else []
        body = str(targets[0]).rsplit("/", 1)[-1] if targets else ""
        if body in body_names:
            rotation = prim.GetAttribute("physics:localRot1").Get()
            position = prim.GetAttribute("physics:localPos1").Get()
            frames[body] = (np.array(position), np.array([rotation.GetReal(), *rotation.GetImaginary()]))
    return frames


def _has(model: Any, kind: Any, name: str) -> bool:
    return mujoco.mj_name2id(model, kind, name) >= 0
