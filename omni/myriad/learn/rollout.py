# SPDX-License-Identifier: Apache-2.0
"""Step environments under an actor: the only such loop outside training, for playing, recording and deploying."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from omni.myriad.env.threads import single_threaded
from omni.myriad.learn.base import Acts, Observations

_CHECK_EVERY = 16  # steps of playing between looks at whether all episodes are in


class Step(NamedTuple):
    """One step of every environment: the actions, and what `VecEnv.step` returned, in its own buffers."""

    actions: torch.Tensor
    observations: Observations
    rewards: torch.Tensor
    dones: torch.Tensor
    extras: dict[str, Any]


@torch.no_grad()
def rollout(env: Any, actor: Acts, observations: Observations) -> Iterator[Step]:
    """Step for as long as steps are asked for; recurrent memory is cleared where an episode ends.

    Args:
        env: The `VecEnv`, or what steps like one.
        actor: Who acts, its memory empty at first.
        observations: Those to begin with.
    """
    actor.reset(env.num_envs)
    dones = None
    with single_threaded(env.device):
        while True:
            actions = actor.act(observations, dones)
            observations, rewards, dones, extras = env.step(actions)
            dones = dones.bool()
            yield Step(actions, observations, rewards, dones, extras)


def play(
    env: Any, actor: Acts, episodes: int, told: Callable[[int], object] = lambda _: None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return reward and length in steps of each of exactly `episodes` episodes, (episodes,) each, on the CPU.

    Every environment plays its share of the episodes, its first ones: taking whichever end first would favour
    short episodes.

    Args:
        env: The `VecEnv`, or what steps like one.
        actor: Who acts.
        episodes: How many.
        told: Told now and then how many have been played.
    """
    share = torch.full((env.num_envs,), episodes // env.num_envs, device=env.device)
    share[: episodes % env.num_envs] += 1
    most = int(share.max())
    results = torch.zeros(env.num_envs, most, 2, device=env.device)  # reward, length
    running = torch.zeros(env.num_envs, 2, device=env.device)
    played = torch.zeros_like(share)
    env_ids = torch.arange(env.num_envs, device=env.device)
    for count, step in enumerate(rollout(env, actor, env.reset()), start=1):
        running[:, 0] += step.rewards.view(-1)
        running[:, 1] += 1.0
        slot = played.clamp(max=most - 1)
        counts = (step.dones & (played < share)).unsqueeze(1)
        results[env_ids, slot] = torch.where(counts, running, results[env_ids, slot])
        played += step.dones
        running.masked_fill_(step.dones.unsqueeze(1), 0.0)
        if count % _CHECK_EVERY == 0:
            told(done := int(torch.minimum(played, share).sum()))
            if done == episodes:
                break
    rewards, lengths = results[torch.arange(most, device=env.device) < share.unsqueeze(1)].cpu().unbind(1)
    return rewards, lengths
