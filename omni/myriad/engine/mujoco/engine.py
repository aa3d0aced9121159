# SPDX-License-Identifier: Apache-2.0
"""MuJoCo as an engine of one environment: robots from the MJCF beside their USD files, and the bodies around them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from omni.myriad.engine.base import Engine
from omni.myriad.engine.mujoco.camera import CameraView
from omni.myriad.engine.mujoco.robot import Body, Robot, find_mjcf, read_world
from omni.myriad.engine.mujoco.view import DISCRETE, ArticulationView, RigidPrimView, drive_name, mujoco
from omni.myriad.engine.sim_config import SimConfig
from omni.myriad.errors import MyriadError

_OFF = 30
"""Group of actuators that do nothing: those of the MJCF."""
_NO_ROBOT, _FIRST_BIT = 1 << 8, 9
"""Bits of contacts: what is of no robot, and from where on each robot has one; those below are the MJCF's."""
_KINDS = ("sphere", "capsule", "cylinder", "box", "mesh")


class MujocoEngine(Engine):
    """Steps one environment in MuJoCo, with the steps, gravity and drives of the task.

    The first robot's MJCF is the world that the others and the bodies come into: a second articulation, such as a
    cabinet, from its MJCF, and bodies that no joint holds from their colliders in USD. What is of one robot touches
    what is of itself as its MJCF says, and all else.

    Joint drives are PhysX': stiffness * (target - position) + damping * (target velocity - velocity) + effort. The
    MJCF's own actuators are switched off; gains and armatures are the USD file's, until the view sets others. Bodies
    and shapes are the MJCF's, and the ground where the first has one; contacts and joint limits are as soft as it says.
    MuJoCo has no limit on joint velocities.

    Args:
        sim_config: The run's configuration.

    Attributes:
        world_robots: The task's robots by the paths of their articulations, as USD has them.
        world_bodies: The bodies beside them by their paths below the environment.
        model: MuJoCo's model.
        data: MuJoCo's state.

    Raises:
        MyriadError: If the run is not for the CPU.
    """

    name = "mujoco"
    world_robots: dict[str, Robot]
    world_bodies: dict[str, Body]
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
            stiff = [view.apply() for view in views]
            self.model.opt.integrator = DISCRETE if any(stiff) else mujoco.mjtIntegrator.mjINT_IMPLICITFAST
            mujoco.mj_step(self.model, self.data)
        mujoco.mj_rnePostConstraint(self.model, self.data)  # forces in the last step, as PhysX reports them
        bodies: list[Any] = list(self.scene.bodies().values())
        for view in (*views, *bodies):
            view.stepped()
        self.num_steps += 1
        self._step_seconds += time.perf_counter() - start
        if not (np.isfinite(self.data.qpos).all() and np.isfinite(self.data.qvel).all()):
            raise MyriadError("The state in MuJoCo stopped being finite.")

    def set_gravity(self, gravity: torch.Tensor) -> None:
        """Change gravity."""
        super().set_gravity(gravity)
        self.model.opt.gravity[:] = gravity.tolist()

    def _scale_robots(self, mass: float, friction: float) -> None:
        model = self.model
        links = np.ones(model.nbody, dtype=bool)
        links[[model.body(name).id for name in self.world_bodies]] = False
        model.body_mass[links] *= mass
        model.body_inertia[links] *= mass
        model.geom_friction[links[model.geom_bodyid], 0] *= friction  # the ground's, too: it is the MJCF's
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
        if not isinstance(view, (ArticulationView, RigidPrimView)):
            raise MyriadError(f"{view.name!r} is a {type(view).__name__} of another engine, where engine=mujoco runs.")
        super()._take_view(view)

    def _start(self) -> None:
        """Make the world.

        Raises:
            MyriadError: If a robot has no MJCF, MuJoCo cannot read it, or it lacks joints or bodies.
        """
        robots, bodies = read_world(self.stage)
        self.world_robots = {robot.prim_path: robot for robot in robots}
        self.world_bodies = {body.name: body for body in bodies}
        world: Any = None
        for robot in robots:
            part = self._read_mjcf(robot)
            if world is None:
                world = part
                continue
            robot.prefix = f"{robot.name}/"
            for geom in [geom for geom in part.worldbody.geoms if geom.type == mujoco.mjtGeom.mjGEOM_PLANE]:
                part.delete(geom)  # the ground is the first's, or the task's
            for key in list(part.keys):
                part.delete(key)
            world.attach(part, prefix=robot.prefix, frame=world.worldbody.add_frame())
        if self._ground_friction is not None and all(geom.type != mujoco.mjtGeom.mjGEOM_PLANE for geom in world.geoms):
            floor = world.worldbody.add_geom(name="ground", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0.0, 0.0, 1.0])
            floor.friction[0] = self._ground_friction
        for body in bodies:
            _add_body(world, body)
        if len(robots) + len(bodies) > 1:
            _let_touch(world, robots)
        self._add_drives(world)
        try:
            model = world.compile()
        except ValueError as error:
            raise MyriadError(f"MuJoCo cannot put the task's robots and bodies together: {error}") from None
        for body in bodies:
            _set_mass(model, body)
        option = model.opt
        option.timestep = self.physics_dt
        option.gravity[:] = self._sim_config.sim_params["gravity"]
        option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST  # damping implicit, as in PhysX
        # A state that blew up must be seen, not quietly replaced by the initial one.
        option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        option.disableactuator = 1 << _OFF
        self.model, self.data = model, mujoco.MjData(model)

    def _read_mjcf(self, robot: Robot) -> Any:
        """Return a robot's MJCF as a world of its own, with the followers and the weight that USD says."""
        mjcf = find_mjcf(self.stage, robot.prim_path, self._sim_config.task_config["name"])
        try:
            spec = mujoco.MjSpec.from_file(str(mjcf))
            model = spec.compile()
        except ValueError as error:
            raise MyriadError(f"MuJoCo cannot read {mjcf}: {error}") from None
        for kind, tag, names in (
            ("joints", mujoco.mjtObj.mjOBJ_JOINT, [dof.name for dof in robot.dofs]),
            ("bodies", mujoco.mjtObj.mjOBJ_BODY, [name for name, *_ in robot.links]),
        ):
            if lacking := [name for name in names if mujoco.mj_name2id(model, tag, name) < 0]:
                raise MyriadError(f"{mjcf} lacks {kind} that the USD robot has: {', '.join(lacking)}.")
        for link in robot.weightless:
            spec.body(link).gravcomp = 1.0
        dofs = {dof.name for dof in robot.dofs}
        for equality in list(spec.equalities):
            if equality.type == mujoco.mjtEq.mjEQ_JOINT and equality.name1 in dofs - robot.followers:
                spec.delete(equality)
        for actuator in spec.actuators:
            actuator.group = _OFF
        return spec

    def _add_drives(self, world: Any) -> None:
        """Add an actuator for each joint's drive."""
        for robot in self.world_robots.values():
            for dof in robot.dofs:
                name = f"{robot.prefix}{dof.name}"
                drive = world.add_actuator(name=drive_name(name), target=name)
                drive.trntype = mujoco.mjtTrn.mjTRN_JOINT
                drive.gaintype, drive.biastype = mujoco.mjtGain.mjGAIN_FIXED, mujoco.mjtBias.mjBIAS_AFFINE
                drive.gainprm[0], drive.forcelimited = 1.0, True
                drive.forcerange[:] = -dof.max_force, dof.max_force


def _add_body(world: Any, body: Body) -> None:
    """Add a body with its colliders."""
    position, orientation = body.pose
    added = world.worldbody.add_body(name=body.name, pos=position, quat=orientation)
    if body.is_free:
        added.add_freejoint()
    kinds = {kind: getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}") for kind in _KINDS}
    for number, shape in enumerate(body.shapes):
        geom = added.add_geom(type=kinds[shape.kind], pos=shape.position, density=body.density)
        geom.quat[:] = np.roll(shape.rotation, 1)
        geom.friction[0] = body.friction
        if shape.points is None:
            geom.size[: len(shape.size)] = shape.size
        else:
            name = f"{body.name}/{number}"
            world.add_mesh(name=name, uservert=shape.points.astype(np.float64).ravel())
            geom.meshname = name


def _let_touch(world: Any, robots: list[Robot]) -> None:
    """Let all touch what is not of themselves, and what is of one robot touch itself as its MJCF says.

    Each robot has a bit of its own, and what is of no robot has one, too.
    """
    own = {robot.prefix: 1 << (_FIRST_BIT + number) for number, robot in enumerate(robots)}
    everything = sum(own.values()) | _NO_ROBOT
    of_robots = {
        f"{robot.prefix}{link}": bit
        for robot, bit in zip(robots, own.values(), strict=True)
        for link, *_ in robot.links
    }
    for geom in world.geoms:
        if not (geom.contype or geom.conaffinity):
            continue  # seen alone
        bit = of_robots.get(geom.parent.name, _NO_ROBOT)
        geom.contype |= bit
        geom.conaffinity |= everything & ~bit if bit != _NO_ROBOT else everything


def _set_mass(model: Any, body: Body) -> None:
    """Give a body the mass and inertia that USD says."""
    index = model.body(body.name).id
    if not body.is_free or not body.mass:
        return
    model.body_inertia[index] *= body.mass / model.body_mass[index]
    model.body_mass[index] = body.mass
    if body.inertia is not None:
        model.body_ipos[index], model.body_iquat[index], model.body_inertia[index] = body.inertia
    mujoco.mj_setConst(model, mujoco.MjData(model))
