# SPDX-License-Identifier: Apache-2.0
"""Rollout and update of the common case with nothing around rl-games' maths; on a GPU as CUDA graphs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from rl_games.algos_torch import torch_ext
from rl_games.algos_torch.models import ModelA2CContinuousLogStd
from rl_games.common.diagnostics import DefaultDiagnostics
from rl_games.common.schedulers import AdaptiveScheduler

from omni.myriad.env.capture import Graph, Tensors
from omni.myriad.learn.rl_games.rollout import Rollout

_MINIBATCH = ("old_values", "old_logp_actions", "advantages", "returns", "actions", "obs", "mu", "sigma")
_ENTROPY_OF_UNIT_NORMAL = 0.5 + 0.5 * math.log(2.0 * math.pi)


class Lean(Rollout):
    """Mixed into the agents: in one process, with a feed-forward network and a learned standard deviation.

    Three functions are all that touches the network: `_act_and_store` samples actions and stores what is known before
    the step, `_store_result` what is known after it, and `_update_minibatch` does what rl-games' `calc_gradients` does,
    by its own loss functions, with the learning rate kept on the device and observations normalised once an update. On
    a GPU each is a CUDA graph. Anything else (recurrent networks, a critic of its own, several GPUs, other schedules)
    takes rl-games' own way.
    """

    lean = False

    def prepare_lean(self) -> None:
        """Decide whether this is the common case, and prepare for it; called once the agent is complete."""
        device = torch.device(self.ppo_device)
        self.lean = (
            self.config.get("lean", True)
            and isinstance(self.model, ModelA2CContinuousLogStd.Network)
            and not (self.is_rnn or self.has_central_value or self.multi_gpu or isinstance(self.obs_shape, dict))
            and isinstance(self.scheduler.schedule, AdaptiveScheduler)
            and self.schedule_type == "legacy"
            and self.model.get_aux_loss() is None
            and type(self.diagnostics) is DefaultDiagnostics
        )
        if not self.lean:
            return
        launch: Callable[[Any], Any] = Graph if device.type == "cuda" else lambda function: function
        self._parameters = list(self.model.parameters())
        self._lr = torch.tensor(float(self.last_lr), device=device)
        self._losses = torch.zeros(len(self.loss_names), device=device)
        self._step = torch.zeros(1, dtype=torch.long, device=device)
        self._run_act = launch(self._act_and_store)
        self._run_store = launch(self._store_result)
        self._run_update = launch(self._update_minibatch)

    # -- rollout ------------------------------------------------------------------------------------------------------

    def _play_steps(self) -> dict[str, Any]:
        if not self.lean:
            return super()._play_steps()
        step_seconds = 0.0
        self._step.zero_()
        for step in range(self.horizon_length):
            self.recorded_steps = step
            self.stop_if_asked()
            acted = self._run_act({"obs": self.obs["obs"], "dones": self.dones})
            step_start = time.perf_counter()
            observed, rewards, self.dones, infos = self.vec_env.step(acted["env_actions"])
            step_seconds += time.perf_counter() - step_start
            self.obs = self.obs_to_tensors(observed)
            result = {"rewards": rewards, "dones": self.dones, "values": acted["values"]}
            if self.value_bootstrap and "time_outs" in infos:
                result["time_outs"] = infos["time_outs"]
            self._run_store(result)
            self.extras.step(infos.get("episode", {}), self.ppo_device)
        self.recorded_steps = self.horizon_length
        return self._batch(step_seconds)

    def _act_and_store(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        model = self.model
        obs = inputs["obs"]
        mu, logstd, value, _ = model.a2c_network({"obs": model.norm_obs(self._preproc_obs(obs)), "is_train": False})
        sigma = torch.exp(logstd)
        # As Normal.sample, which however waits for the device to see that sigma is positive; an exponential is.
        actions = mu + sigma * torch.randn_like(mu)
        values = model.denorm_value(value)
        stored = {
            "obses": obs,
            "dones": inputs["dones"],
            "actions": actions,
            "neglogpacs": model.neglogp(actions, mu, sigma, logstd),
            "values": values,
            "mus": mu,
            "sigmas": sigma,
        }
        self._put(stored)
        return {"env_actions": self.preprocess_actions(actions), "values": values}

    def _store_result(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        rewards = inputs["rewards"]
        shaped = self.shape_rewards(rewards.unsqueeze(1), inputs["values"], inputs.get("time_outs"))
        self._put({"rewards": shaped})
        self.episodes.step(rewards, shaped[:, 0], inputs["dones"])
        self._step += 1
        return {}

    def _put(self, values: dict[str, torch.Tensor]) -> None:
        tensors = self.experience_buffer.tensor_dict
        for name, value in values.items():
            tensors[name].index_copy_(0, self._step, value.to(tensors[name].dtype).unsqueeze(0))

    # -- update -------------------------------------------------------------------------------------------------------

    def train_epoch(self) -> tuple[Any, ...]:
        """Roll out and update, and return what rl-games' method of this name returns."""
        if not self.lean:
            return super().train_epoch()
        self.vec_env.set_train_info(self.frame, self)
        start = time.perf_counter()
        self.set_eval()
        with torch.no_grad():
            batch = self.play_steps()
        played = time.perf_counter()
        self.set_train()
        self.curr_frames = batch.pop("played_frames")
        self.prepare_dataset(batch)
        # Statistics are fed before the update and stay as they are in it, so all its epochs see the same numbers.
        learned_from = self.dataset.values_dict
        learned_from["obs"] = self.model.norm_obs(self._preproc_obs(learned_from["obs"]))
        self.algo_observer.after_steps()
        self._lr.fill_(self.last_lr)
        for group in self.optimizer.param_groups:
            group["lr"], group["capturable"] = self._lr, self._lr.is_cuda
        self._losses.zero_()
        for _ in range(self.mini_epochs_num):
            for index in range(len(self.dataset)):
                self.stop_if_asked()
                minibatch = self.dataset[index]
                updated = self._run_update({name: minibatch[name] for name in _MINIBATCH})
                self.dataset.update_mu_sigma(updated["mu"], updated["sigma"])
        losses = self._losses / (self.mini_epochs_num * len(self.dataset))
        self.last_lr = float(self._lr)  # waits for the device: the update is over
        for group in self.optimizer.param_groups:
            group["lr"], group["capturable"] = self.last_lr, False  # as checkpoints hold it
        end = time.perf_counter()
        by_name = [[loss] for loss in losses.unbind()]
        return batch["step_time"], played - start, end - played, end - start, *by_name, self.last_lr, 1.0

    def _update_minibatch(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        with torch.autocast(self._lr.device.type, torch.bfloat16, enabled=self.mixed_precision):
            mu, logstd, values, _ = self.model.a2c_network({"obs": inputs["obs"], "is_train": True})
        mu, logstd, values = mu.float(), logstd.float(), values.float()
        sigma = torch.exp(logstd)
        loss, a_loss, c_loss, entropy, b_loss, _ = self.calc_losses(
            self.actor_loss_func,
            inputs["old_logp_actions"],
            self.model.neglogp(inputs["actions"], mu, sigma, logstd),
            inputs["advantages"],
            self.e_clip,
            inputs["old_values"],
            values,
            inputs["returns"],
            mu,
            (_ENTROPY_OF_UNIT_NORMAL + logstd).sum(-1),
            None,
        )
        for parameter in self._parameters:
            parameter.grad = None
        loss.backward()
        if self.truncate_grads:
            torch.nn.utils.clip_grad_norm_(self._parameters, self.grad_norm)
        self.optimizer.step()
        with torch.no_grad():
            mu, sigma = mu.detach(), sigma.detach()
            kl = torch_ext.policy_kl(mu, sigma, inputs["mu"], inputs["sigma"])
            of_minibatch = (a_loss, c_loss, b_loss, entropy, kl)
            self._losses += torch.stack([value.detach().squeeze() for value in of_minibatch])
            self._adapt_learning_rate(kl)
        return {"mu": mu, "sigma": sigma}

    def _adapt_learning_rate(self, kl: torch.Tensor) -> None:
        """Do what rl-games' AdaptiveScheduler does, where the numbers are."""
        schedule = self.scheduler.schedule
        lower = (self._lr / 1.5).clamp(min=schedule.min_lr)
        higher = (self._lr * 1.5).clamp(max=schedule.max_lr)
        lr = torch.where(kl > 2.0 * schedule.kl_threshold, lower, self._lr)
        self._lr.copy_(torch.where(kl < 0.5 * schedule.kl_threshold, higher, lr))
