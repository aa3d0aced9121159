# SPDX-License-Identifier: Apache-2.0
"""All that a run must remember to continue, to the bit, as if it had never stopped: what, when, how it comes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from omni.myriad.errors import MyriadError
from omni.myriad.files import map_leaves, write_bytes
from omni.myriad.learn import checkpoint, ranks
from omni.myriad.learn.record.meters import EpisodeMeter

NO_SCORE = -1_000_000_000.0  # rl-games' "no best yet"
BEST_SECONDS = 5.0  # best.pth reaches the disk at most this often, and at the end
LAST_SECONDS = 60.0  # last.pth is rewritten this often, against crashes

_FORGOTTEN, _FORGOTTEN_OF_CRITIC = ("last_lr", "entropy_coef"), ("lr", "epoch_num", "frame")  # by rl-games, on resume


class Checkpoints:
    """A run's checkpoints: at the top level what rl-games' own player expects, and what rl-games forgets in `learner`.

    Args:
        agent: rl-games' agent.
        env: Vectorised environment.
        folder: Folder for best.pth, last.pth and epoch_<k>.pth.
        metadata: What `checkpoint.describe` returned, put into each of them.

    Attributes:
        seconds: Of training, since it began.
    """

    def __init__(self, agent: Any, env: Any, folder: Path, metadata: dict[str, Any]) -> None:
        self.agent, self.env, self.folder, self.metadata = agent, env, folder, metadata
        self.seconds = 0.0
        self._resume: dict[str, Any] | None = None  # environments to put back when training starts
        self._best: dict[str, Any] | None = None  # the best learner, kept on the device until it is worth a write
        self._best_written, self._last_written = 0.0, time.monotonic()

    @property
    def reward_best(self) -> float | None:
        """Return the best mean reward that a checkpoint was kept for, None before the first."""
        best = self.agent.last_mean_rewards
        return best if best > NO_SCORE else None

    # -- writing ------------------------------------------------------------------------------------------------------

    def keep_best(self) -> None:
        """Remember the learner as it is now as the best; it is written when due."""
        self._best = _each(lambda tensor: tensor.detach().clone(), self.learner_state())

    def save_what_is_due(self, episodes: EpisodeMeter) -> None:
        """Write the checkpoints whose time has come."""
        now, epoch = time.monotonic(), self.agent.epoch_num
        if self.agent.save_freq > 0 and epoch % self.agent.save_freq == 0:
            self.save(f"epoch_{epoch}", episodes)
            self.save("last", episodes)
        elif now - self._last_written > LAST_SECONDS:
            self.save("last", episodes)
        if now - self._best_written > BEST_SECONDS:
            self.write_best()

    def save(self, name: str, episodes: EpisodeMeter) -> None:
        """Write a checkpoint that training can resume from."""
        checkpoint.save(self.folder / f"{name}.pth", self.learner_state() | {"rollout": self._rollout_state(episodes)})
        if name == "last":
            self._last_written = time.monotonic()

    def finish(self, episodes: EpisodeMeter) -> None:
        """Write last.pth, and see to it that there is a best."""
        self.save("last", episodes)
        if self._best is None and not (self.folder / "best.pth").exists():
            self.keep_best()  # the run ended before save_best_after, or before an episode did

    def write_best(self) -> None:
        """Write best.pth if there is a better learner than the one written before."""
        if self._best is not None:
            checkpoint.save(self.folder / "best.pth", self._best)
            self._best, self._best_written = None, time.monotonic()

    def last_good(self) -> Path | None:
        """Return the newest checkpoint written, or about to be, None where there is none yet."""
        written = [path for name in ("last", "best") if (path := self.folder / f"{name}.pth").exists()]
        return written[0] if written else self.folder / "best.pth" if self._best is not None else None

    def learner_state(self) -> dict[str, Any]:
        """Return the whole learner; the environments are saved beside it, in `save`."""
        agent = self.agent
        learner: dict[str, Any] = {name: getattr(agent, name) for name in _FORGOTTEN}
        learner["train_seconds"] = self.seconds
        state = agent.get_full_state_weights() | {"myriad": self.metadata, "learner": learner}
        del state["env_state"]
        state["model"] = _uncompiled(state["model"])
        if agent.has_central_value:
            state["assymetric_vf_nets"] = _uncompiled(state["assymetric_vf_nets"])  # rl-games' spelling
            learner["critic"] = {name: getattr(agent.central_value_net, name) for name in _FORGOTTEN_OF_CRITIC}
        return state

    def _rollout_state(self, episodes: EpisodeMeter) -> dict[str, Any]:
        agent = self.agent
        return {
            "num_envs": agent.num_actors,
            "obs": agent.obs,
            "dones": agent.dones,
            "rnn_states": agent.rnn_states,
            "critic_rnn_states": agent.central_value_net.rnn_states if agent.has_central_value else None,
            "episodes": episodes.state(),
            "env_state": self.env.get_env_state(),
            "random": checkpoint.get_random_state(),
        }

    # -- going on -----------------------------------------------------------------------------------------------------

    def resume(self, state: dict[str, Any], path: Path) -> None:
        """Take over a learner, and at `first_observations` the environments saved with it.

        Args:
            state: What `checkpoint.load` returned.
            path: Its file; the best checkpoint beside it is copied, if it is the one that this run has to beat.

        Raises:
            MyriadError: If the checkpoint holds another network than the configuration asks for, or no optimiser.
        """
        agent, learner = self.agent, state["learner"]
        if "optimizer" not in state:
            raise MyriadError(
                f"checkpoint {path} has no optimiser: it is there to be played, and training cannot go on."
            )
        try:
            agent.set_full_state_weights(state)
            for name in _FORGOTTEN:
                setattr(agent, name, learner[name])
            for name in _FORGOTTEN_OF_CRITIC if agent.has_central_value else ():
                setattr(agent.central_value_net, name, learner["critic"][name])
        except (RuntimeError, ValueError, KeyError) as error:
            detail = " ".join(str(error).split())
            raise MyriadError(
                f"the checkpoint holds another network than the configuration asks for: {detail}"
            ) from error
        self.seconds = learner["train_seconds"]
        # Only rank 0's environments are saved; other ranks draw their own.
        self._resume = state.get("rollout") if ranks.rank() == 0 else None
        best = path.absolute().with_name("best.pth")
        beaten = ranks.rank() == 0 and best.parent != self.folder and best.exists()
        if beaten and checkpoint.load(best)["last_mean_rewards"] == state["last_mean_rewards"]:
            write_bytes(self.folder / "best.pth", best.read_bytes())

    def first_observations(self, episodes: EpisodeMeter) -> dict[str, Any]:
        """Reset the environments, or put them back where the checkpoint left them."""
        agent = self.agent
        obs = agent.env_reset()
        rollout, self._resume = self._resume, None
        if rollout is None or rollout["num_envs"] != agent.num_actors:
            if agent.config.get("init_at_random_ep_len", False):
                self.env.stagger_episodes()
            return obs
        self.env.set_env_state(rollout["env_state"])
        held = {name: rollout[name] for name in ("obs", "dones", "rnn_states", "critic_rnn_states")}
        moved = _each(lambda tensor: tensor.to(agent.ppo_device), held)
        agent.dones = moved["dones"]
        if agent.is_rnn:
            agent.rnn_states = moved["rnn_states"]
        if moved["critic_rnn_states"] is not None:
            agent.central_value_net.rnn_states = moved["critic_rnn_states"]
        episodes.load(rollout["episodes"])
        checkpoint.set_random_state(rollout["random"])
        return moved["obs"]


def _uncompiled(state: dict[str, Any]) -> dict[str, Any]:
    """Return weights without the prefix that torch.compile adds to their names."""
    return {name.replace("_orig_mod.", ""): value for name, value in state.items()}


def _each(function: Callable[[torch.Tensor], torch.Tensor], nest: Any) -> Any:
    """Return a nest with a function applied to every tensor of it."""
    return map_leaves(lambda leaf: function(leaf) if isinstance(leaf, torch.Tensor) else leaf, nest)
