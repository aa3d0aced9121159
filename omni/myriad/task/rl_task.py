# SPDX-License-Identifier: Apache-2.0
"""RLTask: the class a user inherits to describe what a robot shall learn."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch

from omni.myriad.engine import ENV_0_PATH, ENVS_PATH, Engine, Scene, SimConfig
from omni.myriad.errors import MyriadError
from omni.myriad.places import data_folder
from omni.myriad.task.actuators import ProportionalDerivative, author_actuators, moving_joints, read_actuators
from omni.myriad.task.buffers import FirstObservation, Rewards, RewardTerms
from omni.myriad.task.cameras import Lens, author_camera
from omni.myriad.task.curriculum import Curriculum, EpisodeAverage, TerrainLevels
from omni.myriad.task.looks import Looks, make_looks
from omni.myriad.task.markers import Marker, author_likeness, author_marker, make_marker
from omni.myriad.task.observation import Observation, Quantities
from omni.myriad.task.randomization import Randomizer, make_randomizer
from omni.myriad.task.robot import About, Robots, robot_view
from omni.myriad.task.symmetry import Mirror, Symmetry
from omni.myriad.task.terms import ActionTerm, ImageTerm, ObservationTerm, check_terms
from omni.myriad.task.terrain import Terrain

if TYPE_CHECKING:
    from pxr import Usd

    from omni.myriad.env.vec_env import VecEnv
    from omni.myriad.robots.robot import Robot

ASSETS_PATH = data_folder("assets")

_SIZES = {"num_observations": "observation_terms", "num_actions": "action_terms", "num_states": "state_terms"}
"""The sizes of a task, each with the method whose terms add up to it."""


class RLTask:
    """A reinforcement learning task on `num_envs` clones of one environment.

    A subclass names its `robot`, or authors environment 0 in `set_up_scene`, and defines `pre_physics_step` or
    `apply_actions`, `get_observations` and `calculate_metrics`. What it observes and acts with it says by terms, or by
    sizes, or not at all: then actions are one number per joint, and observations what `get_observations` writes. Method
    names, buffers and the constructor are those of OmniIsaacGymEnvs, whose task files port by changing imports.

    Args:
        name: Name of the task.
        env: The vectorised environment that steps the task.
        offset: Unused, as in OmniIsaacGymEnvs.
        sim_config: Configuration, by default the environment's.

    Attributes:
        robot: In the class, the robot that `set_up_scene` adds, as for `add_robot`; its settings are `sim.Robot`. In
            the task, its view (`Robots`), which is also `self.robots`.
        robot_position: Where the robot stands in its environment, in m; None for its home.
        num_observations: How many numbers are observed; those of `observation_terms`, where there are any. Without
            both, as many as `get_observations` writes, which is then called once before the first step.
        num_actions: Size of an action; that of `action_terms`, where there are any. Without both, one per joint.
        num_states: Size of the critic's private observation, 0 for none; that of `state_terms`, where there are any.
        capturable: A promise that `reset_idx`, `apply_actions` and what follows physics (`get_observations` to
            `get_extras`) launch the same work in every step, decide nothing in Python, never wait for the GPU, and keep
            what lasts longer than a step in the same tensors. They are then replayed as CUDA graphs, in which
            `reset_idx` is called for all environments and its results are kept for those that ended.
        symmetry: What is left and right of the robot, for learning from mirrored samples; None where nobody has said.
        version: Version of the task, to be raised when its observations or actions change meaning.
        obs_buf: Observations, (num_envs, num_observations); with pictures a dictionary of that as "state", and of the
            pictures by name. Made after `post_reset` where terms say its size.
        states_buf: The critic's private observations, (num_envs, num_states).
        rew_buf: Rewards, (num_envs,); a column, (num_envs, 1), may be written into it.
        reset_buf: 1 where the episode has ended, (num_envs,), int64; any other number than 0 that a task writes there
            becomes 1.
        progress_buf: Steps since the episode began, (num_envs,), int64.
        time_out_buf: True where the episode ended by the step limit alone, (num_envs,).
        env_frames: Frames that the policy has been trained on so far, for curricula.
        extras: What else goes to the trainer; scalars in `extras["episode"]` are logged.
        reward_terms: The terms that `sum_rewards` was given; None for a task that does not say them.
        markers: What `add_marker` made, by name.
        terrain: The ground that all environments share, where the YAML has a section `env.terrain`; else None. Without
            it there is a plane.
        levels: Where on it episodes start (`TerrainLevels`), or None.
        curricula: Numbers that change as robots learn, by name: put a `Curriculum` or an `EpisodeAverage` here, and
            update it in `is_done` or later.
    """

    robot: Any = ""
    robot_position: tuple[float, float, float] | None = None
    num_observations: int
    num_actions: int
    num_states: int = 0
    action_space: gymnasium.Space
    observation_space: gymnasium.Space
    state_space: gymnasium.Space | None
    capturable: bool = False
    symmetry: Symmetry | None = None
    version: str = "1"

    def __init__(
        self, name: str, env: VecEnv, offset: np.ndarray | None = None, sim_config: SimConfig | None = None
    ) -> None:
        self.name = name
        self._env = env
        self._sim_config = sim_config or env.sim_config
        self._cfg = self._sim_config.config
        self._task_cfg = self._sim_config.task_config
        self._device = env.engine.device
        env_cfg = self._task_cfg["env"]
        self._num_envs: int = env_cfg["numEnvs"]
        self._env_spacing: float = env_cfg["envSpacing"]
        self._max_episode_length: int = getattr(self, "_max_episode_length", env_cfg["episodeLength"])
        self.control_frequency_inv: int = env_cfg["controlFrequencyInv"]
        self.clip_obs: float = env_cfg["clipObservations"]
        self.clip_actions: float = env_cfg["clipActions"]
        self.test: bool = self._cfg["test"]
        for size in _SIZES:
            # OmniIsaacGymEnvs' tasks set these with an underscore before they call this constructor.
            setattr(self, size, getattr(self, f"_{size}", getattr(self, size, None)))
        if self.num_actions is None and not self._defines("action_terms") and not type(self).robot:
            raise MyriadError(f"Task {name} does not say its num_actions: set num_actions = ... in the class.")
        self.markers: dict[str, Marker] = {}
        self.curricula: dict[str, Curriculum | EpisodeAverage] = {}
        self.scales: dict[str, torch.Tensor] = {}  # sizes that were drawn at the start, by view, (num_envs,) each
        # Under two names: OmniIsaacGymEnvs' tasks have a terrain of their own.
        self.terrain = self._ground = self.make_terrain()
        self.levels = self._levels = None if self._ground is None else TerrainLevels(self._ground, self._num_envs)
        if self._levels is not None:
            # Here, too, so that checkpoints and captured resets have them.
            self.terrain_levels, self.terrain_columns = self._levels.levels, self._levels.columns
            self.terrain_origins = self._levels.origins
        self._about: dict[str, About] = {}
        self._motors: list[ProportionalDerivative] = []
        self._filled: dict[str, Observation] = {}
        self.randomizer: Randomizer | None = None
        self.looks: Looks | None = None
        spaces = ("action_space", "observation_space", "state_space")
        self._own_spaces = {space for space in spaces if hasattr(self, space)}
        self._define_spaces()
        self.cleanup()

    def _defines(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(RLTask, method)

    def _define_spaces(self) -> None:
        """Make the spaces whose sizes are known, but for those that the task has made itself."""
        sizes = {"observation_space": "num_observations", "state_space": "num_states", "action_space": "num_actions"}
        for name, size in sizes.items():
            numbers, bound = getattr(self, size), 1.0 if name == "action_space" else np.inf
            space = gymnasium.spaces.Box(-bound, bound, (numbers,), np.float32) if numbers else None
            if name not in self._own_spaces:
                setattr(self, name, self._filled[size].space if size in self._filled else space)

    def cleanup(self) -> None:
        """Allocate the buffers, with every environment marked for reset."""
        n, device = self._num_envs, self._device
        self._allocate_observations()
        self.rew_buf = torch.zeros(n, device=device).as_subclass(Rewards)
        self.reset_buf = torch.ones(n, device=device, dtype=torch.long)
        self.progress_buf = torch.zeros(n, device=device, dtype=torch.long)
        self.time_out_buf = torch.zeros(n, device=device, dtype=torch.bool)
        self.env_frames = 0
        self.extras: dict[str, Any] = {}
        self.reward_terms: RewardTerms | None = None

    def _allocate_observations(self) -> None:
        def buffer(size: str) -> Any:
            filled = self._filled.get(size)
            zeros = torch.zeros((self._num_envs, getattr(self, size) or 0), device=self._device)
            return filled.allocate() if filled else zeros

        self.obs_buf, self.states_buf = buffer("num_observations"), buffer("num_states")

    def start(self) -> None:
        """Look around once physics runs: ask what actions are, call `post_reset`, ask what is observed.

        Raises:
            MyriadError: If terms do not add up to the sizes that the class states, or there are neither.
        """
        views = [view for view in self.world.robots().values() if isinstance(view, Robots)]
        for view in views:
            view.start()
        self.world.update_kinematics()  # links follow the joints that have gone home
        self._motors = [view.motors for view in views if view.motors]
        for index, motors in enumerate(self._motors):
            setattr(self, f"motor_targets_{index}", motors.history)  # so that checkpoints have them
        self._take_terms("num_actions")
        self.post_reset()
        for size in ("num_observations", "num_states"):
            terms = self._take_terms(size)
            if size == "num_states" and any(isinstance(term, ImageTerm) for term in terms):
                raise MyriadError(f"Task {self.name}: state_terms has a picture, but the critic sees a vector.")
            if terms:
                what = f"{self.name} {_SIZES[size].removesuffix('_terms')}"
                self._filled[size] = Observation(what, terms, self._num_envs, self._device, noisy=not self.test)
        self._names_checked = False
        self._allocate_observations()
        if self.num_observations is None:
            self.obs_buf = FirstObservation(self)
            self.get_observations()
            self.num_observations = self.obs_buf.shape[-1]  # which may be a tensor that the task has put there
        self.randomizer = self.make_randomizer()
        self.looks = make_looks(self)
        self.has_own_states = bool(self.num_states)
        drawn = self.randomizer.for_critic() if self.randomizer is not None else None
        if drawn is not None and isinstance(self.obs_buf, dict) and not self.has_own_states:
            raise MyriadError(
                f"Task {self.name} observes pictures, behind which its critic can see nothing that is drawn."
            )
        if drawn is not None:
            self.num_states = (self.num_states or self.num_observations) + drawn.shape[1]
        self._define_spaces()
        if drawn is not None:
            self.state_space = gymnasium.spaces.Box(-np.inf, np.inf, (self.num_states,), np.float32)
        # Where the default reset_idx puts robots back: joints, then root positions and orientations.
        self._starts = {
            name: (robot.get_joint_positions(), *robot.get_world_poses()) for name, robot in self.world.robots().items()
        }

    def make_randomizer(self) -> Randomizer | None:
        """Return what changes by chance, as the YAML's `domain_randomization` says; None for nothing."""
        return make_randomizer(self)

    def make_terrain(self) -> Terrain | None:
        """Return the ground that the YAML's section `env.terrain` says; None for a plane."""
        section = self._task_cfg["env"].get("terrain")
        return None if section is None else Terrain(section, self._device)

    def _take_terms(self, size: str) -> Sequence[Any]:
        """Ask for the terms of a size, and set it from them if there are any."""
        method, declared = _SIZES[size], getattr(self, size)
        terms = getattr(self, method)()
        if terms:
            # No private observations are stated by 0, which is what a class has that says nothing.
            wanted = declared or None if size == "num_states" else declared
            setattr(self, size, check_terms(f"{self.name} {method.removesuffix('_terms')}", terms, wanted))
        elif declared is None and size == "num_actions":
            if self._defines(method):
                raise MyriadError(f"Task {self.name} does not say its num_actions: action_terms returns no terms.")
            self.num_actions = self.robot.num_dof
        return terms

    # -- where things are ---------------------------------------------------------------------------------------------

    @property
    def num_envs(self) -> int:
        """Number of environments."""
        return self._num_envs

    @property
    def max_episode_length(self) -> int:
        """Steps after which an episode is cut short."""
        return self._max_episode_length

    @property
    def device(self) -> torch.device:
        """Device of every tensor."""
        return self._device

    @property
    def world(self) -> Engine:
        """The engine, under OmniIsaacGymEnvs' name."""
        return self._env.engine

    @property
    def stage(self) -> Usd.Stage:
        """The USD stage on which environment 0 is authored."""
        return self._env.engine.stage

    @property
    def cfg(self) -> dict[str, Any]:
        """The whole resolved configuration."""
        return self._cfg

    @property
    def task_config(self) -> dict[str, Any]:
        """The task's part of the configuration."""
        return self._task_cfg

    @property
    def default_base_env_path(self) -> str:
        """Path of the parent of all environments."""
        return ENVS_PATH

    @property
    def default_zero_env_path(self) -> str:
        """Path of environment 0."""
        return ENV_0_PATH

    # -- building the scene -------------------------------------------------------------------------------------------

    def add_robot(
        self,
        name: str,
        asset: str,
        position: tuple[float, float, float] | None = None,
        orientation: tuple[float, float, float, float] | None = None,
    ) -> Usd.Prim:
        """Reference a robot into environment 0 and apply the settings of `sim.<name>` to it, motors included.

        Args:
            name: Name of the prim below environment 0, and of its section in the task's YAML.
            asset: USD file: absolute, relative to the task's file, or relative to `assets/`. Or a robot's name in the
                catalogue, such as "panda", a URDF or MJCF file, or a folder that `./myriad import` wrote.
            position: Position in the environment, in metres; None for the origin, a free robot of the catalogue on its
                feet above it.
            orientation: How it is turned in the environment, as wxyz of length 1; None for not at all.

        Returns:
            The robot's prim.

        Raises:
            MyriadError: If there is no such file or robot, or it has no default prim, or motors do not fit its joints.
        """
        from pxr import Gf, Sdf, UsdGeom

        from omni.myriad.engine.usd import root_pose

        path, imported = self._find_asset(asset)
        layer = Sdf.Layer.FindOrOpen(str(path))
        if layer is None or not layer.defaultPrim:
            raise MyriadError(f"{path} cannot be referenced: it must be a USD file with a defaultPrim.")
        prim = self.stage.DefinePrim(f"{ENV_0_PATH}/{name}")
        prim.GetReferences().AddReference(str(path))
        xform = UsdGeom.Xformable(prim)
        xform.ClearXformOpOrder()
        xform.AddTranslateOp().Set(Gf.Vec3d(*(position or (0.0, 0.0, imported.home.height if imported else 0.0))))
        if orientation is not None:
            xform.AddOrientOp().Set(Gf.Quatf(*orientation))
        self._sim_config.apply_articulation_settings(name, prim)
        joints = moving_joints(prim)
        motors = self._sim_config.parse_actor_config(name).get("actuators") or {}
        actuators = read_actuators(name, motors, list(joints))
        author_actuators(joints, actuators)
        frames, home = (imported.frames, imported.home.joints) if imported else ({}, {})
        self._about[name] = About(frames, home, root_pose(prim), actuators)
        return prim

    def vary_robot(self, name: str, assets: Sequence[str]) -> None:
        """Give environments different assets in turn for what `add_robot` added; call it after `super().set_up_scene`.

        Settings of `sim.<name>` hold for all. Films, cameras and other engines' models show the first.

        Args:
            name: Its name below environment 0.
            assets: As for `add_robot`, the one given there first; with bodies and joints of the same names.

        Raises:
            MyriadError: If there is no such asset, or the engine's environments are alike.
        """
        files = [str(self._find_asset(asset)[0]) for asset in assets]
        in_turn = [files[env_id % len(files)] for env_id in range(self._num_envs)]
        if len(set(in_turn)) > 1:
            self.world.vary_environments(name, in_turn)

    def _find_asset(self, asset: str) -> tuple[Path, Robot | None]:
        """Return a robot's USD file, and what is known of it if it was imported."""
        folders = [Path(inspect.getfile(type(self))).parent, ASSETS_PATH]
        imported = [folder / asset for folder in folders if (folder / asset / "robot.yaml").is_file()]
        files = [folder / asset for folder in folders if (folder / asset).is_file()]
        if not imported and files and files[0].suffix.startswith(".usd"):
            if not (files[0].parent / "robot.yaml").is_file():
                return files[0].resolve(), None
            imported = [files[0].parent]
        elif not imported and not files and Path(asset).suffix:
            raise MyriadError(f"Asset {asset} of task {self.name} was not found in {folders[0]} or {folders[1]}.")
        from omni.myriad import robots

        robot = robots.find((imported or files or [asset])[0])
        return robot.usd, robot

    def robot_view(self, name: str, view_name: str = "") -> Robots:
        """Return a view of the robots that `add_robot` added under a name, for `scene.add`; it knows their frames.

        It can be made once `super().set_up_scene` has cloned the environments.

        Args:
            name: Their name below environment 0.
            view_name: Name of the view, by default the same.
        """
        paths = f"{ENVS_PATH}/.*/{name}"
        return robot_view(self.world, self._env_pos, paths, view_name or name, self._about[name])

    def add_marker(
        self,
        name: str,
        shape: str = "sphere",
        size: float | tuple[float, float, float] = 0.05,
        colour: tuple[float, float, float] = (0.9, 0.25, 0.1),
    ) -> Marker:
        """Add a shape that is seen and touches nothing, such as a target; call it before `super().set_up_scene`.

        Args:
            name: Name of its prim below environment 0.
            shape: "sphere" or "box", or a USD file of one body, as for `add_robot`, whose looks it has.
            size: Diameter or edges in m, of a sphere or a box.
            colour: Red, green and blue from 0 to 1, likewise.

        Returns:
            Its positions and orientations, to be written by the task; films draw it there.
        """
        if shape.endswith((".usd", ".usda", ".usdc")):
            author_likeness(self.stage, name, str(self._find_asset(shape)[0]))
        else:
            author_marker(self.stage, name, shape, size, colour)
        self.markers[name] = self.world.markers[name] = make_marker(self._num_envs, self._device)
        return self.markers[name]

    def add_camera(
        self,
        name: str,
        position: tuple[float, float, float],
        target: tuple[float, float, float],
        link: str = "",
        focal_length: float = 24.0,
        horizontal_aperture: float = 20.955,
        clipping_range: tuple[float, float] = (0.01, 1000.0),
    ) -> Usd.Prim:
        """Add a camera to environment 0; call it before `super().set_up_scene`, and make its `CameraView` after it.

        Args:
            name: Name of its prim, which lies in the environment, or in the link.
            position: Where it is in m, in the environment, or in the link.
            target: What it looks at, in the same frame; z is up in the picture as far as can be.
            link: Path below environment 0 of the body that carries it, such as "Robot/hand"; empty where it is fixed.
            focal_length: In mm.
            horizontal_aperture: Width of the film in mm; half of it by the focal length is the tangent of half the
                field of view.
            clipping_range: Nearest and farthest distance in m that is seen.

        Returns:
            The camera's prim.

        Raises:
            MyriadError: If there is no such link, or something else has that name, or a number cannot be.
        """
        lens = Lens(focal_length, horizontal_aperture, clipping_range)
        return author_camera(self.stage, f"{link}/{name}".strip("/"), position, target, lens)

    def set_up_scene(self, scene: Scene) -> None:
        """Add `robot`, if the class names one, and the ground; clone environment 0; make `self.robot`, its view.

        A subclass with other things in its environments authors them, calls this, then adds its views.
        """
        if type(self).robot:  # of the class: an instance has the view there
            self.add_robot("Robot", type(self).robot, self.robot_position)
        sim = self._task_cfg["sim"]
        if self._ground is not None:
            self._ground.add_to(self.world)
            self._env_spacing = 0.0  # they share it, and episodes start anywhere on it
        elif sim["add_ground_plane"]:
            material = sim["default_physics_material"]
            self.world.add_ground_plane(
                "/World/defaultGroundPlane",
                self._sim_config.scales[1] * material["static_friction"],
                self._sim_config.scales[1] * material["dynamic_friction"],
                material["restitution"],
            )
        self._env_pos = self.world.clone_environments(self._num_envs, self._env_spacing)
        if type(self).robot:
            self.robot = self.robots = scene.add(self.robot_view("Robot", "robots"))

    def post_reset(self) -> None:
        """Read what the views know once physics runs; called once, before the first step."""

    def observation_terms(self) -> Sequence[ObservationTerm | ImageTerm]:
        """Say what is observed, in order; asked after `post_reset`, when joints and limits are known.

        `observe` fills `obs_buf` by it, and exported policies carry it. Without terms `get_observations` fills
        `obs_buf` itself, and the numbers have no names.
        """
        return []

    def state_terms(self) -> Sequence[ObservationTerm]:
        """Say what the critic alone observes, as `observation_terms` does; `observe` fills `states_buf` by it."""
        return []

    def action_terms(self) -> Sequence[ActionTerm]:
        """Say which joints the numbers of an action command, in order; asked before `post_reset`."""
        return []

    def commands(self) -> Mapping[str, torch.Tensor]:
        """Return what is asked of the robot, (num_envs, size) by the names of the terms with source "command".

        Or a place by the name that terms have among their `body_names`: x, y, z in m from the environment's origin,
        and where it is turned w, x, y, z.

        No sensor measures it: on a robot its user says it, and in `deploy` the task.
        """
        return {}

    def mirrors(self) -> tuple[Mirror, Mirror]:
        """Return how observations and actions look in a mirror along the robot, as `symmetry` says.

        Raises:
            MyriadError: If the task says none, or does not say it for all that is observed.
        """
        observed = self.observation_terms()
        terms = [term for term in observed if isinstance(term, ObservationTerm)]
        if self.symmetry is None or not terms or len(terms) < len(observed):
            raise MyriadError(f"Task {self.name} has no symmetry that is known: say symmetry = Symmetry(...) in it.")
        actions = self.action_terms()
        device = self._device
        return self.symmetry.of_observations(terms, actions, device), self.symmetry.of_actions(actions, device)

    # -- one step -----------------------------------------------------------------------------------------------------

    def pre_physics_step(self, actions: torch.Tensor) -> None:
        """Reset the environments that ended, then apply actions, (num_envs, num_actions).

        OmniIsaacGymEnvs' tasks define this; others define `reset_idx` and `apply_actions`.
        """
        self._reset_marked()
        self.apply_actions(actions)

    def before_physics(self, actions: torch.Tensor) -> None:
        """Call `pre_physics_step`; where the task has its own, reset what it leaves marked."""
        self.pre_physics_step(actions)
        if self._defines("pre_physics_step"):
            self._reset_marked()

    def step_physics(self) -> None:
        """Step physics for one control period; motors of kind pd are driven in each of its steps."""
        if not self._motors:
            self.world.step(self.control_frequency_inv)
            return
        began = self.progress_buf == 0
        for step in range(self.control_frequency_inv):
            for motors in self._motors:
                motors.drive(began if step == 0 else None)
            self.world.step()

    @property
    def drives_motors(self) -> bool:
        """Whether there are motors of kind pd, which are computed here."""
        return bool(self._motors)

    def _reset_marked(self) -> None:
        env_ids = self.reset_buf.nonzero().squeeze(-1)
        if len(env_ids) > 0:
            self.reset_idx(env_ids)

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Turn actions, (num_envs, num_actions), into what drives the robots."""
        raise NotImplementedError(f"Task {self.name} must define apply_actions(actions).")

    def get_observations(self) -> dict[str, Any] | None:
        """Fill `obs_buf`: by `observe` where terms say what is observed."""
        raise NotImplementedError(f"Task {self.name} must define get_observations().")

    def observe(self, quantities: Quantities) -> dict[str, torch.Tensor]:
        """Fill `obs_buf`, and `states_buf` if there are `state_terms`, as the terms say.

        Args:
            quantities: By the names of all terms: (num_envs, size) each in the unit and frame of its term, before
                scaling, or any shape with as many numbers for each environment; pictures (num_envs, height, width,
                channels).

        Returns:
            The observation's parts by name, as the policy sees them: slices of `obs_buf`, the same tensors every time.

        Raises:
            MyriadError: At the first call, if a term is missing or has the wrong shape, or a name belongs to no term.
        """
        if not self._names_checked:
            names = {name for part in self._filled.values() for name in part.names}
            unknown = [name for name in quantities if name not in names]
            if unknown:
                known = ", ".join(sorted(names)) or "none"
                raise MyriadError(f"Task {self.name} observes {unknown[0]}, which is no term; its terms are: {known}.")
            self._names_checked = True
        begun = self.progress_buf == 1
        for part in self._filled.values():
            part.fill(quantities, begun)
        return self._filled["num_observations"].parts if "num_observations" in self._filled else {}

    def forget_frames(self) -> None:
        """Let the next pictures be the first of their stacks, since another state was written."""
        for part in self._filled.values():
            part.forget()

    def get_states(self) -> torch.Tensor:
        """Fill and return `states_buf`, for tasks whose critic sees more than the policy."""
        return self.states_buf

    def calculate_metrics(self) -> None:
        """Fill `rew_buf`."""
        raise NotImplementedError(f"Task {self.name} must define calculate_metrics().")

    def sum_rewards(self, terms: Mapping[str, torch.Tensor | float]) -> torch.Tensor:
        """Return the sum of a reward's terms, (num_envs,), and keep them: their means are logged and shown by name.

        Args:
            terms: By name, (num_envs,) float each, the same names in every step; a number is one that never changes.
        """
        if self.reward_terms is None:
            self.reward_terms = self.extras["reward_terms"] = RewardTerms(terms, self._num_envs, self._device)
        return self.reward_terms.sum(terms)

    def is_done(self) -> None:
        """Fill `reset_buf`; by default episodes end at the step limit alone.

        `time_out_buf` is True at the step limit when this is called; a task that can fail in that very step clears it
        there, so that the failure is not bootstrapped.
        """
        self.reset_buf[:] = self.time_out_buf

    def get_extras(self) -> None:
        """Fill `extras`."""

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Start new episodes in environments `env_ids`, (M,) int64, and clear their `reset_buf` and `progress_buf`.

        By default robots are put back to where they were when physics started, at rest; on a terrain, to where
        `start_points` says. A subclass may call this, and then change what starts otherwise.
        """
        starts = self.start_points(env_ids)
        for name, robot in self.world.robots().items():
            joints, positions, orientations = (start[env_ids] for start in self._starts[name])
            robot.set_world_poses(positions + starts, orientations, indices=env_ids)
            robot.set_velocities(torch.zeros((len(env_ids), 6), device=self._device), indices=env_ids)
            robot.set_joint_positions(joints, indices=env_ids)
            robot.set_joint_velocities(torch.zeros_like(joints), indices=env_ids)
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0

    def start_points(self, env_ids: torch.Tensor, asked: torch.Tensor | float = 0.0) -> torch.Tensor:
        """Return where on the terrain new episodes start, (M, 3) in m from the origin; zeros without a terrain.

        With a curriculum environments change levels here, as far as the first robot's root has come in the episode.

        Args:
            env_ids: Environments whose episodes have ended, (M,).
            asked: How far the robots were asked to go in m, (M,) or one number.
        """
        if self._levels is None:
            return torch.zeros((len(env_ids), 3), device=self._device)
        robot = next(iter(self.world.robots().values()))
        positions = robot.get_world_poses(clone=False)[0][env_ids]
        self._levels.update(env_ids, positions, asked, self.progress_buf[env_ids] > 0)
        return self._levels.origins[env_ids]

    def reset(self) -> None:
        """Mark every environment for reset."""
        self.reset_buf.fill_(1)

    def post_physics_step(self) -> tuple[Any, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Compute observations, rewards, dones and extras after physics.

        Returns:
            `obs_buf`, `rew_buf`, `reset_buf` and `extras`; `extras["time_outs"]` tells the trainer where an episode was
            cut short rather than lost.
        """
        self.progress_buf += 1
        self.get_observations()
        self.get_states()
        self.calculate_metrics()
        torch.ge(self.progress_buf, self._max_episode_length - 1, out=self.time_out_buf)
        self.is_done()
        self.get_extras()
        self._report_curricula()
        self._check_buffers()
        self.reset_buf.ne_(0)  # learners reckon with 0 and 1
        self.time_out_buf &= self.reset_buf.bool()
        self.extras["time_outs"] = self.time_out_buf
        return self.obs_buf, self.rew_buf, self.reset_buf, self.extras

    def _report_curricula(self) -> None:
        """Add the mean terrain level and the curricula's numbers to what is logged."""
        numbers = {name: curriculum.value for name, curriculum in self.curricula.items()}
        if self._levels is not None:
            numbers["terrain_level"] = self._levels.levels.float().mean()
        if numbers:
            self.extras["episode"] = {**self.extras.get("episode", {}), **numbers}

    def _check_buffers(self) -> None:
        # Shapes only: looking at values would wait for the GPU.
        n = self._num_envs
        if self.rew_buf.shape != (n,):
            if self.rew_buf.numel() != n:
                raise MyriadError(
                    f"Task {self.name}: rew_buf must have shape ({n},) after calculate_metrics, "
                    f"got {tuple(self.rew_buf.shape)}."
                )
            self.rew_buf = self.rew_buf.reshape(n)
        if self.reset_buf.shape != (n,):
            raise MyriadError(
                f"Task {self.name}: reset_buf must have shape ({n},) after is_done, got {tuple(self.reset_buf.shape)}."
            )
        if isinstance(self.obs_buf, torch.Tensor) and self.obs_buf.shape != (n, self.num_observations):
            raise MyriadError(
                f"Task {self.name}: obs_buf must have shape ({n}, {self.num_observations}) after get_observations, "
                f"got {tuple(self.obs_buf.shape)}."
            )
