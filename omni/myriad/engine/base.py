# SPDX-License-Identifier: Apache-2.0
"""What every engine promises, and what engines share.

Units are SI (metres, kilograms, seconds, radians), Z is up, quaternions are (w, x, y, z), and every tensor has one row
per environment and lives on the engine's device. What views promise is in `view.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from omni.myriad.engine.view import RigidView, RobotView
from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from pxr import Usd

    from omni.myriad.engine.camera.tracer import RayTracer
    from omni.myriad.engine.sim_config import SimConfig

ENVS_PATH = "/World/envs"
"""Parent of all environments, as in OmniIsaacGymEnvs."""

ENV_0_PATH = f"{ENVS_PATH}/env_0"
"""The environment a task authors; the engine clones it to env_1, env_2, ..."""

NO_ENVIRONMENTS = "The scene has no environments: call super().set_up_scene(scene), which clones environment 0."

Tensor = torch.Tensor


class Scene:
    """The views of an engine by name, as `isaacsim.core.api.scenes.Scene` keeps them.

    Args:
        robot_class: The engine's `ArticulationView`.
        body_class: The engine's `RigidPrimView`.
        on_add: Called with each view that is added.
        on_remove: Called with the name of each view that is removed, and whether its prims stay.

    Attributes:
        body_class: The engine's `RigidPrimView`.
    """

    def __init__(
        self,
        robot_class: type[RobotView],
        body_class: type[RigidView],
        on_add: Callable[[Any], Any],
        on_remove: Callable[[str, bool], Any] = lambda name, registry_only: None,
    ) -> None:
        self._robot_class, self.body_class = robot_class, body_class
        self._on_add, self._on_remove = on_add, on_remove
        self._views: dict[str, Any] = {}

    def add(self, obj: Any) -> Any:
        """Register a view, to be initialised when physics starts, or at once if it runs; return it.

        Raises:
            MyriadError: If there is a view of that name.
        """
        if obj.name in self._views:
            raise MyriadError(f"The scene already has a view named {obj.name!r}: give each view its own name.")
        self._on_add(obj)
        self._views[obj.name] = obj
        return obj

    def get_object(self, name: str) -> Any | None:
        """Return the view of that name, or None."""
        return self._views.get(name)

    def object_exists(self, name: str) -> bool:
        """Tell whether a view of that name is registered."""
        return name in self._views

    def remove_object(self, name: str, registry_only: bool = False) -> None:
        """Forget the view of that name; Isaac Sim also deletes its prims, unless told otherwise.

        Raises:
            MyriadError: If there is none.
        """
        if name not in self._views:
            raise MyriadError(f"The scene has no view named {name!r}; it has: {', '.join(self._views) or 'none'}.")
        del self._views[name]
        self._on_remove(name, registry_only)

    def views(self) -> list[Any]:
        """Return the registered views in the order they were added."""
        return list(self._views.values())

    def robots(self) -> dict[str, RobotView]:
        """Return the articulation views by name, in the order they were added."""
        return {name: view for name, view in self._views.items() if isinstance(view, self._robot_class)}

    def bodies(self) -> dict[str, RigidView]:
        """Return the rigid body views by name, in the order they were added."""
        return {name: view for name, view in self._views.items() if isinstance(view, self.body_class)}


class Capture(Protocol):
    """What an engine does for CUDA graphs, which read and fill the tensors of views without calling them."""

    def only(self, envs: Tensor) -> AbstractContextManager[None]:
        """Confine partial writes to some environments while the context lasts.

        Args:
            envs: Mask, (num_envs,) bool on the engine's device: it is never looked at from the host.
        """
        ...

    def together(self) -> AbstractContextManager[None]:
        """Send the properties that are written while the context lasts, such as masses, at once at its end."""
        ...

    def flush(self) -> None:
        """Send what others wrote, before a graph fills the same tensors."""

    def keep_reading(self) -> None:
        """Keep reading after every step what was read since the last one, whether or not somebody asks for it."""

    def pending_writes(self) -> Any:
        """Return what waits to be sent, for `write_again`."""
        ...

    def write_again(self, writes: Any) -> None:
        """Mark the same tensors and rows as written once more: a graph has filled them without asking."""


class Application(Protocol):
    """The application that an engine runs in and whose loop it must not hold up: calls that take long are awaited."""

    async def reset_async(self) -> None:
        """Start physics if needed and initialise every registered view, as `Engine.reset` does."""

    async def render_async(self) -> None:
        """Let the application draw a frame without stepping physics."""

    async def close_async(self) -> None:
        """Release physics, as `Engine.close` does."""


class Engine(Protocol):
    """A physics engine that steps `num_envs` clones of one environment.

    Engines inherit from this what they share.

    Attributes:
        name: "physx", "newton", "isaacsim" or "mujoco".
        version: Name and version of what computes physics.
        device: Device of every tensor.
        physics_dt: Physics step in seconds.
        num_envs: Number of environments; 0 until `clone_environments`.
        env_positions: World positions of the environments in m, (num_envs, 3), in the order of the views' rows.
        stage: The USD stage on which environment 0 is authored, below `ENV_0_PATH`.
        scene: The registry of views.
        capture: What CUDA graphs need of the engine, or None if it cannot be captured.
        application: The application whose loop calls have to be awaited on, or None where the engine runs by itself.
        num_steps: How often physics was asked to advance, or links to follow: cameras look again when it grows.
        markers: What is seen and touches nothing, by name: `positions` (num_envs, 3) in m from the environments'
            origins and `orientations` (num_envs, 4) as wxyz.
    """

    name: str
    version: str
    device: torch.device
    physics_dt: float
    num_envs: int = 0
    env_positions: Tensor
    stage: Usd.Stage
    scene: Scene
    capture: Capture | None = None
    application: Application | None = None
    num_steps: int = 0
    markers: dict[str, Any]
    _step_seconds: float = 0.0
    _restoring: bool = False
    _ray_tracer: Any = None
    _gravity: Tensor | None = None
    _sim_config: SimConfig
    _positions: list[tuple[float, float, float]]

    @property
    def phase_seconds(self) -> dict[str, float]:
        """Seconds spent in `step` so far in "write", "step" and "read", by the host's clock: means over threads.

        Engines that cannot tell them apart count all in "step".
        """
        return {"write": 0.0, "step": self._step_seconds, "read": 0.0}

    def _open_stage(self, sim_config: SimConfig, robot_class: type[RobotView], body_class: type[RigidView]) -> None:
        """Make a stage and a scene as configured, for an engine that no application gives them."""
        from omni.myriad.engine import usd

        self._sim_config = sim_config
        self.device = torch.device(sim_config.config["sim_device"])
        self.physics_dt = sim_config.physics_dt
        self.env_positions = torch.zeros(0, 3, device=self.device)
        self.markers = {}
        self.stage = usd.new_stage()
        self.scene = Scene(robot_class, body_class, self._take_view)
        usd.define_physics_scene(self.stage, sim_config, self.device)

    def add_ground_plane(
        self,
        prim_path: str = "/World/defaultGroundPlane",
        static_friction: float = 1.0,
        dynamic_friction: float = 1.0,
        restitution: float = 0.0,
    ) -> None:
        """Author an infinite ground plane at z = 0, shared by all environments."""
        from omni.myriad.engine import usd

        usd.add_ground_plane(self.stage, prim_path, static_friction, dynamic_friction, restitution)

    def add_height_field(
        self,
        prim_path: str,
        heights: np.ndarray,
        cell: float,
        corner: tuple[float, float],
        wall_slope: float,
        static_friction: float = 1.0,
        dynamic_friction: float = 1.0,
        restitution: float = 0.0,
    ) -> None:
        """Author uneven ground, shared by all environments.

        Args:
            prim_path: Where it is authored, outside of the environments.
            heights: In m, (rows along x, columns along y).
            cell: Distance of neighbouring heights in m.
            corner: Where the first height is, x and y in m.
            wall_slope: What is steeper, m per m, becomes a vertical wall, where the engine can have one.
            static_friction: At rest.
            dynamic_friction: In motion.
            restitution: From 0 to 1.
        """
        from omni.myriad.engine import usd

        material = static_friction, dynamic_friction, restitution
        usd.add_height_field(self.stage, prim_path, heights, cell, corner, wall_slope, *material)

    def clone_environments(self, num_envs: int, spacing: float) -> Tensor:
        """Place `num_envs` copies of environment 0 on a grid.

        Args:
            num_envs: Number of environments, at least 1.
            spacing: Distance between neighbours in metres.

        Returns:
            World positions of the environments in metres, (num_envs, 3).

        Raises:
            MyriadError: If the engine cannot have so many.
        """
        if num_envs < 1:
            raise MyriadError(f"num_envs must be at least 1, not {num_envs}.")
        self.num_envs = num_envs
        self._positions = grid_positions(num_envs, spacing)
        self.env_positions = torch.tensor(self._positions, dtype=torch.float32, device=self.device)
        return self.env_positions.clone()

    def reset(self) -> None:
        """Start physics if needed and initialise every registered view.

        Raises:
            MyriadError: If the scene has no environments, or cannot be simulated.
        """
        if not self.num_envs:
            raise MyriadError(NO_ENVIRONMENTS)
        starts = not self.is_playing()
        if starts:
            from omni.myriad.engine.usd import write_contact_reports

            if self._sim_config.sim_params.get("contact_reports"):
                write_contact_reports(self.stage.GetPrimAtPath(ENVS_PATH))
            self._start()
        for view in self.scene.views():
            view.initialize(None)  # with its argument, which subclasses may ask for
        scales = self._sim_config.scales
        if starts and scales != (1.0, 1.0):
            self._scale_robots(*scales)

    def _start(self) -> None:
        """Start physics on the scene that was authored."""

    def _scale_robots(self, mass: float, friction: float) -> None:
        """Multiply masses and inertias of robots' links, and the friction of their shapes; the ground has its own.

        Raises:
            MyriadError: If the engine cannot.
        """
        raise MyriadError(f"engine={self.name} has no sim.mass_scale and sim.friction_scale: leave them at 1.")

    def _take_view(self, view: Any) -> None:
        """Connect a view that was added to the scene."""
        view.bind(self)
        if self.is_playing():
            view.initialize(None)

    def step(self, num_steps: int = 1) -> None:
        """Advance all environments by `num_steps` physics steps of `physics_dt` seconds."""

    def get_gravity(self) -> Tensor:
        """Return the acceleration of gravity, (3,) in m/s^2 on the CPU."""
        authored = [float(part) for part in self._sim_config.sim_params["gravity"]]
        return torch.tensor(authored) if self._gravity is None else self._gravity.clone()

    def set_gravity(self, gravity: Tensor) -> None:
        """Change the acceleration of gravity, (3,) in m/s^2, for all environments from the next step on."""
        self._gravity = gravity.detach().clone().cpu()

    def scale_environments(self, view: Any, factors: Tensor) -> None:
        """Give what a view looks at another size in each environment, before physics starts.

        Args:
            view: Of bodies, which are scaled themselves, or of robots, which are scaled as a whole.
            factors: On the size as authored, (num_envs,). Masses that are authored stay; densities do.

        Raises:
            MyriadError: If environments are alike in this engine.
        """
        raise MyriadError(f"engine={self.name} has environments of one size: use engine=physx.")

    def vary_environments(self, path: str, files: Sequence[str]) -> None:
        """Give each environment a USD file of its own in place of a prim's, before physics starts.

        Args:
            path: Of the prim, below environment 0. What is set on it and below it there holds for all.
            files: Of each environment, (num_envs,): the first is that of environment 0, and all hold the same bodies.

        Raises:
            MyriadError: If environments are alike in this engine.
        """
        raise MyriadError(f"engine={self.name} has environments that are alike: use engine=physx.")

    def read_property(self, view: Any, tensor_type: str, rows: Tensor | None = None) -> Tensor:
        """Return a copy of what a view has under the name of an `ovphysx.TensorType`, of rows or all.

        Raises:
            NotImplementedError: If the engine has no such thing.
        """
        return view._read(tensor_type, rows, None, True)

    def write_property(self, view: Any, tensor_type: str, name: str, values: Tensor, rows: Tensor) -> None:
        """Write rows, (M,), of what `read_property` returns; `name` is what an error calls the values."""
        view._write(tensor_type, name, values.to(self.device), rows)

    def update_kinematics(self) -> None:
        """Propagate written joint and root states to link poses without stepping."""

    def is_playing(self) -> bool:
        """Tell whether physics has been started and not closed."""
        ...

    def robots(self) -> dict[str, RobotView]:
        """Return the registered articulation views by name."""
        return self.scene.robots()

    def link_poses(self, robot: Any) -> tuple[Tensor, Tensor]:
        """Return positions (N, links, 3) in m and orientations (N, links, 4) as wxyz of a view's links, in the world.

        They may be the view's own buffers. In Isaac Sim views have no such method, and so engines do.
        """
        return robot.get_body_poses(clone=False)

    def link_velocities(self, robot: Any) -> Tensor:
        """Return velocities (N, links, 6) of a view's links: linear (m/s, centre of mass), angular (rad/s)."""
        return robot.get_body_velocities(clone=False)

    def get_state(self) -> dict[str, dict[str, Tensor]]:
        """Return copies of the state of every view by name: what moves (`get_motion`), and what drives it.

        Raises:
            MyriadError: Before physics runs.
        """
        state = self.get_motion()
        for name, robot in self.scene.robots().items():
            actions: Any = robot.get_applied_actions()
            state[name] |= {
                "position_targets": actions.joint_positions,
                "velocity_targets": actions.joint_velocities,
                "efforts": actions.joint_efforts,
            }
        return state

    def get_motion(self) -> dict[str, dict[str, Tensor]]:
        """Return copies of what moves of every view by name: poses, velocities, and positions and speeds of joints.

        Each tensor has a row for each environment, with a dimension more where a view has several bodies in it.

        Raises:
            MyriadError: Before physics runs.
        """
        if not self.is_playing():
            raise MyriadError("There is no state before physics runs: reset the engine.")
        views = {**self.scene.robots(), **self.scene.bodies()}
        state: dict[str, dict[str, Any]] = {}
        for name, view in views.items():
            positions, orientations = view.get_world_poses()
            state[name] = {"positions": positions, "orientations": orientations, "velocities": view.get_velocities()}
            if (each := view.count // self.num_envs) > 1:
                state[name] = {key: value.unflatten(0, (-1, each)) for key, value in state[name].items()}
        for name, robot in self.scene.robots().items():
            state[name] |= {
                "joint_positions": robot.get_joint_positions(),
                "joint_velocities": robot.get_joint_velocities(),
            }
        return state

    def set_state(self, state: Mapping[str, Mapping[str, Tensor]], env_ids: Tensor | None = None) -> None:
        """Write a state of `get_state` or `get_motion`, or of some views; links of robots follow from their joints.

        Args:
            state: Its tensors have a row for each environment that is written.
            env_ids: Environments to write, (M,) int64; None for all.
        """
        self._restoring = True
        try:
            self._write_state(state, env_ids)
        finally:
            self._restoring = False

    def _write_state(self, state: Mapping[str, Mapping[str, Tensor]], env_ids: Tensor | None) -> None:
        robots = self.scene.robots()
        bodies = {name: body for name, body in self.scene.bodies().items() if not body.is_non_root_articulation_link}
        for name, view in {**bodies, **robots}.items():
            if name not in state:
                continue
            # Older checkpoints have some of these under the names of their getters.
            values = {key.removeprefix("get_"): tensor.to(self.device) for key, tensor in state[name].items()}
            rows, each = env_ids, view.count // self.num_envs
            if each > 1:
                values = {key: value.reshape(-1, value.shape[-1]) for key, value in values.items()}
                rows = None if env_ids is None else rows_of(env_ids, each)
            view.set_world_poses(values["positions"], values["orientations"], rows)
            view.set_velocities(values["velocities"], rows)
            if (robot := robots.get(name)) is not None:
                # Positions before targets, because setting a position also sets its target.
                robot.set_joint_positions(values["joint_positions"], env_ids)
                robot.set_joint_velocities(values["joint_velocities"], env_ids)
                if "efforts" not in values:  # of `get_motion`
                    continue
                robot.set_joint_position_targets(values["position_targets"], env_ids)
                robot.set_joint_velocity_targets(values["velocity_targets"], env_ids)
                robot.set_joint_efforts(values["efforts"], env_ids)

    def ray_tracer(self) -> RayTracer:
        """Return what draws for this engine's cameras, made at the first call.

        Raises:
            MyriadError: If newton is not installed.
        """
        from omni.myriad.engine.camera.tracer import RayTracer

        if self._ray_tracer is None:
            self._ray_tracer = RayTracer(self)
        return self._ray_tracer

    def close(self) -> None:
        """Release physics; the engine cannot be used afterwards."""


def rows_of(env_ids: Tensor, each: int) -> Tensor:
    """Return the rows of environments, (M,) int64, in a view with so many bodies in each: (M * each,)."""
    return (env_ids.unsqueeze(-1) * each + torch.arange(each, device=env_ids.device)).flatten()


def grid_positions(num_envs: int, spacing: float) -> list[tuple[float, float, float]]:
    """Lay environments out on a square grid in the order of Isaac Sim's `GridCloner`.

    Rows run along -x and columns along +y, centred on the origin: four environments 8 m apart stand at
    (4, -4), (4, 4), (-4, -4), (-4, 4).

    Args:
        num_envs: Number of environments, at least 1.
        spacing: Distance between neighbours in metres.

    Returns:
        A position (x, y, 0) in metres per environment.
    """
    per_row = int(num_envs**0.5)
    num_rows = -(-num_envs // per_row)
    num_cols = -(-num_envs // num_rows)
    x_0 = 0.5 * spacing * (num_rows - 1)
    y_0 = -0.5 * spacing * (num_cols - 1)
    return [(x_0 - spacing * (i // num_cols), y_0 + spacing * (i % num_cols), 0.0) for i in range(num_envs)]
