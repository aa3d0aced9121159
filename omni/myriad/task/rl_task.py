# SPDX-License-Identifier: Apache-2.0
"""RLTask: the class a user inherits to describe what a robot shall learn."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch

from omni.myriad.engine import ENV_0_PATH, ENVS_PATH, Engine, Scene, SimConfig
from omni.myriad.errors import MyriadError
from omni.myriad.places import data_folder
from omni.myriad.task.terms import ActionTerm, ObservationTerm

if TYPE_CHECKING:
    from pxr import Usd

    from omni.myriad.env.vec_env import VecEnv

ASSETS_PATH = data_folder("assets")


class RLTask:
    """A reinforcement learning task on `num_envs` clones of one environment.

    A subclass says how many numbers it observes and acts with, authors environment 0 in `set_up_scene`, and fills the
    buffers below. Method names, buffers and the constructor are those of OmniIsaacGymEnvs, whose task files port by
    changing imports.

    Args:
        name: Name of the task.
        env: The vectorised environment that steps the task.
        offset: Unused, as in OmniIsaacGymEnvs.
        sim_config: Configuration, by default the environment's.

    Attributes:
        num_observations: Size of an observation.
        num_actions: Size of an action.
        num_states: Size of the critic's private observation, 0 for none.
        capturable: A promise that `reset_idx`, `apply_actions` and what follows physics (`get_observations` to
            `get_extras`) launch the same work in every step, decide nothing in Python, never wait for the GPU, and keep
            what lasts longer than a step in the same tensors. They are then replayed as CUDA graphs, in which
            `reset_idx` is called for all environments and its results are kept for those that ended.
        version: Version of the task, to be raised when its observations or actions change meaning.
        obs_buf: Observations, (num_envs, num_observations).
        states_buf: The critic's private observations, (num_envs, num_states).
        rew_buf: Rewards, (num_envs,).
        reset_buf: 1 where the episode has ended, (num_envs,), int64.
        progress_buf: Steps since the episode began, (num_envs,), int64.
        time_out_buf: True where the episode ended by the step limit alone, (num_envs,).
        env_frames: Frames that the policy has been trained on so far, for curricula.
        extras: What else goes to the trainer; scalars in `extras["episode"]` are logged.
    """

    num_observations: int
    num_actions: int
    num_states: int = 0
    capturable: bool = False
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
        for size in ("num_observations", "num_actions", "num_states"):
            # OmniIsaacGymEnvs' tasks set these with an underscore before they call this constructor.
            setattr(self, size, getattr(self, f"_{size}", getattr(self, size, None)))
            if getattr(self, size) is None:
                raise MyriadError(f"Task {name} does not say its {size}: set {size} = ... in the class.")
        self._define_spaces()
        self.cleanup()

    def _define_spaces(self) -> None:
        def unbounded(size: int) -> gymnasium.spaces.Box:
            return gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)

        if not hasattr(self, "action_space"):
            self.action_space: gymnasium.Space = gymnasium.spaces.Box(-1.0, 1.0, (self.num_actions,), np.float32)
        if not hasattr(self, "observation_space"):
            self.observation_space: gymnasium.Space = unbounded(self.num_observations)
        if not hasattr(self, "state_space"):
            self.state_space: gymnasium.Space | None = unbounded(self.num_states) if self.num_states else None

    def cleanup(self) -> None:
        """Allocate the buffers, with every environment marked for reset."""
        n, device = self._num_envs, self._device
        self.obs_buf = torch.zeros((n, self.num_observations), device=device)
        self.states_buf = torch.zeros((n, self.num_states), device=device)
        self.rew_buf = torch.zeros(n, device=device)
        self.reset_buf = torch.ones(n, device=device, dtype=torch.long)
        self.progress_buf = torch.zeros(n, device=device, dtype=torch.long)
        self.time_out_buf = torch.zeros(n, device=device, dtype=torch.bool)
        self.env_frames = 0
        self.extras: dict[str, Any] = {}

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

    def add_robot(self, name: str, asset: str, position: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Usd.Prim:
        """Reference a robot's USD file into environment 0 and apply the settings of `sim.<name>` to it.

        Args:
            name: Name of the prim below environment 0, and of its section in the task's YAML.
            asset: USD file: absolute, relative to the task's file, or relative to `assets/`.
            position: Position in the environment, in metres.

        Returns:
            The robot's prim.

        Raises:
            MyriadError: If there is no such file, or it has no default prim.
        """
        from pxr import Gf, Sdf, UsdGeom

        path = self._find_asset(asset)
        layer = Sdf.Layer.FindOrOpen(str(path))
        if layer is None or not layer.defaultPrim:
            raise MyriadError(f"{path} cannot be referenced: it must be a USD file with a defaultPrim.")
        prim = self.stage.DefinePrim(f"{ENV_0_PATH}/{name}")
        prim.GetReferences().AddReference(str(path))
        xform = UsdGeom.Xformable(prim)
        xform.ClearXformOpOrder()
        xform.AddTranslateOp().Set(Gf.Vec3d(*position))
        self._sim_config.apply_articulation_settings(name, prim)
        return prim

    def _find_asset(self, asset: str) -> Path:
        folders = [Path(inspect.getfile(type(self))).parent, ASSETS_PATH]
        for folder in folders:
            if (folder / asset).is_file():
                return (folder / asset).resolve()
        raise MyriadError(f"Asset {asset} of task {self.name} was not found in {folders[0]} or {folders[1]}.")

    def set_up_scene(self, scene: Scene) -> None:
        """Add the ground and clone environment 0; a subclass authors its robot, calls this, then adds its views."""
        sim = self._task_cfg["sim"]
        if sim["add_ground_plane"]:
            material = sim["default_physics_material"]
            self.world.add_ground_plane(
                "/World/defaultGroundPlane",
                material["static_friction"],
                material["dynamic_friction"],
                material["restitution"],
            )
        self._env_pos = self.world.clone_environments(self._num_envs, self._env_spacing)

    def post_reset(self) -> None:
        """Read what the views know once physics runs; called once, before the first step."""

    def observation_terms(self) -> list[ObservationTerm]:
        """Say what the numbers of an observation are, in order; asked once physics runs.

        Exported policies carry this. A task computes with the scales and offsets stated here, so that they cannot drift
        apart; an empty list leaves the numbers unnamed.
        """
        return []

    def action_terms(self) -> list[ActionTerm]:
        """Say which joints the numbers of an action command, in order; see `observation_terms`."""
        return []

    # -- one step -----------------------------------------------------------------------------------------------------

    def pre_physics_step(self, actions: torch.Tensor) -> None:
        """Reset the environments that ended, then apply actions, (num_envs, num_actions).

        OmniIsaacGymEnvs' tasks define this; others define `reset_idx` and `apply_actions`.
        """
        env_ids = self.reset_buf.nonzero().squeeze(-1)
        if len(env_ids) > 0:
            self.reset_idx(env_ids)
        self.apply_actions(actions)

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Turn actions, (num_envs, num_actions), into what drives the robots."""
        raise NotImplementedError(f"Task {self.name} must define apply_actions(actions).")

    def get_observations(self) -> dict[str, Any] | None:
        """Fill `obs_buf`."""
        raise NotImplementedError(f"Task {self.name} must define get_observations().")

    def get_states(self) -> torch.Tensor:
        """Fill and return `states_buf`, for tasks whose critic sees more than the policy."""
        return self.states_buf

    def calculate_metrics(self) -> None:
        """Fill `rew_buf`."""
        raise NotImplementedError(f"Task {self.name} must define calculate_metrics().")

    def is_done(self) -> None:
        """Fill `reset_buf`; by default episodes end at the step limit alone.

        `time_out_buf` is True at the step limit when this is called; a task that can fail in that very step clears it
        there, so that the failure is not bootstrapped.
        """
        self.reset_buf[:] = self.time_out_buf

    def get_extras(self) -> None:
        """Fill `extras`."""

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Start new episodes in environments `env_ids`, (M,) int64, and clear their `reset_buf` and `progress_buf`."""

    def reset(self) -> None:
        """Mark every environment for reset."""
        self.reset_buf.fill_(1)

    def post_physics_step(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, Any]]:
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
        self._check_buffers()
        self.time_out_buf &= self.reset_buf.bool()
        self.extras["time_outs"] = self.time_out_buf
        return self.obs_buf, self.rew_buf, self.reset_buf, self.extras

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
        if self.obs_buf.shape != (n, self.num_observations):
            raise MyriadError(
                f"Task {self.name}: obs_buf must have shape ({n}, {self.num_observations}) after get_observations, "
                f"got {tuple(self.obs_buf.shape)}."
            )
