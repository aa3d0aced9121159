# SPDX-License-Identifier: Apache-2.0
"""The RLTask that OmniIsaacGymEnvs' tasks inherit, on ours, and the environment that steps it as theirs does."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from pxr import Sdf, Usd, UsdPhysics, UsdShade

from omni.myriad.engine import ENV_0_PATH, ENVS_PATH, Engine, Scene, usd
from omni.myriad.engine.physx.engine import PhysXEngine
from omni.myriad.env import vec_env
from omni.myriad.task import rl_task

_GROUND = "/World/defaultGroundPlane"


class RLTask(rl_task.RLTask):
    """A task written for OmniIsaacGymEnvs, with what its `RLTask` has and ours has not.

    Args:
        name: Name of the task.
        env: The environment that steps it.
        offset: Unused.
    """

    stage: Any = None

    def __init__(self, name: str, env: VecEnv, offset: np.ndarray | None = None) -> None:
        from omniisaacgymenvs.utils.domain_randomization.randomize import (  # type: ignore[import-not-found]
            Randomizer,
        )

        self.stage = env.engine.stage
        self._dr_randomizer = Randomizer(self._cfg, self._task_cfg)
        if self._dr_randomizer.randomize:
            self.dr = self._dr_randomizer.dr
        self.randomize_actions = self.randomize_observations = False
        super().__init__(name, env, sim_config=self._sim_config)
        self.rl_device = self._cfg["rl_device"]

    def make_terrain(self) -> None:
        """Return nothing: sections of that name are the task's own."""

    def make_randomizer(self) -> None:
        """Leave it to their own."""

    @property
    def max_episode_length(self) -> int:
        """Steps after which an episode is cut short; tasks set it."""
        return self._max_episode_length

    @max_episode_length.setter
    def max_episode_length(self, steps: int) -> None:
        self._max_episode_length = steps

    @property
    def world(self) -> Any:
        """The engine, whose scene has a `_scene_registry`."""
        return _World(self._env.engine)

    def set_up_scene(
        self,
        scene: Scene,
        replicate_physics: bool = True,
        collision_filter_global_paths: Sequence[str] = (),
        filter_collisions: bool = True,
        copy_from_source: bool = False,
    ) -> None:
        """Add the ground and clone environment 0, on the stage as well: tasks look for copies there and change them.

        Args:
            scene: The registry of views.
            replicate_physics: Whether all copies are like environment 0; else each is what the stage says.
            collision_filter_global_paths: What collides with all environments, the ground aside.
            filter_collisions: Whether environments pass through each other, which replicated ones always do.
            copy_from_source: Unused: copies are references.
        """
        engine, sim = cast(PhysXEngine, self._env.engine), self._task_cfg["sim"]
        material = _material(self.stage, f"{usd.PHYSICS_SCENE_PATH}/defaultMaterial", sim["default_physics_material"])
        _bind(self.stage.GetPrimAtPath(usd.PHYSICS_SCENE_PATH), material)
        shared = list(collision_filter_global_paths)
        if sim["add_ground_plane"]:
            # Numbers of Isaac Sim's default ground plane.
            engine.add_ground_plane(_GROUND, 0.5, 0.5, 0.8)
            shared.append(_GROUND)
        engine.replicate = replicate_physics
        self._env_pos = engine.clone_environments(self._num_envs, self._env_spacing)
        with Sdf.ChangeBlock():
            layer = self.stage.GetRootLayer()
            for env_id, position in enumerate(self._env_pos.tolist()):
                _place_environment(layer, f"{ENVS_PATH}/env_{env_id}", position)
        if filter_collisions and not replicate_physics:
            _filter_collisions(self.stage, self._num_envs, shared)

    def initialize_views(self, scene: Scene) -> None:
        """Do nothing: a task adds its views in `set_up_scene`; this is for scenes that were made before."""


class _World:
    """An engine as Isaac Sim's World: its scene has a registry of views."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        registry = SimpleNamespace(articulated_views=engine.scene.robots(), rigid_prim_views=engine.scene.bodies())
        # Ours ask for views by kind, theirs the registry.
        self.scene = SimpleNamespace(_scene_registry=registry, robots=engine.scene.robots, bodies=engine.scene.bodies)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


class VecEnv(vec_env.VecEnv):
    """Steps a task of OmniIsaacGymEnvs: it may write its own buffers, and only it says where time was up."""

    def _look_around(self, task: rl_task.RLTask) -> None:
        # PhysX warms up with a step so short that a joint which closes a loop makes speed of the last bit of a length.
        for robot in self.engine.scene.robots().values():
            targets = robot.get_applied_actions().joint_velocities
            robot.set_velocities(torch.zeros_like(robot.get_velocities()))
            robot.set_joint_velocities(torch.zeros_like(robot.get_joint_velocities()))
            if targets is not None:
                robot.set_joint_velocity_targets(targets)
        super()._look_around(task)

    def _before_physics(self, actions: torch.Tensor) -> None:
        task: Any = self.task
        if task.randomize_actions:
            actions = task._dr_randomizer.apply_actions_randomization(actions=actions, reset_buf=task.reset_buf)
        super()._before_physics(actions)

    def _look(self) -> vec_env.StepResult:
        task: Any = self.task
        task.obs_buf, rewards, dones, extras = task.post_physics_step()
        if task.randomize_observations:
            task._dr_randomizer.apply_observations_randomization(observations=task.obs_buf, reset_buf=task.reset_buf)
        extras.setdefault("time_outs", torch.zeros_like(task.time_out_buf, dtype=torch.bool))
        self._set_faulty_aside(rewards, dones, extras)
        return self._observations(), rewards, dones.long(), extras


def make_sim_config(config: dict[str, Any]) -> Any:
    """Return the checkout's own SimConfig on a configuration that has its defaults, without what it asks of Kit."""
    from omniisaacgymenvs.utils.config_utils import sim_config  # type: ignore[import-not-found]

    made = object.__new__(sim_config.SimConfig)
    made._config, made._cfg = config, config["task"]
    made._sim_params, made._physx_params = config["task"]["sim"], config["task"]["sim"]["physx"]
    return made


def _place_environment(layer: Sdf.Layer, path: str, position: list[float]) -> None:
    """Put an environment at a position in m, as a reference to environment 0 if it is another."""
    spec = Sdf.CreatePrimInLayer(layer, path)
    spec.specifier, spec.typeName = Sdf.SpecifierDef, "Xform"
    if path != ENV_0_PATH:
        spec.referenceList.Prepend(Sdf.Reference("", ENV_0_PATH))
    for name, kind, value in (
        ("xformOp:translate", Sdf.ValueTypeNames.Double3, tuple(position)),
        ("xformOpOrder", Sdf.ValueTypeNames.TokenArray, ["xformOp:translate"]),
    ):
        attribute = spec.attributes.get(name) or Sdf.AttributeSpec(spec, name, kind)
        attribute.default = value


def _filter_collisions(stage: Usd.Stage, num_envs: int, shared: Sequence[str]) -> None:
    """Let each environment collide with itself and what all share: with inverted groups only those named collide."""
    usd.author(
        stage.GetPrimAtPath(usd.PHYSICS_SCENE_PATH),
        "PhysxSceneAPI",
        "physxScene:invertCollisionGroupFilter",
        Sdf.ValueTypeNames.Bool,
        True,
    )
    everything = "/World/collisions/shared"
    groups = {everything: list(shared)}
    groups |= {f"/World/collisions/env_{i}": [f"{ENVS_PATH}/env_{i}"] for i in range(num_envs)}
    for path, members in groups.items():
        group = UsdPhysics.CollisionGroup.Define(stage, path)
        group.GetCollidersCollectionAPI().CreateIncludesRel().SetTargets(members)
        group.CreateFilteredGroupsRel().SetTargets(list(groups) if path == everything else [path, everything])


def _material(stage: Usd.Stage, path: str, numbers: dict[str, float]) -> UsdShade.Material:
    material = UsdShade.Material.Define(stage, path)
    physics = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    physics.CreateStaticFrictionAttr(numbers["static_friction"])
    physics.CreateDynamicFrictionAttr(numbers["dynamic_friction"])
    physics.CreateRestitutionAttr(numbers["restitution"])
    return material


def _bind(prim: Usd.Prim, material: UsdShade.Material) -> None:
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material, UsdShade.Tokens.weakerThanDescendants, "physics")
