# SPDX-License-Identifier: Apache-2.0
"""MuJoCo as an engine of one environment: the robot that the task authored in USD, from the MJCF beside its file."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from omni.myriad.engine.base import Engine
from omni.myriad.engine.mujoco.camera import CameraView
from omni.myriad.engine.mujoco.robot import Robot, find_mjcf, read_robot
from omni.myriad.engine.mujoco.view import ArticulationView, RigidPrimView, drive_name, mujoco
from omni.myriad.engine.sim_config import SimConfig
from omni.myriad.errors import MyriadError

_OFF = 30
"""Group of actuators that do nothing: those of the MJCF."""


class MujocoEngine(Engine):
    """Steps one robot in MuJoCo, with the steps, gravity and drives of the task.

    Joint drives are PhysX': stiffness * (target - position) + damping * (target velocity - velocity) + effort. The
    MJCF's own actuators are switched off; gains and armatures are the USD file's, until the view sets others. Bodies
    and shapes are the MJCF's, and the ground where it has one; contacts and joint limits are as soft as it says. MuJoCo
    has no limit on joint velocities.

    Args:
        sim_config: The run's configuration.

    Attributes:
        robot: The task's robot, as USD has it.
        model: MuJoCo's model.
        data: MuJoCo's state.

    Raises:
        MyriadError: If the run is not for the CPU.
    """

    name = "mujoco"
    robot: Robot
    model: Any = None
    data: Any = None
    _ground_friction: float | None = None

    def __init__(self, sim_config: SimConfig) -> None:
        if sim_config.config["sim_device"] != "cpu":
            raise MyriadError("engine=mujoco computes on the CPU: give sim_device=cpu.")
        self.version = f"mujoco {mujoco.__version__}"
        self._open_stage(sim_config, ArticulationView, RigidPrimView)

    def clone_environments(self, num_envs: int, spacing: float) -> torch.Tensor:
        """Place the one environment at the origin.

        Raises:
            MyriadError: If another number is asked for.
        """
        if num_envs != 1:
            raise MyriadError(f"engine=mujoco steps one environment, not {num_envs}: give num_envs=1.")
        return super().clone_environments(num_envs, spacing)

    def add_ground_plane(
        self,
        prim_path: str = "/World/defaultGroundPlane",
        static_friction: float = 1.0,
        dynamic_friction: float = 1.0,
        restitution: float = 0.0,
    ) -> None:
        """Author the ground; MuJoCo has it too where the robot's MJCF has none of its own."""
        super().add_ground_plane(prim_path, static_friction, dynamic_friction, restitution)
        self._ground_friction = dynamic_friction

    def step(self, num_steps: int = 1) -> None:
        """Advance by `num_steps` steps of `physics_dt` seconds.

        Raises:
            MyriadError: If the state stopped being finite.
        """
        start = time.perf_counter()
        views: list[Any] = list(self.scene.robots().values())  # of this engine's class
        for _ in range(num_steps):
            for view in views:
                view.apply()
            mujoco.mj_step(self.model, self.data)
        mujoco.mj_rnePostConstraint(self.model, self.data)  # forces in the last step, as PhysX reports them
        for view in views:
            view.stepped()
        self.num_steps += 1
        self._step_seconds += time.perf_counter() - start
        if not (np.isfinite(self.data.qpos).all() and np.isfinite(self.data.qvel).all()):
            raise MyriadError("The robot's state in MuJoCo stopped being finite.")

    def set_gravity(self, gravity: torch.Tensor) -> None:
        """Change gravity."""
        super().set_gravity(gravity)
        self.model.opt.gravity[:] = gravity.tolist()

    def _scale_robots(self, mass: float, friction: float) -> None:
        self.model.body_mass *= mass
        self.model.body_inertia *= mass
        self.model.geom_friction[:, 0] *= friction  # the ground's, too: it is the MJCF's, and not the task's
        mujoco.mj_setConst(self.model, self.data)

    def update_kinematics(self) -> None:
        """Let cameras look again; links follow written states whenever they are asked for."""
        self.num_steps += 1

    def is_playing(self) -> bool:
        """Tell whether physics has been started and not closed."""
        return self.model is not None

    def close(self) -> None:
        """Forget the model; the engine cannot be used afterwards."""
        self._ray_tracer = None
        self.model = self.data = None

    def _take_view(self, view: Any) -> None:
        if isinstance(view, CameraView):
            super()._take_view(view)
            return
        if not isinstance(view, ArticulationView):
            raise MyriadError(f"{view.name!r} is a {type(view).__name__} of another engine, where engine=mujoco runs.")
        if self.scene.robots():
            raise MyriadError(f"engine=mujoco has one view of its robot; {view.name!r} is another.")
        super()._take_view(view)

    def _start(self) -> None:
        """Read the robot's MJCF.

        Raises:
            MyriadError: If the robot has no MJCF, MuJoCo cannot read it, or it lacks joints or bodies.
        """
        self.robot = read_robot(self.stage)
        mjcf = find_mjcf(self.stage, self.robot.prim_path, self._sim_config.task_config["name"])
        try:
            spec = mujoco.MjSpec.from_file(str(mjcf))
            plane = mujoco.mjtGeom.mjGEOM_PLANE
            if self._ground_friction is not None and all(geom.type != plane for geom in spec.geoms):
                floor = spec.worldbody.add_geom(name="ground", type=plane, size=[0.0, 0.0, 1.0])
                floor.friction[0] = self._ground_friction
            model = spec.compile()
        except ValueError as error:
            raise MyriadError(f"MuJoCo cannot read {mjcf}: {error}") from None
        for kind, tag, names in (
            ("joints", mujoco.mjtObj.mjOBJ_JOINT, [dof.name for dof in self.robot.dofs]),
            ("bodies", mujoco.mjtObj.mjOBJ_BODY, [name for name, *_ in self.robot.links]),
        ):
            if lacking := [name for name in names if mujoco.mj_name2id(model, tag, name) < 0]:
                raise MyriadError(f"{mjcf} lacks {kind} that the USD robot has: {', '.join(lacking)}.")
        model = self._with_drives(spec)
        option = model.opt
        option.timestep = self.physics_dt
        option.gravity[:] = self._sim_config.sim_params["gravity"]
        option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST  # damping implicit, as in PhysX
        # A state that blew up must be seen, not quietly replaced by the initial one.
        option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        option.disableactuator = 1 << _OFF
        self.model, self.data = model, mujoco.MjData(model)

    def _with_drives(self, spec: Any) -> Any:
        """Return the model with an actuator for each joint's drive, and its file's own ones switched off."""
        for actuator in spec.actuators:
            actuator.group = _OFF
        for dof in self.robot.dofs:
            drive = spec.add_actuator(name=drive_name(dof.name), target=dof.name)
            drive.trntype = mujoco.mjtTrn.mjTRN_JOINT
            drive.gaintype, drive.biastype = mujoco.mjtGain.mjGAIN_FIXED, mujoco.mjtBias.mjBIAS_AFFINE
            drive.gainprm[0], drive.forcelimited = 1.0, True
            drive.forcerange[:] = -dof.max_force, dof.max_force
        return spec.compile()
