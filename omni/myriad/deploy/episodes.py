# SPDX-License-Identifier: Apache-2.0
"""Episodes from given starts, played the same way wherever a policy runs, so that rewards compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from omni.myriad.deploy.sources import Sensors, find_eyes, terms_of
from omni.myriad.env.vec_env import VecEnv
from omni.myriad.errors import MyriadError
from omni.myriad.learn.base import Acts, Observations
from omni.myriad.learn.rollout import rollout
from omni.myriad.policy.runtime import Command, Policy
from omni.myriad.render.video import Film

Starts = dict[str, Any]
"""What `VecEnv.get_env_state` returned when every environment had just been reset."""


class Episodes(NamedTuple):
    """What came of some episodes.

    Attributes:
        rewards: Sum of rewards of each.
        lengths: Control steps of each.
        distances: How far each robot's root got along the world's x axis, in m.
        lasted: Whether only the step limit ended each.
        said: What the task says of each in `extras["episode"]`, by name; nothing where several are played at once.
    """

    rewards: np.ndarray
    lengths: np.ndarray
    distances: np.ndarray
    lasted: np.ndarray
    said: dict[str, np.ndarray]

    @classmethod
    def joined(cls, parts: Sequence[Episodes]) -> Episodes:
        """Return those of several, one after the other."""
        rewards, lengths, distances, lasted = (
            np.concatenate(each) for each in zip(*(part[:-1] for part in parts), strict=True)
        )
        said = {name: np.concatenate([part.said[name] for part in parts]) for name in parts[0].said}
        return cls(rewards, lengths, distances, lasted, said)


def draw_starts(env: VecEnv) -> Starts:
    """Reset all environments as their task does, and return where they start, before physics has moved on."""
    env.task.reset()
    env.task.reset_idx(torch.arange(env.num_envs, device=env.device))
    return env.get_env_state() | {"origins": env.engine.env_positions.clone()}


def only(starts: Starts, index: int, at_origin: bool = False) -> Starts:
    """Return one environment's start, for an environment that is alone.

    Args:
        starts: From `draw_starts`.
        index: The environment.
        at_origin: Whether it is moved to the origin, where the one that is alone has its cameras and scenery; else it
            stays at its place of the world.
    """

    def row(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor[index : index + 1] for name, tensor in tensors.items()}

    views, task = {name: row(state) for name, state in starts["views"].items()}, row(starts["task"])
    if at_origin:
        for state in views.values():
            if "positions" in state:
                state["positions"] = state["positions"] - starts["origins"][index]
        if "_env_pos" in task:
            task["_env_pos"] = torch.zeros_like(task["_env_pos"])
    return {"task": task, "views": views, "num_envs": 1}


def play(env: Any, actor: Acts, starts: Starts, view_name: str, film: Film | None = None) -> Episodes:
    """Play one episode in each environment.

    As `VecEnv.reset` does, each begins with one step without action, which is not counted.

    Args:
        env: A `VecEnv`, or a `SingleRobot`.
        actor: Who acts.
        starts: Where the environments start.
        view_name: The robot's view.
        film: Gets the poses of environment 0 until its episode ends.
    """
    env.set_env_state(starts)
    obs = env.step(torch.zeros((env.num_envs, env.num_actions), device=env.device))[0]
    view = env.engine.robots()[view_name]
    rewards, lengths, distances = torch.zeros(3, env.num_envs, device=env.device)
    first = view.get_world_poses()[0][:, 0].clone()
    running = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
    lasted, said = torch.zeros_like(running), {}

    def shoot() -> None:
        if film is not None and bool(running[0]):
            film.take(float(rewards[0]))

    shoot()
    for step in rollout(env, actor, obs):
        rewards += torch.where(running, step.rewards, 0.0)
        lengths += running
        distances = torch.where(running, view.get_world_poses()[0][:, 0] - first, distances)
        lasted |= running & step.extras["time_outs"].bool()
        running &= ~step.dones
        if not bool(running.any()):
            said = step.extras.get("episode", {}) if env.num_envs == 1 else {}
            break
        shoot()
    numbers = {name: value.reshape(1).float().cpu().numpy() for name, value in said.items()}
    arrays = [each.cpu().numpy() for each in (rewards, lengths, distances, lasted)]
    return Episodes(arrays[0], arrays[1], arrays[2], arrays[3], numbers)


class SingleRobot:
    """One robot that nothing but the file's runtime drives; the task around it keeps the score.

    Observations are measured by the names of the file's terms and commands are given to joints by name; what the task
    would have observed and commanded plays no part.

    Args:
        env: Environment with one robot, in whichever engine.
        policy: The file's runtime.
        view_name: The robot's view.
        latency: Control steps by which commands reach the robot late, to the nearest physics step. The first of an
            episode is in force from its start.

    Attributes:
        num_envs: 1.

    Raises:
        MyriadError: If commands are to change within a control step, and motors are computed by the task.
    """

    num_envs = 1

    def __init__(self, env: VecEnv, policy: Policy, view_name: str, latency: float = 0.0) -> None:
        self._env, self._policy = env, policy
        self._view = env.engine.robots()[view_name]
        self._sensors = Sensors(terms_of(policy), self._view, policy.metadata, env.engine.scene, policy.places)
        self._eyes = find_eyes(policy.images, env.engine.scene)
        self._commands: list[Command] = []
        decimation = env.task.control_frequency_inv
        self._whole, self._late_steps = divmod(round(latency * decimation), decimation)
        if self._late_steps and env.task.drives_motors:
            raise MyriadError(f"latency={latency:g}: motors of kind pd can be late by whole control steps alone.")
        self.num_actions, self.device = env.num_actions, env.device
        self.engine = env.engine

    def set_env_state(self, starts: Starts) -> None:
        """Begin an episode."""
        self._env.set_env_state(starts)
        self._commands = []

    def reset(self, num_envs: int) -> None:
        """Begin with zero recurrent states."""
        self._policy.reset()

    def act(self, observations: Observations, done: torch.Tensor | None = None) -> torch.Tensor:
        """Measure, ask the runtime, keep its command for the next step; return the action, which the score needs."""
        positions = dict(zip(self._view.dof_names, self._view.get_joint_positions()[0].tolist(), strict=True))
        velocities = dict(zip(self._view.dof_names, self._view.get_joint_velocities()[0].tolist(), strict=True))
        origin = getattr(self._env.task, "_env_pos", torch.zeros(1, 3))[0]
        pictures = {name: eye()[0].cpu().numpy() for name, eye in self._eyes.items()}
        asked = self._env.task.commands()
        given, poses = self._sensors.measure(origin, asked), self._sensors.poses(origin, asked)
        self._commands.append(self._policy.act(positions, velocities, given, images=pictures, poses=poses))
        del self._commands[: -self._whole - 2]
        return torch.from_numpy(self._policy.last_action)[None].to(self.device)

    def step(self, actions: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Carry the command out for one control period, as `VecEnv.step` does an action."""
        task = self._env.task
        task.pre_physics_step(actions)  # for the score; what it writes to the joints is overwritten
        self._apply(self._late(self._whole + (self._late_steps > 0)))
        if self._late_steps:
            self.engine.step(self._late_steps)
            self._apply(self._late(self._whole))
            self.engine.step(task.control_frequency_inv - self._late_steps)
        else:
            task.step_physics()
        obs, reward, done, extras = task.post_physics_step()
        for watcher in self._env.watchers:
            watcher.after_step()
        return {"obs": obs}, reward, done, extras

    def _late(self, steps: int) -> Command:
        """Return the command of so many control steps ago, or the oldest."""
        return self._commands[max(-1 - steps, -len(self._commands))] if self._commands else Command()

    def _apply(self, command: Command) -> None:
        view = self._view
        if command.effort:  # none on joints that are not commanded
            efforts = [command.effort.get(name, 0.0) for name in view.dof_names]
            view.set_joint_efforts(torch.tensor([efforts], device=self.device))
        targets = {view.set_joint_position_targets: command.position, view.set_joint_velocity_targets: command.velocity}
        for write, values in targets.items():
            if values:
                which = [view.get_dof_index(name) for name in values]
                write(torch.tensor([list(values.values())], device=self.device), joint_indices=which)


class FileActor:
    """The file's network for many environments at once, on the task's own observations.

    Args:
        policy: The file's runtime.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def reset(self, num_envs: int) -> None:
        """Begin with zero recurrent states."""
        self._policy.reset(num_envs)

    def act(self, observations: Observations, done: torch.Tensor | None = None) -> torch.Tensor:
        """Return the network's actions."""
        seen = observations["obs"]
        if isinstance(seen, dict):
            return torch.from_numpy(self._policy.infer({name: part.cpu().numpy() for name, part in seen.items()}))
        return torch.from_numpy(self._policy.infer(seen.cpu().numpy()))
