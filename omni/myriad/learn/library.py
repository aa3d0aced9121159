# SPDX-License-Identifier: Apache-2.0
"""A learner whose library has a training loop of its own: what is around that loop, said once for all of them.

A room gives a `Library`, which trains for an epoch at a time on a `Stage`; here are epochs, checkpoints and resuming.
"""

from __future__ import annotations

import copy
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, NoReturn, Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from omni.myriad.env.threads import single_threaded
from omni.myriad.errors import MyriadError
from omni.myriad.files import writing
from omni.myriad.learn import checkpoint
from omni.myriad.learn.base import Epoch, ExportModule, Listener, Observations, learner_name, room
from omni.myriad.learn.ppo import PPO, ActionRange, RewardShaper, check_end, read_ppo, update_threads, warn_of_lacks
from omni.myriad.learn.record.meters import EpisodeMeter, ExtrasMeter

_WATCHED = ("action", "observation", "reward")  # in the order of cause and effect within a step


class Library(Protocol):
    """A library's own runner with its networks, its rollout and its update."""

    @property
    def learning_rate(self) -> float:
        """The optimiser's step as it is now."""
        ...

    def train_epoch(self) -> dict[str, float]:
        """Step the stage for `horizon_length` steps and learn from them; return losses by name."""
        ...

    def policy_state(self) -> dict[str, Any]:
        """Return what acts: weights and statistics by name."""
        ...

    def learner_state(self) -> dict[str, Any]:
        """Return all else that a resumed run needs, as tensors and plain values."""
        ...

    def load(self, policy: dict[str, Any], learner: dict[str, Any]) -> None:
        """Put back what both returned."""
        ...


AnyLibrary = TypeVar("AnyLibrary", bound=Library)


class Stage:
    """The environments as a library steps them: rewards shaped, actions in range, episodes counted.

    Every tensor that it returns is the caller's to keep, unlike those of `VecEnv.step`, and an ordinary one even where
    the caller steps under torch's inference mode: tasks change their buffers later.

    Args:
        env: Vectorised environment.
        settings: `train.params.config`.
        stop_if_asked: Raises KeyboardInterrupt if a stop was asked for; called before every step.

    Attributes:
        observations: The last ones, zeros before `begin`.
        episodes: Rewards and lengths of episodes.
        extras: What the task reports of itself.
        step_seconds: How long this epoch was inside the environment.
        last_step: When the last step ended, by `time.perf_counter`.
    """

    def __init__(self, env: Any, settings: Mapping[str, Any], stop_if_asked: Callable[[], None]) -> None:
        self.env, self._stop_if_asked = env, stop_if_asked
        self.num_envs, self.device = env.num_envs, torch.device(env.device)
        self.shaper = RewardShaper(settings.get("reward_shaper") or {})
        self.range = ActionRange(env.action_space, settings.get("clip_actions", True)).to(self.device)
        self.bootstraps = settings.get("value_bootstrap", True)
        spaces = {"obs": env.observation_space} | ({"states": env.state_space} if env.state_space is not None else {})
        self.observations: dict[str, torch.Tensor] = {
            name: torch.zeros(self.num_envs, *space.shape, device=self.device) for name, space in spaces.items()
        }
        self.episodes = EpisodeMeter(self.num_envs, settings.get("games_to_track", 100), self.device)
        self.extras = ExtrasMeter()
        self.step_seconds = self.last_step = 0.0
        self._steps = 0
        self._spoilt = torch.full((len(_WATCHED),), math.inf, device=self.device)  # the first step that was, of each

    def begin(self, observations: Observations) -> None:
        """Continue from observations."""
        self.observations = {name: value.clone() for name, value in observations.items()}

    def begin_epoch(self, frames: int) -> None:
        """Tell the task how far training is, and measure anew."""
        self.env.set_env_frames(frames)
        self.step_seconds = 0.0

    def step(self, actions: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor]:
        """Step every environment once.

        Args:
            actions: (num_envs, num_actions), where 1 and -1 are the bounds of the task's actions.

        Returns:
            Observations; rewards as the learner sees them, (num_envs,); where an episode ended, and where it did so by
            the step limit alone, (num_envs,) bool, False where the run asks for no bootstrapping. An observation that
            comes with an end is still the last one of its episode.
        """
        self._stop_if_asked()
        with torch.inference_mode(False), torch.no_grad(), single_threaded(self.device):
            start = time.perf_counter()
            observed, rewards, dones, infos = self.env.step(self.range(actions.clone()))
            self.last_step = time.perf_counter()
            self.step_seconds += self.last_step - start
            self.observations = {name: value.clone() for name, value in observed.items()}
            dones = dones.bool().clone()
            shaped = self.shaper(rewards)
            time_outs = infos.get("time_outs") if self.bootstraps else None
            time_outs = torch.zeros_like(dones) if time_outs is None else time_outs.bool().clone()
            self.episodes.step(rewards, shaped, dones)
            self.extras.step(infos, self.device)
            watched = (actions, self.observations["obs"], shaped)
            finite = torch.stack([value.isfinite().all() for value in watched])
            self._spoilt = torch.where(finite, self._spoilt, self._spoilt.clamp(max=self._steps))
            self._steps += 1
        return self.observations, shaped, dones, time_outs

    def non_finite(self) -> str | None:
        """Return what was not finite first, None where all was so far."""
        first, which = self._spoilt.min(0)
        return None if first.isinf() else _WATCHED[int(which)]


class LibraryLearner(Generic[AnyLibrary]):
    """Trains with a library's own loop; see `omni.myriad.learn.base.Learner`.

    Args:
        config: Resolved configuration.
        env: Vectorised environment.
        run_dir: The run's folder.
        make: Makes the library's runner on a stage.
        resume: What `checkpoint.load` returned for `checkpoint`, to resume from.

    Raises:
        MyriadError: If a setting is wrong or the checkpoint holds another network.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        env: Any,
        run_dir: Path,
        make: Callable[[Stage], AnyLibrary],
        resume: dict[str, Any] | None,
    ) -> None:
        self.config, self.env, folder = config, env, run_dir / "checkpoints"
        params = copy.deepcopy(dict(config["train"]["params"]))
        self.settings = settings = params["config"]
        if config.get("max_iterations"):
            settings["max_epochs"] = int(config["max_iterations"])
        if config.get("save_every") is not None:
            settings["save_frequency"] = int(config["save_every"])
        check_end(settings, resume)
        self.max_epochs, self.max_frames = settings["max_epochs"], settings["max_frames"]
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(update_threads(params, len(os.sched_getaffinity(0))))
        self._stop_requested = False
        self.stage = Stage(env, settings, self._stop_if_asked)
        seed_all(config["seed"])
        with explained(config):
            self.library = make(self.stage)
        self.metadata = checkpoint.describe(config, env)
        self.latest = Epoch(learning_rate=self.library.learning_rate)
        self.checkpoints = checkpoint.Keeper(
            folder, settings.get("save_frequency", 0), self._state, self._rollout_state
        )
        self._resumed = resume
        if resume is not None:
            self._resume(resume)

    def stop(self) -> None:
        """Let training end after the step at hand."""
        self._stop_requested = True

    def _stop_if_asked(self) -> None:
        if self._stop_requested:
            raise KeyboardInterrupt

    def actor(self) -> Any:
        """Return the best policy that was kept, or the last."""
        path = checkpoint.kept(self.checkpoints.folder)
        state = checkpoint.load(path) if path else checkpoint.plain(self._state())
        return room(self.config).make_actor(self.config, self.env, state, path or "checkpoint")

    # -- training -----------------------------------------------------------------------------------------------------

    def train(self, listener: Listener) -> None:
        """Train to the end of `max_epochs` or `max_frames`; see `omni.myriad.learn.base.Learner`."""
        seed_all(self.config["seed"])
        self._begin()
        try:
            while not self._is_done():
                self._train_epoch()
                listener(self.latest)
                self.checkpoints.save_what_is_due(self.latest.epoch)
            self.checkpoints.finish()
        except KeyboardInterrupt:
            self._require_finite_weights()
            self.checkpoints.finish()
            raise
        finally:
            self.checkpoints.write_best()

    def _train_epoch(self) -> None:
        start, stage, before = time.perf_counter(), self.stage, self.latest
        physics_before = self.env.phase_seconds["physics"]
        stage.begin_epoch(before.frames)
        try:
            losses = self.library.train_epoch()
        except (ValueError, RuntimeError):
            self._require_finite()  # a NaN makes distributions and environments raise: name it instead
            raise
        end = time.perf_counter()
        self._require_finite()
        if wrong := [name for name, value in losses.items() if not math.isfinite(value)]:
            self._fail(f"loss is not finite: {', '.join(wrong)}")
        episodes = stage.episodes.close_epoch(stage.episodes.finished.tolist())
        physics = min(self.env.phase_seconds["physics"] - physics_before, stage.step_seconds)
        frames = stage.num_envs * self.settings["horizon_length"]
        means: dict[str, Any] = stage.episodes.means()
        self.latest = Epoch(
            epoch=before.epoch + 1,
            frames=before.frames + frames,
            seconds=before.seconds + end - start,
            epoch_seconds=end - start,
            physics_seconds=physics,
            task_seconds=stage.step_seconds - physics,
            policy_seconds=stage.last_step - start - stage.step_seconds,
            update_seconds=end - stage.last_step,
            epoch_frames=frames,
            episodes=episodes,
            reward_so_far=float(stage.episodes.so_far()),
            reward_best=before.reward_best,
            learning_rate=self.library.learning_rate,
            clip_range=self.settings.get("e_clip"),
            losses=losses,
            extras={name: float(value) for name, value in stage.extras.take().items()},
            **means,
        )
        reward, best = means["reward_mean"], before.reward_best
        is_best = reward is not None and (best is None or reward > best)
        if is_best and self.latest.epoch >= self.settings.get("save_best_after", 100):
            self.latest.reward_best = reward
            self.checkpoints.keep_best()

    def _is_done(self) -> bool:
        latest = self.latest
        best = -math.inf if latest.reward_best is None else latest.reward_best
        return (
            0 < self.max_epochs <= latest.epoch
            or 0 < self.max_frames <= latest.frames
            or best > self.settings.get("score_to_win", math.inf)
        )

    def _require_finite(self) -> None:
        if wrong := self.stage.non_finite():
            self._fail(f"{wrong} is not finite")
        self._require_finite_weights()

    def _require_finite_weights(self) -> None:
        weights = {
            name: value for name, value in self.library.policy_state().items() if isinstance(value, torch.Tensor)
        }
        # Stable-Baselines3 keeps statistics of observations on the host, wherever the weights are.
        if not torch.stack([value.isfinite().all().to(self.stage.device) for value in weights.values()]).all():
            wrong = next(name for name, value in weights.items() if not value.isfinite().all())
            self._fail(f"network weight {wrong} is not finite after the update")

    def _fail(self, what: str) -> NoReturn:
        raise MyriadError(
            f"training stopped in epoch {self.latest.epoch + 1}: {what}; {self.checkpoints.last_good()}"
        ) from None

    # -- checkpoints --------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        """Return the learner, without its environments."""
        return {
            "model": self.library.policy_state(),
            "library": self.library.learner_state(),
            "epoch": self.latest.epoch,
            "frame": self.latest.frames,
            "reward_best": self.latest.reward_best,
            "learner": {"train_seconds": self.latest.seconds},
            "myriad": self.metadata,
        }

    def _rollout_state(self) -> dict[str, Any]:
        return {
            "num_envs": self.stage.num_envs,
            "observations": self.stage.observations,
            "episodes": self.stage.episodes.state(),
            "env_state": self.env.get_env_state(),
            "random": checkpoint.get_random_state(),
        }

    def _resume(self, state: dict[str, Any]) -> None:
        """Take over a learner, and the best checkpoint beside it if it is the one that this run has to beat."""
        try:
            self.library.load(state["model"], state["library"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise MyriadError(
                f"the checkpoint holds another network than the configuration asks for: {' '.join(str(error).split())}"
            ) from error
        self.latest = Epoch(
            epoch=state["epoch"],
            frames=state["frame"],
            seconds=state["learner"]["train_seconds"],
            reward_best=state["reward_best"],
            learning_rate=self.library.learning_rate,
        )
        self.checkpoints.take_best(Path(self.config["checkpoint"]), state, "reward_best")

    def _begin(self) -> None:
        """Reset the environments, or put them back where the checkpoint left them."""
        state, self._resumed = self._resumed, None
        rollout = (state or {}).get("rollout")
        observations = self.env.reset()
        if rollout is None or rollout["num_envs"] != self.stage.num_envs:
            if self.settings.get("init_at_random_ep_len"):
                self.env.stagger_episodes()
            self.stage.begin(observations)
            return
        self.env.set_env_state(rollout["env_state"])
        self.stage.begin({name: value.to(self.stage.device) for name, value in rollout["observations"].items()})
        self.stage.episodes.load(rollout["episodes"])
        checkpoint.set_random_state(rollout["random"])


def learner_maker(
    library: Callable[[PPO, Stage], AnyLibrary],
    lacks: Mapping[str, tuple[Any, ...]],
    read: Callable[[Mapping[str, Any], Any], PPO] = read_ppo,
) -> Callable[..., LibraryLearner[AnyLibrary]]:
    """Return the `make_learner` of a room; see `omni.myriad.learn.base`.

    Args:
        library: Makes the library's runner from settings and a stage.
        lacks: Settings of which the library has these values alone.
        read: Reads settings from a configuration and an environment.
    """

    def make_learner(
        config: Mapping[str, Any], env: Any, run_dir: Path, resume: dict[str, Any] | None = None
    ) -> LibraryLearner[AnyLibrary]:
        warn_of_lacks(config, lacks)
        ppo = read(config, env)
        return LibraryLearner(config, env, run_dir, lambda stage: library(ppo, stage), resume)

    return make_learner


def seed_all(seed: int) -> None:
    """Seed Python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def explained(config: Mapping[str, Any]) -> Iterator[None]:
    """Turn what a library says of wrong settings into one line."""
    try:
        yield
    except (TypeError, ValueError, KeyError, AttributeError, AssertionError, ImportError) as error:
        said = " ".join(str(error).split())
        raise MyriadError(f"{learner_name(config)} cannot use train.params or train.library: {said}") from error


class LibraryActor:
    """A policy that is a plain network of one observation, without exploration.

    Args:
        package: The library's name as pip knows it.
        network: From observations, (batch, num_obs), to actions of which 1 and -1 are the bounds, (batch, num_actions).
        action_range: Brings them into the task's range.
        normalizes: Whether the network normalises observations.
        device: Where it acts.
    """

    def __init__(
        self, package: str, network: nn.Module, action_range: ActionRange, normalizes: bool, device: torch.device | str
    ) -> None:
        self.library = f"{package} {metadata.version(package)}"
        self._network = network.to(device).eval()
        self._range, self._normalizes = action_range.to(device), normalizes

    def reset(self, num_envs: int) -> None:
        """Do nothing: there is no memory."""

    @torch.no_grad()
    def act(self, observations: Observations, done: torch.Tensor | None = None) -> torch.Tensor:
        """Return actions as `VecEnv.step` takes them."""
        return self._range(self._network(observations["obs"]))

    def export_module(self) -> ExportModule:
        """Return the network with the range of its actions."""
        return _Exported(copy.deepcopy(self._network).cpu(), copy.copy(self._range).to("cpu"), self._normalizes)


class _Exported(ExportModule):
    def __init__(self, network: nn.Module, action_range: ActionRange, normalizes: bool) -> None:
        super().__init__()
        self.network, self.range = network, action_range
        self.states = {}
        self.normalizes, self.is_bounded = normalizes, action_range.clips

    def forward(
        self, observations: Mapping[str, torch.Tensor], states: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Return the action, and no states."""
        return self.range(self.network(observations["obs"])), states


def load_policy(network: nn.Module, state: Mapping[str, Any], path: str | os.PathLike[str]) -> nn.Module:
    """Return a network with the weights of a checkpoint.

    Raises:
        MyriadError: If it holds those of another network.
    """
    try:
        network.load_state_dict(state["model"])
    except RuntimeError as error:
        raise MyriadError(f"checkpoint {path} holds another network than the configuration asks for") from error
    return network
