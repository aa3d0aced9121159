# SPDX-License-Identifier: Apache-2.0
"""Step the environments under the current policy, and record what the update learns from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from rl_games.common.a2c_common import swap_and_flatten01

from omni.myriad.env.capture import Tensors
from omni.myriad.env.threads import single_threaded
from omni.myriad.learn.fault import Fault, motion_of
from omni.myriad.learn.record.meters import EpisodeMeter, ExtrasMeter
from omni.myriad.learn.rl_games.guard import Faults, Found, all_finite, find_first_non_finite
from omni.myriad.learn.rl_games.library import learners

MOST_REWARD = 1e6  # in a step, either way; a finite number beyond it is a mistake, of which there is nothing to learn


class Rollout:
    """Any network's rollout, feed-forward or recurrent, nothing fetched from the device.

    Args:
        agent: rl-games' agent, which holds what the steps continue from: `obs`, `dones`, `rnn_states`.
        env: Vectorised environment.
        stop_if_asked: Raises KeyboardInterrupt if a stop was asked for; called between steps, where nothing is half
            done.
        launch: What calls the two halves of a step, before and after that of the environment.

    Attributes:
        episodes: Rewards and lengths of episodes.
        extras: What the task reports of itself.
        step_seconds: How long the last rollout was inside the environment.
        physics_seconds: How much of that was physics.
        faulty: Environments that the last rollout has left out of its batch, as something in them was not finite.
    """

    def __init__(
        self, agent: Any, env: Any, stop_if_asked: Callable[[], None], launch: Callable[[Any], Any] = lambda half: half
    ) -> None:
        self.agent, self.env, self.stop_if_asked = agent, env, stop_if_asked
        self._recurrent = [learner for learner in learners(agent) if learner.is_rnn]
        self.episodes = EpisodeMeter(agent.num_actors, agent.games_to_track, agent.ppo_device)
        self.extras = ExtrasMeter()
        self.absurd_rewards = torch.zeros((), device=agent.ppo_device)  # beyond MOST_REWARD, in this epoch
        self.step_seconds = self.physics_seconds = 0.0
        self.faulty: list[int] = []
        self._faults = Faults(agent.num_actors)
        self._was_faulty = torch.zeros(agent.num_actors, dtype=torch.bool, device=agent.ppo_device)
        self._is_faulty: torch.Tensor | None = None  # in the last step; None where the environments do not tell
        self.recorded_steps = 0  # of the rollout at hand; the agent's `obs` is what came after them
        self._at = torch.zeros(1, dtype=torch.long, device=agent.ppo_device)  # the same number, where graphs see it
        self._run_before, self._run_after = launch(self._act_and_store), launch(self._store_result)

    @torch.no_grad()
    def play(self) -> dict[str, Any]:
        """Step the environments `horizon_length` times, and return the batch to learn from."""
        agent = self.agent
        agent.set_eval()
        if agent.has_central_value:
            agent.central_value_net.eval()
        if agent.epochs_between_resets > 0 and agent.epoch_num % agent.epochs_between_resets == 0:
            self.episodes.restart()  # the agent has just reset the environments
        self.env.set_env_frames(agent.frame)
        self.step_seconds = 0.0
        self._at.zero_()
        self._was_faulty.zero_()
        self.start = self.env.get_motion()
        physics_before = self.env.phase_seconds["physics"]
        with single_threaded(torch.device(agent.ppo_device)):
            for self.recorded_steps in range(agent.horizon_length):
                self.stop_if_asked()
                self._step()
            self.recorded_steps = agent.horizon_length
            self.physics_seconds = min(self.env.phase_seconds["physics"] - physics_before, self.step_seconds)
            return self._batch()

    def _step(self) -> None:
        agent = self.agent
        self._store_memories()
        states = {"states": agent.obs["states"]} if agent.has_central_value else {}
        acted = self._run_before({**flat("obs", agent.obs["obs"]), "dones": agent.dones} | states)
        start = time.perf_counter()
        observed, rewards, agent.dones, infos = self.env.step(acted["env_actions"])
        self.step_seconds += time.perf_counter() - start
        agent.obs = agent.obs_to_tensors(observed)
        result = {"rewards": rewards, "dones": agent.dones, "values": acted["values"]}
        if agent.value_bootstrap and "time_outs" in infos:
            result["time_outs"] = infos["time_outs"]
        self._is_faulty = infos.get("faulty")
        if self._is_faulty is not None:
            result["faulty"] = self._is_faulty
        self._run_after(result)
        self.extras.step(infos, agent.ppo_device)

    def _act_and_store(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        agent = self.agent
        obs = nested("obs", inputs)
        acted = self._act(obs, inputs)
        known = {"obses": obs} | {name: inputs[name] for name in ("dones", "states") if name in inputs}
        self._put(agent.experience_buffer.tensor_dict, known | {name: acted[name] for name in agent.update_list})
        return {"env_actions": agent.preprocess_actions(acted["actions"]), "values": acted["values"]}

    def _store_memories(self) -> None:
        """Keep what was remembered where a sequence of the update begins."""
        sequence, begun = divmod(self.recorded_steps, self.agent.seq_length)
        for learner in self._recurrent if not begun else ():
            for memory, stored in zip(learner.rnn_states, learner.mb_rnn_states, strict=True):
                stored[sequence] = memory

    def _act(self, _obs: Any, _inputs: Tensors) -> dict[str, Any]:
        """Sample actions, and return them with what the update wants to know of them: the agent's `update_list`."""
        agent = self.agent
        result = agent.get_action_values(agent.obs)
        if agent.is_rnn:
            agent.rnn_states = result["rnn_states"]
        return result

    def _store_result(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        """Store the rewards that the learner sees, count episodes, and clear recurrent memory where one ended.

        An episode that was cut short by the clock would have gone on: its last reward includes what the critic
        expects after it. As in rl-games, V(s) before the last step stands for V(s') after it.
        """
        agent, rewards = self.agent, self._without_absurd(inputs["rewards"])
        shaped = agent.rewards_shaper(rewards.unsqueeze(1))
        if "time_outs" in inputs:
            shaped = shaped + agent.gamma * inputs["values"] * inputs["time_outs"].float().unsqueeze(1)
        self._put(agent.experience_buffer.tensor_dict, {"rewards": shaped})
        ends = inputs["dones"].bool()
        if "faulty" in inputs:
            self._was_faulty |= inputs["faulty"]
            ends = ends & ~inputs["faulty"]
        self.episodes.step(rewards, shaped[:, 0], ends)
        if "faulty" in inputs:
            self.episodes.forget(inputs["faulty"])
        self._at += 1
        for learner in self._recurrent if agent.zero_rnn_on_done else ():
            for memory in learner.rnn_states:  # (layers, num_envs, units)
                memory.masked_fill_(inputs["dones"].bool().view(1, -1, 1), 0.0)
        return {}

    def _without_absurd(self, rewards: torch.Tensor) -> torch.Tensor:
        """Return rewards, 0 for those beyond `MOST_REWARD`, which are counted; what is not finite stays to be found."""
        absurd = (rewards.abs() > MOST_REWARD) & rewards.isfinite()
        self.absurd_rewards += absurd.sum()
        return rewards.masked_fill(absurd, 0.0)

    def _put(self, tensors: dict[str, Any], values: Mapping[str, Any]) -> None:
        """Write values of all environments, or nested ones, into the row of this step."""
        for name, value in values.items():
            stored = tensors[name]
            if isinstance(stored, dict):
                self._put(stored, value)
            else:
                stored.index_copy_(0, self._at, value.to(stored.dtype).view(1, *stored.shape[1:]))

    def _leave_out_faulty(self) -> torch.Tensor | None:
        """Put what sound environments recorded in the place of what faulty ones did, and mend those that still are.

        So nothing of a faulty environment is learned from, and the batch keeps its shape: a sound one counts twice.

        Returns:
            For each environment the one whose record it now has, (num_envs,); None where all were sound.

        Raises:
            TooFaultyError: If there are too many of them.
        """
        self.faulty = []
        if self._is_faulty is None or not bool(self._was_faulty.any()):
            return None
        agent = self.agent
        faulty, sound = self._was_faulty.nonzero().flatten(), (~self._was_faulty).nonzero().flatten()
        self.faulty = faulty.tolist()
        self._faults.take(self.faulty)
        source = torch.arange(agent.num_actors, device=faulty.device)
        source[faulty] = sound[faulty % len(sound)]
        for tensor in _tensors(agent.experience_buffer.tensor_dict):  # (steps, num_envs, ...)
            tensor[:, faulty] = tensor[:, source[faulty]]
        for memory in (memory for learner in self._recurrent for memory in learner.mb_rnn_states):
            memory[:, :, faulty] = memory[:, :, source[faulty]]  # (sequences, layers, num_envs, units)
        self.env.mend(self._is_faulty.nonzero().flatten())
        return source

    def _batch(self) -> dict[str, Any]:
        agent, buffer = self.agent, self.agent.experience_buffer
        source = self._leave_out_faulty()
        critic_memory = agent.central_value_net.rnn_states if agent.has_central_value else None
        last_values = agent.get_values(agent.obs)
        if agent.has_central_value:
            agent.central_value_net.rnn_states = critic_memory  # looking ahead must not move it
        tensors, last_dones = buffer.tensor_dict, agent.dones.float()
        if source is not None:
            last_values, last_dones = last_values[source], last_dones[source]
        advantages = agent.discount_values(
            last_dones, last_values, tensors["dones"].float(), tensors["values"], tensors["rewards"]
        )
        batch = buffer.get_transformed_list(swap_and_flatten01, agent.tensor_list)
        batch["returns"] = swap_and_flatten01(advantages + tensors["values"])
        if agent.is_rnn:  # (sequences of an environment, layers, num_envs, units) to (layers, all sequences, units)
            batch["rnn_states"] = [
                stored.permute(1, 2, 0, 3).flatten(1, 2).contiguous() for stored in agent.mb_rnn_states
            ]
        return batch

    def signs(self) -> torch.Tensor:
        """Return the last rollout's least and most reward that ended nothing, and its steps with some and all ending.

        They are 4 numbers on the device. Where an episode ends, the stored reward may include what the critic expects.
        """
        recorded = self.agent.experience_buffer.tensor_dict
        ends = torch.cat([recorded["dones"][1:].bool(), self.agent.dones.bool().unsqueeze(0)])
        rewards = recorded["rewards"][:, :, 0]
        least, most = rewards.masked_fill(ends, torch.inf).amin(), rewards.masked_fill(ends, -torch.inf).amax()
        return torch.stack([least, most, ends.any(1).sum(), ends.all(1).sum()])

    def non_finite(self) -> Found | None:
        """Return what in the last rollout was not finite first, None where all was."""
        recorded, now = self.agent.experience_buffer.tensor_dict, self.agent.obs
        seen = _parts("observation", recorded["obses"], now["obs"])
        if self.agent.has_central_value:
            seen += _parts("state", recorded["states"], now["states"])
        past = [(name, tensor[: self.recorded_steps], last) for name, tensor, last in seen]
        made = [(name, recorded[f"{name}s"][: self.recorded_steps]) for name in ("action", "reward", "value")]
        tensors = [tensor for _, *both in past for tensor in both] + [tensor for _, tensor in made]
        if all_finite(tensors):
            return None
        return find_first_non_finite([(name, torch.cat([old, last.unsqueeze(0)])) for name, old, last in past] + made)

    def fault(self, found: Found, about: dict[str, Any]) -> Fault:
        """Return the record of the first environment in which something was not finite."""
        recorded, env_id = self.agent.experience_buffer.tensor_dict, found.env_ids[0]
        # An observation is made by the actions before it, a reward by that of its own step.
        steps = min(found.step + (found.name in ("reward", "action", "value")), self.recorded_steps)
        parts = recorded["obses"].values() if isinstance(recorded["obses"], dict) else [recorded["obses"]]
        vectors = [part[:steps, env_id] for part in parts if part.is_floating_point() and part.ndim == 3]
        actions = self.agent.preprocess_actions(recorded["actions"][:steps])[:, env_id]
        seen = torch.cat(vectors, 1) if vectors else torch.zeros(steps, 0)
        rewards, dones = recorded["rewards"][:steps, env_id, 0], recorded["dones"][:steps, env_id].bool()
        return Fault(
            about | {"env_id": env_id, "step": found.step, "what": found.phrase},
            actions.cpu().numpy(),
            seen.cpu().numpy(),
            rewards.cpu().numpy(),
            dones.cpu().numpy(),
            motion_of(self.env, self.start, env_id),
        )


def flat(name: str, value: Any) -> dict[str, torch.Tensor]:
    """Return a tensor under its name, or those of a dictionary under names that begin with it, as graphs take them."""
    if not isinstance(value, dict):
        return {name: value}
    return {f"{name}/{key}": part for key, part in value.items()}


def nested(name: str, inputs: Tensors) -> Any:
    """Return what `flat` was given."""
    start = f"{name}/"
    return inputs[name] if name in inputs else {k[len(start) :]: v for k, v in inputs.items() if k.startswith(start)}


def _tensors(nest: dict[str, Any]) -> Iterator[torch.Tensor]:
    for value in nest.values():
        yield from _tensors(value) if isinstance(value, dict) else [value]


def _parts(name: str, recorded: Any, now: Any) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """Return what was recorded and what came after it, one by one where it is a dictionary, without the bytes."""
    if not isinstance(recorded, dict):
        return [(name, recorded, now)]
    return [(f"{name} {key}", old, now[key]) for key, old in recorded.items() if old.is_floating_point()]
