# SPDX-License-Identifier: Apache-2.0
"""All that a run must remember to continue, to the bit, as if it had never stopped: what, when, how it comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from omni.myriad.errors import MyriadError
from omni.myriad.files import map_leaves
from omni.myriad.learn import checkpoint, ranks
from omni.myriad.learn.record.meters import EpisodeMeter

NO_SCORE = -1_000_000_000.0  # rl-games' "no best yet"

_FORGOTTEN, _FORGOTTEN_OF_CRITIC = ("last_lr", "entropy_coef"), ("lr", "epoch_num", "frame")  # by rl-games, on resume


class Checkpoints(checkpoint.Keeper):
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
        super().__init__(folder, agent.save_freq, self.learner_state, self._rollout_state)
        self.agent, self.env, self.metadata = agent, env, metadata
        self.seconds = 0.0
        self._resume: dict[str, Any] | None = None  # environments to put back when training starts
        self._episodes: EpisodeMeter  # from `first_observations` on

    @property
    def reward_best(self) -> float | None:
        """Return the best mean reward that a checkpoint was kept for, None before the first."""
        best = self.agent.last_mean_rewards
        return best if best > NO_SCORE else None

    # -- writing ------------------------------------------------------------------------------------------------------

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

    def _rollout_state(self) -> dict[str, Any]:
        agent = self.agent
        return {
            "num_envs": agent.num_actors,
            "obs": agent.obs,
            "dones": agent.dones,
            "rnn_states": agent.rnn_states,
            "critic_rnn_states": agent.central_value_net.rnn_states if agent.has_central_value else None,
            "episodes": self._episodes.state(),
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
        self._take_new_settings(state["myriad"]["config"])
        self.seconds = learner["train_seconds"]
        # Only rank 0's environments are saved; other ranks draw their own.
        self._resume = state.get("rollout") if ranks.rank() == 0 else None
        if ranks.rank() == 0:
            self.take_best(path, state, "last_mean_rewards")

    def _take_new_settings(self, trained: dict[str, Any]) -> None:
        """Take what schedules changed on the way anew from the configuration, where it is another than before."""
        agent = self.agent
        now, before = (config["train"]["params"]["config"] for config in (self.metadata["config"], trained))
        for setting, name in (("learning_rate", "last_lr"), ("entropy_coef", "entropy_coef")):
            if now[setting] != before.get(setting, now[setting]):
                setattr(agent, name, now[setting])
        for group in agent.optimizer.param_groups:
            group["lr"] = agent.last_lr

    def first_observations(self, episodes: EpisodeMeter) -> dict[str, Any]:
        """Reset the environments, or put them back where the checkpoint left them."""
        agent, self._episodes = self.agent, episodes
        obs = agent.env_reset()
        rollout, self._resume = self._resume, None
        if rollout is None or rollout["num_envs"] != agent.num_actors:
            if agent.config.get("init_at_random_ep_len", False):
                self.env.stagger_episodes()
            return obs
        self.env.set_env_state(rollout["env_state"])
        held = {name: rollout[name] for name in ("obs", "dones", "rnn_states", "critic_rnn_states")}
        moved = map_leaves(lambda leaf: leaf.to(agent.ppo_device) if isinstance(leaf, torch.Tensor) else leaf, held)
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
