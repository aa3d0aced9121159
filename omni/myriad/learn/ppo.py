# SPDX-License-Identifier: Apache-2.0
"""PPO's numbers as a task states them once, in rl-games' words, for learners that have other words for them."""

from __future__ import annotations

import itertools
import logging
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import spaces
from torch import nn

from omni.myriad.errors import MyriadError
from omni.myriad.learn.base import learner_name

logger = logging.getLogger(__name__)

_MOST_THREADS = 4  # as in rl-games
_SMALL_UPDATE = 2e8  # floating-point operations of a minibatch, which one thread does in a few milliseconds

# Settings that no other library has, by the values that ask for nothing.
_RL_GAMES_ALONE: dict[str, tuple[Any, ...]] = {
    "bounds_loss_coef": (0.0,),
    "freeze_critic": (False,),
    "ppo": (True,),
    "schedule_entropy": (False,),
    "torch_compile": (False,),
    "use_smooth_clamp": (False,),
    "weight_decay": (0.0,),
}
CONSTANT = ("constant", "identity", "None")
"""Names of the schedule that leaves the learning rate as it is."""


_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "None": nn.Identity,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "swish": nn.SiLU,
    "tanh": nn.Tanh,
}


@dataclass(frozen=True)
class PPO:
    """The numbers of a run, under the names of `train.params`; docs/learners.md has a table of them.

    Attributes:
        units: Sizes of the actor's hidden layers.
        critic_units: Sizes of the critic's.
        log_std: Logarithm of the actions' standard deviation at the start.
        minibatch_size: Samples; divides the batch.
        minibatches: Their number in a batch.
        max_grad_norm: None where gradients are not cut.
        sees_states: Whether the critic sees the task's states instead of its observations.
        library: The library's own settings, which go before what follows from the others.
    """

    horizon_length: int
    minibatch_size: int
    minibatches: int
    mini_epochs: int
    learning_rate: float
    lr_schedule: str | None
    kl_threshold: float
    gamma: float
    tau: float
    e_clip: float
    clip_value: bool
    critic_coef: float
    entropy_coef: float
    max_grad_norm: float | None
    normalize_input: bool
    normalize_value: bool
    normalize_advantage: bool
    value_bootstrap: bool
    mixed_precision: bool
    units: list[int]
    critic_units: list[int]
    activation: str
    log_std: float
    sees_states: bool
    library: dict[str, Any]


def warn_of_lacks(config: Mapping[str, Any], lacks: Mapping[str, tuple[Any, ...]]) -> None:
    """Warn in one line of settings that a run's learner has nothing for.

    Args:
        config: Resolved configuration.
        lacks: Keys of `train.params.config` that it has no counterpart of, by the values that need none.
    """
    settings, idle = config["train"]["params"]["config"], {**_RL_GAMES_ALONE, **lacks}
    no_effect = [f"{key}={settings[key]}" for key in idle if settings.get(key) not in (None, *idle[key])]
    if no_effect:
        logger.warning(
            "train.learner=%s has nothing for %s of train.params.config; see docs/learners.md",
            learner_name(config),
            ", ".join(no_effect),
        )


def read_ppo(config: Mapping[str, Any], env: Any) -> PPO:
    """Return a run's numbers.

    Args:
        config: Resolved configuration.
        env: Vectorised environment, or its spaces and size.

    Raises:
        MyriadError: If the learner cannot have the network, the observations, the actions or several GPUs.
    """
    name, params = learner_name(config), config["train"]["params"]
    settings, network = params["config"], params["network"]
    space, critic = network["space"].get("continuous"), settings.get("central_value_config")
    _refuse(name, config, env)
    batch = env.num_envs * settings["horizon_length"]
    most = settings.get("minibatch_size") or batch
    size = next(size for size in range(min(most, batch), 0, -1) if batch % size == 0)
    units = list(network["mlp"]["units"])
    schedule = settings.get("lr_schedule")
    return PPO(
        **{key: settings[key] for key in ("horizon_length", "mini_epochs", "learning_rate", "gamma", "tau")},
        **{key: settings[key] for key in ("critic_coef", "entropy_coef", "normalize_input", "normalize_advantage")},
        minibatch_size=size,
        minibatches=batch // size,
        lr_schedule=schedule if schedule in ("adaptive", "linear") else None,
        kl_threshold=settings.get("kl_threshold", 0.008),
        e_clip=settings.get("e_clip", 0.2),
        clip_value=settings.get("clip_value", False),
        max_grad_norm=settings.get("grad_norm", 1.0) if settings.get("truncate_grads") else None,
        normalize_value=settings.get("normalize_value", False),
        value_bootstrap=settings.get("value_bootstrap", True),
        mixed_precision=settings.get("mixed_precision", False),
        units=units,
        critic_units=list(critic["network"]["mlp"]["units"]) if critic else units,
        activation=network["mlp"]["activation"],
        log_std=float((space.get("sigma_init") or {}).get("val", 0.0)),
        sees_states=bool(critic),
        library=_own_settings(config),
    )


def _refuse(name: str, config: Mapping[str, Any], env: Any) -> None:
    """Raise where a run wants what only rl-games' learner has here."""
    params = config["train"]["params"]
    network = params["network"]
    wrong = {
        "several GPUs": config.get("multi_gpu"),
        "a network with a memory (train.params.network.rnn)": network.get("rnn"),
        "a network for pictures (train.params.network.cnn)": network.get("cnn"),
        "observations in several parts": not isinstance(env.observation_space, spaces.Box),
        "actions that are choices": not isinstance(env.action_space, spaces.Box),
        f"train.params.model.name={params['model']['name']}": params["model"]["name"] != "continuous_a2c_logstd",
    }
    if refused := next((what for what, is_so in wrong.items() if is_so), None):
        raise MyriadError(f"train.learner={name} does not support {refused}: use train.learner=rl_games")


def _own_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return `train.library`, in which no text may be more than a word.

    A library may import what a text such as "module:function" names, and settings come out of checkpoints as well.
    """
    own = dict(config["train"].get("library") or {})
    for key, value in _leaves(own):
        if isinstance(value, str) and not re.fullmatch(r"[\w-]*", value):
            raise MyriadError(
                f"train.library.{key}={value} is invalid: a text there is one word, such as a class's name"
            )
    return own


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            yield from _leaves(dict(enumerate(value)), f"{prefix}{key}.")  # type: ignore[arg-type]
        else:
            yield f"{prefix}{key}", value


def merged(settings: dict[str, Any], own: Mapping[str, Any], more: Collection[str] = ()) -> dict[str, Any]:
    """Return settings with a library's own put over them, section by section.

    Args:
        settings: What follows from the run's numbers.
        own: `PPO.library`.
        more: What else the library knows at the top.

    Raises:
        MyriadError: If it knows nothing of a name at the top; those below it checks itself.
    """
    if unknown := [key for key in own if key not in settings and key not in more]:
        known = ", ".join(sorted([*settings, *more]))
        raise MyriadError(f"train.library.{unknown[0]} is unknown; choose from: {known}")
    return _merged(settings, own)


def _merged(settings: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(settings)
    for key, value in own.items():
        below = result.get(key)
        result[key] = _merged(dict(below), value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return result


def check_end(config: dict[str, Any], resume: Mapping[str, Any] | None) -> None:
    """Say when to stop in two numbers, and raise where that is never, or was already.

    Args:
        config: `train.params.config`; `max_epochs` and `max_frames` are put in, -1 where the other decides.
        resume: The checkpoint to resume from, or None.

    Raises:
        MyriadError: Then.
    """
    config["max_epochs"] = max_epochs = config.get("max_epochs") or -1
    config["max_frames"] = max(config.get("max_frames") or -1, config.pop("max_steps", None) or -1)
    if max_epochs < 1 and config["max_frames"] < 1:
        raise MyriadError("nothing says when to stop: set max_iterations, or max_frames in train.params.config")
    if resume is not None and 0 < max_epochs <= resume["epoch"]:
        raise MyriadError(
            f"the checkpoint is at epoch {resume['epoch']} and max_iterations={max_epochs}: nothing is left to train, "
            f"set max_iterations above {resume['epoch']}"
        )


def update_threads(params: Mapping[str, Any], cores: int) -> int:
    """Return how many threads an update on the CPU pays for.

    OpenMP's threads wait for each other after every operation. Where another program has one of the cores, that takes
    longer than the operation, so they get half of the cores, and small minibatches one thread.

    Args:
        params: `train.params`; `torch_threads` in it overrules, 0 leaving torch's own number.
        cores: Cores that this process may use.
    """
    wanted = params.get("torch_threads", "auto")
    if wanted != "auto":
        return int(wanted) or torch.get_num_threads()
    config = params["config"]
    units = ((params.get("network") or {}).get("mlp") or {}).get("units") or [0]
    weights = sum(a * b for a, b in itertools.pairwise([units[0], *units]))
    # A weight is multiplied and added forwards once and backwards twice for each sample.
    if 6 * weights * (config.get("minibatch_size") or 0) < _SMALL_UPDATE:
        return 1
    return max(1, min(_MOST_THREADS, cores // 2))


def activation_class(name: str) -> type[nn.Module]:
    """Return the class of an activation by rl-games' name.

    Raises:
        ValueError: If there is none.
    """
    if name not in _ACTIVATIONS:
        raise ValueError(f"activation {name} is none of {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]


class RewardShaper:
    """Rewards as the learner sees them: shifted, scaled, limited, and their logarithm where that is asked for.

    Args:
        settings: `train.params.config.reward_shaper`.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.scale, self.shift = settings.get("scale_value", 1.0), settings.get("shift_value", 0.0)
        self.low, self.high = settings.get("min_val", -math.inf), settings.get("max_val", math.inf)
        self.is_log = settings.get("log_val", False)

    def __call__(self, rewards: torch.Tensor) -> torch.Tensor:
        """Return shaped rewards, (num_envs,)."""
        shaped = ((rewards + self.shift) * self.scale).clamp(self.low, self.high)
        return shaped.log() if self.is_log else shaped


class ActionRange:
    """Actions in the range of the task's actions: 1 and -1 of the network's are its bounds.

    Args:
        space: The task's action space, a Box.
        clips: Whether actions are held within the bounds; else they are taken as they are.
    """

    def __init__(self, space: Any, clips: bool) -> None:
        low, high = torch.from_numpy(space.low).float(), torch.from_numpy(space.high).float()
        self.clips = clips
        self.half, self.middle = (high - low) / 2.0, (high + low) / 2.0
        self.is_unit = bool((self.half == 1.0).all() and (self.middle == 0.0).all())

    def to(self, device: torch.device | str) -> ActionRange:
        """Move to a device, and return itself."""
        self.half, self.middle = self.half.to(device), self.middle.to(device)
        return self

    def __call__(self, actions: torch.Tensor) -> torch.Tensor:
        """Return the task's actions, (num_envs, num_actions)."""
        if not self.clips:
            return actions
        clipped = actions.clamp(-1.0, 1.0)
        return clipped if self.is_unit else clipped * self.half + self.middle
