# SPDX-License-Identifier: Apache-2.0
"""Observations that a policy met in its task, kept in the run so that an export can be proven without the simulator."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from omni.myriad.errors import MyriadError

FILE_NAME = "observations.npz"
MAX_ENVS = 16
MIN_STEPS, MAX_STEPS = 256, 1100
"""Long enough for an episode of the usual 1000 steps to end, where none ends earlier."""
MAX_BYTES = 4_000_000
_CHECK_EVERY = 64  # steps between looks at whether an episode has ended


@dataclass(frozen=True)
class Recording:
    """Raw observations of a few environments, step after step.

    Args:
        observations: By input name ("obs", or the keys of a dictionary), (steps, envs, *shape), before any clipping.
        resets: True where a recurrent state is zeroed before the observation is acted on, (steps, envs).
    """

    observations: dict[str, np.ndarray]
    resets: np.ndarray

    @property
    def steps(self) -> int:
        """Number of steps an environment."""
        return self.resets.shape[0]

    @property
    def num_envs(self) -> int:
        """Number of environments."""
        return self.resets.shape[1]

    def save(self, path: Path) -> None:
        """Write to a compressed .npz, whole or not at all."""
        temporary = path.with_name(f".{path.name}.tmp")
        arrays: dict[str, Any] = {f"observations/{name}": values for name, values in self.observations.items()}
        try:
            with temporary.open("wb") as file:
                np.savez_compressed(file, resets=self.resets, **arrays)
            os.replace(temporary, path)
        except OSError as error:
            raise MyriadError(f"{path} cannot be written: {error.strerror}.") from None
        finally:
            temporary.unlink(missing_ok=True)


def load_recording(path: Path) -> Recording:
    """Read what `Recording.save` wrote.

    Raises:
        MyriadError: If the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            prefix = "observations/"
            observations = {key[len(prefix) :]: file[key] for key in file.files if key.startswith(prefix)}
            return Recording(observations, file["resets"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise MyriadError(f"{path} is damaged; delete it, and the next export records anew.") from None


@torch.no_grad()
def record(env: Any, player: Any) -> Recording:
    """Step a policy without exploration from where the environments stand, and keep the observations of a few.

    Goes on until an episode has ended, within bounds.

    Args:
        env: The `VecEnv`.
        player: rl-games' player for it.
    """
    task = env.task
    row_bytes = 4 * task.num_observations
    steps = max(1, min(MAX_STEPS, MAX_BYTES // row_bytes))
    num_envs = max(1, min(MAX_ENVS, env.num_envs, MAX_BYTES // (row_bytes * steps)))
    raw = torch.zeros((steps, num_envs, task.num_observations), device=env.device)
    resets = torch.ones((steps, num_envs), dtype=torch.bool, device=env.device)

    obs = player.obs_to_torch(env.step(torch.zeros((env.num_envs, env.num_actions), device=env.device))[0])
    player.get_batch_size(obs, 1)
    player.reset()
    done = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
    single_choice = type(env.action_space).__name__ == "Discrete"
    step = 0
    while step < steps:
        if step >= MIN_STEPS and step % _CHECK_EVERY == 0 and bool(resets[1:step].any()):
            break
        if player.is_rnn:
            for memory in player.states:
                memory.masked_fill_(done.view(1, -1, 1), 0.0)
        raw[step] = task.obs_buf[:num_envs]
        resets[step] = done[:num_envs]
        actions = player.get_action(obs, is_deterministic=True)
        # The discrete player squeezes a batch of one away.
        observed, _, dones, _ = env.step(actions.reshape(env.num_envs, *([] if single_choice else [-1])))
        obs, done = player.obs_to_torch(observed), dones.bool()
        step += 1
    return Recording({"obs": raw[:step].cpu().numpy()}, resets[:step].cpu().numpy())


def check_fits(recording: Recording, parts: Mapping[str, Any], path: Path | str) -> None:
    """Raise unless a recording has the inputs that a policy asks for, with finite numbers.

    Args:
        recording: The recording.
        parts: The observation spaces by input name, as `describe_space` gives them.
        path: Where it came from, for the message.

    Raises:
        MyriadError: Naming what differs.
    """
    for name, part in parts.items():
        values = recording.observations.get(name)
        if values is None or list(values.shape[2:]) != list(part["shape"]):
            has = "none" if values is None else tuple(values.shape[2:])
            raise MyriadError(
                f"{path} does not fit the policy: observations {name} are {has}, not {tuple(part['shape'])}."
            )
        if not np.isfinite(values).all():
            raise MyriadError(f"{path} holds observations that are not finite.")
