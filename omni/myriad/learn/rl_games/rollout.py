# SPDX-License-Identifier: Apache-2.0
"""Step the environments under the current policy, and record what the update learns from."""

from __future__ import annotations

import time
from typing import Any

import torch
from rl_games.common.a2c_common import swap_and_flatten01

from omni.myriad.env.threads import single_threaded
from omni.myriad.learn.record.meters import EpisodeMeter, ExtrasMeter
from omni.myriad.learn.rl_games.guard import all_finite, name_first_non_finite

_Agent: Any = object  # mixed in before one of rl-games' agents, which has the rest of the attributes


class Rollout(_Agent):
    """The rollout half of our agents: one for feed-forward and recurrent networks, nothing fetched from the device."""

    episodes: EpisodeMeter
    extras: ExtrasMeter
    stop_requested: bool
    recorded_steps: int = 0  # of the rollout at hand; `obs` is what came after them

    def play_steps(self) -> dict[str, Any]:
        """Step the environments `horizon_length` times, and return the batch to learn from."""
        with single_threaded(torch.device(self.ppo_device)):
            return self._play_steps()

    def _play_steps(self) -> dict[str, Any]:
        buffer = self.experience_buffer
        step_seconds = 0.0
        for step in range(self.horizon_length):
            self.recorded_steps = step
            self.stop_if_asked()
            result = self._act(step)
            buffer.update_data("obses", step, self.obs["obs"])
            if self.has_central_value:
                buffer.update_data("states", step, self.obs["states"])
            buffer.update_data("dones", step, self.dones)
            for name in self.update_list:
                buffer.update_data(name, step, result[name])

            step_start = time.perf_counter()
            self.obs, rewards, self.dones, infos = self.env_step(result["actions"])
            step_seconds += time.perf_counter() - step_start

            shaped_rewards = self.shape_rewards(rewards, result["values"], infos.get("time_outs"))
            buffer.update_data("rewards", step, shaped_rewards)
            self.episodes.step(rewards[:, 0], shaped_rewards[:, 0], self.dones)
            self.extras.step(infos.get("episode", {}), self.ppo_device)
            self._forget_finished()
        self.recorded_steps = self.horizon_length
        return self._batch(step_seconds)

    play_steps_rnn = play_steps

    def shape_rewards(
        self, rewards: torch.Tensor, values: torch.Tensor, time_outs: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the rewards that the learner sees.

        An episode that was cut short by the clock would have gone on: its last reward includes what the critic
        expects after it. As in rl-games, V(s) before the last step stands for V(s') after it.

        Args:
            rewards: (num_envs, 1), as the task gives them.
            values: (num_envs, 1), of the observations before the step.
            time_outs: (num_envs,), where an episode was cut short; None where the task does not say.
        """
        shaped = self.rewards_shaper(rewards)
        if self.value_bootstrap and time_outs is not None:
            shaped = shaped + self.gamma * values * time_outs.to(self.ppo_device).float().unsqueeze(1)
        return shaped

    def stop_if_asked(self) -> None:
        """Raise KeyboardInterrupt if a stop was requested; asked between steps, where nothing is half done."""
        if self.stop_requested:
            raise KeyboardInterrupt

    def _act(self, step: int) -> dict[str, Any]:
        if self.is_rnn and step % self.seq_length == 0:
            for memory, stored in zip(self.rnn_states, self.mb_rnn_states, strict=True):
                stored[step // self.seq_length] = memory
        if self.has_central_value:
            self.central_value_net.pre_step_rnn(step)
        if self.use_action_masks:
            result = self.get_masked_action_values(self.obs, self.vec_env.get_action_masks())
        else:
            result = self.get_action_values(self.obs)
        if self.is_rnn:
            self.rnn_states = result["rnn_states"]
        return result

    def _forget_finished(self) -> None:
        """Clear the memory of recurrent networks where an episode ended."""
        if not self.zero_rnn_on_done:
            return
        memories = list(self.rnn_states) if self.is_rnn else []
        if self.has_central_value and self.central_value_net.is_rnn:
            memories += self.central_value_net.rnn_states
        done = self.dones.bool().view(1, -1, 1)
        for memory in memories:  # (layers, num_envs, units)
            memory.masked_fill_(done, 0.0)

    def _batch(self, step_seconds: float) -> dict[str, Any]:
        buffer = self.experience_buffer
        critic_memory = self.central_value_net.rnn_states if self.has_central_value else None
        last_values = self.get_values(self.obs)
        if self.has_central_value:
            self.central_value_net.rnn_states = critic_memory  # looking ahead must not move it
        tensors = buffer.tensor_dict
        advantages = self.discount_values(
            self.dones.float(), last_values, tensors["dones"].float(), tensors["values"], tensors["rewards"]
        )
        batch = buffer.get_transformed_list(swap_and_flatten01, self.tensor_list)
        batch["returns"] = swap_and_flatten01(advantages + tensors["values"])
        batch["played_frames"] = self.batch_size
        batch["step_time"] = step_seconds
        if self.is_rnn:  # (sequences of an environment, layers, num_envs, units) to (layers, all sequences, units)
            batch["rnn_states"] = [
                stored.permute(1, 2, 0, 3).flatten(1, 2).contiguous() for stored in self.mb_rnn_states
            ]
        return batch

    def init_current_rewards(self, batch_size: int, current_rewards_shape: tuple[int, ...]) -> None:
        """Begin every episode's sums anew."""
        super().init_current_rewards(batch_size, current_rewards_shape)
        self.episodes.restart()

    def non_finite_rollout(self) -> str | None:
        """Return a phrase that names what in the last rollout was not finite first, None where all was."""
        now = self.obs
        recorded = {name: tensor[: self.recorded_steps] for name, tensor in self.experience_buffer.tensor_dict.items()}
        seen = [("observation", recorded["obses"], now["obs"])]
        if self.has_central_value:
            seen.append(("state", recorded["states"], now["states"]))
        made = [("action", recorded["actions"]), ("reward", recorded["rewards"]), ("value", recorded["values"])]
        if all_finite([tensor for _, *tensors in [*seen, *made] for tensor in tensors]):
            return None
        return name_first_non_finite([(name, torch.cat([past, last.unsqueeze(0)])) for name, past, last in seen] + made)
