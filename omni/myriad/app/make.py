# SPDX-License-Identifier: Apache-2.0
"""A task as a gymnasium environment, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
from omni.myriad.env.vector_env import GymnasiumVecEnv


def make(
    task: str, num_envs: int | None = None, *, tensors: bool = False, overrides: Sequence[str] = (), **settings: Any
) -> GymnasiumVecEnv:
    """Return a task's environments as a `gymnasium.vector.VectorEnv`.

    Args:
        task: The task, such as "Ant".
        num_envs: Number of environments, by default the task's.
        tensors: Torch tensors on the environments' device instead of NumPy arrays.
        overrides: More settings, as on the command line, such as ["task.env.maxEffort=200"].
        settings: Those without a dot by name, such as seed=1, sim_device="cpu" or engine="newton".

    Raises:
        MyriadError: On an unknown task or setting.
    """
    if num_envs is not None:
        settings["num_envs"] = num_envs
    given = [f"task={task}", *(f"{name}={value}" for name, value in settings.items()), *overrides]
    return GymnasiumVecEnv(make_env(load_config(given)), tensors)
