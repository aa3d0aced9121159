# SPDX-License-Identifier: Apache-2.0
"""PPO by RSL-RL: its own runner, networks and update on our environments."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.utils import resolve_class
from tensordict import TensorDict

from omni.myriad.learn.library import LibraryActor, Stage, explained, learner_maker, load_policy
from omni.myriad.learn.ppo import CONSTANT, PPO, ActionRange, merged, read_ppo

logger = logging.getLogger(__name__)

_LACKS = {
    "normalize_value": (False,),
    "normalize_advantage": (True,),
    "lr_schedule": ("adaptive", *CONSTANT),
}


def make_actor(
    config: Mapping[str, Any], env: Any, state: Mapping[str, Any], path: str | os.PathLike[str] = "checkpoint"
) -> LibraryActor:
    """Return the policy of a checkpoint, without exploration; see `omni.myriad.learn.run.make_actor`."""
    settings = rsl_rl_settings(read_ppo(config, env))
    seen = TensorDict({"obs": torch.zeros(1, *env.observation_space.shape)}, batch_size=[1])
    with explained(config):
        model_class, arguments = resolve_class(settings["actor"])
        model = model_class(seen, settings["obs_groups"], "actor", env.num_actions, **arguments)
        policy: Any = load_policy(model, state, path)
        network = policy.as_onnx(verbose=False)
    actions = ActionRange(env.action_space, config["train"]["params"]["config"].get("clip_actions", True))
    return LibraryActor("rsl-rl-lib", network, actions, settings["actor"]["obs_normalization"], env.device)


def rsl_rl_settings(ppo: PPO) -> dict[str, Any]:
    """Return the runner's configuration as RSL-RL calls its parts."""
    network = {"class_name": "MLPModel", "activation": ppo.activation, "obs_normalization": ppo.normalize_input}
    spread = {"class_name": "GaussianDistribution", "init_std": math.exp(ppo.log_std), "std_type": "log"}
    settings = {
        "num_steps_per_env": ppo.horizon_length,
        "save_interval": 1,
        "check_for_nan": False,  # the stage does, without waiting for the device at every step
        "obs_groups": {"actor": ["obs"], "critic": ["states" if ppo.sees_states else "obs"]},
        "actor": network | {"hidden_dims": ppo.units, "distribution_cfg": spread},
        "critic": network | {"hidden_dims": ppo.critic_units},
        "algorithm": {
            "class_name": "PPO",
            "num_learning_epochs": ppo.mini_epochs,
            "num_mini_batches": ppo.minibatches,
            "clip_param": ppo.e_clip,
            "gamma": ppo.gamma,
            "lam": ppo.tau,
            "value_loss_coef": 0.5 * ppo.critic_coef,  # rl-games halves the error of the value
            "entropy_coef": ppo.entropy_coef,
            "learning_rate": ppo.learning_rate,
            "max_grad_norm": math.inf if ppo.max_grad_norm is None else ppo.max_grad_norm,
            "use_clipped_value_loss": ppo.clip_value,
            "schedule": "adaptive" if ppo.lr_schedule == "adaptive" else "fixed",
            "desired_kl": ppo.kl_threshold,
            "use_mixed_precision": ppo.mixed_precision,
        },
    }
    return merged(settings, ppo.library, more={"torch_compile_mode"})


class Env(VecEnv):
    """The stage with the methods that RSL-RL asks for."""

    def __init__(self, stage: Stage, num_actions: int) -> None:
        self.stage, self.cfg = stage, {}
        self.num_envs, self.num_actions, self.device = stage.num_envs, num_actions, stage.device

    def get_observations(self) -> TensorDict:
        """Return the last observations."""
        return TensorDict(dict(self.stage.observations), batch_size=[self.num_envs])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Step every environment; to rewards at time-outs RSL-RL adds gamma V(s) of the state before the step."""
        _, rewards, dones, time_outs = self.stage.step(actions)
        return self.get_observations(), rewards, dones, {"time_outs": time_outs}


class Notes:
    """Stands where RSL-RL's logger does, and keeps the losses; episodes are counted by the stage."""

    writer = None

    def __init__(self) -> None:
        self.losses: dict[str, float] = {}

    def init_logging_writer(self) -> None:
        """Do nothing."""

    def process_env_step(self, *_: Any) -> None:
        """Do nothing."""

    def log(self, loss_dict: dict[str, float], action_std: torch.Tensor, **_: Any) -> None:
        """Take note of an epoch."""
        self.losses = {f"{name}_loss" if name != "entropy" else name: float(value) for name, value in loss_dict.items()}
        self.losses["action_std"] = float(action_std.detach().mean())


class RslRl:
    """RSL-RL's runner, an epoch at a time."""

    def __init__(self, ppo: PPO, stage: Stage) -> None:
        with _logged():
            env = Env(stage, stage.env.num_actions)
            self.runner = OnPolicyRunner(env, rsl_rl_settings(ppo), None, str(stage.device))
        self.runner.logger = self.notes = Notes()  # type: ignore[assignment]

    @property
    def learning_rate(self) -> float:
        """The optimiser's step as it is now."""
        return self.runner.alg.learning_rate

    def train_epoch(self) -> dict[str, float]:
        """Step and learn; see `omni.myriad.learn.library.Library`."""
        self.runner.alg.storage.clear()
        self.runner.learn(1)
        return self.notes.losses

    def policy_state(self) -> dict[str, Any]:
        """Return the actor's weights and statistics."""
        return self.runner.alg.save()["actor_state_dict"]

    def learner_state(self) -> dict[str, Any]:
        """Return the critic, the optimiser and what extensions have."""
        return {name: value for name, value in self.runner.alg.save().items() if name != "actor_state_dict"}

    def load(self, policy: dict[str, Any], learner: dict[str, Any]) -> None:
        """Put back what both returned."""
        self.runner.alg.load({"actor_state_dict": policy, **learner}, None, True)


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    """Turn what RSL-RL prints into log records."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        yield
    for line in printed.getvalue().splitlines():
        logger.debug("rsl_rl: %s", line)


make_learner = learner_maker(RslRl, _LACKS)
