# SPDX-License-Identifier: Apache-2.0
"""Everything a run must remember to go on, to the bit, as if it had never stopped."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from omni.myriad.errors import MyriadError
from omni.myriad.learn.record.meters import EpisodeMeter
from omni.myriad.learn.rl_games import checkpoint

_Agent: Any = object  # mixed in before one of rl-games' agents, which has the rest of the attributes

BEST_SECONDS = 5.0  # best.pth reaches the disk at most this often, and at the end
LAST_SECONDS = 60.0  # last.pth is rewritten this often, against crashes


class LearnerState(_Agent):
    """The remembering half of our agents: what goes into a checkpoint, when, and how it comes back."""

    checkpoints: Path
    metadata: dict[str, Any]
    episodes: EpisodeMeter
    train_seconds: float
    _resume: dict[str, Any] | None = None  # environments to put back when training starts
    _best: dict[str, Any] | None = None  # the best learner, kept on the device until it is worth a write
    _best_written: float = 0.0
    _last_written: float = float("inf")

    def keep_best(self) -> None:
        """Remember the learner as it is now as the best; it is written when due."""
        self._best = _clone(self.get_full_state_weights())

    def save_what_is_due(self) -> None:
        """Write the checkpoints whose time has come."""
        now = time.monotonic()
        if self.save_freq > 0 and self.epoch_num % self.save_freq == 0:
            self.save(str(self.checkpoints / f"epoch_{self.epoch_num}"))
            self.save_last()
        elif now - self._last_written > LAST_SECONDS:
            self.save_last()
        if now - self._best_written > BEST_SECONDS:
            self.write_best()

    def save_last(self) -> None:
        """Write last.pth."""
        self.save(str(self.checkpoints / "last"))
        self._last_written = time.monotonic()

    def write_best(self) -> None:
        """Write best.pth if there is a better learner than the one written before."""
        if self._best is not None:
            checkpoint.save(self.checkpoints / "best.pth", self._best)
            self._best, self._best_written = None, time.monotonic()

    def last_good(self) -> Path | None:
        """Return the newest checkpoint written, or about to be, None where there is none yet."""
        written = [path for name in ("last", "best") if (path := self.checkpoints / f"{name}.pth").exists()]
        return written[0] if written else self.checkpoints / "best.pth" if self._best is not None else None

    def save(self, fn: str) -> None:
        """Write a checkpoint that training can go on from; `.pth` is appended, as rl-games does."""
        checkpoint.save(f"{fn}.pth", self.get_full_state_weights() | {"rollout": self._rollout_state()})

    def restore(self, fn: str, set_epoch: bool = True) -> None:
        """Go on from a checkpoint."""
        self.set_full_state_weights(checkpoint.load(fn), set_epoch)

    def get_weights(self) -> dict[str, Any]:
        """Return the weights under rl-games' names, without the prefix that torch.compile adds."""
        return super().get_weights() | {"model": _uncompiled(self.model.state_dict())}

    def get_full_state_weights(self) -> dict[str, Any]:
        """Return the whole learner; the environments are saved beside it, in `save`."""
        learner: dict[str, Any] = {
            "last_lr": self.last_lr,
            "entropy_coef": self.entropy_coef,
            "train_seconds": self.train_seconds,
        }
        state = self.get_weights()
        state |= {
            "epoch": self.epoch_num,
            "frame": self.frame,
            "optimizer": self.optimizer.state_dict(),
            "last_mean_rewards": self.last_mean_rewards,
            "myriad": self.metadata,
            "learner": learner,
        }
        if self.has_central_value:
            critic = self.central_value_net
            state["assymetric_vf_nets"] = _uncompiled(critic.state_dict())  # rl-games' spelling
            state["assymetric_vf_optimizer"] = critic.optimizer.state_dict()
            learner["critic"] = {"lr": critic.lr, "epoch_num": critic.epoch_num, "frame": critic.frame}
        return state

    def set_full_state_weights(self, weights: dict[str, Any], set_epoch: bool = True) -> None:
        """Take over a learner that `get_full_state_weights` returned, and at `train` the environments saved with it.

        Raises:
            MyriadError: where the checkpoint holds another network than the configuration asks for.
        """
        learner = weights["learner"]
        try:
            self.set_weights(weights)
            self.optimizer.load_state_dict(weights["optimizer"])
            if self.has_central_value:
                critic = self.central_value_net
                critic.load_state_dict(weights["assymetric_vf_nets"])
                critic.optimizer.load_state_dict(weights["assymetric_vf_optimizer"])
                critic.lr = learner["critic"]["lr"]
                critic.epoch_num, critic.frame = learner["critic"]["epoch_num"], learner["critic"]["frame"]
        except (RuntimeError, ValueError, KeyError) as error:
            detail = " ".join(str(error).split())
            raise MyriadError(
                f"the checkpoint holds another network than the configuration asks for: {detail}"
            ) from error
        if set_epoch:
            self.epoch_num, self.frame = weights["epoch"], weights["frame"]
        self.last_mean_rewards = weights["last_mean_rewards"]
        self.last_lr, self.entropy_coef = learner["last_lr"], learner["entropy_coef"]
        self.train_seconds = learner["train_seconds"]
        # Only rank 0's environments are saved; other ranks draw their own.
        self._resume = weights.get("rollout") if self.global_rank == 0 else None

    def _rollout_state(self) -> dict[str, Any]:
        return {
            "num_envs": self.num_actors,
            "obs": self.obs,
            "dones": self.dones,
            "rnn_states": self.rnn_states,
            "critic_rnn_states": self.central_value_net.rnn_states if self.has_central_value else None,
            "episodes": self.episodes.state(),
            "env_state": self.vec_env.get_env_state(),
            "random": checkpoint.get_random_state(),
        }

    def first_observations(self) -> dict[str, torch.Tensor]:
        """Reset the environments, or put them back where the checkpoint left them."""
        obs = self.env_reset()
        rollout, self._resume = self._resume, None
        if rollout is None or rollout["num_envs"] != self.num_actors:
            if self.config.get("init_at_random_ep_len", False):
                self.vec_env.stagger_episodes()
            return obs
        self.vec_env.set_env_state(rollout["env_state"])
        self.dones = rollout["dones"].to(self.ppo_device)
        if self.is_rnn:
            self.rnn_states = [memory.to(self.ppo_device) for memory in rollout["rnn_states"]]
        if rollout["critic_rnn_states"] is not None:
            self.central_value_net.rnn_states = [memory.to(self.ppo_device) for memory in rollout["critic_rnn_states"]]
        self.episodes.load(rollout["episodes"])
        checkpoint.set_random_state(rollout["random"])
        return {name: tensor.to(self.ppo_device) for name, tensor in rollout["obs"].items()}


def _uncompiled(state: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_orig_mod.", ""): value for name, value in state.items()}


def _clone(state: Any) -> Any:
    """Copy a nest of tensors on their device, so that training on does not change it."""
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {name: _clone(value) for name, value in state.items()}
    return [_clone(value) for value in state] if isinstance(state, list) else state
