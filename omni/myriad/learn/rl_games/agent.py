# SPDX-License-Identifier: Apache-2.0
"""Our agents: rl-games' PPO, its losses and networks untouched, with a training loop that can be trusted.

What they add to rl-games' agents: a run that resumes to the bit, a guard against NaN, statistics counted once,
checkpoints that are written whole, and no conversation with the device inside a rollout.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from rl_games.algos_torch.a2c_continuous import A2CAgent
from rl_games.algos_torch.a2c_discrete import DiscreteA2CAgent
from rl_games.common.schedulers import LinearScheduler

from omni.myriad.errors import MyriadError
from omni.myriad.learn.record.meters import EpisodeMeter, Epoch, ExtrasMeter
from omni.myriad.learn.rl_games.guard import all_finite
from omni.myriad.learn.rl_games.lean import Lean
from omni.myriad.learn.rl_games.learner_state import LearnerState
from omni.myriad.learn.rl_games.normalizer import RunningMeanStd

NO_SCORE = -1_000_000_000.0  # rl-games' "no best yet"


@dataclass(frozen=True)
class Seconds:
    """Where an epoch's wall clock went."""

    physics: float
    step: float  # inside the environment, physics included
    play: float  # the whole rollout
    update: float


class FrameScheduler:
    """Tell a schedule how many frames have passed; rl-games always says none."""

    def __init__(self, schedule: Any, frames: Callable[[], int]) -> None:
        """Wrap `schedule`, asking `frames` whenever it is consulted."""
        self.schedule = schedule
        self.frames = frames

    def update(self, lr: float, entropy_coef: float, epoch: int, _frames: int, kl: float) -> tuple[float, float]:
        """Return the next learning rate and entropy coefficient."""
        return self.schedule.update(lr, entropy_coef, epoch, self.frames(), kl)


class PPOAgent(Lean, LearnerState):
    """What our agents share, mixed in before one of rl-games' agents."""

    loss_names: tuple[str, ...]

    def __init__(
        self,
        base_name: str,
        params: dict[str, Any],
        *,
        checkpoints: Path,
        metadata: dict[str, Any],
        on_epoch: Callable[[Epoch], None],
    ) -> None:
        """Build networks, optimiser and meters.

        Args:
            base_name: rl-games' name for the run.
            params: rl-games' `params` block, as its Runner prepared it.
            checkpoints: folder for best.pth, last.pth and epoch_<k>.pth.
            metadata: what `checkpoint.describe` returned, put into each of them.
            on_epoch: called after each epoch, on rank 0.

        Raises:
            MyriadError: where a setting is not supported.
        """
        config = params["config"]
        if config.get("normalize_rms_advantage"):
            raise MyriadError("normalize_rms_advantage is not supported, use normalize_advantage")
        config["max_frames"] = max(config.get("max_frames") or -1, config.pop("max_steps", None) or -1)
        config["max_epochs"] = config.get("max_epochs") or -1
        super().__init__(base_name, params)
        with suppress(OSError):
            Path(self.nn_dir).rmdir()  # rl-games' own folder for checkpoints
        self.checkpoints, self.metadata, self.on_epoch = checkpoints, metadata, on_epoch
        self.stop_requested = False
        self.train_seconds = 0.0
        self.episodes = EpisodeMeter(self.num_actors, self.games_to_track, self.ppo_device)
        self.extras = ExtrasMeter()
        self._physics_seconds = 0.0
        if not self.is_discrete and self.bounds_loss_coef is None:
            self.bounds_loss_coef = 0.0
        self._use_own_normalizers()
        self.scheduler = FrameScheduler(self.scheduler, lambda: self.frame)
        if self.has_central_value:
            critic = self.central_value_net
            if critic.linear_lr and self.max_epochs == -1:
                critic.scheduler = LinearScheduler(critic.lr, max_steps=self.max_frames, use_epochs=False)
            critic.scheduler = FrameScheduler(critic.scheduler, lambda: self.frame)

    def _use_own_normalizers(self) -> None:
        models = [self.model] + ([self.central_value_net.model] if self.has_central_value else [])
        for model in models:
            for name in ("running_mean_std", "value_mean_std"):
                if hasattr(model, name):
                    shape = tuple(getattr(model, name).running_mean.shape)
                    setattr(model, name, RunningMeanStd(shape).to(self.ppo_device))
        if self.normalize_value:
            self.value_mean_std = models[-1].value_mean_std

    @property
    def reward_best(self) -> float | None:
        """Return the best mean reward that a checkpoint was kept for, None before the first."""
        return self.last_mean_rewards if self.last_mean_rewards > NO_SCORE else None

    def train(self) -> tuple[float, int]:
        """Train to the end of `max_epochs` or `max_frames`, and return the best mean reward and the last epoch.

        Raises:
            MyriadError: where something stops being finite.
            KeyboardInterrupt: on `stop_requested` or Ctrl-C, with last.pth written.
        """
        self.init_tensors()
        self.prepare_lean()
        self.obs = self.first_observations()
        self._share_parameters()
        self._physics_seconds = self._physics_clock()
        self._last_written = time.monotonic()
        try:
            while not self._run_epoch():
                pass
            self._finish()
        except KeyboardInterrupt:
            self._require_finite_weights()
            self._finish()
            raise
        finally:
            self.write_best()
        return self.last_mean_rewards, self.epoch_num

    def _finish(self) -> None:
        if self.global_rank != 0:
            return
        self.save_last()
        if self._best is None and not (self.checkpoints / "best.pth").exists():
            self.keep_best()  # the run ended before save_best_after, or before an episode did

    def _run_epoch(self) -> bool:
        """Run one epoch with all that follows it, and return whether it was the last."""
        start = time.perf_counter()
        self.update_epoch()
        try:
            step_seconds, play_seconds, update_seconds, _, *rest = self.train_epoch()
        except KeyboardInterrupt:
            self.epoch_num -= 1  # it did not happen
            raise
        except (ValueError, RuntimeError):
            self._require_finite_rollout()  # a NaN makes distributions and environments raise: name it instead
            self._require_finite_weights()
            raise
        self.dataset.update_values_dict(None)
        self.frame += self.curr_frames * self.world_size
        losses, episodes, extras = self._fetch(rest[: len(self.loss_names)])
        physics = self._physics_clock() - self._physics_seconds
        self._physics_seconds += physics
        finished = False
        if self.global_rank == 0:
            self.diagnostics.epoch(self, current_epoch=self.epoch_num)
            self.diagnostics.send_info(self.writer)
            reward = self.episodes.means()[0]
            if reward is not None and reward > self.last_mean_rewards and self.epoch_num >= self.save_best_after:
                self.last_mean_rewards = reward
                self.keep_best()
            seconds = Seconds(min(physics, step_seconds), step_seconds, play_seconds, update_seconds)
            self.on_epoch(self._report(time.perf_counter() - start, seconds, losses, episodes, extras))
            self.save_what_is_due()
            finished = self._finished()
        if self.multi_gpu:
            flag = torch.tensor(float(finished), device=self.ppo_device)
            dist.broadcast(flag, 0)
            finished = bool(flag.item())
        return finished

    def _finished(self) -> bool:
        return (
            0 < self.max_epochs <= self.epoch_num
            or 0 < self.max_frames <= self.frame
            or self.last_mean_rewards > self.config.get("score_to_win", math.inf)
        )

    def _physics_clock(self) -> float:
        return getattr(self.vec_env, "phase_seconds", {}).get("physics", 0.0)

    def _report(
        self, elapsed: float, seconds: Seconds, losses: dict[str, float], episodes: int, extras: dict[str, float]
    ) -> Epoch:
        self.train_seconds += elapsed
        reward, shaped_reward, length = self.episodes.means()
        return Epoch(
            epoch=self.epoch_num,
            frames=self.frame,
            seconds=self.train_seconds,
            epoch_frames=self.curr_frames * self.world_size,
            epoch_seconds=elapsed,
            physics_seconds=seconds.physics,
            task_seconds=seconds.step - seconds.physics,
            policy_seconds=seconds.play - seconds.step,
            update_seconds=seconds.update,
            episodes=episodes,
            reward_mean=reward,
            shaped_reward_mean=shaped_reward,
            episode_length_mean=length,
            reward_best=self.reward_best,
            learning_rate=self.last_lr,
            clip_range=self.e_clip,
            losses=losses,
            extras=extras,
        )

    def _fetch(self, losses: list[list[torch.Tensor]]) -> tuple[dict[str, float], int, dict[str, float]]:
        """Bring the epoch's numbers from the device in one go, and raise where the update came out not finite."""
        means = {name: torch.stack(values).mean() for name, values in zip(self.loss_names, losses, strict=True)}
        means |= {name: torch.stack(values).mean() for name, values in self.aux_loss_dict.items()}
        extras = self.extras.take()
        healthy = all_finite(self.model.parameters())
        scalars = [value.float().reshape(1) for value in (healthy, *means.values(), *extras.values())]
        fetched = torch.cat([self.episodes.finished, *scalars]).tolist()
        finished, healthy, numbers = fetched[:4], fetched[4], fetched[5:]
        if not healthy:
            self._require_finite_weights()
        loss_values = dict(zip(means, numbers[: len(means)], strict=True))
        wrong = [name for name, value in loss_values.items() if not math.isfinite(value)]
        if wrong:
            self._fail(f"loss is not finite: {', '.join(wrong)}")
        if not all(map(math.isfinite, finished)):
            self._fail("reward is not finite before the reward shaper clips it")
        episodes = self.episodes.close_epoch(finished)
        return loss_values, episodes, dict(zip(extras, numbers[len(means) :], strict=True))

    def train_actor_critic(self, input_dict: dict[str, Any]) -> Any:
        """Update on one minibatch."""
        self.stop_if_asked()
        return super().train_actor_critic(input_dict)

    def update_lr(self, lr: float) -> None:
        """Set the learning rate, rank 0's on every rank, and remember it: the next minibatch sets it again."""
        super().update_lr(lr)
        self.last_lr = self.optimizer.param_groups[0]["lr"]

    def prepare_dataset(self, batch_dict: dict[str, Any]) -> None:
        """Check the rollout, feed the normalisers once, and hand the rollout to the update."""
        self._require_finite_rollout()
        if self.normalize_input:
            self.model.running_mean_std.update(batch_dict["obses"])
        if self.has_central_value and self.central_value_net.normalize_input:
            self.central_value_net.model.running_mean_std.update(batch_dict["states"])
        if self.normalize_value and not self.config.get("freeze_critic", False):
            # Both, as rl-games does: what the critic predicts and what it is told.
            self.value_mean_std.update(batch_dict["values"])
            self.value_mean_std.update(batch_dict["returns"])
        super().prepare_dataset(batch_dict)

    def _share_parameters(self) -> None:
        if not self.multi_gpu:
            return
        torch.cuda.set_device(self.local_rank)
        for module in [self.model] + ([self.central_value_net] if self.has_central_value else []):
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def _require_finite_rollout(self) -> None:
        wrong = self.non_finite_rollout()
        if wrong:
            self._fail(wrong)

    def _require_finite_weights(self) -> None:
        for name, parameter in self.model.named_parameters():
            if not parameter.isfinite().all():
                self._fail(f"network weight {name} is not finite after the update")

    def _fail(self, what: str) -> NoReturn:
        good = self.last_good()
        saved = f"the last good checkpoint is {good}" if good else "no checkpoint had been written yet"
        raise MyriadError(f"training stopped in epoch {self.epoch_num}: {what}; {saved}") from None


class ContinuousAgent(PPOAgent, A2CAgent):
    """PPO over actions in a box."""

    loss_names = ("a_loss", "c_loss", "bounds_loss", "entropy", "kl")


class DiscreteAgent(PPOAgent, DiscreteA2CAgent):
    """PPO over a choice of actions."""

    loss_names = ("a_loss", "c_loss", "entropy", "kl")
