# SPDX-License-Identifier: Apache-2.0
"""Observations that a policy met in its task, kept in the run so that an export can be proven without the simulator."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.files import replacing
from omni.myriad.learn.base import Actor
from omni.myriad.learn.rollout import rollout

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
        """Number of steps per environment."""
        return self.resets.shape[0]

    @property
    def num_envs(self) -> int:
        """Number of environments."""
        return self.resets.shape[1]

    def save(self, path: Path) -> None:
        """Write to a compressed .npz, whole or not at all."""
        arrays: dict[str, Any] = {f"observations/{name}": values for name, values in self.observations.items()}
        with replacing(path) as temporary:
            np.savez_compressed(temporary, resets=self.resets, **arrays)


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
        raise MyriadError(f"{path} is damaged; delete it, and the next export records again.") from None


def record(env: Any, actor: Actor) -> Recording:
    """Step a policy without exploration from where the environments stand, and keep the observations of a few.

    Continues until an episode has ended, within bounds.

    Args:
        env: The `VecEnv`.
        actor: The policy.
    """
    raw = _raw(env)
    row_bytes = sum(part[0].numel() * part.element_size() for part in raw.values())
    steps = max(1, min(MAX_STEPS, MAX_BYTES // row_bytes))
    num_envs = max(1, min(MAX_ENVS, env.num_envs, MAX_BYTES // (row_bytes * steps)))

    def seen() -> dict[str, torch.Tensor]:
        return {name: part[:num_envs].clone() for name, part in _raw(env).items()}

    first = env.step(torch.zeros((env.num_envs, env.num_actions), device=env.device))[0]
    kept, resets = [seen()], [torch.ones(num_envs, dtype=torch.bool, device=env.device)]
    for step in rollout(env, actor, first):
        count = len(kept)
        look = count >= MIN_STEPS and count % _CHECK_EVERY == 0
        if count == steps or (look and bool(torch.stack(resets[1:]).any())):
            break
        kept.append(seen())
        resets.append(step.dones[:num_envs].clone())
    observations = {name: torch.stack([row[name] for row in kept]).cpu().numpy() for name in raw}
    return Recording(observations, torch.stack(resets).cpu().numpy())


def _raw(env: Any) -> dict[str, torch.Tensor]:
    """Return the task's observations by input name, before any clipping."""
    observed = env.task.obs_buf
    return observed if isinstance(observed, dict) else {"obs": observed}


def check_fits(recording: Recording, parts: Mapping[str, Any]) -> None:
    """Raise unless a recording has the inputs that a policy asks for, with finite numbers.

    Args:
        recording: The recording.
        parts: The observation spaces by input name, as `describe_space` gives them.

    Raises:
        MyriadError: Naming what differs.
    """
    for name, part in parts.items():
        values = recording.observations.get(name)
        if values is None or list(values.shape[2:]) != list(part["shape"]):
            has = "none" if values is None else tuple(values.shape[2:])
            raise MyriadError(
                f"The recording does not fit the policy: observations {name} are {has}, not {tuple(part['shape'])}."
            )
        if not np.isfinite(values).all():
            raise MyriadError("The recording holds observations that are not finite.")
