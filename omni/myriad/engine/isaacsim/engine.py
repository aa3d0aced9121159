# SPDX-License-Identifier: Apache-2.0
"""The engine that steps Isaac Sim's World. Imported only once Kit runs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import carb.settings  # type: ignore[import-not-found]
import torch
from pxr import Usd, UsdGeom, UsdPhysics

import omni.kit.app  # type: ignore[import-not-found]
import omni.usd  # type: ignore[import-not-found]
from omni.myriad.engine import isaacsim, usd
from omni.myriad.engine.base import ENV_0_PATH, ENVS_PATH, NO_ENVIRONMENTS, Engine, Scene
from omni.myriad.engine.isaacsim import app, import_first
from omni.myriad.engine.sim_config import SimConfig
from omni.myriad.engine.usd import PHYSICS_SCENE_PATH
from omni.myriad.errors import MyriadError

World = import_first(("isaacsim.core.api", "World"), ("omni.isaac.core", "World"))
SimulationContext = import_first(("isaacsim.core.api", "SimulationContext"), ("omni.isaac.core", "SimulationContext"))
GridCloner = import_first(("isaacsim.core.cloner", "GridCloner"), ("omni.isaac.cloner", "GridCloner"))

_COLLISIONS_PATH = "/World/collisions"
_PLAY_SIMULATIONS = "/app/player/playSimulations"
_WITHOUT_CONTACTS = "/physics/disableContactProcessing"
_SIMPLIFIED = ("/physics/collisionApproximateCylinders", "/physics/collisionApproximateCones")
_STEPS_PER_SECOND = "physxScene:timeStepsPerSecond"

_WARM_UP_STEPS_PER_SECOND = 10_000
"""Isaac Sim takes two physics steps whenever physics starts, before anybody can write a state.

Steps of 0.1 ms leave the authored state nearly alone: robots fall by less than a micrometre. Much shorter ones would
not, since a contact's rounding error is divided by the step. What is authored within its rest offset of something else,
or with loops that do not close, is put right in these steps as in any others: tasks that start there write it again.
PhysX is loaded at this rate, too, which is why `usd.write_contact_offsets` writes what it would derive from it.
"""


_TENSORS = {
    "SHAPE_FRICTION_AND_RESTITUTION": "material_properties",
    "CONTACT_OFFSET": "contact_offsets",
    "REST_OFFSET": "rest_offsets",
    "MASS": "masses",
    "INERTIA": "inertias",
    "DOF_STIFFNESS": "dof_stiffnesses",
    "DOF_DAMPING": "dof_dampings",
    "DOF_LIMIT": "dof_limits",
    "DOF_MAX_FORCE": "dof_max_forces",
    "DOF_MAX_VELOCITY": "dof_max_velocities",
    "DOF_ARMATURE": "dof_armatures",
    "DOF_FRICTION_PROPERTIES": "dof_friction_properties",
}
"""What a physics view calls the properties that are read and written by PhysX's names."""


class IsaacSimEngine(Engine):
    """Steps `num_envs` clones of one environment with Isaac Sim.

    Args:
        sim_config: The run's configuration.
        world: An initialised World; None makes one on a new stage.

    Attributes:
        world: Isaac Sim's `World`, with the torch backend on `device`.
        env_positions: World positions of the environments in metres, (num_envs, 3), in the order of the views' rows.
    """

    name = "isaacsim"

    def __init__(self, sim_config: SimConfig, world: Any = None) -> None:
        self.device = torch.device(sim_config.config["sim_device"])
        self.version = f"Isaac Sim {_version()}"
        self.physics_dt = sim_config.physics_dt
        if sim_config.scales != (1.0, 1.0):
            self._scale_robots(*sim_config.scales)  # which it cannot
        if world is None:
            omni.usd.get_context().new_stage()
            world = _new_world(sim_config)
        self.world: Any = world
        self.stage: Usd.Stage = omni.usd.get_context().get_stage()
        self.scene = Scene(
            isaacsim.ArticulationView, isaacsim.RigidPrimView, world.scene.add, world.scene.remove_object
        )
        self.env_positions = torch.zeros(0, 3, device=self.device)
        self.markers = {}
        self._sim_config = sim_config
        settings = sim_config.config["engine"]
        self._render_interval: int = settings["render_interval"]
        self._use_env_ids: bool = settings["enable_env_ids"]
        if self._use_env_ids and self.device.type == "cpu":
            raise MyriadError("engine.enable_env_ids=True is invalid: PhysX has environment ids on a GPU alone.")
        self._spacing = 1.0
        self._calls = 0
        self._grid: torch.Tensor | None = None
        self._cloner: Any = None
        self._filtered = False
        # Kit may call us, as in the window: then nothing may hold up its loop.
        self.application = self if app.kit_owns_the_loop() else None
        # World has applied its own defaults; now come the task's settings, by the code that standalone PhysX runs too.
        usd.define_physics_scene(self.stage, sim_config, self.device)
        # Written where they are off, too: these settings outlive the stage that they were made for.
        kit = carb.settings.get_settings()
        kit.set_bool(_WITHOUT_CONTACTS, bool(sim_config.sim_params.get("disable_contact_processing")))
        for key in _SIMPLIFIED:
            kit.set_bool(key, not sim_config.sim_params.get("smooth_cylinders"))
        UsdGeom.Xform.Define(self.stage, "/World")
        usd.add_lights(self.stage)
        UsdGeom.Xform.Define(self.stage, ENV_0_PATH)
        if torch.device(world.device or "cpu") != self.device:
            raise MyriadError(f"Isaac Sim simulates on {world.device} where sim_device={self.device} was asked for.")

    @classmethod
    async def join(cls, sim_config: SimConfig) -> IsaacSimEngine:
        """Make an engine on a new stage of the running Kit."""
        World.clear_instance()
        await omni.usd.get_context().new_stage_async()
        await omni.kit.app.get_app().next_update_async()
        world = _new_world(sim_config)
        await world.initialize_simulation_context_async()
        return cls(sim_config, world)

    # -- building the scene -------------------------------------------------------------------------------------------

    def add_ground_plane(
        self,
        prim_path: str = "/World/defaultGroundPlane",
        static_friction: float = 1.0,
        dynamic_friction: float = 1.0,
        restitution: float = 0.0,
    ) -> None:
        """Author an infinite ground plane at z = 0, shared by all environments, and a square to see it by."""
        super().add_ground_plane(prim_path, static_friction, dynamic_friction, restitution)
        square = UsdGeom.Mesh.Define(self.stage, f"{prim_path}/square")
        half = 1000.0
        square.CreatePointsAttr([(-half, -half, 0.0), (half, -half, 0.0), (half, half, 0.0), (-half, half, 0.0)])
        square.CreateFaceVertexCountsAttr([4])
        square.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
        square.CreateDisplayColorAttr([(0.3, 0.3, 0.3)])

    def clone_environments(self, num_envs: int, spacing: float) -> torch.Tensor:
        """Place `num_envs` copies of environment 0 on a grid; physics is copied inside PhysX.

        Args:
            num_envs: Number of environments, at least 1.
            spacing: Distance between neighbours in metres.

        Returns:
            World positions of the environments in metres, (num_envs, 3). `reset` sorts them in place if PhysX holds
            the environments in another order than they were cloned in.
        """
        if num_envs < 1:
            raise MyriadError(f"num_envs must be at least 1, not {num_envs}.")
        self.num_envs, self._spacing = num_envs, spacing
        usd.break_instances(self.stage.GetPrimAtPath(ENV_0_PATH))
        usd.anchor_joints(self.stage.GetPrimAtPath(ENV_0_PATH))
        if self.device.type == "cuda" and not self._sim_config.sim_params.get("smooth_cylinders"):
            usd.simplify_round_shapes(self.stage.GetPrimAtPath(ENV_0_PATH))
        in_env_0 = Usd.PrimRange(self.stage.GetPrimAtPath(ENV_0_PATH))
        usd.write_contact_offsets((prim for prim in in_env_0 if prim.HasAPI(UsdPhysics.CollisionAPI)), self._sim_config)
        self._cloner = GridCloner(spacing=spacing)
        self._cloner.define_base_env(ENVS_PATH)
        positions = self._cloner.clone(
            source_prim_path=ENV_0_PATH,
            prim_paths=self._cloner.generate_paths(f"{ENVS_PATH}/env", num_envs),
            replicate_physics=True,
            # Only with an argument that it needs: older versions have none of this name.
            **({"enable_env_ids": True} if self._use_env_ids else {}),
        )
        self._grid = torch.tensor([list(map(float, p)) for p in positions], dtype=torch.float32, device=self.device)
        self.env_positions = self._grid.clone()
        return self.env_positions

    # -- running ------------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Start physics again from the stage and initialise every registered view.

        Raises:
            MyriadError: If Kit owns the loop: there only `reset_async` works.
        """
        if app.kit_owns_the_loop():
            raise MyriadError("Inside a running Isaac Sim only `await engine.reset_async()` can start physics.")
        with self._starting():
            # SimulationContext's reset and not World's, whose asynchronous form would also move every robot to its
            # drives' targets where the other one does not: results would depend on the window.
            SimulationContext.reset(self.world)

    async def reset_async(self) -> None:
        """Start physics again from the stage and initialise every registered view, on Kit's own loop.

        From here on only `step` advances physics; Kit's frames do not.
        """
        with self._starting():
            await SimulationContext.reset_async(self.world)
        self._let_kit_step(False)

    @contextmanager
    def _starting(self) -> Iterator[None]:
        if self._cloner is None:
            raise MyriadError(NO_ENVIRONMENTS)
        shared = self._shared_colliders()
        usd.write_contact_offsets(shared, self._sim_config)
        if not (self._filtered or self._use_env_ids):
            self._filter_collisions(shared)
            self._filtered = True
        rate = self.stage.GetPrimAtPath(PHYSICS_SCENE_PATH).GetAttribute(_STEPS_PER_SECOND)
        rate.Set(_WARM_UP_STEPS_PER_SECOND)
        try:
            yield
        finally:
            # Written as a whole number, because World.set_physics_dt would truncate 1 / dt.
            rate.Set(self._sim_config.steps_per_second)
        for view in self.scene.views():
            # Up to 4.2 views connect to physics on request alone; later ones have done so, and do nothing here.
            view.initialize(self.world.physics_sim_view)
        self._sort_environments()
        if app.draws_frames() or app.kit_owns_the_loop():
            self._look_at_environment_0()

    def _look_at_environment_0(self) -> None:
        """Put the viewport's camera where environment 0 fills it, and its neighbours are seen behind it."""
        set_camera_view = import_first(
            ("isaacsim.core.utils.viewports", "set_camera_view"), ("omni.isaac.core.utils.viewports", "set_camera_view")
        )
        assert self._grid is not None
        target = self._grid[0].cpu() + torch.tensor([0.0, 0.0, 0.1 * self._spacing])
        eye = target + torch.tensor([1.0, 1.0, 0.5]) * max(self._spacing, 1.0)
        set_camera_view(eye.numpy(), target.numpy())

    def _shared_colliders(self) -> list[Usd.Prim]:
        """Return what all environments touch, such as the ground."""
        everything = iter(Usd.PrimRange(self.stage.GetPseudoRoot()))
        shared = []
        for prim in everything:
            if prim.GetPath() == ENVS_PATH:
                everything.PruneChildren()
            elif prim.HasAPI(UsdPhysics.CollisionAPI):
                shared.append(prim)
        return shared

    def _filter_collisions(self, shared: list[Usd.Prim]) -> None:
        """Let clones touch what they share, and no clone of another one."""
        paths = [f"{ENVS_PATH}/env_{env_id}" for env_id in range(self.num_envs)]
        self._cloner.filter_collisions(
            PHYSICS_SCENE_PATH, _COLLISIONS_PATH, paths, [str(prim.GetPath()) for prim in shared]
        )

    def _sort_environments(self) -> None:
        """Bring `env_positions` into the order in which PhysX, not the cloner, holds the environments.

        Raises:
            MyriadError: If views disagree about the order, since their rows would belong to different environments.
        """
        assert self._grid is not None
        first: tuple[str, list[int]] | None = None
        for view in self.scene.views():
            matches = [re.match(rf"{ENVS_PATH}/env_(\d+)/", path) for path in view.prim_paths]
            # A view may have several prims per environment; what counts is the order the environments come in.
            order = list(dict.fromkeys(int(match.group(1)) for match in matches if match))
            if len(order) != self.num_envs:
                continue
            if first is not None and first[1] != order:
                raise MyriadError(
                    f"Isaac Sim holds the environments of {first[0]} and {view.name} in different orders."
                )
            first = (view.name, order)
        if first is not None:
            self.env_positions.copy_(self._grid[first[1]])

    def step(self, num_steps: int = 1) -> None:
        """Advance all environments by `num_steps` physics steps, then draw a frame if a window waits for one."""
        start = time.perf_counter()
        for _ in range(num_steps):
            # Without rendering, World steps exactly once and by physics_dt; with it, as often as the frame rate says.
            self.world.step(render=False)
        self._step_seconds += time.perf_counter() - start
        self.num_steps += 1
        self._calls += 1
        if app.draws_frames() and self._calls % self._render_interval == 0:
            self.world.render()

    async def render_async(self) -> None:
        """Let Kit draw a frame without stepping physics, from its own loop."""
        await self.world.render_async()
        if self.world is not None:  # else it was closed by what came in with the frame
            self._let_kit_step(False)  # World switches it on again after each frame

    def set_gravity(self, gravity: torch.Tensor) -> None:
        """Change gravity of the one scene."""
        super().set_gravity(gravity)
        self.world.physics_sim_view.set_gravity(carb.Float3(*gravity.tolist()))

    def read_property(self, view: Any, tensor_type: str, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Return a copy of what a view's physics has under PhysX's name, as `Engine` says."""
        values = getattr(view._physics_view, f"get_{_tensor(tensor_type)}")()
        return values.clone() if rows is None else values[rows.to(values.device)]

    def write_property(self, view: Any, tensor_type: str, name: str, values: torch.Tensor, rows: torch.Tensor) -> None:
        """Write rows of it, as `Engine` says; PhysX keeps all of them on the CPU, and is given whole tensors there."""
        tensor = _tensor(tensor_type)
        whole = getattr(view._physics_view, f"get_{tensor}")().cpu().clone()
        rows = rows.cpu()
        if not len(rows):
            return
        whole[rows] = values.cpu().view(len(rows), *whole.shape[1:])
        getattr(view._physics_view, f"set_{tensor}")(whole, rows.int())

    def update_kinematics(self) -> None:
        """Propagate written joint and root states to link poses without stepping."""
        self.world.physics_sim_view.update_articulations_kinematic()

    def link_poses(self, robot: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return positions and orientations of a view's links in the world, as `Engine` says."""
        poses = robot._physics_view.get_link_transforms()
        return poses[..., :3], poses[..., 3:].roll(1, dims=-1)  # PhysX says xyzw

    def link_velocities(self, robot: Any) -> torch.Tensor:
        """Return velocities of a view's links, as `Engine` says."""
        return robot._physics_view.get_link_velocities()

    def is_playing(self) -> bool:
        """Tell whether physics has been started and not closed."""
        return self.world is not None and self.world.is_playing() and self.world.physics_sim_view is not None

    def close(self) -> None:
        """Stop physics and forget the World; the engine cannot be used afterwards, Kit can.

        SimulationApp is left open: closing it ends the process, and there is a summary to be printed.
        """
        if self.world is None:
            return
        if self.world.is_playing() and not app.kit_owns_the_loop():
            self.world.stop()
        self._let_kit_step(True)
        for view in self.scene.views():
            # A view that is only dropped keeps being called back, on whatever stage is open by then.
            if hasattr(view, "destroy"):
                view.destroy()
        World.clear_instance()
        self.world = None

    async def close_async(self) -> None:
        """Stop physics on Kit's own loop and forget the World."""
        if self.world is not None and self.world.is_playing():
            await self.world.stop_async()
        self.close()

    def _let_kit_step(self, allowed: bool) -> None:
        carb.settings.get_settings().set_bool(_PLAY_SIMULATIONS, allowed)


def _tensor(tensor_type: str) -> str:
    """Return what a physics view calls an `ovphysx.TensorType`.

    Raises:
        NotImplementedError: If there is none that can be read and written.
    """
    name = tensor_type.removeprefix("ARTICULATION_").removeprefix("RIGID_BODY_").removeprefix("BODY_")
    if name not in _TENSORS:
        raise NotImplementedError(f"engine=isaacsim changes no {tensor_type}: use another engine.")
    return _TENSORS[name]


def _new_world(sim_config: SimConfig) -> Any:
    # One World lives in a process, and a second call would return the first one with its old settings.
    World.clear_instance()
    return World(
        physics_dt=sim_config.physics_dt,
        rendering_dt=sim_config.physics_dt * sim_config.task_config["env"]["controlFrequencyInv"],
        stage_units_in_meters=1.0,
        physics_prim_path=PHYSICS_SCENE_PATH,
        set_defaults=False,
        backend="torch",
        device=sim_config.config["sim_device"],
    )


def _version() -> str:
    try:
        get_version = import_first(("isaacsim.core.version", "get_version"), ("omni.isaac.version", "get_version"))
    except MyriadError:
        return "of unknown version"
    return get_version()[0] or "of unknown version"
