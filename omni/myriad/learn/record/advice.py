# SPDX-License-Identifier: Apache-2.0
"""Notice in the first epochs that a task gives nothing to learn from, and say what to change."""

from __future__ import annotations

import logging
import math

from omni.myriad.learn.base import Epoch

logger = logging.getLogger(__name__)

_EPOCHS = 5  # without a difference between rewards
_ENDS = 3  # in which all environments ended together
_FEW = 8  # environments, which may end together by chance


class Advice:
    """Warn of each mistake once.

    Args:
        num_envs: Number of environments.
        max_episode_length: Steps after which the task cuts an episode short.
    """

    def __init__(self, num_envs: int, max_episode_length: int) -> None:
        self.num_envs, self.max_episode_length = num_envs, max_episode_length
        self._steps = self._epochs = self._episodes = self._endings = self._joint_endings = 0
        self._least, self._most = math.inf, -math.inf
        self._said: set[str] = set()

    def __call__(self, epoch: Epoch) -> None:
        """Look at one more epoch."""
        self._epochs += 1
        self._steps += epoch.epoch_steps
        self._episodes += epoch.episodes
        self._endings += epoch.ending_steps
        self._joint_endings += epoch.jointly_ending_steps
        if epoch.rewards is not None:
            self._least, self._most = min(self._least, epoch.rewards[0]), max(self._most, epoch.rewards[1])
        length = epoch.episode_length_mean
        # The first step of an episode is that of the reset, and at the start the environments are stepped once.
        cut_short = length is None or length >= self.max_episode_length - 2
        if self._episodes == 0 and self._steps > self.max_episode_length:
            self._say(
                "no end",
                f"no episode has ended in {self._steps} steps, though episodeLength is {self.max_episode_length}: "
                "is_done must write 1 into reset_buf where an episode ends, at least where time_out_buf is True",
            )
        if length is not None and length <= 1.0 and self.max_episode_length > 2:
            self._say(
                "no length",
                "every episode ends with its first step: reset_idx must write 0 into reset_buf and progress_buf of its "
                "env_ids, is_done must write reset_buf anew in every step, and no robot may start where it is lost",
            )
        elif (
            self._endings >= _ENDS and self._endings == self._joint_endings and self.num_envs >= _FEW and not cut_short
        ):
            self._say(
                "joint ends",
                f"all {self.num_envs} environments have ended in the same step, {self._endings} times: is_done must "
                "decide for each of them, by tensors with a row for each, without any() or all() over environments",
            )
        constant = self._least == self._most and (cut_short or (self._most == 0.0 and epoch.reward_mean == 0.0))
        if self._epochs >= _EPOCHS and constant:
            self._say(
                "constant",
                f"every reward of {self._epochs} epochs was {self._most:g} as the learner sees it: calculate_metrics "
                "must write more into rew_buf where the robot does better, or there is nothing to learn",
            )

    def _say(self, mistake: str, what: str) -> None:
        if mistake not in self._said:
            self._said.add(mistake)
            logger.warning("%s", what)
