# SPDX-License-Identifier: Apache-2.0
"""PPO by rl-games: its losses, gradients and networks untouched, in a training loop that can be trusted.

What is around them here: a run that resumes to the bit, a guard against NaN, statistics counted once, checkpoints that
are written whole, and no conversation with the device inside a rollout.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from omni.myriad.errors import MyriadError, afterwards
from omni.myriad.files import writing
from omni.myriad.learn import checkpoint, ranks
from omni.myriad.learn.base import Epoch, Listener
from omni.myriad.learn.rl_games.actor import RlGamesActor
from omni.myriad.learn.rl_games.checkpoints import Checkpoints
from omni.myriad.learn.rl_games.guard import TooFaultyError, all_finite, say_left_out
from omni.myriad.learn.rl_games.lean import LeanRollout, LeanUpdate, use_stepped_rnns, why_not_lean
from omni.myriad.learn.rl_games.library import learners, new_agent, new_player, seed_python
from omni.myriad.learn.rl_games.normalizer import RunningMeanStd
from omni.myriad.learn.rl_games.rollout import MOST_REWARD, Rollout
from omni.myriad.learn.rl_games.settings import check_training, fit_minibatches, rl_games_params
from omni.myriad.learn.rl_games.update import Losses, Update
from omni.myriad.policy.description import settings_hash

logger = logging.getLogger(__name__)


def make_learner(
    config: Mapping[str, Any], env: Any, run_dir: Path, resume: dict[str, Any] | None = None
) -> RlGamesLearner:
    """Return a learner, ready to train.

    Args:
        config: Resolved configuration; `train.params` is rl-games' block.
        env: Vectorised environment.
        run_dir: The run's folder.
        resume: What `checkpoint.load` returned for `checkpoint`, to resume from.

    Raises:
        MyriadError: If a setting is wrong or the checkpoint holds another network.
    """
    params = rl_games_params(config, env)
    if params["config"].get("central_value_config") and env.state_space is None:
        raise MyriadError("train.params.config.central_value_config needs a task with states, and this one has none")
    fit_minibatches(params)
    check_training(params["config"], resume)
    learner = RlGamesLearner(config, params, env, run_dir / "checkpoints")
    if resume is not None:
        learner.checkpoints.resume(resume, Path(config["checkpoint"]))
        if ranks.rank() > 0:  # the first rank resumes its draws; the others' were not kept, and shall not come again
            torch.manual_seed(ranks.own_seed(params["seed"]) + learner.agent.epoch_num)
        learner.latest = learner.report()
    return learner


def make_actor(
    config: Mapping[str, Any], env: Any, state: Mapping[str, Any], path: str | os.PathLike[str] = "checkpoint"
) -> RlGamesActor:
    """Return the policy of a checkpoint, without exploration; see `omni.myriad.learn.run.make_actor`."""
    params = rl_games_params(config, env)
    player = new_player(params, env)
    try:
        player.set_weights(state)
    except RuntimeError as error:
        raise MyriadError(f"checkpoint {path} holds another network than the configuration asks for") from error
    if params["model"]["name"] == "continuous_a2c_tanh":
        # This model's actions are tanh(sample) in training, but rl-games' player would execute the mean as it is.
        player.model.register_forward_hook(lambda _model, _inputs, result: result | {"mus": result["mus"].tanh()})
    return RlGamesActor(player)


class RlGamesLearner:
    """rl-games' agent, and the parts that work on it: `rollout`, `update`, `checkpoints`.

    Args:
        config: Resolved configuration.
        params: What `rl_games_params` returned.
        env: Vectorised environment.
        folder: Folder for checkpoints, created if missing.
    """

    rollout: Rollout
    update: Update

    def __init__(self, config: Mapping[str, Any], params: dict[str, Any], env: Any, folder: Path) -> None:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.config, self.params, self.env = config, params, env
        self.agent = agent = new_agent(params, env)
        self._learning = learners(agent)
        self.max_epochs, self.max_frames = agent.max_epochs, agent.max_frames
        self._use_own_parts()
        self.checkpoints = Checkpoints(agent, env, folder, checkpoint.describe(config, env))
        self.latest = Epoch(learning_rate=agent.last_lr)
        self._scalars: dict[str, float] = {}
        self._stop_requested = False

    def _use_own_parts(self) -> None:
        """Exchange what of the agent's feeds itself or writes its own files."""
        agent = self.agent
        if not agent.is_discrete and agent.bounds_loss_coef is None:
            agent.bounds_loss_coef = 0.0
        for model in [learning.model for learning in self._learning]:
            for name, part in list(model.named_children()):
                if hasattr(part, "running_mean"):
                    setattr(model, name, RunningMeanStd(part.running_mean.shape).to(agent.ppo_device))
        if agent.normalize_value:
            agent.value_mean_std = self._learning[-1].model.value_mean_std
        agent.writer = self if agent.writer is not None else None
        if agent.has_central_value:
            agent.central_value_net.writter = agent.writer  # rl-games' spelling

    def add_scalar(self, name: str, value: Any, _step: int) -> None:
        """Take note of a number that rl-games would write down, as its writers do."""
        self._scalars[name] = np.asarray(value).item()

    def stop(self) -> None:
        """Let training end after the step at hand, or where there are several ranks, after the epoch at hand."""
        self._stop_requested = True

    def stop_if_asked(self) -> None:
        """Raise KeyboardInterrupt if a stop was asked for."""
        if self._stop_requested and ranks.count() == 1:
            raise KeyboardInterrupt

    def actor(self) -> RlGamesActor:
        """Return the best policy that was kept, or the last."""
        path = checkpoint.kept(self.checkpoints.folder)
        state = checkpoint.load(path) if path else self.checkpoints.learner_state()
        return make_actor(self.config, self.env, state, path or "checkpoint")

    # -- training -----------------------------------------------------------------------------------------------------

    def train(self, listener: Listener) -> None:
        """Train to the end of `max_epochs` or `max_frames`; see `omni.myriad.learn.base.Learner`."""
        with afterwards(self.checkpoints.write_best):
            self._train(listener)

    def _train(self, listener: Listener) -> None:
        agent, checkpoints = self.agent, self.checkpoints
        is_first = ranks.rank() == 0
        seed_python(ranks.own_seed(self.params["seed"]))  # once more: modules imported meanwhile have drawn from it
        self.prepare()
        try:
            done = False
            while not done:
                start = time.perf_counter()
                agent.epoch_num += 1
                with self._explained():
                    batch = self.rollout.play()
                    played = time.perf_counter()
                    self._require_finite_rollout()
                    losses = self.update(batch)
                updated = time.perf_counter()
                agent.frame += agent.batch_size * ranks.count()
                self.latest = self._close_epoch(start, played, updated, losses)
                if is_first:
                    listener(self.latest)
                    checkpoints.save_what_is_due(agent.epoch_num)
                done = self._is_done()
            if is_first:
                checkpoints.finish()
        except KeyboardInterrupt:
            self._require_finite_weights()
            if is_first:
                checkpoints.finish()
            raise

    def prepare(self) -> None:
        """Complete the agent, choose who rolls out and updates, and reset the environments or put them back."""
        agent = self.agent
        self._compile(self.params["config"].get("torch_compile", False))
        wrong = why_not_lean(agent)
        lean = wrong is None
        if lean:
            use_stepped_rnns(agent)
        elif agent.config.get("lean", True):
            logger.warning("rollout and update are rl-games' own, slower and without CUDA graphs, because of %s", wrong)
        if not lean and torch.device(self.env.device).type == "cpu":
            agent.mixed_precision = False  # rl-games' own is CUDA's alone: elsewhere torch warns, and leaves it out
        agent.init_tensors()
        self.rollout = (LeanRollout if lean else Rollout)(agent, self.env, self.stop_if_asked)
        if lean:
            mirrors = self.env.mirrors() if agent.config.get("symmetry") else None
            self.update = LeanUpdate(agent, self.stop_if_asked, mirrors)
        elif agent.config.get("symmetry"):
            raise MyriadError(f"train.params.config.symmetry=True needs the lean update, which {wrong} rules out")
        else:
            self.update = Update(agent, self.stop_if_asked)
        agent.obs = self.checkpoints.first_observations(self.rollout.episodes)
        for learning in self._learning:
            for tensor in learning.model.state_dict().values():
                ranks.share(tensor)

    def _compile(self, setting: bool | str | Mapping[str, str]) -> None:
        """Compile the networks as rl-games' runner would, which it does unasked: true, a mode, or a mode for each."""
        if not setting:
            return
        modes = setting if isinstance(setting, Mapping) else {"mode": "default" if setting is True else setting}
        mode = modes.get("mode", "default")
        for learning, own in zip(self._learning, (mode, modes.get("critic_mode", mode)), strict=False):
            learning.model = torch.compile(learning.model, mode=own)

    def _is_done(self) -> bool:
        agent = self.agent
        done = (
            0 < agent.max_epochs <= agent.epoch_num
            or 0 < agent.max_frames <= agent.frame
            or agent.last_mean_rewards > agent.config.get("score_to_win", math.inf)
        )
        if ranks.count() > 1:  # all end together, after what any of them was told
            flags = torch.tensor([float(done), float(self._stop_requested)], device=agent.ppo_device)
            ranks.add_up(flags)
            done, stop_requested = flags.bool().tolist()
            if stop_requested:
                raise KeyboardInterrupt
        return done

    # -- the numbers of an epoch --------------------------------------------------------------------------------------

    def _close_epoch(self, start: float, played: float, updated: float, losses: Losses) -> Epoch:
        agent, rollout = self.agent, self.rollout
        fetched = self._fetch(losses)
        means = rollout.episodes.means()
        reward_mean = means["reward_mean"]
        if ranks.rank() == 0:
            agent.diagnostics.epoch(agent, current_epoch=agent.epoch_num)
            agent.diagnostics.send_info(agent.writer)
            is_best = reward_mean is not None and reward_mean > agent.last_mean_rewards
            if is_best and agent.epoch_num >= agent.save_best_after:
                agent.last_mean_rewards = reward_mean
                self.checkpoints.keep_best()
        elapsed = time.perf_counter() - start
        self.checkpoints.seconds += elapsed
        if rollout.faulty:
            logger.warning("epoch %d: %s", agent.epoch_num, say_left_out(rollout.faulty))
        if others := fetched["faults"] - len(rollout.faulty):
            logger.warning("epoch %d: %d environment(s) of other ranks were left out likewise", agent.epoch_num, others)
        scalars, self._scalars = self._scalars, {}
        return self.report(
            epoch_frames=agent.batch_size * ranks.count(),
            epoch_steps=agent.horizon_length,
            epoch_seconds=elapsed,
            physics_seconds=rollout.physics_seconds,
            task_seconds=rollout.step_seconds - rollout.physics_seconds,
            policy_seconds=played - start - rollout.step_seconds,
            update_seconds=updated - played,
            scalars=scalars,
            **means,
            **fetched,
        )

    def report(self, **more: Any) -> Epoch:
        """Return how far training is, with more that is known of the epoch."""
        agent = self.agent
        return Epoch(
            epoch=agent.epoch_num,
            frames=agent.frame,
            seconds=self.checkpoints.seconds,
            reward_best=self.checkpoints.reward_best,
            learning_rate=agent.last_lr,
            clip_range=agent.e_clip,
            **more,
        )

    def _fetch(self, losses: Losses) -> dict[str, Any]:
        """Bring the epoch's numbers from the device in one go, and raise where the update came out not finite."""
        episodes, extras = self.rollout.episodes, self.rollout.extras.take()
        healthy = all_finite(tensor for _, tensor in self._weights())
        absurd = self.rollout.absurd_rewards
        faulty = torch.full_like(absurd, len(self.rollout.faulty))
        scalars = [value.float().reshape(1) for value in (healthy, absurd, faulty, *losses.values())]
        of_ranks = torch.cat([episodes.finished, *scalars])
        ranks.add_up(of_ranks)
        own = [self.rollout.signs(), *(value.float().reshape(1) for value in extras.values())]
        fetched = torch.cat([of_ranks, *own, episodes.so_far()]).tolist()
        so_far = fetched.pop()
        finished, (healthy, absurd_rewards, faults), numbers = fetched[:4], fetched[4:7], fetched[7:]
        summed, signs, numbers = numbers[: len(losses)], numbers[len(losses) :][:4], numbers[len(losses) + 4 :]
        absurd.zero_()
        if healthy < ranks.count():
            self._require_finite_weights()
        if absurd_rewards:
            what = (
                f"{absurd_rewards:.0f} reward(s) beyond {MOST_REWARD:,.0f} counted as 0: scale or clip them in the task"
            )
            logger.warning("epoch %d: %s", self.agent.epoch_num, what)
        values = {name: number / ranks.count() for name, number in zip(losses, summed, strict=True)}
        wrong = [name for name, value in values.items() if not math.isfinite(value)]
        if wrong:
            self._fail(f"loss is not finite: {', '.join(wrong)}")
        if not all(map(math.isfinite, finished)):
            self._fail("reward is not finite before the reward shaper clips it")
        means = dict(zip(extras, numbers, strict=True))
        return {
            "losses": values,
            "extras": means,
            "reward_so_far": so_far,
            "episodes": episodes.close_epoch(finished),
            "faults": int(faults),
            "rewards": (signs[0], signs[1]) if signs[0] <= signs[1] else None,
            "ending_steps": int(signs[2]),
            "jointly_ending_steps": int(signs[3]),
        }

    # -- what goes wrong ----------------------------------------------------------------------------------------------

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self.agent.epoch_num -= 1  # it did not happen
            raise
        except TooFaultyError as error:
            self._fail(str(error))
        except (ValueError, RuntimeError):
            self._require_finite_rollout()  # a NaN makes distributions and environments raise: name it instead
            self._require_finite_weights()
            raise

    def _require_finite_rollout(self) -> None:
        if found := self.rollout.non_finite():
            about = {"task": self.config["task_name"], "epoch": self.agent.epoch_num}
            about["settings_sha256"] = settings_hash(self.config["task"]) if "task" in self.config else None
            try:
                kept = f"are in {self.rollout.fault(found, about).save(self.checkpoints.folder.parent)}"
            except MyriadError as error:
                kept = f"are lost: {error}"
            self._fail(f"{found.phrase}; its last steps {kept}")

    def _require_finite_weights(self) -> None:
        for name, tensor in self._weights():
            if not tensor.isfinite().all():
                self._fail(f"network weight {name} is not finite after the update")

    def _weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield all that is learned, the normalisers' statistics and a critic of its own included, by name."""
        for learning in self._learning:
            yield from learning.model.named_parameters()
            yield from learning.model.named_buffers()

    def _fail(self, what: str) -> NoReturn:
        saved = self.checkpoints.last_good()
        raise MyriadError(f"training stopped in epoch {self.agent.epoch_num}: {what}; {saved}") from None
