# SPDX-License-Identifier: Apache-2.0
"""The contracts: a `Learner` trains on a `VecEnv` and yields an `Actor`, which plays and can be exported.

A learner is a folder in this one with a module `learner.py`, which has two functions:

    make_learner(config, env, run_dir, resume) -> Learner
    make_actor(config, env, state, path) -> Actor

The folder's name is what `train.learner` chooses it by; nothing else has to be told about it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from omni.myriad import learn
from omni.myriad.errors import MyriadError
from omni.myriad.places import IN_WHEEL

Observations = Mapping[str, Any]
"""What `VecEnv.step` returns: {"obs": tensor or dictionary of tensors}, and "states" for a critic that sees more."""


@dataclass
class Epoch:
    """What one epoch did; a row of progress.csv, a frame of the live panel, a step in TensorBoard."""

    epoch: int = 0
    frames: int = 0  # environment steps since the training began, over all environments
    seconds: float = 0.0  # of training since it began
    epoch_seconds: float = 0.0  # this epoch's, wall clock
    physics_seconds: float = 0.0
    task_seconds: float = 0.0  # observations, rewards, resets
    policy_seconds: float = 0.0  # the rest of the rollout: inference and bookkeeping
    update_seconds: float = 0.0
    epoch_frames: int = 0
    epoch_steps: int = 0  # the same for one environment
    episodes: int = 0  # finished in this epoch
    reward_mean: float | None = None  # over recently finished episodes, as the task gives it; None before the first
    shaped_reward_mean: float | None = None  # the same as the learner sees it
    reward_so_far: float | None = None  # of the episodes that run, before the first has ended
    episode_length_mean: float | None = None  # in steps
    reward_best: float | None = None
    rewards: tuple[float, float] | None = None  # least and most in a step that did not end an episode, as learned from
    ending_steps: int = 0  # in which an episode ended
    faults: int = 0  # environments that were reset and left out, as something in them was not finite
    jointly_ending_steps: int = 0  # in which those of all environments did
    learning_rate: float | None = None
    clip_range: float | None = None
    losses: dict[str, float] = field(default_factory=dict)  # a_loss, c_loss, entropy, kl, ...
    extras: dict[str, float] = field(default_factory=dict)  # the task's own, means over the epoch
    scalars: dict[str, float] = field(default_factory=dict)  # the learner's own, under their full names

    @property
    def frames_per_second(self) -> float:
        """Return environment steps per second of wall clock, everything included."""
        return self.epoch_frames / max(self.epoch_seconds, 1e-9)


Listener = Callable[[Epoch], Any]
"""Told of each epoch, on the thread that learns."""


class Watch(Protocol):
    """Somebody who follows a run from another thread, and may end it."""

    def started(self, learner: Learner, run_dir: Path) -> None:
        """Take note of the learner; its `stop` ends the run after the step at hand."""
        ...

    def __call__(self, epoch: Epoch) -> None:
        """Take note of an epoch; called on the thread that learns."""
        ...


class Learner(Protocol):
    """Trains a policy on an environment, and resumes from a checkpoint as if it had never stopped.

    Attributes:
        latest: The last epoch; before the first, how far the checkpoint was.
        max_epochs: Epochs to go to, -1 where frames decide.
        max_frames: Frames to go to, -1 where epochs decide.
    """

    latest: Epoch
    max_epochs: int
    max_frames: int

    def train(self, listener: Listener) -> None:
        """Train to the end, telling the listener of each epoch and writing checkpoints as they are due.

        Raises:
            MyriadError: If something stops being finite.
            KeyboardInterrupt: On `stop` or Ctrl-C, with the last checkpoint written.
        """
        ...

    def stop(self) -> None:
        """Let training end after the step at hand; may be called from any thread."""
        ...

    def actor(self) -> Actor:
        """Return the best policy that was kept, or the last."""
        ...


class Acts(Protocol):
    """Whoever can be asked for actions."""

    def reset(self, num_envs: int) -> None:
        """Begin with empty memory for so many environments."""
        ...

    def act(self, observations: Observations, done: torch.Tensor | None = None) -> torch.Tensor:
        """Return actions as `VecEnv.step` takes them, (num_envs, ...).

        Args:
            observations: Of every environment.
            done: (num_envs,), where an episode ended since the last call: recurrent memory is cleared there.
        """
        ...


class Actor(Acts, Protocol):
    """A learner's policy without exploration.

    Attributes:
        library: Name and version of what computes its actions.
    """

    library: str

    def export_module(self) -> ExportModule:
        """Return the policy as a module on the CPU that can be traced, without critic and exploration."""
        ...


class ExportModule(nn.Module):
    """A policy as `Actor.act` computes it, as plain modules; what the task clips is clipped around it.

    `forward(observations, states)` takes observations by input name, (batch, *shape), and recurrent states, each
    (layers, batch, units); it returns the action, (batch, ...), and the next states.

    Attributes:
        states: Layers and units of each recurrent state by name, such as {"h": (1, 64), "c": (1, 64)}.
        normalizes: Whether observations are normalised inside.
        is_bounded: Whether actions never leave the action space.
    """

    states: dict[str, tuple[int, int]]
    normalizes: bool
    is_bounded: bool


def learner_name(config: Mapping[str, Any]) -> str:
    """Return the name of the learner that a configuration chooses."""
    return (config.get("train") or {}).get("learner", "rl_games")


def room(config: Mapping[str, Any]) -> Any:
    """Return the module with `make_learner` and `make_actor` of the learner that a configuration chooses.

    Raises:
        MyriadError: If there is no such learner, or its library is not installed. Names are looked up among folders, so
            none can run anything else.
    """
    name = learner_name(config)
    known = sorted(file.parent.name for folder in learn.__path__ for file in Path(folder).glob("*/learner.py"))
    if name not in known:
        raise MyriadError(f"train.learner={name} is unknown; choose one of: {', '.join(known)}.")
    try:
        return importlib.import_module(f"omni.myriad.learn.{name}.learner")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("omni"):
            raise
        extra = f"pip install {'' if IN_WHEEL else '-e '}'{'myriad-rl' if IN_WHEEL else '.'}[{name}]'"
        raise MyriadError(f"train.learner={name} needs the package {error.name}: {extra}") from error
