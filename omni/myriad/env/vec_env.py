# SPDX-License-Identifier: Apache-2.0
"""VecEnv: steps a task on an engine and hands the trainer what it wants."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import gymnasium
import torch

from omni.myriad.engine import Engine, SimConfig
from omni.myriad.env.capture import Graph, Launch, MaskedReset, TaskGraph, Tensors
from omni.myriad.env.threads import single_threaded
from omni.myriad.errors import MyriadError
from omni.myriad.task.randomization import scale_at_startup
from omni.myriad.task.rl_task import RLTask
from omni.myriad.task.symmetry import Mirror
from omni.myriad.task.terms import STATE

logger = logging.getLogger(__name__)

Observations = dict[str, Any]
"""{"obs": tensor, or tensors by name where pictures are observed}, with "states" where the critic sees more."""
StepResult = tuple[Observations, torch.Tensor, torch.Tensor, dict[str, Any]]


class Watcher(Protocol):
    """Whoever shows what happens in an environment, and may hold it up."""

    def after_step(self) -> None:
        """Look at a step that was taken."""

    def release(self) -> None:
        """Hold the environment up no longer; may be called from anywhere."""


class VecEnv:
    """A vectorised environment: one task, one engine, `num_envs` environments.

    Args:
        engine: Engine that steps physics.
        sim_config: The run's configuration.
        launch: What launches the parts of a step of a task that is `capturable`, on an engine that has `capture`; by
            default they become CUDA graphs on CUDA, and are called as they are on the CPU.

    Attributes:
        engine: The engine; also `world`, which is OmniIsaacGymEnvs' name.
        device: Device of every tensor.
        phase_seconds: Seconds spent so far in "physics" and "task", by the host's clock.
        set_up_seconds: Seconds that it took to build the scene and start physics.
        watchers: Those who show what happens.
        resets_faulty: Whether environments whose numbers are not finite are reset: the setting `on_nan`.
    """

    def __init__(self, engine: Engine, sim_config: SimConfig, launch: Launch | None = None) -> None:
        self.engine = self.world = engine
        self.device = engine.device
        self.sim_config = sim_config
        self.resets_faulty = sim_config.config.get("on_nan") == "reset"
        self._launch = launch or (Graph if engine.device.type == "cuda" else None)
        self.phase_seconds = {"physics": 0.0, "task": 0.0}
        self.set_up_seconds = 0.0
        self.watchers: list[Watcher] = []
        self._task: RLTask | None = None

    def set_task(self, task: RLTask) -> None:
        """Build the task's scene, start physics and let the task look around."""
        start = time.perf_counter()
        self._task = task
        task.set_up_scene(self.engine.scene)
        scale_at_startup(task)
        self.engine.reset()
        self._look_around(task)
        self.set_up_seconds = time.perf_counter() - start

    async def set_task_async(self, task: RLTask) -> None:
        """Do what `set_task` does inside a running Isaac Sim, where physics starts on Kit's own loop."""
        application = self.engine.application
        if application is None:
            raise MyriadError(f"engine={self.engine.name} runs in no application: use set_task.")
        self._task = task
        task.set_up_scene(self.engine.scene)
        scale_at_startup(task)
        await application.reset_async()
        self._look_around(task)

    def _look_around(self, task: RLTask) -> None:
        task.start()
        self._actions = torch.zeros((task.num_envs, task.num_actions), device=self.device)
        self._faulty = torch.zeros(task.num_envs, dtype=torch.bool, device=self.device)
        self._sane_state = self.engine.get_state() if self.resets_faulty else {}
        self._obs = torch.zeros((task.num_envs, task.num_observations), device=self.device)
        self._states = torch.zeros((task.num_envs, task.num_states), device=self.device)
        # What is clipped can hide what is infinite, unless that environment is reset for it.
        self._watched = math.isfinite(task.clip_obs) and not self.resets_faulty
        self._finite = torch.zeros((), device=self.device)  # NaN once something was not
        self._before_graph = self._after_graph = None
        self._writes: Any = None
        launch, capture = self._launch, self.engine.capture
        if task.capturable and launch is not None and capture is not None:
            self._after_graph = TaskGraph(task, self._look_for_graph, launch)
            if type(task).pre_physics_step is RLTask.pre_physics_step:
                self._masked_reset = MaskedReset(task, capture)
                self._before_graph = TaskGraph(task, self._act_for_graph, launch)

    @property
    def task(self) -> RLTask:
        """The task that is stepped."""
        if self._task is None:
            raise MyriadError("The environment has no task yet: call set_task(task).")
        return self._task

    @property
    def num_envs(self) -> int:
        """Number of environments."""
        return self.task.num_envs

    @property
    def max_episode_length(self) -> int:
        """Steps after which an episode is cut short."""
        return self.task.max_episode_length

    @property
    def num_actions(self) -> int:
        """Size of an action."""
        return self.task.num_actions

    @property
    def num_states(self) -> int:
        """Size of the critic's private observation, 0 for none."""
        return self.task.num_states

    @property
    def observation_space(self) -> gymnasium.Space:
        """Space of one observation."""
        return self.task.observation_space

    @property
    def action_space(self) -> gymnasium.Space:
        """Space of one action."""
        return self.task.action_space

    @property
    def state_space(self) -> gymnasium.Space | None:
        """Space of one private observation of the critic, or None."""
        return self.task.state_space

    def step(self, actions: torch.Tensor) -> StepResult:
        """Apply actions for one control period.

        Args:
            actions: (num_envs, num_actions), clamped here to the task's `clipActions`.

        Returns:
            Observations, rewards, dones and extras. These are buffers: the next step overwrites them.

            * observations: "obs", (num_envs, num_observations), clipped to the task's `clipObservations`; or, where
              pictures are observed, a dictionary of that as "state" and of each picture by name, (num_envs, height,
              width, channels), uint8 or float32, as it is. "states", (num_envs, num_states), clipped likewise, where
              the critic sees more.
            * rewards: (num_envs,), float32.
            * dones: (num_envs,), int64, 1 where an episode has ended; which starts again in the next step, so
              this observation is still the last one of its episode.
            * extras: "time_outs", (num_envs,) bool, True where the episode ended by the step limit alone; "episode", if
              the task reports any, a dictionary of scalars on the device, which are averaged over an epoch and logged;
              "reward_terms", the `RewardTerms` of a task that says them;
              "faulty", (num_envs,) bool, with `resets_faulty`: True where a number was not finite, so that observations
              and reward are 0 and the episode ends; anything else that the task puts there.
        """
        with single_threaded(self.device):
            start = time.perf_counter()
            self._before_physics(actions)
            before = time.perf_counter()
            self.task.step_physics()
            after = time.perf_counter()
            result = self._after_physics()
            self.phase_seconds["physics"] += after - before
            self.phase_seconds["task"] += (before - start) + (time.perf_counter() - after)
        for watcher in self.watchers:
            watcher.after_step()
        return result

    def _before_physics(self, actions: torch.Tensor) -> None:
        """Let the task reset and act, between what changes by chance."""
        randomizer = self.task.randomizer
        if randomizer is not None:
            actions = randomizer.before_step(actions)
        self._act(actions)
        if randomizer is not None:
            randomizer.after_actions()

    def _act(self, actions: torch.Tensor) -> None:
        """Let the task reset and act, at once where it can be captured."""
        graph, capture = self._before_graph, self.engine.capture
        if graph is None or capture is None:
            self._look_anew()
            self.task.before_physics(self._clamped(actions))
            return
        capture.flush()  # somebody else's writes, from tensors that the graph is about to fill
        replays = graph.captured
        graph({"actions": actions})
        # Nobody calls the views any more, so the engine has to be told what the graph has written.
        if replays:
            capture.write_again(self._writes)
        elif graph.captured:
            self._writes = capture.pending_writes()

    def _look_anew(self) -> None:
        if self.task.looks is not None:
            self.task.looks.before_step()

    def _act_for_graph(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        self._look_anew()
        self._masked_reset()
        self.task.apply_actions(self._clamped(inputs["actions"]))
        return {}

    def _clamped(self, actions: torch.Tensor) -> torch.Tensor:
        if not actions.is_floating_point():
            return actions
        clip = self.task.clip_actions
        return torch.clamp(actions, -clip, clip, out=self._actions)

    def _after_physics(self) -> StepResult:
        """Let the task look at the world, at once where it can be captured."""
        graph, capture = self._after_graph, self.engine.capture
        if graph is None or capture is None:
            return self._look()
        replays = graph.captured
        graph({})
        if not replays:
            # A graph cannot ask the views, neither while it is captured nor later: what it looks at has to be there.
            capture.keep_reading()
        return self._result

    def _look(self) -> StepResult:
        _, rewards, dones, extras = self.task.post_physics_step()
        if self.task.randomizer is not None and self.task.randomizer.logged:
            extras["episode"] = {**extras.get("episode", {}), **self.task.randomizer.means()}
        self._set_faulty_aside(rewards, dones, extras)
        return self._observations(), rewards, dones, extras

    def _set_faulty_aside(self, rewards: torch.Tensor, dones: torch.Tensor, extras: dict[str, Any]) -> None:
        """End the episodes in which something is not finite, and let nobody see it; done on the device alone."""
        if not self.resets_faulty:
            return
        task, seen = self.task, self.task.obs_buf
        parts = [
            *(seen.values() if isinstance(seen, dict) else [seen]),
            *([task.states_buf] if task.num_states else []),
        ]
        floats = [part for part in parts if part.is_floating_point()]
        sound = rewards.isfinite()
        for part in floats:
            sound &= part.isfinite().flatten(1).all(1)
        faulty = torch.logical_not(sound, out=self._faulty)
        for part in floats:
            part.masked_fill_(faulty.view(-1, *[1] * (part.ndim - 1)), 0.0)
        rewards.masked_fill_(faulty, 0.0)
        dones.masked_fill_(faulty, 1)
        extras["time_outs"].masked_fill_(faulty, False)
        extras["faulty"] = faulty

    def _look_for_graph(self, _: Tensors) -> dict[str, torch.Tensor]:
        self._result = self._look()
        return {}

    def reset(self) -> Observations:
        """Start every environment again and return its first observations.

        As in OmniIsaacGymEnvs, environments are marked for reset and stepped once with zero actions.
        """
        self.task.reset()
        return self.step(torch.zeros_like(self._actions))[0]

    def perform(self, function: Callable[[VecEnv], Any]) -> Any:
        """Return `function(self)`; whoever steps physics on another thread than the caller's does it there."""
        return function(self)

    def _observations(self) -> Observations:
        task = self.task
        seen: Any = task.obs_buf
        if task.randomizer is not None and task.randomizer.reads:
            seen = task.randomizer.read(seen)
        if not isinstance(seen, dict):
            observations: Observations = {"obs": self._clipped(seen, self._obs)}
        elif STATE in seen:
            observations = {"obs": seen | {STATE: self._clipped(seen[STATE], self._obs)}}
        else:
            observations = {"obs": seen}
        if task.num_states:
            states = task.states_buf
            if task.randomizer is not None and (drawn := task.randomizer.for_critic()) is not None:
                own: Any = states if task.has_own_states else task.obs_buf
                states = torch.cat((own, drawn), dim=-1)
            observations["states"] = self._clipped(states, self._states)
        return observations

    def _clipped(self, values: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        if self._watched:
            self._finite.add_(values.sum(), alpha=0)  # 0 times infinity is NaN
        return torch.clamp(values, -self.task.clip_obs, self.task.clip_obs, out=out)

    def mirrors(self) -> tuple[Mirror, Mirror]:
        """Return how observations and actions look in a mirror: `RLTask.mirrors`."""
        return self.task.mirrors()

    # -- what learners tell -------------------------------------------------------------------------------------------

    def set_env_frames(self, env_frames: int) -> None:
        """Tell the task how many frames the policy has been trained on, for curricula, as `task.env_frames`."""
        self.task.env_frames = env_frames
        if self._watched and self._finite.isnan():
            self._watched = False
            logger.warning(
                "an observation was infinite in some step, and was clipped to clipObservations=%g: "
                "with task.env.clipObservations=inf training stops there and says where",
                self.task.clip_obs,
            )

    def stagger_episodes(self) -> None:
        """Let episodes begin at random ages, so that they do not all end in the same step."""
        task = self.task
        task.progress_buf.random_(0, task.max_episode_length)

    def mend(self, env_ids: torch.Tensor) -> None:
        """Write the whole state in which physics started into environments, (M,) int64, which are reset next.

        What a task's `reset_idx` writes is enough where that alone has stopped being finite; a task with a fixed robot
        does not write its root.
        """
        if not len(env_ids):
            return  # writing no rows is an error to Isaac Sim's views on this PhysX
        rows = {view: {name: value[env_ids] for name, value in of.items()} for view, of in self._sane_state.items()}
        self.engine.set_state(rows, env_ids)
        self.task.reset_buf[env_ids] = 1

    def get_motion(self) -> dict[str, dict[str, torch.Tensor]]:
        """Return what moves, by view and name: `Engine.get_motion`."""
        return self.engine.get_motion()

    # -- saving and restoring -----------------------------------------------------------------------------------------

    def get_env_state(self) -> dict[str, Any]:
        """Return the task's tensors and the views' physical states, as tensors and plain values.

        PhysX keeps more than can be read, such as contact caches and the solver's last impulses: environments continue
        from the same state, but not to the last bit.
        """
        task = self.task
        tensors = {
            name: value.clone()
            for name, value in vars(task).items()
            if isinstance(value, torch.Tensor) and value.shape[:1] == (task.num_envs,)
        }
        state = {"task": tensors, "views": self.engine.get_state(), "num_envs": task.num_envs}
        if task.curricula:
            state["curricula"] = {name: curriculum.state() for name, curriculum in task.curricula.items()}
        if task.randomizer is not None:
            state["randomized"] = task.randomizer.get_state()
        return state

    def set_env_state(self, state: dict[str, Any] | None) -> None:
        """Write a state of `get_env_state` back.

        With another number of environments only curricula are written, and all start again; on a terrain on levels
        that are drawn from those of the state.
        """
        task = self.task
        state = state or {"num_envs": 0, "task": {}}
        for name, saved in state.get("curricula", {}).items():
            if name in task.curricula:
                task.curricula[name].set_state(saved)
        if state["num_envs"] != task.num_envs:
            if task._levels is not None and "terrain_levels" in state["task"]:
                task._levels.draw(state["task"]["terrain_levels"].to(self.device))
            task.reset()
            return
        self.engine.set_state(state["views"])
        task.forget_frames()
        if task.randomizer is not None:
            task.randomizer.set_state(state.get("randomized", {}))
        for name, saved in state["task"].items():
            current = getattr(task, name, None)
            if isinstance(current, torch.Tensor) and current.shape == saved.shape:
                current.copy_(saved)

    def close(self) -> None:
        """Release physics."""
        self.engine.close()
